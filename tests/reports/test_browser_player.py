"""The trace player in a real browser: every pass is what the trace says, however one came there."""

import time
from collections.abc import Callable
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dlmreason.analysis.records import Record, Trace, Writer, read
from dlmreason.reports import page, told
from tests.reports.browser import Visit, Visitor

pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]

KINDS = ("written", "doubted", "restored", "set-right", "set-wrong", "changed")
MOST_SECONDS, MOST_BYTES, GUARD = 3.0, 5_000_000, 10
"""A trace of 100,000 passes opens within so many seconds and bytes; seconds on a machine that does other work too are
held to ten times as many."""


def traces(folder: Path) -> list[Trace]:
    return read(folder / "traces.jsonl", Trace).items


def with_other(trace: Trace, **other: Any) -> Trace:
    return Trace(**{each.name: getattr(trace, each.name) for each in fields(Trace)} | other)


def write_traces(folder: Path, *found: Trace) -> None:
    (folder / "traces.jsonl").unlink(missing_ok=True)
    with Writer(folder / "traces.jsonl") as out:
        out.append_many(found)


def at(visit: Visit) -> int:
    return int(visit.page.locator("[data-fill=player] input[type=range]").input_value())


def expected(trace: dict[str, Any]) -> list[tuple[str, list[str]]]:
    """Of each frame, the first before any pass: the canvas as text and what happened, replayed apart from the page."""
    canvas, mask = list(trace["start"]), trace["mask_id"]
    committed = [None if token == mask else token for token in canvas]
    found = [("".join("·" if token == mask else trace["symbols"][token] for token in canvas), [])]
    for frame in trace["frames"]:
        kinds = []
        for position, token in frame["changes"]:
            was, gold = committed[position], trace["gold"][position]
            if token == mask:
                kinds.append("doubted")
            else:
                turned = "set-right" if token == gold else "set-wrong" if was == gold else "changed"
                kinds.append("written" if was is None else "restored" if was == token else turned)
                committed[position] = token
            canvas[position] = token
        found.append(("".join("·" if token == mask else trace["symbols"][token] for token in canvas), sorted(kinds)))
    return found


def test_every_pass_is_what_the_trace_says_forwards_backwards_and_by_jumps(visit: Visitor, run_folder: Path) -> None:
    with visit(page.write(run_folder)) as it:
        about = it.page.locator("[data-fill=player] .note").first.inner_text()
        trace = next(asdict(each) for each in traces(run_folder) if f"puzzle {each.example}," in about)
        walked = it.probe("walk", KINDS)
        assert all(len(each) == 1 for each in walked), "a frame looks the same however one came there"
        assert [(text, kinds) for ((text, kinds),) in walked] == expected(trace)
        assert {"doubted", "set-right"} <= {kind for ((_, kinds),) in walked for kind in kinds}
        assert f"Pass {trace['frames'][2]['pass']:,}" in it.page.locator(".status").inner_text(), "it stands at frame 3"


def test_keys_and_buttons_walk_and_jump_to_changes_of_mind(visit: Visitor, run_folder: Path) -> None:
    with visit(page.write(run_folder)) as it:
        board = it.page.locator(".board")
        for key, place in (("ArrowRight", 1), ("ArrowRight", 2), ("ArrowLeft", 1), ("Home", 0)):
            board.press(key)
            assert at(it) == place
        board.press("n")
        first = at(it)
        assert first > 0 and it.page.locator(".now.set-right, .now.set-wrong, .now.changed").count()
        board.press("n")
        second = at(it)
        board.press("p")
        assert at(it) == first < second
        it.page.get_by_text("Next change of mind").click()
        assert at(it) == second
        board.press("End")
        assert at(it) == int(it.page.locator("[data-fill=player] input[type=range]").get_attribute("max"))
        it.page.locator("input[name=trace] + span").nth(1).click()
        assert at(it) == 0


def test_it_plays_at_the_speed_that_was_chosen_and_stops(visit: Visitor, run_folder: Path) -> None:
    with visit(page.write(run_folder)) as it:
        it.page.get_by_label("Speed").select_option("16")
        it.page.locator(".board").press(" ")
        deadline = time.monotonic() + 60
        while at(it) <= 3:
            assert time.monotonic() < deadline, "it does not play"
            it.page.wait_for_timeout(50)
        it.page.locator(".board").press(" ")
        stood = at(it)
        it.page.wait_for_timeout(300)
        assert at(it) == stood and it.page.get_by_text("Play", exact=True).is_visible()


