import random

import numpy as np
import pytest

from dlmreason.tasks import Sudoku, copies
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
from tests.tasks.boards import are_copies, grids_4x4, moved, options

PAIRS = [pytest.param(50, id="few"), pytest.param(1_000, marks=pytest.mark.slow, id="1000")]

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


def some_puzzles(size, count, seed=0):
    """Different puzzles that no other seed's are likely to be."""
    made = Sudoku(size, (size + 4, 3 * size), (size, 3 * size), False, 1, 1, count, seed=seed)
    return [each.prompt for each in made.examples("test")]


def digits_of(text):
    return [int(digit) for digit in text.split()]


def text_of(board):
    return " ".join(map(str, board))


def one_clue_elsewhere(size, prompt, source):
    """A clue gone from its cell, and another one in a blank, which breaks no rule where that can be."""
    board = digits_of(prompt)
    clue, blank = (source.choice([cell for cell, each in enumerate(board) if bool(each) == full]) for full in (1, 0))
    board[clue] = 0
    board[blank] = source.choice(options(size, board, blank) or [1])
    return text_of(board)


@pytest.mark.parametrize("size", [4, 6, 9])
@pytest.mark.parametrize("count", PAIRS)
def test_planted_copies_are_found_and_unrelated_pairs_are_not_flagged(size, count):
    """Where a pair counts as unrelated, the comparison of graphs says so, not the code under test."""
    task, source = MAKE[size](), random.Random(size)
    prompts = some_puzzles(size, count)
    planted = [text_of(moved(size, digits_of(prompt), source)) for prompt in prompts]
    if size == 4:  # exact copies alone count as the same puzzle there; what is moved is found by the general means
        assert {(place, place) for place in range(count)} == set(copies(task, prompts, prompts))
        assert {(one, two) for one, two in copies(task, prompts, planted)} == {
            (one, two)
            for two, copy in enumerate(planted)
            for one in [place for place, each in enumerate(prompts) if each == copy]
        }
    else:
        assert {(place, place) for place in range(count)} == set(copies(task, prompts, planted))
    boards, moves = (np.array([digits_of(each) for each in texts]) for texts in (prompts, planted))
    found = symmetric_copies(boards, moves, geometry(size))
    assert {(place, place) for place in range(count)} <= set(found)
    assert all(are_copies(size, digits_of(prompts[one]), digits_of(planted[two])) for one, two in found if one != two)

    met = unrelated = tried = 0
    while unrelated < count:
        prompt, tried = prompts[tried % count], tried + 1
        near = moved(size, digits_of(one_clue_elsewhere(size, prompt, source)), source)
        alike = are_copies(size, digits_of(prompt), near)
        pair = np.array([digits_of(prompt)], np.uint8), np.array([near], np.uint8)
        assert (symmetric_copies(*pair, geometry(size)) == [(0, 0)]) == alike
        assert task.same(prompt, text_of(near)) == (prompt == text_of(near) if size == 4 else alike)
        met += not alike and task.keys([prompt]) == task.keys([text_of(near)])
        unrelated += not alike
    assert tried < 1.5 * count
    assert met == 0, "pairs with equal keys that are no copies are possible, but rare"
    if size != 4:
        assert copies(task, prompts, some_puzzles(size, count, seed=1)) == []
