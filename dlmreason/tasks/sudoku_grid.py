"""Sudoku's board: its units, its symmetries, and where full grids come from.

This file decides which rearrangements make two puzzles the same puzzle, and how that is told apart cheaply. It knows
no split, no text and no solver. Boards are uint8 rows of size * size digits in raster order, 0 for a blank.

The symmetries are: relabelling digits, permuting rows within a band of boxes, bands, columns within a stack, stacks,
and, where boxes are square, transposition. Two boards are compared in two stages: `board_key` is equal for all
symmetric copies (but may be equal by chance for others), and `same_puzzle` decides exactly, by trying the
rearrangements that the pattern of blanks allows. Shape letters: N boards, C cells, n = size.
"""

from dataclasses import dataclass
from functools import cache
from itertools import permutations, product

import numpy as np
from numpy.typing import NDArray

from dlmreason.tasks.example import mix

Boards = NDArray[np.uint8]


@dataclass(frozen=True, eq=False)
class Geometry:
    """The units of a board of one size; boxes are `box_rows` by `box_columns`."""

    size: int
    box_rows: int
    box_columns: int
    row: NDArray[np.int64]  # [C] row of each cell, from 0
    column: NDArray[np.int64]
    box: NDArray[np.int64]
    units: NDArray[np.int64]  # [3n, n] cells of each row, then column, then box

    @property
    def cells(self) -> int:
        return self.size * self.size

    @property
    def square(self) -> bool:
        """Boxes are square, so that transposing a board gives a board."""
        return self.box_rows == self.box_columns

    def unit_name(self, unit: int) -> str:
        return f"{('row', 'column', 'box')[unit // self.size]} {unit % self.size + 1}"

    def place(self, cell: int) -> str:
        return f"row {cell // self.size + 1} column {cell % self.size + 1}"


BOXES = {4: (2, 2), 6: (2, 3), 9: (3, 3)}


@cache
def geometry(size: int) -> Geometry:
    box_rows, box_columns = BOXES[size]
    row, column = np.divmod(np.arange(size * size), size)
    box = row // box_rows * (size // box_columns) + column // box_columns
    units = np.stack([np.flatnonzero(kind == unit) for kind in (row, column, box) for unit in range(size)])
    return Geometry(size, box_rows, box_columns, row, column, box, units)


@cache
def line_orders(lines: int, group: int) -> NDArray[np.int64]:
    """[orders, lines] every order of rows (or columns) that keeps groups of `group` neighbours together."""
    groups = np.arange(lines).reshape(-1, group)
    within = list(permutations(range(group)))
    return np.array(
        [
            [line for which, inner in zip(outer, inners, strict=True) for line in groups[which][list(inner)]]
            for outer in permutations(range(len(groups)))
            for inners in product(within, repeat=len(groups))
        ]
    )


def orders(board: Geometry) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The row orders and the column orders that are symmetries."""
    return line_orders(board.size, board.box_rows), line_orders(board.size, board.box_columns)


def rearrange(
    boards: Boards,
    board: Geometry,
    rows: NDArray[np.int64],  # [N, n] the row that comes to each place
    columns: NDArray[np.int64],  # [N, n]
    labels: NDArray[np.int64],  # [N, n] the digit, less one, that digit d + 1 becomes
    transpose: NDArray[np.bool_] | None = None,  # [N], square boxes only
) -> Boards:
    """[N, C]: each board's symmetric copy."""
    size = board.size
    cell = rows[:, :, None] * size + columns[:, None, :]
    moved = np.take_along_axis(boards, cell.reshape(-1, board.cells), axis=1)
    if transpose is not None:
        flipped = moved.reshape(-1, size, size).transpose(0, 2, 1).reshape(-1, board.cells)
        moved = np.where(transpose[:, None], flipped, moved)
    relabel = np.concatenate([np.zeros((len(labels), 1), np.uint8), (labels + 1).astype(np.uint8)], axis=1)
    return np.take_along_axis(relabel, moved.astype(np.int64), axis=1)


