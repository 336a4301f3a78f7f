"""Everything of a finished or broken-off run that W&B and a dashboard show, read from its own folder.

This file decides which files that takes and what happens where one is missing or damaged: the rest is shown, and the
problem told. The folder is the record; whatever shows it can be made again from here.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from dlmreason import disk
from dlmreason.analysis.packed import load, records_in
from dlmreason.analysis.records import Trace, read
from dlmreason.reports import series
from dlmreason.reports.series import Row, Table

PAGES = ("figure.svg", "report.html")
"""What a report makes to be looked at."""


@dataclass
class Shown:
    """What there is to be shown of a run."""

    name: str
    trainings: list[Row] = field(default_factory=list)
    results: list[Row] = field(default_factory=list)
    tables: list[Table] = field(default_factory=list)
    summary: dict[str, Any] | None = None
    files: list[str] = field(default_factory=list)  # of PAGES, those that are there
    problems: list[str] = field(default_factory=list)

    @property
    def rows(self) -> Iterator[Row]:
        """All of them, in the order in which a run logs them."""
        yield from self.trainings
        yield from self.results


def trained_in(folder: Path) -> Shown:
    """The trainings alone."""
    shown = Shown(str(disk.object_in(folder / "run.json").get("name") or folder.resolve().name))
    try:
        shown.trainings = list(series.trainings(folder, series.Rates(series.work_of(folder))))
    except (ValueError, KeyError) as error:
        shown.problems.append(f"metrics: cannot be read further ({type(error).__name__}: {error})")
    return shown


def found_in(folder: Path) -> Shown:
    """The results alone: of summary.json, the records and the traces, as far as they are there."""
    shown = Shown(folder.resolve().name, files=[name for name in PAGES if (folder / name).exists()])
    summary = disk.object_in(folder / "summary.json")
    if {"arms", "revisions", "verdict"} <= summary.keys():
        shown.summary = summary
        shown.results = [*series.answers(summary), *series.mind(summary)]
        shown.tables.append(series.accuracy_against_flops(summary))
    if (path := records_in(folder)) is not None:
        shown.tables.append(series.quality_calibration(_usable(load(path), shown)))
    if (folder / "traces.jsonl").exists():
        shown.tables.append(series.changed_minds(_usable(read(folder / "traces.jsonl", Trace), shown)))
    return shown


def shown_of(folder: Path) -> Shown:
    """Trainings and results."""
    trained, found = trained_in(folder), found_in(folder)
    return replace(found, name=trained.name, trainings=trained.trainings, problems=trained.problems + found.problems)


def _usable(contents: Any, shown: Shown) -> list[Any]:
    shown.problems += [str(problem) for problem in contents.problems]
    return list(contents.items)
