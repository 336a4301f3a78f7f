"""A pair of arms from a records file: the numbers are those of the analysis, and what is not there is refused."""

import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from dlmreason.analysis.records import Measurement, Record, Timing, Writer
from tests.entry_points.tiny import ROOT, start


def answers(arm: str, rung: int, right: Sequence[bool], key: str = "k") -> list[Record]:
    return [
        Record(
            arm=arm, task="toy", split="test", example=str(i), difficulty=0, rung=rung, seed=0, answer="", correct=good,
            reason="", nfe=rung, scheduled_passes=rung, sequential_depth=rung, flops=10 * rung, events={}, run_key=key,
        )
        for i, good in enumerate(right)
    ]  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Forty puzzles: `a` is right about twenty of them; `b` about ten at 4 passes and thirty at 16."""
    with Writer(tmp_path / "records.jsonl") as out:
        for rung, share in ((4, 10), (16, 30)):
            out.append_many(answers("a", rung, [i < 20 for i in range(40)]))
            out.append_many(answers("b", rung, [i < share for i in range(40)]))
        out.append_many(answers("c", 64, [True] * 40))
    return tmp_path


@pytest.mark.parametrize("name", ["", "records.jsonl"])
def test_the_second_against_the_first_at_the_highest_budget_of_both(
    name: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert start("compare", f"records={folder / name}", "first=a", "second=b") == 0
    first, second, difference, *_ = capsys.readouterr().out.splitlines()
    assert first == "a at 16 passes: 50.0 % [35.2, 64.8] of 40 answers, 160 FLOP each"
    assert second.startswith("b at 16 passes: 75.0 %")
    assert difference.startswith("b over a: +25.0 points [") and "p = .002" in difference
    assert difference.endswith("n = 40 puzzles; 0 right with a alone, 10 with b alone")


def test_each_at_a_budget_of_its_own(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert start("compare", f"records={folder}", "first=b@4", "second=c@64") == 0
    assert "c over b: +75.0 points" in capsys.readouterr().out


def test_a_committed_file_gives_the_difference_that_its_readme_quotes(capsys: pytest.CaptureFixture[str]) -> None:
    records = ROOT / "experiments" / "remask_vs_no_remask" / "records.jsonl.gz"
    assert start("compare", f"records={records}", "first=random@128", "second=learned@128") == 0
    said = capsys.readouterr().out
    assert "learned over random: +6.5 points [+2.8, +11.2]" in said
    assert "`learned` over `random` +6.5 points [+2.8, +11.2]" in (records.parent / "README.md").read_text("utf-8")


def test_it_says_who_overtakes_where(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """20 of 40 throughout, against 10 rising to 30: level half way in the log of the cost."""
    assert start("compare", f"records={folder}", "first=a", "second=b") == 0
    lead, since, mean = capsys.readouterr().out.splitlines()[3:]
    assert lead == "from 40 FLOP to 160 FLOP (FLOPs an answer) the lead changes once: b at 80 FLOP"
    assert since.startswith("b is ahead for good from [") and "10,000 draws" in since
    assert mean.startswith("b over a on the mean of that range, cost counted by its log: +0.0 points [")
    assert start("compare", f"records={folder}", "first=a", "second=b", "axis=depth") == 0
    assert "from 4 to 16 (sequential depth an answer) the lead changes once: b at 8" in capsys.readouterr().out


def test_seconds_come_from_the_timings_beside_the_records(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    argv = (f"records={folder}", "first=a", "second=b", "axis=seconds")
    assert start("compare", *argv) == 2
    assert "timings.jsonl cannot be read" in capsys.readouterr().err
    with Writer(folder / "timings.jsonl") as out:
        out.append_many(Timing(arm, rung, rung, 40, 8, 1, None, "cpu", 1, "k") for arm in "ab" for rung in (4, 16))
    assert start("compare", *argv) == 0
    assert "from 0.1 s to 0.4 s (seconds an answer) the lead changes once: b at 0.2 s" in capsys.readouterr().out


def test_latency_and_throughput_come_from_the_measurements_beside_the_records(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Both arms made 4 and 16 calls of 0.1 s; alone or full is told by the axis."""
    argv = (f"records={folder}", "first=a", "second=b")
    assert start("compare", *argv, "axis=latency") == 2
    assert "measurements.jsonl cannot be read" in (said := capsys.readouterr().err) and "budget.time=true" in said
    with Writer(folder / "measurements.jsonl") as out:
        out.append_many(
            Measurement(arm, "pass", batch, 4, 0.4, 0.1, 0.1 / batch, None, None, {}, "cpu", 1, "k")
            for arm in "ab"
            for batch in (1, 10)
        )
    assert start("compare", *argv, "axis=latency") == 0
    assert "from 0.4 s to 1.6 s (latency an answer) the lead changes once: b at 0.8 s" in capsys.readouterr().out
    assert start("compare", *argv, "axis=throughput") == 0
    assert "from 0.04 s to 0.16 s (throughput an answer)" in capsys.readouterr().out


