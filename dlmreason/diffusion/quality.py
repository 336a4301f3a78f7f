"""Training a network to know which of its own tokens are wrong.

This file decides how the quality head's loss stands beside an inner one, and what canvases it is shown by default:
mostly full ones with a few errors that the model itself would make, since a head trained on half-masked canvases is
exploited as soon as a policy makes a thousand passes with it. Other canvases and questions are a `Target`. It serves
both arms; what differs, how a model is asked for its own guess, belongs to the inner objective. It knows no policy.
"""

from dataclasses import dataclass, field, replace
from typing import cast

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits, logsigmoid

from dlmreason.diffusion.objectives import (
    Batch,
    Forwards,
    Guessing,
    Loss,
    Network,
    Objective,
    Staged,
    Taught,
    can_guess,
    taught_by,
)
from dlmreason.diffusion.targets import OwnErrors, Question, Target
from dlmreason.diffusion.weightings import PLAIN, Weighting, count

OWN_ERRORS = OwnErrors()


@dataclass(frozen=True)
class Judging:
    """An inner loss, plus `weight` times the cross-entropy of what the quality head says to the target's questions.

    target: of which canvas the head is asked what, and where.  weighting: of the questions, the plain mean over what is
    asked by default; `NELBO` weighs each by -alpha' / (1 - alpha) at its time and divides by the judged positions.

    Deviation from PRISM [arXiv:2510.01384]: the canvas is masked anew, not that of the inner loss, which costs one
    more pass without gradient.
    """

    inner: Objective
    target: Target = field(default_factory=OwnErrors)
    weight: float = 1.0
    weighting: Weighting = PLAIN

    def __post_init__(self) -> None:
        if taught_by(self.inner).carry:
            raise ValueError(
                f"quality.inner={self.inner!r} reads a carry, which the quality head would not be shown: put "
                "SelfConditioned around the whole objective"
            )
        if self.target.guesses and not can_guess(self.inner):
            raise ValueError(
                f"quality.inner={self.inner!r} cannot be asked what its network would have written: choose "
                "MaskedDiffusion or NextToken, or of InterpolatingDiffusion one with logits=leave_one_out or with "
                "masks, or train no quality"
            )
        if self.target.blanks and not taught_by(self.inner).masks:
            raise ValueError(
                f"quality.target={self.target!r} shows masks, and the network of {self.inner!r} knows none: choose a "
                "target without, such as OwnErrors, or an inner objective with, such as MaskedDiffusion"
            )
        if self.target.guesses > 1 and taught_by(self.inner).masks:
            raise ValueError(
                f"quality.target={self.target!r} is written token after token, and {self.inner!r} fills masks: choose "
                "OwnErrors or Filled, or NextToken within"
            )
        if not self.weight > 0:
            raise ValueError(
                f"quality.weight={self.weight} must be above 0; to train no quality, use the inner objective"
            )

    @property
    def teaches(self) -> Taught:
        return taught_by(self.inner)._replace(quality=True)

    @property
    def forwards(self) -> Forwards:
        inner = self.inner.forwards
        return Forwards(inner.trained + self.target.repeats, inner.untrained + self.target.guesses)

    def __call__(self, network: Network, batch: Batch, generator: torch.Generator) -> Loss:
        inner = self.inner(network, batch, generator)
        question = self.target(cast(Guessing, self.inner), network, batch, generator)  # it guesses where that is asked
        head = self.loss_at(network, batch, question)
        return Loss(inner.total + self.weight * head.total, inner.metrics | head.metrics)

    def loss_at(self, network: Network, batch: Batch, question: Question) -> Loss:
        """The head's loss alone, of a given question: nothing is drawn."""
        canvas, where, label, t, schedule = question
        batch, right = batch.repeat(len(canvas) // len(batch.tokens)), label.float()
        quality = asked(network, canvas, batch.features)
        nats = torch.where(where, binary_cross_entropy_with_logits(quality, right, reduction="none"), 0.0)
        loss = self.weighting(nats, t, schedule, where, batch.judged)
        agrees = (quality > 0) == (right > 0.5)
        metrics = {
            "quality_loss": loss.detach(),
            "quality_accuracy": (agrees & where).sum() / count(where),
            "own_errors": torch.where(where, 1 - right, 0.0).sum() / count(where),
        }
        return Loss(loss, metrics)

    def state(self, network: Network, batch: Batch, generator: torch.Generator) -> Tensor | None:
        """Full canvases [B, L] int64 with own errors, by which heads are compared, whatever each is asked in training.

        None where the inner objective cannot be asked for them.
        """
        if not can_guess(self.inner):
            return None
        errors = replace(self.target, full=1.0) if isinstance(self.target, OwnErrors) else OwnErrors(full=1.0)
        return errors(cast(Guessing, self.inner), network, batch, generator).canvas


@dataclass(frozen=True)
class Quality:
    """`Judging` of full canvases with own errors; see `OwnErrors` for the three shares.

    Deviation from PRISM [arXiv:2510.01384]: every judged position is scored, not only those just filled, and most
    canvases are full. For PRISM itself, see `Filled`.
    """

    inner: Guessing
    weight: float = 1.0
    full: float = 0.75
    lowest: float = 0.03
    slope: float = 0.8

    def __post_init__(self) -> None:
        _ = self.judging  # refuses what is no share

    @property
    def judging(self) -> Judging:
        return Judging(self.inner, OwnErrors(self.full, self.lowest, self.slope), self.weight)

    @property
    def teaches(self) -> Taught:
        return self.judging.teaches

    @property
    def forwards(self) -> Forwards:
        return self.judging.forwards

    def __call__(self, network: Network, batch: Batch, generator: torch.Generator) -> Loss:
        return self.judging(network, batch, generator)

    def canvas(self, network: Network, batch: Batch, generator: torch.Generator) -> Tensor:
        """The right tokens [B, L] with a few of the model's own among them; masks too in rows that are not full."""
        return self.judging.target(self.inner, network, batch, generator).canvas


def judging_of(objective: Objective) -> Judging | None:
    """The loss of a quality head in an objective; None where it trains none, and has no `judging` that says so."""
    return objective if isinstance(objective, Judging) else getattr(objective, "judging", None)


def judged_later(
    inner: Objective,
    target: Target = OWN_ERRORS,
    *,
    start: float,
    weight: float = 1.0,
    weighting: Weighting = PLAIN,
) -> Staged:
    """The inner loss alone for a share `start` of the training, then `Judging` it; 0 is from the beginning, 1 never."""
    return later(inner, Judging(inner, target, weight, weighting), start)


def quality_later(
    inner: Guessing,
    *,
    start: float,
    weight: float = 1.0,
    full: float = 0.75,
    lowest: float = 0.03,
    slope: float = 0.8,
) -> Staged:
    """The inner loss alone for a share `start` of the training, then `Quality`; 0 is from the beginning, 1 is never.

    A model has to err less before its errors teach.
    """
    return later(inner, Quality(inner, weight, full, lowest, slope), start)


def later(first: Objective | Staged, then: Objective, start: float) -> Staged:
    """`first` for a share `start` of the training, and `then` for the rest; either may be none of it."""
    if not 0 <= start <= 1:
        raise ValueError(f"objective.start={start} is a share of the training: give a number from 0 to 1")
    before = first.stages if isinstance(first, Staged) else [(1.0, first)]
    stages = [*((start * share, stage) for share, stage in before), (1 - start, then)]
    return Staged([stage for stage in stages if stage[0] > 0])


def asked(network: Network, canvas: Tensor, features: Tensor) -> Tensor:
    """The network's quality logits of a canvas, [B, L] float32.

    Raises: ValueError where the network has no quality head.
    """
    quality = network(canvas, features).quality
    if quality is None:
        raise ValueError(
            "the objective trains quality, and this network has no quality head: set network.quality=true, or choose "
            "an objective without quality"
        )
    return quality.float()


def mean_log_quality(quality: Tensor, judged: Tensor) -> Tensor:
    """A canvas's score: the mean log chance, over its judged positions, that the token there is right.

    quality: [B, L] logits.  judged: [B, L] bool.  Returns [B].
    """
    return torch.where(judged, logsigmoid(quality), 0.0).sum(-1) / judged.sum(-1).clamp(min=1)


def auroc(score: Tensor, right: Tensor) -> float:
    """The chance that a right one scores above a wrong one, a tie counting half; nan where either kind is missing.

    score: [N] float.  right: [N] bool.
    """
    good, bad = score[right], score[~right].sort().values
    below = torch.searchsorted(bad, good)
    ties = torch.searchsorted(bad, good, right=True) - below
    pairs = len(good) * len(bad)
    return float((below.double() + ties.double() / 2).sum() / pairs) if pairs else float("nan")
