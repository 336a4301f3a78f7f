"""How many blanks a pass writes.

A count is handed the blanks in the order in which they would be written and says how long a beginning of it is written
now: at least one blank, so that every pass goes on. It decides neither the order nor the tokens, so any count goes with
any order; a rule on "the n surest" means the first n of the order, and its bound is that of the least sure among them.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from dlmreason.canvas import Canvas, Clock, Reading
from dlmreason.policies.scores import confidence, entropy

Kappa = Callable[[Tensor], Tensor]
"""Share of the passes made, in (0, 1], to the share of the answer that is written then: rising, 1 at 1; float64."""


class Count(Protocol):
    """(canvas, reading, places, clock) -> [B] int64: how many of the first blanks are written now; at least 1."""

    @property
    def anytime(self) -> bool:
        """False: it reads the clock's total."""
        ...

    def __call__(self, canvas: Canvas, reading: Reading, places: Tensor, clock: Clock) -> Tensor:
        """places: [B, L] int64, each position's place in the order; the blanks that may be written come first."""
        ...


def linear(t: Tensor) -> Tensor:
    """kappa(t) = t: as many tokens on each pass."""
    return t


def cosine(t: Tensor) -> Tensor:
    """kappa(t) = 1 - cos(pi t / 2): few tokens at first, many at the end [MaskGIT, arXiv:2202.04200, sec. 3.3]."""
    return 1 - torch.cos(t * (math.pi / 2))


KAPPAS: dict[str, Kappa] = {"linear": linear, "cosine": cosine}


def written_by(kappa: Kappa, canvas: Canvas, clock: Clock) -> Tensor:
    """[B] int64: how many editable positions hold a token after this pass, ceil(kappa N); all N after the last."""
    assert clock.total is not None, "a policy that is not anytime is given the total"
    size = canvas.editable.sum(-1)
    made = ((clock.index + 1).double() / clock.total).clamp(max=1)
    # The rounding of a product must not lift a whole number to the next one.
    return (kappa(made) * size - 1e-9).ceil().long().clamp(min=0).minimum(size)


@dataclass(frozen=True)
class Fixed:
    """`count` blanks on every pass; at least 1."""

    count: int

    def __post_init__(self) -> None:
        if self.count < 1:
            raise ValueError(
                f"count={self.count}: a pass must write at least 1 blank: give 1 or more, or null for an even share"
            )

    @property
    def anytime(self) -> bool:
        return True

    def __call__(self, canvas: Canvas, reading: Reading, places: Tensor, clock: Clock) -> Tensor:
        return torch.full_like(clock.index, self.count)


@dataclass(frozen=True)
class EvenShare:
    """The blanks shared over the passes left, early passes taking the remainder [LLaDA, arXiv:2502.09992]."""

    @property
    def anytime(self) -> bool:
        return False

    def __call__(self, canvas: Canvas, reading: Reading, places: Tensor, clock: Clock) -> Tensor:
        assert clock.total is not None, "a policy that is not anytime is given the total"
        passes_left = (clock.total - clock.index).clamp(min=1)
        return -(-canvas.masked.sum(-1) // passes_left)


@dataclass(frozen=True)
class Scheduled:
    """As many as bring the written share of the answer to `kappa` [MaskGIT, arXiv:2202.04200, sec. 3.3]."""

    kappa: Kappa = linear

    @property
    def anytime(self) -> bool:
        return False

    def __call__(self, canvas: Canvas, reading: Reading, places: Tensor, clock: Clock) -> Tensor:
        standing = canvas.written.sum(-1)
        return (written_by(self.kappa, canvas, clock) - standing).clamp(min=1)


@dataclass(frozen=True)
class EntropyBounded:
    """The first blanks whose entropies, less the largest of them, sum to at most `gamma` nats [EB-Sampler,
    arXiv:2505.24857].

    The sum bounds the information that writing them independently ignores. gamma: 0 or more; 0 writes one blank, and
    those that are certain; infinity writes all.
    """

    gamma: float

    def __post_init__(self) -> None:
        if not self.gamma >= 0:
            raise ValueError(f"gamma={self.gamma} is a bound on entropy in nats: give 0 or more")

    @property
    def anytime(self) -> bool:
        return True

    def __call__(self, canvas: Canvas, reading: Reading, places: Tensor, clock: Clock) -> Tensor:
        nats = in_order(-entropy(canvas, reading), places).clamp(min=0)
        ignored = nats.cumsum(-1) - nats.cummax(-1).values
        return (ignored <= self.gamma).sum(-1).clamp(min=1)


@dataclass(frozen=True)
class Threshold:
    """The first blanks whose highest probability is at least `threshold` [Fast-dLLM, arXiv:2505.22618, sec. 3.3].

    threshold: 0 or more; 0 writes all, above 1 one a pass.
    """

    threshold: float

    def __post_init__(self) -> None:
        if not 0 <= self.threshold < math.inf:
            raise ValueError(
                f"threshold={self.threshold} is a probability: give 0 or more; above 1 it writes one blank a pass"
            )

    @property
    def anytime(self) -> bool:
        return True

    def __call__(self, canvas: Canvas, reading: Reading, places: Tensor, clock: Clock) -> Tensor:
        return (_least_sure(canvas, reading, places) >= self.threshold).sum(-1).clamp(min=1)


@dataclass(frozen=True)
class Factor:
    """The most blanks n with (n + 1) (1 - p) < `factor`, p the least highest probability among them [Fast-dLLM,
    arXiv:2505.22618, sec. 3.3].

    Where (n + 1) (1 - p) is at most 1, writing n tokens greedily at once is what writing them one by one gives (theorem
    1 there). factor: 0 or more; towards 0 it writes one blank a pass, and those that are certain.
    """

    factor: float

    def __post_init__(self) -> None:
        if not 0 <= self.factor < math.inf:
            raise ValueError(f"factor={self.factor} bounds (n + 1) (1 - p): give a finite number, 0 or more, such as 1")

    @property
    def anytime(self) -> bool:
        return True

    def __call__(self, canvas: Canvas, reading: Reading, places: Tensor, clock: Clock) -> Tensor:
        sure = _least_sure(canvas, reading, places)
        more = torch.arange(2, sure.shape[-1] + 2, device=sure.device)
        return (more * (1 - sure) < self.factor).sum(-1).clamp(min=1)


def count_of(count: "int | Count | None") -> Count:
    """The count that a plain setting means: a number, `Fixed`; None, `EvenShare`. Raises: ValueError for neither."""
    if count is None:
        return EvenShare()
    if isinstance(count, int) and not isinstance(count, bool):
        return Fixed(count)
    if not callable(count):
        raise ValueError(f"count={count!r}: give a number, null for an even share, or a count such as counts.Threshold")
    return count


def in_order(values: Tensor, places: Tensor) -> Tensor:
    """`values` [B, L] in the order that `places` [B, L] int64 says, the first place first."""
    return torch.empty_like(values).scatter_(-1, places, values)


def _least_sure(canvas: Canvas, reading: Reading, places: Tensor) -> Tensor:
    """[B, L] float64: the least of the highest probabilities of the first 1, 2, ... blanks; never rises."""
    return in_order(confidence(canvas, reading).exp(), places).cummin(-1).values
