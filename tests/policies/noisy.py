"""Exact laws under uniform and hybrid noise: oracles that know the level, and transition matrices of a policy's own."""

import itertools
from typing import Any

import torch
from torch import Tensor

from dlmreason.canvas import Ask, Canvas, Clock, Reading
from dlmreason.diffusion.corruption import Shares
from dlmreason.policies.reversal import Reversal
from tests.diffusion.exact import chance, leave_one_out_oracle, states
from tests.policies.hand import Scripted


class NoisyOracle:
    """p(x_i | z without z_i), or p(x_i | z), exactly, at the level that it is told."""

    uses_level = True

    def __init__(self, joint: Tensor, policy: Reversal, passes: int, posterior: bool = False) -> None:
        self.joint, self.length, self.mask_id, self.posterior = joint, joint.dim(), joint.shape[0], posterior
        self.shares = policy.shares(policy.time(torch.arange(passes), passes))

    def first_carry(self, rows: int) -> tuple[()]:
        return ()

    def __call__(self, ask: Ask, features: Tensor) -> Reading:
        gap, at = (ask.level[:, None] - self.shares.clean).abs().min(-1)
        assert bool((gap < 1e-12).all()), "asked at a level that is not of any pass"
        shares = Shares(*(share[at] for share in self.shares))
        return Reading(ask, self.say(ask.tokens, shares), None, ())

    def say(self, tokens: Tensor, shares: Shares) -> Tensor:
        return leave_one_out_oracle(self.joint, tokens, shares, self.posterior)


class Unheeding(NoisyOracle):
    """The negative control: says the marginals of the joint whatever it reads."""

    def say(self, tokens: Tensor, shares: Shares) -> Tensor:
        sites = range(self.length)
        marginals = [self.joint.sum([other for other in sites if other != site]).log() for site in sites]
        return torch.stack(marginals).expand(len(tokens), -1, -1)


class Laws(Scripted):
    """Noise that keeps the log-chances it was asked to draw from."""

    def draw(self, log_probs: Tensor, stream: str) -> Tensor:
        self.law = log_probs
        return torch.zeros(log_probs.shape[:-1], dtype=torch.int64)


def canvases(values: int, length: int) -> Tensor:
    """[S, L]: every canvas of tokens and masks."""
    return torch.tensor(list(itertools.product(range(values + 1), repeat=length)))


def noisy_joint(joint: Tensor, shares: Shares) -> Tensor:
    """[S]: the law of a noised text over `canvases`. shares: of one row."""
    rows = canvases(joint.shape[0], joint.dim())
    law = torch.zeros(len(rows), dtype=torch.float64)
    for text, p in states(joint):
        law += p * chance(rows, torch.tensor([text]), shares, joint.shape[0]).prod(-1)
    return law


def reversal_law(policy: Reversal, denoiser: Any, passes: int) -> Tensor:
    """The law of what a policy writes, as a joint: by matrices, so quick at hundreds of passes.

    For policies that draw one token at each position, and nothing else, on a pass.
    """
    rows = canvases(denoiser.mask_id, denoiser.length)
    canvas = Canvas(rows, torch.ones_like(rows, dtype=torch.bool), (), denoiser.mask_id)

    def clock(index: int) -> Clock:
        return Clock(torch.full((len(rows),), index), passes)

    noise = Laws()
    move = policy.init(canvas, clock(-1), noise)
    law = noise.law[0, 0].exp()[rows].prod(-1)  # all begin as blanks
    for index in range(passes):
        noise = Laws()
        reading = denoiser(move.ask._replace(tokens=rows), rows)
        move = policy(canvas, reading, clock(index), (), noise)
        chance_of = noise.law.exp()  # [S, L, V + 1]
        steps = torch.stack([chance_of[:, site, rows[:, site]] for site in range(denoiser.length)]).prod(0)
        law = law @ steps
    written = (rows < denoiser.mask_id).all(-1)
    assert float(law[~written].sum()) < 1e-12, "the last pass leaves a mask"
    return law[written].reshape(denoiser.joint.shape)
