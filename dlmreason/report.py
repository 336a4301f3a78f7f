"""Records into numbers, a figure and a page: `python -m dlmreason.report name=<name>`, or of any folder with `output=`.

This file decides which files a report consists of. It reads what a run left behind and imports neither torch nor a
task.
"""

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dlmreason import disk, launch
from dlmreason.speed_report import speeds_of, tell


def report(folder: Path, show: bool = True) -> dict[str, Any]:
    """Writes summary.json, table.md, table.tex, figure.svg and report.html of an output folder; prints the table.
    Of one that measured see `speed_report.tell`.

    Returns the summary.

    Raises: BadInput where there is nothing to report, or records that do not belong together.
    """
    if speeds_of(folder).exists():
        return tell(folder, show)
    from dlmreason.analysis.packed import load, records_in
    from dlmreason.analysis.records import RecordsError
    from dlmreason.analysis.summary import summary
    from dlmreason.reports import figure, page, tables, terminal

    path = records_in(folder)
    if path is None:
        raise launch.BadInput(
            f"{folder}: there are no records in it: run the experiment first, or give another output="
        )
    contents = load(path)
    for problem in contents.problems:
        launch.say(f"left out: {problem}")
    if not contents.items:
        raise launch.BadInput(f"{path}: holds no usable record")
    run = disk.object_in(folder / "run.json")
    with launch.refused(str(path), RecordsError):
        found = summary(
            contents.items,
            mind=run.get("primary") or "change_of_mind",
            learning=learning_of(folder),
            family=run.get("family"),
            tolerance=run.get("tolerance"),
            bounds=run.get("bounds") or (),
        )
    disk.write(folder / "summary.json", json.dumps(found, indent=1, sort_keys=True) + "\n")
    disk.write(folder / "table.md", tables.markdown(found))
    disk.write(folder / "table.tex", tables.latex(found))
    try:
        figure.svg(found, folder / "figure.svg")
    except figure.NoCommonAxis as error:
        (folder / "figure.svg").unlink(missing_ok=True)
        launch.say(f"figure.svg is not drawn: {error}")
    page.write(folder)
    if show:
        terminal.show(found)
    return found


def learning_of(folder: Path) -> dict[str, Mapping[str, float]]:
    """Of each model, its validation accuracy at half and at full training; where the models are not kept, as told."""
    told = disk.object_in(folder / "run.json").get("learning")
    if told is not None:
        return told
    models = sorted((folder / "models").glob("*/description.json"))
    found = {path.parent.name: disk.object_in(path).get("extra", {}).get("learning", {}) for path in models}
    return {name: shares for name, shares in found.items() if {"half", "full"} <= shares.keys()}


def main(settings: launch.Settings) -> int:
    """The entry point."""
    folder = Path(settings["output"])
    if not folder.is_dir():
        raise launch.BadInput(f"output={folder}: there is no such folder: run the experiment first, or give its name=")
    report(folder)
    launch.say(f"report: {folder / ('table.md' if speeds_of(folder).exists() else 'report.html')}")
    return 0


if __name__ == "__main__":
    sys.exit(launch.run(main, "report"))
