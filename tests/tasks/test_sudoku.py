import hashlib
import itertools
import os
import random
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st

from dlmreason.tasks import Closed, Example, PuzzleError, StarGraph, Sudoku
from dlmreason.tasks.example import SPLITS, split_of
from dlmreason.tasks.sudoku_generate import Puzzles, Recipe, puzzle_key
from dlmreason.tasks.sudoku_grid import board_key, geometry, grid_key, symmetric_copies
from tests.tasks.boards import forced, grids_4x4, is_right
from tests.tasks.test_sudoku_grid import random_copies

FOUR = Sudoku(4, (0, 8), (0, 8), False, 300, 60, 100)
SIX = Sudoku(6, (8, 12), (6, 18), True, 400, 20, 30, hard=True, minimal=True)
NINE = Sudoku(9, (24, 30), (20, 60), True, 300, 20, 30, thought="solver")
TASKS = [FOUR, SIX, NINE]
PRESETS = sorted([*Path("conf/task").glob("sudoku?x?.yaml"), *Path("conf/task").glob("star_graph*.yaml")])
BY_NAME = pytest.mark.parametrize("task", TASKS, ids=lambda task: task.name)


def preset(path, **changes):
    """The task of a config file, with settings changed."""
    settings = yaml.safe_load(path.read_text()) | changes
    kind = {"dlmreason.tasks.sudoku.Sudoku": Sudoku, "dlmreason.tasks.star_graph.StarGraph": StarGraph}
    return kind[settings.pop("_target_")](**settings)


def numbers(text):
    return [int(symbol) for symbol in text.split()]


def board_of(text):
    return np.array(numbers(text), np.uint8)


def boards(items, part="prompt"):
    return np.stack([board_of(getattr(each, part)) for each in items])


@BY_NAME
@pytest.mark.parametrize("split", SPLITS)
def test_gold_answers_are_right_and_puzzles_as_ordered(task, split):
    items, fewest, most = task.examples(split), *(task.train_clues if split == "train" else task.clues)
    for each in items:
        assert task.verify(each, each.answer) == (True, "")
        assert is_right(task.size, numbers(each.prompt), numbers(each.answer))
        assert fewest <= task.size**2 - each.prompt.split().count("0") <= most
        assert (each.difficulty == -1) == (split == "train")
        if task.hard and split != "train":
            assert each.difficulty > 0
    assert len({each.id for each in items}) == len(items) == getattr(task, f"{split}_examples")
    if split != "train":
        assert len({each.prompt for each in items}) == len(items)


@BY_NAME
def test_the_dial_is_turned_all_the_way(task):
    counts = {task.size**2 - each.prompt.split().count("0") for each in task.examples("train")}
    assert {max(task.train_clues[0], 1), task.train_clues[1]} <= counts  # one split alone has the empty 4x4 puzzle


@BY_NAME
def test_thoughts_say_the_answer_cell_by_cell(task):
    for each in [*task.examples("train")[:50], *task.examples("test")[:10]]:
        words = each.thought.split()
        pairs = list(zip(words[::2], words[1::2], strict=True))
        cells = [(int(name[1:]) - 1) * task.size + "abcdefghi".index(name[0]) for name, _ in pairs]
        answer, prompt = each.answer.split(), each.prompt.split()
        assert all(answer[cell] == digit for cell, (_, digit) in zip(cells, pairs, strict=True))
        assert sorted(cells) == [cell for cell, clue in enumerate(prompt) if clue == "0"]
        assert (cells == sorted(cells)) == (task.thought == "sweep")


def test_solver_thoughts_of_easy_puzzles_follow_by_singles():
    easy = [each for each in NINE.examples("test") if each.difficulty == 0]
    assert easy
    for each in easy[:5]:
        board, words = numbers(each.prompt), each.thought.split()
        for name, digit in zip(words[::2], words[1::2], strict=True):
            cell = (int(name[1:]) - 1) * 9 + "abcdefghi".index(name[0])
            assert forced(9, board, cell, int(digit))
            board[cell] = int(digit)


