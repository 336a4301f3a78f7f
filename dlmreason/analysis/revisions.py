"""How often an arm changed its mind, whether it was right to, and which puzzles show it.

This file decides the rates and shares that are quoted of the events that the sampler counted. It knows no canvas:
events come with the records, counted from the first pass up to the rung.
"""

from collections.abc import Iterable
from typing import Any, NamedTuple

from dlmreason.analysis.comparison import COMPANION, At, Table, point
from dlmreason.analysis.records import Record

EVENTS = ("written", "doubted", "restored", "flipped", "wrong_to_right", "right_to_wrong", "lateral")


def revisions(found: Table, arm: str) -> list[dict[str, Any]]:
    """Per budget, ascending: what the arm's passes did to its canvas. Empty for an arm that counts no events.

    per_1000: events per 1,000 passes really made, by name.  precision: of the committed tokens that were changed, the
    share set right.  harm: the share set wrong; None where none was changed or the gold answer is not known.
    triggered: share of rows in which a committed token had been taken back or changed.  alive: share of rows that had
    not settled.  nfe: mean passes spent.  accuracy, low, high: as on the curve.  last: those of
    the last canvas, where the arm keeps a better one.
    """
    result = []
    for rung in found.rungs(arm):
        cell = found.cells[At(arm, rung)]
        records = cell.values()
        totals = {name: sum(record.events.get(name, 0) for record in records) for name in EVENTS}
        passes = sum(record.nfe for record in records)
        judged = totals["wrong_to_right"] + totals["right_to_wrong"] + totals["lateral"]
        last = found.cells.get(At(arm + COMPANION, rung))
        here = point(At(arm, rung), cell)
        result.append(
            {
                "rung": rung,
                "n": here["n"],
                "nfe": here["nfe"],
                "triggered": sum(_revised(record) for record in records) / len(records),
                "alive": 1 - here["settled"],
                "totals": totals,
                "per_1000": {name: 1000 * total / passes if passes else 0.0 for name, total in totals.items()},
                "precision": totals["wrong_to_right"] / judged if judged else None,
                "harm": totals["right_to_wrong"] / judged if judged else None,
                **_curve(here),
                "last": _curve(point(At(arm + COMPANION, rung), last)) if last else None,
            }
        )
    counted = any(total for row in result for total in row["totals"].values())
    return result if counted else []


def _revised(record: Record) -> bool:
    return record.events.get("doubted", 0) + record.events.get("flipped", 0) > 0


def _curve(here: dict[str, Any]) -> dict[str, Any]:
    return {name: here[name] for name in ("accuracy", "low", "high")}


class Choice(NamedTuple):
    """A puzzle worth watching."""

    rule: str
    example: str
    seed: int


class Chosen(NamedTuple):
    choices: list[Choice]
    missing: list[str]  # rules that no puzzle meets


RULES = {
    "set right": "ended right after its answer had been wrong and a wrong token was changed to a right one",
    "set wrong": "ended wrong after its answer had been right",
    "never solved": "wrong at every budget",
    "solved at once": "right from the first budget at which this arm solves anything, and ever after",
}


def choose(records: Iterable[Record], arm: str) -> Chosen:
    """Up to four puzzles of an arm, one per rule, no puzzle twice; the same records give the same choice.

    Of several that meet a rule, those that turned at the smallest budget come first (the story is short enough to
    watch), then the first by example and seed.
    """
    ladders: dict[tuple[str, int], list[Record]] = {}
    for record in sorted((each for each in records if each.arm == arm), key=lambda each: each.rung):
        ladders.setdefault((record.example, record.seed), []).append(record)
    first_success = min((each.rung for ladder in ladders.values() for each in ladder if each.correct), default=None)
    turns: dict[str, list[tuple[int, str, int]]] = {rule: [] for rule in RULES}
    for (example, seed), ladder in ladders.items():
        rule, turn = _story(ladder, first_success)
        if rule:
            turns[rule].append((turn, example, seed))
    choices = [Choice(rule, *min(found)[1:]) for rule, found in turns.items() if found]
    return Chosen(choices, [rule for rule, found in turns.items() if not found])


def _story(ladder: list[Record], first_success: int | None) -> tuple[str | None, int]:
    """The rule that a puzzle's ladder meets, and the budget at which it turned. The rules exclude each other."""
    right = [record.correct for record in ladder]
    if not any(right):
        return "never solved", ladder[-1].rung
    if not right[-1]:
        return "set wrong", ladder[max(i for i, each in enumerate(right) if each) + 1].rung
    first = right.index(True)
    if ladder[first].rung == first_success and all(right[first:]):
        return "solved at once", ladder[first].rung
    turn = ladder[max((i for i, each in enumerate(right) if not each), default=-1) + 1]
    changed = not turn.events or turn.events.get("wrong_to_right", 0) > 0
    return ("set right", turn.rung) if changed and turn is not ladder[0] else (None, 0)
