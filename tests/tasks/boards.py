"""Slow and plain twins of what the Sudoku task computes: written from the rules alone, sharing no code with it."""

from collections.abc import Iterator
from functools import cache
from itertools import permutations, product

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
