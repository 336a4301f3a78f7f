"""Does an arm's own score tell its right answers from its wrong ones?

This file decides what an area under the ROC curve is here, and how sure it is. A long search keeps what scores best, so
it is only as good as this number at its budget; in training the same is measured on canvases with planted errors, which
are not those that a search finds. It reads records, and knows no head, no policy and no torch.
"""

import math
from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from dlmreason.analysis.comparison import Table
from dlmreason.analysis.records import Record
from dlmreason.analysis.statistics import Interval, Z, crossed

LONG = 1024
"""Above so many passes a table shows the area: so long a search may find canvases that fool its score."""


ENOUGH = 0.98
"""A rule of thumb: in small trials a judge of area .81 was taken in within a thousand passes, one of .99 was not."""


class Area(NamedTuple):
    """How well a score tells right from wrong."""

    right: int  # records
    wrong: int
    auc: float  # the chance that a right answer scores above a wrong one, a tie counting half
    low: float
    high: float


def auc(score: npt.ArrayLike, right: npt.ArrayLike) -> float:
    """The chance that a right one scores above a wrong one, a tie counting half: Mann and Whitney's U as a share of all
    pairs, exact. score: [N].  right: [N] bool.

    Raises: ValueError where either kind is missing, or a score is no number.
    """
    values, which = np.asarray(score, dtype=np.float64), np.asarray(right, dtype=bool)
    good, bad = values[which], np.sort(values[~which])
    if not len(good) or not len(bad):
        raise ValueError(f"{len(good)} right and {len(bad)} wrong: a score tells apart what there is of both kinds")
    if np.isnan(values).any():
        raise ValueError("a score is nan: it orders nothing")
    below, up_to = np.searchsorted(bad, good), np.searchsorted(bad, good, side="right")
    return int((below + up_to).sum()) / (2 * len(good) * len(bad))


def interval(area: float, right: float, wrong: float) -> Interval:
    """The score interval of an area [Newcombe 2006, doi:10.1002/sim.2324, method 5; the variance of Hanley and McNeil
    1982, which is that of exponential scores].

    right, wrong: how many, above 0; they may be fractions, as in `wilson`. It stays honest where a score makes no
    mistake, where a bootstrap and DeLong's interval are a point.
    """
    half = (right + wrong) / 2 - 1

    def deviation(true: float) -> float:
        """(observed - true) in standard deviations under `true`."""
        spread = 1 + half * ((1 - true) / (2 - true) + true / (1 + true))
        variance = true * (1 - true) * spread / (right * wrong)
        return (area - true) / math.sqrt(variance) if variance > 0 else math.copysign(math.inf, area - true)

    low = 0.0 if area == 0 else crossed(deviation, Z, 0.0, area)
    high = 1.0 if area == 1 else crossed(deviation, -Z, area, 1.0)
    return Interval(low, high)


def area_of(records: Iterable[Record]) -> Area | None:
    """Of the records of an arm at a budget, those that were judged; None where none is right or none is wrong.

    With several seeds a puzzle the interval is as wide as if each puzzle had been tried once. Each score is that of the
    answer given, the best so far where the arm keeps it: how the score does among what it chose itself.
    """
    judged = [(record, record.score) for record in records if record.score is not None]
    right = sum(record.correct for record, _ in judged)
    wrong = len(judged) - right
    if not right or not wrong:
        return None
    found = auc([score for _, score in judged], [record.correct for record, _ in judged])
    share = len({record.example for record, _ in judged}) / len(judged)
    return Area(right, wrong, found, *interval(found, right * share, wrong * share))


def state_auc(found: Table, arm: str) -> list[dict[str, Any]]:
    """The areas of an arm along its ladder, by ascending budget; none where it judges nothing, or all alike."""
    cells = sorted((at.rung, cell) for at, cell in found.cells.items() if at.arm == arm)
    areas = ((rung, area_of(cell.values())) for rung, cell in cells)
    return [{"rung": rung, **area._asdict()} for rung, area in areas if area is not None]
