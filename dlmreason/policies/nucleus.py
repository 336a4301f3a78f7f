"""Leave out improbable tokens before a policy draws: a layer that edits readings.

This file decides which tokens of a reading can be drawn; what is drawn, and when, is the inner policy's.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from dlmreason.canvas import Canvas, Clock, Memory, Move, Noise, Policy, Reading
from dlmreason.policies.facts import Facts, facts_of
from dlmreason.policies.respond import log_probs

# A mass that equals p but for the rounding of a sum of float64 has reached it.
_ROUNDING = 1e-12


@dataclass(frozen=True)
class Nucleus:
    """The inner policy on readings of which each position keeps the smallest set of tokens whose mass is at least `p`
    [nucleus sampling, arXiv:1904.09751; ReMDM, arXiv:2503.00307, p = 0.9].

    p: in (0, 1]; 1 hands on the reading as it is. Ties go to the lower token. What it leaves out has probability 0, and
    the rest is normalised again, so scores read within the layer, such as `confidence`, see the nucleus too.
    """

    inner: Policy
    p: float = 0.9

    def __post_init__(self) -> None:
        if not 0 < self.p <= 1:
            raise ValueError(f"p={self.p} is the mass of the tokens that are kept: give a number above 0 and at most 1")

    @property
    def anytime(self) -> bool:
        return self.inner.anytime

    @property
    def facts(self) -> Facts:
        return facts_of(self.inner)

    def init(self, canvas: Canvas, clock: Clock, noise: Noise) -> Move:
        return self.inner.init(canvas, clock, noise)

    def __call__(self, canvas: Canvas, reading: Reading, clock: Clock, memory: Memory, noise: Noise) -> Move:
        if self.p < 1:
            log_p = log_probs(canvas, reading)
            reading = reading._replace(logits=torch.where(nucleus(log_p, self.p), log_p, -torch.inf))
        return self.inner(canvas, reading, clock, memory, noise)


def nucleus(log_p: Tensor, p: float) -> Tensor:
    """[..., V] bool: the most probable tokens whose mass reaches `p`, and no more; at least one.

    log_p: [..., V] float64, normalised.
    """
    ordered, tokens = log_p.sort(dim=-1, descending=True, stable=True)
    reached = ordered.exp().cumsum(-1)
    before = torch.cat([torch.zeros_like(reached[..., :1]), reached[..., :-1]], -1)
    kept = before < p * (1 - _ROUNDING)
    return torch.empty_like(kept).scatter_(-1, tokens, kept)
