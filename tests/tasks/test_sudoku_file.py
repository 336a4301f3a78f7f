import gzip
import hashlib
import json
import os
from pathlib import Path

import numpy as np
import pytest

from dlmreason.tasks import Example, FileError, Sudoku
from dlmreason.tasks.example import SPLITS
from dlmreason.tasks.sudoku_file import read
from dlmreason.tasks.sudoku_generate import puzzle_key
from dlmreason.tasks.sudoku_grid import geometry, symmetric_copies
from tests.tasks.boards import is_right
from tests.tasks.test_judges_of_puzzles import SUDOKUS, is_in_order, sudoku_is_right
from tests.tasks.test_sudoku_grid import boards, text_of

GOOD = ("4300000400100200", "4321213434121243")
OTHER = ("0230000203000040", "1234341243212143")
BAD = {
    "short": ("430000040010020", GOOD[1], "16 cells expected, got 15"),
    "long": ("43000004001002000", GOOD[1], "16 cells expected, got 17"),
    "letter": ("43000x0400100200", GOOD[1], "'x' at row 2 column 2 is not a digit from 1 to 4, 0 or ."),
    "five": ("4300000500100200", GOOD[1], "'5' at row 2 column 4 is not a digit from 1 to 4, 0 or ."),
    "contradiction": ("4300040400100200", GOOD[1], "row 2 has two 4s"),
    "other solution": ("4300000400100200", OTHER[1], "the solution has 1 at row 1 column 1 where the puzzle has 4"),
    "invalid solution": ("4300000400100200", "4321213434121241", "solution: row 4 has two 1s"),
    "blank in solution": (
        "4300000400100200",
        "432121343412124.",
        "solution: '.' at row 4 column 4 is not a digit from 1 to 4",
    ),
    "short solution": ("4300000400100200", "432121343412124", "solution: 16 cells expected, got 15"),
    "two solutions": ("4300000400000000", "4321213434121243", "the puzzle has two solutions where one is promised"),
}


def task(file, size=4, **options):
    plain = {"clues": (8, 12), "train_clues": (4, 10), "unique": True}
    plain |= {"train_examples": 50, "validation_examples": 2, "test_examples": 2}
    return Sudoku(size, file=str(file), **(plain | options))


def csv_file(folder, rows, name="p.csv", header="puzzle,solution,guesses"):
    text = "\n".join([header, *(f"{puzzle},{solution},0" for puzzle, solution in rows)]) + "\n"
    path = folder / name
    path.write_bytes(gzip.compress(text.encode()) if name.endswith(".gz") else text.encode())
    return path


def json_file(folder, rows, name="p.jsonl"):
    def square(text):
        return "\n".join(text[start : start + 4] for start in range(0, len(text), 4))

    path = folder / name
    path.write_text(
        "".join(json.dumps({"input": square(puzzle), "output": square(grid)}) + "\n" for puzzle, grid in rows)
    )
    return path


@pytest.mark.parametrize("kind", BAD)
@pytest.mark.parametrize(("write", "first_line"), [(csv_file, 2), (json_file, 1)], ids=["csv", "jsonl"])
def test_a_bad_row_stops_with_its_line_or_is_left_out_and_reported(tmp_path, kind, write, first_line):
    puzzle, solution, reason = BAD[kind]
    path = write(tmp_path, [GOOD, (puzzle, solution), OTHER])
    message = f"{path}:{first_line + 1}: {reason}"
    with pytest.raises(FileError) as error:
        task(path)
    assert str(error.value) == message
    left = task(path, on_error="skip")
    assert left.skipped == [message]
    assert [each.prompt.replace(" ", "") for each in left.examples("test")] == [GOOD[0], OTHER[0]]
    assert left.provenance["skipped"] == 1


def test_two_solutions_are_no_fault_where_none_is_promised(tmp_path):
    puzzle, solution, _ = BAD["two solutions"]
    (each,) = task(csv_file(tmp_path, [(puzzle, solution)]), unique=False).examples("test")
    assert each.answer.replace(" ", "") == solution