@BY_NAME
def test_sheets_lie_as_the_contract_says(task):
    cells, size, (tall, wide) = task.size**2, task.size, {4: (2, 2), 6: (2, 3), 9: (3, 3)}[task.size]
    row, column = np.divmod(np.arange(cells), size)
    where = np.stack([row, column, row // tall * (size // wide) + column // wide], axis=1) + 1
    each = task.examples("test")[3]
    blank = board_of(each.prompt) == 0
    assert 0 < blank.sum() < cells

    sheet = task.sheet(each, in_place=True, thought=False)
    vocabulary = task.vocabulary(thought=False)
    assert vocabulary.decode(sheet.tokens) == each.answer
    assert (sheet.editable == blank).all()
    assert (sheet.features[:, :3] == where).all()
    assert (sheet.features[:, 3] == np.where(blank, 2, 1)).all()
    assert len(sheet.tokens) == task.length(in_place=True, thought=False) == task.answer_length

    for thought in (False, True):
        sheet, vocabulary = task.sheet(each, in_place=False, thought=thought), task.vocabulary(thought)
        middle = f" {each.thought} #### " if thought else " #### "
        assert vocabulary.decode(sheet.tokens) == each.prompt + middle + each.answer
        assert vocabulary.decode(sheet.tokens[sheet.answer_at :]) == each.answer
        first = cells if thought else cells + 1
        assert (sheet.editable == (np.arange(len(sheet.tokens)) >= first)).all()
        assert (sheet.features[sheet.answer_at :] == task.answer_features()).all()
        assert (sheet.features[:cells, :3] == where).all()
        assert (sheet.features[:cells, 3] == 1).all()
        assert not sheet.features[cells : sheet.answer_at].any()
        assert (task.answer_features()[:, :3] == where).all()
        assert sheet.tokens.dtype == sheet.features.dtype == np.int64
        assert sheet.tokens.max() < vocabulary.mask_id


@BY_NAME
@pytest.mark.parametrize("thought", [False, True])
def test_no_sheet_is_longer_than_said_and_features_fit_their_tables(task, thought):
    sheets = [task.sheet(each, in_place=False, thought=thought) for split in SPLITS for each in task.examples(split)]
    assert max(len(sheet.tokens) for sheet in sheets) == task.length(in_place=False, thought=thought)
    highest = np.max([sheet.features.max(axis=0) for sheet in sheets], axis=0)
    assert (highest + 1 == task.feature_sizes).all()


def test_vocabularies_put_digits_first_and_leave_out_cells_without_thoughts():
    short, long = SIX.vocabulary(thought=False), SIX.vocabulary(thought=True)
    assert short.symbols == (*"1234560", "####", "<pad>", "<eos>", "<mask>")
    assert long.symbols[:10] == short.symbols[:10]
    assert long.size == short.size + 36
    assert isinstance(short, Closed)


def test_no_thought_fits_in_place():
    with pytest.raises(ValueError, match="in_place=True leaves no room"):
        SIX.sheet(SIX.examples("test")[0], in_place=True, thought=True)
    with pytest.raises(ValueError, match="in_place=True leaves no room"):
        SIX.length(in_place=True, thought=True)


# --- the judge


@settings(deadline=None, max_examples=300)
@given(st.integers(0, 99), st.lists(st.integers(0, 5), min_size=16, max_size=16), st.randoms(use_true_random=False))
def test_the_judge_agrees_with_the_rules(index, digits, rng):
    """Random texts are nearly always wrong, so gold answers with a digit changed, or two swapped, are tried as well."""
    puzzle = FOUR.examples("test")[index]
    gold = numbers(puzzle.answer)
    few = list(gold)
    few[rng.randrange(16)] = rng.randrange(1, 5)
    one, other = rng.sample(range(1, 5), 2)
    relabelled = [
        {one: other, other: one}.get(digit, digit) for digit in gold
    ]  # valid; right if no clue says otherwise
    for grid in (digits, few, relabelled, gold):
        verdict = FOUR.verify(puzzle, " ".join(map(str, grid)))
        assert verdict.correct == is_right(4, numbers(puzzle.prompt), grid)
        assert (verdict.reason == "") == verdict.correct


def test_every_completion_is_right_and_no_other_grid():
    several = 0
    for puzzle in FOUR.examples("test")[:30]:
        right = [grid for grid in grids_4x4() if FOUR.verify(puzzle, " ".join(map(str, grid))).correct]
        clues = numbers(puzzle.prompt)
        assert right == [grid for grid in grids_4x4() if all(c in (0, d) for c, d in zip(clues, grid, strict=True))]
        several += len(right) > 1
    assert several > 5


@settings(deadline=None, max_examples=300)
@given(
    st.one_of(
        st.text(),
        st.lists(st.sampled_from([*"0123456789", "a1", "####", "<mask>", "²", "٣", "", "-1", "1.0"])).map(" ".join),
        st.lists(st.text(max_size=3), min_size=36, max_size=36).map(" ".join),
    )
)
@example("\ud800 \x00")
def test_the_judge_never_raises(text):
    for task in TASKS:
        verdict = task.verify(task.examples("test")[0], text)
        assert not verdict.correct
        assert verdict.reason


def test_the_judge_says_what_is_wrong_and_where():
    puzzle = Example("", "1 0 0 0 " + "0 " * 11 + "0", "", "", 0)
    for text, reason in {
        "1 2 3 4 3 4 1 2 2 1 4 3 4 3 2": "16 digits expected, got 15",
        "2 1 3 4 3 4 1 2 1 2 4 3 4 3 2 1": "clue at row 1 column 1 changed from 1 to 2",
        "1 2 3 4 3 4 4 2 2 1 4 3 4 3 2 1": "row 2 has two 4s",
        "1 2 3 4 3 4 1 2 2 1 3 4 4 3 2 1": "column 3 has two 3s",
        "1 2 3 4 2 3 4 1 3 4 1 2 4 1 2 3": "box 1 has two 2s",
        "1 2 3 4 3 4 1 2 2 1 4 3 4 3 2 <mask>": "'<mask>' at row 4 column 4 is not a digit from 1 to 4",
        "1 2 3 5 3 4 1 2 2 1 4 3 4 3 2 1": "'5' at row 1 column 4 is not a digit from 1 to 4",
    }.items():
        assert FOUR.verify(puzzle, text) == (False, reason)


# --- a person's puzzle


def test_a_persons_puzzle_is_read_solved_and_judged():
    each = SIX.examples("test")[0]
    text = "\n".join("".join(each.prompt.split()[row * 6 : row * 6 + 6]) for row in range(6)).replace("0", ".")
    mine = SIX.example(text)
    assert (mine.prompt, mine.answer, mine.thought, mine.difficulty) == (
        each.prompt,
        each.answer,
        each.thought,
        each.difficulty,
    )
    assert mine.id.startswith("given/")
    empty = SIX.example("." * 36)
    assert SIX.verify(empty, empty.answer).correct
    assert empty.thought == ""  # it would not fit the longest sheet
    assert len(SIX.sheet(empty, in_place=False, thought=True).tokens) <= SIX.length(in_place=False, thought=True)


def test_an_unknown_answer_is_masked():
    unknown = Example("", SIX.examples("test")[0].prompt, "", "", 0)
    sheet, mask = SIX.sheet(unknown, in_place=True, thought=False), SIX.vocabulary(False).mask_id
    assert ((sheet.tokens == mask) == sheet.editable).all()
    after = SIX.sheet(unknown, in_place=False, thought=True)
    assert (after.tokens[after.answer_at :] == SIX.vocabulary(True).mask_id).all()


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("1" + "0" * 14, "16 cells expected, got 15"),
        ("", "16 cells expected, got 0"),
        ("0" * 17, "16 cells expected, got 17"),
        ("00x0" + "0" * 12, "'x' at row 1 column 3 is not a digit from 1 to 4, 0 or ."),
        ("0005" + "0" * 12, "'5' at row 1 column 4 is not a digit from 1 to 4, 0 or ."),
        ("²" + "0" * 15, "'²' at row 1 column 1 is not a digit from 1 to 4, 0 or ."),
        ("0000 1001 0000 0000", "row 2 has two 1s"),
        ("1000 0000 1000 0000", "column 1 has two 1s"),
        ("1000 0100 0000 0000", "box 1 has two 1s"),
        ("1230 0004 0000 0000", "no completion of this puzzle keeps the rules"),
    ],
)
def test_a_bad_puzzle_is_refused_with_its_place(text, reason):
    with pytest.raises(PuzzleError) as error:
        FOUR.example(text)
    assert error.value.reason == reason


