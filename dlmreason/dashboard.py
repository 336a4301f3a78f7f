"""The dashboard: `python -m dlmreason.dashboard [name=<name>]`.

With a name, one HTML file over that run's own folder; without, the same panels as a workspace of the W&B project. This
file decides which of the two is made and what is said where W&B cannot be reached.
"""

import os
import sys
from pathlib import Path

from dlmreason import launch
from dlmreason.launch_rules import Maybe

RULES = launch.RULES | {"name": Maybe(launch.RULES["name"])}
"""Without a run's name the dashboard is one of all runs."""


def main(settings: launch.Settings) -> int:
    """The entry point."""
    from dlmreason.reports.dashboard import sections_of
    from dlmreason.reports.mirror import KEY, NO_KEY

    with launch.refused("sections", ValueError, KeyError, TypeError):
        spec = sections_of(settings["sections"])
    if settings["name"]:
        from dlmreason.reports import local

        folder = Path(settings["output"])
        if not folder.is_dir():
            raise launch.BadInput(
                f"output={folder}: there is no such folder: run the experiment first, or give its name="
            )
        launch.say(f"dashboard: {local.write(folder, spec)}")
        return 0
    if not os.environ.get(KEY):
        raise launch.BadInput(f"{NO_KEY}; name=<name> makes the same as a file, without W&B")
    from dlmreason.reports import workspace

    try:
        launch.say(f"dashboard: {workspace.save(spec, settings['entity'], settings['project'], settings['title'])}")
    except ImportError as error:
        raise launch.BadInput(str(error)) from error
    return 0


if __name__ == "__main__":
    sys.exit(launch.run(main, "dashboard", rules=RULES))
