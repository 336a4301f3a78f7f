"""Uploads the W&B runs that stayed offline: `python -m dlmreason.sync [name=<name>]`.

This file decides which of them go: those of one output folder, or of all below `outputs`, that are not uploaded yet and
not being written. The upload is W&B's own `wandb sync`, in a process of its own.
"""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from dlmreason import launch
from dlmreason.launch_rules import Maybe

RULES = launch.RULES | {"name": Maybe(launch.RULES["name"])}
"""Without a run's name those of all folders go."""


def main(settings: launch.Settings) -> int:
    """The entry point: 0 where all was uploaded or there was nothing, else what `wandb sync` says."""
    from dlmreason.reports.mirror import KEY, NO_KEY

    if not os.environ.get(KEY):
        raise launch.BadInput(NO_KEY)
    root = Path(settings["output"] if settings["name"] else settings["outputs"])
    if not root.is_dir():
        raise launch.BadInput(f"{root}: there is no such folder: run the experiment first, or give its name=")
    runs = list(waiting(root, launch.say))
    if not runs:
        launch.say(f"{root}: no W&B run is waiting to be uploaded")
        return 0
    launch.say(f"uploading {len(runs)} W&B runs")
    # -P: nothing of the working folder is W&B's to import
    return subprocess.run(
        [sys.executable, "-P", "-m", "wandb", "sync", "--yes", *map(str, runs)], check=False
    ).returncode


def waiting(root: Path, say: Callable[[str], None]) -> Iterator[Path]:
    """The folders of W&B runs at `root` or one below it that are offline and not uploaded; a run under way is named."""
    for place in sorted(
        {path.parent for path in (*root.glob("wandb/offline-run-*"), *root.glob("*/wandb/offline-run-*"))}
    ):
        runs = [run for run in sorted(place.glob("offline-run-*")) if not list(run.glob("*.synced"))]
        if not runs:
            continue
        try:
            with launch.locked(place.parent):
                pass
        except launch.BadInput:
            say(f"left out: {place.parent} is being written; sync it when its run has ended")
            continue
        yield from runs


if __name__ == "__main__":
    sys.exit(launch.run(main, "sync", rules=RULES))