# --- splits and seeds


def test_4x4_holds_out_grids_and_exact_puzzles():
    grids = {split: {each.answer for each in FOUR.examples(split)} for split in SPLITS}
    puzzles = {split: {each.prompt for each in FOUR.examples(split)} for split in SPLITS}
    for one, other in itertools.combinations(SPLITS, 2):
        assert not grids[one] & grids[other]
        assert not puzzles[one] & puzzles[other]
    assert min(len(grids[split]) for split in SPLITS) > 20


@pytest.mark.parametrize("task", [SIX, NINE], ids=lambda task: task.name)
def test_splits_share_no_puzzle_under_any_symmetry(task):
    found = {split: boards(task.examples(split)) for split in SPLITS}
    for one, other in itertools.combinations(SPLITS, 2):
        assert symmetric_copies(found[one], found[other], geometry(task.size)) == []


def test_6x6_copies_stay_in_the_split_of_their_original():
    """Why no copy can cross, at any size and seed: the content that decides the split does not see symmetries."""
    for split in SPLITS:
        copies = random_copies(boards(SIX.examples(split)), 6, seed=3)
        assert (split_of(board_key(copies, geometry(6))) == SPLITS.index(split)).all()
    other = Sudoku(6, (8, 12), (6, 18), False, 400, 20, 30, seed=1)
    assert (split_of(board_key(boards(other.examples("train")), geometry(6))) == 0).all()


