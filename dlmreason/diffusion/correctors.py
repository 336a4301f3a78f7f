"""Training a network to say what is right at tokens that already stand, so that it can correct its own.

This file decides what canvas a corrector is taught on: the model's own filling of a masked text. Masked diffusion
teaches nothing at visible tokens, where a network tends to copy; policies that trust what it says there, as
`token_edit`, `self_correction` and `remedi` without its head do, want this loss, or one under uniform noise. It knows
no policy and trains no quality head. Shape letters: B rows, L positions, V outputs.
"""

from dataclasses import dataclass
from typing import Literal, get_args

import torch
from torch import Tensor

from dlmreason.diffusion.corruption import Absorbing, corrupt
from dlmreason.diffusion.objectives import (
    Batch,
    Forwards,
    Loss,
    MaskedDiffusion,
    Network,
    Said,
    Staged,
    Taught,
    taught_by,
    token_nats,
)
from dlmreason.diffusion.quality import later
from dlmreason.diffusion.targets import draw
from dlmreason.diffusion.weightings import Focal, Weighting, count

EVEN = Weighting()  # the mean over all editable positions
Fill = Literal["argmax", "sample"]


@dataclass(frozen=True)
class Corrector:
    """Masked diffusion, plus `weight` times the cross-entropy of all editable tokens on its own filling [ProSeCo,
    arXiv:2602.11590].

    What the masked pass said is written at the masks, and a second pass reads the full canvas; no gradient goes from
    the one to the other. What stands is not carried over: the network is asked for it like for any token.

    fill: "argmax", or "sample" from the model's distribution.  weighting: the mean over the editable positions by
    default; with `NELBO` each also by -alpha' / (1 - alpha).  errors: the tokens that stand wrong count more. A right
    one that the network gives the chance p costs 1 - p in place of -log p, whose slope is smaller by the factor p.

    Deviation: with `errors` the source has -p, less by 1 and of the same slope; here what is certain costs 0.
    """

    inner: MaskedDiffusion
    weight: float = 1.0
    fill: Fill = "argmax"
    weighting: Weighting = EVEN
    errors: bool = False

    def __post_init__(self) -> None:
        if not isinstance(self.inner, MaskedDiffusion):
            raise ValueError(
                f"corrector.inner={self.inner!r} leaves no masks to be filled: choose MaskedDiffusion, and wrap "
                "what comes out in what is to come on top"
            )
        if not self.weight > 0:
            raise ValueError(f"corrector.weight={self.weight} must be above 0; to train none, use the inner objective")
        if self.fill not in get_args(Fill):
            raise ValueError(f"corrector.fill={self.fill!r} is unknown: choose {' or '.join(get_args(Fill))}")
        if self.errors and any(isinstance(factor, Focal) for factor in self.weighting.factors):
            raise ValueError(
                "corrector.errors=true has a right token cost 1 - p, and Focal would read a chance out of that as if "
                "it were -log p: leave Focal out of corrector.weighting, or set corrector.errors=false"
            )

    @property
    def teaches(self) -> Taught:
        return taught_by(self.inner)

    @property
    def forwards(self) -> Forwards:
        inner = self.inner.forwards
        return Forwards(trained=inner.trained + 1, untrained=inner.untrained)

    def __call__(self, network: Network, batch: Batch, generator: torch.Generator) -> Loss:
        t = self.inner.times(batch.tokens.shape[0], generator)
        shares = Absorbing(self.inner.schedule).shares(t)
        corrupted = corrupt(batch.tokens, batch.editable, shares, batch.mask_id, generator)
        heard: list[Said] = []

        def overheard(tokens: Tensor, features: Tensor) -> Said:
            heard.append(network(tokens, features))
            return heard[-1]

        inner = self.inner.loss_at(overheard, batch, t, corrupted)
        said = heard[-1].logits.detach()[..., : batch.mask_id]
        written = said.argmax(-1) if self.fill == "argmax" else draw(said, generator)
        masked = (corrupted == batch.mask_id) & batch.editable
        corrector = self.loss_at(network, batch, t, torch.where(masked, written, corrupted))
        return Loss(inner.total + self.weight * corrector.total, inner.metrics | corrector.metrics)

    def loss_at(self, network: Network, batch: Batch, t: Tensor, canvas: Tensor) -> Loss:
        """The corrector's loss alone, of given times [B] float64 and full canvases [B, L] int64: nothing is drawn.

        What is not editable is right there.
        """
        nats = token_nats(network(canvas, batch.features).logits, batch.tokens, batch.editable)
        wrong = canvas != batch.tokens
        terms = torch.where(wrong, nats, -torch.expm1(-nats)) if self.errors else nats
        loss = self.weighting(terms, t, self.inner.schedule, batch.editable, batch.editable)
        metrics = {
            "corrector_loss": loss.detach(),
            "corrector_errors": wrong.sum() / count(batch.editable),
        }
        return Loss(loss, metrics)

    def guess(self, network: Network, batch: Batch, hidden: Tensor, generator: torch.Generator) -> Tensor:
        return self.inner.guess(network, batch, hidden, generator)


def corrected_later(
    inner: MaskedDiffusion,
    *,
    start: float,
    weight: float = 1.0,
    fill: Fill = "argmax",
    weighting: Weighting = EVEN,
    errors: bool = False,
) -> Staged:
    """The inner loss alone for a share `start` of the training, then `Corrector`; 0 is from the beginning, 1 never."""
    return later(inner, Corrector(inner, weight, fill, weighting, errors), start)
