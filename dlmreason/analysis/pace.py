"""What answers take in seconds, from what a pass or a token of their arm was measured to take.

This file decides how measurements at batch 1 and at a full batch price an answer: alone, or as its share of a device
that is never idle. It is a model, for nobody timed each answer: a call takes so long and so much more for each row. The
reading of prompts is left out, on both sides.
"""

from collections.abc import Callable, Iterable
from typing import NamedTuple

from dlmreason.analysis.comparison import At
from dlmreason.analysis.crossing import Axis
from dlmreason.analysis.records import Measurement, Record, RecordsError


class Pace(NamedTuple):
    """Seconds of a call of the network by its rows: `call + rows * row`."""

    call: float
    row: float
    full: float  # seconds of one row's share of a full batch


def paces(measurements: Iterable[Measurement]) -> dict[str, Pace]:
    """By arm, as measured at batch 1 and at the largest batch.

    Where both are one batch, rows are taken to be free. Raises: RecordsError where an arm was measured on two devices
    or under two run keys.
    """
    found: dict[str, list[Measurement]] = {}
    for each in measurements:
        found.setdefault(each.arm, []).append(each)
    result = {}
    for arm, own in found.items():
        if len({(each.device, each.threads, each.run_key) for each in own}) > 1:
            raise RecordsError(f"{arm} was measured on several devices or in several runs: keep the lines of one")
        alone, full = min(own, key=lambda each: each.batch), max(own, key=lambda each: each.batch)
        more = full.batch - alone.batch
        row = max(0.0, (full.seconds_per_call - alone.seconds_per_call) / more) if more else 0.0
        result[arm] = Pace(alone.seconds_per_call - alone.batch * row, row, full.seconds_per_row)
    return result


def latency(measurements: Iterable[Measurement]) -> Axis:
    """Seconds until an answer is there, its question asked alone: chains are rows of one call, and passes wait for
    one another."""

    def seconds(pace: Pace, record: Record) -> float:
        return record.sequential_depth * (pace.call + record.events.get("chains", 1) * pace.row)

    return _axis("latency", seconds, paces(measurements))


def throughput(measurements: Iterable[Measurement]) -> Axis:
    """Seconds of a device that is kept full, for each answer: all calls of its rows."""
    return _axis("throughput", lambda pace, record: record.nfe * pace.full, paces(measurements))


def _axis(name: str, seconds: Callable[[Pace, Record], float], known: dict[str, Pace]) -> Axis:
    def cost(at: At, record: Record) -> float:
        # An arm reports under its own name, or one for each rule: thought.vote.
        pace = known.get(at.arm) or known.get(at.arm.rpartition(".")[0])
        if pace is None:
            raise RecordsError(
                f"{at.arm} was not measured: run the experiment again with budget.time=true, or compare by FLOPs"
            )
        return seconds(pace, record)

    return Axis(name, cost, lambda value: f"{value:.3g} s")
