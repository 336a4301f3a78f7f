"""From settings to models: tasks, shapes, objectives, and the keys that say when two trainings are the same.

This file decides what a setting builds and what must be equal for a checkpoint to be reused; arms are
`assembly_arms`'s. It trains nothing. Everything that can be refused is refused here, before anything is written.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from dlmreason import launch, own_tasks
from dlmreason.compute.flops import read_out_flops, training_flops
from dlmreason.compute.matching import Training, match_training
from dlmreason.diffusion.deep import read_outs
from dlmreason.diffusion.objectives import Objective, Staged, Taught, taught_by
from dlmreason.evaluation.attempt import prompt_positions
from dlmreason.networks.checkpoint import WEIGHTS, load
from dlmreason.networks.shape import USUAL, Shape
from dlmreason.networks.transformer import Transformer
from dlmreason.tasks.example import FileError, PuzzleError
from dlmreason.tasks.task import Task
from dlmreason.training.settings import Settings as Trainer

KINDS = ("diffusion", "autoregressive")


@dataclass(frozen=True)
class Model:
    """A network to be trained, as the settings describe it."""

    name: str
    kind: str  # of KINDS
    thought: bool
    shape: Shape
    objective: Objective | Staged
    updates: int
    length: int  # positions of its training sheets
    trainer: Trainer
    key: str  # equal for equal trainings
    own_task: Task | None = None  # with thoughts of its own; None: the experiment's
    early_end: bool = False  # it is not trained on padding beyond the block in which a text ends

    @property
    def taught(self) -> Taught:
        return taught_with(self.objective, self.shape.quality)

    def flops(self, updates: int | None = None) -> float:
        """FLOPs of the training, the objective's own forwards included."""
        return _training_flops(self.shape, self.objective, self.length, self.trainer, updates or self.updates)

    @property
    def training(self) -> Training:
        """What the training spends, in each of the units by which another can be matched to it."""
        return Training(self.flops(), self.updates * self.trainer.batch_size, self.updates)


def taught_with(objective: Objective | Staged, head: bool) -> Taught:
    """head: the network has a quality head."""
    taught = taught_by(objective)
    return taught._replace(quality=head and taught.quality)


def digest(*parts: Any) -> str:
    """16 hex digits that are equal for equal plain values."""
    text = json.dumps(parts, sort_keys=True, default=str)
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()


def task_of(settings: Mapping[str, Any]) -> Task:
    """The task. Raises: BadInput, also for a puzzle file that cannot be used."""
    with launch.refused("task.file", FileError, PuzzleError, OSError):
        task: Task = launch.instantiate(settings["task"], "task", settings["trusted"])
        return task


def trainer_of(settings: Mapping[str, Any]) -> Trainer:
    """How trainings are run."""
    given = dict(settings["trainer"])
    given.setdefault("threads", None)
    if given["threads"] is None:
        given["threads"] = settings["threads"]
    if settings["device"] != "auto":
        given["accelerator"] = settings["device"]
    trainer: Trainer = launch.instantiate(given, "trainer", settings["trusted"])
    return trainer


def device_of(settings: Mapping[str, Any]) -> torch.device:
    """Where arms answer. Raises: BadInput where CUDA is asked for and there is none."""
    there = torch.cuda.is_available()
    if settings["device"] == "cuda" and not there:
        raise launch.BadInput(
            "device=cuda: torch sees no CUDA device: choose device=cpu, or install a torch built for CUDA"
        )
    return torch.device("cuda" if there and settings["device"] != "cpu" else "cpu")


def models_of(settings: Mapping[str, Any], task: Task) -> dict[str, Model]:
    """Every model of `settings["models"]`, those that match another's training FLOPs after it.

    Raises: BadInput.
    """
    given = settings["models"]
    trainer = trainer_of(settings)
    models: dict[str, Model] = {}
    todo = dict(given)
    while todo:
        ready = [
            name
            for name, each in todo.items()
            if each["updates"] is not None or each.get("flops") is not None or each["match"] in models
        ]
        if not ready:
            name, each = next(iter(todo.items()))
            raise launch.BadInput(
                f"models.{name}.match={each['match']}: must name a model whose updates are known, one of "
                f"{', '.join(other for other in given if other != name) or 'none here'}; or give models.{name}.updates "
                f"or models.{name}.flops"
            )
        for name in ready:
            models[name] = _model(name, todo.pop(name), settings, task, trainer, models)
    return {name: models[name] for name in given}


