"""Where one arm overtakes another, and by how much it is ahead over a whole range of costs.

This file decides what an arm's curve is: accuracy, piecewise linear in the log of a cost between the arm's budgets,
never beyond them; so two curves are compared on the range that both cover, and nowhere else. What is uncertain is told
by drawing puzzles again: a puzzle brings all its seeds, budgets and both arms, with what it cost. It knows no test and
no claim; the axis says what a cost is.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from dlmreason.analysis import words
from dlmreason.analysis.comparison import At, Table
from dlmreason.analysis.records import Record, RecordsError, Timing
from dlmreason.analysis.statistics import RESAMPLES, Interval, resampled

Array = npt.NDArray[np.float64]
NEVER = float("inf")
"""The cost at which an arm overtakes that is not ahead at the end of the range: beyond it, or never."""
ALWAYS = float("-inf")
"""That of an arm which is ahead over the whole range: below it, or always."""
TIE = 1e-12
"""Curves nearer than this are level; sums of products of the same counts differ by rounding."""


@dataclass(frozen=True)
class Axis:
    """A kind of cost: what an answer cost at a budget, above 0, and how it is written."""

    name: str
    cost: Callable[[At, Record], float]
    shown: Callable[[float], str]


FLOPS = Axis("FLOPs", lambda at, record: record.flops, words.flops)
DEPTH = Axis(
    "sequential depth", lambda at, record: record.sequential_depth, lambda value: words.number(round(value, 6))
)


def seconds(timings: Iterable[Timing]) -> Axis:
    """Seconds an answer, from timings of single budgets; several of one budget are taken together.

    Raises (when an answer is asked for): RecordsError at a budget that was not timed by itself.
    """
    spent: dict[At, list[float]] = {}
    for each in timings:
        if each.rung is not None:
            total = spent.setdefault(At(each.arm, each.rung), [0.0, 0.0])
            total[0] += each.seconds
            total[1] += each.rows

    def cost(at: At, record: Record) -> float:
        if at not in spent:
            raise RecordsError(
                f"{at.arm} at {words.passes(at.rung)} was not timed by itself: compare by FLOPs or sequential depth, "
                "or time each budget alone"
            )
        return spent[at][0] / spent[at][1]

    return Axis("seconds", cost, lambda value: f"{value:.3g} s")


class Curves(NamedTuple):
    """Two arms over their budgets, for each of R draws of the puzzles."""

    x: tuple[Array, Array]  # [R, budgets of the arm] each, log cost, ascending
    y: tuple[Array, Array]  # accuracy


class Overtaking(NamedTuple):
    """A place from which on an arm is ahead that was behind."""

    cost: float
    ahead: str


class Crossing(NamedTuple):
    """Two arms over the range of costs that both cover."""

    first: str
    second: str
    puzzles: int
    left_out: list[At]  # budgets at which not every puzzle was answered, or nothing was spent
    low: float  # the shared range of costs
    high: float
    overtakings: list[Overtaking]  # ascending; empty where one is never behind the other
    ahead: str | None  # at the end of the range; None: the two are level throughout
    overtakes: Interval  # the cost from which on `ahead` stays ahead; ends may be ALWAYS or NEVER
    below: float  # share of draws in which `ahead` is ahead over the whole range
    within: float  # in which it overtakes within the range
    beyond: float  # in which it is not ahead at the end
    area: float  # mean accuracy of the second over the range minus that of the first, cost counted by its log
    area_interval: Interval
    areas: tuple[float, float]  # mean accuracy of each


def crossing(found: Table, first: str, second: str, axis: Axis = FLOPS, seed: int = 0) -> Crossing:
    """The second arm against the first wherever both have something to show.

    The interval is that of the cost from which on the arm ahead at the end stays ahead, over draws of the puzzles; a
    draw in which it is ahead throughout counts as ALWAYS, one in which it is not ahead at the end as NEVER. So an
    interval with a finite end on both sides says that both were ahead somewhere.

    Swapped arms give the same draws.

    Raises: RecordsError for arms that share no puzzle, have fewer than two budgets, or whose costs do not meet.
    """
    if second < first:
        return _swapped(crossing(found, second, first, axis, seed))
    columns, sizes, puzzles, left_out = _columns(found, (first, second), axis)
    here = _curves(columns.sum(axis=0)[None], sizes)
    low, high = (float(end[0]) for end in _range(here))
    if not low < high:
        spans = [f"{axis.shown(np.exp(x[0, 0]))} to {axis.shown(np.exp(x[0, -1]))}" for x in here.x]
        raise RecordsError(
            f"{first} spends {spans[0]} ({axis.name}) and {second} {spans[1]}: no range of costs that both cover, "
            "so neither can be seen to overtake; give them budgets that meet"
        )
    where, signs = _changes(here)
    overtakings = [
        Overtaking(float(np.exp(x)), second if sign > 0 else first)
        for x, sign in zip(where[0], signs[0], strict=True)
        if np.isfinite(x)
    ]
    leader = float(_leader(here)[0])
    draws = _curves(resampled(columns, seed), sizes)
    since = _since(draws, leader)
    areas = float(_areas(here)[0][0]), float(_areas(here)[1][0])
    return Crossing(
        first,
        second,
        puzzles,
        left_out,
        float(np.exp(low)),
        float(np.exp(high)),
        overtakings,
        ahead={0.0: None, 1.0: second, -1.0: first}[leader],
        overtakes=_ends(since),
        below=float((since == ALWAYS).mean()),
        within=float(np.isfinite(since).mean()),
        beyond=float((since == NEVER).mean()),
        area=areas[1] - areas[0],
        area_interval=_quantiles(_difference_of_areas(draws)),
        areas=areas,
    )


def _swapped(found: Crossing) -> Crossing:
    """The same seen from the other arm."""
    low, high = found.area_interval
    return found._replace(
        first=found.second,
        second=found.first,
        area=-found.area,
        area_interval=Interval(-high, -low),
        areas=(found.areas[1], found.areas[0]),
    )


def _columns(found: Table, arms: tuple[str, str], axis: Axis) -> tuple[Array, tuple[int, int], int, list[At]]:
    """[puzzles, 1 + 2 * budgets]: answers; then, arm by arm and budget by budget, right ones and what they cost.

    Taken are the puzzles and seeds that both arms answered, and of each arm the budgets at which it answered all those.
    """
    answered = [
        set().union(*(found.cells[At(arm, rung)].keys() for rung in found.rungs(arm))) if arm in found.arms else set()
        for arm in arms
    ]
    keys = sorted(answered[0] & answered[1])
    if not keys:
        raise RecordsError(
            f"{arms[0]} and {arms[1]} share no puzzle and seed: run both on the same puzzles to compare them"
        )
    places, left_out, sizes = [], [], []
    for arm in arms:
        ladder = [At(arm, rung) for rung in found.rungs(arm)]
        kept = [
            at
            for at in ladder
            if found.cells[at].keys() >= set(keys) and all(axis.cost(at, found.cells[at][key]) > 0 for key in keys)
        ]
        if len(kept) < 2:
            raise RecordsError(
                f"{arm} has {len(kept)} of {len(ladder)} budgets at which it answered all {len(keys):,} puzzles and "
                "spent something: a curve takes two or more"
            )
        places += kept
        left_out += [at for at in ladder if at not in kept]
        sizes.append(len(kept))
    row = {example: number for number, example in enumerate(dict.fromkeys(example for example, _ in keys))}
    columns = np.zeros((len(row), 1 + 2 * len(places)))
    for key in keys:
        columns[row[key[0]], 0] += 1
        for number, at in enumerate(places):
            record = found.cells[at][key]
            columns[row[key[0]], 1 + 2 * number] += record.correct
            columns[row[key[0]], 2 + 2 * number] += axis.cost(at, record)
    return columns, (sizes[0], sizes[1]), len(row), left_out


def _curves(sums: Array, sizes: tuple[int, int]) -> Curves:
    """Curves from sums of the columns, [R, columns]; budgets of equal cost keep their order."""
    x, y = [], []
    start = 1
    for size in sizes:
        part = sums[:, start : start + 2 * size]
        right, cost = part[:, 0::2] / sums[:, :1], np.log(part[:, 1::2] / sums[:, :1])
        order = np.argsort(cost, axis=1, kind="stable")
        x.append(np.take_along_axis(cost, order, axis=1))
        y.append(np.take_along_axis(right, order, axis=1))
        start += 2 * size
    return Curves((x[0], x[1]), (y[0], y[1]))


def _range(curves: Curves) -> tuple[Array, Array]:
    """[R] each: the ends, in log cost, of what both curves cover."""
    low = np.maximum(curves.x[0][:, 0], curves.x[1][:, 0])
    return low, np.maximum(low, np.minimum(curves.x[0][:, -1], curves.x[1][:, -1]))


def _grid(curves: Curves) -> Array:
    """[R, G]: every bend of either curve within the range, and its ends, ascending. Between two both are straight."""
    low, high = _range(curves)
    bends = np.concatenate([*curves.x, low[:, None], high[:, None]], axis=1)
    return np.sort(np.clip(bends, low[:, None], high[:, None]), axis=1)


def _at(x: Array, y: Array, grid: Array) -> Array:
    """[R, G]: a curve at each place of the grid; beyond its ends it stays level.

    Of budgets of equal cost the highest counts, on both sides of it, since the grid holds every bend.
    """
    left = np.zeros(grid.shape, dtype=np.int64)  # the piece that a place lies on: inner bends at or before it
    for bend in range(1, x.shape[1] - 1):
        left += x[:, bend, None] <= grid
    x0, x1 = np.take_along_axis(x, left, axis=1), np.take_along_axis(x, left + 1, axis=1)
    y0, y1 = np.take_along_axis(y, left, axis=1), np.take_along_axis(y, left + 1, axis=1)
    share = np.clip((grid - x0) / np.where(x1 > x0, x1 - x0, 1.0), 0.0, 1.0)
    return y0 + np.where(x1 > x0, share, 1.0) * (y1 - y0)


def _gain(curves: Curves) -> tuple[Array, Array]:
    """The grid, and the second curve minus the first on it."""
    grid = _grid(curves)
    gain = _at(curves.x[1], curves.y[1], grid) - _at(curves.x[0], curves.y[0], grid)
    return grid, np.where(np.abs(gain) <= TIE, 0.0, gain)


def _carried(signs: Array) -> Array:
    """Each zero replaced by the last sign before it: who was ahead last; zeros at the beginning stay."""
    places = np.arange(signs.shape[1])
    last = np.maximum.accumulate(np.where(signs != 0, places, 0), axis=1)
    return np.take_along_axis(signs, last, axis=1)


def _changes(curves: Curves) -> tuple[Array, Array]:
    """[R, G - 1] each: the log cost at which the lead changes in each piece of the grid, NaN where it does not; the
    sign of who is ahead after it.

    After a stretch on which both are level, the lead changes at its end.
    """
    grid, gain = _gain(curves)
    signs = np.sign(gain)
    before, after = _carried(signs)[:, :-1], signs[:, 1:]
    changed = (before * after) < 0
    left, right = np.abs(gain[:, :-1]), np.abs(gain[:, 1:])
    share = left / np.where(changed, left + right, 1.0)
    where = grid[:, :-1] + share * (grid[:, 1:] - grid[:, :-1])
    return np.where(changed, where, np.nan), np.where(changed, after, 0.0)


def _leader(curves: Curves) -> Array:
    """[R]: 1 where the second is ahead at the end of the range, or was the last to be; -1 the first; 0 nobody ever."""
    _, gain = _gain(curves)
    last: Array = _carried(np.sign(gain))[:, -1]
    return last


def _since(curves: Curves, leader: float) -> Array:
    """[R]: the cost from which on `leader`, as in `_leader`, stays ahead; ALWAYS, NEVER."""
    where, _ = _changes(curves)
    last = np.where(np.isfinite(where), where, -np.inf).max(axis=1)  # whoever leads at the end overtook last
    with np.errstate(over="ignore"):
        cost = np.where(np.isfinite(last), np.exp(last), ALWAYS)
    return np.where((_leader(curves) == leader) & (leader != 0), cost, NEVER)


def _areas(curves: Curves) -> tuple[Array, Array]:
    """[R] each: mean accuracy over the range, each arm's; where the range is a point, accuracy there."""
    grid = _grid(curves)
    widths = np.diff(grid, axis=1)
    whole = grid[:, -1] - grid[:, 0]
    areas = []
    for x, y in zip(curves.x, curves.y, strict=True):
        heights = _at(x, y, grid)
        area = (widths * (heights[:, 1:] + heights[:, :-1]) / 2).sum(axis=1)
        areas.append(np.where(whole > 0, area / np.where(whole > 0, whole, 1.0), heights[:, 0]))
    return areas[0], areas[1]


