"""What an output folder holds for its page, and what of it could not be used.

This file decides which runs a folder holds, which files are read, and what is said of one that is missing, torn or
foreign: the page names it and shows the rest. It reads the folder only, and knows nothing of how a page looks.
"""

import json
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from dlmreason.analysis.comparison import Table, table
from dlmreason.analysis.packed import FILES, load
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
    text: str = ""  # of table.md
    files: list[str] = field(default_factory=list)  # the names of all that lies there

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


class Place(NamedTuple):
    """Where one run lies: a folder, or of a folder the files whose names begin with `part` and `_`."""

    folder: Path
    part: str = ""

    def file(self, name: str) -> Path:
        return self.folder / (f"{self.part}_{name}" if self.part else name)

    @property
    def records(self) -> Path | None:
        return next((path for name in FILES if (path := self.file(name)).exists()), None)


def runs_in(folder: Path) -> dict[str, Place]:
    """The runs of an output folder or a claim by name: "" is the folder's own, the others are its parts, in it or in
    folders one or two below. A folder without records is a run without answers."""
    found = {"": Place(folder)} if Place(folder).records else {}
    names = [path.name for path in sorted(folder.iterdir()) if path.is_file()]
    parts = [name.removesuffix(f"_{kind}") for name in names for kind in FILES if name.endswith(f"_{kind}")]
    found |= {part: Place(folder, part) for part in parts}
    below = sorted([*folder.glob("*/"), *folder.glob("*/*/")])
    found |= {path.relative_to(folder).as_posix(): Place(path) for path in below if Place(path).records}
    return found or {"": Place(folder)}


def gather(folder: Path, part: str = "") -> Found:
    """Everything usable of the run in the folder, or of a part of it, see `Place`."""
    found, place = Found(), Place(folder, part)
    path = place.records or place.file(FILES[0])
    name = path.name
    found.records = _lines(path, Record, found.problems, wanted=True)
    found.timings = _lines(place.file("timings.jsonl"), Timing, found.problems)
    found.measurements = _lines(place.file("measurements.jsonl"), Measurement, found.problems)
    found.counted = _lines(place.file("counters.jsonl"), Counted, found.problems)
    found.traces = _lines(place.file("traces.jsonl"), Trace, found.problems)
    for path in sorted(folder.glob("models/*/description.json")):
        if isinstance(content := _json(path, found.problems), dict):
            found.models[path.parent.name] = content
    found.run = _json(place.file("run.json"), found.problems)
    found.summary = _json(place.file("summary.json"), found.problems)
    if found.summary is not None and not _usable(found.summary):
        found.problems.append("summary.json: not a summary of this version; computed again from the records")
        found.summary = None
    if found.summary is None and found.records:
        try:
            found.summary = summarise(found.records, bounds=_bounds(found.run))
        except RecordsError as error:
            found.problems.append(f"{name}: {error}")
    found.config, found.text = _text(place.file("config.yaml")), _text(place.file("table.md"))
    for path in sorted(folder.glob("metrics/*.jsonl")):
        if curve := _losses(path):
            found.training[path.stem] = curve
    found.files = sorted(path.name for path in folder.iterdir() if path.is_file() and not path.name.startswith("."))
    return found


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""


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
