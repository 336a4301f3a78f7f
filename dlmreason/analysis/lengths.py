"""Answers that differ in length: right by length, and how much of what was written came after the end of the text.

This file decides what counts as padding. An answer's length is its record's difficulty, in symbols, as tasks have it
whose answers differ in nothing else; the end of text belongs to the answer. Chains write no padding.
"""

from typing import NamedTuple

from dlmreason.analysis.comparison import At, Cell, Table, point
from dlmreason.analysis.planted import Share, share
from dlmreason.analysis.records import Measurement
from dlmreason.analysis.work import AUTOREGRESSIVE, side


class Spent(NamedTuple):
    """An arm at its highest budget, or at one that it was walked to by itself."""

    at: At
    n: int
    right: Share
    passes: float  # made, mean; of chains the tokens read
    written: float  # tokens, mean
    padding: float  # share of them that lie behind the end of the right answer's text
    flops: float  # mean
    against: float | None  # times those of autoregression
    seconds: float | None  # alone, mean; None: not measured
    slower: float | None  # times those of autoregression


def spent(found: Table, measurements: list[Measurement]) -> list[Spent]:
    """By arm in the order of the records; of budgets at which an arm spends the same, the first."""
    alone = {each.arm: each.seconds_per_call for each in measurements if each.batch == 1}
    made = [
        _spent(At(arm, rung), found.cells[At(arm, rung)], alone.get(arm.partition(".")[0]))
        for arm in found.competitors
        for rung in found.rungs(arm)
    ]
    chains = [each for each in made if side(found, each.at.arm) == AUTOREGRESSIVE]
    base = chains[-1] if chains else None
    told: list[Spent] = []
    for each in made:
        if told and (told[-1].at.arm, told[-1].flops, told[-1].right) == (each.at.arm, each.flops, each.right):
            continue
        told.append(
            each._replace(
                against=each.flops / base.flops if base else None,
                slower=each.seconds / base.seconds if base and each.seconds and base.seconds else None,
            )
        )
    return told


def _spent(at: At, cell: Cell, alone: float | None) -> Spent:
    here, rows = point(at, cell), list(cell.values())
    counts = [(each.events.get("written", each.difficulty + 1), each.difficulty + 1) for each in rows]
    written = sum(count for count, _ in counts)
    padding = sum(max(0, count - own) for count, own in counts)
    right = Share(here["accuracy"], here["low"], here["high"])
    seconds = None if alone is None else alone * here["nfe"]
    mean = written / len(rows)
    return Spent(at, len(rows), right, here["nfe"], mean, padding / written, here["flops"], None, seconds, None)


def by_length(found: Table, arm: str) -> dict[int, Share]:
    """Right answers of an arm at its highest budget, by the answer's length, ascending."""
    hits: dict[int, list[bool]] = {}
    for each in found.cells[At(arm, found.rungs(arm)[-1])].values():
        hits.setdefault(each.difficulty, []).append(each.correct)
    told = {length: share(sum(own), len(own)) for length, own in sorted(hits.items())}
    return {length: own for length, own in told.items() if own is not None}
