"""A search that is written down: replayed by its grammar it ends in the answer, and what it takes back was hopeless."""

import random
from dataclasses import replace

import pytest

from dlmreason.tasks import Sudoku
from dlmreason.tasks.example import SPLITS
from tests.tasks.boards import completions, forced, options, units

COUNTS = {"train_examples": 60, "validation_examples": 2, "test_examples": 40}
TASKS = {
    "4x4": Sudoku(4, (4, 8), (0, 8), unique=True, thought="search", **COUNTS),
    "6x6": Sudoku(6, (8, 12), (6, 18), unique=True, minimal=True, hard=True, thought="search", **COUNTS),
    "alike": Sudoku(
        6, (8, 12), (8, 12), unique=True, minimal=True, hard=True, train_alike=True, thought="search", **COUNTS
    ),
    "9x9": Sudoku(
        9,
        (22, 26),
        (24, 30),
        unique=True,
        hard=True,
        thought="search",
        **COUNTS | {"train_examples": 20, "test_examples": 6},
    ),
}
ALL = pytest.mark.parametrize("name", TASKS)


def digits(text):
    return [int(symbol) for symbol in text.split()]


def replay(size, example, lowest=False):
    """(the board that a trace ends in, its dead ends), every symbol checked by rules written here from the grammar.

    lowest: a try is of the lowest digit left.
    Raises: AssertionError for a trace that is not what it says.
    """
    cells = {f"{'abcdefghi'[column]}{row + 1}": row * size + column for row in range(size) for column in range(size)}
    board, gone = digits(example.prompt), {}  # gone: cell -> digits that were taken back there
    open_tries, dead_ends = [], 0
    symbols = iter(example.thought.split(" "))
    for symbol in symbols:
        if symbol == "x":
            dead_ends += 1
            assert shows(size, board)
            assert not completions(size, board, 1, random.Random(0)), "a dead end has no solution"
            board, gone, cell, digit = open_tries.pop()
            gone = gone | {cell: gone.get(cell, set()) | {digit}}
            continue
        tried = symbol == "?"
        cell, digit = cells[next(symbols) if tried else symbol], int(next(symbols))
        left = {
            at: [d for d in options(size, board, at) if d not in gone.get(at, ())]
            for at in cells.values()
            if not board[at]
        }
        assert digit in left[cell]
        if tried:
            assert not any(forced(size, board, at, d) for at in left for d in options(size, board, at))
            assert cell == min(left, key=lambda at: len(options(size, board, at))) and len(left[cell]) > 1
            assert not lowest or digit == min(left[cell])
            open_tries.append((board.copy(), gone, cell, digit))
        else:
            assert left[cell] == [digit] or forced(size, board, cell, digit)
        board = [digit if at == cell else value for at, value in enumerate(board)]
    return board, dead_ends


def shows(size, board):
    """Some blank has no digit left, or some digit no place in a unit."""
    may = {cell: options(size, board, cell) for cell, value in enumerate(board) if not value}
    return not all(may.values()) or any(
        not any(board[cell] == digit or digit in may.get(cell, ()) for cell in unit)
        for unit in units(size)
        for digit in range(1, size + 1)
    )


@ALL
def test_replayed_it_ends_in_the_answer_and_every_dead_end_is_dead(name):
    task, dead_ends = TASKS[name], 0
    for example in (example for split in SPLITS for example in task.examples(split)):
        board, found = replay(task.size, example)
        assert board == digits(example.answer)
        dead_ends += found
    assert dead_ends > 4 or name == "4x4", "else the law says nothing"


def test_a_false_trace_is_told():
    task = TASKS["6x6"]
    example = next(each for each in task.examples("test") if "x" in each.thought)
    symbols = example.thought.split(" ")
    at = symbols.index("x")
    for false in (
        symbols[: symbols.index("?") + 3] + symbols[at:],  # a dead end before it shows
        symbols[:at] + symbols[at + 1 :],  # not taken back
        [symbol for symbol in symbols if symbol != "?"],
        symbols[2:],
    ):
        with pytest.raises((AssertionError, IndexError, ValueError, KeyError, StopIteration)):
            board, _ = replay(6, replace(example, thought=" ".join(false)))
            assert board == digits(example.answer)


