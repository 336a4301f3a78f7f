"""What became of drafts in which errors were planted: taken back, harmed, right in the end.

This file decides what is counted of records that tell of a draft, in which unit. It knows no policy.
"""

from typing import NamedTuple

from dlmreason.analysis.comparison import At, Cell, Table
from dlmreason.analysis.statistics import wilson


class Share(NamedTuple):
    value: float
    low: float
    high: float


class Fate(NamedTuple):
    """Of an arm at a budget; None: it began without a draft, or nothing was planted in it."""

    at: At
    n: int
    passes: float  # made, mean
    taken_back: Share | None  # of the planted errors
    harmed: Share | None  # of the drafts, those of which a right token is wrong now
    right: Share  # of the answers


def fates(found: Table) -> list[Fate]:
    """By arm, in the order of the records, budgets ascending; of what an arm would answer, not of its last canvas."""
    own = (At(arm, rung) for arm in found.competitors for rung in found.rungs(arm))
    return [_fate(at, found.cells[at]) for at in own]


def _fate(at: At, cell: Cell) -> Fate:
    drafts = [each.events for each in cell.values() if "planted" in each.events]
    return Fate(
        at,
        len(cell),
        sum(each.nfe for each in cell.values()) / len(cell),
        share(sum(each["taken_back"] for each in drafts), sum(each["planted"] for each in drafts)),
        share(sum(each["harmed"] > 0 for each in drafts), len(drafts)),
        share(sum(each.correct for each in cell.values()), len(cell)) or Share(0.0, 0.0, 1.0),
    )


def share(hits: int, of: int) -> Share | None:
    """With its 95 % interval; None of none."""
    return Share(hits / of, *wilson(hits, of)) if of else None
