"""Slow and plain twins of what the Sudoku task computes: written from the rules alone, sharing no code with it."""

import random
from collections.abc import Iterator
from functools import cache
from itertools import permutations, product

import networkx

BOXES = {4: (2, 2), 6: (2, 3), 9: (3, 3)}


def peers(size: int, cell: int) -> set[int]:
    tall, wide = BOXES[size]
    row, column = divmod(cell, size)
    return {
        other
        for other in range(size * size)
        if other != cell
        and (
            other // size == row
            or other % size == column
            or (other // size // tall, other % size // wide) == (row // tall, column // wide)
        )
    }


PEERS = {size: [peers(size, cell) for cell in range(size * size)] for size in BOXES}


def is_right(size: int, puzzle: list[int], grid: list[int]) -> bool:
    return all(
        1 <= grid[cell] <= size
        and puzzle[cell] in (0, grid[cell])
        and all(grid[other] != grid[cell] for other in PEERS[size][cell])
        for cell in range(size * size)
    )


@cache
def grids_4x4() -> list[tuple[int, ...]]:
    rows = list(permutations(range(1, 5)))
    return [sum(each, ()) for each in product(rows, repeat=4) if is_right(4, [0] * 16, list(sum(each, ())))]


def options(size: int, board: list[int], cell: int) -> list[int]:
    taken = {board[other] for other in PEERS[size][cell]}
    return [digit for digit in range(1, size + 1) if digit not in taken]


def units(size: int) -> Iterator[list[int]]:
    tall, wide = BOXES[size]
    for line in range(size):
        yield [line * size + place for place in range(size)]
        yield [place * size + line for place in range(size)]
    for top in range(0, size, tall):
        for left in range(0, size, wide):
            yield [(top + down) * size + left + right for down in range(tall) for right in range(wide)]


def forced(size: int, board: list[int], cell: int, digit: int) -> bool:
    """The digit is the cell's only candidate, or the cell the digit's only place in a unit."""
    if options(size, board, cell) == [digit]:
        return True
    return any(
        cell in unit
        and not any(other != cell and not board[other] and digit in options(size, board, other) for other in unit)
        for unit in units(size)
    )


def singles(size: int, board: list[int]) -> list[int] | None:
    """The board after all naked and hidden singles; None where it contradicts itself."""
    board = list(board)
    while True:
        for cell in range(size * size):
            if board[cell] and any(board[other] == board[cell] for other in PEERS[size][cell]):
                return None
            if not board[cell] and not options(size, board, cell):
                return None
        for unit in units(size):
            for digit in range(1, size + 1):
                if not any(
                    board[cell] == digit or (not board[cell] and digit in options(size, board, cell)) for cell in unit
                ):
                    return None
        found = next(
            (
                (cell, digit)
                for cell in range(size * size)
                if not board[cell]
                for digit in options(size, board, cell)
                if forced(size, board, cell, digit)
            ),
            None,
        )
        if found is None:
            return board
        board[found[0]] = found[1]


def guesses(size: int, puzzle: list[int]) -> tuple[int, int, int]:
    """(solutions, at most 2; branch points until the first; branch points in all) of the documented search."""
    solutions = total = to_first = 0

    def visit(board: list[int]) -> None:
        nonlocal solutions, total, to_first
        if solutions == 2:
            return
        after = singles(size, board)
        if after is None:
            return
        blanks = [cell for cell in range(size * size) if not after[cell]]
        if not blanks:
            solutions += 1
            to_first = total if solutions == 1 else to_first
            return
        total += 1
        cell = min(blanks, key=lambda each: len(options(size, after, each)))
        for digit in options(size, after, cell):
            visit([digit if other == cell else value for other, value in enumerate(after)])

    visit(puzzle)
    return solutions, (to_first if solutions else total), total


def completions(size: int, puzzle: list[int], most: int, source: random.Random) -> list[list[int]]:
    """Grids that keep the clues, in a random order, up to so many."""
    found: list[list[int]] = []

    def visit(board: list[int]) -> None:
        choices = {cell: options(size, board, cell) for cell in range(size * size) if not board[cell]}
        if not choices:
            found.append(board)
            return
        cell = min(choices, key=lambda each: len(choices[each]))
        for digit in source.sample(choices[cell], len(choices[cell])):
            if len(found) < most:
                visit([digit if other == cell else value for other, value in enumerate(board)])

    visit(list(puzzle))
    return found


def moved(size: int, board: list[int], source: random.Random) -> list[int]:
    """A copy under a random symmetry."""
    tall, wide = BOXES[size]

    def order(group: int) -> list[int]:
        groups = [source.sample(range(first, first + group), group) for first in range(0, size, group)]
        return [line for each in source.sample(groups, len(groups)) for line in each]

    rows, columns, digits = order(tall), order(wide), [0, *source.sample(range(1, size + 1), size)]
    cells = list(product(rows, columns))
    if tall == wide and source.random() < 0.5:
        cells = [(row, column) for column in columns for row in rows]
    return [digits[board[row * size + column]] for row, column in cells]


def are_copies(size: int, first: list[int], second: list[int]) -> bool:
    """Whether some symmetry makes one board of the other: whether graphs of lines, boxes, clues and digits are alike.

    Graphs with different Weisfeiler-Lehman hashes are not; the others are compared by VF2.
    """
    tall, wide = BOXES[size]

    def graph(board: list[int], turned: bool) -> networkx.Graph:
        made = networkx.Graph()
        for line in range(size):
            for kind, group, boxes in (("row", tall, "band"), ("column", wide, "stack")):
                made.add_node((kind, line), kind=kind)
                made.add_node((boxes, line // group), kind=boxes)
                made.add_edge((kind, line), (boxes, line // group))
        for cell, digit in enumerate(board):
            if digit:
                row, column = divmod(cell, size)[:: -1 if turned else 1]
                made.add_node(cell, kind="clue")
                made.add_node(("digit", digit), kind="digit")
                made.add_edges_from([(cell, ("row", row)), (cell, ("column", column)), (cell, ("digit", digit))])
        return made

    goal = graph(second, False)
    hashed = networkx.weisfeiler_lehman_graph_hash(goal, node_attr="kind")
    return any(
        networkx.weisfeiler_lehman_graph_hash(start, node_attr="kind") == hashed
        and networkx.is_isomorphic(start, goal, node_match=lambda one, other: one["kind"] == other["kind"])
        for start in (graph(first, turned) for turned in ([False, True] if tall == wide else [False]))
    )
