"""Laws of an experiment that nothing disturbs: what it leaves behind, and that it does nothing twice."""

import json
from collections import Counter
from itertools import takewhile
from pathlib import Path
from typing import Any

import pytest

from dlmreason.analysis.records import Record, Timing, Trace, read
from dlmreason.networks.transformer import Transformer
from dlmreason.training import fit
from tests.entry_points.tiny import content, copy, experiment, records, start, weights

DIFFUSION = ("confidence", "change_of_mind", "random_doubt", "restarts")
RULES = ("vote", "log_prob", "quality")
RUNGS = (1, 2, 4, 8)


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Any call of any network, and any update, fails the test."""

    def refuse(*args: Any, **kwargs: Any) -> None:
        raise AssertionError("the network was called")

    monkeypatch.setattr(Transformer, "forward", refuse)
    monkeypatch.setattr(fit, "_trainer", refuse)


def test_everything_is_there(finished: Path) -> None:
    expected = (
        "config.yaml run.json records.jsonl timings.jsonl traces.jsonl summary.json table.md figure.svg report.html"
    )
    for name in expected.split():
        assert (finished / name).stat().st_size > 100, name
    for model in ("diffusion", "answer", "thought"):
        assert (finished / "metrics" / f"{model}.jsonl").exists()
        files = {path.name for path in (finished / "models" / model).iterdir()}
        assert files == {"model.safetensors", "description.json", "manifest.sha256"}
    assert not list(finished.rglob("*.part"))
    assert (finished / ".lock").read_text() == ""


def test_every_arm_answers_every_example_at_every_rung_that_it_can_afford(finished: Path) -> None:
    found = read(finished / "records.jsonl", Record)
    assert not found.problems
    points = Counter((record.arm, record.rung) for record in found.items)
    assert len({record.point for record in found.items}) == len(found.items)
    revising = DIFFUSION[1:]
    arms = [*DIFFUSION, *(f"{arm}.last" for arm in revising), *(f"answer.{rule}" for rule in RULES)]
    assert {place for place in points if not place[0].startswith("thought")} == {
        (arm, rung) for arm in arms for rung in RUNGS
    }
    assert set(points.values()) <= {5} or all(arm.startswith("thought") for (arm, _), n in points.items() if n != 5)
    assert {f"thought.{rule}" for rule in RULES} <= {arm for arm, _ in points}
    assert {record.seed for record in found.items} == {0}
    keys: dict[str, set[str]] = {}
    for record in found.items:
        keys.setdefault(record.arm.partition(".")[0], set()).add(record.run_key)
    assert all(len(each) == 1 for each in keys.values())
    assert len({key for each in keys.values() for key in each}) == 6  # no two arms share a key


def test_the_summary_counts_the_records(finished: Path) -> None:
    summary = json.loads((finished / "summary.json").read_text())
    found = read(finished / "records.jsonl", Record).items
    assert summary["arms"].keys() == {record.arm for record in found}
    for arm, about in summary["arms"].items():
        assert [point["rung"] for point in about["points"]] == sorted({each.rung for each in found if each.arm == arm})
        for point in about["points"]:
            here = [each for each in found if (each.arm, each.rung) == (arm, point["rung"])]
            assert point["n"] == len(here)
            assert point["correct"] == sum(each.correct for each in here)
            assert point["accuracy"] == point["correct"] / point["n"]
            assert 0 <= point["low"] <= point["accuracy"] <= point["high"] <= 1
            assert point["flops"] == pytest.approx(sum(each.flops for each in here) / len(here))
            assert point["nfe"] == pytest.approx(sum(each.nfe for each in here) / len(here))


def test_models_are_of_equal_training_and_told_of(finished: Path) -> None:
    about = {path.parent.name: json.loads(path.read_text()) for path in finished.glob("models/*/description.json")}
    spent = {name: each["extra"]["training_flops"] for name, each in about.items()}
    one_update = {name: spent[name] / about[name]["extra"]["updates"] for name in spent}
    for name in ("answer", "thought"):
        assert abs(spent[name] - spent["diffusion"]) <= one_update[name]
    for each in about.values():
        assert each["extra"]["learning"].keys() == {"half", "full"}
    run = json.loads((finished / "run.json").read_text())
    assert run["primary"] == "change_of_mind"
    assert run["packages"]["torch"] and run["machine"]["threads"] == 1


def test_metrics_tell_each_update_once(finished: Path) -> None:
    for path in (finished / "metrics").glob("*.jsonl"):
        entries = [json.loads(line) for line in path.read_text().splitlines()]
        losses = [entry["update"] for entry in entries if "loss" in entry]
        looks = [entry["update"] for entry in entries if "accuracy" in entry]
        assert losses == sorted(set(losses)) and losses[:2] == [2, 4]
        assert len(looks) == 2


def test_timings_and_traces_belong_to_the_records(finished: Path) -> None:
    found = read(finished / "records.jsonl", Record).items
    timings = read(finished / "timings.jsonl", Timing).items
    assert [timing.arm for timing in timings] == [*DIFFUSION, "answer", "thought"]
    keys = {record.arm.partition(".")[0]: record.run_key for record in found}
    assert all(timing.run_key == keys[timing.arm] and timing.rows == 5 for timing in timings)
    (trace,) = read(finished / "traces.jsonl", Trace).items
    last = next(each for each in found if (each.arm, each.example, each.rung) == (trace.arm, trace.example, 8))
    answer = list(trace.start)
    for change in trace.answers:
        for position, token in change["changes"]:
            answer[position] = token
    written = [trace.symbols[token] for token, given in zip(answer, trace.given, strict=True) if not given]
    assert last.answer == " ".join(takewhile(lambda symbol: symbol not in ("<pad>", "<eos>"), written))


def test_run_again_it_does_nothing_twice(
    finished: Path, tmp_path: Path, no_network: None, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = copy(finished, tmp_path / "again")
    assert experiment(folder) == 0  # the copy lies elsewhere, which its description tells from here on
    before = content(folder)
    capsys.readouterr()
    assert experiment(folder) == 0
    said = capsys.readouterr().err
    assert said.count("trained before") == 3
    assert said.count("all 5 examples are answered") == 6
    assert "walking" not in said
    assert content(folder) == before
    assert records(folder) == records(finished)


def test_where_a_chain_costs_more_than_the_budget_nothing_is_done_twice_either(
    finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "poor"
    for part in ("models", "training"):
        copy(finished / part, folder / part)
    assert experiment(folder, "budget.passes=1") == 0
    arms = {record.arm.partition(".")[0] for record in read(folder / "records.jsonl", Record).items}
    assert arms == {*DIFFUSION, "answer"}  # one pass buys an answer, and no thought
    before = content(folder)
    capsys.readouterr()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Transformer, "forward", None)
        assert experiment(folder, "budget.passes=1") == 0
    assert capsys.readouterr().err.count("all 5 examples are answered") == 6
    assert content(folder) == before
    assert experiment(folder) == 0  # more passes buy one
    assert records(folder) == records(finished)


def test_fewer_examples_are_a_part_of_what_is_there(finished: Path, tmp_path: Path, no_network: None) -> None:
    folder = copy(finished, tmp_path / "fewer")
    assert experiment(folder, "budget.examples=2", "budget.passes=4", "budget.traces=0") == 0
    assert records(folder) == records(finished)
    assert (folder / "traces.jsonl").read_bytes() == (finished / "traces.jsonl").read_bytes()


@pytest.mark.parametrize("examples", [5, 2])
def test_traces_follow_the_ladder_and_the_examples(finished: Path, tmp_path: Path, examples: int) -> None:
    folder = copy(finished, tmp_path / "traced")
    assert experiment(folder, f"budget.examples={examples}", "budget.passes=4", "budget.traces=3") == 0
    traces = read(folder / "traces.jsonl", Trace).items
    asked = {record.example for record in read(folder / "records.jsonl", Record).items}
    assert traces and {trace.example for trace in traces} <= {f"test/0/{number}" for number in range(examples)} <= asked
    assert max(frame["pass"] for trace in traces for frame in trace.frames) == 4


def test_an_extended_run_is_the_long_run(finished: Path, tmp_path: Path) -> None:
    extended, direct = copy(finished, tmp_path / "extended"), tmp_path / "direct"
    for part in ("models", "training"):
        copy(finished / part, direct / part)
    for folder in (extended, direct):
        assert experiment(folder, "budget.passes=32") == 0
    assert records(extended) == records(direct)
    assert set(records(finished)) < set(records(extended))
    assert (extended / "traces.jsonl").read_bytes() == (direct / "traces.jsonl").read_bytes()
    assert weights(extended) == weights(finished)
    assert (extended / "run.json").read_bytes() != (
        finished / "run.json"
    ).read_bytes()  # it tells of the last that added


def test_one_policy_takes_the_place_of_the_diffusion_arms(finished: Path, tmp_path: Path) -> None:
    folder = tmp_path / "one"
    for part in ("models", "training"):
        copy(finished / part, folder / part)
    assert experiment(folder, "policy=restarts") == 0
    arms = {record.arm for record in read(folder / "records.jsonl", Record).items}
    assert arms == {"restarts", "restarts.last", *(f"{arm}.{rule}" for arm in ("answer", "thought") for rule in RULES)}
    assert set(records(folder)) < set(records(finished))
    assert json.loads((folder / "run.json").read_text())["primary"] == "restarts"
    assert start("report", f"output={folder}") == 0
