"""Where arms overtake, against lines whose crossing is known, a search over pieces, and all draws of a few puzzles."""

import itertools
import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dlmreason.analysis import crossing as module
from dlmreason.analysis import statistics
from dlmreason.analysis.comparison import At, table
from dlmreason.analysis.crossing import ALWAYS, DEPTH, FLOPS, NEVER, Overtaking, crossing, plain, said, seconds
from dlmreason.analysis.records import RecordsError, Timing


def arm(make, name, shares, puzzles=20, seeds=(0,), scale=1, **other):
    """Records: shares[cost] of the puzzles, the first ones, are right at that cost."""
    return [
        make(name, rung, i, i < round(puzzles * share), seed=seed, flops=scale * cost, **other)
        for rung, (cost, share) in enumerate(shares.items(), 1)
        for i in range(puzzles)
        for seed in seeds
    ]


def pair(make, first, second, **other):
    return table(arm(make, "a", first, **other) + arm(make, "b", second, **other))


def test_two_lines_cross_where_they_do(make):
    """.2 + .1 u and .1 + .3 u, in decades u above 10, meet at u = 1/2; later bends change nothing."""
    found = crossing(pair(make, {10: 0.2, 1000: 0.4}, {10: 0.1, 1000: 0.7}), "a", "b")
    (overtaking,) = found.overtakings
    assert overtaking == Overtaking(pytest.approx(10**1.5, rel=1e-12), "b")
    assert (found.low, found.high) == pytest.approx((10, 1000), rel=1e-12)
    bent = crossing(pair(make, {10: 0.2, 1000: 0.4}, {10: 0.1, 100: 0.4, 1000: 0.7}), "a", "b")
    assert bent.overtakings[0].cost == pytest.approx(10**1.5, rel=1e-12)
    assert found.ahead == "b" and found.overtakes.low < 10**1.5 < found.overtakes.high


def test_only_the_range_of_both_counts(make):
    """Beyond 100 the first has nothing to show, so what the second does there is not compared."""
    short = {10: 0.5, 100: 0.5}
    assert crossing(pair(make, short, {1: 0.9, 10: 0.1, 100: 0.3, 1000: 1.0}), "a", "b").overtakings == []
    (overtaking,) = crossing(pair(make, short, {1: 0.1, 10: 0.3, 1000: 0.9}), "a", "b").overtakings
    assert overtaking == Overtaking(pytest.approx(10 ** (1 + 2 / 3)), "b")
    with pytest.raises(RecordsError, match=r"10 FLOP to 100 FLOP.*200 FLOP to 300 FLOP.*budgets that meet"):
        crossing(pair(make, short, {200: 0.1, 300: 0.2}), "a", "b")


def test_all_of_several_crossings_are_told(make):
    found = crossing(pair(make, {1: 0.5, 1000: 0.5}, {1: 0.4, 10: 0.6, 100: 0.4, 1000: 0.8}), "a", "b")
    costs = [10**0.5, 10**1.5, 10**2.25]
    assert [each.cost for each in found.overtakings] == pytest.approx(costs, rel=1e-12)
    assert [each.ahead for each in found.overtakings] == ["b", "a", "b"]


def test_after_a_tie_the_lead_changes_at_its_end(make):
    found = crossing(
        pair(make, {1: 0.2, 10: 0.4, 100: 0.4, 1000: 0.6}, {1: 0.1, 10: 0.4, 100: 0.4, 1000: 0.9}), "a", "b"
    )
    assert found.overtakings == [Overtaking(pytest.approx(100), "b")]


def test_ahead_throughout_is_no_overtaking(make):
    found = crossing(pair(make, {1: 0.1, 100: 0.2}, {1: 0.6, 100: 0.9}), "a", "b")
    assert (found.overtakings, found.ahead, found.overtakes) == ([], "b", (ALWAYS, ALWAYS))
    assert (found.below, found.within, found.beyond) == (1, 0, 0)
    assert plain(found, FLOPS)["overtakes"] == [None, None] and json.dumps(plain(found, FLOPS), allow_nan=False)


def test_identical_arms_never_cross(make):
    """A/A: nothing is ahead anywhere, in no draw."""
    found = crossing(pair(make, {1: 0.1, 10: 0.7, 100: 0.3}, {1: 0.1, 10: 0.7, 100: 0.3}), "a", "b")
    assert (found.overtakings, found.ahead, found.overtakes, found.beyond) == ([], None, (NEVER, NEVER), 1)
    assert (found.area, found.area_interval) == (0, (0, 0))


