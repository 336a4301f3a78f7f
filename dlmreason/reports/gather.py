"""What an output folder holds for its page, and what of it could not be used.

This file decides which files are read and what is said of one that is missing, torn or foreign: the page names it and
shows the rest. It reads the folder only, and knows nothing of how a page looks.
"""

import json
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dlmreason.analysis.comparison import Table, table
from dlmreason.analysis.packed import FILES, load, records_in
from dlmreason.analysis.records import Counted, Measurement, Record, RecordsError, Timing, Trace, read
from dlmreason.analysis.summary import summary as summarise

MOST_POINTS = 300
"""Points of a training curve: more cannot be seen."""


@dataclass
class Found:
    """What an output folder holds, and what of it could not be used."""

    summary: dict[str, Any] | None = None
    records: list[Record] = field(default_factory=list)
    timings: list[Timing] = field(default_factory=list)
    measurements: list[Measurement] = field(default_factory=list)
    counted: list[Counted] = field(default_factory=list)
    traces: list[Trace] = field(default_factory=list)
    models: dict[str, Any] = field(default_factory=dict)  # descriptions, by name
    run: Any = None
    config: str = ""
    training: dict[str, list[tuple[float, float]]] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)

    @property
    def table(self) -> Table | None:
        """The records as a table; None where there are none that belong together."""
        try:
            return table(self.records, _bounds(self.run))
        except RecordsError:
            return None

    @property
    def trace_events(self) -> int | None:
        """How many changes a trace was told to hold; None where it tells all, or nothing says so."""
        import yaml

        try:
            budget = yaml.safe_load(self.config)["budget"]
            return int(budget["trace_events"])
        except (yaml.YAMLError, KeyError, TypeError, ValueError):
            return None


def gather(folder: Path) -> Found:
    """Everything usable in the folder."""
    found = Found()
    path = records_in(folder) or folder / FILES[0]
    name = path.name
    found.records = _lines(path, Record, found.problems, wanted=True)
    found.timings = _lines(folder / "timings.jsonl", Timing, found.problems)
    found.measurements = _lines(folder / "measurements.jsonl", Measurement, found.problems)
    found.counted = _lines(folder / "counters.jsonl", Counted, found.problems)
    found.traces = _lines(folder / "traces.jsonl", Trace, found.problems)
    for path in sorted(folder.glob("models/*/description.json")):
        if isinstance(content := _json(path, found.problems), dict):
            found.models[path.parent.name] = content
    found.run = _json(folder / "run.json", found.problems)
    found.summary = _json(folder / "summary.json", found.problems)
    if found.summary is not None and not _usable(found.summary):
        found.problems.append("summary.json: not a summary of this version; computed again from the records")
        found.summary = None
    if found.summary is None and found.records:
        try:
            found.summary = summarise(found.records, bounds=_bounds(found.run))
        except RecordsError as error:
            found.problems.append(f"{name}: {error}")
    if (folder / "config.yaml").exists():
        found.config = (folder / "config.yaml").read_text(encoding="utf-8", errors="replace")
    for path in sorted(folder.glob("metrics/*.jsonl")):
        if curve := _losses(path):
            found.training[path.stem] = curve
    return found


def _lines(path: Path, kind: Any, problems: list[str], wanted: bool = False) -> list[Any]:
    try:
        items, bad = load(path) if kind is Record else read(path, kind)
    except FileNotFoundError:
        if wanted:
            problems.append(f"{path.name}: not there, so no answers can be shown")
        return []
    # A damaged file can have a problem on every line; the first few and their number say as much.
    problems.extend(str(each) for each in bad[:5])
    if len(bad) > 5:
        problems.append(f"{path.name}: {len(bad) - 5:,} more lines could not be used")
    return list(items)


def _json(path: Path, problems: list[str]) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except ValueError as error:
        problems.append(f"{path.name}: not JSON ({error})")
        return None


def _usable(summary: Any) -> bool:
    keys = {
        "task",
        "split",
        "puzzles",
        "seeds",
        "arms",
        "sentences",
        "winners",
        "comparisons",
        "difficulty",
        "revisions",
    }
    return isinstance(summary, dict) and keys <= summary.keys()


def _losses(path: Path) -> list[tuple[float, float]]:
    """(update, loss) of a training file: JSON lines with `step` and `loss`, with or without a CRC; others are left."""
    curve = []
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            row = json.loads(re.sub(r"^[0-9a-f]{8} ", "", line))
        except ValueError:
            continue
        loss = (
            next((row[key] for key in ("loss", "train/loss", "train_loss") if key in row), None)
            if isinstance(row, dict)
            else None
        )
        if isinstance(loss, int | float) and isinstance(row.get("step"), int) and row["step"] > 0:
            curve.append((row["step"], loss))
    return thinned(curve)


def thinned(curve: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """Some MOST_POINTS of its points, evenly apart."""
    return curve[:: max(1, len(curve) // MOST_POINTS)]


def _bounds(run: Any) -> tuple[str, ...]:
    """Arms that the run says were told what no model knows."""
    told = run.get("bounds") if isinstance(run, dict) else None
    return tuple(each for each in told if isinstance(each, str)) if isinstance(told, list) else ()
