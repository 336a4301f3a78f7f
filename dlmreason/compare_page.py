"""Several runs or claims on one page: `python -m dlmreason.compare_page from=[outputs/a,outputs/b]`.

This file decides what is refused. It reads what the runs left behind and imports neither torch nor a task.
"""

import sys
from pathlib import Path

from dlmreason import launch


def main(settings: launch.Settings) -> int:
    """The entry point."""
    from dlmreason.reports import side_by_side

    folders, to = [Path(each) for each in settings["from"]], Path(settings["to"])
    problems = [f"from: {folder} is no folder" for folder in folders if not folder.is_dir()]
    if not folders:
        problems = ["from=[]: name the folders of one run or more"]
    if problems:
        raise launch.BadInput(*problems)
    to.parent.mkdir(parents=True, exist_ok=True)
    launch.say(f"compare_page: {side_by_side.write(folders, to)}")
    return 0


if __name__ == "__main__":
    sys.exit(launch.run(main, "compare_page"))
