"""Detectors look at right answers with planted errors, and at what an arm wrote itself: into detections.parquet.

This file decides which texts are looked at, what is refused before a network is trained, and when nothing is left to
do; what a detector says is `diffusion.detectors`', what is counted of it `analysis.detections`'. Beside it lies what
arms began from whose errors were planted, for without it nobody could say which of them were taken back.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from dlmreason import launch
from dlmreason.analysis import detections
from dlmreason.analysis.detections import Detection, Start, detection, pack, unpack
from dlmreason.answering import Asked
from dlmreason.assembly import Model, Trained, data_of, digest
from dlmreason.assembly_arms import denoiser_of, ladder_of
from dlmreason.canvas import Ask, Canvas, Reading
from dlmreason.diffusion.detectors import NEEDS, Detector, Look
from dlmreason.evaluation.attempt import answer_text, rows_of
from dlmreason.evaluation.diffusion import DiffusionArm
from dlmreason.evaluation.known_errors import BEFORE, Planted, planted
from dlmreason.sampling.noise import Counter
from dlmreason.sampling.state import Rows
from dlmreason.tasks.task import Task

OWN = 0
"""In place of a number of planted tokens: the wrong ones are those that an arm wrote."""


class Eye(NamedTuple):
    """A detector and the model by which it looks."""

    model: str
    by: Detector


def eyes_of(settings: Mapping[str, Any]) -> dict[str, Eye]:
    """The detectors of `settings["detect"]`, by name.  Raises: BadInput."""
    given = settings["detect"]
    if not given:
        return {}
    own = given["own"]
    if own is not None and settings["arms"].get(own, {}).get("kind") != "diffusion":
        raise launch.BadInput(
            f"detect.own={own}: must be a diffusion arm, or null: there are {', '.join(settings['arms'])}"
        )
    made = launch.instantiate(given["detectors"], "detect.detectors", settings["trusted"])
    return {name: Eye(each["model"], each["by"]) for name, each in made.items()}


def check(
    settings: Mapping[str, Any], task: Task, models: Mapping[str, Model], items: Mapping[str, Sequence[Any]]
) -> None:
    """Refuses, before a network is trained, detectors that it cannot serve and errors that cannot be planted.

    Raises: BadInput.
    """
    eyes = eyes_of(settings)
    for name, (model, by) in eyes.items():
        key = f"detect.detectors.{name}"
        if model not in models or models[model].kind != "diffusion":
            there = [each.name for each in models.values() if each.kind == "diffusion"]
            raise launch.BadInput(f"{key}.model={model}: must be a diffusion model: {', '.join(there) or 'none here'}")
        taught = models[model].taught
        has = {"quality": taught.quality, "masks": taught.masks, "leave_one_out": taught.noise == "leave_one_out"}
        if by.needs is not None and not has[by.needs]:
            raise launch.BadInput(f"{key}: needs a network {NEEDS[by.needs]}, and {model} is none")
    plants = {f"arms.{name}.planted": (arm["model"], arm.get("planted", 0)) for name, arm in settings["arms"].items()}
    if eyes:
        model = next(iter(eyes.values())).model
        plants["detect.counts"] = (model, max(settings["detect"]["counts"]))
    for key, (model, count) in plants.items():
        if count:
            own, examples = models[model].own_task or task, next(iter(items.values()))
            with launch.refused(key, ValueError):
                thought = models[model].thought
                planted(_rows(own, examples, thought), count, own.vocabulary(thought).mask_id)


def _rows(task: Task, examples: Sequence[Any], thought: bool, device: str | torch.device = "cpu") -> Rows:
    return rows_of(task, examples, torch.device(device), thought)


def detected(
    settings: Mapping[str, Any],
    task: Task,
    ready: Mapping[str, Trained],
    asked: Sequence[Asked],
    examples: Sequence[Any],
    folder: Path,
    device: torch.device,
) -> None:
    """Writes what detectors find into the folder, once, and what arms with planted errors began from."""
    starts = [start for each in asked for start in _starts(each, settings["seed"])]
    if starts:
        pack(starts, folder / detections.STARTS)
    eyes, path = eyes_of(settings), folder / detections.FILE
    if not eyes:
        return
    given, arms = settings["detect"], {each.name: each for each in asked}
    own = arms[given["own"]] if given["own"] else None
    weights = {model: ready[model].weights for model, _ in eyes.values()}
    run = settings["budget"]["split"], settings["threads"], settings["seed"], device.type
    key = digest(given, weights, data_of(task), own and own.key, [each.id for each in examples], *run)
    if path.exists() and {each.run_key for each in unpack(path, Detection)} == {key}:
        launch.say(f"detectors: all {len(eyes)} have looked")
        return
    found: list[Detection] = []
    walked = {} if own is None else _walked(own, settings)
    for name, eye in eyes.items():
        made = ready[eye.model]
        rows = _rows(made.own_task or task, examples, made.thought, device)
        mask_id = (made.own_task or task).vocabulary(made.thought).mask_id
        texts = {count: planted(rows, count, mask_id) for count in given["counts"]}
        if walked:
            texts[OWN] = torch.stack([walked[each.id] for each in examples]).to(device)
        read = denoiser_of(made.network.to(device), made.own_task or task, made.thought)
        for count, tokens in texts.items():
            doubt = suspicions(eye.by, read, rows, tokens, settings["budget"]["width"])
            wrong = tokens != rows.gold
            for row, example in enumerate(examples):
                at = rows.editable[row]
                told = doubt[row, at].tolist(), wrong[row, at].tolist(), eye.by.chance
                found.append(detection(name, count, example.id, settings["seed"], *told, key))
        launch.say(f"{name}: looked at {len(texts)} texts of {len(examples)} examples each")
    pack(found, path)


@torch.inference_mode()
def suspicions(by: Detector, denoiser: Any, rows: Rows, tokens: Tensor, width: int) -> Tensor:
    """[N, L] float64: what a detector suspects of texts [N, L], `width` rows at a time."""

    def look(part: Tensor) -> Tensor:
        features, here, ids = rows.features[part], tokens[part], rows.id[part]
        level = torch.ones(len(part), dtype=torch.float64, device=here.device)

        def read(asked: Tensor) -> Reading:
            return denoiser(Ask(asked, level, denoiser.first_carry(len(part))), features)

        canvas = Canvas(here, rows.editable[part], denoiser.first_carry(len(part)), denoiser.mask_id)
        return by(Look(canvas, features, read, Counter(0, ids, torch.full_like(ids, BEFORE))))

    return torch.cat([look(part) for part in torch.arange(len(tokens), device=tokens.device).split(width)])


def _walked(own: Asked, settings: Mapping[str, Any]) -> dict[str, Tensor]:
    """{example: what the arm answers at its highest rung, [L]}, walked again: it takes as long as it did."""
    kept: dict[str, Tensor] = {}

    def keep(example: Any, rung: int, state: Any) -> None:
        kept[example.id] = state.answers[0, -1]

    ladder = (ladder_of(settings, own.name)[-1],)
    for _ in own.arm.attempts(own.examples, ladder, settings["seed"], on_walk=keep):
        pass
    return kept


def _starts(asked: Asked, seed: int) -> Iterator[Start]:
    arm = asked.arm
    if not isinstance(arm, DiffusionArm) or not isinstance(arm.start, Planted):
        return
    vocabulary = asked.task.vocabulary(arm.thought)
    rows = _rows(asked.task, asked.examples, arm.thought)
    begun = planted(rows, arm.start.count, vocabulary.mask_id)
    for row, example in enumerate(asked.examples):
        at = arm.sheet(example).answer_at
        said = (answer_text(vocabulary, tokens[row, at:]) for tokens in (begun, rows.gold))
        yield Start(asked.name, example.id, seed, *said)
