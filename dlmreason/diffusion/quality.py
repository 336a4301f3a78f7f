"""Training a network to know which of its own tokens are wrong.

This file decides what canvases the quality head sees: mostly full ones with a few errors that the model itself would
make, since a head trained on half-masked canvases is exploited as soon as a policy makes a thousand passes with it. It
serves both arms; what differs, how a model is asked for its own guess, belongs to the inner objective. It knows no
policy.
"""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits, logsigmoid

from dlmreason.diffusion.corruption import coins
from dlmreason.diffusion.objectives import Batch, Forwards, Guessing, Loss, Network, Staged


@dataclass(frozen=True)
class Quality:
    """An inner loss, plus the cross-entropy of "is this token right?" on canvases with own errors.

    A share r = lowest + slope t^2 of the judged positions, t uniform, is written anew from the model's own
    distribution, and every judged position is asked about. A share `full` of the rows is full canvases. The others,
    where the inner objective knows a mask, hide a share t instead and fill only a part of it: masks are not asked
    about.

    Deviation from PRISM [arXiv:2510.01384]: every judged position is scored, not only those just filled, and most
    canvases are full.
    """

    inner: Guessing
    weight: float = 1.0
    full: float = 0.75
    lowest: float = 0.03
    slope: float = 0.8

    def __post_init__(self) -> None:
        if not hasattr(self.inner, "guess"):
            raise ValueError(
                f"quality.inner={self.inner!r} cannot be asked what its network would have written: choose "
                "MaskedDiffusion or NextToken, or train no quality"
            )
        if not self.weight > 0:
            raise ValueError(
                f"quality.weight={self.weight} must be above 0; to train no quality, use the inner objective"
            )
        if not 0 <= self.full <= 1:
            raise ValueError(f"quality.full={self.full} is a share of the rows: give a number from 0 to 1")
        if not (self.lowest >= 0 and self.slope >= 0 and 0 < self.lowest + self.slope <= 1):
            raise ValueError(
                f"quality.lowest={self.lowest} and quality.slope={self.slope} give the share of positions written "
                "anew, lowest to lowest + slope; both must be at least 0, and their sum above 0 and at most 1"
            )

    @property
    def blanks(self) -> bool:
        return self.inner.blanks

    @property
    def judges(self) -> bool:
        return True

    @property
    def forwards(self) -> Forwards:
        inner = self.inner.forwards
        return Forwards(trained=inner.trained + 1, untrained=inner.untrained + 1)

    def __call__(self, network: Network, batch: Batch, generator: torch.Generator) -> Loss:
        inner = self.inner(network, batch, generator)
        canvas = self.canvas(network, batch, generator)
        scored = batch.judged & (canvas != batch.mask_id)
        right = canvas == batch.tokens
        quality = asked(network, canvas, batch.features)
        nats = binary_cross_entropy_with_logits(quality, right.float(), reduction="none")
        count = scored.sum().clamp(min=1)
        bce = torch.where(scored, nats, 0.0).sum() / count
        agrees = (quality > 0) == right
        metrics = inner.metrics | {
            "quality_loss": bce.detach(),
            "quality_accuracy": (agrees & scored).sum() / count,
            "own_errors": (~right & scored).sum() / count,
        }
        return Loss(inner.total + self.weight * bce, metrics)

    @torch.no_grad()
    def canvas(self, network: Network, batch: Batch, generator: torch.Generator) -> Tensor:
        """The right tokens [B, L] with a few of the model's own among them; masks too in rows that are not full."""
        rows = batch.tokens[:, :1]
        t = torch.rand(rows.shape, generator=generator, device=rows.device, dtype=torch.float64)
        full = coins(torch.full_like(t, self.full if self.inner.blanks else 1.0), rows, generator)
        hidden = coins(torch.where(full, self.lowest + self.slope * t**2, t), batch.tokens, generator) & batch.judged
        written = draw(self.inner.guess(network, batch, hidden), generator)
        share = torch.rand(rows.shape, generator=generator, device=rows.device, dtype=torch.float64)
        blank = hidden & ~full & coins(share, batch.tokens, generator)
        return torch.where(blank, batch.mask_id, torch.where(hidden, written, batch.tokens))


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
    if not 0 <= start <= 1:
        raise ValueError(f"objective.start={start} is a share of the training: give a number from 0 to 1")
    judged = Quality(inner, weight, full, lowest, slope)
    stages = [(start, inner), (1 - start, judged)]
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


def draw(logits: Tensor, generator: torch.Generator) -> Tensor:
    """One token at each position from softmax(logits) [B, L, V], by a race of exponentials. Returns [B, L] int64."""
    probabilities = logits.float().softmax(-1)
    arrivals = torch.empty_like(probabilities).exponential_(generator=generator)
    return (probabilities / arrivals).argmax(-1)


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
