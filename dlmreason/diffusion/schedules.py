"""Noise schedules, and the times at which a batch is corrupted.

This file decides how much of a text is still clean at time t, what that time weighs in the likelihood bound, and how
the times of a batch are spread over (0, 1]. It knows no token and no network. Everything here is float64: schedule
increments at 100,000 passes lose 5e-3 in float32.
"""

import math
from dataclasses import dataclass, field
from typing import Protocol

import torch
from torch import Tensor


class Schedule(Protocol):
    """The share of a text that is still clean, over time t: 1 at t = 0, 0 at t = 1, falling.

    A schedule with an `eps` of its own says at which end it stops short by that much.
    """

    def alpha(self, t: Tensor) -> Tensor:
        """alpha_t, float64, of the shape of `t`."""
        ...

    def weight(self, t: Tensor) -> Tensor:
        """-alpha'(t) / (1 - alpha(t)), float64: what a masked token weighs in the NELBO at time t > 0."""
        ...


@dataclass(frozen=True)
class Linear:
    """alpha_t = 1 - t, weight 1 / t [MDLM, arXiv:2406.07524; LLaDA, arXiv:2502.09992]."""

    def alpha(self, t: Tensor) -> Tensor:
        return 1 - t.double()

    def weight(self, t: Tensor) -> Tensor:
        return 1 / t.double()


@dataclass(frozen=True)
class Cosine:
    """alpha_t = cos(pi t / 2) [MDLM, arXiv:2406.07524], written so that both ends are exact."""

    def alpha(self, t: Tensor) -> Tensor:
        return torch.sin((1 - t.double()) * (math.pi / 2))

    def weight(self, t: Tensor) -> Tensor:
        # sin(pi t / 2) / (1 - cos(pi t / 2)) = cot(pi t / 4): no difference of nearly equal numbers near t = 0.
        return (math.pi / 2) / torch.tan(t.double() * (math.pi / 4))


@dataclass(frozen=True)
class Polynomial:
    """alpha_t = 1 - t^power, weight power / t [MD4, arXiv:2406.04329].

    power: above 0. 1 is `Linear`; above, most of the time is spent where little is hidden. Not (1 - t)^power, which
    others call by the same name.
    """

    power: float = 2.0

    def __post_init__(self) -> None:
        if not 0 < self.power < math.inf:
            raise ValueError(f"schedule.power={self.power} must be above 0, such as 2; 1 is the linear schedule")

    def alpha(self, t: Tensor) -> Tensor:
        return 1 - t.double() ** self.power

    def weight(self, t: Tensor) -> Tensor:
        return self.power / t.double()


@dataclass(frozen=True)
class LogLinear:
    """alpha_t = 1 - (1 - eps) t, weight 1 / t [MDLM, arXiv:2406.07524]: linear, but a share eps stays clean at t = 1.

    Named after -log alpha_t, which eps keeps finite. eps: in (0, 1).
    """

    eps: float = 1e-3

    def __post_init__(self) -> None:
        _check_end(self.eps)

    def alpha(self, t: Tensor) -> Tensor:
        t = t.double()
        return (1 - t) + self.eps * t  # exact at both ends

    def weight(self, t: Tensor) -> Tensor:
        return 1 / t.double()


@dataclass(frozen=True)
class EvenWeight:
    """alpha_t = 1 - eps^(1 - t): every time weighs the same, -log eps [MDLM, arXiv:2406.07524].

    The bound does not depend on the schedule, so importance sampling of times by their weight is a schedule too: the
    one that hides a share e^-x for x uniform. It begins with a share eps hidden, in (0, 1), and ends with all.
    """

    eps: float = 1e-3

    def __post_init__(self) -> None:
        _check_end(self.eps)

    def alpha(self, t: Tensor) -> Tensor:
        return -torch.expm1((1 - t.double()) * math.log(self.eps))

    def weight(self, t: Tensor) -> Tensor:
        return torch.full_like(t.double(), -math.log(self.eps))


def _check_end(eps: float) -> None:
    if not 0 < eps < 1:
        raise ValueError(f"schedule.eps={eps} is a share of the text: give a number between 0 and 1, such as 0.001")


