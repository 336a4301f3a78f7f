"""Ladders on the way: what a training looks at between its updates changes nothing of it, and is what an evaluation
finds."""

import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from dlmreason.analysis.records import Record, read
from dlmreason.looks import LADDER
from tests.entry_points.tiny import GRAPH, MACHINE, NETWORK, TRAINER, at_call, start, weights

Entry = dict[str, Any]
PLAIN = (*NETWORK, *TRAINER, *MACHINE, "budget=tiny", "model.updates=8")
VALIDATION = ("task.validation_examples=12",)


def train(folder: Path, *argv: str, task: tuple[str, ...] = GRAPH) -> int:
    few = [each for each in task if not each.startswith("task.validation")]
    return start("train", *PLAIN, *few, *VALIDATION, *argv, f"output={folder}")


def entries(folder: Path) -> list[Entry]:
    """Of the one model, without the seconds."""
    (path,) = (folder / "metrics").glob("*.jsonl")
    rows = map(json.loads, path.read_text().splitlines())
    return [{name: value for name, value in row.items() if name != "seconds"} for row in rows]


def is_ladder(entry: Entry) -> bool:
    return any(name.startswith("accuracy_") for name in entry)


def steps(folder: Path) -> dict[str, Any]:
    """Each checkpoint of the training, as bytes but for the seconds."""

    def bits(tree: Any) -> Any:
        if isinstance(tree, torch.Tensor):
            return (str(tree.dtype), tuple(tree.shape), tree.numpy().tobytes())
        if isinstance(tree, dict):
            return {name: bits(part) for name, part in tree.items() if name != "seconds"}
        return [bits(part) for part in tree] if isinstance(tree, list | tuple) else tree

    paths = folder.glob("training/*/steps/*.ckpt")
    return {path.name: bits(torch.load(path, weights_only=True)) for path in paths}


class Killed(BaseException):
    """No failure that anyone handles."""


def kill() -> None:
    raise Killed


@pytest.fixture(scope="module", params=["diffusion", "answer"])
def climbed(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    """A training with ladders, and its model."""
    folder = tmp_path_factory.mktemp("climbed")
    assert train(folder, f"model={request.param}") == 0
    return request.param, folder


def test_ladders_are_logged_at_each_quarter(climbed: tuple[str, Path]) -> None:
    model, folder = climbed
    found = [entry for entry in entries(folder) if is_ladder(entry)]
    assert [entry["update"] for entry in found] == [2, 4, 6, 8]
    names = {f"accuracy_{passes}" for passes in LADDER} if model == "diffusion" else {"accuracy_greedy"}
    assert all(entry.keys() == {"step", "update"} | names for entry in found)


def test_without_ladders_all_else_is_the_same_to_the_byte(climbed: tuple[str, Path], tmp_path: Path) -> None:
    model, folder = climbed
    assert train(tmp_path, f"model={model}", "trainer.ladders=0") == 0
    assert weights(tmp_path) == weights(folder) and steps(tmp_path) == steps(folder) != {}
    assert entries(tmp_path) == [entry for entry in entries(folder) if not is_ladder(entry)]


POINTS = {
    "before a ladder": ("dlmreason.training.fit:_Keeper._asked", 4),
    "after a ladder, before its update is saved": ("dlmreason.training.fit:_Keeper._save", 2),
    "within a ladder": ("dlmreason.looks:_right", 4),
    "after the last": ("dlmreason.networks.checkpoint:save", 1),
}


@pytest.mark.parametrize("point", POINTS)
def test_interrupted_a_training_has_each_ladder_once(point: str, climbed: tuple[str, Path], tmp_path: Path) -> None:
    model, folder = climbed
    argv = (f"model={model}", "trainer.checkpoint_every=3")
    with pytest.MonkeyPatch.context() as patch, pytest.raises(Killed):
        at_call(*POINTS[point], kill, patch.setattr)
        train(tmp_path, *argv)
    assert train(tmp_path, *argv) == 0
    assert weights(tmp_path) == weights(folder) and entries(tmp_path) == entries(folder)


def test_no_generator_is_touched(climbed: tuple[str, Path], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from dlmreason import looks

    touched = []

    def drawn() -> tuple[Any, ...]:
        return torch.get_rng_state().tolist(), np.random.get_state()[1].tolist(), random.getstate()  # type: ignore[index]  # noqa: NPY002

    def watched(real: Callable[..., Any]) -> Callable[..., Any]:
        def right(*argv: Any) -> Any:
            before = drawn()
            found = real(*argv)
            touched.append(drawn() != before)
            return found

        return right

    monkeypatch.setattr(looks, "_right", watched(looks._right))
    assert train(tmp_path, f"model={climbed[0]}") == 0
    assert len(touched) == 4 + 2 and not any(touched)


EASY = ("task=sudoku4x4", "task.clues=[14,15]", "task.train_examples=40")
LEARNED = ("model.updates=60", "trainer.checkpoint_every=60", "trainer.lr=0.01", "trainer.muon_lr=0.05")
BLOCKS = ("objective@model.objective=block_diffusion", "model.objective.block=3")
ASKED = {
    "diffusion": (EASY, (), ("policy=confidence",)),
    "blocks": (EASY, BLOCKS, ("policy=bd3", "policy.block=3", "policy.order=confidence", "policy.temperature=0.0")),
    "answer": (GRAPH, ("model=answer",), ("rules=[vote]",)),
    "thought": (GRAPH, ("model=thought",), ("rules=[vote]",)),
}


@pytest.mark.parametrize("model", ASKED)
def test_the_last_ladder_is_what_an_evaluation_finds(model: str, tmp_path: Path) -> None:
    task, taught, asked = ASKED[model]
    assert train(tmp_path / "trained", *taught, *LEARNED, "trainer.ladder_examples=11", task=task) == 0
    last = [entry for entry in entries(tmp_path / "trained") if is_ladder(entry)][-1]
    (checkpoint,) = (tmp_path / "trained" / "models").iterdir()
    budget = (
        "budget=tiny",
        "budget.split=validation",
        "budget.examples=11",
        "budget.passes=64",
        "budget.rungs=[1,8,64]",
    )
    argv = (f"checkpoint={checkpoint}", *asked, *budget, *MACHINE, "budget.ar_chains=1", "budget.traces=0")
    assert start("evaluate", *argv, f"output={tmp_path / 'asked'}") == 0
    found: dict[int, list[bool]] = {}
    for record in read(tmp_path / "asked" / "records.jsonl", Record).items:
        found.setdefault(record.rung, []).append(record.correct)
    shares = {rung: sum(each) / 11 for rung, each in found.items()}
    if model in ("answer", "thought"):
        assert last["accuracy_greedy"] == shares[max(shares)] and len(found[max(shares)]) == 11
    else:
        assert {rung: last[f"accuracy_{rung}"] for rung in LADDER} == shares
    assert max(value for name, value in last.items() if name.startswith("accuracy_")) > 0, "all wrong says nothing"


def test_a_model_that_knows_no_masks_has_no_ladder(udlm: Path) -> None:
    assert not any(is_ladder(entry) for entry in entries(udlm)) and entries(udlm)


@pytest.mark.parametrize(
    ("setting", "allowed"),
    [("ladders=-1", "of 0 or more"), ("ladders=1.5", "whole number"), ("ladder_examples=0", "of 1 or more")],
)
def test_a_ladder_that_is_none_is_refused(
    setting: str, allowed: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert train(tmp_path / "out", f"trainer.{setting}") == 2
    said = capsys.readouterr().err
    assert f"trainer.{setting}" in said and allowed in said and not (tmp_path / "out").exists()
