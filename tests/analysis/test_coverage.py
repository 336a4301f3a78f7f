"""pass@k is the share of k-subsets that hold a right try, and unbiased for k fresh tries."""

import math
from fractions import Fraction
from itertools import combinations, product

import pytest

from dlmreason.analysis.coverage import coverage, pass_at_k
from dlmreason.analysis.records import Record

WHOLE = [(tries, right, k) for tries in range(1, 8) for right in range(tries + 1) for k in range(1, tries + 1)]


@pytest.mark.parametrize(("tries", "right", "k"), WHOLE)
def test_it_is_the_share_of_subsets_with_a_right_one(tries: int, right: int, k: int) -> None:
    subsets = list(combinations([True] * right + [False] * (tries - right), k))
    assert pass_at_k(tries, right, k) == float(Fraction(sum(map(any, subsets)), len(subsets)))


@pytest.mark.parametrize("chance", [0.1, 0.5, 0.83])
def test_its_mean_over_all_outcomes_is_the_chance_of_k_fresh_tries(chance: float) -> None:
    tries = 6
    for k in range(1, tries + 1):
        mean = sum(
            math.prod(chance if right else 1 - chance for right in outcome) * pass_at_k(tries, sum(outcome), k)
            for outcome in product((True, False), repeat=tries)
        )
        assert mean == pytest.approx(1 - (1 - chance) ** k, abs=1e-14)
        naive = sum(
            math.comb(tries, c) * chance**c * (1 - chance) ** (tries - c) * (1 - (1 - c / tries) ** k)
            for c in range(tries + 1)
        )
        assert (naive == pytest.approx(mean, abs=1e-9)) == (k == 1), "the plug-in estimate is biased for k > 1"


def test_large_counts_do_not_overflow() -> None:
    assert pass_at_k(100_000, 1, 1000) == pytest.approx(0.01, rel=1e-12)
    assert pass_at_k(1024, 0, 512) == 0.0 and pass_at_k(1024, 600, 512) == 1.0


def record(example: str, rung: int = 1, arm: str = "it.oracle", seed: int = 0, **events: int) -> Record:
    about = {"task": "t", "split": "test", "difficulty": 0, "answer": "", "correct": False, "reason": "no"}
    spent = {"nfe": 1, "scheduled_passes": 1, "sequential_depth": 1, "flops": 1}
    return Record(arm=arm, example=example, rung=rung, seed=seed, events=events, run_key="k", **about, **spent)


def test_it_is_read_off_the_record_with_the_most_tries() -> None:
    records = [record("a", 1, chains=2, right=0), record("a", 2, chains=4, right=1), record("b", 2, chains=2, right=2)]
    assert coverage(records, 1) == {"a": 0.25, "b": 1.0}
    assert coverage(records, 2) == {"a": 0.5, "b": 1.0}
    assert coverage(records, 3) == {"a": 0.75}
    seeds = [record("a", seed=0, chains=4, right=1), record("a", seed=1, chains=4, right=3)]
    assert coverage(seeds, 1) == coverage(seeds[::-1], 1) == {"a": 0.5}, "the luckier seed is not the answer"


def test_what_says_nothing_of_coverage_is_refused() -> None:
    for tries, right, k, says in ((3, 4, 1, "right=4"), (3, -1, 1, "right=-1"), (3, 1, 0, "k=0"), (3, 1, 4, "k=4")):
        with pytest.raises(ValueError, match=says):
            pass_at_k(tries, right, k)
    with pytest.raises(ValueError, match=r"does not say how many.*oracle=true"):
        coverage([record("a", chains=2)], 1)
    with pytest.raises(ValueError, match="2 arms"):
        coverage([record("a", chains=1, right=1), record("a", arm="other", chains=1, right=1)], 1)
