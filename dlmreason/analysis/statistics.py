"""Intervals and tests for shares of right answers, alone and in pairs.

This file decides how sure a number is. Every interval is two-sided at 95 %, so its lower end is a 97.5 % one-sided
bound. Puzzles are what is drawn at random: several seeds of one puzzle are one draw. It knows no record, arm or budget.
It needs no scipy, whose import takes longer than the work; the tests hold both equal where scipy has the same quantity.
"""

import math
from collections.abc import Callable, Sequence
from statistics import NormalDist
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Counts = npt.NDArray[np.int64]
Z = NormalDist().inv_cdf(0.975)
RESAMPLES = 10_000


class Interval(NamedTuple):
    low: float
    high: float


class Paired(NamedTuple):
    """The second against the first on the same puzzles."""

    puzzles: int
    pairs: int  # puzzles times the seeds that both were run with
    only_first: int  # pairs that only the first got right
    only_second: int
    gain: float  # share right of the second minus that of the first
    low: float
    high: float
    p: float  # two-sided


def wilson(correct: float, n: float) -> Interval:
    """The score interval of a share [Wilson 1927]; (0, 1) where n is 0.

    The counts may be fractions: three seeds of 200 puzzles with 540 right answers are 180 of 200.
    """
    if n == 0:
        return Interval(0.0, 1.0)
    share = correct / n
    centre = (share + Z * Z / (2 * n)) / (1 + Z * Z / n)
    half = Z / (1 + Z * Z / n) * math.sqrt(share * (1 - share) / n + Z * Z / (4 * n * n))
    # At the ends the bound is exact; the formula leaves a rounding error there.
    return Interval(0.0 if correct == 0 else max(0.0, centre - half), 1.0 if correct == n else min(1.0, centre + half))


def tango(only_first: int, only_second: int, n: int) -> Interval:
    """The score interval of a paired difference of shares, second minus first [Tango 1998].

    It stays honest where few or no pairs differ, where a bootstrap collapses to a point.
    """

    def deviation(gain: float) -> float:
        """(observed - gain) in standard deviations, the nuisance share at its likelihood maximum under `gain`."""
        a = 2 * n
        b = -only_first - only_second + (2 * n - only_second + only_first) * gain
        c = -only_first * gain * (1 - gain)
        nuisance = (math.sqrt(max(0.0, b * b - 4 * a * c)) - b) / (2 * a)
        variance = n * (2 * nuisance + gain * (1 - gain))
        distance = only_second - only_first - n * gain
        return distance / math.sqrt(variance) if variance > 0 else math.copysign(math.inf, distance)

    observed = (only_second - only_first) / n
    return Interval(crossed(deviation, Z, -1.0, observed), crossed(deviation, -Z, observed, 1.0))


def crossed(falling: Callable[[float], float], level: float, low: float, high: float) -> float:
    """Where a falling function passes `level`, by bisection; the end of the range where it never does."""
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if falling(middle) > level else (low, middle)
    return (low + high) / 2


def sign_flip(differences: Counts) -> float:
    """Two-sided p that the sum is as far from zero if each puzzle's difference had either sign with chance 1/2. Exact.

    With one seed a puzzle, differences are -1, 0 or 1 and this is McNemar's exact test.
    """
    law = np.ones(1)  # of the sum, in steps of one from its least value
    for size, count in zip(*np.unique(np.abs(differences[differences != 0]), return_counts=True), strict=True):
        flips = np.array([math.comb(int(count), k) / 2 ** int(count) for k in range(count + 1)])
        spread = np.zeros(2 * size * count + 1)
        spread[:: 2 * size] = flips
        law = np.convolve(law, spread)
    reach = len(law) // 2
    sums = np.arange(-reach, reach + 1)
    return float(min(1.0, law[np.abs(sums) >= abs(int(differences.sum()))].sum()))


