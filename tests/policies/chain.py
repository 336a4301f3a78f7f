"""The law of a posterior sampler by transition matrices that are made of the policy's own hazards.

As exact as walking every branch, and quick at thousands of passes.
"""

import itertools

import torch
from torch import Tensor

from dlmreason.canvas import Ask, Denoiser
from dlmreason.policies.posterior import Posterior
from tests.policies.laws import Law


def kernels(policy: Posterior, denoiser: Denoiser, passes: int) -> tuple[list[tuple[int, ...]], Tensor]:
    """All canvases, and [T, S, S] the chance of going from one to another in each pass."""
    mask, length = denoiser.mask_id, denoiser.length  # type: ignore[attr-defined]
    canvases = list(itertools.product(range(mask + 1), repeat=length))
    tokens = torch.tensor(canvases)
    ask = Ask(tokens, torch.zeros(len(tokens), dtype=torch.float64), ())
    logits = denoiser(ask, torch.zeros(len(tokens), length, 0)).logits
    says = torch.cat([logits.double().softmax(-1), torch.zeros(len(tokens), length, 1, dtype=torch.float64)], -1)

    write, take_back = policy.hazards(passes)[:, :, None, None, None]
    now, then = tokens[:, None], tokens[None]
    chance = says.gather(-1, tokens.T[None].expand(len(tokens), -1, -1)).transpose(1, 2)  # [S, S', L]
    blank = torch.where(then == mask, 1 - write, write * chance)
    written = torch.where(then == mask, take_back, torch.where(then == now, 1 - take_back, 0.0))
    return canvases, torch.where(now == mask, blank, written).prod(-1)


def posterior_law(policy: Posterior, denoiser: Denoiser, passes: int) -> Law:
    """{canvas: chance} after `passes` passes from blanks."""
    canvases, steps = kernels(policy, denoiser, passes)
    law = torch.zeros(len(canvases), dtype=torch.float64)
    law[-1] = 1
    for kernel in steps:
        law = law @ kernel
    return {canvas: float(chance) for canvas, chance in zip(canvases, law, strict=True) if chance > 0}
