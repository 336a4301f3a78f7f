"""From records to the numbers that a claim rests on: points, paired differences, winners, falls.

This file decides what is compared with what: always the same puzzles and seeds, at equal budgets, corrected for how
often we looked. It refuses records that cannot belong to one comparison. It knows no model, and writes no sentences
(`summary.py` does).

An arm named `x.last` is the companion of arm `x`: what x's last canvas would have answered where x keeps its best one.
It has a curve and never competes. Nor does an upper bound: an arm that asked the judge or was told the answer.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any, NamedTuple

import numpy as np

from dlmreason.analysis.records import Record, RecordsError
from dlmreason.analysis.statistics import Paired, holm, paired, wilson

COMPANION = ".last"
LEVEL = 0.05
"""Corrected p below which two arms count as different."""

Cell = dict[tuple[str, int], Record]  # (example, seed) -> record


class At(NamedTuple):
    """An arm at a budget."""

    arm: str
    rung: int


@dataclass(frozen=True)
class Table:
    """Records of one task and split, by arm and rung."""

    task: str
    split: str
    cells: dict[At, Cell]
    bounds: frozenset[str] = frozenset()  # arms that were told what no model knows

    @property
    def arms(self) -> list[str]:
        """In the order in which the records came."""
        return list(dict.fromkeys(at.arm for at in self.cells))

    @property
    def answering(self) -> list[str]:
        """Without companions."""
        return [arm for arm in self.arms if not is_companion(arm, self.arms)]

    @property
    def competitors(self) -> list[str]:
        """Without companions and upper bounds."""
        return [arm for arm in self.answering if arm not in self.bounds]

    def rungs(self, *arms: str) -> list[int]:
        """Budgets that all `arms` have, ascending."""
        sets = [{at.rung for at in self.cells if at.arm == arm} for arm in arms]
        return sorted(set.intersection(*sets)) if sets else []


def is_companion(arm: str, arms: Sequence[str]) -> bool:
    return arm.endswith(COMPANION) and arm.removesuffix(COMPANION) in arms


def table(records: Iterable[Record], bounds: Iterable[str] = ()) -> Table:
    """The records sorted into cells. bounds: arms that are upper bounds, whatever the rule of their answers.

    Raises: RecordsError for records of several tasks or splits, and for two that answer the same question differently:
    the same (arm, rung, example, seed) under another run key, or with other content.
    """
    records = list(records)
    kinds = sorted({(record.task, record.split) for record in records})
    if len(kinds) != 1:
        found = ", ".join(f"{task}/{split}" for task, split in kinds) or "no record"
        raise RecordsError(
            f"records of one task and split are compared; found {found}: give each its own output folder"
        )
    cells: dict[At, Cell] = {}
    for record in records:
        cell = cells.setdefault(At(record.arm, record.rung), {})
        other = cell.setdefault((record.example, record.seed), record)
        if other.run_key != record.run_key:
            raise RecordsError(
                f"two runs answered {record.point}: run_key {other.run_key} and {record.run_key}; "
                "a comparison takes one: write each run to its own output folder, or remove the records of one"
            )
        if other != record:
            raise RecordsError(
                f"run {record.run_key} answered {record.point} twice and differently; "
                "records must be deterministic: this is a bug of the arm, or the file was edited"
            )
    told = tuple(f"{name}." for name in bounds)
    return Table(*kinds[0], cells, frozenset(at.arm for at in cells if f"{at.arm}.".startswith(told)))


def point(at: At, cell: Cell) -> dict[str, Any]:
    """A place on an arm's curve: share right with its interval, and the means of what was spent on it.

    n counts records; with several seeds a puzzle the interval is as wide as if each puzzle had been tried once.
    """
    records = list(cell.values())
    n = len(records)
    correct = sum(record.correct for record in records)
    puzzles = len({record.example for record in records})
    low, high = wilson(correct * puzzles / n, puzzles)

    def mean(values: Iterable[int]) -> float:
        return sum(values) / n

    return {
        "rung": at.rung,
        "nfe": mean(record.nfe for record in records),
        "scheduled_passes": mean(record.scheduled_passes for record in records),
        "depth": mean(record.sequential_depth for record in records),
        "flops": mean(record.flops for record in records),
        "n": n,
        "puzzles": puzzles,
        "correct": correct,
        "accuracy": correct / n,
        "low": low,
        "high": high,
        "settled": mean(record.settled for record in records),
    }


def points(found: Table, arm: str) -> list[dict[str, Any]]:
    """The arm's curve, budgets ascending."""
    return [point(At(arm, rung), found.cells[At(arm, rung)]) for rung in found.rungs(arm)]