class Times(Protocol):
    """The times of a batch.

    Stratified ones spread over the batches of all processes that train together: process `rank` of `world` takes
    strata of its own, and each of the rows * world strata holds exactly one time. All that this asks is that each
    process is told its rank and has as many rows as the others: their generators may be seeded apart, as a training
    does, or alike. `rank` and `world` are where an objective runs, not what it is, so they are left out of its repr.
    """

    def __call__(self, rows: int, generator: torch.Generator) -> Tensor:
        """[rows] float64 in [eps, 1], on the generator's device."""
        ...


@dataclass(frozen=True)
class Independent:
    """Times drawn one by one, uniform over [eps, 1]."""

    eps: float = 1e-3

    def __post_init__(self) -> None:
        _check_eps(self.eps)

    def __call__(self, rows: int, generator: torch.Generator) -> Tensor:
        return _raised(_uniform(rows, generator), self.eps)


@dataclass(frozen=True)
class Antithetic:
    """One time in each stratum, each drawn by itself [MDLM, arXiv:2406.07524]."""

    eps: float = 1e-3
    rank: int = field(default=0, repr=False)
    world: int = field(default=1, repr=False)

    def __post_init__(self) -> None:
        _check_eps(self.eps)
        _check_rank(self.rank, self.world)

    def __call__(self, rows: int, generator: torch.Generator) -> Tensor:
        within = _uniform(rows, generator) / (rows * self.world)
        return _raised(within + _strata(rows, generator) + self.rank / (rows * self.world), self.eps)


@dataclass(frozen=True)
class LowDiscrepancy:
    """One time in each stratum, evenly spaced, one draw for all rows [GIDD, arXiv:2503.04482].

    Over several processes the spacing is even within each, and over all of them where their generators are alike.
    """

    eps: float = 1e-3
    rank: int = field(default=0, repr=False)
    world: int = field(default=1, repr=False)

    def __post_init__(self) -> None:
        _check_eps(self.eps)
        _check_rank(self.rank, self.world)

    def __call__(self, rows: int, generator: torch.Generator) -> Tensor:
        shift = _uniform(1, generator)
        # The shift goes once round the circle, so its place within a stratum is the same for every row.
        within = shift % (1 / rows)
        spread = (shift + _strata(rows, generator)) % 1
        return _raised(spread + within * (1 / self.world - 1) + self.rank / (rows * self.world), self.eps)


@dataclass(frozen=True)
class Below:
    """Times of another kind, scaled to end at `last` in (0, 1): for losses with a pole at t = 1 as well."""

    times: Times
    last: float = 1 - 1e-4

    def __post_init__(self) -> None:
        if not 0 < self.last < 1:
            raise ValueError(f"times.last={self.last} is the largest time; give a number below 1, such as 0.9999")

    def __call__(self, rows: int, generator: torch.Generator) -> Tensor:
        return self.last * self.times(rows, generator)


@dataclass(frozen=True)
class Levels:
    """Times drawn one by one from 1 / levels, 2 / levels, .., 1 [MGDM, arXiv:2410.14157]."""

    levels: int = 20

    def __post_init__(self) -> None:
        if self.levels < 1:
            raise ValueError(f"times.levels={self.levels} is how many times there are: give a whole number from 1")

    def __call__(self, rows: int, generator: torch.Generator) -> Tensor:
        drawn = torch.randint(1, self.levels + 1, (rows,), generator=generator, device=generator.device)
        return drawn.double() / self.levels


def _uniform(rows: int, generator: torch.Generator) -> Tensor:
    return torch.rand(rows, generator=generator, dtype=torch.float64, device=generator.device)


def _strata(rows: int, generator: torch.Generator) -> Tensor:
    return torch.arange(rows, dtype=torch.float64, device=generator.device) / rows


def _raised(u: Tensor, eps: float) -> Tensor:
    """Times in [eps, 1] from `u` in [0, 1): the weight has a pole at t = 0."""
    return eps + (1 - eps) * u


def _check_eps(eps: float) -> None:
    if not 0 < eps < 1:
        raise ValueError(f"times.eps={eps} is the smallest time; give a number between 0 and 1, such as 0.001")


def _check_rank(rank: int, world: int) -> None:
    if not 0 <= rank < world:
        raise ValueError(
            f"times.rank={rank} and times.world={world}: give the number of this process, 0 the first, and how many "
            "there are"
        )
