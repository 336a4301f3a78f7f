"""Many Sudoku boards solved at once, and what their solutions cost in guesses.

This file decides what difficulty means and in which order a solver would write the digits. It knows no split and no
text. A board's candidates are bits (digit d is bit d - 1); all boards go through their searches side by side, [C, N]
in memory so that a pass of the rules is a few wide numpy operations.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from dlmreason.tasks.sudoku_grid import Boards, Geometry

Bits = NDArray[Any]  # uint8 where that suffices, for half the memory to go through, else uint16

Again = Callable[[NDArray[np.int64], NDArray[np.bool_]], tuple[NDArray[np.bool_], Bits]]
"""From boards [K] whose search has ended, and whether a solution was found [K], to who of them goes on with another
start [K], and with which candidates.
"""


class Found(NamedTuple):
    """What a search found, board by board."""

    solutions: NDArray[np.int64]  # [N] how many, counted up to the limit
    grid: Boards  # [N, C] the first one; zeros where there is none
    branches: NDArray[np.int64]  # [N] branch points of the whole search
    branches_to_first: NDArray[np.int64]  # [N] those before the first solution; as `branches` where there is none
    complete: NDArray[np.bool_]  # [N] False where the search was given up

    @property
    def difficulty(self) -> NDArray[np.int64]:
        """[N] branch points that it takes to prove the one solution, or to reach the first of several (limit=2)."""
        return np.where(self.solutions == 1, self.branches, self.branches_to_first)


def candidates(boards: Boards, board: Geometry) -> Bits:
    """[N, C]: a clue's own bit, and every digit's bit for a blank."""
    bits = [(1 << board.size) - 1, *(1 << digit for digit in range(board.size))]
    return np.array(bits, np.uint8 if board.size <= 8 else np.uint16)[boards]


def _once(places: Bits) -> tuple[Bits, Bits]:
    """[3n, N] the digits that one cell of the unit alone may hold, and those that any may, from cells [n, 3n, N]."""
    some, several = places[0].copy(), np.zeros_like(places[0])
    for place in places[1:]:
        several |= some & place
        some |= place
    return some & ~several, some


def _around(by_unit: Bits, board: Geometry) -> Bits:
    """[C, N] what any of a cell's three units says, from what each unit says [3n, N]."""
    return by_unit[board.row] | by_unit[board.column + board.size] | by_unit[board.box + 2 * board.size]


def _rules(cells: Bits, board: Geometry) -> tuple[Bits, NDArray[np.bool_]]:
    """Naked and hidden singles, once, everywhere: (candidates left [C, N], boards that contradict themselves [N])."""
    settled = _mask((cells & (cells - 1)) == 0, cells)
    once, some = _once(cells[board.units.T])
    singles = (cells & settled)[board.units.T]  # [n, 3n, N]
    fixed = np.bitwise_or.reduce(singles, axis=0)
    wrong = ((fixed != np.add.reduce(singles, axis=0, dtype=cells.dtype)) | (some != (1 << board.size) - 1)).any(axis=0)
    hidden = cells & _around(once, board)
    wrong |= ((hidden & (hidden - 1)) != 0).any(axis=0)
    left = cells & (hidden | _mask(hidden == 0, cells)) & (settled | ~_around(fixed, board))
    return left, wrong | (left == 0).any(axis=0)


def _mask(where: NDArray[np.bool_], like: Bits) -> Bits:
    """All bits where True, none elsewhere; `np.where` takes several times as long on boards, which branches at each."""
    return np.negative(where.astype(like.dtype))