def best_rung(found: Table, arm: str) -> int:
    """The budget at which the arm is right most often; the smallest of equals.

    Picked on the same puzzles that it is then quoted on, so it flatters the arm: use it for the one to be beaten.
    """
    return int(max(points(found, arm), key=lambda each: (each["accuracy"], -each["rung"]))["rung"])


def compare(found: Table, first: At, second: At) -> Paired:
    """The second against the first on the puzzles and seeds that both answered.  Raises: RecordsError without any."""
    ours, theirs = found.cells.get(first, {}), found.cells.get(second, {})
    shared = sorted(ours.keys() & theirs.keys())
    if not shared:
        raise RecordsError(
            f"{first} and {second} share no puzzle and seed: run both on the same puzzles to compare them"
        )
    rows: dict[str, list[int]] = {}
    only_first = only_second = 0
    for key in shared:
        right, left = theirs[key].correct, ours[key].correct
        row = rows.setdefault(key[0], [0, 0, 0])
        row[0] += left
        row[1] += right
        row[2] += 1
        only_first += left and not right
        only_second += right and not left
    columns = np.array(list(rows.values()), dtype=np.int64)
    return paired(columns[:, 0], columns[:, 1], columns[:, 2], only_first, only_second)


class Removed(NamedTuple):
    """Of the errors that `base` makes, how many fewer `other` makes on the same puzzles."""

    base: At
    other: At
    base_errors: int
    other_errors: int
    share: float | None  # (base - other) / base; None where base made none; negative where other makes more
    low: float | None
    high: float | None
    difference: Paired  # the same comparison as a gain of accuracy


def errors_removed(found: Table, base: At, other: At) -> Removed:
    """Share of the errors of `base` that `other` does away with: those it sets right less those it adds.

    The interval takes the puzzles that `base` failed on as given, and joins the two shares by squares [Newcombe 1998,
    method 10]. It stays honest where all errors are gone. Several seeds of a puzzle count as one.
    """
    difference = compare(found, base, other)
    ours, theirs = found.cells[base], found.cells[other]
    base_errors = sum(not ours[key].correct for key in ours.keys() & theirs.keys())
    other_errors = base_errors - difference.only_second + difference.only_first
    if base_errors == 0:
        return Removed(base, other, base_errors, other_errors, None, None, None, difference)
    weight = difference.puzzles / difference.pairs
    base_right = difference.pairs - base_errors
    fixed, added = difference.only_second / base_errors, difference.only_first / base_errors
    of_errors = wilson(difference.only_second * weight, base_errors * weight)
    of_right = wilson(difference.only_first * weight, base_right * weight)
    scale = base_right / base_errors
    share = fixed - added
    low = share - math.hypot(fixed - of_errors.low, of_right.high * scale - added)
    high = share + math.hypot(of_errors.high - fixed, added - of_right.low * scale)
    return Removed(base, other, base_errors, other_errors, share, low, min(1.0, high), difference)


class Winner(NamedTuple):
    """Who is right most often at one budget."""

    rung: int
    arm: str
    accuracy: float
    flops: float  # mean spent by the winner
    tied: list[str]  # arms that cannot be told from it: corrected paired p of LEVEL or more
    worse: list[str]
    apart: list[str]  # arms with this budget that share no puzzle with the winner, so nothing can be said


