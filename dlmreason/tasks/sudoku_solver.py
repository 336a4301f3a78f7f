"""Many Sudoku boards solved at once, and what their solutions cost in guesses.

This file decides what difficulty means and in which order a solver would write the digits. It knows no split and no
text. A board's candidates are bits (digit d is bit d - 1); all boards go through their searches side by side, [C, N]
in memory so that a pass of the rules is a few wide numpy operations.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from dlmreason.tasks.sudoku_grid import Boards, Geometry

Bits = NDArray[np.uint16]


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
    every = np.uint16((1 << board.size) - 1)
    return np.where(boards > 0, np.uint16(1) << (np.maximum(boards, 1).astype(np.uint16) - np.uint16(1)), every)


def _once(in_unit: Bits) -> Bits:
    """[3n, N] the digits that only one cell of the unit may hold, from the candidates [3n, n, N]."""
    once, twice = in_unit[:, 0].copy(), np.zeros_like(in_unit[:, 0])
    for place in range(1, in_unit.shape[1]):
        twice |= once & in_unit[:, place]
        once |= in_unit[:, place]
    return once & ~twice


def _around(by_unit: Bits, board: Geometry) -> Bits:
    """[C, N] what any of a cell's three units says, from what each unit says [3n, N]."""
    return by_unit[board.row] | by_unit[board.column + board.size] | by_unit[board.box + 2 * board.size]


def _rules(cells: Bits, board: Geometry) -> tuple[Bits, NDArray[np.bool_]]:
    """Naked and hidden singles, once, everywhere: (candidates left [C, N], boards that contradict themselves [N])."""
    zero, one = np.uint16(0), np.uint16(1)
    every = np.uint16((1 << board.size) - 1)
    settled = (cells & (cells - one)) == 0
    singles = np.where(settled, cells, zero)[board.units]  # [3n, n, N]
    fixed = np.bitwise_or.reduce(singles, axis=1)
    wrong = (fixed != np.add.reduce(singles, axis=1, dtype=np.uint16)).any(axis=0)
    in_unit = cells[board.units]
    wrong |= (np.bitwise_or.reduce(in_unit, axis=1) != every).any(axis=0)
    hidden = cells & _around(_once(in_unit), board)
    wrong |= ((hidden & (hidden - one)) != 0).any(axis=0)
    left = np.where(hidden != 0, hidden, cells) & ~_around(fixed, board)
    left = np.where(settled, cells, left)
    return left, wrong | (left == 0).any(axis=0)


def search(
    start: Bits,
    board: Geometry,
    *,
    limit: int = 1,
    digit_order: NDArray[np.uint8] | None = None,
    most_branches: int | None = None,
) -> Found:
    """Depth-first search with naked and hidden singles, branching on the first cell with the fewest candidates.

    start: [N, C].  limit: stop a board at that many solutions; 2 settles uniqueness.  digit_order: [N, C, n] digits
    less one in the order of trial, instead of ascending: random orders make random grids.  most_branches: give a board
    up there.
    """
    rows = len(start)
    count = np.zeros(rows, np.int64)
    grid = np.zeros((rows, board.cells), np.uint8)
    to_first, tried = np.zeros(rows, np.int64), np.zeros(rows, np.int64)
    complete = np.ones(rows, np.bool_)
    who = np.arange(rows)  # the board in each lane
    alive = np.ones(rows, np.bool_)  # lanes still searching; the others wait to be cleared away
    cells = np.ascontiguousarray(start.T)
    stack = np.zeros((8, board.cells, rows), np.uint16)
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
            cell = np.where(sizes > 1, sizes, np.uint8(99)).argmin(axis=0)
            options = cells[cell, lanes]
            order = every_digit if digit_order is None else digit_order[who[lanes], cell]
            allowed = (options[:, None] >> order) & np.uint16(1) == 1
            order = np.broadcast_to(order, allowed.shape)
            digit = order[np.arange(len(lanes)), allowed.argmax(axis=1)]
            bit = np.uint16(1) << digit.astype(np.uint16)
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
            grid[who[fresh]] = np.bitwise_count(cells[:, fresh] - np.uint16(1)).T + np.uint8(1)
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
    one, raster = np.uint16(1), np.arange(board.cells)[:, None]
    for turn in range(board.cells):
        if written.all():
            break
        fixed = np.bitwise_or.reduce(np.where(written, cells, np.uint16(0))[board.units], axis=1)
        cells = np.where(written, cells, cells & ~_around(fixed, board))
        naked = ~written & ((cells & (cells - one)) == 0)
        hidden = ~written & ((cells & _around(_once(cells[board.units]), board)) != 0)
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
    boards, every = grids.copy(), np.arange(len(grids))
    for turn in range(board.cells):
        lanes = every[(boards > 0).sum(axis=1) > floor]
        if not len(lanes):
            break
        cell = orders[lanes, turn]
        trial = boards[lanes]
        trial[np.arange(len(lanes)), cell] = 0
        other = candidates(trial, board)  # is there a solution that puts another digit there?
        other[np.arange(len(lanes)), cell] &= ~candidates(grids[lanes], board)[np.arange(len(lanes)), cell]
        alone = search(other, board).solutions == 0
        boards[lanes[alone]] = trial[alone]
    return boards
