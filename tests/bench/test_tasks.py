"""Items a second of every task, on one core, drawn and out of the cache. `make bench` prints the table."""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from dlmreason import assembly, launch
from dlmreason.launch_config import Tree
from dlmreason.tasks.example import SPLITS

pytestmark = pytest.mark.bench

SECONDS = 3.0
FLOOR = {"sudoku9x9": 20, "sudoku6x6": 100, "zebra": 20, "zebra3x3": 20, "correcting": 100, "sudoku6x6_wait": 100}
"""Drawn items a second that a task owes; the others owe 1,000."""

CACHED = 20_000
FROM_FILES = ("gsm8k", "gsm8k_equations", "jsonl")
LIBRARY = ("reasoning_gym",)  # as fast as its generators are
TASKS = [task for task in Tree(launch.conf_folder(), "experiment").options("task") if task not in FROM_FILES]


def task_of(name: str, *overrides: str) -> Any:
    tree = Tree(launch.conf_folder(), "experiment")
    with tree.open():
        settings = tree.settings([f"task={name}", *overrides], launch.RULES, ())
    if not overrides and "cache" in settings["task"]:
        settings["task"]["cache"] = None
    return assembly.task_of(settings)


def pace(items: Sequence[Any], seconds: float = SECONDS) -> float:
    """Items a second of CPU time, from the first one on."""
    started, seen = time.process_time(), 0
    for seen, _ in enumerate(items, 1):  # noqa: B007
        if time.process_time() - started > seconds:
            break
    return seen / max(time.process_time() - started, 1e-9)


@pytest.mark.parametrize("name", [task for task in TASKS if task not in LIBRARY])
def test_items_are_drawn_in_time(name: str) -> None:
    paces = {split: pace(task_of(name).examples(split)) for split in SPLITS}
    print(f"{name:18}", *(f"{split} {found:>9,.0f}/s" for split, found in paces.items()))
    assert min(paces.values()) >= FLOOR.get(name, 1_000)


@pytest.mark.parametrize("name", ["zebra3x3", "countdown3"])
def test_cached_items_come_in_time(name: str, tmp_path: Path) -> None:
    settings = ("+task.cache=" + str(tmp_path / "cache"), "task.train_examples=20000")
    task_of(name, *settings)
    found = pace(task_of(name, *settings).examples("train"))
    print(f"{name:18} cached {found:,.0f}/s")
    assert found >= CACHED
