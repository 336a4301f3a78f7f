"""What became of signs and wrong steps in the thoughts that were kept: arm by arm, budget by budget.

This file decides which shares are told, and of which answers. It reads the numbers that records have of their thoughts
(`tasks.steps.told_of`) and knows no task and no arm by name. Several seeds of one problem are one draw.
"""

from collections.abc import Callable, Iterable
from typing import NamedTuple

from dlmreason.analysis.comparison import At, Cell, Table
from dlmreason.analysis.records import Record, RecordsError
from dlmreason.analysis.statistics import wilson

FATES = ("kept", "taken_back", "hollow", "rewritten", "lost")
"""Of a wrong step that stood at first; see `tasks.steps.FATES`."""


class Share(NamedTuple):
    """Of answers, those of which something is so."""

    value: float
    low: float
    high: float
    answers: int


class Told(NamedTuple):
    """The thoughts of an arm at a budget."""

    at: At
    passes: float  # made, mean
    right: Share  # answers
    waiting: Share  # a sign stands in the thought
    waits: float  # signs a thought, mean
    wrong: Share  # a wrong step stands, and no sign
    hollow: Share  # a sign takes a right step back
    right_waiting: Share | None  # right answers of thoughts with a sign; None: there is none
    right_others: Share | None  # and of those without
    fates: dict[str, Share] | None  # of the wrong step that stood at first; None: none did

    @property
    def begun(self) -> bool:
        return self.fates is not None


def told(found: Table) -> list[Told]:
    """A line for each arm and budget whose thoughts were kept, arms in the order of the records, budgets ascending.

    Raises: RecordsError where no thought was kept, or none by a task that tells of them.
    """
    arms = found.arms
    cells = sorted(found.cells.items(), key=lambda item: (arms.index(item[0].arm), item[0].rung))
    lines = [_line(at, cell) for at, cell in cells if all("waits" in each.events for each in cell.values())]
    if not lines:
        raise RecordsError(
            f"the records of {found.task} have no signs counted in thoughts: run with budget.thoughts=true and a task "
            "whose thoughts correct themselves"
        )
    return lines


def _line(at: At, cell: Cell) -> Told:
    records = list(cell.values())
    waiting = [each for each in records if each.events["waits"]]
    others = [each for each in records if not each.events["waits"]]
    begun = all("plant_kept" in each.events for each in records)
    return Told(
        at,
        sum(each.nfe for each in records) / len(records),
        _share(records, lambda each: each.correct),
        _share(records, lambda each: each.events["waits"] > 0),
        sum(each.events["waits"] for each in records) / len(records),
        _share(records, lambda each: each.events["wrong"] > 0 and not each.events["waits"]),
        _share(records, lambda each: each.events["hollow"] > 0),
        _share(waiting, lambda each: each.correct) if waiting else None,
        _share(others, lambda each: each.correct) if others else None,
        {fate: _share(records, _ended(fate)) for fate in FATES} if begun else None,
    )


def _ended(fate: str) -> Callable[[Record], bool]:
    return lambda record: record.events[f"plant_{fate}"] > 0


def _share(records: Iterable[Record], so: Callable[[Record], bool]) -> Share:
    """The interval counts problems."""
    records = list(records)
    value = sum(map(so, records)) / len(records)
    problems = len({each.example for each in records})
    return Share(value, *wilson(value * problems, problems), len(records))
