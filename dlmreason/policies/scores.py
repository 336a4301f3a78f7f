"""Scores: of positions, to choose what is written first; of whole answers, to choose what is kept.

A position score is `(canvas, reading) -> [B, L] float64`, higher first, -inf where a position must wait. Its canvas is
the one proposed: a token, drawn or most probable, at every editable position; what was read, blanks and all, is
`reading.of.tokens`. So a score of the token itself needs no further argument, and a plain one looks at neither. An
answer score is `canvas.Score`. Both cost no pass.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from dlmreason.canvas import Canvas, Reading, block_numbers
from dlmreason.policies.facts import needs, needs_of
from dlmreason.policies.respond import log_probs

PositionScore = Callable[[Canvas, Reading], Tensor]

# A quality of exactly 0 or 1 is a rounding of the network's, and would make one cell outweigh all others.
_TINY = 1e-9


def confidence(canvas: Canvas, reading: Reading) -> Tensor:
    """The highest log-probability [MaskGIT, arXiv:2202.04200; LLaDA, arXiv:2502.09992].

    Deviation: of the most probable token, not of the sampled one, which would bias even one token a pass: see
    `sampled`.
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


def even(canvas: Canvas, reading: Reading) -> Tensor:
    """0 everywhere: with a Plackett-Luce order, one drawn evenly; else left to right."""
    return torch.zeros(canvas.tokens.shape, dtype=torch.float64, device=canvas.tokens.device)


def certain(canvas: Canvas, reading: Reading) -> Tensor:
    """Infinity everywhere: before all else."""
    return torch.full(canvas.tokens.shape, torch.inf, dtype=torch.float64, device=canvas.tokens.device)


def sampled(canvas: Canvas, reading: Reading) -> Tensor:
    """The log-probability of the proposed token [LLaDA, arXiv:2502.09992; MaskGIT, arXiv:2202.04200, as released].

    Biased where tokens are drawn, even one a pass with a perfect network: among positions that were all drawn, the one
    whose draw came out likely is written, so likely tokens are written too often. `confidence` is not, and at
    temperature 0 the two are one.
    """
    return token_of(log_probs(canvas, reading), canvas.tokens)


def standing(canvas: Canvas, reading: Reading) -> Tensor:
    """The log-probability of the token that is there, of the proposed one at a blank [RemeDi, arXiv:2509.23653].

    It reads the network at visible tokens, which a network trained on masked tokens alone was never taught: there it
    says mostly how sure the network is of copying.
    """
    there = torch.where(blank(canvas, reading), canvas.tokens, reading.of.tokens)
    return token_of(log_probs(canvas, reading), there)


@needs("quality")
def log_quality(canvas: Canvas, reading: Reading) -> Tensor:
    """The log-chance, by the quality head, that the token there is right. Says nothing of a blank."""
    return quality_of(reading).double().clamp(_TINY, 1).log()


@dataclass(frozen=True)
class Blocks:
    """`score` in the first block of `size` editable positions that has a blank, -inf beyond it: semi-autoregressive
    [LLaDA, arXiv:2502.09992, sec. 2.4].

    size: at least 1, which is left to right; the whole answer's length leaves the score as it is. An even share of the
    passes fits where they are a multiple of the blocks; else the budget may end with blocks unwritten, which the answer
    fills by argmax.  by_position: blocks of `size` positions from position 0, given or not, as a network with
    attention=block_causal has them [BD3-LM, arXiv:2503.09573].
    """

    score: PositionScore
    size: int
    by_position: bool = False

    def __post_init__(self) -> None:
        if self.size < 1:
            raise ValueError(f"size={self.size}: a block has at least 1 position: give 1 or more")

    @property
    def needs(self) -> frozenset[str]:
        return needs_of(self.score)

    @property
    def keeps(self) -> int:
        """`Facts.block` of what writes by this score."""
        return self.size if self.by_position else 0

    def __call__(self, canvas: Canvas, reading: Reading) -> Tensor:
        block = block_numbers(canvas.editable, self.size, self.by_position)
        waiting = torch.where(blank(canvas, reading), block, canvas.tokens.shape[-1])
        return torch.where(block <= waiting.amin(-1, keepdim=True), self.score(canvas, reading), -torch.inf)


def blank(canvas: Canvas, reading: Reading) -> Tensor:
    """[B, L] bool: editable positions that were masked when they were read."""
    return (reading.of.tokens == canvas.mask_id) & canvas.editable


def token_of(log_p: Tensor, tokens: Tensor) -> Tensor:
    """[B, L] float64: of `log_p` [B, L, V] the entry of `tokens` [B, L]; any number where that is no token."""
    # The mask, and what the task gives, may lie beyond what the network can write, and gather reads every position.
    return log_p.gather(-1, tokens.clamp(max=log_p.shape[-1] - 1)[..., None])[..., 0]


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


def whole(canvas: Canvas, reading: Reading, answer: Tensor) -> Tensor:
    """0 for an answer that was read whole, all alike; -inf for one that was not, or only in part."""
    read_it = (reading.of.tokens == answer).all(-1)
    return torch.where(read_it, 0.0, -torch.inf).double()


def quality_of(reading: Reading) -> Tensor:
    """The quality [B, L]. Raises: ValueError where the network has no quality head."""
    if reading.quality is None:
        raise ValueError(
            "this policy reads quality and the network has no quality head: see policies.facts.check_sound"
        )
    return reading.quality
