"""Sudoku puzzles out of nothing but a seed.

This file decides how grids and clues are drawn and which split a puzzle may appear in. It knows no text and no file.

Splits are held apart by construction, whatever their sizes and seeds: content decides its own split (`split_of`). 4x4:
there are 288 grids, of which 200 are for training, 44 for validation, 44 for testing, and an exact puzzle belongs to
one split; digits are never relabelled, and with two symmetry classes in all nothing can be claimed about
generalisation. 6x6: all 28,200,960 grids are drawn with equal chances; they fall into only 49 classes, so every split
sees every class, and it is the puzzle's `board_key`, equal for all its symmetric copies, that decides. 9x9: grids are
filled at random (not with equal chances) and a grid's `grid_key` decides, so even solutions are never symmetric copies
across splits; where puzzles may have several solutions, the puzzle's key must agree as well.
"""

from dataclasses import dataclass
from functools import cache
from itertools import permutations

import numpy as np
from numpy.typing import NDArray

from dlmreason.tasks.example import SPLITS, example_seed, mix, random_orders, random_words, split_of
from dlmreason.tasks.subject import Symmetries
from dlmreason.tasks.sudoku_grid import (
    Boards,
    Geometry,
    all_grids,
    board_key,
    geometry,
    grid_key,
    orders,
    rearrange,
    same_puzzle,
)
from dlmreason.tasks.sudoku_solver import candidates, dig, search

VERSION = 1
"""Part of every provenance: to be raised by any change that draws other items from the same seed."""

BLOCK = {4: 1024, 6: 1024, 9: 512}
UNMEASURED = -1
"""The difficulty of training items: measuring it would take longer than making them."""

COPIES = 8
"""Symmetric copies made of each grid that is filled for 9x9 training: filling is what takes the time."""

FRUITLESS = 24
"""Blocks without a new puzzle after which a split is given up."""


@dataclass(frozen=True)
class Recipe:
    """What the puzzles of one split are like."""

    task: str
    split: str
    seed: int
    size: int
    clues: tuple[int, int]  # fewest and most
    unique: bool = False  # exactly one solution
    minimal: bool = False  # no clue can go without a second solution appearing
    hard: bool = False  # naked and hidden singles do not solve it
    distinct: bool = True  # no puzzle twice


class Puzzles:
    """Accepted puzzles in the order of their draws: rows grow on demand, and none depends on how many are asked for."""

    def __init__(self, recipe: Recipe, avoid: NDArray[np.uint64]) -> None:
        self.recipe, self.avoid = recipe, avoid
        self.boards = np.zeros((0, recipe.size**2), np.uint8)
        self.grids = self.boards
        self.difficulty = np.zeros(0, np.int64)
        self._blocks = 0
        self._seen: set[bytes] = set()

    @property
    def fewest_clues(self) -> int:
        return self.recipe.clues[0]

    def grow(self, count: int) -> None:
        """Have at least `count` rows.

        Raises: ValueError where the recipe yields no more puzzles.
        """
        parts, found, fruitless = [(self.boards, self.grids, self.difficulty)], len(self.boards), 0
        while found < count and fruitless < FRUITLESS:
            boards, grids, difficulty = draw_block(self.recipe, self._blocks, self.avoid)
            self._blocks += 1
            fresh = self._fresh(boards) if self.recipe.distinct else np.arange(len(boards))
            parts.append((boards[fresh], grids[fresh], difficulty[fresh]))
            found += len(fresh)
            fruitless = 0 if len(fresh) else fruitless + 1
        if len(parts) > 1:
            self.boards, self.grids, self.difficulty = (np.concatenate(each) for each in zip(*parts, strict=True))
        if found < count:
            raise ValueError(self._exhausted(found))

    def _fresh(self, boards: Boards) -> NDArray[np.int64]:
        rows = []
        for row, board in enumerate(boards):
            if (key := board.tobytes()) not in self._seen:
                self._seen.add(key)
                rows.append(row)
        return np.array(rows, np.int64)

    def _exhausted(self, found: int) -> str:
        recipe = self.recipe
        kind = " and ".join(name for name in ("unique", "minimal", "hard") if getattr(recipe, name)) or "any completion"
        which = "train_clues" if recipe.split == "train" else "clues"
        return (
            f"task.{which}={list(recipe.clues)} with {kind} gave {found} {recipe.split} puzzles, and {FRUITLESS} "
            f"further blocks of {BLOCK[recipe.size]} tries gave none: widen task.{which}, or lower "
            f"task.{recipe.split}_examples to {found}"
        )


