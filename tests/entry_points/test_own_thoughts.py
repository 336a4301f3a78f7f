"""Models of one experiment that think otherwise about the same items."""

import json
from pathlib import Path

import pytest

from dlmreason.analysis.packed import pack, unpack
from dlmreason.analysis.records import Record, encode, read
from tests.entry_points.tiny import TINY, experiment, records, weights

WAIT = (
    "+model@models.wait=wait",
    "+arm@arms.wait=thought",
    "arms.wait.model=wait",
    "models.wait.task.share=1",
)
SUDOKU = ("task=sudoku4x4", "task.train_examples=40", "task.validation_examples=3", "task.test_examples=5")


def test_a_model_with_thoughts_of_its_own_answers_the_same_items(finished: Path, tmp_path: Path) -> None:
    """Beside it all is as without it, and the records of both belong to one comparison."""
    assert experiment(tmp_path, *WAIT) == 0
    own = [line for line in records(tmp_path) if b'"arm":"wait.' not in line]
    assert own == records(finished)
    assert weights(finished).items() < weights(tmp_path).items()
    found = read(tmp_path / "records.jsonl", Record).items
    asked = {arm: {record.example for record in found if record.arm == arm} for arm in ("confidence", "wait.vote")}
    assert asked["wait.vote"] <= asked["confidence"] and len(asked["wait.vote"]) > 0
    assert len({record.task for record in found}) == 1
    about = json.loads((tmp_path / "models" / "wait" / "description.json").read_text())
    assert "<wait>" in about["vocabulary"]["symbols"]
    assert about["task"]["settings"]["_target_"].endswith("Correcting")
    assert experiment(tmp_path, *WAIT) == 0, "and nothing is done twice"
    assert [line for line in records(tmp_path) if b'"arm":"wait.' not in line] == own


def test_thoughts_are_kept_where_that_is_asked_and_may_begin_with_a_wrong_step(tmp_path: Path) -> None:
    """Of both kinds of model, and packed as they were; a model without thoughts keeps none."""
    begun = ("+model@models.canvas=diffusion_wait", "models.canvas.updates=2", "models.canvas.task.share=1")
    begun += ("+arm@arms.canvas=confidence", "arms.canvas.model=canvas", "+arms.canvas.begins=editable")
    assert experiment(tmp_path, *WAIT, *begun, "+arms.wait.begins=given", "budget.thoughts=true") == 0
    found = read(tmp_path / "records.jsonl", Record).items
    kept = {record.arm for record in found if record.thought is not None}
    assert {"wait.vote", "thought.vote", "canvas"} <= kept and not kept & {"confidence", "answer.vote"}
    for record in found:
        begins = record.arm == "canvas" or record.arm.startswith("wait.")
        assert begins == any(name.startswith("plant_") for name in record.events)
        assert ("waits" in record.events) == begins, "the task of the others has no signs"
    pack(found, tmp_path / "records.parquet")
    assert sorted(map(encode, unpack(tmp_path / "records.parquet").items)) == sorted(map(encode, found))


def test_settings_stand_in_place_of_the_tasks(tmp_path: Path) -> None:
    search = ("+model@models.search=thought", "models.search.task={thought:search}", "+arm@arms.search=thought")
    assert experiment(tmp_path, *SUDOKU, *search, "arms.search.model=search", of=(*TINY[:2], "experiment=any")) == 0
    said = {
        name: json.loads((tmp_path / "models" / name / "description.json").read_text())["task"]
        for name in ("thought", "search")
    }
    assert said["search"]["settings"] == said["thought"]["settings"] | {"thought": "search"}
    assert {"search.vote", "thought.vote"} <= {record.arm for record in read(tmp_path / "records.jsonl", Record).items}


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (("models.thought.task={seed:7}",), ["models.thought.task", "test items are not those", "leave seed"]),
        (("models.thought.task=search",), ["models.thought.task=search", "settings that replace"]),
        (("models.thought.task={lenght:3}",), ["models.thought.task", "lenght"]),
        (("+arms.thought.begins=given",), ["arms.thought", "begins=given", "do not correct themselves"]),
        (("+arms.confidence.begins=given",), ["arms.confidence.begins=given", "writes no thoughts"]),
        (("+arms.thought.begins=wrong",), ["arms.thought.begins=wrong", "editable, given"]),
        ((*WAIT, "+arms.wait.begins=editable"), ["arms.wait", "changes nothing that stands"]),
    ],
)
def test_other_items_are_refused_before_anything_is_written(
    argv: tuple[str, ...], words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert experiment(tmp_path / "out", *argv) == 2
    said = capsys.readouterr().err
    assert all(word in said for word in words), said
    assert not (tmp_path / "out" / "models").exists()
