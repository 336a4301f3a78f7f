"""Noise schedules, and the times at which a batch is corrupted.

This file decides how much of a text is still clean at time t, what that time weighs in the likelihood bound, and how
the times of a batch are spread over (0, 1]. It knows no token and no network. Everything here is float64: schedule
increments at 100,000 passes lose 5e-3 in float32.
"""

import math
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor


class Schedule(Protocol):
    """The share of a text that is still clean, over time t: 1 at t = 0, 0 at t = 1, falling."""

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


class Times(Protocol):
    """The times of a batch."""

    def __call__(self, rows: int, generator: torch.Generator) -> Tensor:
        """[rows] float64 in [eps, 1], on the generator's device."""
        ...


def _uniform(rows: int, generator: torch.Generator) -> Tensor:
    return torch.rand(rows, generator=generator, dtype=torch.float64, device=generator.device)


def _strata(rows: int, generator: torch.Generator) -> Tensor:
    return torch.arange(rows, dtype=torch.float64, device=generator.device) / rows


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
    """One time in each of `rows` equal strata, each drawn by itself [MDLM, arXiv:2406.07524]."""

    eps: float = 1e-3

    def __post_init__(self) -> None:
        _check_eps(self.eps)

    def __call__(self, rows: int, generator: torch.Generator) -> Tensor:
        return _raised(_uniform(rows, generator) / rows + _strata(rows, generator), self.eps)


@dataclass(frozen=True)
class LowDiscrepancy:
    """One time in each of `rows` equal strata, evenly spaced, one draw for all [GIDD, arXiv:2503.04482].

    Deviation: stratified over the rows of one process; runs of several devices would have to share the draw.
    """

    eps: float = 1e-3

    def __post_init__(self) -> None:
        _check_eps(self.eps)

    def __call__(self, rows: int, generator: torch.Generator) -> Tensor:
        shift = _uniform(1, generator)
        return _raised((shift + _strata(rows, generator)) % 1, self.eps)


def _raised(u: Tensor, eps: float) -> Tensor:
    """Times in [eps, 1] from `u` in [0, 1): the weight has a pole at t = 0."""
    return eps + (1 - eps) * u


def _check_eps(eps: float) -> None:
    if not 0 < eps < 1:
        raise ValueError(f"times.eps={eps} is the smallest time; give a number between 0 and 1, such as 0.001")