def search(
    start: Bits,
    board: Geometry,
    *,
    limit: int = 1,
    digit_order: NDArray[np.uint8] | None = None,
    most_branches: int | None = None,
    again: Again | None = None,
) -> Found:
    """Depth-first search with naked and hidden singles, branching on the first cell with the fewest candidates.

    start: [N, C].  limit: stop a board at that many solutions; 2 settles uniqueness.  digit_order: [N, C, n] digits
    less one in the order of trial, instead of ascending: random orders make random grids.  most_branches: give a board
    up there.  again: gives boards that have ended another start, so that no lane waits for the slowest; it alone hears
    what was found before.
    """
    rows = len(start)
    count = np.zeros(rows, np.int64)
    grid = np.zeros((rows, board.cells), np.uint8)
    to_first, tried = np.zeros(rows, np.int64), np.zeros(rows, np.int64)
    complete = np.ones(rows, np.bool_)
    who = np.arange(rows)  # the board in each lane
    alive = np.ones(rows, np.bool_)  # lanes still searching; the others wait to be cleared away
    cells = np.ascontiguousarray(start.T)
    stack = np.zeros((8, board.cells, rows), start.dtype)
    depth = np.zeros(rows, np.int64)
    every_digit = np.arange(board.size, dtype=np.uint8)
    while alive.any():
        left, wrong = _rules(cells, board)
        still = (left == cells).all(axis=0) & ~wrong & alive
        wrong &= alive
        cells = left
        solved = np.zeros(len(who), np.bool_)
        lanes = np.flatnonzero(still)
        if len(lanes):
            sizes = np.bitwise_count(cells[:, lanes])
            solved[lanes] = (sizes == 1).all(axis=0)
            branching = ~solved[lanes]
            lanes, sizes = lanes[branching], sizes[:, branching]
        if len(lanes):  # branch: try one digit now, the others when this one is exhausted
            cell = (sizes - 2).argmin(axis=0)  # 1 wraps round to 255
            options = cells[cell, lanes]
            order = every_digit if digit_order is None else digit_order[who[lanes], cell]
            allowed = (options[:, None] >> order) & 1 == 1
            order = np.broadcast_to(order, allowed.shape)
            digit = order[np.arange(len(lanes)), allowed.argmax(axis=1)]
            bit = start.dtype.type(1) << digit.astype(start.dtype)
            if depth[lanes].max() >= len(stack):
                stack = np.concatenate([stack, np.zeros_like(stack)])
            others = cells[:, lanes]
            others[cell, np.arange(len(lanes))] = options & ~bit
            stack[depth[lanes], :, lanes] = others.T
            depth[lanes] += 1
            cells[cell, lanes] = bit
            tried[who[lanes]] += 1
            if most_branches is not None:
                over = lanes[tried[who[lanes]] > most_branches]
                alive[over], complete[who[over]] = False, False
        lanes = np.flatnonzero(solved)
        if len(lanes):
            fresh = lanes[count[who[lanes]] == 0]
            grid[who[fresh]] = np.bitwise_count(cells[:, fresh] - 1).T + 1
            to_first[who[fresh]] = tried[who[fresh]]
            count[who[lanes]] += 1
            alive[lanes] = count[who[lanes]] < limit
        back = np.flatnonzero((wrong | solved) & alive)
        if len(back):
            alive[back[depth[back] == 0]] = False
            back = back[depth[back] > 0]
            depth[back] -= 1
            cells[:, back] = stack[depth[back], :, back].T
        if 4 * np.count_nonzero(alive) < 3 * len(who):
            if again is not None:
                ended = np.flatnonzero(~alive)
                on, starts = again(who[ended], count[who[ended]] > 0)
                ended = ended[on]
                cells[:, ended], alive[ended], depth[ended], count[who[ended]] = starts.T, True, 0, 0
            if not alive.all():
                who, cells, depth = who[alive], cells[:, alive], depth[alive]
                stack = stack[: max(8, depth.max(initial=0) + 1), :, alive]
                alive = np.ones(len(who), np.bool_)
    return Found(count, grid, tried, np.where(count == 0, tried, to_first), complete)


def deductions(boards: Boards, grids: Boards, board: Geometry) -> NDArray[np.int64]:
    """[N, C]: the order in which a solver writes the cells, lowest first; -1 for a clue.

    A round writes every blank that has one candidate (naked single); where there is none, every blank that is the only
    place for a digit in a unit (hidden single); where there is none, the blank with the fewest candidates, its digit
    taken from the solution `grids`. Within a round the order is raster.
    """
    gold = candidates(grids, board).T
    cells = np.ascontiguousarray(candidates(boards, board).T)
    written = np.ascontiguousarray(boards.T > 0)
    order = np.where(written, -1, 0).astype(np.int64)
    raster = np.arange(board.cells)[:, None]
    for turn in range(board.cells):
        if written.all():
            break
        fixed = np.bitwise_or.reduce(np.where(written, cells, 0)[board.units.T], axis=0)
        cells = np.where(written, cells, cells & ~_around(fixed, board))
        naked = ~written & ((cells & (cells - 1)) == 0)
        hidden = ~written & ((cells & _around(_once(cells[board.units.T])[0], board)) != 0)
        few = np.where(written, np.uint8(99), np.bitwise_count(cells))
        guess = ~written & (raster == few.argmin(axis=0))
        now = np.where(naked.any(axis=0), naked, np.where(hidden.any(axis=0), hidden, guess))
        order = np.where(now, turn * board.cells + raster, order)
        cells = np.where(now, gold, cells)
        written |= now
    return order.T


def dig(grids: Boards, orders: NDArray[np.int64], floor: NDArray[np.int64], board: Geometry) -> Boards:
    """[N, C]: clues taken out in the given order wherever the solution stays the only one, down to `floor` [N] clues.

    With the floor at 0 the puzzle is minimal: no clue can go.
    """
    boards, gold, rows = grids.copy(), candidates(grids, board), np.arange(len(grids))
    clues, turn = np.full(len(grids), board.cells), np.zeros(len(grids), np.int64)

    def trials(rows: NDArray[np.int64]) -> tuple[NDArray[np.bool_], Bits]:
        """Who has a clue left to take out, and: is there a solution with another digit in its place?"""
        on = (turn[rows] < board.cells) & (clues[rows] > floor[rows])
        rows, lanes = rows[on], np.arange(np.count_nonzero(on))
        cell = orders[rows, turn[rows]]
        trial = boards[rows]
        trial[lanes, cell] = 0
        other = candidates(trial, board)
        other[lanes, cell] &= ~gold[rows, cell]
        return on, other

    def verdicts(lanes: NDArray[np.int64], solved: NDArray[np.bool_]) -> tuple[NDArray[np.bool_], Bits]:
        rows = asked[lanes]
        alone = rows[~solved]
        boards[alone, orders[alone, turn[alone]]] = 0
        clues[alone] -= 1
        turn[rows] += 1
        return trials(rows)

    on, start = trials(rows)
    asked = rows[on]
    search(start, board, again=verdicts)
    return boards
