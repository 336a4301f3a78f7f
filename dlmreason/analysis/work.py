"""Accuracy against the work done for each token of an answer, the best arm of either side at every budget.

This file decides what a side is, what counts as an answer's tokens, and who speaks for a side: whoever of it is right
most often, picked on the puzzles that it is quoted on, which flatters the side of more arms more. It knows no arm by
name.
"""

from collections.abc import Iterable
from typing import Any, NamedTuple

from dlmreason.analysis.comparison import At, Cell, Table, by_difficulty, compare, point
from dlmreason.analysis.records import RecordsError
from dlmreason.analysis.statistics import Paired

DIFFUSION, AUTOREGRESSIVE = "diffusion", "autoregressive"
SIDES = (AUTOREGRESSIVE, DIFFUSION)


class Best(NamedTuple):
    """Who speaks for a side at a budget."""

    at: At
    accuracy: float
    low: float
    high: float
    work: float  # FLOPs for each token of an answer, mean


class Budget(NamedTuple):
    """Both sides within the same work."""

    rung: int
    sides: dict[str, Best | None]  # None: it buys that side no answer
    difference: Paired | None  # diffusion over autoregressive


def side(found: Table, arm: str) -> str:
    """Which side an arm is of: records of chains say how many there were."""
    record = next(iter(found.cells[At(arm, found.rungs(arm)[0])].values()))
    return AUTOREGRESSIVE if "chains" in record.events else DIFFUSION


def answer_tokens(found: Table) -> int:
    """How many symbols an answer has.  Raises: RecordsError where right answers differ in that, or none is right."""
    lengths = {len(each.answer.split()) for cell in found.cells.values() for each in cell.values() if each.correct}
    if len(lengths) != 1 or 0 in lengths:
        raise RecordsError(
            f"right answers of {found.task} have {sorted(lengths) or 'no'} symbols: one length is needed"
        )
    return lengths.pop()


def points(found: Table, tokens: int) -> dict[str, list[Best]]:
    """Of either side every competitor at every budget, budgets ascending.

    Without points at which not every puzzle was answered, lest the easy ones be an arm's own.
    """
    most = max(len(cell) for cell in found.cells.values())
    result: dict[str, list[Best]] = {name: [] for name in SIDES}
    for at in sorted(found.cells, key=lambda each: each.rung):
        if at.arm in found.competitors and len(found.cells[at]) == most:
            result[side(found, at.arm)].append(_best(at, found.cells[at], tokens))
    return result


def budgets(found: Table, tokens: int) -> list[Budget]:
    """For each budget, the most accurate competitor of either side within it; of equals the one of less work.

    An arm takes part with its highest budget up to there: beyond its last one it would spend no more.
    """
    known = points(found, tokens)
    result = []
    for rung in sorted({at.rung for at in found.cells}):
        sides: dict[str, Best | None] = {}
        for name, of_side in known.items():
            latest = {best.at.arm: best for best in of_side if best.at.rung <= rung}
            sides[name] = min(latest.values(), key=lambda best: (-best.accuracy, best.work), default=None)
        ours, theirs = sides[DIFFUSION], sides[AUTOREGRESSIVE]
        difference = compare(found, theirs.at, ours.at) if ours and theirs else None
        result.append(Budget(rung, sides, difference))
    return result


def least_work(found: Table, tokens: int, share: float) -> dict[str, Best | None]:
    """Of either side, the point of least work that is right in `share` of the answers or more; None: there is none."""
    return {
        name: min((best for best in own if best.accuracy >= share), key=lambda best: best.work, default=None)
        for name, own in points(found, tokens).items()
    }


def by_level(found: Table, tokens: int, bins: int = 6) -> list[tuple[Any, list[Budget]]]:
    """`budgets` of puzzles of similar difficulty, as `comparison.by_difficulty` sorts them."""
    result = []
    for level in by_difficulty(found, bins):
        cells = {
            at: {key: each for key, each in cell.items() if level.low <= each.difficulty <= level.high}
            for at, cell in found.cells.items()
        }
        own = Table(found.task, found.split, {at: cell for at, cell in cells.items() if cell}, found.bounds)
        result.append((level, budgets(own, tokens)))
    return result


def frontier(points: Iterable[Best]) -> list[Best]:
    """Those that no other point beats with at most their work, work ascending."""
    result: list[Best] = []
    for best in sorted(points, key=lambda each: (each.work, -each.accuracy)):
        if not result or best.accuracy > result[-1].accuracy:
            result.append(best)
    return result


def _best(at: At, cell: Cell, tokens: int) -> Best:
    here = point(at, cell)
    return Best(at, here["accuracy"], here["low"], here["high"], here["flops"] / tokens)
