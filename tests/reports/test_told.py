"""What the player is given beside the canvases: where a story has gaps, what passes cost, what chains had said."""

import random
from pathlib import Path

import pytest

from dlmreason.analysis.records import Record, Trace, read
from dlmreason.reports import told
from dlmreason.sampling.streamed import rate


def story(changes: list[int]) -> Trace:
    frames = [
        {"pass": i + 1, "changes": [[0, 1]] * count, "quality": None, "score": None} for i, count in enumerate(changes)
    ]
    layout = {"rows": 1, "columns": 1, "box_rows": 1, "box_columns": 1, "first": 0}
    return Trace(
        "a", "0", 0, 1, layout, [False], [2], None, ["x", "y", "?"], 2, frames, [{"pass": 2, "changes": [[0, 1]]}]
    )


@pytest.mark.parametrize("seed", range(20))
def test_a_story_has_gaps_from_the_pass_at_which_the_writer_begins_to_leave_out(seed: int) -> None:
    dice = random.Random(seed)
    changes, events = [dice.randrange(1, 4) for _ in range(30)], dice.randrange(1, 150)
    had = [sum(changes[: i + 1]) + (i > 0) for i in range(30)]  # the answer changed once, at the second pass
    expected = next((i + 1 for i in range(30) if rate(had[i], events) > 1), None)
    assert told.thinned(story(changes), events) == expected


def test_passes_and_chains_have_the_cost_of_their_records(run_folder: Path) -> None:
    records = read(run_folder / "records.jsonl", Record).items
    (trace, *_) = told.traces(records, read(run_folder / "traces.jsonl", Trace).items)
    own = [each for each in records if each.example == trace["example"]]
    assert trace["thinned"] is None
    assert set(map(tuple, trace["clock"])) == {(each.nfe, each.flops) for each in own if each.arm == trace["arm"]}
    assert trace["clock"] == sorted(trace["clock"])
    assert list(trace["chains"]) == ["ar_thought", "ar_answer"], "arms that count chains, and no other"
    for arm, steps in trace["chains"].items():
        points = sorted((each for each in own if each.arm == arm), key=lambda each: each.flops)
        assert steps == [[p.flops, p.answer, p.correct, p.events["chains"], p.nfe] for p in points]