def test_the_earliest_bad_line_is_named_whatever_its_fault(tmp_path):
    late, early = BAD["short"][:2], BAD["contradiction"][:2]
    with pytest.raises(FileError, match="csv:3: row 2 has two 4s"):
        task(csv_file(tmp_path, [GOOD, early, late]))
    both = task(csv_file(tmp_path, [GOOD, early, late]), on_error="skip")
    assert len(both.skipped) == 2


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.csv", b"", "a.csv:1: the header must name a column puzzle"),
        ("a.csv", b"board,solution\n", "a.csv:1: the header must name a column puzzle"),
        ("a.csv", f"puzzle,solution\n{GOOD[0]}\n".encode(), "a.csv:2: 2 columns expected, got 1"),
        ("a.csv", b"puzzle\n\xff\xfe\n", "a.csv:[12]: the file cannot be read on from here"),
        ("a.csv.gz", b"puzzle\n", "a.csv.gz:1: the file cannot be read on from here"),
        ("a.csv.gz", gzip.compress(b"puzzle\n" * 999, mtime=0)[:-9], r"a.csv.gz:\d+: "),
        ("a.jsonl", b"\n{not json}\n", "a.jsonl:2: not JSON"),
        ("a.jsonl", b'{"output": ""}\n', 'a.jsonl:1: an object with a string "input"'),
        ("a.jsonl", b"[" * 100_000 + b"\n", "a.jsonl:1: not JSON"),
        ("a.jsonl", b"[1]\n", 'a.jsonl:1: an object with a string "input"'),
        ("a.jsonl", b'{"input": "", "output": 3}\n', 'a.jsonl:1: an object with a string "input"'),
    ],
)
def test_a_broken_file_is_refused_with_its_line(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(FileError, match=message):
        task(tmp_path / name)


@pytest.mark.parametrize("name", ["a.txt", "none.csv", "folder"])
def test_a_path_without_puzzles_is_refused(tmp_path, name):
    (tmp_path / "a.txt").write_text("puzzle\n")
    (tmp_path / "folder").mkdir()
    with pytest.raises(ValueError, match=r"must be a file that exists and ends in \.csv, \.csv\.gz, \.jsonl"):
        task(tmp_path / name)


def test_a_file_with_nothing_usable_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"holds no puzzle that can be used \(1 left out\)"):
        task(csv_file(tmp_path, [BAD["short"][:2]]), on_error="skip")


def test_all_forms_say_the_same(tmp_path):
    rows = [GOOD, OTHER]
    forms = [csv_file(tmp_path, rows), csv_file(tmp_path, rows, "p.csv.gz"), json_file(tmp_path, rows)]
    items = [list(task(path).examples("test")) for path in forms]
    assert items[0] == items[1] == items[2]
    folder = tmp_path / "folder"
    folder.mkdir()
    json_file(folder, [GOOD], "a.jsonl"), json_file(folder, [OTHER], "b.jsonl")
    assert list(task(folder).examples("test")) == items[0]
    dotted = csv_file(tmp_path, [(puzzle.replace("0", "."), grid) for puzzle, grid in rows], "dots.csv")
    assert list(task(dotted).examples("test")) == items[0]


def test_missing_solutions_are_found(tmp_path):
    path = tmp_path / "p.csv"
    path.write_text(f"puzzle\n{GOOD[0]}\n{OTHER[0]}\n")
    assert [each.answer.replace(" ", "") for each in task(path).examples("test")] == [GOOD[1], OTHER[1]]
    path.write_text(f"puzzle\n{GOOD[0]}\n1230000400000000\n")
    with pytest.raises(FileError, match=r"csv:3: the puzzle has no solution"):
        task(path)
    lines = [json.dumps({"input": GOOD[0], "output": GOOD[1]}), *[json.dumps({"input": OTHER[0]})] * 5]
    path = tmp_path / "some.jsonl"
    path.write_text("\n".join(lines))
    with pytest.raises(ValueError, match="file_split=hash needs a solution"):
        task(path, file_split="hash")


