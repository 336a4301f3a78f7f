"""A model's own form of the experiment's task: the same items, with other thoughts to be trained on.

This file decides how the settings of such a task are read and when two tasks have the same items. It knows no model.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from dlmreason import launch
from dlmreason.tasks.example import FileError, PuzzleError


def settings_of(settings: Mapping[str, Any], model: str) -> Mapping[str, Any] | None:
    """The settings of the own task of a model, None where it has the experiment's.

    Keys stand in place of the experiment's task's; those with a `_target_` are a task of their own.
    """
    own = settings["models"][model].get("task")
    if own is None:
        return None
    if not isinstance(own, Mapping):
        raise launch.BadInput(
            f"models.{model}.task={own}: give settings that replace the task's, such as {{thought: search}}, or null"
        )
    return own if "_target_" in own else settings["task"] | own


def task_of(settings: Mapping[str, Any], model: str) -> Any:
    """The own task of a model, or None.  Raises: BadInput."""
    own = settings_of(settings, model)
    if own is None:
        return None
    with launch.refused(f"models.{model}.task", FileError, PuzzleError, OSError):
        return launch.instantiate(own, f"models.{model}.task", settings["trusted"])


def items_of(
    settings: Mapping[str, Any], models: Mapping[str, Any], examples: Sequence[Any]
) -> dict[str, Sequence[Any]]:
    """For each arm, the examples as its model's own task has them. models: `assembly.Model`s.

    Raises: BadInput where that has other items, for then the model answers other questions than the others.
    """
    split = settings["budget"]["split"]
    found: dict[str, Sequence[Any]] = {}
    for arm, given in settings["arms"].items():
        own = models[given["model"]].own_task
        found[arm] = examples if own is None else _same(own.examples(split), examples, split, given["model"])
    return found


def _same(items: Sequence[Any], examples: Sequence[Any], split: str, model: str) -> Sequence[Any]:
    found = [items[place] for place in range(min(len(examples), len(items)))]
    asked = [(each.id, each.prompt, each.answer) for each in examples]
    if [(each.id, each.prompt, each.answer) for each in found] != asked:
        raise launch.BadInput(
            f"models.{model}.task: its {split} items are not those of the experiment's task, which all models are "
            "asked: change thoughts alone, and leave seed, sizes and files as they are"
        )
    return found