def winners(found: Table) -> list[Winner]:
    """For each budget that two arms have, the most accurate arm, whoever it is, and who ties with it.

    Holm over all pairs of arms at that budget, since the winner was picked by looking at all of them. Of arms with
    equal accuracy the one that spent the fewest FLOPs is named. Where nobody is right about anything nobody wins.
    """
    result = []
    for rung in sorted({at.rung for at in found.cells}):
        curve = {
            arm: point(At(arm, rung), found.cells[At(arm, rung)])
            for arm in found.competitors
            if At(arm, rung) in found.cells
        }
        if len(curve) < 2:
            continue
        winner = min(curve, key=lambda arm: (-curve[arm]["accuracy"], curve[arm]["flops"]))
        if not curve[winner]["accuracy"]:
            continue
        adjusted = _pairwise(found, [At(arm, rung) for arm in curve])
        sorted_out: dict[str, list[str]] = {"tied": [], "worse": [], "apart": []}
        for arm in curve:
            if arm != winner:
                p = adjusted.get(frozenset((At(arm, rung), At(winner, rung))))
                sorted_out["apart" if p is None else "tied" if p >= LEVEL else "worse"].append(arm)
        result.append(Winner(rung, winner, curve[winner]["accuracy"], curve[winner]["flops"], **sorted_out))
    return result


def _pairwise(found: Table, places: Sequence[At]) -> dict[frozenset[At], float]:
    """Holm-corrected p of every pair that shares puzzles."""
    tests: dict[frozenset[At], float] = {}
    for first, second in combinations(places, 2):
        if found.cells[first].keys() & found.cells[second].keys():
            tests[frozenset((first, second))] = compare(found, first, second).p
    return dict(zip(tests, holm(list(tests.values())), strict=True))


class Fall(NamedTuple):
    """A budget at which an arm is right less often than with a smaller one."""

    arm: str
    lower: int
    higher: int
    difference: Paired
    p: float  # corrected


def falls(found: Table, arm: str) -> list[Fall]:
    """Significant paired falls along an arm's ladder: every pair of budgets is tested, Holm over all of them."""
    places = [At(arm, rung) for rung in found.rungs(arm)]
    adjusted = _pairwise(found, places)
    result = []
    for lower, higher in combinations(places, 2):
        p = adjusted.get(frozenset((lower, higher)), 1.0)
        if p < LEVEL:
            difference = compare(found, lower, higher)
            if difference.gain < 0:
                result.append(Fall(arm, lower.rung, higher.rung, difference, p))
    return result


class Difficulty(NamedTuple):
    """Puzzles of similar difficulty, and how each arm does on them at its highest budget."""

    low: int
    high: int
    puzzles: int
    arms: dict[str, dict[str, Any]]  # arm -> rung, n, correct, accuracy, low, high


def by_difficulty(found: Table, bins: int = 4) -> list[Difficulty]:
    """Accuracy by difficulty, each arm at its highest budget: a row for each value, or quantiles of too many."""
    level = {record.example: record.difficulty for cell in found.cells.values() for record in cell.values()}
    values = np.array(sorted(level.values()))
    edges = sorted(set(values.tolist()))
    if len(edges) > bins:
        edges = sorted(
            {edges[0], *(int(each) for each in np.quantile(values, np.arange(1, bins) / bins, method="higher"))}
        )
    result = []
    for low, following in zip(edges, [*edges[1:], None], strict=True):
        inside = {name for name, each in level.items() if each >= low and (following is None or each < following)}
        arms = {}
        for arm in found.competitors:
            at = At(arm, found.rungs(arm)[-1])
            cell = {key: record for key, record in found.cells[at].items() if key[0] in inside}
            if cell:
                arms[arm] = {
                    k: v for k, v in point(at, cell).items() if k in {"rung", "n", "correct", "accuracy", "low", "high"}
                }
        result.append(Difficulty(low, max(level[name] for name in inside), len(inside), arms))
    return result
