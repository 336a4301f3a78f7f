"""How fast one arm is against another along an axis, as measured and as the formula foretells.

This file decides what is made of rounds in which arms took turns. Two arms are compared round by round, so that a busy
minute hits both; of the rounds' ratios the median is told, and the interval of the median that needs no law of them.
The formula prices an answer by its calls and its FLOPs, with two numbers of the same run and device: what the shortest
call of its kind takes, and what a matrix product reaches. It knows no network.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from statistics import median
from typing import Any, NamedTuple

from dlmreason.analysis.crossing import ALWAYS, NEVER
from dlmreason.analysis.records import RecordsError, Speed
from dlmreason.analysis.statistics import Interval

PRODUCT = "product"
"""The arm of the yardstick of FLOPs; the other yardsticks are named by what they call, a token or a pass."""


class Formula(NamedTuple):
    """Seconds of an answer at one batch: `calls * call[what] + flops / rate`."""

    rate: float  # FLOPs a second
    call: dict[str, float]  # seconds of a call beyond its FLOPs, by what it is

    def seconds(self, what: str, calls: int, flops: int) -> float:
        return calls * self.call[what] + flops / self.rate


def formula(rows: Iterable[Speed]) -> Formula:
    """Of the yardsticks of one batch, medians of their rounds.  Raises: RecordsError where one is missing."""
    seconds: dict[str, list[float]] = {}
    of: dict[str, Speed] = {}
    for row in rows:
        if not row.at and row.seconds is not None:
            seconds.setdefault(row.arm, []).append(row.seconds)
            of[row.arm] = row
    if PRODUCT not in of:
        raise RecordsError("no product of matrices was timed: the run ended before its first round did")
    rate = of.pop(PRODUCT).flops / median(seconds[PRODUCT])
    call = {name: max(0.0, median(seconds[name]) - row.flops / rate) / row.calls for name, row in of.items()}
    return Formula(rate, call)


def median_interval(values: Sequence[float]) -> Interval | None:
    """The two-sided 95 % interval of the median, or a little more, whatever the law: two of the values themselves, by
    the binomial law of how many lie below it. None for fewer than 6 values, which have none."""
    ordered, n = sorted(values), len(values)
    cut, below = -1, 0.0
    while (below := below + math.comb(n, cut + 1) / 2**n) <= 0.025:
        cut += 1
    return None if cut < 0 else Interval(ordered[cut], ordered[n - 1 - cut])


def since(at: Sequence[int], ratio: Sequence[float]) -> tuple[bool, float]:
    """Whether the curve ends above 1, and the place from which on it stays on that side: between two places linear in
    the logs; ALWAYS where it never was on the other.

    at: ascending.  ratio: above 0.
    """
    ends = ratio[-1] > 1
    other = [place for place, value in enumerate(ratio) if (value > 1) != ends]
    if not other:
        return ends, ALWAYS
    place = other[-1]
    x, y = ([math.log(value) for value in each[place : place + 2]] for each in (at, ratio))
    return ends, math.exp(x[0] - y[0] * (x[1] - x[0]) / (y[1] - y[0]))


def summary(rows: Sequence[Speed], against: str) -> dict[str, Any]:
    """Plain content: by batch the formula's numbers, and of each arm its points and its crossing.

    against: the arm by whose seconds those of all others are measured: a ratio of 2 is twice as fast.
    Raises: RecordsError for rows of several runs, devices or axes, or without that arm.
    """
    if len({(row.axis, row.clock, row.device, row.threads, row.run_key) for row in rows}) > 1:
        raise RecordsError("speeds of several runs or devices: seconds are compared within one run")
    if not any(row.arm == against and row.at for row in rows):
        raise RecordsError(f"no row of {against}, by which the others are measured")
    batches = sorted({row.batch for row in rows})
    return {
        "axis": rows[0].axis,
        "against": against,
        "clock": rows[0].clock,
        "device": rows[0].device,
        "threads": rows[0].threads,
        "rounds": 1 + max(row.round for row in rows),
        "batches": [_batch([row for row in rows if row.batch == batch], against) for batch in batches],
    }


def _batch(rows: Sequence[Speed], against: str) -> dict[str, Any]:
    told = formula(rows)
    cells: dict[tuple[str, int], dict[int, Speed]] = {}
    for row in rows:
        if row.at:
            cells.setdefault((row.arm, row.at), {})[row.round] = row
    arms = list(dict.fromkeys(arm for arm, _ in cells))
    found = {}
    for arm in arms:
        points = [
            _point(place, cells[arm, place], cells[against, place], told)
            for place in sorted(at for name, at in cells if name == arm and (against, at) in cells)
        ]
        found[arm] = {"points": points} | ({} if arm == against else {"crossing": _crossing(points)})
    return {"batch": rows[0].batch, "rate": told.rate, "call": told.call, "apart": _apart(found), "arms": found}


def _apart(arms: Mapping[str, Any]) -> dict[str, Any] | None:
    """By which factor, 1 or more, ratios and what was foretold of them are apart: at the median, and where at most."""
    factors = sorted(
        (max(point["ratio"] / point["foretold_ratio"], point["foretold_ratio"] / point["ratio"]), arm, point["at"])
        for arm, content in arms.items()
        for point in content["points"]
        if "crossing" in content and point["ratio"] is not None
    )
    if not factors:
        return None
    most, arm, at = factors[-1]
    return {"median": median(factor for factor, *_ in factors), "most": most, "arm": arm, "at": at}


def _point(at: int, own: Mapping[int, Speed], other: Mapping[int, Speed], told: Formula) -> dict[str, Any]:
    row, base = next(iter(own.values())), next(iter(other.values()))
    seconds = [each.seconds for each in own.values() if each.seconds is not None]
    pairs = {number: (other[number].seconds, each.seconds) for number, each in own.items() if number in other}
    ratios = {number: a / b for number, (a, b) in pairs.items() if a is not None and b is not None}
    foretold = {each.arm: told.seconds(each.what, each.calls, each.flops) for each in (row, base)}
    spread, between = median_interval(seconds), median_interval(list(ratios.values()))
    return {
        "at": at,
        "calls": row.calls,
        "flops": row.flops,
        "seconds": median(seconds) if seconds else None,
        "seconds_interval": None if spread is None else list(spread),
        "foretold": foretold[row.arm],
        "ratios": ratios,
        "ratio": median(ratios.values()) if ratios else None,
        "ratio_interval": None if between is None else list(between),
        "foretold_ratio": foretold[base.arm] / foretold[row.arm],
        "flops_ratio": base.flops / row.flops,
        "calls_ratio": base.calls / row.calls,
    }


def _crossing(points: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """From where on the arm that is faster at the end stays so: measured over the places that were, and foretold over
    all."""
    met = [point for point in points if point["ratio"] is not None]
    rounds = sorted(set.intersection(*(set(point["ratios"]) for point in met))) if met else []
    ends, place, between = None, None, None
    if met:
        at = [point["at"] for point in met]
        ends, place = since(at, [point["ratio"] for point in met])
        each = [since(at, [point["ratios"][number] for point in met]) for number in rounds]
        # A round at whose end the other is faster has not crossed yet.
        between = median_interval([where if above == ends else NEVER for above, where in each])
    told = {name: since([p["at"] for p in points], [p[name] for p in points]) for name in FORETOLD}
    return {
        "faster": ends,
        "since": _plain(place),
        "interval": None if between is None else [_plain(end) for end in between],
        "last": met[-1]["at"] if met else None,
        "foretold": {name: {"faster": above, "since": _plain(where)} for name, (above, where) in told.items()},
    }


FORETOLD = ("foretold_ratio", "flops_ratio", "calls_ratio")
"""By calls and FLOPs, by FLOPs alone, and by calls alone as if each took as long."""


def _plain(place: float | None) -> float | str | None:
    """JSON has no infinity."""
    if place is None or math.isfinite(place):
        return place
    return "always" if place == ALWAYS else "never"
