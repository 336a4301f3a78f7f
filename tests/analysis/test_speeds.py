"""What is made of rounds: planted seconds come back, a busy round changes no ratio, and intervals cover as they say."""

import math
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from dlmreason.analysis.crossing import ALWAYS
from dlmreason.analysis.records import RecordsError, Speed
from dlmreason.analysis.speeds import formula, median_interval, since, summary

RATE, CALL = 5e10, {"token": 2e-3, "pass": 3e-3}
YARDSTICKS = {"product": ("product", 1, 10**9), "token": ("token", 17, 10**6), "pass": ("pass", 16, 10**7)}
PLACES = [1, 4, 16, 64, 256]


def work_of(arm: str, at: int) -> tuple[str, int, int]:
    """what, calls, FLOPs: AR by tokens, the other 12 passes of one size, and a third one that is AR in disguise."""
    return ("token", at + 1, at * 10**6) if arm != "fixed" else ("pass", 12, 3 * 10**9)


def rows_of(slow: Any = lambda number: 1.0, rounds: int = 7, batch: int = 1, **given: Any) -> list[Speed]:
    """Seconds that the formula would say, times `slow(round)`."""
    same: dict[str, Any] = {
        "axis": "answer",
        "device": "cpu",
        "threads": 1,
        "run_key": "k",
        "batch": batch,
        "clock": "wall",
    } | given
    works = {(name, 0): work for name, work in YARDSTICKS.items()}
    works |= {(arm, at): work_of(arm, at) for at in PLACES for arm in ("ar", "fixed", "same")}
    rows = []
    for number in range(rounds):
        for (arm, at), (what, calls, flops) in works.items():
            seconds = calls * CALL.get(what, 0.0) + flops / RATE
            told = {"at": at, "round": number, "what": what, "calls": calls, "flops": flops}
            rows.append(Speed(arm=arm, seconds=seconds * slow(number), **told, **same))
    return rows


def points(found: dict[str, Any], arm: str) -> list[dict[str, Any]]:
    return found["batches"][0]["arms"][arm]["points"]


def test_planted_numbers_come_back_and_what_is_foretold_is_what_was_planted() -> None:
    told = formula(rows_of())
    assert told.rate == pytest.approx(RATE) and told.call == pytest.approx(CALL)
    found = summary(rows_of(), "ar")
    for arm in ("ar", "fixed", "same"):
        for point in points(found, arm):
            what, calls, flops = work_of(arm, point["at"])
            assert (
                point["seconds"] == pytest.approx(point["foretold"]) == pytest.approx(told.seconds(what, calls, flops))
            )
            assert point["ratio"] == pytest.approx(point["foretold_ratio"])
    crossing = found["batches"][0]["arms"]["fixed"]["crossing"]
    by_hand = (12 * CALL["pass"] + 3e9 / RATE - CALL["token"]) / (CALL["token"] + 1e6 / RATE)  # 46.1 tokens
    assert crossing["faster"] and crossing["since"] == pytest.approx(by_hand, rel=0.05)
    assert crossing["interval"] == pytest.approx([crossing["since"]] * 2)
    assert crossing["foretold"]["foretold_ratio"]["since"] == pytest.approx(crossing["since"])
    assert crossing["foretold"]["calls_ratio"]["since"] == pytest.approx(11, rel=0.1), "as many calls as 12 passes"
    assert crossing["foretold"]["flops_ratio"] == {"faster": False, "since": "always"}, "never: 3 GFLOP to 256 MFLOP"
    assert [point["ratio"] for point in points(found, "same")] == [1.0] * len(PLACES)


def test_a_busy_round_changes_no_ratio() -> None:
    """All of a round are slower, the yardsticks too; only seconds show it."""
    calm, busy = (summary(rows_of(slow), "ar") for slow in (lambda _: 1.0, lambda number: 1.0 + 3.0 * (number % 2)))
    for one, other in zip(points(calm, "fixed"), points(busy, "fixed"), strict=True):
        assert one["ratio"] == pytest.approx(other["ratio"])
        assert other["seconds_interval"][1] == pytest.approx(4 * one["seconds_interval"][1])
    one, other = (each["batches"][0]["arms"]["fixed"]["crossing"] for each in (calm, busy))
    assert one["interval"] == pytest.approx(other["interval"])


