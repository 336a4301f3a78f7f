"""What answers cost, in every unit that was recorded: for the axes of the figure and for a table.

This file decides which seconds are told: those that a question alone would have taken and its share of a full device,
as far as passes and tokens were measured, else the seconds of budgets that were timed by themselves. An arm that was
not measured has none.
"""

from collections.abc import Iterator, Mapping
from html import escape
from statistics import fmean
from typing import Any

from dlmreason.analysis import words
from dlmreason.analysis.comparison import At
from dlmreason.analysis.crossing import Axis, seconds
from dlmreason.analysis.pace import latency, throughput
from dlmreason.analysis.records import RecordsError
from dlmreason.reports.gather import Found
from dlmreason.reports.markup import NONE, fold, section, table

Points = Mapping[str, list[dict[str, Any]]]
"""Of each arm, its points by ascending budget."""

SECONDS = {"latency": "seconds, alone", "throughput": "seconds, full device", "timed": "seconds, as run"}
HEADER = (
    "arm", "budget", "right, %", "calls", "depth", "FLOPs", "FLOPs a right answer", *SECONDS.values(), "peak MiB",
    "joules a question",
)  # fmt: skip
MEASURED = ("arm", "call", "rows of a call", "calls", "ms a call", "ms a row", "peak MiB", "joules a call", "device")
NOTE = (
    "Every arm at its highest budget, means of an answer. A call is a pass, or a generated token. Seconds alone: a "
    "question asked by itself; full device: its share of a batch that is never idle; both from what a call was "
    "measured to take. As run: in the batches of the run, with whatever ran beside it."
)


def axes(found: Found) -> dict[str, Axis]:
    """The kinds of seconds that this run can tell of."""
    try:
        priced = {"latency": latency(found.measurements), "throughput": throughput(found.measurements)}
    except RecordsError:
        priced = {}
    kept = priced if found.measurements else {}
    timed = any(each.rung is not None for each in found.timings)
    return kept | ({"timed": seconds(found.timings)} if timed else {})


def points(found: Found) -> Points:
    """The points of every arm of the summary, with the mean seconds of an answer where they are known."""
    if found.summary is None:
        return {}
    table, known = found.table, axes(found)
    cells = table.cells if table else {}

    def timed(arm: str, point: dict[str, Any]) -> dict[str, Any]:
        at = At(arm, point["rung"])
        return point | _seconds(cells.get(at, {}), at, known)

    return {arm: [timed(arm, point) for point in content["points"]] for arm, content in found.summary["arms"].items()}


def _seconds(cell: Mapping[Any, Any], at: At, known: Mapping[str, Axis]) -> dict[str, float]:
    found = {}
    for name, axis in known.items():
        try:
            values = [axis.cost(at, record) for record in cell.values()]
        except RecordsError:
            continue
        if values and max(values) > 0:
            found[name] = fmean(values)
    return found


def costs(found: Found, of: Points) -> str:
    """The section: every arm at its highest budget, and what its model cost. of: as `points` gives."""
    answers = table(HEADER, rows(found, of), "Costs of an answer")
    return section("costs", "What it cost", NOTE, answers + "".join(_training(found)))


def rows(found: Found, of: Points, before: str = "") -> list[list[str]]:
    """A row for each arm. before: stands before its name."""
    return [_row(before + arm, arm, of[arm][-1], found) for arm, _ in _arms(found) if of.get(arm)]


def measured(found: Found) -> list[list[str]]:
    """A row for each measurement, as MEASURED has them."""
    return [
        [
            escape(each.arm),
            escape(each.what),
            f"{each.batch:,}",
            f"{each.calls:,}",
            f"{1e3 * each.seconds_per_call:.3g}",
            f"{1e3 * each.seconds_per_row:.3g}",
            NONE if each.peak_bytes is None else f"{each.peak_bytes / 2**20:,.0f}",
            NONE if each.joules is None else f"{each.joules / each.calls:.3g}",
            escape(each.device),
        ]
        for each in found.measurements
    ]


def _arms(found: Found) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for arm, content in (found.summary or {"arms": {}})["arms"].items():
        if content["companion_of"] is None:
            yield arm, content


def _row(name: str, arm: str, point: Mapping[str, Any], found: Found) -> list[str]:
    own = [each for each in found.measurements if each.arm in (arm, arm.rpartition(".")[0])]
    timed = [each.peak_bytes for each in found.timings if each.arm == arm]
    peaks = [peak for peak in (*timed, *(each.peak_bytes for each in own)) if peak]
    joules = [each.joules / each.calls for each in own if each.joules is not None and each.batch == 1]
    right = point["accuracy"]
    return [
        escape(name),
        f"{point['rung']:,}",
        f"{100 * right:.1f}",
        words.number(point["nfe"]),
        words.number(point["depth"]),
        words.flops(point["flops"]),
        words.flops(point["flops"] / right) if right else NONE,
        *(f"{point[name]:.3g}" if name in point else NONE for name in SECONDS),
        f"{max(peaks) / 2**20:,.0f}" if peaks else NONE,
        f"{joules[0] * point['depth']:.3g}" if joules else NONE,
    ]


def _training(found: Found) -> Iterator[str]:
    rows = []
    for name, described in found.models.items():
        extra = described.get("extra") or {}
        spent, updates, took = (extra.get(key) for key in ("training_flops", "updates", "seconds"))
        if isinstance(spent, int | float):
            rows.append(
                [
                    escape(name),
                    words.flops(spent),
                    f"{updates:,}" if isinstance(updates, int) else NONE,
                    f"{took:,.0f}" if isinstance(took, int | float) else NONE,
                ]
            )
    if rows:
        yield fold("What training cost", table(["model", "FLOPs", "updates", "seconds"], rows, "Costs of training"))
