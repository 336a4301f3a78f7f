"""A W&B run that was lost or damaged, made anew: `python -m dlmreason.backfill name=<name>`, or with `output=`.

This file decides that a run under way is left alone. What is rebuilt, and from what, is `reports.backfill`'s.
"""

import sys
from pathlib import Path

from dlmreason import launch


def main(settings: launch.Settings) -> int:
    """The entry point."""
    from dlmreason.reports.backfill import backfill

    folder = Path(settings["output"])
    if not folder.is_dir():
        raise launch.BadInput(f"output={folder}: there is no such folder: run the experiment first, or give its name=")
    with launch.locked(folder), launch.refused(f"output={folder}", ValueError):
        new = backfill(folder, launch.say)
    if new is None:
        launch.say(f"W&B made no whole run, so nothing was replaced; {folder / 'wandb' / 'mirror.log'} says why")
        return 1
    launch.say(f"rebuilt: {new}; `make sync NAME=...` uploads it")
    return 0


if __name__ == "__main__":
    sys.exit(launch.run(main, "backfill"))
