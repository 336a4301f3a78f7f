"""What of a claim's runs is kept: `python -m dlmreason.claim from=[outputs/a,outputs/b] to=experiments/<claim>`.

Runs of several seeds, or a claim and runs of further seeds, become one folder of records, timings, measurements, table
and figure, from which the table and the figure are made again to the byte by `report`; of counters is kept which pass
wrote which token. This file decides which files are kept, and what of a run is told: settings, seeds, commands and
versions, nothing of the machine's folders.
"""

import json
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

from dlmreason import disk, launch
from dlmreason.analysis import writings
from dlmreason.analysis.packed import load, pack, records_in
from dlmreason.analysis.records import (
    Counted,
    Measurement,
    Record,
    RecordsError,
    Speed,
    Timing,
    encode,
    read,
)
from dlmreason.report import learning_of, report
from dlmreason.speed_report import speeds_of, tell

SAME = ("title", "primary", "family", "tolerance", "bounds")
"""Of what was declared, what runs must agree on to be one claim."""


def main(settings: launch.Settings) -> int:
    """The entry point."""
    folders, to = [Path(each) for each in settings["from"]], Path(settings["to"])
    if any(speeds_of(folder).exists() for folder in folders):
        return _measured(folders, to)
    problems = [f"from: {folder} has no records.jsonl" for folder in folders if records_in(folder) is None]
    if problems or not folders:
        raise launch.BadInput(*(problems or ["from=[]: name the folders of one run or more"]))
    runs = [disk.object_in(folder / "run.json") for folder in folders]
    for run, folder in zip(runs, folders, strict=True):
        differing = [key for key in SAME if run.get(key) != runs[0].get(key)]
        if differing:
            raise launch.BadInput(
                f"from: {folder} and {folders[0]} differ in {', '.join(differing)}: they are no seeds of one claim"
            )
    records = [each for folder in folders for each in _whole(records_in(folder) or folder, Record)]
    timings = [each for folder in folders for each in _whole(folder / "timings.jsonl", Timing)]
    # Seconds are compared on one machine at one time: those of the first run that has them.
    measured = next(filter(None, (_whole(folder / "measurements.jsonl", Measurement) for folder in folders)), [])
    written = [each for folder in folders for each in _writings(folder)]
    about = told(runs, [learning_of(folder) for folder in folders])
    to.mkdir(parents=True, exist_ok=True)
    with launch.refused("from", RecordsError):
        pack(records, to / "records.parquet")
    _lines(to / "timings.jsonl", timings)
    _lines(to / "measurements.jsonl", measured)
    if written:
        writings.pack(written, to / writings.FILE)
    disk.write(to / "run.json", json.dumps(about, indent=1, sort_keys=True) + "\n")
    report(to, show=False)
    launch.say(f"{len(records):,} records of {len(folders)} runs: {to}")
    return 0


def _measured(folders: Sequence[Path], to: Path) -> int:
    """The same of a claim that measures: one run, for seconds are compared within one."""
    if len(folders) > 1:
        raise launch.BadInput(f"from: {folders[0]} and {folders[1]} are measured: a claim keeps the speeds of one run")
    rows, run = _whole(speeds_of(folders[0]), Speed), disk.object_in(folders[0] / "run.json")
    to.mkdir(parents=True, exist_ok=True)
    _lines(speeds_of(to), rows)
    about = told([run], []) | {"against": run.get("against")}
    disk.write(to / "run.json", json.dumps(about, indent=1, sort_keys=True) + "\n")
    tell(to, show=False)
    launch.say(f"{len(rows):,} speeds: {to}")
    return 0


def told(runs: Sequence[Mapping[str, Any]], learning: Sequence[Mapping[str, Mapping[str, float]]]) -> dict[str, Any]:
    """What is kept of the runs' own descriptions. learning: of each run, accuracy at half and full training by model;
    the mean is kept. A claim among the runs counts as the runs that it was made of."""
    several = [_runs_of(run) for run in runs]
    each_run = [run for part in several for run in part]
    of_each = [shares for part, shares in zip(several, learning, strict=False) for _ in part]
    models = {name: [each[name] for each in of_each if name in each] for each in of_each for name in each}
    about = {
        **{key: runs[0].get(key) for key in ("title", *SAME[1:], "task")},
        "seeds": [run.get("seed") for run in each_run],
        "test_reads": [run.get("test_reads", {}) for run in each_run],
        "commands": [["python", *run.get("command", [])[1:]] for run in each_run],
        "packages": runs[0].get("packages", {}),
        "learning": {
            name: {share: fmean(each[share] for each in of) for share in ("half", "full")}
            for name, of in models.items()
        },
    }
    kept: dict[str, Any] = _placeless(about)
    return kept


def _runs_of(run: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The runs that a claim was made of, as far as it tells them apart; a run is its only one."""
    if "seeds" not in run:
        return [run]
    parts = zip(run["seeds"], run["test_reads"], run["commands"], strict=True)
    return [{"seed": seed, "test_reads": reads, "command": command} for seed, reads, command in parts]


def _writings(folder: Path) -> list[writings.Writing]:
    """Which pass wrote which token, of a run or of a claim; empty where it was not counted."""
    kept = folder / writings.FILE
    if kept.exists():
        return writings.unpack(kept)
    return [writings.writing(each) for each in _whole(folder / "counters.jsonl", Counted)]


def _placeless(value: Any) -> Any:
    """The same without the folders of the machine: of a text that is an absolute path, or `key=` and one, the last
    part stays."""
    if isinstance(value, dict):
        return {key: _placeless(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_placeless(each) for each in value]
    return re.sub(r"^([\w.]+=)?/(?:[^/]+/)*", r"\1<path>/", value) if isinstance(value, str) else value


def _whole(path: Path, kind: Any) -> list[Any]:
    """Every line of a file, none where there is no file. Raises: BadInput for a line that cannot be used."""
    if not path.exists():
        return []
    contents = load(path) if kind is Record else read(path, kind)
    if contents.problems:
        raise launch.BadInput(*(f"{path.parent}/{each}" for each in contents.problems[:5]))
    return contents.items


def _lines(path: Path, items: Sequence[Any]) -> None:
    if items:
        disk.write(path, b"".join(map(encode, items)))
    else:
        path.unlink(missing_ok=True)


if __name__ == "__main__":
    sys.exit(launch.run(main, "claim"))
