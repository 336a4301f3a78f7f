"""When one should have stopped: rules that end a row's passes, what they would have bought, and what they forgo.

This file decides where along a curve each rule stops, and how far that is from the stop of one who knows the answers.
It walks nothing: it looks back at curves that were walked to their end, so a rule is only as fine as the points of its
curve. The rules that stop while they walk are policies (`exits`, `Certify`, the patience of restarts), and what they
cost is in their own records. It knows no policy and no torch.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from dlmreason.analysis.comparison import Table
from dlmreason.analysis.records import RecordsError
from dlmreason.analysis.statistics import Interval, bootstrap


class Point(NamedTuple):
    """What a row would have answered, had it been stopped here."""

    passes: int  # really made by then
    score: float | None  # of the answer, the best so far where the arm keeps it; None: nobody judged it
    right: bool
    settled: bool = False  # more passes would change nothing


Curve = Sequence[Point]
"""A row's points, by ascending passes; at least one."""


class Rule(Protocol):
    """Where to stop; it may look at nothing but the points up to there, and never at `right`."""

    @property
    def name(self) -> str: ...

    def __call__(self, curve: Curve) -> int:
        """The place of the point that it stops at: the last one where nothing ends the row before."""
        ...


@dataclass(frozen=True)
class Settled:
    """Stop where the policy says that it will read no more."""

    name = "settled"

    def __call__(self, curve: Curve) -> int:
        return _first((point.settled for point in curve), curve)


@dataclass(frozen=True)
class Certified:
    """Stop at the first answer whose score is at least `bar`."""

    bar: float

    def __post_init__(self) -> None:
        if math.isnan(self.bar):
            raise ValueError(f"bar={self.bar}: give the score that is enough, a number")

    @property
    def name(self) -> str:
        return f"certified at {self.bar:g}"

    def __call__(self, curve: Curve) -> int:
        return _first((point.score is not None and point.score >= self.bar for point in curve), curve)


@dataclass(frozen=True)
class Patience:
    """Stop once `passes` passes have brought no better score than the best before; unjudged answers are waited for."""

    passes: int

    def __post_init__(self) -> None:
        if self.passes < 1:
            raise ValueError(f"passes={self.passes}: nobody is patient for fewer than 1 pass")

    @property
    def name(self) -> str:
        return f"patience of {self.passes:,}"

    def __call__(self, curve: Curve) -> int:
        best, since = -math.inf, None
        for place, point in enumerate(curve):
            if point.score is not None and point.score > best:
                best, since = point.score, point.passes
            elif since is not None and point.passes - since >= self.passes:
                return place
        return len(curve) - 1


@dataclass(frozen=True)
class Budget:
    """Stop at the last point within `passes` passes, or at the first one where none is."""

    passes: int

    def __post_init__(self) -> None:
        if self.passes < 1:
            raise ValueError(f"passes={self.passes}: a budget holds 1 pass or more")

    @property
    def name(self) -> str:
        return f"budget of {self.passes:,}"

    def __call__(self, curve: Curve) -> int:
        return max(sum(point.passes <= self.passes for point in curve) - 1, 0)


@dataclass(frozen=True)
class Oracle:
    """Stop where the answer is right for the first time, at once where it never is: no rule, but what rules are held
    against. No rule is right more often, and none that is as often right makes fewer passes."""

    name = "oracle"

    def __call__(self, curve: Curve) -> int:
        right = [point.right for point in curve]
        return right.index(True) if any(right) else 0


def _first(ends: Iterable[bool], curve: Curve) -> int:
    """The first place that ends, or the last one."""
    return next((place for place, end in enumerate(ends) if end), len(curve) - 1)


class Share(NamedTuple):
    """A mean with its 95 % interval, rows of one example drawn together."""

    mean: float
    low: float
    high: float


class Outcome(NamedTuple):
    """What a rule gives over rows."""

    rule: str
    rows: int
    accuracy: float
    passes: float  # mean of a row
    lost: Share  # regret in accuracy: rows that the oracle stops right and the rule wrong
    beyond: Share  # regret in passes: mean of those made beyond the oracle's stop, 0 for a row that stops before it


def outcomes(curves: Mapping[tuple[str, int], Curve], rules: Iterable[Rule], seed: int = 0) -> list[Outcome]:
    """What each rule gives, and its regret against the oracle on the same rows. curves: by (example, seed).

    Both regrets are 0 or more, row by row: who stops too early pays in answers, who stops too late in passes. Intervals
    are percentiles of a bootstrap over examples.

    Raises: ValueError where there is no curve, or one without points or whose passes fall.
    """
    _check(curves)
    best = Oracle()
    found = []
    for rule in rules:
        at = {key: (curve[rule(curve)], curve[best(curve)]) for key, curve in curves.items()}
        lost = {key: int(known.right) - int(here.right) for key, (here, known) in at.items()}
        beyond = {key: max(here.passes - known.passes, 0) for key, (here, known) in at.items()}
        rows = len(at)
        found.append(
            Outcome(
                rule.name,
                rows,
                sum(here.right for here, _ in at.values()) / rows,
                sum(here.passes for here, _ in at.values()) / rows,
                _share(lost, seed),
                _share(beyond, seed),
            )
        )
    return found


def _check(curves: Mapping[tuple[str, int], Curve]) -> None:
    if not curves:
        raise ValueError("there is no curve to stop: give the points of at least one row")
    for key, curve in curves.items():
        passes = [point.passes for point in curve]
        if not passes or passes != sorted(passes):
            raise ValueError(
                f"the curve of {key} has passes {passes}: give its points by ascending passes, at least one"
            )


def _share(values: Mapping[tuple[str, int], int], seed: int) -> Share:
    examples: dict[str, list[int]] = {}
    for (example, _), value in values.items():
        examples.setdefault(example, []).append(value)
    columns = np.array([(sum(each), len(each)) for each in examples.values()], dtype=np.int64)

    def mean(sums: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        return sums[:, 0] / np.maximum(sums[:, 1], 1)

    interval: Interval = bootstrap(columns, mean, seed)
    return Share(sum(values.values()) / len(values), *interval)


def curves_of(found: Table, arm: str) -> dict[tuple[str, int], Curve]:
    """The curve of each (example, seed) of an arm, a point a rung; only rows that have every rung.

    Raises: RecordsError for an arm without records, or whose rungs share no row.
    """
    rungs = found.rungs(arm)
    cells = [cell for at, cell in sorted(found.cells.items(), key=lambda each: each[0].rung) if at.arm == arm]
    keys = sorted(set.intersection(*(set(cell) for cell in cells))) if cells else []
    if not keys:
        raise RecordsError(
            f"of={arm}: no row has all of its rungs {rungs}; there are {', '.join(found.arms) or 'none'}"
        )
    return {
        key: [Point(cell[key].nfe, cell[key].score, cell[key].correct, cell[key].settled) for cell in cells]
        for key in keys
    }


def ladder_of_rules(curves: Mapping[tuple[str, int], Curve]) -> list[Rule]:
    """The rules worth a look on these curves: each budget, patience of each power of two that fits, and what is judged
    or settles at all."""
    points = [point for curve in curves.values() for point in curve]
    top = max(point.passes for point in points)
    rules: list[Rule] = [Budget(1 << power) for power in range(max(top - 1, 0).bit_length()) if 1 << power < top]
    rules.append(Budget(top))
    if any(point.settled for point in points):
        rules.append(Settled())
    if any(point.score is not None for point in points):
        rules += [Patience(1 << power) for power in range(top.bit_length()) if 1 << power < top]
    return rules