def test_one_arm_alone_being_slow_does() -> None:
    """The negative control of the law above."""
    rows = [replace(row, seconds=row.seconds * (2 if row.arm == "fixed" else 1)) for row in rows_of()]  # type: ignore[operator]
    for one, other in zip(points(summary(rows_of(), "ar"), "fixed"), points(summary(rows, "ar"), "fixed"), strict=True):
        assert one["ratio"] == pytest.approx(2 * other["ratio"])
    assert summary(rows_of(), "ar")["batches"][0]["apart"]["most"] == pytest.approx(1)
    apart = summary(rows, "ar")["batches"][0]["apart"]
    assert (apart["most"], apart["median"], apart["arm"]) == (pytest.approx(2), pytest.approx(1.5, abs=0.5), "fixed")


@pytest.mark.parametrize("n", range(1, 40))
def test_the_interval_of_a_median_covers_as_it_says_and_is_no_wider_than_need_be(n: int) -> None:
    """Of n draws of any law without ties, the median lies between the k-th from either end with this chance."""
    interval = median_interval([float(value) for value in range(n)])
    if interval is None:
        assert 1 - 2 * stats.binom.cdf(0, n, 0.5) < 0.95
        return
    cut = int(interval.low)
    assert interval.high == n - 1 - cut and cut < n / 2
    assert 1 - 2 * stats.binom.cdf(cut, n, 0.5) >= 0.95 > 1 - 2 * stats.binom.cdf(cut + 1, n, 0.5)


@given(st.floats(0.1, 2000), st.floats(-3, 3).filter(lambda power: abs(power) > 0.05))
def test_a_power_law_crosses_where_it_does(place: float, power: float) -> None:
    ends, found = since(PLACES, [(at / place) ** power for at in PLACES])
    within = PLACES[0] < place < PLACES[-1]
    assert ends == ((PLACES[-1] / place) ** power > 1)
    assert math.isclose(found, place, rel_tol=1e-6) if within else found == ALWAYS or place in (PLACES[0], PLACES[-1])


def test_the_last_change_of_the_lead_is_what_counts() -> None:
    assert since([1, 4, 16], [2.0, 0.5, 2.0]) == (True, pytest.approx(8.0))
    assert since([1, 4, 16], [0.5, 0.5, 0.5]) == (False, ALWAYS)


def test_a_place_that_was_not_measured_is_foretold_and_counts_for_no_crossing() -> None:
    rows = [replace(row, seconds=None) if (row.arm, row.at) == ("fixed", 256) else row for row in rows_of()]
    found = summary([row for row in rows if row.seconds is not None or row.round == 0], "ar")
    last = points(found, "fixed")[-1]
    assert last["seconds"] is None and last["ratio"] is None and last["foretold_ratio"] > 1
    crossing = found["batches"][0]["arms"]["fixed"]["crossing"]
    assert crossing["last"] == 64 and crossing["foretold"]["foretold_ratio"]["faster"]


def test_batches_have_formulas_of_their_own() -> None:
    found = summary(rows_of() + rows_of(lambda _: 10.0, batch=8), "ar")
    one, eight = found["batches"]
    assert (one["batch"], eight["batch"]) == (1, 8) and eight["rate"] == pytest.approx(one["rate"] / 10)


def test_rows_that_do_not_belong_together_are_refused() -> None:
    for change in (
        {"run_key": "other"},
        {"device": "cuda"},
        {"threads": 2},
        {"clock": "processor"},
        {"axis": "context"},
    ):
        with pytest.raises(RecordsError, match="within one run"):
            summary(rows_of() + rows_of(**change), "ar")
    with pytest.raises(RecordsError, match="no row of nobody"):
        summary(rows_of(), "nobody")
    with pytest.raises(RecordsError, match="no product"):
        summary([row for row in rows_of() if row.arm != "product"], "ar")


def test_intervals_shrink_with_rounds() -> None:
    slow = [1.0, 1.3, 0.8, 1.1, 0.9, 1.2, 1.05, 0.95, 1.15, 0.85, 1.25, 1.02, 0.98, 1.07, 0.93, 1.0, 1.0, 1.0, 1.0, 1.0]
    widths = []
    for rounds in (7, 20):
        rows = rows_of(rounds=rounds)
        noisy = [replace(row, seconds=row.seconds * (slow[row.round] if row.arm == "fixed" else 1)) for row in rows]  # type: ignore[operator]
        low, high = points(summary(noisy, "ar"), "fixed")[0]["ratio_interval"]
        widths.append(high - low)
    assert all(one > other for one, other in pairwise(widths))
