"""How often a committed token is taken back: the one number in which the published remasking samplers differ.

A sigma sees the two ends of a pass, never a canvas; `phases.py` has the combinators that let one act for a while.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import torch
from torch import Tensor


class Schedule(Protocol):
    """alpha(t): the share still clean at time t in [0, 1], falling from 1 to 0; float64 in, float64 out."""

    def alpha(self, t: Tensor) -> Tensor: ...


class Span(NamedTuple):
    """The two ends of passes, s the cleaner. All float64, of one shape."""

    t: Tensor
    s: Tensor
    alpha_t: Tensor
    alpha_s: Tensor


Sigma = Callable[[Span], Tensor]
"""The chance that a committed token is taken back in each pass, at most `sigma_max`; float64, of the span's shape."""


def _of_committed(part: Tensor, alpha_t: Tensor) -> Tensor:
    """part / alpha_t; where nothing is committed yet, more than any chance unless `part` is 0, and never 0/0."""
    return part / alpha_t.clamp(min=1e-300)


def sigma_max(span: Span) -> Tensor:
    """The largest chance of remasking that keeps the marginals [ReMDM, arXiv:2503.00307, sec. 3]."""
    return _of_committed(1 - span.alpha_s, span.alpha_t).clamp(max=1.0)


def never(span: Span) -> Tensor:
    """Committed tokens stay: MDLM's ancestral sampler."""
    return torch.zeros_like(span.alpha_t)


@dataclass(frozen=True)
class Cap:
    """Remask with at most `eta` a pass [ReMDM, arXiv:2503.00307, "max-capped"]. 0 <= eta <= 1."""

    eta: float

    def __post_init__(self) -> None:
        _require_chance(self.eta)

    def __call__(self, span: Span) -> Tensor:
        return sigma_max(span).clamp(max=self.eta)


@dataclass(frozen=True)
class CapInAll:
    """Remask with at most `times` / T in each of T equal passes: a token is taken back about `times` times in all,
    however many passes there are. `times` is finite and at least 0.

    `Cap` with an eta that shrinks as the passes grow, without which the walk keeps a floor of error [ReMDM,
    arXiv:2503.00307, "max-capped", with eta = times / T].
    """

    times: float

    def __post_init__(self) -> None:
        if not 0 <= self.times < float("inf"):
            raise ValueError(
                f"times={self.times} is how often a token may be taken back in all: give a finite number from 0"
            )

    def __call__(self, span: Span) -> Tensor:
        return torch.minimum(self.times * (span.t - span.s), sigma_max(span))


@dataclass(frozen=True)
class Rescale:
    """Remask with `eta` times the largest chance [ReMDM, arXiv:2503.00307, "rescaled"]. 0 <= eta <= 1."""

    eta: float

    def __post_init__(self) -> None:
        _require_chance(self.eta)

    def __call__(self, span: Span) -> Tensor:
        return self.eta * sigma_max(span)


@dataclass(frozen=True)
class Corrector:
    """Remask `b_t` times as much as forward noise would, b_t = scale (t (1 - t))^power.

    scale = 1, power = 0 is the forward-backward corrector [Campbell et al., arXiv:2205.14987]; scale = 10, power = 1/4
    is the one of discrete flow matching [DFM, arXiv:2407.15595, app. D], whose a_t is 1 + b_t. Both finite and at
    least 0.

    Deviation: at most `sigma_max`. On the last pass the plain formula would write a blank with chance 1 + b_t; the
    published code draws from those numbers [ReMDM], or takes more and shorter passes there [DFM].
    """

    scale: float = 1.0
    power: float = 0.0

    def __post_init__(self) -> None:
        for name, value in (("scale", self.scale), ("power", self.power)):
            if not 0 <= value < float("inf"):
                raise ValueError(
                    f"{name}={value} must be finite and not negative: scale=1, power=0 is forward-backward"
                )

    def __call__(self, span: Span) -> Tensor:
        strength = self.scale * (span.t * (1 - span.t)) ** self.power
        return torch.minimum(strength * _of_committed(span.alpha_s - span.alpha_t, span.alpha_t), sigma_max(span))


def _require_chance(eta: float) -> None:
    if not 0 <= eta <= 1:
        raise ValueError(f"eta={eta} is a chance: give a number from 0 to 1")