def paired(first: Counts, second: Counts, seeds: Counts, only_first: int, only_second: int, seed: int = 0) -> Paired:
    """The second against the first, puzzle by puzzle.

    first, second: [puzzles] int64, right answers of each.  seeds: [puzzles] int64, shared seeds, at least 1.
    only_first, only_second: pairs that only one got right.  The interval is Tango's with one seed a puzzle, else a
    bootstrap over puzzles; where all puzzles differ by the same (a bootstrap would be a point) it is Tango's again, of
    one seed a puzzle.
    """
    puzzles, pairs = len(seeds), int(seeds.sum())
    difference = second - first
    shares = difference / seeds
    if (seeds == 1).all():
        low, high = tango(only_first, only_second, puzzles)
    elif (shares == shares[0]).all():
        share = abs(float(shares[0]))
        one_sided = round(share * puzzles)
        low, high = tango(0, one_sided, puzzles) if shares[0] >= 0 else tango(one_sided, 0, puzzles)
    else:
        low, high = bootstrap(
            np.stack([difference, seeds], axis=1), lambda sums: sums[:, 0] / np.maximum(sums[:, 1], 1), seed
        )
    gain = float(difference.sum() / pairs)
    return Paired(puzzles, pairs, only_first, only_second, gain, low, high, sign_flip(difference))


def bootstrap(
    columns: Counts, statistic: Callable[[npt.NDArray[np.float64]], npt.NDArray[np.float64]], seed: int
) -> Interval:
    """The percentile interval of a statistic of column sums when the rows, puzzles, are drawn again.

    columns: [puzzles, k].  statistic: sums [resamples, k] -> [resamples].
    """
    low, high = np.quantile(statistic(resampled(columns, seed)), [0.025, 0.975])
    return Interval(float(low), float(high))


def resampled(columns: Counts | npt.NDArray[np.float64], seed: int) -> npt.NDArray[np.float64]:
    """[resamples, k]: sums of columns [puzzles, k] over as many rows, drawn again with replacement.

    Puzzles with the same row are interchangeable, so counts of distinct rows are drawn instead of puzzles: the same
    law, at a cost that does not grow with the puzzles where few rows differ.
    """
    rows, counts = np.unique(columns, axis=0, return_counts=True)
    n = len(columns)
    drawn = np.random.default_rng(seed).multinomial(n, counts / n, size=RESAMPLES)
    sums: npt.NDArray[np.float64] = (drawn @ rows).astype(np.float64)
    return sums


def holm(p_values: Sequence[float]) -> list[float]:
    """Adjusted p of each test, so that the chance of any false find among them stays below the level [Holm 1979]."""
    adjusted = [0.0] * len(p_values)
    highest = 0.0
    for place, index in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        highest = max(highest, min(1.0, (len(p_values) - place) * p_values[index]))
        adjusted[index] = highest
    return adjusted


def pairs_needed(gain: float, discordant: float, power: float = 0.9) -> int:
    """Puzzles that find such a paired gain with chance `power` at 5 % [Connor 1987].

    gain: share, not 0.  discordant: share of puzzles that only one of the two gets right, at least |gain|.
    """
    reach = NormalDist().inv_cdf(power)
    spread = Z * math.sqrt(discordant) + reach * math.sqrt(max(0.0, discordant - gain * gain))
    return math.ceil((spread / gain) ** 2)


def power_of(gain: float, discordant: float, puzzles: int) -> float:
    """Chance that so many puzzles find such a paired gain at 5 %: what `pairs_needed` turns round [Connor 1987].

    gain: share.  discordant: share of puzzles that only one of the two gets right, above 0 and at least |gain|.
    """
    distance = abs(gain) * math.sqrt(puzzles) - Z * math.sqrt(discordant)
    spread = math.sqrt(max(0.0, discordant - gain * gain))
    return NormalDist().cdf(distance / spread) if spread > 0 else float(distance >= 0)


def smallest_gain(discordant: float, puzzles: int, power: float = 0.9) -> float | None:
    """The least paired gain that so many puzzles find with chance `power`, as many of them being discordant.

    None where even all discordant puzzles in favour of one would not be found that often.
    """
    if discordant <= 0 or power_of(discordant, discordant, puzzles) < power:
        return None
    # Power grows with the gain, so below it falls short: what falls is the chance to miss.
    return crossed(lambda gain: 1 - power_of(gain, discordant, puzzles), 1 - power, 0.0, discordant)