def drawn(make, dice, puzzles=40, seeds=(0,), scale=1):
    records = []
    for name, slope in (("a", 0.1), ("b", 0.25)):
        for rung, cost in enumerate((10, 30, 90, 300), 1):
            for i in range(puzzles):
                luck = dice.random()
                for seed in seeds:
                    right = luck < 0.3 + slope * (math.log10(cost) - 1.8)
                    records.append(make(name, rung, i, right, seed=seed, flops=scale * (cost + i % 3)))
    return records


def test_swapped_arms_tell_the_same(make):
    found = table(drawn(make, np.random.default_rng(0)))
    one, other = crossing(found, "a", "b"), crossing(found, "b", "a")
    assert one.overtakings == other.overtakings and one.overtakes == other.overtakes and one.ahead == other.ahead
    assert (one.below, one.within, one.beyond) == (other.below, other.within, other.beyond)
    assert (one.area, one.areas) == (-other.area, other.areas[::-1])
    assert one.area_interval == (-other.area_interval[1], -other.area_interval[0])


def test_units_scale_the_crossing_and_nothing_else(make):
    one = crossing(table(drawn(make, np.random.default_rng(1))), "a", "b")
    other = crossing(table(drawn(make, np.random.default_rng(1), scale=7)), "a", "b")
    assert [each.cost for each in other.overtakings] == pytest.approx([7 * each.cost for each in one.overtakings])
    assert other.overtakes == pytest.approx([7 * each for each in one.overtakes])
    assert (other.area, *other.area_interval) == pytest.approx((one.area, *one.area_interval), abs=1e-12)


def test_seeds_of_a_puzzle_are_one_draw(make):
    """Three identical seeds add no certainty."""
    one = crossing(table(drawn(make, np.random.default_rng(2))), "a", "b")
    three = crossing(table(drawn(make, np.random.default_rng(2), seeds=(0, 1, 2))), "a", "b")
    assert (one.puzzles, one.area) == (three.puzzles, pytest.approx(three.area))
    assert three.overtakes == pytest.approx(one.overtakes) and three.within == one.within
    assert three.area_interval == pytest.approx(one.area_interval)


def search(first, second):
    """Overtakings of two lists of (log cost, accuracy), piece by piece, with no arrays."""

    def height(points, x):
        for (x0, y0), (x1, y1) in itertools.pairwise(points):
            if x0 <= x <= x1:
                return y0 + (x - x0) / (x1 - x0) * (y1 - y0)
        raise AssertionError

    low, high = max(first[0][0], second[0][0]), min(first[-1][0], second[-1][0])
    grid = sorted({low, high, *(x for x, _ in first + second if low < x < high)})
    gains = [height(second, x) - height(first, x) for x in grid]
    ahead, found = 0.0, []
    for number, gain in enumerate(gains):
        gain = 0.0 if abs(gain) < 1e-12 else gain
        if gain * ahead < 0:
            before = gains[number - 1] if abs(gains[number - 1]) > 1e-12 else 0.0
            share = abs(before) / (abs(before) + abs(gain))
            found.append((grid[number - 1] + share * (grid[number] - grid[number - 1]), math.copysign(1, gain)))
        ahead = gain or ahead
    widths = np.diff(grid)
    area = sum(w * (a + b) / 2 for w, a, b in zip(widths, gains[:-1], gains[1:], strict=True)) / (high - low)
    return found, math.copysign(1, ahead) if ahead else 0.0, area


ladder = st.lists(
    st.tuples(st.integers(0, 30), st.integers(0, 8)), min_size=2, max_size=6, unique_by=lambda each: each[0]
)


@given(ladder, ladder)
@settings(max_examples=200)
def test_arrays_find_what_a_search_finds(first, second):
    first, second = ([(x / 3, y / 8) for x, y in sorted(each)] for each in (first, second))
    if max(first[0][0], second[0][0]) >= min(first[-1][0], second[-1][0]):
        return
    curves = module.Curves(
        *(tuple(np.array([[point[i] for point in each]]) for each in (first, second)) for i in (0, 1))
    )
    where, signs = module._changes(curves)
    held = np.isfinite(where[0])
    found, ahead, area = search(first, second)
    assert list(zip(where[0][held], signs[0][held], strict=True)) == [pytest.approx(each) for each in found]
    assert module._leader(curves)[0] == ahead
    assert module._difference_of_areas(curves)[0] == pytest.approx(area, abs=1e-12)


