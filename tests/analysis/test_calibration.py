"""Reliability: bins that hold every judged answer once, equal scores together, and shares that are those of the bin."""

import math
import random

import pytest

from dlmreason.analysis.calibration import calibration, reliability, shares
from dlmreason.analysis.comparison import table
from dlmreason.analysis.records import Record
from dlmreason.analysis.statistics import wilson


def record(score: float | None, correct: bool, example: int, seed: int = 0, rung: int = 4) -> Record:
    return Record(
        arm="a", task="toy", split="test", example=str(example), difficulty=0, rung=rung, seed=seed, answer="",
        correct=correct, reason="", nfe=1, scheduled_passes=1, sequential_depth=1, flops=1, events={}, run_key="k",
        score=score,
    )  # fmt: skip


def test_scores_that_are_the_chance_lie_on_the_diagonal() -> None:
    dice = random.Random(0)
    chances = [dice.random() for _ in range(20_000)]
    bins = reliability(record(chance, dice.random() < chance, i) for i, chance in enumerate(chances))
    assert len(bins) == 10 and all(each.low <= each.score <= each.high for each in bins)
    halved = reliability(record(chance, dice.random() < chance / 2, i) for i, chance in enumerate(chances))
    assert not any(each.low <= each.score <= each.high for each in halved[2:]), "what claims too much is seen to"


def test_every_judged_answer_is_in_one_bin_and_equal_scores_share_theirs() -> None:
    dice = random.Random(1)
    scores = [dice.choice((0.1, 0.5, 0.5, 0.5, 0.9)) for _ in range(97)]
    rows = [record(score, dice.random() < 0.5, i) for i, score in enumerate(scores)]
    bins = reliability([*rows, record(None, True, 1000)])
    assert sum(each.n for each in bins) == 97 and sum(each.correct for each in bins) == sum(r.correct for r in rows)
    assert [each.low_score for each in bins] == [each.high_score for each in bins] == [0.1, 0.5, 0.9]
    for each in bins:
        assert (each.low, each.high) == tuple(wilson(each.correct, each.n))


def test_seeds_of_a_puzzle_widen_nothing_away() -> None:
    once = reliability([record(0.5, i % 2 == 0, i) for i in range(20)])[0]
    thrice = reliability([record(0.5, i % 2 == 0, i, seed) for i in range(20) for seed in range(3)])[0]
    assert thrice.n == 60 and (thrice.low, thrice.high) == pytest.approx((once.low, once.high))


def test_a_logarithm_is_read_as_one_and_what_is_no_share_is_not_binned() -> None:
    assert shares([-1.0, 0.0]) == [math.exp(-1), 1.0] and shares([0.25, 1.0]) == [0.25, 1.0]
    assert shares([-0.5, 0.5]) is None and shares([0.5, 3.0]) is None
    assert reliability([record(-0.5, True, 0), record(0.5, True, 1)]) == [] == reliability([])


def test_an_arm_is_told_of_at_its_highest_budget() -> None:
    found = table([record(-0.1, False, 0, rung=1), record(-0.2, True, 0, rung=8), record(None, False, 1, rung=8)])
    told = calibration(found, "a")
    assert told is not None and (told["rung"], told["unjudged"], len(told["bins"])) == (8, 1, 1)
    assert told["bins"][0]["accuracy"] == 1.0 and told["bins"][0]["score"] == math.exp(-0.2)
    assert calibration(table([record(None, True, 0)]), "a") is None
