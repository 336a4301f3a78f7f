import numpy as np
import pytest
from pysat.solvers import Cadical153

from dlmreason.tasks import Sudoku
from dlmreason.tasks.example import random_orders, random_words
from dlmreason.tasks.sudoku_generate import held_grids
from dlmreason.tasks.sudoku_grid import all_grids, geometry, valid
from dlmreason.tasks.sudoku_solver import candidates, deductions, dig, search
from tests.tasks.boards import PEERS, forced, grids_4x4, guesses, is_right


def random_puzzles(grids, clues, seed):
    """Each grid with so many clues left."""
    turn = np.argsort(random_orders(seed, *grids.shape), axis=1)
    return np.where(turn < np.asarray(clues)[:, None], grids, np.uint8(0))


def some_grids(size, count, seed=0):
    source = np.concatenate(held_grids()) if size == 4 else all_grids(6)
    return source[random_words(seed, count, 1)[:, 0] % np.uint64(len(source))]


def solved(puzzles, size, **options):
    return search(candidates(puzzles, geometry(size)), geometry(size), **options)


def sat_count(size, puzzle):
    """Solutions, at most 2, by a SAT solver on the rules."""
    var = {(cell, digit): cell * size + digit for cell in range(size * size) for digit in range(1, size + 1)}
    clauses = [[var[cell, digit] for digit in range(1, size + 1)] for cell in range(size * size)]
    for cell in range(size * size):
        for digit in range(1, size + 1):
            clauses += [[-var[cell, digit], -var[other, digit]] for other in PEERS[size][cell] if other > cell]
            clauses += [[-var[cell, digit], -var[cell, other]] for other in range(1, digit)]
    with Cadical153(clauses + [[var[cell, int(digit)]] for cell, digit in enumerate(puzzle) if digit]) as solver:
        if not solver.solve():
            return 0
        solver.add_clause([-literal for literal in solver.get_model() if literal > 0])
        return 2 if solver.solve() else 1


def test_solutions_are_counted_as_by_brute_force():
    puzzles = random_puzzles(some_grids(4, 200), np.arange(200) % 12, seed=1)
    puzzles[::7, 0] = puzzles[::7, 0] % 4 + 1  # some contradict themselves
    every = np.array(grids_4x4())
    true = [int(((every == puzzle) | (puzzle == 0)).all(axis=1).sum()) for puzzle in puzzles]
    assert min(true) == 0
    assert solved(puzzles, 4, limit=1000).solutions.tolist() == true
    assert solved(puzzles, 4, limit=2).solutions.tolist() == [min(count, 2) for count in true]


@pytest.mark.parametrize(("size", "clues"), [(6, (8, 14)), (9, (22, 30))])
def test_uniqueness_agrees_with_a_sat_solver(size, clues):
    unique = [each.prompt.split() for each in Sudoku(size, clues, clues, True, 1, 1, 20).examples("test")]
    puzzles = np.array(unique, np.uint8)
    fewer = puzzles.copy()
    for puzzle in fewer:
        puzzle[np.flatnonzero(puzzle)[:1]] = 0
    every = np.concatenate([puzzles, fewer])
    counts = [sat_count(size, puzzle) for puzzle in every]
    assert counts[:20] == [1] * 20
    assert 2 in counts
    assert solved(every, size, limit=2).solutions.tolist() == counts


def test_difficulty_is_that_of_the_plain_solver():
    puzzles = random_puzzles(some_grids(6, 30), 8 + np.arange(30) % 8, seed=2)
    puzzles = np.concatenate(
        [puzzles, dig(some_grids(6, 30), random_orders(3, 30, 36), np.zeros(30, int), geometry(6))]
    )
    found = solved(puzzles, 6, limit=2)
    plain = [guesses(6, puzzle.tolist()) for puzzle in puzzles]
    assert found.solutions.tolist() == [each[0] for each in plain]
    assert found.branches_to_first.tolist() == [each[1] for each in plain]
    assert found.branches.tolist() == [each[2] for each in plain]
    assert found.difficulty.tolist() == [each[2] if each[0] == 1 else each[1] for each in plain]
    assert len(set(found.difficulty.tolist())) > 2


