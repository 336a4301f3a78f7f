"""What is logged of a run is what its own files say: rates, curves, calibration, changed minds."""

import json
import math
from collections import Counter
from dataclasses import replace

from dlmreason.analysis.records import Record, Trace, read
from dlmreason.analysis.summary import summary
from dlmreason.reports import series
from dlmreason.reports.series import Rates, Work
from dlmreason.reports.shown import found_in, shown_of


def test_rates_by_hand():
    """100 updates of 32 examples and 5 GFLOP in 4 s, then 50 in 1 s, on a device that multiplies at 250 GFLOP/s."""
    rates = Rates({"it": Work(32, 5e9, 250e9)})
    first = rates("it", {"update": 100, "loss": 2.0, "seconds": 4.0})
    assert first["examples_per_second"] == 800 and first["flops_per_second"] == 125e9 and first["mfu"] == 0.5
    assert rates("it", {"update": 100, "accuracy": 0.5, "seconds": 4.5}) == {
        "update": 100, "accuracy": 0.5, "seconds": 4.5,
    }  # fmt: skip
    second = rates("it", {"update": 150, "loss": 1.0, "seconds": 5.0})
    assert (second["examples_per_second"], second["mfu"]) == (1600, 1.0)


def test_rates_are_of_one_model_and_need_to_be_known():
    rates = Rates({"a": Work(8, 1e9), "b": Work(8, 1e9)})
    rates("a", {"update": 10, "loss": 1.0, "seconds": 1.0})
    assert rates("b", {"update": 10, "loss": 1.0, "seconds": 2.0})["examples_per_second"] == 40
    assert "mfu" not in rates("a", {"update": 20, "loss": 1.0, "seconds": 2.0})
    entry = {"update": 10, "loss": 1.0, "seconds": 2.0}
    assert rates("unknown", entry) == entry


def test_what_a_resumed_training_tells_again_has_the_same_rates():
    entries = [{"update": 10.0 * i, "loss": 1.0, "seconds": 0.7 * i} for i in range(1, 6)]
    undisturbed = Rates({"it": Work(8, 1e9)})
    once = [undisturbed("it", entry) for entry in entries]
    resumed = Rates({"it": Work(8, 1e9)})
    for entry in entries[:4]:
        resumed("it", entry)
    assert resumed("it", entries[2]) == entries[2]  # an update that was told: no time has passed
    assert resumed("it", entries[3]) == once[3] and resumed("it", entries[4]) == once[4]


def test_rows_hold_the_numbers_of_the_summary(run_folder):
    found = json.loads((run_folder / "summary.json").read_text())
    rows = list(series.answers(found))
    assert len(rows) == sum(len(arm["points"]) for arm in found["arms"].values())
    for arm, content in found["arms"].items():
        own = [row.values for row in rows if f"answers/{arm}/accuracy" in row.values]
        assert [row[f"answers/{arm}/accuracy"] for row in own] == [point["accuracy"] for point in content["points"]]
        assert [(row["budget"], row["flops"], row["passes"], row["depth"]) for row in own] == [
            (point["rung"], point["flops"], point["nfe"], point["depth"]) for point in content["points"]
        ]
    minds = list(series.mind(found))
    for arm, content in found["revisions"].items():
        own = [row.values for row in minds if f"mind/{arm}/doubted" in row.values]
        assert [row[f"mind/{arm}/wrong_to_right"] for row in own] == [
            row["per_1000"]["wrong_to_right"] for row in content
        ]
    assert minds


def test_trainings_come_in_the_order_of_the_settings(tmp_path):
    (tmp_path / "metrics").mkdir()
    (tmp_path / "config.yaml").write_text("models: {zebra: {}, ant: {}}\ntrainer: {batch_size: 4}\n")
    for model in ("ant", "zebra", "own"):
        (tmp_path / "metrics" / f"{model}.jsonl").write_text('{"step": 5, "update": 5, "loss": 0.1, "seconds": 1.0}\n')
    rows = shown_of(tmp_path).trainings
    assert [list(row.values) for row in rows] == [
        [f"{model}/loss", f"{model}/seconds", "update"] for model in ("zebra", "ant", "own")
    ]


def judged(folder):
    """The made-up records with scores: right answers are given .9 to 1, wrong ones less."""
    records = read(folder / "records.jsonl", Record).items
    return [
        replace(each, score=math.log((0.92 if each.correct else 0.7) + each.rung / 4000))
        for each in records
        if each.arm == "change_of_mind"
    ]


