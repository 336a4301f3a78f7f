"""Table and figure of answers that differ in length: right by length, padding, FLOPs and seconds against AR.

This file decides rows, columns and panels. It takes records and measurements and knows no run.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path

from dlmreason.across.drawing import Across, Panel, Series, panels
from dlmreason.across.fewer import Part
from dlmreason.across.fewer import read as read
from dlmreason.across.reopen import percent
from dlmreason.analysis import words
from dlmreason.analysis.lengths import Spent, by_length, spent
from dlmreason.reports.tables import grid

HEAD = [
    "arm", "passes", "made", "right, %", "tokens written", "of them padding, %", "FLOPs", "times those of AR",
    "alone, ms", "times that of AR",
]  # fmt: skip
ABOUT = (
    "Of each arm the budgets at which it spends more than before. Padding is what was written behind the end of the "
    "right answer's text; chains write none. Seconds alone are what a pass was measured to take, times the passes "
    "made. Wilson 95 % intervals."
)


def markdown(found: Mapping[str, Part]) -> str:
    """found: by task."""
    parts = [ABOUT]
    for task, part in found.items():
        rows = spent(part.records, part.measurements)
        lengths = sorted({each.difficulty for cell in part.records.cells.values() for each in cell.values()})
        parts += [
            f"**{task}**: {max(each.n for each in rows):,} answers of {lengths[0]} to {lengths[-1]} symbols",
            grid(HEAD, [_row(each) for each in rows]),
        ]
    return "\n\n".join(parts) + "\n"


def _row(each: Spent) -> list[str]:
    return [
        each.at.arm,
        f"{each.at.rung:,}",
        words.number(each.passes),
        percent(each.right),
        f"{each.written:.1f}",
        f"{100 * each.padding:.1f}",
        words.flops(each.flops),
        _times(each.against),
        "-" if each.seconds is None else f"{1000 * each.seconds:.1f}",
        _times(each.slower),
    ]


def _times(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"


def draw(found: Mapping[str, Part], path: Path) -> Path:
    """A panel a task: right answers by their length, each arm at its highest budget."""
    return panels(
        [Panel(task, list(_series(part))) for task, part in found.items()],
        path, Across("symbols of the answer"), "right answers",
    )  # fmt: skip


def _series(part: Part) -> Iterator[Series]:
    for arm in part.records.competitors:
        told = by_length(part.records, arm)
        bounds = [(each.low, each.high) for each in told.values()]
        yield Series(arm, list(told), [each.value for each in told.values()], bounds)
