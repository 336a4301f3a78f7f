"""How often answers are right that an arm scored alike: does its score mean what it says?

This file decides how scores are read as shares and how they are put into bins. What a score claims is the arm's affair:
a vote's share and the probability of a text speak of the whole answer, a mean log quality of one token of it, whose
answer is right less often. It reads records, and knows no head, no rule and no torch. Whether a score tells right from
wrong at all, calibrated or not, is `state_auc`'s.
"""

import math
from collections.abc import Iterable
from itertools import pairwise
from typing import Any, NamedTuple

from dlmreason.analysis.comparison import At, Table
from dlmreason.analysis.records import Record
from dlmreason.analysis.statistics import wilson

BINS = 10


class Bin(NamedTuple):
    """Answers that were scored alike."""

    low_score: float  # as shares
    high_score: float
    score: float  # mean
    n: int
    correct: int
    accuracy: float
    low: float  # Wilson, 95 %
    high: float


def shares(scores: Iterable[float]) -> list[float] | None:
    """Scores as shares of 0 to 1: logarithms, where none is above 0, as their exponential; None for what is neither."""
    values = list(scores)
    if all(value <= 0 for value in values):
        return [math.exp(value) for value in values]
    return values if all(0 <= value <= 1 for value in values) else None


def reliability(records: Iterable[Record], bins: int = BINS) -> list[Bin]:
    """Bins of about as many answers each, scores ascending, equal scores in one bin; empty where nothing was judged.

    With several seeds a puzzle the interval is as wide as if each puzzle had been tried once.
    """
    judged = [(record, record.score) for record in records if record.score is not None]
    said = shares(score for _, score in judged)
    if not judged or said is None:
        return []
    rows = sorted(zip(said, (record for record, _ in judged), strict=True), key=lambda row: row[0])
    edges = sorted({0, len(rows), *(_next_score([row[0] for row in rows], len(rows) * k // bins) for k in range(bins))})
    return [_bin(rows[start:end]) for start, end in pairwise(edges)]


def _next_score(values: list[float], at: int) -> int:
    """The first place from `at` on whose value is another than the one before it."""
    while 0 < at < len(values) and values[at] == values[at - 1]:
        at += 1
    return at


def _bin(rows: list[tuple[float, Record]]) -> Bin:
    n, correct = len(rows), sum(record.correct for _, record in rows)
    share = len({record.example for _, record in rows}) / n
    said = [score for score, _ in rows]
    return Bin(said[0], said[-1], math.fsum(said) / n, n, correct, correct / n, *wilson(correct * share, n * share))


def calibration(found: Table, arm: str) -> dict[str, Any] | None:
    """The bins of an arm at its highest budget, and how many of its answers nobody judged; None where all."""
    rung = found.rungs(arm)[-1]
    records = list(found.cells[At(arm, rung)].values())
    bins = reliability(records)
    if not bins:
        return None
    return {
        "rung": rung,
        "unjudged": sum(record.score is None for record in records),
        "bins": [each._asdict() for each in bins],
    }
