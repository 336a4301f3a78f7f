"""Training a network to read what it had in mind a pass before, so that a policy may hand it on from pass to pass.

This file decides what carry a network is trained with: its own, of passes without gradient over the same canvas. Which
loss is trained stays the inner objective's: it calls a network of tokens and features as always, and that network
makes the earlier passes itself. It knows no policy and no shape of network.
"""

from dataclasses import dataclass
from typing import Protocol, cast

import torch
from torch import Tensor

from dlmreason.diffusion.corruption import coins
from dlmreason.diffusion.objectives import Batch, Forwards, Loss, Network, Objective, Said, Staged, Taught, taught_by
from dlmreason.diffusion.quality import Judging, judging_of


class Thought(Said, Protocol):
    """What a network that carries says."""

    @property
    def hidden(self) -> Tensor:
        """[B, L, width], the carry of the next pass."""
        ...


class Carrier(Protocol):
    """A network that reads a carry; `carries` tells it from one that does not."""

    @property
    def carries(self) -> bool: ...

    def __call__(self, tokens: Tensor, features: Tensor, *, carry: Tensor | None = None) -> Thought: ...


def carrier(network: object, otherwise: str) -> Carrier:
    """The network as one that carries. Raises: ValueError where it takes no carry; otherwise: what else helps."""
    if not getattr(network, "carries", False):
        raise ValueError(
            "the objective trains a carry, and this network takes none: give it the shape carry=true, " + otherwise
        )
    return cast(Carrier, network)


@dataclass(frozen=True)
class SelfConditioned:
    """The inner loss of a network that, in a share `chance` of the rows, reads its own carry [Analog Bits,
    arXiv:2208.04202, sec. 3.1].

    chance: of a row, one coin for all passes of an update, in [0, 1); its other rows read zeros, as every first pass
    does, which is why 1 is refused. 0 is the inner loss itself.  depth: passes without gradient that make the carry,
    each over the same canvas with the carry of the last, the first with zeros; 1 is plain self-conditioning, more is
    fixed-point forcing [Flow Reasoning Models, arXiv:2606.29150, which has 16], for which the source first trains a
    stage of depth 1. No gradient goes through a carry.

    Every pass of the inner objective is carried so, those of its own samples and of its quality head too; so this goes
    around the whole objective. A batch is computed whole, whatever its coins: each pass costs `depth` more.

    Deviation: the carry is the hidden state, normed, not the prediction, which for tokens would be V numbers a position
    in place of the width. In the source of fixed-point forcing the sampler moves the canvas between the passes, and the
    loss is of a canvas drawn apart; here they all read the canvas of the loss.
    """

    inner: Objective
    chance: float = 0.5
    depth: int = 1

    def __post_init__(self) -> None:
        if isinstance(self.inner, Staged):
            raise ValueError("SelfConditioned.inner has stages: use self_conditioned, which goes into each of them")
        if taught_by(self.inner).carry:
            raise ValueError(f"SelfConditioned.inner={self.inner!r} has its carry already: leave one of the two out")
        if not 0 <= self.chance < 1:
            raise ValueError(
                f"objective.chance={self.chance} is the share of rows that read a carry: give 0 or more and below 1, "
                "so that the first pass, which has none, is trained too"
            )
        if self.depth < 1:
            raise ValueError(f"objective.depth={self.depth} is how many passes make the carry: give 1 or more")

    @property
    def teaches(self) -> Taught:
        return taught_by(self.inner)._replace(carry=self.chance > 0)

    @property
    def judging(self) -> Judging | None:
        return judging_of(self.inner)

    @property
    def forwards(self) -> Forwards:
        trained, untrained = self.inner.forwards
        earlier = self.depth * (trained + untrained) if self.teaches.carry else 0
        return Forwards(trained, untrained + earlier)

    def __call__(self, network: Network, batch: Batch, generator: torch.Generator) -> Loss:
        """Raises: ValueError for a network that takes no carry, before it is called."""
        if not self.teaches.carry:
            return self.inner(network, batch, generator)
        reads = carrier(network, "put SelfConditioned outermost, or choose the inner objective alone")
        first = batch.tokens[:, :1, None]
        chance = torch.full_like(first, self.chance, dtype=torch.float64)
        recalling = _Recalling(reads, coins(chance, first, generator), self.depth)
        return self.inner(recalling, batch, generator)


@dataclass(frozen=True)
class _Recalling:
    """A carrying network as one of tokens and features, which makes the passes before this one itself."""

    network: Carrier
    remembers: Tensor  # [B, 1, 1] bool
    depth: int

    def __call__(self, tokens: Tensor, features: Tensor) -> Said:
        carry = None
        with torch.no_grad():
            for _ in range(self.depth):
                carry = self.network(tokens, features, carry=carry).hidden
        assert carry is not None, "depth is 1 or more"
        times = len(tokens) // len(self.remembers)  # a target may show each row several times, the whole batch after it
        return self.network(tokens, features, carry=torch.where(self.remembers.repeat(times, 1, 1), carry, 0.0))


def self_conditioned(inner: Objective | Staged, chance: float = 0.5, depth: int = 1) -> Objective | Staged:
    """The inner objective, or each stage of it, `SelfConditioned`."""
    if isinstance(inner, Staged):
        return Staged([(share, SelfConditioned(stage, chance, depth)) for share, stage in inner.stages])
    return SelfConditioned(inner, chance, depth)
