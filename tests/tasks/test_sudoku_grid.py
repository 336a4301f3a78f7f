import numpy as np
import pytest

from dlmreason.tasks import Sudoku
from dlmreason.tasks.example import random_orders, random_words
from dlmreason.tasks.sudoku_generate import held_grids
from dlmreason.tasks.sudoku_grid import (
    all_grids,
    board_key,
    first_seen,
    geometry,
    grid_key,
    normalised,
    orders,
    rearrange,
    same_puzzle,
    symmetric_copies,
    valid,
)
from tests.tasks.boards import grids_4x4

MAKE = {
    4: lambda: Sudoku(4, (4, 8), (4, 8), True, 1, 1, 60),
    6: lambda: Sudoku(6, (8, 14), (8, 14), True, 1, 1, 60),
    9: lambda: Sudoku(9, (24, 30), (24, 30), True, 1, 1, 60),
}


def boards(size, part="prompt"):
    return np.array([getattr(each, part).split() for each in MAKE[size]().examples("test")], np.uint8)


def random_copies(originals, size, seed):
    """Each board under a random symmetry of its own."""
    board, words = geometry(size), random_words(seed, len(originals), 3)
    rows, columns = orders(board)
    return rearrange(
        originals,
        board,
        rows[words[:, 0] % np.uint64(len(rows))],
        columns[words[:, 1] % np.uint64(len(columns))],
        random_orders(seed + 1, len(originals), size),
        words[:, 2] % np.uint64(2) == 1 if board.square else None,
    )


def test_every_grid_is_there_once():
    """288 grids of size 4, by brute force; 28,200,960 of size 6, the published number."""
    four, six = all_grids(4), all_grids(6)
    brute = {grid for grid in grids_4x4() if grid[:4] == (1, 2, 3, 4)}
    assert {tuple(grid) for grid in four.tolist()} == brute
    assert len(brute) * 24 == 288
    assert valid(six, geometry(6)).all()
    assert len(np.unique(six, axis=0)) * 720 == 28_200_960


def test_held_grids_deal_all_288():
    dealt = [tuple(grid) for part in held_grids() for grid in part.tolist()]
    assert [len(part) for part in held_grids()] == [200, 44, 44]
    assert sorted(dealt) == sorted(grids_4x4())


def test_4x4_has_two_classes_and_6x6_at_most_49():
    """The known numbers of essentially different grids: a key that split a class would count more."""
    classes = []
    for grid in all_grids(4):
        if not any(same_puzzle(grid, other, geometry(4)) for other in classes):
            classes.append(grid)
    assert len(classes) == 2
    assert 30 <= len(np.unique(grid_key(all_grids(6), geometry(6)))) <= 49


@pytest.mark.parametrize("size", [4, 6, 9])
def test_keys_and_validity_do_not_see_symmetries(size):
    board, puzzles, grids = geometry(size), boards(size), boards(size, "answer")
    for seed in range(5):
        moved = random_copies(puzzles, size, seed)
        assert (moved != puzzles).any(axis=1).mean() > 0.9
        assert (board_key(moved, board) == board_key(puzzles, board)).all()
        assert valid(random_copies(grids, size, seed), board).all()
        assert (grid_key(random_copies(grids, size, seed), board) == grid_key(grids, board)).all()


@pytest.mark.parametrize("size", [6, 9])
def test_planted_copies_are_found_all_of_them_and_nothing_else(size):
    board, puzzles = geometry(size), boards(size)
    ours, unrelated = puzzles[:30], puzzles[30:]
    planted = random_copies(ours[::2], size, seed=9)
    assert symmetric_copies(ours, np.concatenate([unrelated, planted]), board) == [(2 * i, 30 + i) for i in range(15)]


@pytest.mark.parametrize("size", [4, 6, 9])
def test_a_clue_fewer_or_elsewhere_is_another_puzzle(size):
    board = geometry(size)
    for puzzle, grid in zip(boards(size)[:10], boards(size, "answer")[:10], strict=True):
        fewer, clue = puzzle.copy(), np.flatnonzero(puzzle)[0]
        fewer[clue] = 0
        assert not same_puzzle(fewer, puzzle, board)
        more = fewer.copy()  # as many clues, one of them elsewhere
        more[np.flatnonzero(puzzle == 0)[0]] = grid[np.flatnonzero(puzzle == 0)[0]]
        if board_key(more[None], board) != board_key(puzzle[None], board):
            assert not same_puzzle(more, puzzle, board)


def test_rows_of_different_bands_may_not_be_swapped():
    """The negative control: such a swap keeps all line and digit counts, yet is no symmetry."""
    board, puzzle = geometry(6), boards(6)[0]
    swapped = puzzle.reshape(6, 6)[[2, 1, 0, 3, 4, 5]].reshape(-1)
    assert not same_puzzle(puzzle, swapped, board)
    turned = puzzle.reshape(6, 6).T.reshape(-1)  # boxes of size 6 are not square
    assert not same_puzzle(puzzle, turned, board)


def test_relabellings_become_equal():
    grids = all_grids(6)[:50]
    labels = (random_orders(3, 50, 6) + 1).astype(np.uint8)
    relabelled = np.take_along_axis(labels, grids.astype(np.int64) - 1, axis=1)
    assert (normalised(relabelled, geometry(6)) == grids).all()
    assert (first_seen(relabelled) == grids).all()
