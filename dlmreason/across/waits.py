"""Table and figure of `does_wait_survive`: signs that a step was wrong, and wrong steps, over passes.

This file decides rows, columns and panels. It takes records and knows no run.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from dlmreason.across.drawing import Across, Panel, Series, panels
from dlmreason.across.work import read as read
from dlmreason.analysis import words
from dlmreason.analysis.comparison import COMPANION, Table
from dlmreason.analysis.waits import FATES, Share, Told, told
from dlmreason.reports.tables import grid

HEAD = [
    "arm", "budget", "passes made", "answers right, %", "a sign, %", "signs a thought", "wrong and no sign, %",
    "hollow sign, %", "right with a sign, %", "right without, %",
]  # fmt: skip
FATED = ["arm", "budget", "answers right, %", *(f"{fate.replace('_', ' ')}, %" for fate in FATES)]
ABOUT = (
    "Of thoughts: those with a sign (`<wait>`), which takes back the step before it; those without in which a wrong "
    "step stands or one is missing; those with a hollow sign, after a right step. 95 % intervals, Wilson's, counting "
    "problems and not seeds."
)
BEGUN = (
    "Thoughts that began with a wrong step, and what became of it. Kept: it, or another wrong one, still stands; taken "
    "back: by a sign; hollow: the right step stands, behind a sign that takes a right one back; rewritten: the right "
    "step stands, silently; lost: nothing stands there."
)


def markdown(found: Mapping[str, Table]) -> str:
    """found: by task."""
    parts = [ABOUT]
    for task, records in found.items():
        lines = told(records)
        problems = max(len({example for example, _ in cell}) for cell in records.cells.values())
        seeds = len({seed for cell in records.cells.values() for _, seed in cell})
        parts += [f"**{task}**, {problems:,} problems, {seeds} seed{'' if seeds == 1 else 's'}"]
        parts += [grid(HEAD, [_row(each) for each in lines])]
        begun = [each for each in lines if each.begun]
        if begun:
            parts += [BEGUN, grid(FATED, [_fates(each) for each in begun])]
    return "\n\n".join(parts) + "\n"


def _row(each: Told) -> list[str]:
    shares = (each.wrong, each.hollow, each.right_waiting, each.right_others)
    return [
        each.at.arm, f"{each.at.rung:,}", words.number(each.passes), _percent(each.right), _percent(each.waiting),
        f"{each.waits:.2f}", *map(_percent, shares),
    ]  # fmt: skip


def _fates(each: Told) -> list[str]:
    assert each.fates is not None
    return [each.at.arm, f"{each.at.rung:,}", _percent(each.right), *(_percent(each.fates[fate]) for fate in FATES)]


def _percent(share: Share | None) -> str:
    return "" if share is None else f"{100 * share.value:.1f} {words.percent_interval(share.low, share.high)}"


PANELS: Sequence[tuple[str, bool, Callable[[Told], Share]]] = (
    ("a sign in the thought", False, lambda each: each.waiting),
    ("right answers", False, lambda each: each.right),
    ("a wrong step stood: taken back by a sign", True, lambda each: _fate(each, "taken_back")),
    ("a wrong step stood: set right silently", True, lambda each: _fate(each, "rewritten")),
)
"""What is drawn over budgets, of which thoughts: those that began with a wrong step, or the others."""


def _fate(each: Told, fate: str) -> Share:
    assert each.fates is not None
    return each.fates[fate]


def draw(found: Mapping[str, Table], path: Path) -> Path:
    """Four panels a task. Of an arm that answers with its best canvas the last one is drawn: what stands then."""
    lines = {task: [each for each in told(records) if not _guarded(each, records)] for task, records in found.items()}
    shown = [
        Panel(f"{task}: {title}", series)
        for task, each in lines.items()
        for title, begun, share in PANELS
        if (series := list(_series([line for line in each if line.begun == begun], share)))
    ]
    return panels(shown, path, Across("budget, passes", 2), "share of answers")


def _guarded(each: Told, records: Table) -> bool:
    return f"{each.at.arm}{COMPANION}" in records.arms


def _series(lines: Sequence[Told], share: Callable[[Told], Share]) -> Iterator[Series]:
    for arm in dict.fromkeys(line.at.arm for line in lines):
        own = [(line.at.rung, share(line)) for line in lines if line.at.arm == arm]
        x, shares = zip(*own, strict=True)
        yield Series(arm, x, [each.value for each in shares], [(each.low, each.high) for each in shares])