def test_the_draws_of_three_puzzles_have_the_law_of_all_27(make):
    """Each draw listed, its curves searched by hand; the shares are those of ten thousand draws."""
    right = {("a", 1): "110", ("a", 2): "101", ("b", 1): "100", ("b", 2): "111"}
    cost = {1: 10, 2: 100}
    records = [
        make(name, rung, i, said == "1", flops=cost[rung] + (i if name == "b" else 0))
        for (name, rung), row in right.items()
        for i, said in enumerate(row)
    ]
    shares = dict.fromkeys(("below", "within", "beyond"), 0.0)
    areas = []
    for draw in itertools.product(range(3), repeat=3):
        lines = []
        for name in "ab":
            lines.append(
                [
                    (
                        math.log(np.mean([cost[rung] + (i if name == "b" else 0) for i in draw])),
                        np.mean([right[name, rung][i] == "1" for i in draw]),
                    )
                    for rung in (1, 2)
                ]
            )
        overtakings, ahead, area = search(*lines)
        shares["beyond" if ahead != 1 else "within" if overtakings else "below"] += 1 / 27
        areas.append(area)
    found = crossing(table(records), "a", "b")
    assert found.ahead == "b"
    for name, share in shares.items():
        assert getattr(found, name) == pytest.approx(share, abs=4 * math.sqrt(share * (1 - share) / 10_000) + 1e-9), (
            name
        )
    assert 0 < shares["within"] < 1
    assert found.area_interval == pytest.approx(np.quantile(areas, [0.025, 0.975], method="inverted_cdf"), abs=1e-9)


def test_area_is_that_of_the_drawing(make):
    """A line's mean is that of its ends; 0 and 1 are the bounds; ends outside the shared range do not count."""
    found = crossing(pair(make, {10: 0.2, 1000: 0.6}, {10: 0.0, 100: 0.0, 1000: 1.0}), "a", "b")
    assert found.areas == pytest.approx((0.4, 0.25), abs=1e-12) and found.area == pytest.approx(-0.15, abs=1e-12)
    found = crossing(pair(make, {1: 1.0, 10: 0.0, 1000: 0.0}, {10: 1.0, 1000: 1.0, 9000: 0.0}), "a", "b")
    assert found.areas == pytest.approx((0, 1), abs=1e-12) and found.area_interval == pytest.approx((1, 1))


def test_costs_of_other_kinds(make):
    records = arm(make, "a", {10: 0.2, 1000: 0.4}, sequential_depth=3) + arm(make, "b", {10: 0.1, 1000: 0.7})
    with pytest.raises(RecordsError, match="no range of costs that both cover"):
        crossing(table(records), "a", "b", DEPTH)
    timed = {At("a", 1): 1.0, At("a", 2): 100.0, At("b", 1): 1.0, At("b", 2): 100.0}
    rows = [Timing(at.arm, at.rung, each * 20, 20, 20, 1, None, "cpu", 1, "k") for at, each in timed.items()]
    whole = Timing("a", None, 5.0, 20, 20, 1, None, "cpu", 1, "k")
    found = crossing(table(records), "a", "b", seconds([*rows, whole]))
    assert found.overtakings[0].cost == pytest.approx(10**0.5)
    with pytest.raises(RecordsError, match="b at 2 passes was not timed by itself"):
        crossing(table(records), "a", "b", seconds(rows[:3]))


def test_a_budget_that_lacks_puzzles_is_left_out_and_named(make):
    records = arm(make, "a", {10: 0.2, 1000: 0.4}) + arm(make, "b", {10: 0.1, 50: 0.9, 1000: 0.7})
    records = [each for each in records if (each.arm, each.rung, each.example) != ("b", 2, "7")]
    found = crossing(table(records), "a", "b")
    assert found.left_out == [At("b", 2)] and found.overtakings[0].cost == pytest.approx(10**1.5)
    fewer = [each for each in records if (each.arm, each.rung, each.example) != ("b", 1, "8")]
    with pytest.raises(RecordsError, match="b has 1 of 3 budgets at which it answered all 20 puzzles"):
        crossing(table(fewer), "a", "b")
    with pytest.raises(RecordsError, match="share no puzzle"):
        crossing(table(records), "a", "x")


