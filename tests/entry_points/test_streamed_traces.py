"""Traces that are told to files while their puzzles are walked: the player gets the story that it got from memory."""

from pathlib import Path

from dlmreason.analysis.records import Trace, read
from tests.entry_points.tiny import copy, experiment


def test_the_player_gets_the_same_canvases_and_answers(finished: Path, tmp_path: Path) -> None:
    folder = copy(finished, tmp_path / "it")
    assert not (finished / "traces").exists()
    assert experiment(folder, "budget.trace_events=1000") == 0
    (before,), (now,) = (read(each / "traces.jsonl", Trace).items for each in (finished, folder))
    assert len(list((folder / "traces").glob("*/*.trace"))) == 1
    assert now.frames == [frame | {"quality": None, "score": None} for frame in before.frames if frame["changes"]]
    assert (now.start, now.answers, now.example) == (before.start, before.answers, before.example) and now.frames
    assert (folder / "records.jsonl").read_bytes() == (finished / "records.jsonl").read_bytes()
    assert experiment(folder) == 0
    assert (folder / "traces.jsonl").read_bytes() == (finished / "traces.jsonl").read_bytes()
    assert not list((folder / "traces").iterdir()), "files of other settings are removed"
