"""A claim's declared comparisons: Holm over these alone, and everything else is called exploratory."""

import json

import pytest

from dlmreason.analysis.comparison import At, compare, table
from dlmreason.analysis.family import corrected, declared, pairs_where, said, within_reach
from dlmreason.analysis.records import RecordsError
from dlmreason.analysis.statistics import holm, power_of
from dlmreason.analysis.summary import summary


@pytest.fixture
def records(make):
    """Of 100 puzzles at 4 passes a knows 50, b 58, c 80; at 16 a knows 60."""
    right = {("a", 4): 50, ("b", 4): 58, ("c", 4): 80, ("a", 16): 60, ("c", 16): 80}
    return [make(arm, rung, i, i < most) for (arm, rung), most in right.items() for i in range(100)]


def test_holm_is_over_the_family_and_nothing_else(records):
    found = table(records)
    pairs = declared(found, [["a@4", "b@4"], ["a@4", "c@4"]])
    assert pairs == [(At("a", 4), At("b", 4)), (At("a", 4), At("c", 4))]
    alone = [compare(found, *pair).p for pair in pairs]
    assert [row.p for row in corrected(found, pairs)] == holm(alone) == [alone[0], 2 * alone[1]]
    assert [row.p for row in corrected(found, pairs[:1])] == alone[:1]
    assert corrected(found, []) == []


def test_places_of_different_budgets_and_of_the_highest_common_one(records):
    found = table(records)
    assert declared(found, [["a@16", "c@4"], ["a", "c"]]) == [(At("a", 16), At("c", 4)), (At("a", 16), At("c", 16))]


@pytest.mark.parametrize(
    ("family", "words"),
    [
        ([["a@4"]], "two places"),
        ([["a@4", "x@4"]], "x@4: no arm of these records; they hold a, b, c"),
        ([["a@5", "b@4"]], "a has no budget 5"),
        ([["a@4", "a@4"]], "two different places"),
        ([["a@4", "b@4"], ["b@4", "a@4"]], "each pair once"),
    ],
)
def test_what_cannot_be_compared_is_refused(family, words, records):
    with pytest.raises(RecordsError, match=words):
        declared(table(records), family)


def test_a_rule_may_stand_for_a_list(records):
    found = table(records)
    pairs = pairs_where(found, lambda first, second: first.rung == second.rung and "a" in (first.arm, second.arm))
    assert pairs == declared(found, [["a@4", "b@4"], ["a@4", "c@4"], ["a@16", "c@16"]])


def test_it_is_said_who_is_ahead_and_what_could_have_been_found(records):
    found = table(records)
    clear, small = corrected(found, declared(found, [["a@4", "c@16"], ["a@4", "b@4"]]))
    assert said(clear, 0.05).startswith("c is ahead of a at 16 passes (against 4 passes): +30.0 points [")
    assert "p < .001" in said(clear, 0.05) and "in 9 of 10 runs" not in said(clear, 0.05)
    assert said(small, 0.001).startswith("b and a cannot be told apart at 4 passes: +8.0 points [")


def test_what_is_within_reach_has_the_power_that_is_said():
    text = within_reach(40, 200, 200)
    points = float(text.partition("differences of ")[2].partition(" points")[0])
    assert text.startswith("n = 200 ") and power_of(points / 100, 0.2, 200) == pytest.approx(0.9, abs=0.01)
    assert within_reach(0, 200, 200) == "" == within_reach(3, 200, 200)


def test_a_summary_tells_declared_from_exploratory(records):
    found = summary(records, mind="c", family=[["a@4", "b@4"]])
    first, about, *_ = found["sentences"]
    assert first.startswith("Declared: b is ahead of a at 4 passes: +8.0 points [") and first.endswith("p = .008.")
    assert about == (
        "Before the run one comparison was declared, Holm's correction is over these, and all others are exploratory."
    )
    (row,) = found["family"]
    assert row["p"] == row["p_corrected"] and (row["first"], row["second"]["arm"]) == ({"arm": "a", "rung": 4}, "b")
    plain = summary(records, mind="c")
    assert plain["family"] == plain["crossings"] == [] and "exploratory" not in plain["verdict"]
    assert plain["comparisons"] == found["comparisons"] and found["sentences"][3:] == plain["sentences"]


def test_a_summary_says_where_declared_arms_overtake(make):
    """20 of 40 throughout against 10 rising to 30; a third arm with one budget has no curve."""
    right = {("a", 4): 20, ("a", 16): 20, ("b", 4): 10, ("b", 16): 30, ("c", 16): 40}
    records = [make(arm, rung, i, i < most) for (arm, rung), most in right.items() for i in range(40)]
    found = json.loads(
        json.dumps(summary(records, family=[["a@4", "b@4"], ["a@16", "b@16"], ["a", "c"]]), allow_nan=False)
    )
    both, alone = found["crossings"]
    assert both["overtakings"] == [{"cost": pytest.approx(80), "ahead": "b"}] and both["axis"] == "FLOPs"
    assert "the lead changes once: b at 80 FLOP" in found["verdict"]
    assert alone["words"][0].startswith("c has 1 of 1 budgets") and "c against a: c has 1 of 1" in found["verdict"]