def _difference_of_areas(curves: Curves) -> Array:
    first, second = _areas(curves)
    return second - first


def _quantiles(values: Array) -> Interval:
    low, high = np.quantile(values, [0.025, 0.975])
    return Interval(float(low), float(high))


def _ends(values: Array) -> Interval:
    """The percentile interval of values that may be infinite, widened to values that were drawn."""
    low, high = np.quantile(values, 0.025, method="lower"), np.quantile(values, 0.975, method="higher")
    return Interval(float(low), float(high))


def said(found: Crossing, axis: Axis) -> Iterator[str]:
    """Who is ahead over the costs that both cover, from where on, and by how much on the mean."""
    span = f"from {axis.shown(found.low)} to {axis.shown(found.high)} ({axis.name} an answer)"
    if found.ahead is None:
        yield f"{span} the two are level"
    elif found.below == 1:
        behind = found.first if found.ahead == found.second else found.second
        yield f"{span} {found.ahead} is never behind {behind}, in none of {RESAMPLES:,} draws of the puzzles"
    else:
        if found.overtakings:
            turns = ", ".join(f"{each.ahead} at {axis.shown(each.cost)}" for each in found.overtakings)
            yield f"{span} the lead changes {words.times(len(found.overtakings))}: {turns}"
        else:
            yield f"{span} {found.ahead} is never behind {found.first if found.ahead == found.second else found.second}"
        ends = ", ".join(_end(cost, axis) for cost in found.overtakes)
        yield (
            f"{found.ahead} is ahead for good from [{ends}] on; of {RESAMPLES:,} draws of the puzzles it is "
            f"never behind in {words.percent(found.below)}, overtakes within the range in {words.percent(found.within)}"
            f" and is not ahead at its end in {words.percent(found.beyond)}"
        )
    low, high = found.area_interval
    gain = (
        words.points_of_gain(found.area, low, high) if low < high else f"{100 * found.area:+.1f} points in every draw"
    )
    yield f"{found.second} over {found.first} on the mean of that range, cost counted by its log: {gain}"
    if found.left_out:
        budgets = ", ".join(f"{at.arm}@{at.rung}" for at in found.left_out)
        yield f"left out, since not every puzzle was answered there or nothing was spent: {budgets}"


def _end(cost: float, axis: Axis) -> str:
    return axis.shown(cost) if np.isfinite(cost) else "below the range" if cost == ALWAYS else "beyond the range"


def plain(found: Crossing, axis: Axis) -> dict[str, Any]:
    """For JSON, which has no infinity: None stands for an end that is not within the range."""
    ends = [cost if np.isfinite(cost) else None for cost in found.overtakes]
    return found._asdict() | {
        "axis": axis.name,
        "words": list(said(found, axis)),
        "overtakes": ends,
        "left_out": [at._asdict() for at in found.left_out],
        "overtakings": [each._asdict() for each in found.overtakings],
    }
