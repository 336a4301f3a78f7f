"""Whether arms stand on an equal footing: the same compute at the points that are compared, and training that was done.

This file decides when two points count as matched and when an arm counts as still learning. What follows from it, a
figure refused or a line on its face, is decided by who draws.
"""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from dlmreason.analysis import words
from dlmreason.analysis.comparison import At, Table
from dlmreason.analysis.crossing import FLOPS, Axis
from dlmreason.analysis.records import RecordsError

STILL_LEARNING = 0.02
"""A gain of validation accuracy from half to full training above which a model was still learning: 2 points."""


class Match(NamedTuple):
    """What two points cost on the puzzles and seeds that both answered."""

    first: At
    second: At
    first_cost: float  # mean an answer
    second_cost: float
    apart: float  # their difference as a share of the larger; 0 where both cost nothing


def matched(found: Table, first: At, second: At, tolerance: float, axis: Axis = FLOPS) -> tuple[bool, Match]:
    """Whether the costs of two points differ by at most `tolerance`, a share of the larger, and what they are.

    Raises: ValueError for a tolerance outside [0, 1), RecordsError for points that share no puzzle.
    """
    if not 0 <= tolerance < 1:
        raise ValueError(f"tolerance={tolerance}: must be a share from 0 to below 1, such as 0.02")
    ours, theirs = found.cells.get(first, {}), found.cells.get(second, {})
    keys = ours.keys() & theirs.keys()
    if not keys:
        raise RecordsError(f"{first} and {second} share no puzzle and seed: run both on the same puzzles")
    costs = [sum(axis.cost(at, found.cells[at][key]) for key in keys) / len(keys) for at in (first, second)]
    apart = abs(costs[0] - costs[1]) / max(costs) if max(costs) > 0 else 0.0
    return apart <= tolerance, Match(first, second, costs[0], costs[1], apart)


def unmatched(found: Table, pairs: Iterable[tuple[At, At]], tolerance: float, axis: Axis = FLOPS) -> str | None:
    """Why points may not be drawn on a common axis: the pair that is furthest apart, with its two numbers; None where
    all are matched."""
    checked = [matched(found, first, second, tolerance, axis) for first, second in pairs]
    worst = max((match for held, match in checked if not held), key=lambda match: match.apart, default=None)
    if worst is None:
        return None
    spent = (
        f"{at.arm} at {words.passes(at.rung)} spends {axis.shown(cost)}"
        for at, cost in ((worst.first, worst.first_cost), (worst.second, worst.second_cost))
    )
    return (
        f"no common axis: {' and '.join(spent)}, {words.percent(worst.apart)} apart where the claim allows "
        f"{words.percent(tolerance)}; compare budgets of equal {axis.name}, or state a larger tolerance"
    )


def still_learning(learning: Mapping[str, Mapping[str, float]], margin: float = STILL_LEARNING) -> str | None:
    """Which models gained more than `margin` in the second half of their training, in words for a figure's face.

    learning: model -> {"half", "full"}, validation accuracy at half and at full training.
    """
    rising = [
        f"{model} ({words.percent(shares['half'])} right at half, {words.percent(shares['full'])} at full training)"
        for model, shares in learning.items()
        if shares["full"] - shares["half"] > margin
    ]
    return f"Still learning when training ended: {words.listed(rising)}" if rising else None
