"""Laws of tasks whose answer is written after the prompt, on the task of README.md."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dlmreason.tasks import FileError, Problem, PuzzleError, Verdict
from dlmreason.tasks.drawn import Drawn
from dlmreason.tasks.example import SPLITS, split_of
from dlmreason.tasks.written import Written
from tests.tasks import laws
from tests.tasks.reverse import LETTERS, Reverse


def task_of(**changes: Any) -> Written:
    counts = {"train_examples": 200, "validation_examples": 20, "test_examples": 30}
    return Written(Reverse(), **(counts | changes))


def write(path: Path, words: list[str], **columns: Any) -> str:
    path.write_text("".join(json.dumps({"prompt": word, "answer": word[::-1]} | columns) + "\n" for word in words))
    return str(path)


@pytest.mark.parametrize("count", laws.GOLD)
def test_gold(count: int) -> None:
    laws.gold_holds(Reverse(), count, lambda problem: problem.thought[::2] == problem.answer)


@pytest.mark.parametrize("cases", laws.FUZZ)
def test_the_judge_never_raises(cases: int) -> None:
    laws.never_raises(Reverse(), cases)


def test_splits_share_no_content_and_are_the_same_again() -> None:
    task, again = task_of(), task_of()
    for split in SPLITS:
        items = task.examples(split)
        assert items[:] == again.examples(split)[:]
        keys = task.subject.keys([item.prompt for item in items])
        assert set(split_of(np.array(keys, np.uint64)).tolist()) == {SPLITS.index(split)}
        assert len({item.id for item in items}) == len(items)
        if split != "train":
            assert len(set(keys)) == len(keys)
    assert task.examples("test")[3] != task_of(seed=1).examples("test")[3]
    assert task.examples("test")[-1] == task.examples("test")[len(task.examples("test")) - 1]
    with pytest.raises(ValueError, match="split=dev"):
        task.examples("dev")


def test_the_order_of_looking_changes_nothing() -> None:
    first, second = Drawn(Reverse(), "train", 0, 100), Drawn(Reverse(), "train", 0, 300)
    last = second[299]
    assert [first[place] for place in range(100)] == second[:100]
    assert second[299] == last


def test_too_small_a_world_is_said() -> None:
    with pytest.raises(ValueError, match=r"gave only \d+ different test problems: lower it to"):
        Drawn(Reverse(longest=1), "test", 0, 100)[99]


def test_a_sheet_holds_what_it_says() -> None:
    task = task_of()
    for example in task.examples("train")[:50]:
        for thought in (False, True):
            vocabulary = task.vocabulary(thought)
            sheet = task.sheet(example, in_place=False, thought=thought)
            prompt, rest = sheet.tokens[: len(example.prompt)], sheet.tokens[len(example.prompt) :]
            assert vocabulary.decode(prompt) == example.prompt
            middle = f"{example.thought * thought}####"
            answer = f"{example.answer}<eos>" + "<pad>" * (6 - len(example.answer))
            assert vocabulary.decode(rest) == middle + answer
            assert len(sheet.tokens) <= task.length(in_place=False, thought=thought)
            assert sheet.answer_at == len(sheet.tokens) - task.answer_length
            first = len(example.prompt) if thought else sheet.answer_at
            assert sheet.editable.tolist() == [place >= first for place in range(len(sheet.tokens))]
            assert sheet.features[: sheet.answer_at].sum() == 0
            assert (sheet.features[sheet.answer_at :] == task.answer_features()).all()
            assert task.answer_features()[:, 0].tolist() == [1, 2, 3, 4, 5, 6, 7]
    with pytest.raises(ValueError, match="in_place=True"):
        task.sheet(task.examples("train")[0], in_place=True, thought=False)


def test_the_longest_sheets_fill_the_canvas() -> None:
    task = task_of(train_examples=2000)
    for thought in (False, True):
        sizes = [len(task.sheet(each, in_place=False, thought=thought).tokens) for each in task.examples("train")]
        assert max(sizes) == task.length(in_place=False, thought=thought)


def test_a_persons_question() -> None:
    task = task_of()
    example = task.example("abc")
    assert (example.prompt, example.answer) == ("abc", "cba")
    assert task.verify(example, "cba") == Verdict(True, "") and not task.verify(example, "cb").correct
    for wrong in ("", "xyz", "abcdefgh"):
        with pytest.raises(PuzzleError):
            task.example(wrong)
    with pytest.raises(PuzzleError, match=r"raise task\.prompt_length to 5"):
        task_of(prompt_length=4).example("abcde")


def test_a_files_items_are_the_test_split_and_are_not_trained_on(tmp_path: Path) -> None:
    trained = [item.prompt for item in task_of().examples("train")]
    words = [*list(dict.fromkeys(trained))[:40], "abab"]
    task = task_of(file=write(tmp_path / "test.jsonl", words), test_examples=100)
    assert [item.prompt for item in task.examples("test")] == words
    assert not set(words) & {item.prompt for split in ("train", "validation") for item in task.examples(split)}
    ids = [item.id for item in task.examples("test")]
    assert len(set(ids)) == len(ids) and all(id.startswith("file/") for id in ids)
    assert task.provenance["source"] == "files"
    other = task_of(file=write(tmp_path / "other.jsonl", words[1:]))
    assert task.provenance["test_sha256"] != other.provenance["test_sha256"], "another file is another run"
    assert [item.id for item in other.examples("test")] == ids[1 : 1 + 30], "a name does not depend on the place"


def test_a_training_file_gives_all_splits(tmp_path: Path) -> None:
    words = sorted({item.prompt for item in task_of(train_examples=400).examples("train")})
    path = write(tmp_path / "all.jsonl", words + words[:50])
    task = task_of(train_file=path, train_examples=10_000)
    held = {split: [item.prompt for item in task.examples(split)] for split in SPLITS}
    assert [len(held[split]) for split in ("validation", "test")] == [20, 30]
    assert sorted({word for split in held.values() for word in split}) == words
    assert not set(held["train"]) & {*held["validation"], *held["test"]}
    shuffled = write(tmp_path / "shuffled.jsonl", sorted(words, key=lambda word: word[::-1]))
    again = task_of(train_file=shuffled, train_examples=10_000)
    assert {item.prompt for item in again.examples("test")} == set(held["test"]), "content decides, not the order"


def test_copies_of_test_rows_leave_the_training_rows(tmp_path: Path) -> None:
    train, test = (
        write(tmp_path / "train.jsonl", ["ab", "cd", "ef", "gh", "ab"]),
        write(tmp_path / "test.jsonl", ["ab"]),
    )
    task = task_of(train_file=train, file=test, validation_examples=1)
    assert "ab" not in [item.prompt for item in task.examples("train")]
    assert any("2 rows are copies of test or validation items" in line for line in task.remarks)


@pytest.mark.parametrize("on_error", ["stop", "skip"])
def test_rows_that_cannot_be_used(tmp_path: Path, on_error: str) -> None:
    rows = [{"prompt": "ab", "answer": "ba"}, {"prompt": "ab", "answer": "ab"}, {"prompt": "x", "answer": "x"}]
    path = tmp_path / "test.jsonl"
    path.write_text("\n".join(map(json.dumps, rows)))
    if on_error == "stop":
        with pytest.raises(FileError, match=r"test.jsonl:2: the answer is wrong"):
            task_of(file=str(path))
        return
    task = task_of(file=str(path), on_error="skip")
    assert [item.prompt for item in task.examples("test")] == ["ab"]
    assert [line.rpartition("test.jsonl:")[2][0] for line in task.skipped] == ["2", "3"]


def test_what_is_longer_than_the_canvas_is_refused_with_its_lengths(tmp_path: Path) -> None:
    path = write(tmp_path / "test.jsonl", ["ab", "abcdef", "a"])
    with pytest.raises(FileError, match=r"test.jsonl:2: the answer takes 6 tokens, and the canvas has 4 .*_length"):
        task_of(file=path, answer_length=4)
    task = task_of(file=path, answer_length=4, on_error="skip")
    assert [len(item.answer) for item in task.examples("test")] == [2, 1] and len(task.skipped) == 1
    long = next(item for item in task.examples("train") if len(item.answer) > 4)
    with pytest.raises(ValueError, match="canvas has 4"):
        task.sheet(long, in_place=False, thought=False)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"train_examples": 0}, "task.train_examples=0"),
        ({"test_examples": True}, "task.test_examples=True"),
        ({"seed": -1}, "task.seed=-1"),
        ({"on_error": "ask"}, "task.on_error=ask"),
        ({"source": "web"}, "task.source=web"),
        ({"source": "hub"}, "task.dataset=null"),
        ({"file": "/nowhere/x.jsonl"}, "task.file=/nowhere/x.jsonl"),
        ({"answer_length": 0}, "task.answer_length=0"),
    ],
)
def test_settings_that_cannot_be_used(changes: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        task_of(**changes)


def test_a_task_without_thoughts_says_so() -> None:
    class Silent(Reverse):
        def __init__(self) -> None:
            super().__init__()
            self.form = type(self.form)(tuple(LETTERS), prompt=6, thought=0, answer=6, ends=True, spaced=False)

        def problem(self, prompt: str, thought: str = "", answer: str = "") -> Problem:
            return super().problem(prompt, thought, answer)._replace(thought="")

    task = Written(Silent(), train_examples=10, validation_examples=1, test_examples=1)
    with pytest.raises(ValueError, match="reverse has no chains of thought"):
        task.length(in_place=False, thought=True)