def test_9x9_solutions_stay_in_the_split_of_their_class():
    for split in SPLITS:
        copies = random_copies(boards(NINE.examples(split), "answer"), 9, seed=3)
        assert (split_of(grid_key(copies, geometry(9))) == SPLITS.index(split)).all()


def test_planted_copies_are_left_out():
    """Puzzles to be avoided, handed over as symmetric copies, vanish from the draw, and nothing else does."""
    recipe = Recipe("sudoku6x6", "train", 0, 6, (8, 12))
    free = Puzzles(recipe, np.zeros(0, np.uint64))
    free.grow(300)
    planted = random_copies(free.boards[:300:10], 6, seed=5)
    kept = Puzzles(recipe, puzzle_key(planted, geometry(6)))
    kept.grow(270)
    expected = np.delete(free.boards[:300], np.s_[::10], axis=0)
    assert (kept.boards[:270] == expected).all()


@BY_NAME
def test_items_do_not_depend_on_how_many_are_asked_for_or_in_which_order(task):
    def make(count):
        settings = {name: getattr(task, name) for name in ("size", "clues", "train_clues", "unique", "hard", "minimal")}
        return Sudoku(**settings, train_examples=count, validation_examples=count, test_examples=count)

    small, large = make(5), make(40)
    backwards = [large.examples("test")[index] for index in range(-36, -41, -1)][::-1]
    assert backwards == list(small.examples("test")) == large.examples("test")[:5]
    assert large.examples("train")[:5] == small.examples("train")[:]


def test_seeds_and_splits_give_other_items():
    make = {seed: Sudoku(6, (8, 18), (8, 18), False, 50, 50, 50, seed=seed) for seed in (0, 1)}
    prompts = [each.prompt for task in make.values() for split in SPLITS for each in task.examples(split)]
    assert len(set(prompts)) == len(prompts)


def digest():
    """One hash over some items of every kind."""
    parts = ("id", "prompt", "thought", "answer", "difficulty")
    items = [each for task in TASKS for split in SPLITS for each in task.examples(split)[:20]]
    text = repr([tuple(getattr(each, part) for part in parts) for each in items])
    return hashlib.sha256(text.encode()).hexdigest()