def test_company_changes_nothing():
    puzzles = random_puzzles(some_grids(6, 40), np.arange(40) % 20, seed=4)
    together = solved(puzzles, 6, limit=2)
    for row in range(0, 40, 7):
        alone = solved(puzzles[row : row + 1], 6, limit=2)
        assert all((one == many[row]).all() for one, many in zip(alone, together, strict=True))


def test_random_orders_fill_random_grids():
    orders = random_orders(1, 32 * 81, 9).reshape(32, 81, 9).astype(np.uint8)
    grids = solved(np.zeros((32, 81), np.uint8), 9, digit_order=orders).grid
    assert valid(grids, geometry(9)).all()
    assert len(np.unique(grids, axis=0)) == 32
    assert len(np.unique(grids[:, 0])) > 4


def test_a_search_may_be_given_up():
    found = solved(np.zeros((1, 81), np.uint8), 9, most_branches=3)
    assert not found.complete[0]
    assert not found.solutions[0]


def test_dug_puzzles_are_minimal_or_at_the_floor():
    grids = some_grids(6, 60)
    minimal = dig(grids, random_orders(5, 60, 36), np.zeros(60, np.int64), geometry(6))
    assert (solved(minimal, 6, limit=2).solutions == 1).all()
    for puzzle in minimal:
        without = np.repeat(puzzle[None], (puzzle > 0).sum(), axis=0)
        without[np.arange(len(without)), np.flatnonzero(puzzle)] = 0
        assert (solved(without, 6, limit=2).solutions == 2).all()
    floor = dig(grids, random_orders(5, 60, 36), np.full(60, 16), geometry(6))
    assert ((floor > 0).sum(axis=1) == 16).mean() > 0.9
    assert (solved(floor, 6, limit=2).solutions == 1).all()


@pytest.mark.parametrize("floor", [0, 14])
def test_clues_are_taken_out_one_by_one_in_the_order_given(floor):
    """Whatever the company: side by side, some grids are many clues ahead of others."""
    grids, orders = some_grids(6, 40), random_orders(7, 40, 36)
    boards = grids.copy()
    for turn in range(36):
        trial = boards.copy()
        trial[np.arange(40), orders[:, turn]] = 0
        gone = (solved(trial, 6, limit=2).solutions == 1) & ((boards > 0).sum(axis=1) > floor)
        boards[gone] = trial[gone]
    assert (dig(grids, orders, np.full(40, floor), geometry(6)) == boards).all()


def test_deductions_are_forced_and_raster_order_is_not():
    """Where singles suffice, each cell in solver order follows from those before it; the raster order jumps ahead."""
    grids = some_grids(6, 40)
    puzzles = dig(grids, random_orders(6, 40, 36), np.zeros(40, np.int64), geometry(6))
    easy = solved(puzzles, 6, limit=2).difficulty == 0
    assert easy.sum() > 10
    order = deductions(puzzles, grids, geometry(6))
    assert ((order == -1) == (puzzles > 0)).all()

    def all_forced(puzzle, grid, cells):
        board = puzzle.tolist()
        for cell in cells:
            if not forced(6, board, cell, grid[cell]):
                return False
            board[cell] = int(grid[cell])
        return True

    raster = 0
    for puzzle, grid, turn in zip(puzzles[easy], grids[easy], order[easy], strict=True):
        blanks = np.flatnonzero(puzzle == 0)
        assert len(set(turn[blanks].tolist())) == len(blanks)
        assert all_forced(puzzle, grid, blanks[np.argsort(turn[blanks])])
        raster += all_forced(puzzle, grid, blanks)
    assert raster < easy.sum() / 2


def test_the_plain_judge_knows_right_from_wrong():
    grid = all_grids(6)[0].tolist()
    assert is_right(6, [0] * 36, grid)
    assert not is_right(6, [0] * 36, [*grid[1:], grid[0]])
