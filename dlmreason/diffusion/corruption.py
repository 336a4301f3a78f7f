"""How a clean text is corrupted: what share of it is noise at time t, and of which kind.

This file decides the law of a noised token, q_t(z | x) = clean [z = x] + mask [z = m] + uniform / V over the V tokens
that can be written, and how a canvas is drawn from it. A corruption is a function of time that gives the three shares
and the rates at which they grow; everything else, drawing included, is one function for all of them. It knows no
network and no loss. The tokens that can be written are 0 .. mask_id - 1: the mask is none of them.
"""

from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from dlmreason.diffusion.schedules import Linear, Schedule


class Shares(NamedTuple):
    """What a token is at one time, in chances that make 1; each [B] float64."""

    clean: Tensor  # alpha_t: it was never overwritten
    mask: Tensor  # it is the mask
    uniform: Tensor  # it was drawn from all V tokens, the right one among them


class Rates(NamedTuple):
    """How fast any token is overwritten, per unit of time, whatever it is now; each [B] float64."""

    mask: Tensor  # by the mask
    uniform: Tensor  # by a draw from all V tokens


class Corruption(Protocol):
    """A noising of each token by itself, over time t in (0, 1): all is clean at 0 and nothing at 1."""

    def shares(self, t: Tensor) -> Shares: ...

    def rates(self, t: Tensor) -> Rates:
        """For each kind of noise, share' - (clean' / clean) share: without bound as t nears 1."""
        ...


@dataclass(frozen=True)
class Absorbing:
    """A token becomes the mask, and stays it [MDLM, arXiv:2406.07524]."""

    schedule: Schedule = field(default_factory=Linear)

    def shares(self, t: Tensor) -> Shares:
        clean = self.schedule.alpha(t)
        return Shares(clean, 1 - clean, torch.zeros_like(clean))

    def rates(self, t: Tensor) -> Rates:
        rate = _rate(self.schedule, t)
        return Rates(rate, torch.zeros_like(rate))


@dataclass(frozen=True)
class Uniform:
    """A token is drawn anew from all V tokens [UDLM, arXiv:2412.10193; Duo, arXiv:2506.10892]."""

    schedule: Schedule = field(default_factory=Linear)

    def shares(self, t: Tensor) -> Shares:
        clean = self.schedule.alpha(t)
        return Shares(clean, torch.zeros_like(clean), 1 - clean)

    def rates(self, t: Tensor) -> Rates:
        rate = _rate(self.schedule, t)
        return Rates(torch.zeros_like(rate), rate)


def _rate(schedule: Schedule, t: Tensor) -> Tensor:
    """-alpha' / alpha from the schedule's weight, -alpha' / (1 - alpha)."""
    clean = schedule.alpha(t)
    return schedule.weight(t) * (1 - clean) / clean


@dataclass(frozen=True)
class Hybrid:
    """Masks, and in the middle of the time also uniform noise [GIDD, arXiv:2503.04482].

    The clean, masked and uniform shares are as 1 - t to t to B (t (1 - t))^(gamma / 2). peak_uniform, in [0, 1): the
    uniform share at t = 1/2, where it is highest; 0 is `Absorbing` with a linear schedule. gamma, in (0, 2]: how
    closely it keeps to the middle; above 2 uniform noise would have to be taken back before the end, which no noising
    does.
    """

    peak_uniform: float = 0.1
    gamma: float = 1.0

    def __post_init__(self) -> None:
        if not 0 <= self.peak_uniform < 1:
            raise ValueError(
                f"corruption.peak_uniform={self.peak_uniform} is the uniform share at t = 1/2: give a number from 0 to "
                "below 1, such as 0.1; for 1, use Uniform"
            )
        if not 0 < self.gamma <= 2:
            raise ValueError(
                f"corruption.gamma={self.gamma} must be above 0 and at most 2: beyond, noise would turn clean again"
            )

    def shares(self, t: Tensor) -> Shares:
        t = t.double()
        uniform = self._odds(t)
        total = 1 + uniform
        return Shares((1 - t) / total, t / total, uniform / total)

    def rates(self, t: Tensor) -> Rates:
        t = t.double()
        both = t * (1 - t)
        _, mask, uniform = self.shares(t)
        return Rates(mask / both, uniform * (self.gamma / 2 * (1 - 2 * t) + t) / both)

    def _odds(self, t: Tensor) -> Tensor:
        """The uniform share over the sum of the two others; the fourfold makes the product 1 at t = 1/2."""
        return self.peak_uniform / (1 - self.peak_uniform) * (4 * t * (1 - t)) ** (self.gamma / 2)


def kinds(corruption: Corruption) -> tuple[bool, bool]:
    """Whether its canvases hold masks, and whether random tokens: each that is there at t = 1/2."""
    _, mask, uniform = corruption.shares(torch.full((1,), 0.5, dtype=torch.float64))
    return bool(mask > 0), bool(uniform > 0)


def corrupt(tokens: Tensor, editable: Tensor, shares: Shares, mask_id: int, generator: torch.Generator) -> Tensor:
    """The tokens [B, L] with noise at editable positions, each by itself; one uniform number a position, by inversion.

    tokens: [B, L] int64.  editable: [B, L] bool.  mask_id: also V, how many tokens can be written; 1 or more.
    """
    _, mask, uniform = (share[:, None] for share in shares)
    drawn = torch.rand(tokens.shape, generator=generator, device=tokens.device, dtype=torch.float64)
    # [0, mask) is the mask, then come V equal parts of the uniform share, and the rest is clean.
    part = (drawn - mask) / torch.where(uniform > 0, uniform, 1.0) * mask_id
    noise = torch.where(drawn < mask, mask_id, part.long().clamp(0, mask_id - 1))
    return torch.where((drawn < mask + uniform) & editable, noise, tokens)


def coins(chance: Tensor, like: Tensor, generator: torch.Generator) -> Tensor:
    """True with `chance`, one coin for each place of `like` [B, ...]. `chance` is broadcast; 0 is never, 1 always."""
    return torch.rand(like.shape, generator=generator, device=like.device, dtype=torch.float64) < chance