def test_another_process_draws_the_same_items():
    code = "from tests.tasks.test_sudoku import digest; print(digest())"
    environment = {**os.environ, "PYTHONHASHSEED": "1"}
    run = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert run.stdout.strip() == digest()


def test_items_of_this_generator_version_are_these():
    """Whoever changes what is drawn raises VERSION in sudoku_generate, and then this hash."""
    assert SIX.provenance["generator"] == 1
    assert digest() == "0ef4a8741be047951b322bc67af12b352241f99130133350c33f5ca1f4f81075"


# --- constructor and configs


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"size": 5}, r"task.size=5 .* use 4, 6 or 9"),
        ({"clues": (5, 3)}, r"task.clues=\(5, 3\) must be .* 0 <= fewest <= most <= 36"),
        ({"clues": (8,)}, "task.clues"),
        ({"clues": 8}, "task.clues=8 must be"),
        ({"clues": (8, float("nan"))}, "task.clues"),
        ({"train_clues": (-1, 3)}, "task.train_clues"),
        ({"train_clues": (0, 37)}, "<= 36"),
        ({"clues": (4, 7)}, "fewer than 8 clues has one solution: raise the most to 8"),
        ({"train_examples": 0}, "task.train_examples=0 must be 1 or more"),
        ({"test_examples": float("nan")}, "task.test_examples=nan"),
        ({"thought": "loud"}, "task.thought=loud is unknown: use sweep or solver"),
        ({"on_error": "ignore"}, "use stop or skip"),
        ({"file_split": "half"}, "use all or hash"),
        ({"unique": False, "minimal": True}, "task.minimal=true means nothing"),
        ({"seed": -1}, "task.seed=-1"),
        ({"seed": 2**63}, "task.seed="),
        ({"file": "nowhere.csv"}, "task.file=nowhere.csv must be a file that exists"),
    ],
)
def test_a_value_out_of_range_is_refused_with_the_rule(change, message):
    plain = {"size": 6, "clues": (8, 12), "train_clues": (6, 18), "unique": True}
    plain |= {"train_examples": 5, "validation_examples": 5, "test_examples": 5}
    with pytest.raises(ValueError, match=message):
        Sudoku(**(plain | change))


def test_a_dial_that_yields_nothing_more_says_so():
    with pytest.raises(ValueError, match=r"task.clues=\[0, 0\] with any completion gave [01] test puzzles"):
        list(Sudoku(4, (0, 0), (0, 0), False, 1, 1, 2).examples("test"))


def test_an_unknown_split_is_refused():
    with pytest.raises(ValueError, match="use train, validation, test"):
        SIX.examples("dev")


def test_indices_and_slices_are_those_of_a_list():
    items = SIX.examples("test")
    assert items[-1] == items[29]
    assert items[2:10:3] == [items[2], items[5], items[8]]
    with pytest.raises(IndexError):
        items[30]


@pytest.mark.parametrize("path", PRESETS, ids=lambda path: path.stem)
def test_the_configs_build_their_task(path):
    task = preset(path)
    each = task.examples("train")[0]
    assert task.verify(each, each.answer).correct
    assert all(type(value) in (str, int) for value in task.provenance.values())


@pytest.mark.slow
def test_the_demos_items_are_made_in_time():
    """60,000 training and 300 test puzzles of 6x6, in well under the demo's minute of set-up, clocked on the CPU."""
    task, start = preset(Path("conf/task/sudoku6x6.yaml")), time.process_time()
    made = sum(1 for split in SPLITS for _ in task.examples(split))
    assert made == 60_500
    assert time.process_time() - start < 40


def test_random_is_not_touched():
    """Items come from hashes: neither Python's nor numpy's global generator moves."""
    state, numpy_state = random.getstate(), np.random.get_state()[1].tolist()  # noqa: NPY002
    Sudoku(6, (8, 18), (8, 18), True, 5, 5, 5).examples("test")[:]
    assert random.getstate() == state
    assert np.random.get_state()[1].tolist() == numpy_state  # noqa: NPY002
