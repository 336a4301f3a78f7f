"""Comparisons on records small enough to count by hand, and what they refuse."""

import random
from itertools import pairwise

import pytest

from dlmreason.analysis.comparison import (
    At,
    best_rung,
    by_difficulty,
    compare,
    errors_removed,
    falls,
    is_companion,
    points,
    table,
    winners,
)
from dlmreason.analysis.records import RecordsError


def ladder(make, arm, right, **other):
    """Records of an arm: right[rung] is the share of 100 puzzles, the first ones, that it gets right."""
    return [make(arm, rung, i, i < 100 * share, **other) for rung, share in right.items() for i in range(100)]


def test_points_are_means_of_what_was_spent(make):
    records = [
        make(example=0, nfe=2, flops=10, correct=True, settled=True),
        make(example=1, nfe=4, flops=20, correct=False),
    ]
    (point,) = points(table(records), "a")
    assert (point["nfe"], point["flops"], point["n"], point["correct"], point["accuracy"], point["settled"]) == (
        3,
        15,
        2,
        1,
        0.5,
        0.5,
    )
    assert point["low"] < 0.5 < point["high"]


def test_more_seeds_of_the_same_puzzles_do_not_narrow_the_interval(make):
    one = points(table([make(example=i, correct=i < 6) for i in range(10)]), "a")[0]
    three = points(table([make(example=i, correct=i < 6, seed=s) for i in range(10) for s in range(3)]), "a")[0]
    assert (three["n"], three["puzzles"]) == (30, 10)
    assert (three["low"], three["high"]) == pytest.approx((one["low"], one["high"]))


def test_order_of_records_changes_no_number(make):
    records = ladder(make, "a", {1: 0.3, 2: 0.6}) + ladder(make, "b", {1: 0.5, 2: 0.5})
    shuffled = random.Random(0).sample(records, len(records))
    for arm in "ab":
        assert points(table(records), arm) == points(table(shuffled), arm)
    assert compare(table(records), At("a", 1), At("b", 1)) == compare(table(shuffled), At("a", 1), At("b", 1))


def test_two_runs_of_one_point_are_refused(make):
    with pytest.raises(RecordsError, match=r"run_key k and other.*own output folder"):
        table([make(), make(run_key="other")])


def test_a_run_that_contradicts_itself_is_refused_and_a_repeat_is_not(make):
    assert points(table([make(), make()]), "a")[0]["n"] == 1
    with pytest.raises(RecordsError, match="twice and differently"):
        table([make(), make(correct=False)])


def test_two_tasks_are_refused(make):
    with pytest.raises(RecordsError, match="other/test, toy/test"):
        table([make(), make(task="other")])
    with pytest.raises(RecordsError, match="no record"):
        table([])


def test_comparison_takes_shared_puzzles_and_seeds_only(make):
    """The second arm is perfect, but on puzzles that the first never saw."""
    records = [make("a", example=i, correct=False) for i in range(10)]
    records += [make("b", example=i, correct=i >= 10) for i in range(5, 30)]
    records += [make("b", example=i, correct=True, seed=1) for i in range(10)]
    found = compare(table(records), At("a", 1), At("b", 1))
    assert (found.puzzles, found.pairs, found.gain) == (5, 5, 0)
    with pytest.raises(RecordsError, match="share no puzzle"):
        compare(table([*records, make("c", example="x")]), At("a", 1), At("c", 1))


def test_gain_is_second_minus_first(make):
    found = table(ladder(make, "a", {1: 0.2}) + ladder(make, "b", {1: 0.5}))
    up, down = compare(found, At("a", 1), At("b", 1)), compare(found, At("b", 1), At("a", 1))
    assert (up.gain, up.only_first, up.only_second) == (0.3, 0, 30) and up.low > 0.2
    assert (down.gain, down.low, down.high) == pytest.approx((-0.3, -up.high, -up.low))


def test_best_rung_is_the_smallest_of_the_best(make):
    assert best_rung(table(ladder(make, "a", {1: 0.2, 4: 0.7, 16: 0.7, 64: 0.6})), "a") == 4


def test_errors_removed(make):
    """The base errs on 50; the other sets 40 of them right and adds 5 of its own."""
    records = [make("a", 1, i, i < 50) for i in range(100)]
    records += [make("b", 8, i, 5 <= i < 90) for i in range(100)]
    found = errors_removed(table(records), At("a", 1), At("b", 8))
    assert (found.base_errors, found.other_errors) == (50, 15)
    assert found.share == pytest.approx(0.7) and 0.5 < found.low < 0.7 < found.high < 0.85
    assert found.difference.gain == pytest.approx(0.35)


