"""A W&B run made anew from a run's own files, where W&B's own was lost or damaged.

This file decides that the new one is whole before the old ones are put aside, and that both say the same, row by row:
they are handed the same rows. What is gone from the folder is gone here too, and told.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from dlmreason import disk
from dlmreason.reports import series
from dlmreason.reports.findable import findable
from dlmreason.reports.mirror import Mirror
from dlmreason.reports.shown import shown_of

ASIDE = "replaced"
"""The folder in `wandb/` to which the old ones are moved: nothing there is uploaded."""
PATIENCE = 600.0


def backfill(folder: Path, say: Callable[[str], None]) -> Path | None:
    """The folder of the new W&B run, offline; None where W&B failed, and then nothing was moved.

    Raises: ValueError where the folder holds nothing that was logged.
    """
    shown, settings = shown_of(folder), series.settings_of(folder)
    for problem in shown.problems:
        say(f"left out: {problem}")
    if not (shown.trainings or shown.results):
        raise ValueError("there are neither metrics nor results in it")
    before = set(_runs(folder))
    named = findable({"name": shown.name, **settings}, _task(folder, shown.summary))
    project = (settings.get("logger") or {}).get("project") or "dlmreason"
    mirror = Mirror("offline", project=project, **named, folder=folder, config=settings, waits=PATIENCE)
    for row in shown.trainings:
        mirror.row(row)
    mirror.found(lambda: shown, folder)
    mirror.finish(patience=PATIENCE)
    (new, *others) = [*(set(_runs(folder)) - before), None]
    if new is None or others[:-1] or mirror.failed:
        return None
    for old in before:
        aside = folder / "wandb" / ASIDE / old.name
        aside.parent.mkdir(exist_ok=True)
        old.rename(aside)
    return new


def _runs(folder: Path) -> list[Path]:
    return sorted((folder / "wandb").glob("*run-*"))


def _task(folder: Path, summary: Any) -> str | None:
    """The task's own name, by the results, or where there are none by the models."""
    told = summary or {}
    for path in sorted((folder / "models").glob("*/description.json")):
        told = told or disk.object_in(path).get("task", {})
    name = told.get("task") or told.get("name")
    return str(name) if name else None
