"""Rates of changes of mind, and puzzles chosen by rule."""

import random

from dlmreason.analysis.comparison import table
from dlmreason.analysis.revisions import RULES, choose, revisions

EVENTS = {
    "written": 10,
    "doubted": 6,
    "flipped": 4,
    "wrong_to_right": 2,
    "right_to_wrong": 1,
    "lateral": 1,
    "restored": 2,
}


def test_rates_are_per_pass_really_made(make):
    records = [make("a", 100, 0, nfe=40, settled=True, events=EVENTS), make("a", 100, 1, nfe=10, events={})]
    (row,) = revisions(table(records), "a")
    assert row["per_1000"]["doubted"] == 1000 * 6 / 50
    assert (row["precision"], row["harm"]) == (0.5, 0.25)
    assert (row["alive"], row["nfe"], row["last"]) == (0.5, 25, None)
    assert row["triggered"] == 0.5  # one of the two took a token back


def test_no_change_has_no_precision(make):
    (row,) = revisions(table([make(events={"written": 3})]), "a")
    assert row["precision"] is None and row["harm"] is None


def test_an_arm_without_events_has_no_rows(make):
    assert revisions(table([make()]), "a") == []


def test_the_last_canvas_stands_beside_the_best(make):
    records = [make("a", 1, i, True, events=EVENTS) for i in range(4)] + [
        make("a.last", 1, i, i < 1, events=EVENTS) for i in range(4)
    ]
    (row,) = revisions(table(records), "a")
    assert row["accuracy"] == 1 and row["last"]["accuracy"] == 0.25


def story(make, example, right, changed=1):
    return [make("a", 2**i, example, each == "1", events={"wrong_to_right": changed}) for i, each in enumerate(right)]


def test_one_puzzle_for_each_rule(make):
    records = [*story(make, 0, "0011"), *story(make, 1, "0110"), *story(make, 2, "0000"), *story(make, 3, "0111")]
    found = choose(records, "a")
    assert {each.rule: each.example for each in found.choices} == {
        "set right": "0", "set wrong": "1", "never solved": "2", "solved at once": "3",
    }  # fmt: skip
    assert found.missing == [] and list(RULES) == [each.rule for each in found.choices]


def test_a_rule_that_finds_none_is_named(make):
    found = choose([*story(make, 0, "0011"), *story(make, 1, "0001")], "a")
    assert [each.rule for each in found.choices] == ["set right", "solved at once"]
    assert found.missing == ["set wrong", "never solved"]
    assert choose([], "a").choices == [] and len(choose([], "a").missing) == 4


def test_filling_blanks_is_no_change_of_mind(make):
    """Right only at the end, but without any token ever set right: it merely finished writing."""
    found = choose([*story(make, 0, "0111"), *story(make, 1, "0011", changed=0)], "a")
    assert "set right" in found.missing


def test_the_shortest_story_is_taken_and_the_order_of_records_does_not_matter(make):
    records = [
        each for example, right in enumerate(["0001", "0011", "0011", "0111"]) for each in story(make, example, right)
    ]
    found = choose(records, "a")
    assert found.choices[0].example == "1"
    assert all(choose(random.Random(i).sample(records, len(records)), "a") == found for i in range(5))


def test_other_arms_are_not_looked_at(make):
    records = [*story(make, 0, "0011"), make("b", 1, 9, False)]
    assert all(each.example == "0" for each in choose(records, "a").choices)
