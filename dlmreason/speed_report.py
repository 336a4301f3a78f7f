"""The speeds of a claim that measures into numbers, a table and a figure.

This file decides which files that report consists of. It reads what a run left behind and imports no torch.
"""

import json
from pathlib import Path
from typing import Any

from dlmreason import disk, launch


def speeds_of(folder: Path) -> Path:
    """Where the rows of a claim that measures lie in its folder."""
    from dlmreason.reports.speeds import SPEEDS

    return folder / SPEEDS


def tell(folder: Path, show: bool = True) -> dict[str, Any]:
    """Writes summary.json, table.md and figure.svg of a folder of speeds; prints the table.  Raises: BadInput."""
    from dlmreason.analysis.records import RecordsError, Speed, read
    from dlmreason.analysis.speeds import summary
    from dlmreason.reports import speeds

    contents, run = read(speeds_of(folder), Speed), disk.object_in(folder / "run.json")
    for problem in contents.problems:
        launch.say(f"left out: {problem}")
    if not contents.items:
        raise launch.BadInput(f"{speeds_of(folder)}: holds no usable row")
    with launch.refused(str(speeds_of(folder)), RecordsError):
        found = summary(contents.items, run.get("against", ""))
    disk.write(folder / "summary.json", json.dumps(found, indent=1, sort_keys=True) + "\n")
    text = speeds.markdown(found, run.get("title") or folder.name)
    disk.write(folder / "table.md", text)
    speeds.svg(found, folder / "figure.svg")
    if show:
        print(text, end="")
    return found