def test_errors_removed_at_the_ends(make):
    perfect = errors_removed(table(ladder(make, "a", {1: 0.5}) + ladder(make, "b", {1: 1.0})), At("a", 1), At("b", 1))
    assert perfect.share == 1 and 0.85 < perfect.low < 0.95 and perfect.high == 1
    none = errors_removed(table(ladder(make, "a", {1: 1.0}) + ladder(make, "b", {1: 0.5})), At("a", 1), At("b", 1))
    assert none.share is None and none.other_errors == 50
    worse = errors_removed(table(ladder(make, "a", {1: 0.5}) + ladder(make, "b", {1: 0.25})), At("a", 1), At("b", 1))
    assert worse.share == -0.5 and worse.high < 0


def test_errors_removed_covers(make):
    """Its interval holds the true share about as often as it says, over drawn runs."""
    dice = random.Random(3)
    fixed, added, held = 0.6, 0.05, 0
    for _ in range(300):
        records = []
        for i in range(120):
            base = i < 60
            other = dice.random() >= added if base else dice.random() < fixed
            records += [make("a", 1, i, base), make("b", 1, i, other)]
        found = errors_removed(table(records), At("a", 1), At("b", 1))
        held += found.low <= fixed - added <= found.high
    assert 0.92 < held / 300 <= 0.99


def test_winner_and_ties(make):
    records = ladder(make, "a", {1: 0.5, 2: 0.5}) + ladder(make, "b", {1: 0.51, 2: 0.9}) + ladder(make, "c", {2: 0.1})
    first, second = winners(table(records))
    assert (first.rung, first.arm, first.tied, first.worse) == (1, "b", ["a"], [])
    assert (second.arm, second.tied, second.worse) == ("b", [], ["a", "c"])


def test_of_equals_the_cheaper_wins(make):
    records = ladder(make, "a", {4: 0.5}, flops=900) + ladder(make, "b", {4: 0.5}, flops=100)
    assert winners(table(records))[0].arm == "b"


def test_nobody_wins_where_nobody_is_right(make):
    records = ladder(make, "a", {1: 0.0, 2: 0.0}) + ladder(make, "b", {1: 0.0, 2: 0.3})
    assert [winner.rung for winner in winners(table(records))] == [2]


def test_a_winner_is_corrected_for_the_number_of_arms(make):
    """A difference that one test finds (8 pairs against 1) is not enough among eight arms."""
    records = [make("a", 1, i, i < 58) for i in range(100)] + [make("b", 1, i, i < 50 or i == 99) for i in range(100)]
    assert winners(table(records))[0].worse == ["b"]
    crowd = [make(f"x{k}", 1, i, i < 50 or i == 99) for k in range(6) for i in range(100)]
    assert winners(table(records + crowd))[0].worse == []


def test_one_arm_wins_nothing(make):
    assert winners(table(ladder(make, "a", {1: 0.5}))) == []


def test_a_companion_has_a_curve_and_never_competes(make):
    records = ladder(make, "a", {1: 0.3}) + ladder(make, "a.last", {1: 1.0}) + ladder(make, "b", {1: 0.2})
    found = table(records)
    assert found.competitors == ["a", "b"] and is_companion("a.last", found.arms)
    assert winners(found)[0].arm == "a"
    assert points(found, "a.last")[0]["accuracy"] == 1
    assert not is_companion("c.last", ["c.last", "a"])


def test_a_fall_is_found_and_noise_is_not(make):
    (fall,) = falls(table(ladder(make, "a", {1: 0.2, 2: 0.8, 4: 0.6})), "a")
    assert (fall.lower, fall.higher) == (2, 4) and fall.difference.gain == pytest.approx(-0.2)
    assert falls(table(ladder(make, "a", {1: 0.2, 2: 0.8, 4: 0.78, 8: 0.8})), "a") == []


def test_without_a_fall_none_is_found_as_often_as_promised(make):
    dice = random.Random(5)
    found = 0
    for _ in range(60):
        records = [make("a", rung, i, dice.random() < 0.5) for rung in (1, 2, 4, 8) for i in range(60)]
        found += bool(falls(table(records), "a"))
    assert found <= 7


def test_difficulty_bins_hold_every_puzzle_once(make):
    records = [make("a", rung, i, correct=i < 30, difficulty=i % 20) for rung in (1, 2) for i in range(60)]
    rows = by_difficulty(table(records))
    assert sum(row.puzzles for row in rows) == 60 and 2 <= len(rows) <= 4
    assert all(low.high < high.low for low, high in pairwise(rows))
    assert sum(row.arms["a"]["correct"] for row in rows) == 30 and {row.arms["a"]["rung"] for row in rows} == {2}
    few = by_difficulty(table([make(example=i, difficulty=i % 2) for i in range(10)]))
    assert [(row.low, row.high, row.puzzles) for row in few] == [(0, 0, 5), (1, 1, 5)]