def test_repeated_puzzles_keep_ids_of_their_own(tmp_path):
    items = task(csv_file(tmp_path, [GOOD, OTHER, GOOD])).examples("test")
    assert len({each.id for each in items}) == 3
    assert items[2].id.startswith(items[0].id)


def test_generated_training_puzzles_avoid_those_of_the_file(tmp_path):
    """Every second training puzzle of before becomes the file: those vanish, and the others stay as they were."""
    plain = {"clues": (4, 16), "train_clues": (5, 8), "unique": False, "train_examples": 40}
    before = Sudoku(4, validation_examples=1, test_examples=1, **plain).examples("train")
    chosen = [(each.prompt.replace(" ", ""), each.answer.replace(" ", "")) for each in before[::2]]
    after = task(csv_file(tmp_path, chosen), **plain).examples("train")
    kept = [each.prompt for each in before if each.prompt not in {one.prompt for one in before[::2]}]
    assert [each.prompt for each in after][: len(kept)] == kept


def made_file(folder):
    """60 puzzles of 6x6 with 25 further rows: relabelled copies, whose solutions share a form with an original's."""
    puzzles, grids = boards(6), boards(6, "answer")
    labels = np.array([0, 2, 3, 4, 5, 6, 1], np.uint8)
    rows = [*zip(puzzles, grids, strict=True), *zip(labels[puzzles[:25]], labels[grids[:25]], strict=True)]
    return csv_file(folder, [("".join(map(str, puzzle)), "".join(map(str, grid))) for puzzle, grid in rows])


def form(answer):
    """The hash of a solution whose first row is relabelled 1, 2, 3, ...: the documented rule, spelled out."""
    symbols = answer.split()
    relabel = {symbol: str(place) for place, symbol in enumerate(symbols[: int(len(symbols) ** 0.5)], start=1)}
    return hashlib.sha256("".join(relabel[symbol] for symbol in symbols).encode()).hexdigest()


def test_a_file_is_split_by_the_hash_of_its_solutions(tmp_path):
    path = made_file(tmp_path)
    options = {"file_split": "hash", "test_examples": 20, "validation_examples": 10, "train_examples": 1000}
    split = {name: list(task(path, 6, **options).examples(name)) for name in ("train", "validation", "test")}
    hashes = {name: [form(each.answer) for each in items] for name, items in split.items()}
    every = sorted(form(" ".join(line.split(",")[1])) for line in path.read_text().split()[1:])
    assert hashes["test"] == every[:20]
    assert set(hashes["validation"]) == set(every[20:30]) - set(every[:20])
    assert hashes["train"] == [each for each in every[30:] if each not in every[:30]]
    assert len(hashes["train"]) < len(every) - 30  # some rows did share a form with a held one
    tested, trained = (np.array([each.prompt.split() for each in split[name]], np.uint8) for name in ("test", "train"))
    assert symmetric_copies(tested, trained, geometry(6)) == []
    assert len(task(path, 6, **(options | {"train_examples": 7})).examples("train")) == 7


def test_symmetric_copies_in_a_file_are_not_trained_on(tmp_path):
    """Copies with rows swapped have solutions of other forms: the puzzle's key has to find them."""
    puzzles, grids, swap = boards(6), boards(6, "answer"), np.arange(36).reshape(6, 6)[[1, 0, 2, 3, 4, 5]].reshape(-1)
    rows = [
        ("".join(map(str, p[o])), "".join(map(str, g[o])))
        for o in (slice(None), swap)
        for p, g in zip(puzzles, grids, strict=True)
    ]
    split = task(
        csv_file(tmp_path, rows), 6, file_split="hash", test_examples=40, validation_examples=1, train_examples=999
    )
    held = boards_of([*split.examples("test"), *split.examples("validation")])
    assert symmetric_copies(held, boards_of(split.examples("train")), geometry(6)) == []
    planted = set(puzzle_key(held, geometry(6)).tolist())
    assert (
        len(split.examples("train")) == sum(key not in planted for key in puzzle_key(puzzles, geometry(6)).tolist()) * 2
    )


