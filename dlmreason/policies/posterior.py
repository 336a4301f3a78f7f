"""Draw the next canvas from the posterior of the corruption: ancestral sampling, with or without remasking.

Decides at which pass a position changes. The passes are drawn ahead, so that a pass without an event costs no network
call.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from dlmreason.canvas import Canvas, Clock, Memory, Move, Noise, Reading
from dlmreason.policies.facts import Facts
from dlmreason.policies.respond import log_probs, moved, opening


class Schedule(Protocol):
    """alpha(t): the share still clean at time t in [0, 1], falling from 1 to 0; float64 in, float64 out."""

    def alpha(self, t: Tensor) -> Tensor: ...


Sigma = Callable[[Tensor, Tensor], Tensor]
"""(alpha_t [T], alpha_s [T]) -> [T] float64: the chance that a committed token is taken back, at most `sigma_max`."""


def sigma_max(alpha_t: Tensor, alpha_s: Tensor) -> Tensor:
    """The largest chance of remasking that keeps the marginals [ReMDM, arXiv:2503.00307, sec. 3]."""
    return torch.where(alpha_t > 0, (1 - alpha_s) / alpha_t.clamp(min=1e-300), 1.0).clamp(max=1.0)


def never(alpha_t: Tensor, alpha_s: Tensor) -> Tensor:
    """Committed tokens stay: MDLM's ancestral sampler."""
    return torch.zeros_like(alpha_t)


@dataclass(frozen=True)
class Cap:
    """Remask with at most `eta` a pass [ReMDM, arXiv:2503.00307, "max-capped"]. 0 <= eta <= 1."""

    eta: float

    def __post_init__(self) -> None:
        if not 0 <= self.eta <= 1:
            raise ValueError(f"eta={self.eta} is a chance: give a number from 0 to 1")

    def __call__(self, alpha_t: Tensor, alpha_s: Tensor) -> Tensor:
        return sigma_max(alpha_t, alpha_s).clamp(max=self.eta)


@dataclass(frozen=True)
class Posterior:
    """Sample q(x_s | x_t, x0) with x0 from the model [MDLM, arXiv:2406.07524; ReMDM, arXiv:2503.00307, eq. 7].

    Event-driven: a position's next event is drawn from the hazards of the remaining passes, which is the same law as a
    coin every pass. Memory: [B, L] int64, the pass of each position's next event.
    """

    schedule: Schedule
    sigma: Sigma = never

    @property
    def anytime(self) -> bool:
        return False

    @property
    def facts(self) -> Facts:
        return Facts(streams=("token", "due", "due_again"), revises=self.sigma is not never)

    def hazards(self, total: int) -> Tensor:
        """[2, T] float64: the chance that a blank is written, that a written token is taken back, at each pass."""
        alphas = self.schedule.alpha(torch.arange(total, -1, -1, dtype=torch.float64) / total)
        alpha_t, alpha_s = alphas[:-1], alphas[1:]
        sigma = self.sigma(alpha_t, alpha_s)
        write = (alpha_s - (1 - sigma) * alpha_t) / (1 - alpha_t)
        return torch.stack([write.clamp(0, 1), sigma.clamp(0, 1)])

    def init(self, canvas: Canvas, clock: Clock, noise: Noise) -> Move:
        since = (clock.index[:, None] + 1).expand_as(canvas.tokens)
        due = self._due(canvas, canvas.tokens, since, clock, noise, "due")
        return opening(canvas, due)._replace(wake=due.amin(-1) - clock.index)

    def __call__(self, canvas: Canvas, reading: Reading, clock: Clock, memory: Memory, noise: Noise) -> Move:
        assert clock.total is not None, "a policy that is not anytime is given the total"
        now = memory == clock.index[:, None]
        written = noise.draw(log_probs(canvas, reading), "token")
        tokens = torch.where(now, torch.where(canvas.masked, written, canvas.mask_id), canvas.tokens)
        since = (clock.index[:, None] + 1).clamp(max=clock.total).expand_as(tokens)
        due = torch.where(now, self._due(canvas, tokens, since, clock, noise, "due_again"), memory)
        return moved(canvas, reading, tokens, due, wake=due.amin(-1) - clock.index)

    def _due(self, canvas: Canvas, tokens: Tensor, since: Tensor, clock: Clock, noise: Noise, stream: str) -> Tensor:
        assert clock.total is not None, "a policy that is not anytime is given the total"
        kind = torch.where(canvas.editable, (tokens != canvas.mask_id).long(), -1)
        return noise.first(self.hazards(clock.total).to(tokens.device), kind, since, stream)
