"""Do detectors find the wrong tokens, do their chances mean what they say, and are the errors taken back?

This file decides what is quoted of many looks and of many answers that began from planted errors. A wrong and a right
token are held against each other within one text, never across two, so that an area asks where the noise is and not
how much of it there is. Puzzles are what is drawn at random, several seeds of one are one draw. It knows no network.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache
from itertools import zip_longest
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from dlmreason.analysis.comparison import Table
from dlmreason.analysis.detections import Detection, Start
from dlmreason.analysis.statistics import RESAMPLES

Floats = npt.NDArray[np.float64]


class Share(NamedTuple):
    """A value, and its interval over puzzles drawn again."""

    value: float
    low: float
    high: float


class Found(NamedTuple):
    """A detector on texts with as many planted errors."""

    detector: str
    planted: int  # 0: errors of an arm's own
    texts: int  # that hold wrong tokens
    area: Share  # of a wrong and a right token of one text: the chance that the wrong one is more suspect
    hits: Share  # of as many most suspect tokens as are wrong, the share that is wrong
    error: Share | None  # expected calibration error over all tokens; None: its suspicions are no chances
    said: float | None  # the mean chance
    wrong: float  # share of the tokens that are wrong


class Taken(NamedTuple):
    """What an arm has made of planted errors by a budget."""

    arm: str
    rung: int
    n: int
    back: Share  # of the planted errors, right now
    harmed: Share  # of the tokens that were right, wrong now
    right: Share  # answers without an error


def found(detections: Iterable[Detection]) -> list[Found]:
    """By detector and number of planted errors, in the order of the lines."""
    return [_found(*key, own) for key, own in _groups(detections).items()]


def ahead(detections: Iterable[Detection], first: str, second: str, planted: int) -> Share | None:
    """How far the area of the second detector is above that of the first, on the same texts; None where one of them
    has not looked."""
    groups = _groups(detections)
    if (first, planted) not in groups or (second, planted) not in groups:
        return None
    one, two = ({(each.example, each.seed): each for each in groups[name, planted]} for name in (first, second))
    both = [(one[key], two[key]) for key in one if key in two]
    columns = _by_puzzle((a.example, [b.wins - a.wins, 2 * a.pairs]) for a, b in both)
    return _share(columns, _ratio)


def _groups(detections: Iterable[Detection]) -> dict[tuple[str, int], list[Detection]]:
    groups: dict[tuple[str, int], list[Detection]] = {}
    for each in detections:
        groups.setdefault((each.detector, each.planted), []).append(each)
    return groups


def _found(detector: str, planted: int, own: Sequence[Detection]) -> Found:
    area = _share(_by_puzzle((each.example, [each.wins, 2 * each.pairs]) for each in own), _ratio)
    hits = _share(_by_puzzle((each.example, [each.hits, each.wrong]) for each in own), _ratio)
    tokens = sum(each.tokens for each in own)
    chance = bool(own[0].binned)
    return Found(
        detector, planted, sum(each.wrong > 0 for each in own), area, hits,
        _share(_by_puzzle((each.example, _gaps(each)) for each in own), _calibration) if chance else None,
        sum(sum(each.said) for each in own) / tokens if chance else None,
        sum(each.wrong for each in own) / tokens,
    )  # fmt: skip


def _gaps(each: Detection) -> list[float]:
    """[BINS + 1]: in each bin what was said minus what was so; the tokens."""
    gaps = [said - wrong for said, wrong in zip(each.said, each.binned_wrong, strict=True)]
    return [*gaps, float(each.tokens)]


def _calibration(sums: Floats) -> Floats:
    """[resamples]: the expected calibration error [arXiv:1706.04599]."""
    error: Floats = np.abs(sums[:, :-1]).sum(-1) / np.maximum(sums[:, -1], 1)
    return error


def _ratio(sums: Floats) -> Floats:
    return sums[:, 0] / np.maximum(sums[:, 1], 1)


def _by_puzzle(rows: Iterable[tuple[str, Sequence[float]]]) -> Floats:
    """[puzzles, k]: the sums of each puzzle's rows."""
    sums: dict[str, Floats] = {}
    for puzzle, row in rows:
        sums[puzzle] = sums.get(puzzle, np.zeros(len(row))) + np.asarray(row, dtype=np.float64)
    return np.stack(list(sums.values()))


def _share(columns: Floats, statistic: Callable[[Floats], Floats]) -> Share:
    value = float(statistic(columns.sum(0, keepdims=True))[0])
    low, high = np.quantile(statistic(_times_drawn(len(columns)) @ columns), [0.025, 0.975])
    return Share(value, float(low), float(high))


@cache
def _times_drawn(puzzles: int) -> Floats:
    """[RESAMPLES, puzzles]: how often each is drawn when as many are drawn again: made once for hundreds of shares."""
    drawn = np.random.default_rng(0).multinomial(puzzles, np.full(puzzles, 1 / puzzles), RESAMPLES)
    return drawn.astype(np.float64)


class Bin(NamedTuple):
    """Tokens whose chances of being wrong were said to be alike."""

    tokens: int
    said: float  # mean
    wrong: float  # share


def reliability(detections: Iterable[Detection], detector: str, planted: int) -> list[Bin]:
    """The bins of a detector that hold tokens, ascending; none where its suspicions are no chances."""
    own = [each for each in _groups(detections).get((detector, planted), []) if each.binned]
    bins = zip(*(np.sum([getattr(each, name) for each in own], axis=0) for name in _BINNED), strict=True) if own else ()
    return [Bin(int(n), float(said / n), float(wrong / n)) for n, wrong, said in bins if n]


_BINNED = ("binned", "binned_wrong", "said")


def taken(records: Table, starts: Iterable[Start], companion: str = ".last") -> list[Taken]:
    """By arm that began from planted errors, its last canvas after its answer, and by budget."""
    begun: dict[str, dict[tuple[str, int], Start]] = {}
    for each in starts:
        begun.setdefault(each.arm, {})[each.example, each.seed] = each
    rows = []
    for arm, own in begun.items():
        for name in (arm, arm + companion):
            cells = sorted((at.rung, cell) for at, cell in records.cells.items() if at.arm == name)
            rows += [_taken(name, rung, cell, own) for rung, cell in cells]
    return rows


def _taken(arm: str, rung: int, cell: Mapping[Any, Any], begun: Mapping[tuple[str, int], Start]) -> Taken:
    rows = [(key[0], _fates(record.answer, begun[key])) for key, record in cell.items()]
    back, harmed, right = (
        _share(_by_puzzle((puzzle, fates[part : part + 2]) for puzzle, fates in rows), _ratio) for part in (0, 2, 4)
    )
    return Taken(arm, rung, len(rows), back, harmed, right)


def _fates(answer: str, start: Start) -> list[float]:
    """[6]: planted errors that are right now, and all; right tokens that are wrong now, and all; 1 where nothing is
    wrong, and 1."""
    # A text may end too early.
    told = list(zip_longest(*(text.split() for text in (start.begun, start.right, answer)), fillvalue=""))
    planted = [right == now for begun, right, now in told if begun != right]
    others = [right != now for begun, right, now in told if begun == right]
    return [sum(planted), len(planted), sum(others), len(others), all(planted) and not any(others), 1]