def test_arms_without_a_common_range_are_compared_at_their_budgets(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert start("compare", f"records={folder}", "first=b@4", "second=c@64") == 0
    said = capsys.readouterr().out
    assert "where one overtakes the other cannot be said: c has 1 of 1 budgets" in said


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (("first=a", "second=bb@4"), ["bb@4", "no arm", "a, b, c"]),
        (("first=a", "second=b@8"), ["b has no budget 8", "4, 16"]),
        (("first=a@many", "second=b@4"), ["a@many", "whole number", "a@16"]),
        (("first=a", "second=c"), ["no budget in common", "a@<budget>"]),
        (("first=a",), ["second: needs a value"]),
        (("first=7", "second=b"), ["first=7", "must be a text"]),
        (("first=a", "second=b", "axis=joules"), ["axis=joules", "flops, depth, seconds, latency, throughput"]),
    ],
)
def test_what_is_not_there_is_refused(
    argv: tuple[str, ...], words: list[str], folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert start("compare", f"records={folder}", *argv) == 2
    said = capsys.readouterr().err
    assert said.startswith("error: ") and said.count("\n") == 1
    assert [word for word in words if word not in said] == []


def test_a_folder_or_file_without_records_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert start("compare", f"records={tmp_path}", "first=a", "second=b") == 2
    assert "there is none of records.jsonl" in capsys.readouterr().err
    assert start("compare", f"records={tmp_path / 'none'}", "first=a", "second=b") == 2
    assert "cannot be read" in capsys.readouterr().err


def test_two_runs_of_one_point_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with Writer(tmp_path / "records.jsonl") as out:
        out.append_many(answers("a", 4, [True]) + answers("a", 4, [True], key="other"))
    assert start("compare", f"records={tmp_path}", "first=a", "second=a") == 2
    assert "run_key k and other" in capsys.readouterr().err


def test_a_report_keeps_to_what_the_claim_declared(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Unmatched points take the figure of before away; matched ones bring it back."""
    (folder / "run.json").write_text(json.dumps({"family": [["a@4", "b@16"]], "tolerance": 0.1}))
    (folder / "figure.svg").write_text("<svg/>")
    assert start("report", f"output={folder}") == 0
    said = capsys.readouterr()
    assert (
        "figure.svg is not drawn: no common axis: a at 4 passes spends 40 FLOP and b at 16 passes spends 160"
        in said.err
    )
    assert "Declared: b is ahead of a at 16 passes (against 4 passes): +25.0 points" in said.out
    assert not (folder / "figure.svg").exists() and (folder / "report.html").exists()
    (folder / "run.json").write_text(json.dumps({"family": [["a@4", "b@4"]], "tolerance": 0.1}))
    assert start("report", f"output={folder}") == 0
    assert (folder / "figure.svg").exists()
    (folder / "run.json").write_text(json.dumps({"family": [["a@4", "x@4"]]}))
    assert start("report", f"output={folder}") == 2
    assert "x@4: no arm of these records" in capsys.readouterr().err
