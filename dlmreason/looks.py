"""What a network in training is asked of the validation split: how often it is right, and what its losses are there.

This file decides how a model answers on the way, and after how many passes; when it is asked is the training's to say.
Its noise is a function of the example, so no generator of the training is touched, and an evaluation of the same
weights finds the same.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from dlmreason.assembly_arms import denoiser_of
from dlmreason.evaluation.attempt import Attempt
from dlmreason.evaluation.autoregressive import AutoregressiveArm
from dlmreason.evaluation.diffusion import DiffusionArm
from dlmreason.policies.presets import ordered
from dlmreason.policies.published import bd3
from dlmreason.training.sheets import Sheets
from dlmreason.training.validation import HeldOut

Look = Callable[[Any, int], dict[str, float]]
"""(network, updates made) -> what was measured."""

LADDER = (1, 8, 64)
"""Passes after which a diffusion model's answers are looked at on the way."""


def validation(model: Any, task: Any, settings: Mapping[str, Any], sheets: Sheets) -> Look:
    """Accuracy on the validation split, and whether the quality head tells right from wrong. sheets: of that split.

    The diffusion model answers one token a pass, unless it knows no masks to write into.
    """
    examples = _first(task, settings["budget"]["examples"])
    final = model.objective.at(model.updates - 1, model.updates) if hasattr(model.objective, "at") else model.objective
    held_out = HeldOut(final, sheets, seed=settings["seed"])

    def measure(network: Any, update: int) -> dict[str, float]:
        if not _writes(model):
            return held_out(network, update)
        arm = _arm(model, task, network, settings)
        rung = arm.length if isinstance(arm, DiffusionArm) else 1
        shares = _right(arm, examples, (rung,), settings["seed"])
        measured = {"accuracy": shares[rung]}
        return measured | {name: value for name, value in held_out(network, update).items() if value == value}

    return measure


def ladder(model: Any, task: Any, settings: Mapping[str, Any]) -> Look | None:
    """The share of `trainer.ladder_examples` validation examples that are right after 1, 8 and 64 passes, `accuracy_1`
    and so on, or of an autoregressive model's greedy answers, `accuracy_greedy`; None for a model that writes none.

    The blanks are shared evenly over the passes, or written one a pass where the model was taught blocks: as
    `evaluate` does with policy=confidence, or bd3 in that order, and temperature 0.
    """
    examples = _first(task, model.trainer.ladder_examples)
    if not (_writes(model) and examples):
        return None

    def measure(network: Any, update: int) -> dict[str, float]:
        arm = _arm(model, task, network, settings)
        rungs = LADDER if isinstance(arm, DiffusionArm) else (1,)
        shares = _right(arm, examples, rungs, settings["seed"])
        if isinstance(arm, DiffusionArm):
            return {f"accuracy_{rung}": share for rung, share in shares.items()}
        return {"accuracy_greedy": shares[1]}

    return measure


def _writes(model: Any) -> bool:
    return model.kind == "autoregressive" or bool(model.taught.masks)


def _first(task: Any, count: int) -> list[Any]:
    split = task.examples("validation")
    return [split[place] for place in range(min(count, len(split)))]


def _arm(model: Any, task: Any, network: Any, settings: Mapping[str, Any]) -> DiffusionArm | AutoregressiveArm:
    """By confidence, block after block where it was taught those; one greedy chain of an autoregressive model."""
    budget, block = settings["budget"], model.taught.block
    if model.kind == "autoregressive":
        return AutoregressiveArm(
            "validation", task, network, model.thought, 2**62, ["vote"], most=1, width=budget["ar_width"]
        )
    policy = bd3(block, "confidence", temperature=0.0) if block else ordered()
    denoiser, device = denoiser_of(network, task, model.thought), next(network.parameters()).device
    return DiffusionArm("validation", task, network, denoiser, policy, budget["width"], 8, device, model.thought)


def _right(
    arm: DiffusionArm | AutoregressiveArm, examples: Sequence[Any], rungs: tuple[int, ...], seed: int
) -> dict[int, float]:
    """The share of the examples that is right, by rung."""
    right = dict.fromkeys(rungs, 0)
    attempts: list[Attempt] = [each for group in arm.attempts(examples, rungs, seed) for each in group]
    for each in attempts:
        right[each.rung] += arm.task.verify(each.example, each.answer).correct
    return {rung: count / max(len(examples), 1) for rung, count in right.items()}
