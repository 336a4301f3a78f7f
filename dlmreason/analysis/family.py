"""The comparisons that a claim declares before its run, and what is found of them.

This file decides how a place is written, `arm@budget`, and that Holm's correction is over exactly what was declared.
Any other comparison of the same records is exploratory.
"""

from collections.abc import Callable, Sequence
from itertools import combinations
from typing import NamedTuple

from dlmreason.analysis import words
from dlmreason.analysis.comparison import At, Table, compare
from dlmreason.analysis.records import RecordsError
from dlmreason.analysis.statistics import Paired, holm, smallest_gain

Pair = tuple[At, At]
"""First and second: the second is compared against the first."""


class Compared(NamedTuple):
    """A comparison of a family."""

    first: At
    second: At
    difference: Paired
    p: float  # corrected over the family


def place(found: Table, name: str, rival: str) -> At:
    """`arm@budget` as a place in the table; `arm` alone is at the highest budget that it shares with `rival`'s arm.

    Raises: RecordsError for an arm or a budget that the records do not hold, with those that they do.
    """
    arm, rung = _split(found, name)
    other, _ = _split(found, rival)
    if rung is None:
        shared = found.rungs(arm, other)
        if not shared:
            raise RecordsError(f"{arm} and {other} have no budget in common: name one for each, {arm}@<budget>")
        rung = shared[-1]
    if At(arm, rung) not in found.cells:
        held = ", ".join(f"{each:,}" for each in found.rungs(arm))
        raise RecordsError(f"{name}: {arm} has no budget {rung:,} in these records; it has {held}")
    return At(arm, rung)


def _split(found: Table, name: str) -> tuple[str, int | None]:
    """The arm that a name begins with, and its budget if it has one."""
    if name in found.arms:
        return name, None
    arm, _, rung = name.rpartition("@")
    if arm not in found.arms:
        raise RecordsError(f"{name}: no arm of these records; they hold {', '.join(found.arms)}")
    if not rung.isdecimal():
        raise RecordsError(f"{name}: a budget is a whole number of passes, as in {arm}@{found.rungs(arm)[-1]}")
    return arm, int(rung)


def declared(found: Table, family: Sequence[Sequence[str]]) -> list[Pair]:
    """The pairs of a claim's `family`, written `[first, second]`.

    Raises: RecordsError for a pair that is none, that is there twice, or of which the records hold nothing.
    """
    pairs: list[Pair] = []
    for names in family:
        if len(names) != 2:
            raise RecordsError(f"family: {list(names)}: a comparison is two places, [first, second]")
        first, second = place(found, names[0], names[1]), place(found, names[1], names[0])
        if first == second or {first, second} in [set(pair) for pair in pairs]:
            raise RecordsError(f"family: [{names[0]}, {names[1]}]: two different places, and each pair once")
        pairs.append((first, second))
    return pairs


def pairs_where(found: Table, holds: Callable[[At, At], bool]) -> list[Pair]:
    """Every two places of which `holds(first, second)` is true, in the order of the records."""
    return [pair for pair in combinations(found.cells, 2) if holds(*pair)]


def corrected(found: Table, pairs: Sequence[Pair]) -> list[Compared]:
    """Each pair of a family compared, p corrected over these and no others [Holm 1979]."""
    differences = [compare(found, *pair) for pair in pairs]
    adjusted = holm([difference.p for difference in differences])
    return [Compared(*pair, difference, p) for pair, difference, p in zip(pairs, differences, adjusted, strict=True)]


def said(row: Compared, level: float) -> str:
    """Who is ahead at which budget, or that it cannot be told."""
    first, second, difference = row.first, row.second, row.difference
    at = f"at {words.passes(second.rung)}"
    if first.rung != second.rung:
        at += f" (against {words.passes(first.rung)})"
    gain = words.points_of_gain(difference.gain, difference.low, difference.high)
    numbers = f"{gain}, {words.p_value(row.p)}"
    if row.p >= level:
        reach = within_reach(difference.only_first + difference.only_second, difference.pairs, difference.puzzles)
        text = f"{second.arm} and {first.arm} cannot be told apart {at}: {numbers}"
        return f"{text}; {reach}" if reach else text
    return f"{second.arm} is {'ahead of' if difference.gain > 0 else 'behind'} {first.arm} {at}: {numbers}"


def within_reach(discordant: int, pairs: int, puzzles: int) -> str:
    """What so many puzzles could have found where a difference was not; "" where too few pairs differ to say."""
    least = smallest_gain(discordant / pairs, puzzles)
    if least is None:
        return ""
    return f"n = {puzzles:,} finds differences of {100 * least:.1f} points or more in 9 of 10 runs, by one test alone"
