"""Laws of instantiate: parts first, wrong arguments under their key, and no target that runs foreign code."""

from dataclasses import dataclass
from typing import Literal

import pytest

from dlmreason import launch
from dlmreason.launch_rules import (
    Integer,
)


@dataclass
class Puzzle:
    size: int
    eta: float = 0.5
    mode: Literal["a", "b"] = "a"
    inner: "Puzzle | None" = None
    rungs: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if self.size > 9:
            raise ValueError(f"size={self.size} is above 9")


HERE = Puzzle.__module__
TRUSTED = [HERE.partition(".")[0]]


def build(**arguments: object) -> object:
    return launch.instantiate({"_target_": f"{HERE}.Puzzle", **arguments}, "task", TRUSTED)


def test_instantiate_builds_parts_first_and_adds_what_the_run_knows() -> None:
    inner = {"_target_": f"{HERE}.Puzzle", "size": 2}
    config = {"_target_": f"{HERE}.Puzzle", "inner": inner, "rungs": [1, 2]}
    assert launch.instantiate(config, "task", TRUSTED, size=4) == Puzzle(4, inner=Puzzle(2), rungs=[1, 2])
    assert launch.instantiate({"a": inner, "b": [inner, 3]}, "", TRUSTED) == {"a": Puzzle(2), "b": [Puzzle(2), 3]}
    later = launch.instantiate({**inner, "_partial_": True}, "task", TRUSTED)
    assert later(eta=1.0) == Puzzle(2, 1.0)
    assert build(size=4, eta=1) == Puzzle(4, 1)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"size": 4, "siez": 3}, ["task.siez: no such argument", "nearest: size", "size: int"]),
        ({}, ["task.size: needs a value"]),
        ({"size": 1.5}, ["task.size=1.5: must be int"]),
        ({"size": True}, ["task.size=true: must be int"]),
        ({"size": 4, "eta": float("nan")}, ["task.eta=nan: must be float"]),
        ({"size": 4, "mode": "c"}, ["task.mode=c: must be 'a' | 'b'"]),
        ({"size": 4, "rungs": [1, "x"]}, ["task.rungs=[1,x]: must be"]),
        ({"size": 10}, ["task: size=10 is above 9"]),
        ({"size": 4, "inner": {"_target_": f"{HERE}.Puzzle", "size": 10}}, ["task.inner: size=10 is above 9"]),
        ({"size": 4, "inner": {"_target_": f"{HERE}.Puzle", "size": 1}}, ["task.inner._target_", "nearest: Puzzle"]),
    ],
)
def test_a_wrong_argument_is_bad_input_under_its_key(arguments: dict[str, object], words: list[str]) -> None:
    with pytest.raises(launch.BadInput) as caught:
        build(**arguments)
    assert [word for word in words if word not in str(caught.value)] == []


@pytest.mark.parametrize(
    "target",
    [
        "os.system",
        "torch.load",
        "torch.hub.load",
        "numpy.load",
        "builtins.eval",
        "subprocess.run",
        "dlmreason.launch_process.os.system",  # through an import of ours
        "dlmreason.launch_process.subprocess.run",
        "dlmreason.launch_process._git",
        "dlmreason.launch_process",
        "lightning.fabric.utilities.cloud_io._load",
        "lightning.pytorch.LightningModule.load_from_checkpoint",  # unpickles
        "dlmreasonable.thing",
        "dlmreason.launch_rules.Integer.__class__",
        "not a path",
        "",
        None,
    ],
)
def test_no_target_runs_foreign_code(target: str | None) -> None:
    with pytest.raises(launch.BadInput, match="_target_"):
        launch.instantiate({"_target_": target}, "task")


def test_an_own_package_is_followed_once_trusted() -> None:
    config = {"_target_": f"{HERE}.Puzzle", "size": 4}
    with pytest.raises(launch.BadInput, match=rf"trusted=\[{TRUSTED[0]}\]"):
        launch.instantiate(config, "task")
    assert launch.instantiate(config, "task", TRUSTED) == Puzzle(4)
    assert launch.instantiate({"_target_": "dlmreason.launch_rules.Integer", "low": 1}) == Integer(1)


def test_refused_turns_named_exceptions_into_bad_input() -> None:
    with pytest.raises(launch.BadInput, match=r"task\.file: line 3"):
        with launch.refused("task.file", KeyError, LookupError):
            raise LookupError("line 3")
    with pytest.raises(RuntimeError):
        with launch.refused("task.file", LookupError):
            raise RuntimeError