def boards_of(items):
    return np.array([each.prompt.split() for each in items], np.uint8)


def test_a_file_too_small_to_split_is_refused(tmp_path):
    with pytest.raises(ValueError, match="leave no row of the file's 2 for training"):
        task(csv_file(tmp_path, [GOOD, OTHER]), file_split="hash")


def test_provenance_names_the_file_by_content(tmp_path):
    path = csv_file(tmp_path, [GOOD, OTHER])
    provenance = task(path).provenance
    assert provenance["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
    assert provenance["source"] == "p.csv"
    assert str(tmp_path) not in repr(provenance)


# --- real files, where there are some

DATA = os.environ.get("DLMREASON_DATA")
REAL = pytest.mark.skipif(not DATA or not Path(DATA).is_dir(), reason="DLMREASON_DATA names no folder of real puzzles")


@REAL
def test_all_432_real_4x4_puzzles_are_read_and_judged():
    real = task(Path(DATA) / "sudoku4x4")
    items = real.examples("test")
    assert len(items) == 432
    assert real.skipped == []
    for each in items:
        assert real.verify(each, each.answer).correct
        assert is_right(4, [int(digit) for digit in each.prompt.split()], [int(digit) for digit in each.answer.split()])
    assert not {each.prompt for each in items} & {each.prompt for each in real.examples("train")}


@REAL
@pytest.mark.slow
@pytest.mark.parametrize("name", ["clue17", "hardest"])
def test_real_9x9_puzzles_are_split_as_documented(name):
    path = Path(DATA) / "sudoku" / f"{name}.csv.gz"
    file = read(str(path), geometry(9), "stop")
    assert len(file.puzzles) == {"clue17": 40_000, "hardest": 39_012}[name]
    real = task(
        path, 9, clues=(17, 40), file_split="hash", test_examples=60, validation_examples=20, train_examples=10**6
    )
    tests = real.examples("test")
    assert all(real.verify(each, each.answer).correct for each in tests)
    lowest = sorted(form(" ".join(map(str, grid))) for grid in file.grids.tolist())[:60]
    assert [form(each.answer) for each in tests] == lowest
    assert (name == "hardest") == (np.mean([each.difficulty for each in tests]) > 50)


def in_order_by_the_other_judge(task, items):
    for each in items:
        assert sum(1 for _ in is_in_order(task, each)) == 2
        assert sudoku_is_right(task.size, each.prompt, each.answer)


@REAL
def test_gold_answers_and_thoughts_of_the_real_4x4_puzzles():
    for thought in ("sweep", "solver"):
        task = Sudoku(4, (4, 8), (0, 8), True, 10, 10, 10, file=str(Path(DATA) / "sudoku4x4"), thought=thought)
        assert len(task.examples("test")) == 432
        in_order_by_the_other_judge(task, task.examples("test"))


@REAL
@pytest.mark.slow
@pytest.mark.parametrize(("name", "count"), [("clue17", 40_000), ("hardest", 39_012)])
def test_gold_answers_and_thoughts_of_the_real_9x9_puzzles(name, count):
    path = str(Path(DATA) / "sudoku" / f"{name}.csv.gz")
    file = read(path, geometry(9), "stop")
    assert len(file.puzzles) == count
    for puzzle, grid in zip(file.puzzles.tolist(), file.grids.tolist(), strict=True):
        each = Example("", text_of(puzzle), "", text_of(grid), -1)
        assert SUDOKUS[9].verify(each, each.answer).correct
    task = Sudoku(9, (17, 40), (17, 40), True, 10**6, 20, 60, file=path, file_split="hash")
    checked = 0
    for split in SPLITS:
        in_order_by_the_other_judge(task, task.examples(split))
        checked += len(task.examples(split))
    assert checked > 0.99 * count  # what shares a solution with the evaluated rows is left out
