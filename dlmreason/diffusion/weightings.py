"""What a position's loss counts for: factors to be multiplied, and what the sum is divided by.

This file decides no loss. `Weighting` is for cross-entropy under masks, its factors functions of the time and of the
loss itself; `Clipped` and `Dynamic` are for the bound under any noise. Weights leave a loss no bound on the likelihood;
objectives report the bound beside them. Shape letters: B rows, L positions, V outputs.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple, Protocol, get_args

import torch
from torch import Tensor

from dlmreason.diffusion.corruption import Shares
from dlmreason.diffusion.schedules import Schedule

Mean = Literal["editable", "masked", "rows"]


class Factor(Protocol):
    def __call__(self, nats: Tensor, t: Tensor, schedule: Schedule) -> Tensor:
        """A factor for each position, [B, L] or [B, 1].

        nats: [B, L] cross-entropy where masked, else 0.  t: [B] float64.
        """
        ...


@dataclass(frozen=True)
class Bound:
    """The weight of time t in the NELBO, which makes a bound of the mean over editable positions."""

    def __call__(self, nats: Tensor, t: Tensor, schedule: Schedule) -> Tensor:
        return schedule.weight(t).to(nats.dtype)[:, None]


@dataclass(frozen=True)
class Focal:
    """scale (1 - p)^gamma for a token that the network gives the chance p: what is known counts less.

    The token weight of MGDM [arXiv:2410.14157], there with scale .25 and gamma 1 for puzzles, 2 by default. The factor
    is a function of the weights too, and gradient goes through it, as in the source. gamma: 0 or more; 0 is `scale`.
    """

    gamma: float = 1.0
    scale: float = 0.25

    def __post_init__(self) -> None:
        if not 0 <= self.gamma < math.inf:
            raise ValueError(f"weighting.gamma={self.gamma} must be 0 or more; 0 weighs all tokens alike")
        if not 0 < self.scale < math.inf:
            raise ValueError(f"weighting.scale={self.scale} must be above 0, such as 0.25")

    def __call__(self, nats: Tensor, t: Tensor, schedule: Schedule) -> Tensor:
        # Kept above 0, where a power below 1 has no finite slope; the loss that it multiplies is 0 there.
        missed = (-torch.expm1(-nats)).clamp(min=torch.finfo(nats.dtype).tiny)
        return self.scale * missed**self.gamma


@dataclass(frozen=True)
class Falling:
    """levels (1 - t) + 1: from `levels` + 1 down to 1, the less is masked the more it counts [MGDM, arXiv:2410.14157].

    The "linear" time weight of the source, T - t over its t = 0 .. T - 1, which is our levels t - 1. Its "original",
    1 / (t + 1), is `Bound` over `levels`.
    """

    levels: int = 20

    def __post_init__(self) -> None:
        if self.levels < 1:
            raise ValueError(f"weighting.levels={self.levels} must be a whole number from 1, as for the times")

    def __call__(self, nats: Tensor, t: Tensor, schedule: Schedule) -> Tensor:
        return (self.levels * (1 - t) + 1).to(nats.dtype)[:, None]


@dataclass(frozen=True)
class Weighting:
    """The product of `factors` times the loss, summed and divided.

    mean: by all editable positions of the batch, by the masked ones, or "rows": by each row's editable positions, and
    then by the rows, so that a long answer counts as much as a short one [LLaDA, arXiv:2502.09992].
    """

    factors: Sequence[Factor] = ()
    mean: Mean = "editable"

    def __post_init__(self) -> None:
        if self.mean not in get_args(Mean):
            raise ValueError(f"weighting.mean={self.mean!r} is unknown: choose {', '.join(get_args(Mean))}")
        object.__setattr__(self, "factors", tuple(self.factors))

    def __call__(
        self,
        nats: Tensor,
        t: Tensor,
        schedule: Schedule,
        masked: Tensor,
        editable: Tensor,
        counts: Tensor | None = None,
    ) -> Tensor:
        """A scalar. masked, editable: [B, L] bool, the first a part of the second; see `Factor` for the rest.

        counts: [B, L], how many times each position counts, in the sum and among the masked ones; None is once.
        """
        weighed = nats
        for factor in self.factors:
            weighed = factor(nats, t, schedule) * weighed
        if counts is not None:
            weighed = counts.to(nats.dtype) * weighed
        if self.mean == "rows":
            return (weighed.sum(1) / count(editable, dim=1)).mean()
        if self.mean == "masked" and counts is not None:
            return weighed.sum() / torch.where(masked, counts, 0).sum().clamp(min=1)
        return weighed.sum() / count(editable if self.mean == "editable" else masked)


NELBO = Weighting((Bound(),), "editable")
PLAIN = Weighting((), "masked")


class Noised(NamedTuple):
    """What is known of each position when the bound under any noise is weighed."""

    bound: Tensor  # [B, L] float64, its weight in the NELBO
    masked: Tensor  # [B, L] bool
    right: Tensor  # [B, L] bool: the token there is the right one, kept or drawn
    shares: Shares
    outputs: int  # V


class NoiseWeight(Protocol):
    def __call__(self, noised: Noised) -> Tensor:
        """[B, L] float64."""
        ...


@dataclass(frozen=True)
class Clipped:
    """The weight of the bound, kept between `lowest` and `highest` [GIDD, arXiv:2503.04482]."""

    lowest: float = 0.0
    highest: float = 2.0

    def __post_init__(self) -> None:
        _check_clip(self.lowest, self.highest)

    def __call__(self, noised: Noised) -> Tensor:
        return noised.bound.clamp(self.lowest, self.highest)


@dataclass(frozen=True)
class Dynamic:
    """2 for a mask, 1 for a wrong token, and for a right one uniform / (V clean), clipped [GIDD, arXiv:2503.04482].

    These are the bound's weights in units of that of a wrong token, at gamma = 1 and V large: what they leave out is
    how the bound weighs one time against another. uniform / clean is B e^(-gamma lambda / 2), lambda the log odds of
    1 - t.

    Deviation: the released code has e^(gamma lambda / 2) with the sigmoid of -t for lambda, and counts the mask in V.
    """

    lowest: float = 0.0
    highest: float = 2.0

    def __post_init__(self) -> None:
        _check_clip(self.lowest, self.highest)

    def __call__(self, noised: Noised) -> Tensor:
        right = (noised.shares.uniform / noised.shares.clean / noised.outputs)[:, None]
        weight = torch.where(noised.masked, 2.0, torch.where(noised.right, right, 1.0))
        return weight.clamp(self.lowest, self.highest)


def _check_clip(lowest: float, highest: float) -> None:
    if not 0 <= lowest < highest:
        raise ValueError(
            f"weighting.lowest={lowest} and weighting.highest={highest}: weights are clipped to between them; the "
            "first must be 0 or more and below the second"
        )


def count(where: Tensor, dim: int | None = None) -> Tensor:
    """How many hold, and at least one: a batch with nothing masked has the loss 0, not 0 / 0."""
    return (where.sum() if dim is None else where.sum(dim)).clamp(min=1)
