"""What a budget buys the autoregressive arms is said before any compute, and is what they then spend."""

import json
from pathlib import Path
from typing import Any

import pytest

from dlmreason import train
from dlmreason.analysis.records import Record, read
from tests.entry_points.tiny import copy, experiment


@pytest.fixture
def no_training(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: Any, **kwargs: Any) -> None:
        raise AssertionError("a model was trained")

    monkeypatch.setattr(train, "_fit", refuse)


def test_what_was_said_is_what_is_spent(finished: Path) -> None:
    """Answers are of one length, so what is said of one is true of each; a thought is as long as the model makes it."""
    said = json.loads((finished / "matching.json").read_text())
    assert said.keys() == {"answer", "thought"}
    found = [each for each in read(finished / "records.jsonl", Record).items if each.arm == "answer.vote"]
    assert {str(each.rung) for each in found} <= said["answer"]["rungs"].keys()
    for each in found:
        told = said["answer"]["rungs"][str(each.rung)]
        assert (each.flops, each.events["chains"]) == (told["spent"], told["chains"])
        assert told["flops"] == each.rung * said["answer"]["flops_per_pass"] >= told["spent"]
        assert told["matched"] == (1 - told["spent"] / told["flops"] <= 0.02)


def test_a_budget_below_one_chain_is_told_with_the_numbers(
    finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "poor"
    for part in ("models", "training"):
        copy(finished / part, folder / part)
    assert experiment(folder, "budget.passes=1") == 0
    said = capsys.readouterr().err
    unit = json.loads((folder / "matching.json").read_text())["thought"]["flops_per_pass"]
    assert f"thought: budget.passes=1 is {unit:,} FLOPs, and one chain takes" in said
    first = int(said.partition("it answers from ")[2].split()[0])
    lowest = {each.rung for each in read(finished / "records.jsonl", Record).items if each.arm == "thought.vote"}
    assert 1 < first <= min(lowest)
    assert said.index("it answers from") < said.index("trained before"), "before any compute"


def test_an_unmatched_pair_is_refused_before_compute_where_that_is_asked_for(
    no_training: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert experiment(tmp_path / "out", "budget.mismatch=0.02", "budget.ar_chains=2") == 2
    said = capsys.readouterr().err
    assert "arms.answer, budget of 8 passes: 2 chains of" in said and "budget.ar_chains=2 allows no more" in said
    assert "arms.thought, budget of 1 passes: not one chain is bought" in said
    assert not (tmp_path / "out").exists()
    assert experiment(tmp_path / "out", "budget.mismatch=1") == 2
    assert "budget.mismatch=1: must be a finite number" in capsys.readouterr().err


def test_a_pair_that_is_matched_is_not_refused(finished: Path, tmp_path: Path) -> None:
    folder = tmp_path / "matched"
    for part in ("models", "training"):
        copy(finished / part, folder / part)
    rungs = json.loads((finished / "matching.json").read_text())["answer"]["rungs"]
    most = max(each["mismatch"] for each in rungs.values())
    given = ("budget.traces=0", "~arms.thought", "budget.examples=1")
    assert experiment(folder, f"budget.mismatch={most}", *given) == 0
    assert experiment(tmp_path / "other", f"budget.mismatch={most * 0.999}", *given) == 2
