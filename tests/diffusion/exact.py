"""Expectations without a draw: times by quadrature, texts and canvases by enumeration, oracles by Bayes' rule."""

import itertools
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from dlmreason.diffusion.corruption import Corruption, Shares
from dlmreason.diffusion.interpolating import InterpolatingDiffusion, Logits
from dlmreason.diffusion.weightings import Noised
from tests.diffusion.fakes import Fake, batch


def states(joint: Tensor) -> Iterator[tuple[tuple[int, ...], float]]:
    for tokens in itertools.product(range(joint.shape[0]), repeat=joint.dim()):
        yield tokens, joint[tokens].item()


def entropy(joint: Tensor) -> float:
    return -(joint * joint.log()).sum().item()


def quadrature(eps: float | None = None) -> tuple[Tensor, Tensor]:
    """Times and weights of an integral over (eps, 1 - eps), or all of (0, 1), by the trapezoidal rule in log odds.

    There a singularity of any power at either end is an exponential tail, and the rule converges exponentially.
    """
    low, high, nodes = (-46.0, 30.0, 305) if eps is None else (-math.log(1 / eps - 1), math.log(1 / eps - 1), 2001)
    odds = torch.linspace(low, high, nodes, dtype=torch.float64)
    weight = torch.full_like(odds, (high - low) / (nodes - 1))
    if eps is not None:
        weight[[0, -1]] /= 2
    return odds.sigmoid(), weight * odds.sigmoid() * (-odds).sigmoid()


def chance(z: Tensor, v: Tensor, shares: Shares, values: int) -> Tensor:
    """q(z | x = v) by definition, for shapes that broadcast with a first axis of times; the mask is `values`."""
    clean, mask, uniform = (share.reshape(-1, *[1] * (max(z.dim(), v.dim()) - 1)) for share in shares)
    written = clean * (z == v) + uniform / values
    return torch.where(z == values, mask, written)


class Everything(NamedTuple):
    """Every time, right text and canvas, one to a row."""

    t: Tensor  # [B]
    shares: Shares
    tokens: Tensor  # [B, L]
    canvas: Tensor  # [B, L]
    chance: Tensor  # [B] weight of the time, times the chance of the text, times that of the canvas


def everything(corruption: Corruption, joint: Tensor, t: Tensor, weight: Tensor) -> Everything:
    values, length = joint.shape[0], joint.dim()
    texts = [(tokens, p) for tokens, p in states(joint) if p > 0]
    canvases = itertools.product(range(values + 1), repeat=length)
    rows = [(i, tokens, canvas, p) for (tokens, p), canvas in itertools.product(texts, canvases) for i in range(len(t))]
    at = torch.tensor([i for i, *_ in rows])
    tokens, canvas = (torch.tensor([row[k] for row in rows]) for k in (1, 2))
    p = torch.tensor([p for *_, p in rows], dtype=torch.float64)
    shares = Shares(*(share[at] for share in corruption.shares(t)))
    p = p * weight[at] * chance(canvas, tokens, shares, values).prod(1)
    some = p > 0
    shares = Shares(*(share[some] for share in shares))
    return Everything(t[at][some], shares, tokens[some], canvas[some], p[some])


def leave_one_out_oracle(joint: Tensor, canvas: Tensor, shares: Shares, posterior: bool = False) -> Tensor:
    """log p(x_i = v | z without z_i), or with it, by summing over all texts: [B, L, V]."""
    values, length = joint.shape[0], joint.dim()
    texts = torch.tensor([tokens for tokens, _ in states(joint)])
    p = torch.tensor([p for _, p in states(joint)], dtype=torch.float64)
    seen = chance(canvas[:, :, None], texts.T[None], shares, values)  # [B, L, S]
    said = torch.zeros(len(canvas), length, values, dtype=torch.float64)
    for site in range(length):
        used = [other for other in range(length) if posterior or other != site]
        said[:, site].index_add_(1, texts[:, site], p * seen[:, used].prod(1))
    return (said / said.sum(-1, keepdim=True)).log()


@dataclass(frozen=True)
class Integrated:
    """The bound's weight times a chance for each row, so that the objective itself takes the expectation."""

    chance: Tensor

    def __call__(self, noised: Noised) -> Tensor:
        return noised.bound * (self.chance * noised.bound.numel())[:, None]


def exact_bound(
    corruption: Corruption,
    joint: Tensor,
    say: Callable[[Everything], Tensor],
    logits: Logits = "leave_one_out",
    eps: float | None = None,
) -> float:
    """The expectation of the objective, in nats for the whole text, where the network `say`s these logits."""
    every = everything(corruption, joint, *quadrature(eps))
    objective = InterpolatingDiffusion(corruption, logits, Integrated(every.chance))
    network = Fake(lambda _: say(every))
    return objective.loss_at(network, batch(every.tokens, joint.shape[0]), every.t, every.canvas).total.item()
