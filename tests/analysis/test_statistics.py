"""Each number against an independent source: scipy, a brute force over all outcomes, or its own coverage."""

import itertools
import math

import numpy as np
import pytest
import scipy.optimize
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st

from dlmreason.analysis import statistics
from dlmreason.analysis.statistics import (
    bootstrap,
    holm,
    paired,
    pairs_needed,
    power_of,
    sign_flip,
    smallest_gain,
    tango,
    wilson,
)


@given(st.integers(1, 2000), st.data())
def test_wilson_is_scipys(n, data):
    correct = data.draw(st.integers(0, n))
    theirs = scipy.stats.binomtest(correct, n).proportion_ci(method="wilson")
    assert wilson(correct, n) == pytest.approx((theirs.low, theirs.high), abs=1e-12)


def test_wilson_of_seeds_counts_puzzles():
    assert wilson(180, 200) == wilson(540 / 3, 200)
    assert wilson(0, 0) == (0, 1)


def test_wilson_covers_where_wald_does_not():
    n, share = 100, 0.99
    chance = scipy.stats.binom.pmf(np.arange(n + 1), n, share)

    def wald(correct):
        half = statistics.Z * math.sqrt(correct / n * (1 - correct / n) / n)
        return correct / n - half, correct / n + half

    def coverage(interval):
        return sum(chance[k] for k in range(n + 1) if interval(k)[0] <= share <= interval(k)[1])

    assert coverage(lambda k: wilson(k, n)) > 0.9
    assert coverage(wald) < 0.7


@given(st.lists(st.sampled_from([-1, 0, 1]), max_size=300))
def test_sign_flip_of_single_seeds_is_exact_mcnemar(differences):
    array = np.array(differences, dtype=np.int64)
    up, down = (array > 0).sum(), (array < 0).sum()
    expected = scipy.stats.binomtest(int(up), int(up + down)).pvalue if up + down else 1.0
    assert sign_flip(array) == pytest.approx(expected, rel=1e-9)


@given(st.lists(st.integers(-3, 3), min_size=1, max_size=9))
def test_sign_flip_is_the_share_of_all_flips_as_extreme(differences):
    total = abs(sum(differences))
    flips = [
        abs(sum(s * d for s, d in zip(signs, differences, strict=True)))
        for signs in itertools.product((-1, 1), repeat=len(differences))
    ]
    assert sign_flip(np.array(differences, dtype=np.int64)) == pytest.approx(np.mean([each >= total for each in flips]))


def score_by_search(only_first, only_second, n, gain):
    """The score statistic at `gain`, its nuisance share found by a search over the likelihood, not by formula."""

    def minus_log_likelihood(down):
        up, rest = down + gain, 1 - gain - 2 * down
        return -(
            scipy.special.xlogy(only_second, up)
            + scipy.special.xlogy(only_first, down)
            + scipy.special.xlogy(n - only_first - only_second, rest)
        )

    low, high = max(0.0, -gain), (1 - gain) / 2
    down = scipy.optimize.minimize_scalar(
        minus_log_likelihood, bounds=(low + 1e-12, high - 1e-12), method="bounded", options={"xatol": 1e-12}
    ).x
    return (only_second - only_first - n * gain) / math.sqrt(n * (2 * down + gain - gain**2))


@pytest.mark.parametrize(
    ("only_first", "only_second", "n"), [(1, 9, 50), (5, 5, 40), (12, 30, 200), (3, 0, 60), (0, 20, 100)]
)
def test_tango_is_where_the_score_test_turns(only_first, only_second, n):
    low, high = tango(only_first, only_second, n)
    assert score_by_search(only_first, only_second, n, low) == pytest.approx(statistics.Z, abs=1e-3)
    assert score_by_search(only_first, only_second, n, high) == pytest.approx(-statistics.Z, abs=1e-3)


@given(st.integers(1, 300), st.data())
def test_tango_mirrors_and_holds_the_gain(n, data):
    down = data.draw(st.integers(0, n))
    up = data.draw(st.integers(0, n - down))
    low, high = tango(down, up, n)
    assert -1 <= low <= (up - down) / n + 1e-9 and (up - down) / n - 1e-9 <= high <= 1
    assert tango(up, down, n) == pytest.approx((-high, -low), abs=1e-9)


def test_tango_covers_where_a_bootstrap_is_a_point():
    assert tango(0, 0, 100) == pytest.approx((-0.037, 0.037), abs=1e-3)
    assert tango(0, 1, 200).low < 0 < tango(0, 1, 200).high
    n, down, up = 60, 0.02, 0.1
    covered = 0.0
    for only_first, only_second in itertools.product(range(12), range(25)):
        chance = scipy.stats.multinomial.pmf(
            [only_first, only_second, n - only_first - only_second], n, [down, up, 1 - down - up]
        )
        low, high = tango(only_first, only_second, n)
        covered += chance * (low <= up - down <= high)
    assert 0.93 < covered < 0.985


def counts(*values):
    return np.array(values, dtype=np.int64)


