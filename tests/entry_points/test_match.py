"""What `match` says is the same as what the arms then spend, and it trains nothing."""

import re
from pathlib import Path
from typing import Any

import pytest

from dlmreason import train
from dlmreason.analysis.comparison import At
from dlmreason.analysis.pace import Pace, latency, paces, throughput
from dlmreason.analysis.records import Measurement, Record, read
from dlmreason.match import side_of
from tests.entry_points.tiny import TINY, start


@pytest.fixture(autouse=True)
def no_training(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: Any, **kwargs: Any) -> None:
        raise AssertionError("a model was trained")

    monkeypatch.setattr(train, "_fit", refuse)


def match(*argv: str) -> int:
    return start("match", *TINY, *argv)


def test_chains_that_spend_what_passes_spend(finished: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The chains that are named spend in the records, to the FLOP, what was said; answers are of one length."""
    found = [each for each in read(finished / "records.jsonl", Record).items if each.arm == "answer.vote"]
    flops = {each.rung: (each.events["chains"], each.flops) for each in found}
    assert match("first=change_of_mind", "second=answer", "budget.mismatch=0.9", "budget.split=test") == 0
    out = capsys.readouterr().out
    said = re.findall(r"change_of_mind at ([\d,]+) pass.*?\n +([\d,]+) chains: ([\d.]+) (\w)FLOP", out)
    assert said
    checked = 0
    for rung, chains, size, unit in said:
        bought = flops.get(int(rung))
        if bought and bought[0] == int(chains):  # else the nearest is one that spends more than is allowed
            assert bought[1] == pytest.approx(float(size) * {"k": 1e3, "M": 1e6}[unit], rel=0.006)
            checked += 1
    assert checked


def test_passes_that_spend_what_chains_spend(capsys: pytest.CaptureFixture[str]) -> None:
    assert match("first=thought", "second=change_of_mind", "budget.mismatch=0.3") == 0
    out = capsys.readouterr().out
    assert re.search(r"thought at 8 passes, which buy \d+ chains?, .*\n    [1-8] passes: ", out)
    assert "which buy" in out and "layers" not in out


def test_what_nothing_matches_is_said_with_the_nearest_on_both_sides(capsys: pytest.CaptureFixture[str]) -> None:
    assert match("first=change_of_mind", "second=answer", "budget.mismatch=0.000001") == 0
    out = capsys.readouterr().out
    assert re.search(r"no number of chains within 0%; the nearest: [\d,]+ \(.* apart\) or [\d,]+ \(.* apart\)", out)


def test_in_depth_a_thought_is_as_long_as_the_passes(capsys: pytest.CaptureFixture[str]) -> None:
    assert match("first=change_of_mind", "second=thought", "by=depth", "budget.passes=64") == 0
    out = capsys.readouterr().out
    assert "change_of_mind at 64 passes, 64 calls one after another" in out
    assert re.search(r"\d+ tokens of one thought: 64 calls one after another, 0.0% apart", out)


@pytest.mark.parametrize("by", ["latency", "throughput"])
def test_seconds_are_those_that_a_comparison_takes(by: str) -> None:
    """One price, whether settings are sought or records compared."""

    def measured(arm: str, what: str, batch: int, seconds: float) -> Measurement:
        return Measurement(
            arm, what, batch, 10, seconds * 10, seconds, seconds / batch, None, None, {}, "cpu", 1, "key"
        )

    measurements = [measured("p", "pass", 1, 0.002), measured("p", "pass", 64, 0.02)]
    measurements += [measured("c", "token", 1, 0.001), measured("c", "token", 128, 0.03)]
    axis = {"latency": latency, "throughput": throughput}[by](measurements)
    pace: dict[str, Pace] = paces(measurements)

    class Model:
        shape = type("Shape", (), {"quality": True})()

    def record(arm: str, depth: int, nfe: int, chains: int) -> Record:
        events = {"chains": chains} if chains else {}
        named: Any = dict.fromkeys(Record.__dataclass_fields__)
        return Record(**{**named, "arm": arm, "sequential_depth": depth, "nfe": nfe, "events": events})

    model: Any = Model()
    passes = side_of("p", by, pace["p"], model, 20, 0, 0).passes(model.shape, 20, 7)
    assert passes == pytest.approx(axis.cost(At("p", 7), record("p", 7, 7, 0)))
    chains = side_of("c", by, pace["c"], model, 9, 11, 4).chains(model.shape, 9, 11, 5)
    assert chains == pytest.approx(axis.cost(At("c.vote", 7), record("c", 12, 55, 5)))


@pytest.mark.parametrize(
    ("argv", "says"),
    [
        (("first=nobody", "second=answer"), "first=nobody: no arm of this experiment, which has"),
        (("first=change_of_mind", "second=answer", "by=latency"), "give the folder of a run with budget.time=true"),
        (("first=change_of_mind", "second=answer", "by=hours"), "by=hours"),
        (("first=thought", "second=answer", "budget.passes=1"), "from"),
        (("first=change_of_mind", "second=answer", "by=latency", "measured=/nowhere"), "budget.time=true writes it"),
    ],
)
def test_bad_input(argv: tuple[str, ...], says: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert match(*argv) == 2
    assert says in capsys.readouterr().err
