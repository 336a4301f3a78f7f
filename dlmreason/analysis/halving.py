"""What fewer passes cost and what they save: every budget of every arm against one arm at its full length.

This file decides what stands beside an accuracy: the paired difference to the full length, passes, FLOPs and measured
seconds. It knows no policy, and draws no conclusion.
"""

from collections.abc import Iterable
from statistics import fmean
from typing import NamedTuple

from dlmreason.analysis.comparison import At, Table, compare, point
from dlmreason.analysis.crossing import Axis
from dlmreason.analysis.pace import latency, throughput
from dlmreason.analysis.records import Measurement, Record, RecordsError
from dlmreason.analysis.statistics import Paired


class Step(NamedTuple):
    """An arm at a budget, against the full length."""

    at: At
    n: int
    accuracy: float
    low: float
    high: float
    against: Paired  # it over the full length
    passes: float  # made, mean
    flops: float  # mean
    alone: float | None  # seconds until an answer is there, asked alone; None: not measured
    full: float | None  # seconds of a device kept full, an answer
    faster: float | None  # answers in the same seconds of a full device, as a multiple of the full length's


def steps(found: Table, base: At, measurements: Iterable[Measurement] = ()) -> list[Step]:
    """Every arm at every budget that shares puzzles with `base`, in the order of arms, budgets ascending.

    Raises: RecordsError where `base` was not run, or an arm was not measured and others were.
    """
    if base not in found.cells:
        raise RecordsError(f"{base.arm} has no answers at {base.rung}: choose a budget that was run")
    measured = list(measurements)
    axes = (latency(measured), throughput(measured)) if measured else None
    at_base = found.cells[base].values()
    unit = None if axes is None else fmean(axes[1].cost(base, each) for each in at_base)
    result = []
    for at in (At(arm, rung) for arm in found.answering for rung in found.rungs(arm)):
        here, costs = point(at, found.cells[at]), _seconds(axes, at, found.cells[at].values())
        faster = unit / costs[1] if unit is not None and costs[1] else None
        share = here["accuracy"], here["low"], here["high"]
        step = Step(at, here["n"], *share, compare(found, base, at), here["nfe"], here["flops"], *costs, faster)
        result.append(step)
    return result


def _seconds(axes: tuple[Axis, Axis] | None, at: At, records: Iterable[Record]) -> tuple[float | None, float | None]:
    if axes is None:
        return None, None
    own = list(records)
    alone, full = (fmean(axis.cost(at, each) for each in own) for axis in axes)
    return alone, full