def test_paired_of_one_seed():
    found = paired(counts(1, 0, 0, 0), counts(0, 1, 1, 0), counts(1, 1, 1, 1), 1, 2)
    assert (found.puzzles, found.pairs, found.gain, found.p) == (4, 4, 0.25, 1.0)
    assert (found.low, found.high) == tango(1, 2, 4)


def test_seeds_of_a_puzzle_are_one_draw():
    """Repeating every pair three times adds no puzzle, so it must add no certainty."""
    dice = np.random.default_rng(0)
    first, second = dice.integers(0, 2, 80), dice.integers(0, 2, 80)
    ones = np.ones(80, dtype=np.int64)
    down, up = int((first > second).sum()), int((second > first).sum())
    single = paired(first, second, ones, down, up)
    triple = paired(3 * first, 3 * second, 3 * ones, 3 * down, 3 * up)
    assert triple.gain == pytest.approx(single.gain) and triple.p == pytest.approx(single.p)
    assert triple.high - triple.low == pytest.approx(single.high - single.low, rel=0.1)
    assert paired(0 * ones, 0 * ones, 3 * ones, 0, 0).low == tango(0, 0, 80).low


def test_bootstrap_of_patterns_is_the_bootstrap_of_puzzles():
    dice = np.random.default_rng(1)
    columns = dice.integers(0, 3, (70, 2))

    def statistic(sums):
        return sums[:, 0] / np.maximum(sums[:, 1], 1)

    plain = [statistic(columns[dice.integers(0, 70, 70)].sum(axis=0)[None])[0] for _ in range(4000)]
    assert bootstrap(columns, statistic, 0) == pytest.approx(np.quantile(plain, [0.025, 0.975]), rel=0.03)
    assert bootstrap(columns, statistic, 0) == bootstrap(columns[::-1], statistic, 0)
    assert bootstrap(columns, statistic, 0) != bootstrap(columns, statistic, 1)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_holm_is_the_closed_test(p_values):
    """A hypothesis is rejected by Holm when Bonferroni rejects every set of hypotheses that it belongs to."""
    adjusted = holm(p_values)
    if len(p_values) <= 7:
        indices = range(len(p_values))
        for i in indices:
            sets = (s for size in range(1, len(p_values) + 1) for s in itertools.combinations(indices, size) if i in s)
            assert adjusted[i] == pytest.approx(max(min(1.0, len(s) * min(p_values[j] for j in s)) for s in sets))
    assert all(a >= p for a, p in zip(adjusted, p_values, strict=True))


def test_pairs_needed_gives_the_power_it_promises():
    gain, discordant = 0.08, 0.2
    n = pairs_needed(gain, discordant, power=0.9)
    dice = np.random.default_rng(2)
    draws = dice.multinomial(n, [(discordant - gain) / 2, (discordant + gain) / 2, 1 - discordant], size=2000)
    found = [scipy.stats.binomtest(int(up), int(up + down)).pvalue < 0.05 for down, up, _ in draws]
    assert 0.86 < np.mean(found) < 0.93


@given(st.floats(0.02, 0.9), st.floats(0.05, 1), st.sampled_from([0.5, 0.8, 0.9, 0.99]))
def test_power_turns_the_number_of_puzzles_round(share, discordant, power):
    """As many puzzles as are needed have the power asked for, and one fewer does not."""
    gain = share * discordant
    n = pairs_needed(gain, discordant, power)
    assert power_of(gain, discordant, n) >= power - 1e-9 and power_of(-gain, discordant, n) == power_of(
        gain, discordant, n
    )
    assert n == 1 or power_of(gain, discordant, n - 1) < power + 1e-9


@given(st.floats(0.01, 1), st.integers(20, 5000))
def test_the_smallest_gain_is_the_one_whose_power_is_that(discordant, puzzles):
    found = smallest_gain(discordant, puzzles)
    if found is None:
        assert power_of(discordant, discordant, puzzles) < 0.9
    else:
        assert 0 < found <= discordant and power_of(found, discordant, puzzles) == pytest.approx(0.9, abs=1e-6)
    assert smallest_gain(0.0, puzzles) is None


@pytest.mark.slow
@pytest.mark.parametrize(("gain", "discordant", "puzzles"), [(0.1, 0.2, 200), (0.05, 0.1, 500), (0.06, 0.4, 1000)])
def test_power_is_the_share_of_runs_that_find_it(gain, discordant, puzzles):
    """The exact test is a little less ready to find than the formula, never more by as much."""
    dice = np.random.default_rng(3)
    draws = dice.multinomial(puzzles, [(discordant - gain) / 2, (discordant + gain) / 2, 1 - discordant], size=20_000)
    pairs, number = np.unique(draws[:, :2], axis=0, return_counts=True)
    found = [scipy.stats.binomtest(int(up), int(up + down)).pvalue < 0.05 if up + down else False for down, up in pairs]
    assert -0.05 < np.average(found, weights=number) - power_of(gain, discordant, puzzles) < 0.015
