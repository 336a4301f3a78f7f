"""Counting beside an experiment: it may be asked for at any time, and changes nothing of what was there."""

from pathlib import Path

import pytest

from dlmreason.analysis.records import Counted, read
from tests.entry_points.tiny import at_call, copy, experiment

ON = "budget.counters=true"


class Killed(BaseException):
    """No failure that anyone handles."""


def kill() -> None:
    raise Killed


def counters(folder: Path) -> list[bytes]:
    return sorted((folder / "counters.jsonl").read_bytes().splitlines())


def test_a_finished_run_is_counted_afterwards_once_and_its_records_stay(finished: Path, tmp_path: Path) -> None:
    assert not (finished / "counters.jsonl").exists()
    folder = copy(finished, tmp_path / "it")
    before = (folder / "records.jsonl").read_bytes()
    with pytest.MonkeyPatch.context() as patch, pytest.raises(Killed):
        at_call("dlmreason.evaluation.counting:Counting.__call__", 8, kill, patch.setattr)
        experiment(folder, ON)
    assert len(counters(folder)) == 7
    assert experiment(folder, ON) == 0
    assert (folder / "records.jsonl").read_bytes() == before
    found = read(folder / "counters.jsonl", Counted)
    walks = {(each.arm, each.example, each.rung) for each in found.items}
    assert not found.problems and len(found.items) == len(walks) == 4 * 5 + 3 * 5  # one arm walks to each of its rungs
    assert {rung for arm, _, rung in walks if arm != "confidence"} == {8}
    after = counters(folder)
    assert experiment(folder, ON) == 0 and counters(folder) == after
    assert experiment(folder) == 0 and (folder / "records.jsonl").read_bytes() == before
    at_once = copy(finished, tmp_path / "at_once")
    assert experiment(at_once, ON) == 0 and counters(at_once) == after


@pytest.mark.slow
def test_several_processes_count_what_one_does(finished: Path, tmp_path: Path) -> None:
    """Also of a run that was answered before, by another number of processes, and once."""
    one, two = copy(finished, tmp_path / "one"), copy(finished, tmp_path / "two")
    before = (two / "records.jsonl").read_bytes()
    assert experiment(one, ON) == 0 and experiment(two, ON, "budget.shards=2") == 0
    assert counters(two) == counters(one) and (two / "records.jsonl").read_bytes() == before
    assert not list(two.glob("shards/*/*/counters.jsonl"))
    assert experiment(two, ON, "budget.shards=2") == 0 and counters(two) == counters(one)


@pytest.mark.slow
def test_records_and_counters_come_together_from_several_processes(finished: Path, tmp_path: Path) -> None:
    one, two = copy(finished, tmp_path / "one"), copy(finished, tmp_path / "two")
    for folder in (one, two):
        (folder / "records.jsonl").unlink()
    assert experiment(one, ON) == 0 and experiment(two, ON, "budget.shards=2") == 0
    assert counters(two) == counters(one)