def without_dead_ends(thought):
    """Pairs that stand in the end."""
    standing, open_tries, symbols = [], [], iter(thought.split(" "))
    for symbol in symbols:
        if symbol == "x":
            del standing[open_tries.pop() :]
        else:
            if symbol == "?":
                open_tries.append(len(standing))
                symbol = next(symbols)
            standing.append(f"{symbol} {next(symbols)}")
    return " ".join(standing)


@ALL
def test_without_its_dead_ends_it_is_the_thought_in_solver_order(name):
    task = TASKS[name]
    in_order = Sudoku(
        task.size,
        task.clues,
        task.train_clues,
        unique=True,
        minimal=task.minimal,
        hard=task.hard,
        train_alike=task.train_alike,
        thought="solver",
        **COUNTS | {"train_examples": task.train_examples, "test_examples": task.test_examples},
    )
    for split in SPLITS:
        for example, other in zip(task.examples(split), in_order.examples(split), strict=True):
            assert replace(example, thought=without_dead_ends(example.thought)) == other


@ALL
def test_it_has_room_and_what_does_not_fit_is_left_out(name):
    task = TASKS[name]
    room = task.length(in_place=False, thought=True) - task.length(in_place=False, thought=False)
    for example in (example for split in SPLITS for example in task.examples(split)):
        puzzle, grid = digits(example.prompt), digits(example.answer)
        assert len(example.thought.split(" ")) <= room
        whole = task._solver.trace(puzzle, grid, 10**6)
        for less in range(3 * puzzle.count(0), len(whole), 7):
            trace = task._solver.trace(puzzle, grid, less)
            assert len(trace) <= less and replay(task.size, replace(example, thought=" ".join(trace)))[0] == grid
        if whole.count("x") and task.size < 9:
            assert task._solver.trace(puzzle, grid, len(whole) + 3 * task.size**2) == whole


@pytest.mark.parametrize("name", ["6x6", "9x9"])
def test_where_there_is_one_solution_the_lowest_digit_left_is_tried(name):
    """With room enough: nothing is passed over."""
    task, dead_ends = TASKS[name], 0
    for example in task.examples("test"):
        trace = task._solver.trace(digits(example.prompt), digits(example.answer), 10**6)
        board, found = replay(task.size, replace(example, thought=" ".join(trace)), lowest=True)
        assert board == digits(example.answer)
        dead_ends += found
    assert dead_ends > 3


def test_training_puzzles_are_as_evaluated_ones_where_asked():
    for example in TASKS["alike"].examples("train"):
        assert example.difficulty > 0
        assert len(completions(6, digits(example.prompt), 2, random.Random(1))) == 1
    plain = TASKS["6x6"].examples("train")
    assert (
        sum("x" in each.thought for each in plain)
        < 6
        < sum("x" in each.thought for each in TASKS["alike"].examples("train"))
    )
    assert "train_alike" in TASKS["alike"].provenance and "train_alike" not in TASKS["6x6"].provenance
    keys = [set(TASKS["alike"].keys([each.prompt for each in TASKS["alike"].examples(split)])) for split in SPLITS]
    assert not (keys[0] & keys[1] or keys[0] & keys[2] or keys[1] & keys[2])
    with pytest.raises(ValueError, match=r"task\.train_alike=1 must be true or false"):
        Sudoku(4, (4, 8), (0, 8), unique=True, train_alike=1, **COUNTS)


def test_signs_are_symbols_of_a_search_alone():
    plain = Sudoku(4, (4, 8), (0, 8), unique=True, **COUNTS)
    for thought, more in ((False, []), (True, ["?", "x"])):
        symbols = plain.vocabulary(thought).symbols
        assert TASKS["4x4"].vocabulary(thought).symbols == (*symbols[:-1], *more, "<mask>")


def test_a_persons_puzzle_is_searched():
    example = TASKS["6x6"].example(TASKS["6x6"].examples("test")[1].prompt.replace(" ", ""))
    assert replay(6, example)[0] == digits(example.answer)
