"""Remask by confidence: tokens that were improbable when written are taken back more often.

Decides which committed tokens bear the chance of remasking that a plan gives; how large that is, is the plan's. It
depends on the canvas, so nothing is drawn ahead and every pass is a call.
"""

import dataclasses
from dataclasses import dataclass

import torch
from torch import Tensor

from dlmreason.canvas import Canvas, Clock, Move, Noise, Reading
from dlmreason.policies.facts import Facts
from dlmreason.policies.posterior import Posterior
from dlmreason.policies.remask import never
from dlmreason.policies.respond import log_probs, moved, opening, settled_where


@dataclass(frozen=True)
class Confident:
    """sigma_i = sigma softmax(-psi)_i over the committed tokens [ReMDM, arXiv:2503.00307, "confidence-based"].

    plan: gives sigma and the times; with `rescale(schedule, 1.0)` sigma is sigma_max, as published.  Memory: psi [B, L]
    float64, each token's probability when it was written, 1 where it was there before.  A blank bears no sigma, so it
    is written as in ancestral sampling, and since the taken back are not made up for, more than 1 - alpha_s is blank
    after a pass, unlike under the plan; the last pass of a plan whose alpha reaches 1 writes what is left.
    """

    plan: Posterior

    @property
    def anytime(self) -> bool:
        return False

    @property
    def facts(self) -> Facts:
        return Facts(streams=("token", "change"), needs=frozenset({"masks"}), revises=self.plan.sigma is not never)

    def init(self, canvas: Canvas, clock: Clock, noise: Noise) -> Move:
        assert clock.total is not None, "a policy that is not anytime is given the total"
        self.plan.hazards(clock.total)  # refuses a sigma that is no chance, once and not in every pass
        sure = torch.ones(canvas.tokens.shape, dtype=torch.float64, device=canvas.tokens.device)
        return opening(canvas, sure)._replace(wake=settled_where(~canvas.editable.any(-1)))

    def __call__(self, canvas: Canvas, reading: Reading, clock: Clock, memory: Tensor, noise: Noise) -> Move:
        assert clock.total is not None, "a policy that is not anytime is given the total"
        masked, log_p = canvas.masked, log_probs(canvas, reading)
        change = noise.coin(self.chances(canvas, memory, clock.index, clock.total), "change")
        drawn = noise.draw(log_p, "token")
        tokens = torch.where(change, torch.where(masked, drawn, canvas.mask_id), canvas.tokens)
        psi = torch.where(change & masked, log_p.gather(-1, drawn[..., None])[..., 0].exp(), memory)
        return moved(canvas, reading, tokens, psi, wake=settled_where(~canvas.editable.any(-1)))

    def chances(self, canvas: Canvas, psi: Tensor, index: Tensor, total: int) -> Tensor:
        """[B, L] float64: that a blank is written, or a committed token taken back, in pass `index` [B] of `total`."""
        write = dataclasses.replace(self.plan, sigma=never).chances(index, total)[0]
        sigma = self.plan.chances(index, total)[1]
        committed = canvas.written
        # All blank, the softmax is of nothing but -inf, which is NaN and here chosen by nobody.
        share = torch.where(committed, -psi, -torch.inf).softmax(-1)
        take_back = torch.where(committed, share * sigma[:, None], 0.0)
        return torch.where(canvas.masked, write[:, None], take_back).clamp(0, 1)