def _model(
    name: str,
    given: Mapping[str, Any],
    settings: Mapping[str, Any],
    task: Task,
    trainer: Trainer,
    known: dict[str, Model],
) -> Model:
    kind, thought = given["kind"], given["thought"]
    if kind not in KINDS:
        raise launch.BadInput(f"models.{name}.kind={kind}: must be one of {', '.join(KINDS)}")
    own = own_tasks.task_of(settings, name)
    task = own or task
    diffusion = kind == "diffusion"
    in_place = task.in_place and diffusion and not thought
    vocabulary = task.vocabulary(thought)
    with launch.refused(f"models.{name}.thought", ValueError):
        length = task.length(in_place=in_place, thought=thought)
    objective = launch.instantiate(given["objective"], f"models.{name}.objective", settings["trusted"])
    taught = taught_with(objective, given["quality"])
    if taught.block and not diffusion:
        raise launch.BadInput(
            f"models.{name}.objective: teaches blocks of {taught.block} positions, and models.{name}.kind={kind} "
            "writes one token after another: choose kind=diffusion, or objective next_token"
        )
    # An objective of one's own that declares nothing is trusted with either kind.
    noised = bool(taught.masks or taught.noise) if hasattr(objective, "teaches") else diffusion
    if noised != diffusion:
        teaches = "to restore noised texts" if noised else "the next token alone"
        fits = "kind=diffusion, or objective next_token" if noised else "kind=autoregressive, or objective masked"
        raise launch.BadInput(
            f"models.{name}.objective: teaches {teaches}, and models.{name}.kind={kind}: choose {fits}"
        )
    cached = given.get("prompt_cache", False)
    if cached and (not diffusion or in_place or taught.block or taught.carry):
        why = (
            "an autoregressive model has a cache anyway"
            if not diffusion
            else f"{task.name} is answered within its prompt, which then has to be read with it"
            if in_place
            else f"its objective teaches blocks of {taught.block} positions, which have an attention of their own"
            if taught.block
            else "its objective hands a state from pass to pass, and a prompt that is read once is handed none"
        )
        raise launch.BadInput(
            f"models.{name}.prompt_cache=true: {why}: set it to false, or choose a diffusion model that writes after "
            "its prompt, with an objective such as masked"
        )
    early_end = given.get("early_end", False)
    if early_end and not (taught.block and task.answers_end and not thought):
        why = (
            f"models.{name} writes in no blocks"
            if not taught.block
            else "behind a thought its text does not end with a block"
            if thought
            else f"answers of {task.name} are all of one length"
        )
        raise launch.BadInput(
            f"models.{name}.early_end=true: {why}: set it to false, or choose objective=block_diffusion without a "
            "thought and a task whose answers differ in length"
        )
    # What both arms share is sized alike; the canvas and the chain differ in length, and so in a position table.
    attention = "prompt" if cached else "block_causal" if taught.block else "bidirectional" if diffusion else "causal"
    network = _network_of(name, given, settings)
    shape = launch.instantiate(
        {"_target_": "dlmreason.networks.shape.Shape", **network},
        "network",
        settings["trusted"],
        vocabulary_size=vocabulary.size,
        length=length,
        feature_sizes=tuple(task.feature_sizes),
        attention=attention,
        block=taught.block,
        prompt=prompt_positions(task, thought) if cached else 0,
        quality=given["quality"],
        carry=taught.carry,
        **({"outputs": vocabulary.size} if taught.emits_mask else {}),
    )
    updates = given["updates"]
    if updates is None:
        by = given.get("match_by", "flops")
        if given.get("flops") is not None:
            if by != "flops":
                raise launch.BadInput(
                    f"models.{name}.match_by={by} and models.{name}.flops={given['flops']:g} say two things: leave one "
                    "out; match_by is of the model in match"
                )
            other = Training(given["flops"], 0, 0)
        else:
            other = known[given["match"]].training
        flops = _training_flops(shape, objective, length, trainer, 1000)
        updates = match_training(by, other, Training(flops, 1000 * trainer.batch_size, 1000))
    left_out = ("updates", "match", "match_by", "flops", "task", "network", *(() if cached else ("prompt_cache",)))
    left_out += () if early_end else ("early_end",)
    plain = {key: value for key, value in given.items() if key not in left_out}
    trained = {key: value for key, value in settings["trainer"].items() if key not in _INDIFFERENT}
    sized = {key: value for key, value in network.items() if (key, value) not in USUAL.items()}
    key = digest(plain, sized, trained, updates, settings["seed"], settings["threads"], data_of(task))
    return Model(name, kind, thought, shape, objective, updates, length, trainer, key, own, early_end)


def _network_of(name: str, given: Mapping[str, Any], settings: Mapping[str, Any]) -> dict[str, Any]:
    """The sizes of a model: the network's settings, and what it has in their place.

    Raises: BadInput for one that no network has.
    """
    common, own = settings["network"], given.get("network") or {}
    for setting in own:
        if setting not in common:
            raise launch.BadInput(
                f"models.{name}.network.{setting}={own[setting]}: a network has {', '.join(common)}: give one of these"
            )
    return {**common, **own}


_INDIFFERENT = ("checkpoint_every", "keep", "log_every", "snapshots", "ladders", "ladder_examples")


def data_of(task: Task) -> dict[str, Any]:
    return {"name": task.name, **task.provenance}


def _training_flops(shape: Shape, objective: Objective | Staged, length: int, trainer: Trainer, updates: int) -> float:
    """FLOPs of `updates` updates; a staged objective's stages keep their shares."""
    staged = objective if isinstance(objective, Staged) else Staged([(1.0, objective)])
    forward = training_flops(shape, length, trainer.batch_size) / 3
    read_out = 3 * trainer.batch_size * read_out_flops(shape, length)
    return staged.forwards(updates).charged * forward + read_outs(staged, updates) * read_out


@dataclass(frozen=True)
class Trained:
    """A model with its weights."""

    name: str
    kind: str  # of KINDS
    thought: bool
    network: Transformer
    weights: str  # SHA-256
    learning: Mapping[str, float]  # validation accuracy at "half" and "full" training, as far as it was measured
    taught: Taught
    own_task: Task | None = None  # as of its `Model`

    @property
    def shape(self) -> Shape:
        return self.network.shape


def loaded(folder: Path) -> tuple[Trained, dict[str, Any]]:
    """A checkpoint and its description.

    Raises: CheckpointError where it is missing, damaged or cut short.
    """
    network, about = load(folder)
    extra = about["extra"]
    weights = about["sha256"][WEIGHTS]
    # Not there in older checkpoints, all of which had masks and trained what head they had.
    taught = Taught(**extra.get("taught", {"quality": network.shape.quality, "masks": True}))
    return Trained(extra["name"], extra["kind"], extra["thought"], network, weights, extra["learning"], taught), about
