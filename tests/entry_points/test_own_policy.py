"""A policy of a user's own that breaks a rule: exit code 2 and one message, whatever the entry point."""

import json
from pathlib import Path

import pytest

from tests.entry_points.tiny import MACHINE, records, start

POLICY = '''
from dataclasses import dataclass

import torch

from dlmreason.policies.ordered import Ordered
from dlmreason.policies.scores import confidence


@dataclass(frozen=True)
class Silent(Ordered):
    """Writes as it should, and forgets to say the last blank."""

    score: object = confidence
    count: int = 1
    since: int = 0

    def __call__(self, canvas, reading, clock, memory, noise):
        move = super().__call__(canvas, reading, clock, memory, noise)
        blank = canvas.editable & (clock.index >= self.since)[:, None]
        return move._replace(answer=torch.where(blank, canvas.mask_id, move.answer))
'''
CONFIG = "name: silent\n_target_: mypolicy.Silent\nsince: 3\n"


@pytest.fixture
def mine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a policy and its config."""
    folder = tmp_path / "mine"
    (folder / "policy").mkdir(parents=True)
    (folder / "mypolicy.py").write_text(POLICY)
    (folder / "policy" / "silent.yaml").write_text(CONFIG)
    monkeypatch.syspath_prepend(str(folder))
    return folder


def test_an_evaluation_names_the_policy_and_keeps_what_was_recorded(
    mine: Path, sudoku: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    checkpoint = f"checkpoint={sudoku / 'models' / 'diffusion'}"
    argv = ("--config-dir", str(mine), checkpoint, "policy=silent", "trusted=[mypolicy]", "budget=tiny", *MACHINE)
    assert start("evaluate", *argv, f"output={tmp_path / 'out'}", "budget.passes=2", "budget.rungs=[2]") == 0
    before = records(tmp_path / "out")
    capsys.readouterr()
    assert start("evaluate", *argv, f"output={tmp_path / 'out'}", "budget.passes=8", "budget.rungs=[2,8]") == 2
    said = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error: ")]
    assert len(said) == 1
    for word in ("arms.silent.policy: policy Silent, example ", "after pass ", "the mask, at position ", "fill it"):
        assert word in said[0]
    assert records(tmp_path / "out") == before
    assert any(f"example {json.loads(line[9:])['example']}," in said[0] for line in before)


def test_one_puzzle_names_the_policy_too(mine: Path, sudoku: Path, capsys: pytest.CaptureFixture[str]) -> None:
    argv = ("--config-dir", str(mine), f"checkpoint={sudoku}", "policy=silent", "trusted=[mypolicy]")
    assert start("solve", *argv, "puzzle=0340000000000210", "budget.passes=8") == 2
    said = capsys.readouterr().err
    assert said.count("error: ") == 1
    assert "error: policy: policy Silent, example " in said


@pytest.mark.slow
def test_what_a_shard_refuses_is_said_once_with_its_name(
    mine: Path, sudoku: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    checkpoint = f"checkpoint={sudoku / 'models' / 'diffusion'}"
    argv = ("--config-dir", str(mine), checkpoint, "policy=silent", "trusted=[mypolicy]", "budget=tiny", *MACHINE)
    assert start("evaluate", *argv, f"output={tmp_path / 'out'}", "budget.passes=8", "budget.shards=2") == 2
    said = capfd.readouterr().err
    assert "Traceback" not in said
    told = [line for line in said.splitlines() if line.startswith("error: ")]
    assert 1 <= len(told) <= 2  # the other one may meet it before it is ended
    assert "of 2: arms.silent.policy: policy Silent, example " in told[0]
