"""Train models: `python -m dlmreason.train model=<name> task=<name> [overrides]`, and what an experiment needs of it.

This file decides that a model is trained once: a checkpoint with the same key is used, one with another is refused. How
it is trained belongs to `training`.
"""

import dataclasses
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from dlmreason import launch
from dlmreason.folder import changed, describe, metrics_log

Log = Callable[[str, dict[str, float]], None]
"""Told (model, entry) whenever there is something to log."""


def trained(model: Any, task: Any, settings: Mapping[str, Any], folder: Path, log: Log | None = None) -> Any:
    """The model with its weights (`assembly.Trained`), from `folder`/models/<name>, or trained now and put there.

    Raises: BadInput for a checkpoint of another training; training.interrupts.Interrupted.
    """
    from dlmreason.networks.checkpoint import save
    from dlmreason.own_tasks import settings_of

    refuse_another(model, settings, folder)
    place = folder / "models" / model.name
    if _whole(place, say=True):
        launch.say(f"{model.name}: trained before, {place}")
        return _loaded(model, folder)
    task = model.own_task or task
    fitted = _fit(model, task, settings, folder, log)
    vocabulary = task.vocabulary(model.thought)
    save(
        place,
        fitted.network.cpu(),
        vocabulary={"symbols": list(vocabulary.symbols)},
        task={
            "settings": settings_of(settings, model.name) or settings["task"],
            "name": task.name,
            "provenance": dict(task.provenance),
        },
        extra={
            "key": model.key,
            "name": model.name,
            "kind": model.kind,
            "thought": model.thought,
            "taught": model.taught._asdict(),
            "updates": model.updates,
            "training_flops": model.flops(),
            "seconds": fitted.seconds,
            "seed": settings["seed"],
            "learning": learning(fitted.history, model.updates),
        },
    )
    return _loaded(model, folder)


def trained_before(model: Any, settings: Mapping[str, Any], folder: Path) -> Any:
    """The same where the model is there, for a process that may not train.  Raises: BadInput where it is not."""
    refuse_another(model, settings, folder)
    if _whole(folder / "models" / model.name) is None:
        raise launch.BadInput(
            f"models.{model.name}: is not trained in {folder}, and a launcher's processes do not share a training: run "
            "the same command once in one process (python -m in place of torchrun), which trains; "
            "budget.shards=<number> then starts the others for the answers"
        )
    return _loaded(model, folder)


def _loaded(model: Any, folder: Path) -> Any:
    from dlmreason.assembly import loaded

    return dataclasses.replace(loaded(folder / "models" / model.name)[0], own_task=model.own_task)


def refuse_another(model: Any, settings: Mapping[str, Any], folder: Path) -> None:
    """Nothing where `folder` has no whole checkpoint of this name, or one of the same training.

    Raises: BadInput for one of another training, with what differs.
    """
    place = folder / "models" / model.name
    about = _whole(place)
    if about and about["extra"]["key"] != model.key:
        raise launch.BadInput(
            f"{place} holds a model of another training ({changed(folder, settings)}): give another name= or "
            "output=, or remove that folder"
        )


def _whole(place: Path, say: bool = False) -> dict[str, Any] | None:
    """The description of a checkpoint whose files are whole; says what is wrong with one that is there and is not."""
    from dlmreason.networks.checkpoint import CheckpointError, verify

    try:
        return verify(place)
    except CheckpointError as error:
        if say and place.joinpath("description.json").exists():
            launch.say(f"{error}; training goes on from its newest whole step, or begins anew")
        return None


def learning(history: list[dict[str, float]], updates: int) -> dict[str, float]:
    """{"half", "full"}: validation accuracy at half and at full training, as far as it was measured."""
    measured = {int(entry["update"]): entry["accuracy"] for entry in history if "accuracy" in entry}
    halves = [accuracy for update, accuracy in measured.items() if update < updates]
    found = {"half": halves[-1]} if halves else {}
    return found | ({"full": measured[updates]} if updates in measured else {})


def _fit(model: Any, task: Any, settings: Mapping[str, Any], folder: Path, log: Log | None) -> Any:
    import torch

    from dlmreason import looks
    from dlmreason.networks.transformer import Transformer
    from dlmreason.progress import Progress
    from dlmreason.training.fit import fit
    from dlmreason.training.interrupts import Interrupted

    torch.manual_seed(settings["seed"])
    network = Transformer(model.shape)
    launch.say(
        f"{model.name}: {network.num_parameters:,} parameters, {model.updates:,} updates of "
        f"{model.trainer.batch_size} examples, {model.flops():.2e} FLOPs"
    )
    try:
        with launch.refused(f"models.{model.name}", ValueError):
            return fit(
                network,
                model.objective,
                sheets_of(model, task, "train"),
                model.trainer,
                updates=model.updates,
                seed=settings["seed"],
                folder=folder / "training" / model.name,
                log=(lambda entry: log(model.name, entry)) if log else None,
                validate=looks.validation(model, task, settings, sheets_of(model, task, "validation")),
                ladder=looks.ladder(model, task, settings),
                progress=lambda total, done: Progress(total, f"training {model.name}", "updates", done),
            )
    except Interrupted as stop:
        launch.say(str(stop))
        raise launch.Interrupted(stop.code - 128) from stop


def sheets_of(model: Any, task: Any, split: str) -> Any:
    """A split's examples as the model's training sheets."""
    from dlmreason.diffusion.verified import verifies
    from dlmreason.evaluation.attempt import canvas_sheet, judge_of
    from dlmreason.training.sheets import Sheets

    def sheet(example: Any) -> Any:
        if model.kind == "diffusion":
            return canvas_sheet(task, example, model.thought, model.shape.prompt)
        return task.sheet(example, in_place=False, thought=model.thought)

    examples = task.examples(split)
    sheets = [sheet(example) for example in examples]
    vocabulary = task.vocabulary(model.thought)
    judge = judge_of(task, examples, [each.answer_at for each in sheets], model.thought)
    return Sheets.stack(
        sheets,
        pad_id=vocabulary.pad_id,
        mask_id=vocabulary.mask_id,
        ids=[example.id for example in examples],
        writes_padding=model.kind == "diffusion",
        block=model.shape.block if model.early_end else 0,
        judge=judge if verifies(model.objective) else None,
    )


def main(settings: launch.Settings) -> int:
    """The entry point: trains `settings["model"]` into the output folder."""
    from dlmreason import assembly
    from dlmreason.mirroring import mirrored

    settings = settings | {"models": {settings["model"]["kind"]: settings["model"]}, "arms": {}}
    task = assembly.task_of(settings)
    models = assembly.models_of(settings, task)
    folder = Path(settings["output"])
    with launch.locked(folder):
        for model in models.values():
            refuse_another(model, settings, folder)
        describe(folder, settings, first=True)
        with mirrored(settings, task, models, folder) as mirror:
            for model in models.values():
                made = trained(model, task, settings, folder, metrics_log(folder, mirror))
                shares = ", ".join(f"{accuracy:.3f} at {share} training" for share, accuracy in made.learning.items())
                launch.say(f"{made.name}: accuracy on the validation split {shares}")
                launch.say(f"checkpoint: {folder / 'models' / model.name}")
        describe(folder, settings)
    return 0


if __name__ == "__main__":
    sys.exit(launch.run(main, "train"))
