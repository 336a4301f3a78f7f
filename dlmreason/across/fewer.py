"""Table and figure of `fewer_passes`: each arm at each budget against one token a pass, task by task.

This file decides rows, columns and panels. It takes records and measurements and knows no run.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from dlmreason.across.drawing import Across, Panel, Series, panels
from dlmreason.analysis import words
from dlmreason.analysis.comparison import At, Table, table
from dlmreason.analysis.halving import Step, steps
from dlmreason.analysis.packed import load, records_in
from dlmreason.analysis.records import Measurement
from dlmreason.analysis.records import read as lines
from dlmreason.reports.tables import grid

BASE = "confidence"
"""At its highest budget it is what the others are held against: one token a pass."""

HEAD = [
    "arm", "passes", "made", "right, %", "against full length, points", "FLOPs", "alone, ms", "answers a second",
    "times as fast",
]  # fmt: skip


class Part(NamedTuple):
    records: Table
    measurements: list[Measurement]


def read(folder: Path) -> Part:
    """The records and measurements of a part. Raises: RecordsError, OSError."""
    path = records_in(folder)
    if path is None:
        raise OSError(f"{folder}: there are no records in it")
    measured = folder / "measurements.jsonl"
    return Part(table(load(path).items), lines(measured, Measurement).items if measured.exists() else [])


def _steps(part: Part) -> list[Step]:
    return steps(part.records, At(BASE, part.records.rungs(BASE)[-1]), part.measurements)


def markdown(found: Mapping[str, Part]) -> str:
    """found: by task."""
    parts = [
        f"Each arm at each budget against {BASE} at its highest one, which writes one token a pass: paired, 95 % "
        "intervals. Seconds alone and answers a second of a full device are what a pass was measured to take, times "
        "the passes made. Not corrected for the number of comparisons."
    ]
    for task, part in found.items():
        told = _steps(part)
        puzzles = max(each.against.puzzles for each in told)
        seeds = {seed for cell in part.records.cells.values() for _, seed in cell}
        parts += [
            f"**{task}**, {puzzles:,} problems, {len(seeds)} seed{'' if len(seeds) == 1 else 's'}",
            grid(HEAD, list(_rows(told))),
        ]
    return "\n\n".join(parts) + "\n"


def _rows(told: list[Step]) -> Iterator[list[str]]:
    for each in told:
        difference = words.points_of_gain(each.against.gain, each.against.low, each.against.high)
        yield [
            each.at.arm,
            f"{each.at.rung:,}",
            words.number(each.passes),
            f"{100 * each.accuracy:.1f} {words.percent_interval(each.low, each.high)}",
            difference.replace(" points", ""),
            words.flops(each.flops),
            "" if each.alone is None else f"{1000 * each.alone:.1f}",
            "" if not each.full else f"{1 / each.full:,.0f}",
            "" if each.faster is None else f"{each.faster:.2f}",
        ]


def draw(found: Mapping[str, Part], path: Path) -> Path:
    """A panel a task: right answers by the passes made."""
    return panels(
        [Panel(task, list(_series(part))) for task, part in found.items()],
        path, Across("passes made, mean", base=2), "right answers",
    )  # fmt: skip


def _series(part: Part) -> Iterator[Series]:
    told = _steps(part)
    for arm in dict.fromkeys(each.at.arm for each in told):
        own = sorted((each for each in told if each.at.arm == arm), key=lambda each: each.passes)
        yield Series(
            arm, [each.passes for each in own], [each.accuracy for each in own], [(each.low, each.high) for each in own]
        )