def normalised(grids: Boards, board: Geometry) -> Boards:
    """[N, C]: full grids relabelled so that the first row reads 1, 2, 3, ..."""
    labels = np.argsort(grids[:, : board.size], axis=1).astype(np.uint8) + np.uint8(1)
    return np.take_along_axis(labels, grids.astype(np.int64) - 1, axis=1)


def valid(grids: Boards, board: Geometry) -> NDArray[np.bool_]:
    """[N]: full grids in which every unit holds every digit."""
    digits = np.sort(grids[:, board.units], axis=2)
    right: NDArray[np.bool_] = (digits == np.arange(1, board.size + 1)).all(axis=(1, 2))
    return right


def board_key(boards: Boards, board: Geometry, rounds: int = 3) -> NDArray[np.uint64]:
    """[N]: a key that all symmetric copies of a puzzle share: colour refinement over clues, their lines, boxes and
    digits.

    Each clue's colour is hashed with those of the clues in its row, band, column, stack, box and with its digit; sums
    make the hash blind to order, and the same salt for rows and columns makes it blind to transposition where boxes
    are square. Full grids look alike to it; `grid_key` is for these.
    """
    size, clue = board.size, boards > 0
    salts = mix(np.arange(1, 9, dtype=np.uint64))
    if board.square:
        salts[1], salts[3] = salts[0], salts[2]
    each_digit = [boards == digit for digit in range(1, size + 1)]
    colour = np.where(clue, salts[4], np.uint64(0))
    for _ in range(rounds):
        square = colour.reshape(-1, size, size)
        line_colours = []
        for axis, group, line_salt, group_salt in (
            (2, board.box_rows, salts[0], salts[2]),
            (1, board.box_columns, salts[1], salts[3]),
        ):
            lines = mix(square.sum(axis=axis, dtype=np.uint64) + line_salt)
            groups = mix(lines.reshape(-1, size // group, group).sum(axis=2, dtype=np.uint64) + group_salt)
            line_colours.append(mix(lines + np.repeat(groups, group, axis=1)))
        boxes = mix(colour[:, board.units[2 * size :]].sum(axis=2, dtype=np.uint64) + salts[5])
        around = mix(line_colours[0][:, board.row] + line_colours[1][:, board.column] + boxes[:, board.box])
        for here in each_digit:
            total = np.where(here, colour, np.uint64(0)).sum(axis=1, dtype=np.uint64)
            around += here * mix(total + salts[6])[:, None]
        colour = np.where(clue, mix(colour + around), np.uint64(0))
    return mix(colour.sum(axis=1, dtype=np.uint64) + salts[7])


def grid_key(grids: Boards, board: Geometry) -> NDArray[np.uint64]:
    """[N]: a key that all symmetric copies of a full grid share.

    Two lines make a permutation of digits (this one's to that one's); its cycle lengths are blind to labels and to the
    order along the lines. The key hashes them over all pairs of rows, and of columns, neighbours in a box kept apart.
    """
    size = board.size
    square = grids.reshape(-1, size, size).astype(np.int64) - 1
    sides: list[NDArray[np.uint64]] = []
    for lines, group in ((square, board.box_rows), (square.transpose(0, 2, 1), board.box_columns)):
        total = np.zeros(len(grids), np.uint64)
        for first in range(size):
            for second in range(first + 1, size):
                step = np.zeros((len(grids), size), np.int64)
                np.put_along_axis(step, lines[:, first], lines[:, second], axis=1)
                power, lengths = step, np.zeros(len(grids), np.uint64)
                for _ in range(size):
                    fixed = (power == np.arange(size)).sum(axis=1).astype(np.uint64)
                    lengths = mix(lengths + fixed + np.uint64(1))
                    power = np.take_along_axis(step, power, axis=1)
                total += mix(lengths + np.uint64(7 if first // group == second // group else 11))
        sides.append(mix(total + np.uint64(13 if board.square or not sides else 17)))
    return mix(sides[0] + sides[1])


def first_seen(boards: Boards) -> Boards:
    """[N, C]: boards relabelled by first appearance in raster order, so that relabelled copies become equal."""
    label = np.zeros((len(boards), 10), np.uint8)
    used = np.zeros(len(boards), np.uint8)
    out, every = np.zeros_like(boards), np.arange(len(boards))
    for cell in range(boards.shape[1]):
        digit = boards[:, cell]
        fresh = (digit > 0) & (label[every, digit] == 0)
        used += fresh
        label[every[fresh], digit[fresh]] = used[fresh]
        out[:, cell] = label[every, digit]
    return out


def same_puzzle(first: Boards, second: Boards, board: Geometry) -> bool:
    """Whether one board [C] is a symmetric copy of another: exact.

    Row orders are kept whose columns of blanks are the other's in some order, then column orders that put them in
    place; what is left is compared after relabelling by first appearance.
    """
    size = board.size
    row_orders, column_orders = orders(board)
    bits = 1 << np.arange(size)
    goal = second.reshape(size, size)
    goal_columns = ((goal > 0) * bits[:, None]).sum(axis=0)
    goal_labels = first_seen(second[None])[0]
    if (first > 0).sum() != (second > 0).sum():
        return False
    start = first.reshape(size, size)
    for square in (start, start.T) if board.square else (start,):
        by_column = ((square > 0)[row_orders] * bits[None, :, None]).sum(axis=1)  # [row orders, n]
        fits = (np.sort(by_column, axis=1) == np.sort(goal_columns)).all(axis=1)
        for which in np.flatnonzero(fits):
            places = column_orders[(by_column[which][column_orders] == goal_columns).all(axis=1)]
            if len(places):
                candidates = square[row_orders[which]][:, places].transpose(1, 0, 2).reshape(-1, board.cells)
                if (first_seen(candidates) == goal_labels).all(axis=1).any():
                    return True
    return False


def symmetric_copies(first: Boards, second: Boards, board: Geometry) -> list[tuple[int, int]]:
    """Every pair (i, j) such that puzzle i of the first set and j of the second are copies of each other, exactly."""
    where: dict[int, list[int]] = {}
    for index, key in enumerate(board_key(second, board).tolist()):
        where.setdefault(key, []).append(index)
    return [
        (index, other)
        for index, key in enumerate(board_key(first, board).tolist())
        for other in where.get(key, [])
        if same_puzzle(first[index], second[other], board)
    ]


@cache
def all_grids(size: int) -> Boards:
    """Every full grid whose first row reads 1, 2, 3, ...: 12 for size 4, 39,168 for size 6; the rest are relabellings.

    Bands are joined by the digits that they put into each column, which must not meet.
    """
    board = geometry(size)
    rows = np.array(list(permutations(range(1, size + 1))), np.uint8)
    box_of_column = np.arange(size) // board.box_columns

    boxes = range(size // board.box_columns)
    each = np.stack([(1 << rows[:, box_of_column == box].astype(np.int64)).sum(axis=1) for box in boxes], axis=1)
    upper, lower = np.nonzero(((each[:, None] & each[None]) == 0).all(axis=2))  # both sizes have bands of two rows
    bands = np.concatenate([rows[upper], rows[lower]], axis=1)
    columns = (1 << rows[upper].astype(np.int64)) | (1 << rows[lower].astype(np.int64))
    by_columns: dict[bytes, list[int]] = {}
    for index, key in enumerate(columns):
        by_columns.setdefault(key.tobytes(), []).append(index)
    everything = np.full(size, (1 << size + 1) - 2)
    grids: list[NDArray[np.uint8]] = []

    def extend(chosen: list[int], taken: NDArray[np.int64]) -> None:
        if len(chosen) == size // 2 - 1:
            for last in by_columns.get((everything ^ taken).tobytes(), []):
                grids.append(np.concatenate([bands[index] for index in (*chosen, last)]))
            return
        for index in np.flatnonzero(((columns & taken) == 0).all(axis=1)):
            extend([*chosen, int(index)], taken | columns[index])

    for start in np.flatnonzero(upper == 0).tolist():  # rows[0] reads 1, 2, 3, ...
        extend([start], columns[start])
    return np.stack(grids)
