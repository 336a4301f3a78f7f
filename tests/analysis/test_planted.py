"""Drafts and lengths, counted by hand."""

import pytest

from dlmreason.analysis.comparison import At, table
from dlmreason.analysis.lengths import by_length, spent
from dlmreason.analysis.planted import Share, fates
from dlmreason.analysis.records import Measurement, Record
from dlmreason.analysis.statistics import wilson


def record(arm: str, example: int, correct: bool, difficulty: int = 0, **more: object) -> Record:
    given: dict[str, object] = {"rung": 8, "nfe": 8, "flops": 100, "events": {}} | more
    return Record(
        arm=arm, task="toy", split="test", example=str(example), difficulty=difficulty, seed=0, answer="", reason="",
        correct=correct, scheduled_passes=8, sequential_depth=8, run_key="k", **given,
    )  # type: ignore[arg-type]  # fmt: skip


def draft(back: int, harmed: int, planted: int = 1) -> dict[str, int]:
    return {"planted": planted, "taken_back": back, "given_right": 7, "harmed": harmed}


def test_shares_are_of_errors_of_drafts_and_of_answers() -> None:
    rows = [
        record("all", 0, True, events=draft(1, 0)),
        record("all", 1, False, events=draft(0, 3)),
        record("all", 2, False, events=draft(2, 1, planted=2)),
        record("given", 0, True, events=draft(0, 0, planted=0)),
        record("free", 0, False),
        record("all.last", 0, False, events=draft(0, 7)),
    ]
    told = {each.at: each for each in fates(table(rows))}
    assert list(told) == [At("all", 8), At("given", 8), At("free", 8)]
    planted = told[At("all", 8)]
    assert planted.taken_back == Share(3 / 4, *wilson(3, 4)) and planted.harmed == Share(2 / 3, *wilson(2, 3))
    assert planted.right.value == 1 / 3 and planted.n == 3 and planted.passes == 8
    assert told[At("given", 8)].taken_back is None and told[At("given", 8)].harmed == Share(0.0, *wilson(0, 1))
    assert told[At("free", 8)].taken_back is None and told[At("free", 8)].harmed is None


def timing(arm: str, seconds: float, batch: int = 1) -> Measurement:
    return Measurement(
        arm=arm, what="pass", batch=batch, calls=1, seconds=seconds, seconds_per_call=seconds, seconds_per_row=seconds,
        peak_bytes=None, joules=None, missing={}, device="cpu", threads=1, run_key="k",
    )  # fmt: skip


def test_padding_is_what_was_written_behind_the_end_of_the_text() -> None:
    """Texts of 2 and 4 symbols with their end, of 10 positions all written; and of blocks of 3."""
    rows = [
        record("canvas", 0, True, 2, events={"written": 10}),
        record("canvas", 1, False, 4, events={"written": 10}),
        record("blocks", 0, True, 2, events={"written": 3}, nfe=3, flops=60),
        record("blocks", 1, True, 4, events={"written": 6}, nfe=6, flops=60),
        record("blocks", 0, True, 2, events={"written": 3}, nfe=3, flops=60, rung=9),  # nothing more is spent
        record("blocks", 1, True, 4, events={"written": 6}, nfe=6, flops=60, rung=9),
        record("ar.vote", 0, True, 2, events={"chains": 1}, nfe=3, flops=20),
        record("ar.vote", 1, True, 4, events={"chains": 1}, nfe=5, flops=20),
    ]
    canvas, blocks, ar = spent(table(rows), [timing("canvas", 0.5), timing("blocks", 0.1), timing("ar", 0.25)])
    assert (canvas.written, canvas.padding) == (10, 12 / 20) and (blocks.written, blocks.padding) == (4.5, 1 / 9)
    assert ar.padding == 0 and ar.against == ar.slower == 1
    assert (canvas.against, blocks.against) == (5, 3)
    assert canvas.seconds == pytest.approx(4.0) and canvas.slower == pytest.approx(4.0)
    assert blocks.slower == pytest.approx(0.45) and blocks.at == At("blocks", 8)
    assert by_length(table(rows), "canvas") == {2: Share(1.0, *wilson(1, 1)), 4: Share(0.0, *wilson(0, 1))}
    assert spent(table(rows[:2]), [])[0].against is None and spent(table(rows[:2]), [])[0].seconds is None
