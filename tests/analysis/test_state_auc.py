"""The area is Mann and Whitney's, its interval as wide as it says, and a long search tells both."""

import math

import numpy as np
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st

from dlmreason.analysis.comparison import table
from dlmreason.analysis.state_auc import LONG, Area, area_of, auc, interval, state_auc
from dlmreason.analysis.statistics import Z
from dlmreason.analysis.summary import summary
from dlmreason.reports import tables

SCORES = st.lists(st.integers(-4, 4), min_size=1, max_size=30)


@given(SCORES, SCORES)
def test_it_is_the_share_of_pairs_and_scipys_u(good, bad):
    found = auc([*good, *bad], [True] * len(good) + [False] * len(bad))
    pairs = [(one > other) + (one == other) / 2 for one in good for other in bad]
    assert found == math.fsum(pairs) / len(pairs)
    assert found * len(pairs) == pytest.approx(scipy.stats.mannwhitneyu(good, bad).statistic, abs=1e-9)


@given(SCORES, SCORES)
def test_it_turns_with_the_score_and_hears_nothing_of_its_scale(good, bad):
    right = [True] * len(good) + [False] * len(bad)
    score = np.array([*good, *bad], dtype=float)
    assert auc(-score, right) == pytest.approx(1 - auc(score, right), abs=1e-12)
    assert auc(np.exp(score), right) == auc(score, right)
    assert auc(np.zeros(len(score)), right) == 0.5


def test_one_kind_alone_and_no_number_are_refused():
    with pytest.raises(ValueError, match="2 right and 0 wrong"):
        auc([0.1, 0.2], [True, True])
    with pytest.raises(ValueError, match="nan"):
        auc([0.1, math.nan], [True, False])
    assert auc([math.inf, -math.inf], [True, False]) == 1.0


def spread(true: float, right: float, wrong: float) -> float:
    """Newcombe's method 5, as printed: the standard deviation of an area under its true value."""
    n_star = (right + wrong) / 2 - 1
    inner = 1 + n_star * ((1 - true) / (2 - true) + true / (1 + true))
    return math.sqrt(true * (1 - true) * inner / (right * wrong))


@pytest.mark.parametrize("area", [0.0, 0.02, 0.5, 0.93, 0.999, 1.0])
@pytest.mark.parametrize(("right", "wrong"), [(1, 1), (5, 400), (200, 37), (66.5, 3.25)])
def test_an_end_is_where_the_observed_area_is_95_percent_away(area, right, wrong):
    low, high = interval(area, right, wrong)
    assert 0 <= low <= area <= high <= 1
    if area > 0:
        assert (area - low) == pytest.approx(Z * spread(low, right, wrong), abs=1e-9)
    if area < 1:
        assert (high - area) == pytest.approx(Z * spread(high, right, wrong), abs=1e-9)
    assert (low, high) == pytest.approx([1 - each for each in reversed(interval(1 - area, right, wrong))], abs=1e-12)


def test_a_score_without_a_mistake_is_not_sure_of_itself():
    assert interval(1.0, 190, 10).low < 0.99 and interval(1.0, 190, 10).high == 1.0
    assert interval(1.0, 19, 1).low < interval(1.0, 190, 10).low


@pytest.mark.parametrize(("shift", "right", "wrong"), [(0.0, 40, 40), (1.5, 150, 50), (3.0, 180, 20)])
def test_the_interval_holds_the_true_area_as_often_as_it_says(shift, right, wrong):
    dice, true, held, runs = np.random.default_rng(0), scipy.stats.norm.cdf(shift / math.sqrt(2)), 0, 800
    which = np.arange(right + wrong) < right
    for _ in range(runs):
        low, high = interval(auc(dice.normal(size=len(which)) + shift * which, which), right, wrong)
        held += low <= true <= high
    assert held / runs > 0.93


def ladder(make, arm="restarts", rungs=(64, LONG, 2048, 4096), **other):
    """Right answers score in steps of their number, wrong ones between them and above: worse with every rung."""
    return [
        make(arm, rung, i, i % 4 > 0, score=float(i + (i % 4 == 0) * 5 * place), **other)
        for place, rung in enumerate(rungs)
        for i in range(40)
    ]


def test_every_rung_of_every_arm_that_judges_has_its_area(make):
    records = [*ladder(make), *[make("confidence", 64, i, i % 2 == 0) for i in range(40)]]
    found = summary(records)["state_auc"]
    assert list(found) == ["restarts"] and [each["rung"] for each in found["restarts"]] == [64, LONG, 2048, 4096]
    areas = [each["auc"] for each in found["restarts"]]
    assert areas == sorted(areas, reverse=True) and areas[0] > areas[-1]
    for each in found["restarts"]:
        assert (each["right"], each["wrong"]) == (30, 10) and each["low"] < each["auc"] < each["high"]


def test_the_unjudged_do_not_count_and_one_kind_alone_has_no_area(make):
    records = [make(example=i, correct=i < 2, score=float(i)) for i in range(4)]
    assert area_of(records) == Area(2, 2, 0.0, *interval(0.0, 2, 2))
    assert area_of([*records, make(example=9, correct=True)]) == area_of(records)
    assert area_of(records[:2]) is None and area_of([]) is None
    assert state_auc(table(records[:2]), "a") == []


def test_seeds_of_one_puzzle_are_one_draw(make):
    once = [make(example=i, correct=i % 3 > 0, score=float(i % 5)) for i in range(30)]
    thrice = [make(example=i, correct=i % 3 > 0, score=float(i % 5), seed=s) for i in range(30) for s in range(3)]
    one, three = area_of(once), area_of(thrice)
    assert one is not None and three is not None
    assert (three.right, three.wrong) == (60, 30)
    assert three[2:] == pytest.approx(one[2:], abs=1e-12)


def test_it_is_told_of_searches_longer_than_1024_passes_alone(make):
    short, long = summary(ladder(make, rungs=(64, LONG))), summary(ladder(make))
    said = "The chance that a right answer scores above a wrong one"
    assert short["state_auc"] and said not in short["verdict"] and "area" not in tables.markdown(short)
    top = long["state_auc"]["restarts"][-1]
    told = f".{round(1000 * top['auc']):03d} ["
    assert f"{said}: restarts {told}" in long["verdict"] and "at 4,096 passes" in long["verdict"]
    page = tables.markdown(long)
    rows = [line.split(" | ") for line in page.splitlines() if line.startswith("| restarts | ")]
    assert [row[1] for row in rows] == ["2,048", "4,096"]
    assert all(row[3] == "30" and row[4].startswith("10") for row in rows)
    older = {key: value for key, value in long.items() if key != "state_auc"}
    assert "area" not in tables.markdown(older | {"sentences": []})