def draw_block(recipe: Recipe, index: int, avoid: NDArray[np.uint64]) -> tuple[Boards, Boards, NDArray[np.int64]]:
    """What is acceptable of one block of draws: puzzles, the grids they came from, difficulties."""
    board, split = geometry(recipe.size), SPLITS.index(recipe.split)

    def seed(purpose: str) -> int:
        return example_seed(recipe.task, f"{recipe.split}/{purpose}", recipe.seed, index)

    grids = _grids(recipe.size, split, seed("grids"))
    fewest, most = recipe.clues
    counts = random_words(seed("clues"), len(grids), 1)[:, 0] % np.uint64(most - fewest + 1)
    floor = counts.astype(np.int64) + fewest
    going = random_orders(seed("digging"), len(grids), board.cells)
    if recipe.unique:
        boards = dig(grids, going, np.zeros_like(floor) if recipe.minimal else floor, board)
    else:
        turn = np.argsort(going, axis=1)
        boards = np.where(turn >= board.cells - floor[:, None], grids, np.uint8(0))
    clues = (boards > 0).sum(axis=1)
    keys = puzzle_key(boards, board)
    accepted = (clues >= fewest) & (clues <= most) & ~np.isin(keys, avoid)
    if recipe.size != 9 or not recipe.unique:
        accepted &= split_of(keys) == split
    boards, grids = boards[accepted], grids[accepted]
    if recipe.split == "train" and not recipe.hard:
        return boards, grids, np.full(len(boards), UNMEASURED)
    difficulty = search(candidates(boards, board), board, limit=2).difficulty
    if recipe.hard:
        hard = difficulty > 0
        return boards[hard], grids[hard], difficulty[hard]
    return boards, grids, difficulty


def puzzle_key(boards: Boards, board: Geometry) -> NDArray[np.uint64]:
    """[N]: what counts as the same puzzle when splits are held apart: symmetric copies; in 4x4, exact ones only."""
    return _exact_key(boards) if board.size == 4 else board_key(boards, board)


def same(first: Boards, second: Boards, board: Geometry) -> bool:
    """Whether two boards [C] count as the same puzzle: exact, where `puzzle_key` may be equal by chance."""
    return bool((first == second).all()) if board.size == 4 else same_puzzle(first, second, board)


def symmetries(board: Geometry) -> Symmetries:
    """What `puzzle_key` and `same` are blind to, and what else makes a puzzle of a puzzle, in words."""
    moves = (
        "digits renamed",
        "rows in another order within their band of boxes",
        "bands in another order",
        "columns in another order within their stack of boxes",
        "stacks in another order",
        *(("rows and columns exchanged",) if board.square else ()),
    )
    if board.size == 4:
        why = "no leakage here, for the 288 grids are two up to symmetry, and no split could have one of its own"
        return Symmetries(leakage=(), augmentation=tuple(f"{move}: {why}" for move in moves))
    if board.size == 6:
        why = "all grids are 49 up to symmetry, so every split sees every one; the clues decide what is asked"
        return Symmetries(leakage=moves, augmentation=(f"other clues of the same grid: {why}",))
    return Symmetries(leakage=moves)


def _exact_key(boards: Boards) -> NDArray[np.uint64]:
    key = np.zeros(len(boards), np.uint64)
    for cell in boards.T:
        key = mix(key + cell + np.uint64(1))
    return key


@cache
def held_grids() -> tuple[Boards, Boards, Boards]:
    """The 288 grids of size 4, dealt by a hash of their digits: 200 for training, 44 and 44 to be held out."""
    labels = np.array([(0, *order) for order in permutations(range(1, 5))], np.uint8)
    grids = labels[:, all_grids(4)].reshape(-1, 16)
    train, validation, test = np.split(grids[np.argsort(_exact_key(grids))], [200, 244])
    return train, validation, test


def _grids(size: int, split: int, seed: int) -> Boards:
    """A block of random full grids that the split may use."""
    board, block = geometry(size), BLOCK[size]
    if size == 9:
        copies = COPIES if SPLITS[split] == "train" else 1
        filled = 2 * block // copies
        tried = random_orders(seed, filled * board.cells, size).reshape(filled, board.cells, size).astype(np.uint8)
        grids = search(candidates(np.zeros((filled, board.cells), np.uint8), board), board, digit_order=tried).grid
        grids = grids[split_of(grid_key(grids, board)) == split]
        return _shuffled(np.repeat(grids, copies, axis=0), board, seed ^ 1)
    source = held_grids()[split] if size == 4 else all_grids(size)
    chosen = source[random_words(seed, block, 1)[:, 0] % np.uint64(len(source))]
    if size == 4:
        return chosen
    labels = (random_orders(seed ^ 1, block, size) + 1).astype(np.uint8)
    return np.take_along_axis(labels, chosen.astype(np.int64) - 1, axis=1)


def _shuffled(grids: Boards, board: Geometry, seed: int) -> Boards:
    """Each grid's random symmetric copy: takes away what the order of filling left behind."""
    words = random_words(seed, len(grids), 3)
    rows, columns = orders(board)
    return rearrange(
        grids,
        board,
        rows[words[:, 0] % np.uint64(len(rows))],
        columns[words[:, 1] % np.uint64(len(columns))],
        random_orders(seed ^ 2, len(grids), board.size),
        words[:, 2] % np.uint64(2) == 1 if board.square else None,
    )
