"""Scores: of positions, to choose what is written first; of whole answers, to choose what is kept.

A position score is `(canvas, reading) -> [B, L] float64`, higher first; an answer score is `canvas.Score`. Both cost no
pass.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from dlmreason.canvas import Canvas, Reading
from dlmreason.policies.facts import needs
from dlmreason.policies.respond import log_probs

PositionScore = Callable[[Canvas, Reading], Tensor]

# A quality of exactly 0 or 1 is a rounding of the network's, and would make one cell outweigh all others.
_TINY = 1e-9


def confidence(canvas: Canvas, reading: Reading) -> Tensor:
    """The highest log-probability [MaskGIT, arXiv:2202.04200; LLaDA, arXiv:2502.09992].

    Deviation: of the most probable token, not of the sampled one, which would bias even one token a pass.
    """
    return log_probs(canvas, reading).amax(-1)


def margin(canvas: Canvas, reading: Reading) -> Tensor:
    """The gap between the two highest probabilities [Kim et al. 2025, arXiv:2502.06768]."""
    top = log_probs(canvas, reading).exp().topk(2, dim=-1).values
    return top[..., 0] - top[..., 1]


def entropy(canvas: Canvas, reading: Reading) -> Tensor:
    """Minus the entropy in nats: the surest position first."""
    log_p = log_probs(canvas, reading)
    return torch.special.xlogy(log_p.exp(), log_p.exp()).sum(-1)


def left_to_right(canvas: Canvas, reading: Reading) -> Tensor:
    """Minus the position."""
    places = torch.arange(canvas.tokens.shape[-1], device=canvas.tokens.device, dtype=torch.float64)
    return -places.expand(canvas.tokens.shape)


def mean_over(values: Tensor, where: Tensor) -> Tensor:
    """[B] float64: the mean of `values` [B, L] over `where` [B, L] bool; 0 where there is none."""
    return torch.where(where, values, 0.0).sum(-1) / where.sum(-1).clamp(min=1)


@needs("quality")
def mean_log_quality(canvas: Canvas, reading: Reading, answer: Tensor) -> Tensor:
    """Mean log quality over the editable positions, in nats; -inf unless this reading was of just this answer."""
    quality = quality_of(reading).double().clamp(_TINY, 1).log()
    read_it = (reading.of.tokens == answer).all(-1)
    return torch.where(read_it, mean_over(quality, canvas.editable), -torch.inf)


def mean_log_max(canvas: Canvas, reading: Reading, answer: Tensor) -> Tensor:
    """Mean of the highest log-probability over the editable positions: a judge that needs no quality head."""
    return mean_over(confidence(canvas, reading), canvas.editable)


def quality_of(reading: Reading) -> Tensor:
    """The quality [B, L]. Raises: ValueError where the network has no quality head."""
    if reading.quality is None:
        raise ValueError(
            "this policy reads quality and the network has no quality head: see policies.facts.check_sound"
        )
    return reading.quality
