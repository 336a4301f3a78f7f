"""Intervals hold the truth as often as they say, and two arms of one law are told apart no more often than promised.

Where every outcome can be listed, its chance is summed, which is exact; runs with seeds are drawn.
"""

import bisect
import math

import numpy as np
import pytest
import scipy.stats

from dlmreason.analysis import statistics
from dlmreason.analysis.statistics import Paired, paired, sign_flip, tango, wilson

SIZES, SHARES = (200, 500, 1000), (0.05, 0.3, 0.5, 0.95)
LEAST, MOST = 0.935, 0.975


@pytest.mark.parametrize("share", SHARES)
@pytest.mark.parametrize("n", SIZES)
def test_wilson_covers(n, share):
    intervals = [wilson(correct, n) for correct in range(n + 1)]
    held = [low <= share <= high for low, high in intervals]
    assert LEAST <= scipy.stats.binom.pmf(np.arange(n + 1), n, share)[held].sum() <= MOST


def discordant(share, gain, correlation):
    """Chances that only the first, and only the second, is right about a puzzle."""
    other = share + gain
    both = share * other + correlation * math.sqrt(share * (1 - share) * other * (1 - other))
    return share - both, other - both


def outcomes(n, down, up):
    """Counts of both kinds of discordant pairs and their chance, all but a ten-thousandth of it."""

    def near(chance):
        reach = 5 * math.sqrt(n * chance) + 8
        return np.arange(max(0, math.floor(n * chance - reach)), min(n, math.ceil(n * chance + reach)) + 1)

    first, second = (each.ravel() for each in np.meshgrid(near(down), near(up), indexing="ij"))
    chance = scipy.stats.multinomial.pmf(
        np.stack([first, second, n - first - second], axis=1), n, [down, up, 1 - down - up]
    )
    likely = chance > 1e-7
    assert chance[likely].sum() > 0.999
    return first[likely], second[likely], chance[likely]


CORRELATIONS = (0.0, 0.5, 0.9)
TANGO = [
    pytest.param(n, share, correlation, gain, marks=pytest.mark.slow if n * (1 - correlation) > 100 else ())
    for n in SIZES
    for share in SHARES
    for correlation in CORRELATIONS
    for gain in (0.0, 0.03 if share < 0.5 else -0.03)
    if min(discordant(share, gain, correlation)) >= 0
]


@pytest.mark.parametrize(("n", "share", "correlation", "gain"), TANGO)
def test_tango_covers(n, share, correlation, gain):
    """Arms that are right about the same puzzles, or not; where hardly a pair differs it covers more, never less."""
    down, up = discordant(share, gain, correlation)
    held = [
        chance * (low - 1e-12 <= gain <= high + 1e-12)
        for first, second, chance in zip(*outcomes(n, down, up), strict=True)
        for low, high in [tango(int(first), int(second), n)]
    ]
    assert LEAST <= sum(held) <= (MOST if n * min(down, up) > 1 else 1)