def test_calibration_counts_every_judged_answer_once(run_folder):
    """The bins are those of the page, at every budget; their laws are in tests/analysis/test_calibration.py."""
    records = judged(run_folder)
    table = series.quality_calibration(records)
    assert table.columns == ("arm", "rung", "from", "to", "answers", "said", "right", "low", "high")
    assert sum(row[4] for row in table.rows) == len(records)
    for _, rung, least, most, number, said, right, low, high in table.rows:
        own = [each for each in records if each.rung == rung and least <= math.exp(each.score) <= most]
        assert number == len(own) and least - 1e-12 <= said <= most + 1e-12
        assert right == sum(each.correct for each in own) / number and low <= right <= high
    assert {row[1] for row in table.rows} == {each.rung for each in records}


def test_a_score_that_is_no_share_is_in_no_bin(run_folder):
    records = [replace(each, score=1.5) for each in judged(run_folder)]
    assert series.quality_calibration(records).rows == []
    certain = [replace(records[0], score=0.0)]
    assert series.quality_calibration(certain).rows[0][2:6] == [1.0, 1.0, 1, 1.0]


def test_scores_make_an_area_that_is_logged(run_folder):
    found = summary(judged(run_folder))
    areas = [row.values["mind/change_of_mind/state_auroc"] for row in series.mind(found) if len(row.values) > 12]
    assert areas and set(areas) == {1.0}


def test_changed_minds_are_the_flips_that_were_counted(run_folder):
    """A line for each flip of the walk, by outcome as the sampler's own counters have it at the highest budget."""
    traces = read(run_folder / "traces.jsonl", Trace).items
    records = read(run_folder / "records.jsonl", Record).items
    table = series.changed_minds(traces)
    assert table.rows
    names = {"set right": "wrong_to_right", "set wrong": "right_to_wrong", "wrong either way": "lateral"}
    for trace in traces:
        own = [dict(zip(table.columns, row, strict=True)) for row in table.rows if row[1] == trace.example]
        events = next(
            each.events for each in records if (each.arm, each.example, each.rung) == (trace.arm, trace.example, 256)
        )
        counted = Counter(names[row["outcome"]] for row in own)
        assert counted == Counter({name: events[name] for name in names.values() if events[name]})
        assert len(own) == events["flipped"]
        assert all(row["right"] == (row["outcome"] == "set right") and row["old"] != row["new"] for row in own)


def test_a_changed_mind_by_hand():
    """Two cells in a row: the first is doubted at 20 % and written anew; the second is rewritten in place at 70 %."""
    frames = [
        {"pass": 1, "changes": [[0, 0], [1, 1]], "quality": None, "score": None, "masked": 0},
        {"pass": 2, "changes": [[0, 3]], "quality": [20, 90], "score": -1.0, "masked": 1},
        {"pass": 3, "changes": [[0, 2]], "quality": None, "score": None, "masked": 0},
        {"pass": 4, "changes": [[1, 0]], "quality": [95, 70], "score": -0.5, "masked": 0},
        {"pass": 5, "changes": [[1, 3]], "quality": [95, 40], "score": -0.5, "masked": 1},
        {"pass": 6, "changes": [[1, 0]], "quality": None, "score": None, "masked": 0},
    ]
    layout = {"rows": 1, "columns": 2, "box_rows": 1, "box_columns": 2, "first": 0}
    trace = Trace("mind", "test/0/1", 7, 2, layout, [False, False], [3, 3], [2, 1], ["a", "b", "c", "?"], 3, frames)
    assert series.changed_minds([trace]).rows == [
        ["mind", "test/0/1", 7, 3, "position 1", "a", "c", 20, "set right", True],
        ["mind", "test/0/1", 7, 4, "position 2", "b", "a", 70, "set wrong", False],
    ]
    unknown = replace(trace, gold=None)
    assert [row[-2:] for row in series.changed_minds([unknown]).rows] == [["unknown", None]] * 2


def test_a_cell_is_where_a_person_looks(run_folder):
    assert series._cell({"rows": 6, "columns": 6, "first": 0}, 8) == "row 2, column 3"
    assert series._cell({"rows": 2, "columns": 2, "first": 3}, 6) == "row 2, column 2"
    assert series._cell({"rows": 1, "columns": 9, "first": 3}, 6) == "position 7"


def test_what_is_damaged_is_told_and_the_rest_shown(run_folder, build_run, tmp_path):
    folder = build_run(tmp_path / "run", puzzles=5)
    whole = found_in(folder)
    assert not whole.problems and {table.name for table in whole.tables} == {
        "accuracy_against_flops", "quality_calibration", "changed_minds",
    }  # fmt: skip
    with open(folder / "traces.jsonl", "ab") as file:
        file.write(b"torn")
    (folder / "summary.json").write_text("{")
    found = found_in(folder)
    assert len(found.problems) == 1 and "torn" in found.problems[0]
    assert found.summary is None and [table.name for table in found.tables] == ["quality_calibration", "changed_minds"]
