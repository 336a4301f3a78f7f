"""The verdict says what the numbers say, whoever won."""

import json

import pytest

from dlmreason.analysis.records import RecordsError
from dlmreason.analysis.summary import summary


def run(make, mind=0.95, restarts=0.6, doubt=0.5, base=0.4, thought=0.7, puzzles=100):
    top = {"change_of_mind": mind, "restarts": restarts, "random_doubt": doubt, "ar_thought": thought}
    records = [make(arm, 64, i, i < puzzles * share) for arm, share in top.items() for i in range(puzzles)]
    records += [make(arm, 1, i, i < puzzles * share / 4) for arm, share in top.items() for i in range(puzzles)]
    return records + [make("confidence", rung, i, i < puzzles * base) for rung in (1, 16, 64) for i in range(puzzles)]


def say(*arguments, **options):
    return summary(run(*arguments, **options))["verdict"]


def test_it_is_plain_json_and_has_what_others_read(make):
    found = json.loads(json.dumps(summary(run(make)), allow_nan=False))
    assert set(found["arms"]) == {"change_of_mind", "restarts", "random_doubt", "ar_thought", "confidence"}
    for arm in found["arms"].values():
        for point in arm["points"]:
            assert {"rung", "nfe", "flops", "n", "correct", "accuracy", "low", "high"} <= point.keys()
    assert found["verdict"] == " ".join(found["sentences"])


def test_same_records_same_summary(make):
    records = run(make)
    assert json.dumps(summary(records)) == json.dumps(summary(list(records)))


def test_beating_losing_and_neither(make):
    assert "Changing one's mind beat starting over (restarts) at 64 passes: +35.0 points" in say(make)
    assert "Changing one's mind lost to starting over (restarts) at 64 passes: -35.0 points" in say(
        make, mind=0.6, restarts=0.95
    )
    level = say(make, mind=0.61)
    assert (
        "Changing one's mind did not beat starting over (restarts) at 64 passes, nor lose to it: +1.0 points" in level
    )
    assert "about" in level and "beat starting over (restarts) at 64 passes:" not in level
    assert "beat doubting at random" in say(make, mind=0.9)


def test_no_difference_at_all_asks_for_no_number_of_puzzles(make):
    assert "to settle" not in next(
        s for s in summary(run(make, mind=0.6))["sentences"] if "(restarts)" in s and "Changing" in s
    )


def test_the_winner_is_named_whoever_it_is(make):
    assert say(make, thought=1.0, mind=0.5).startswith(
        "At the highest budget, 64 passes, ar_thought is right most often: 100.0 %"
    )
    assert "change_of_mind is right most often" in say(make)
    assert "cannot be told from it" in say(make, mind=0.71)
    assert "Winner at each budget, in passes or what they buy: 1: confidence" in say(make)


def test_nobody_right_is_said_and_nobody_wins(make):
    found = summary([make(arm, 64, i, False) for arm in ("confidence", "ar_thought") for i in range(40)])
    assert found["sentences"][0] == "At its highest budget no arm is right about any of 40 puzzles."
    assert "right most often" not in found["verdict"] and "Winner" not in found["verdict"] and found["winners"] == []


def test_errors_removed_are_counted_from_the_best_rung_of_the_base(make):
    found = summary(run(make))["errors_removed"]
    assert (
        found["base"] == {"arm": "confidence", "rung": 1} and found["base_errors"] == 60 and found["other_errors"] == 5
    )
    text = say(make)
    assert (
        "change_of_mind at 64 passes removed 91.7 %" in text
        and "of the 60 errors that confidence at its best budget (1 pass) made" in text
    )
    assert "made 70 errors where confidence" in say(make, mind=0.3)


def test_too_easy_is_said(make):
    assert "fewer than 20 errors: the puzzles are too easy" in say(make, base=0.9)
    assert "made no error" in say(make, base=1.0)


def test_a_control_that_was_not_run_is_open(make):
    records = [each for each in run(make) if each.arm != "restarts"]
    assert (
        "restarts was not run on these puzzles, so whether changing one's mind beats starting over is open"
        in summary(records)["verdict"]
    )


def test_a_control_with_other_puzzles_is_open(make):
    records = [
        make(each.arm, each.rung, f"x{each.example}", each.correct) if each.arm == "restarts" else each
        for each in run(make)
    ]
    assert "restarts was not run on these puzzles" in summary(records)["verdict"]


def test_other_claims_have_a_verdict_too(make):
    found = summary([make(arm, 1, i, i < share) for arm, share in (("x", 30), ("y", 80)) for i in range(100)])
    assert (
        "y is right most often" in found["verdict"]
        and "mind" not in found["verdict"]
        and found["errors_removed"] is None
    )


def test_one_arm_alone(make):
    assert summary([make()])["sentences"] == []


def test_learning_is_printed_either_way(make):
    learning = {"ar_thought": {"half": 0.5, "full": 0.62}, "restarts": {"half": 0.5, "full": 0.5}}
    text = summary(run(make), learning=learning)["verdict"]
    assert (
        "ar_thought still rising: +12.0 points (50.0 % to 62.0 %)" in text
        and "restarts no longer rising: +0.0 points" in text
    )


def test_harm_is_said(make):
    records = run(make) + [make("change_of_mind", 256, i, i < 60) for i in range(100)]
    found = summary(records)
    assert (
        "More budget harmed change_of_mind: from 64 passes to 256 passes it falls by -35.0 points" in found["verdict"]
    )
    assert found["arms"]["change_of_mind"]["falls"] == 1
    assert "No arm falls" in say(make)


def test_uncomparable_records_are_refused(make):
    with pytest.raises(RecordsError):
        summary([make(), make(run_key="z")])


def test_an_upper_bound_has_its_curve_and_competes_with_nobody(make):
    """Told what is right, it would win and be a rival at every budget. `told.vote` is of the arm `told` too."""
    records = run(make)
    told = [
        make(f"told{rule}", rung, n, flops=10 * rung) for rule in ("", ".vote") for rung in (1, 16) for n in range(100)
    ]
    told.append(make("toldest", 1, 0, flops=10))
    plain, bound = summary([*records, *told]), summary([*records, *told], bounds=["told"])
    assert any(won["arm"] == "told" for won in plain["winners"])
    assert {arm for arm, content in bound["arms"].items() if content["bound"]} == {"told", "told.vote"}
    assert bound["arms"]["told"]["points"] == plain["arms"]["told"]["points"]
    assert not any("told" in (won["arm"], *won["tied"], *won["worse"]) for won in bound["winners"])
    assert not any("told" in (pair["first"]["arm"], pair["second"]["arm"]) for pair in bound["comparisons"])
    assert "told and told.vote are upper bounds and no results: they were told what is right." in bound["sentences"]
    assert "is an upper bound and no result" in " ".join(summary([*records, *told[:200]], bounds=["told"])["sentences"])