@pytest.mark.slow
def test_a_hundred_thousand_passes_open(
    visit: Visitor, build_run: Callable[..., Path], run_folder: Path, tmp_path: Path
) -> None:
    folder = build_run(tmp_path / "run", puzzles=3)
    frames = [
        {"pass": i + 1, "changes": [[i % 36, 9 if i % 72 < 36 else i % 6]], "quality": None, "score": None, "masked": 0}
        for i in range(100_000)
    ]
    write_traces(folder, with_other(traces(run_folder)[0], frames=frames, answers=[]))
    path = page.write(folder)
    assert path.stat().st_size < MOST_BYTES
    with visit(path) as it:
        opened = it.page.evaluate("performance.now()") / 1000
        it.page.locator(".board").press("End")
        assert "Pass 100,000 of 100,000" in it.page.locator(".status").inner_text()
        assert opened < GUARD * MOST_SECONDS
        print(f"opened in {opened:.2f} s, {path.stat().st_size:,} bytes")


def said(steps: list[list[Any]], clock: list[list[int]], made: int) -> tuple[str | None, int | None]:
    """The answer that stands after so many passes, and how many words of the next one are there."""
    spent = float(np.interp(made, [0, *(passes for passes, _ in clock)], [0, *(flops for _, flops in clock)]))
    done = [step for step in steps if step[0] <= spent]
    if len(done) == len(steps):
        return done[-1][1], None
    words, had = steps[len(done)][1].split(), done[-1][0] if done else 0
    return (done[-1][1] if done else None), int(len(words) * (spent - had) / (steps[len(done)][0] - had))


def test_chains_come_forward_as_the_same_compute_is_spent(visit: Visitor, run_folder: Path) -> None:
    records = read(run_folder / "records.jsonl", Record).items
    (trace, *_) = told.traces(records, traces(run_folder))
    with visit(page.write(run_folder)) as it:
        seen = it.probe("beside", list(trace["chains"]))
        assert it.page.locator(".chains .c-right, .chains .c-wrong").count() == 1
    made = [0, *(frame[0] for frame in trace["frames"])]
    for arm, steps in trace["chains"].items():
        expected = [said(steps, trace["clock"], passes) for passes in made]
        assert [(stands, there) for stands, there in seen[arm]] == [
            ((answer or "").split(), there) for answer, there in expected
        ]
        assert len({str(each) for each in expected}) > 2, "something comes forward"


def test_of_a_text_all_that_is_written_is_shown_thought_and_answer(
    visit: Visitor, build_run: Callable[..., Path], run_folder: Path, tmp_path: Path
) -> None:
    folder = build_run(tmp_path / "run", puzzles=3)
    layout = {"rows": 1, "columns": 2, "box_rows": 1, "box_columns": 2, "first": 5}
    frames = [{"pass": 1, "changes": [[2, 0], [5, 1]], "quality": None, "score": None, "masked": 3}]
    given = [True, True, False, False, False, False, False, True]
    text = with_other(
        traces(run_folder)[0], length=8, layout=layout, given=given, start=[0, 1, 9, 9, 9, 9, 9, 3],
        gold=[0, 1, 0, 1, 2, 1, 1, 3], frames=frames, answers=[],
    )  # fmt: skip
    write_traces(folder, text)
    with visit(page.write(folder), 390) as it:
        it.page.locator(".board").press("End")
        shown = [each.inner_text().strip()[:1] for each in it.all(".cell b")]
        assert shown == ["1", "·", "·", "2", "·"] and it.probe("overflow") == []
        assert "place 4" in it.page.locator(".events").inner_text()


def test_a_story_with_gaps_says_from_which_pass_on(
    visit: Visitor, build_run: Callable[..., Path], run_folder: Path, tmp_path: Path
) -> None:
    folder, trace = build_run(tmp_path / "run", puzzles=3), traces(run_folder)[0]
    write_traces(folder, trace)
    events = sum(len(each["changes"]) for each in (*trace.frames, *trace.answers))
    with visit(page.write(folder)) as it:
        assert it.page.locator(".gaps").is_hidden(), "nothing says that it was thinned"
    (folder / "config.yaml").write_text(f"budget:\n  trace_events: {events}\n")
    since = told.thinned(trace, events)
    with visit(page.write(folder)) as it:
        assert since and f"up to pass {since:,}." in it.page.locator(".gaps").inner_text()
        it.page.locator(".board").press("Home")
        assert "told with gaps" not in it.page.locator(".status").inner_text()
        it.page.locator(".board").press("End")
        assert "told with gaps" in it.page.locator(".status").inner_text()
