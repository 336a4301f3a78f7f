"""Shares of signs and fates by counting, and what has none."""

from dataclasses import replace

import pytest

from dlmreason.analysis.comparison import table
from dlmreason.analysis.records import Record, RecordsError
from dlmreason.analysis.statistics import wilson
from dlmreason.analysis.waits import FATES, told
from dlmreason.tasks import steps

ONE = Record("a", "t", "test", "0", 3, 8, 0, "1", True, "", 5, 8, 5, 100, {}, "key")


def records(arm: str, begun: bool, seeds: int = 1) -> list[Record]:
    """Of ten problems three have two signs, one of them hollow; of the others two are wrong. Six answers are right,
    two of them with signs."""
    found = []
    for number in range(10):
        events = {"waits": 2 * (number < 3), "wrong": int(number in (4, 5)), "repaired": 0, "hollow": int(number == 0)}
        if begun:
            events |= {f"plant_{fate}": int(place == number % 5) for place, fate in enumerate(FATES)}
        found += [
            replace(ONE, arm=arm, example=str(number), seed=seed, correct=number > 5 or number < 2, events=events)
            for seed in range(seeds)
        ]
    return found


@pytest.mark.parametrize("seeds", [1, 3])
def test_shares_are_counted_and_intervals_count_problems(seeds: int) -> None:
    (line,) = told(table(records("a", False, seeds)))
    assert line.waiting == (0.3, *wilson(3, 10), 10 * seeds) and line.waits == pytest.approx(0.6)
    assert (line.right.value, line.wrong.value, line.hollow.value) == (0.6, 0.2, 0.1)
    assert line.right_waiting is not None and line.right_others is not None
    assert line.right_waiting.value == pytest.approx(2 / 3) and line.right_others.value == pytest.approx(4 / 7)
    assert line.fates is None and not line.begun


def test_fates_are_told_of_thoughts_that_were_begun() -> None:
    assert FATES == steps.FATES
    plain, begun = told(table(records("a", False) + records("b", True)))
    assert plain.fates is None and begun.fates is not None
    assert {fate: share.value for fate, share in begun.fates.items()} == dict.fromkeys(FATES, 0.2)


def test_arms_that_keep_no_thoughts_are_left_out_and_records_without_any_refused() -> None:
    mute = [replace(each, arm="mute", events={}) for each in records("a", False)]
    assert [line.at.arm for line in told(table(mute + records("a", False)))] == ["a"]
    with pytest.raises(RecordsError, match=r"budget.thoughts=true"):
        told(table(mute))