@pytest.mark.parametrize("chance", [0.02, 0.1, 0.3])
@pytest.mark.parametrize("n", SIZES)
def test_equal_arms_are_told_apart_by_mcnemar_at_most_as_often_as_said(n, chance):
    """A/A, one seed: summed over all numbers of discordant pairs, those being split evenly."""

    def found(m, k):
        return sign_flip(np.repeat(np.array([-1, 1]), [k, m - k])) < 0.05

    low, high = (int(end) for end in scipy.stats.binom.interval(1 - 1e-6, n, chance))
    total = 0.0
    for m in range(low, high + 1):
        least = bisect.bisect_left(range(m // 2), True, key=lambda k: not found(m, k))  # k below it are found
        total += scipy.stats.binom.pmf(m, n, chance) * 2 * scipy.stats.binom.cdf(least - 1, m, 0.5)
    assert (0.01 if n * chance > 20 else 0) <= total <= 0.05


def tried(dice, n, share, seeds, gain=0.0, spread=2.0) -> Paired:
    """Two arms on the same n puzzles, each easy or hard for both; the second is right with a chance `gain` higher."""
    ease = dice.beta(share * spread, (1 - share) * spread, n)[:, None]
    first, second = dice.random((n, seeds)) < ease, dice.random((n, seeds)) < np.minimum(1, ease + gain)
    return paired(
        first.sum(axis=1), second.sum(axis=1), np.full(n, seeds),
        int((first & ~second).sum()), int((second & ~first).sum()), seed=int(dice.integers(2**31)),
    )  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("share", SHARES)
@pytest.mark.parametrize("n", SIZES)
def test_two_thousand_pairs_of_equal_arms_with_seeds(n, share, monkeypatch):
    """A/A, three seeds a puzzle: neither the test nor the interval finds a difference more often than 6 in 100."""
    monkeypatch.setattr(statistics, "RESAMPLES", 2000)
    dice = np.random.default_rng([n, int(100 * share), 5])
    runs = [tried(dice, n, share, 3) for _ in range(2000)]
    assert np.mean([run.p < 0.05 for run in runs]) <= 0.06
    assert LEAST <= np.mean([run.low <= 0 <= run.high for run in runs]) <= MOST


@pytest.mark.slow
def test_seeds_counted_as_puzzles_would_find_too_much(monkeypatch):
    """The control: three seeds of a puzzle taken for three puzzles find differences that are not there."""
    dice = np.random.default_rng(11)
    found = 0
    for _ in range(1000):
        # Each arm has puzzles of its own that it knows: its seeds agree with one another, not with the other arm.
        first, second = (np.repeat(dice.random(200) < 0.5, 3).astype(np.int64) for _ in range(2))
        found += sign_flip(second - first) < 0.05
    assert found / 1000 > 0.15


@pytest.mark.slow
def test_two_thousand_pairs_of_equal_arms_with_one_seed():
    """A/A by Tango's interval and McNemar's exact test on the same draws; both say the same nearly always."""
    dice = np.random.default_rng(12)
    runs = [tried(dice, 200, 0.5, 1) for _ in range(2000)]
    by_test, by_interval = ([bool(each) for each in said] for said in (
        [run.p < 0.05 for run in runs], [not run.low <= 0 <= run.high for run in runs]
    ))  # fmt: skip
    assert np.mean(by_test) <= 0.06 and np.mean(by_interval) <= 0.06
    assert np.mean(np.array(by_test) != np.array(by_interval)) < 0.03


@pytest.mark.slow
@pytest.mark.parametrize("gain", [0.05, 0.1])
def test_the_clustered_interval_covers_a_gain(gain, monkeypatch):
    monkeypatch.setattr(statistics, "RESAMPLES", 2000)
    dice = np.random.default_rng([13, int(100 * gain)])
    share, spread = 0.3, 2.0
    truth = scipy.stats.beta(share * spread, (1 - share) * spread).expect(lambda ease: min(1.0, ease + gain)) - share
    runs = [tried(dice, 200, share, 3, gain, spread) for _ in range(2000)]
    assert LEAST <= np.mean([run.low <= truth <= run.high for run in runs]) <= MOST


def test_the_bootstrap_is_scipys():
    """The same statistic of the same puzzles: ends within what ten thousand draws leave open."""
    dice = np.random.default_rng(14)
    columns = dice.integers(-3, 4, (150, 1))
    theirs = scipy.stats.bootstrap(
        (columns[:, 0],), np.mean, n_resamples=20_000, method="percentile", rng=np.random.default_rng(0)
    ).confidence_interval
    ours = statistics.bootstrap(columns, lambda sums: sums[:, 0] / 150, 0)
    assert ours == pytest.approx((theirs.low, theirs.high), abs=0.015)


def test_the_bootstrap_has_the_law_of_all_draws():
    """Four puzzles have 256 draws: the ends are quantiles of their law, to 1e-9."""
    columns = np.array([[-3], [0], [1], [7]])
    draws = np.stack(np.meshgrid(*[columns[:, 0]] * 4), axis=-1).reshape(-1, 4).mean(axis=1)
    exact = np.quantile(draws, [0.025, 0.975], method="inverted_cdf")
    assert statistics.bootstrap(columns, lambda sums: sums[:, 0] / 4, 0) == pytest.approx(tuple(exact), abs=1e-9)
