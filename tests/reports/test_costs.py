"""Seconds and costs of an answer, against the measurements and records that they are made of."""

import re
from pathlib import Path
from statistics import fmean

import pytest

from dlmreason.analysis.records import Record, Timing, Writer, read
from dlmreason.reports import costs
from dlmreason.reports.gather import gather


def test_seconds_of_a_point_are_the_mean_of_its_answers_calls(run_folder: Path) -> None:
    found = gather(run_folder)
    points = costs.points(found)
    records = read(run_folder / "records.jsonl", Record).items
    for point in points["change_of_mind"]:
        own = [each for each in records if (each.arm, each.rung) == ("change_of_mind", point["rung"])]
        # A call of b rows takes 0.002 (1 + b / 10) seconds, as the run says.
        assert point["latency"] == pytest.approx(fmean(each.sequential_depth * 0.0022 for each in own))
        assert point["throughput"] == pytest.approx(fmean(each.nfe * 0.022 / 100 for each in own))
    alone = points["ar_thought"][-1]
    assert alone["latency"] == pytest.approx(alone["depth"] * (0.001 + 256 * 0.0001)), "chains are rows of one call"
    assert not any("latency" in point for point in points["restarts"]), "what was not measured is not told"


def test_budgets_that_were_timed_by_themselves_have_their_seconds(run_folder: Path, tmp_path: Path) -> None:
    with Writer(tmp_path / "records.jsonl") as out:
        out.append_many(read(run_folder / "records.jsonl", Record).items)
    with Writer(tmp_path / "timings.jsonl") as out:
        out.append(Timing("confidence", 8, 30.0, 60, 60, 8, None, "cpu", 1, "k"))
    points = costs.points(gather(tmp_path))
    timed = {(arm, point["rung"]): point["timed"] for arm in points for point in points[arm] if "timed" in point}
    assert timed == {("confidence", 8): 0.5}


def test_the_table_has_what_was_measured_and_no_empty_column(run_folder: Path, tmp_path: Path) -> None:
    found = gather(run_folder)
    points = costs.points(found)
    text = costs.costs(found, points)
    row = re.search(r'<th scope="row">confidence</th>(.*?)</tr>', text)[1]
    cells = re.findall(r"<td>(.*?)</td>", row)
    last = points["confidence"][-1]
    assert cells[1] == f"{100 * last['accuracy']:.1f}" and cells[-2] == "300"
    assert float(cells[-1]) == pytest.approx(3.0 / 10 * last["depth"], rel=0.01), "joules of a call, times its calls"
    with Writer(tmp_path / "records.jsonl") as out:
        out.append_many(read(run_folder / "records.jsonl", Record).items)
    bare = gather(tmp_path)
    assert not re.search(
        "seconds|joules|MiB", re.search("<thead>.*?</thead>", costs.costs(bare, costs.points(bare)))[0]
    )