def test_budgets_of_equal_cost_are_the_highest_of_them(make):
    """A settled arm spends nothing more: its curve goes on from its last answer there, to both sides."""
    ladder = ((1, 10, 2), (2, 100, 4), (3, 100, 16), (4, 1000, 16))
    records = arm(make, "a", {10: 0.5, 1000: 0.5})
    records += [make("b", rung, i, i < right, flops=cost) for rung, cost, right in ladder for i in range(20)]
    assert crossing(table(records), "a", "b").areas[1] == pytest.approx(((0.1 + 0.8) / 2 + 0.8) / 2)
    ends = crossing(table([each for each in records if each.rung < 4]), "a", "b")
    assert ends.areas[1] == pytest.approx((0.1 + 0.8) / 2)


def law(dice, puzzles, slopes, costs, spread=0.5):
    """[puzzles, 1 + 4 K] columns of two arms whose true accuracy is .45 + slope * log10(cost / 100), puzzles shared."""
    ease = dice.normal(0, spread, puzzles)[:, None]
    columns = [np.ones((puzzles, 1))]
    for slope in slopes:
        chance = 0.45 + slope * np.log10(np.array(costs) / 100) + 0.15 * np.tanh(ease)
        right = dice.random((puzzles, 1)) < chance  # one draw of luck a puzzle: a walk that is right stays so
        columns.append(
            np.stack([right, np.broadcast_to(np.array(costs, float), right.shape)], axis=2).reshape(puzzles, -1)
        )
    return np.concatenate(columns, axis=1)


@pytest.mark.slow
@pytest.mark.parametrize("puzzles", [200, 500])
def test_the_interval_holds_the_true_crossing(puzzles, monkeypatch):
    """Lines that cross at 100 in truth; the ends of the range are far enough for both to be seen ahead."""
    monkeypatch.setattr(statistics, "RESAMPLES", 2000)
    costs, runs = (1, 10, 100, 1000, 10000), 600
    covered = areas = 0
    for run in range(runs):
        columns = law(np.random.default_rng([puzzles, run]), puzzles, (0.06, 0.14), costs)
        curves = module._curves(module.resampled(columns, run), (5, 5))
        low, high = module._ends(module._since(curves, 1.0))
        covered += low <= 100 <= high
        low, high = module._quantiles(module._difference_of_areas(curves))
        areas += low <= 0 <= high  # by symmetry both have the same area
    assert 0.925 <= covered / runs <= 0.98, covered / runs
    assert 0.93 <= areas / runs <= 0.975, areas / runs


@pytest.mark.slow
def test_two_copies_of_one_law_are_seldom_seen_to_cross_or_to_differ(monkeypatch):
    """A/A: both ends within the range would say that an arm overtook; an area interval without 0 that one is better."""
    monkeypatch.setattr(statistics, "RESAMPLES", 2000)
    runs, crossed, better = 600, 0, 0
    for run in range(runs):
        columns = law(np.random.default_rng([7, run]), 200, (0.1, 0.1), (1, 10, 100, 1000, 10000))
        leader = float(module._leader(module._curves(columns.sum(axis=0)[None], (5, 5)))[0])
        curves = module._curves(module.resampled(columns, run), (5, 5))
        crossed += bool(np.isfinite(module._ends(module._since(curves, leader or 1.0))).all())
        low, high = module._quantiles(module._difference_of_areas(curves))
        better += not low <= 0 <= high
    assert crossed / runs <= 0.06, crossed / runs
    assert better / runs <= 0.08, better / runs


def test_a_lead_that_no_draw_doubts_is_said_in_one_sentence(make):
    records = [
        make(arm, rung, n, right, flops=rung)
        for arm, right in (("a", False), ("b", True))
        for rung in (1, 4)
        for n in range(9)
    ]
    lead, mean = said(crossing(table(records), "a", "b"), FLOPS)
    assert lead.endswith("(FLOPs an answer) b is never behind a, in none of 10,000 draws of the puzzles")
    assert mean.endswith("+100.0 points in every draw")
