"""What becomes of the carry between two passes: noise is put on it, or it is forgotten, or it is all that changes.

Decides what the next pass has in mind, never what stands on the canvas. A carry is any pytree; noise goes on its
floating-point tensors, and what it holds beside them is handed on.
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import tree_flatten, tree_unflatten

from dlmreason.canvas import Canvas, Clock, Memory, Move, Noise, Policy, Reading, rows_like
from dlmreason.policies.annealed import along
from dlmreason.policies.facts import Facts, facts_of
from dlmreason.policies.respond import moved, opening


@dataclass(frozen=True)
class NoisyCarry:
    """The inner policy, with Gaussian noise on the carry that it hands on, fresh on every pass and annealed to none
    [timestep-free diffusion solver, arXiv:2609.01449].

    scale: standard deviation of the noise at the first pass, where there is nothing carried yet; in units of the carry,
    whose numbers are normed to a mean square of about 1.  until: share of the passes after which there is none, in
    (0, 1]; up to there it falls linearly.

    It plans for its total: inside `Episodes` each episode begins noisy. It stands around what writes, inside whatever
    begins again or tests, so that a question of theirs keeps the first carry as it is.
    Deviation: there the noise goes on a continuous state that is canvas and carry in one, here on the carry alone.
    """

    inner: Policy
    scale: float = 1.0
    until: float = 0.6

    def __post_init__(self) -> None:
        if not 0 <= self.scale < float("inf"):
            raise ValueError(
                f"scale={self.scale} is the size of the noise against the carry: give 0, which adds none, or more"
            )
        if not 0 < self.until <= 1:
            raise ValueError(
                f"until={self.until} is the share of the passes that are noisy: give a number above 0 and at most 1"
            )
        _ = self.facts

    @property
    def anytime(self) -> bool:
        return False

    @property
    def facts(self) -> Facts:
        return facts_of(self.inner) + Facts(streams=("soft",), needs=frozenset({"carry"}))

    def init(self, canvas: Canvas, clock: Clock, noise: Noise) -> Move:
        return self.inner.init(canvas, self._inner_clock(clock), noise)

    def __call__(self, canvas: Canvas, reading: Reading, clock: Clock, memory: Memory, noise: Noise) -> Move:
        move = self.inner(canvas, reading, self._inner_clock(clock), memory, noise)
        # Of the pass that will read it; what settles is clamped before it is added.
        assert clock.total is not None, "a policy that is not anytime is given the total"
        reads = clock.index + move.wake.clamp(max=clock.total)
        size = self.scale * (1 - along(reads, clock) / self.until).clamp(min=0)
        return move._replace(ask=move.ask._replace(carry=_with_noise(move.ask.carry, size, noise)))

    def _inner_clock(self, clock: Clock) -> Clock:
        return Clock(clock.index, None) if self.inner.anytime else clock


def _with_noise(carry: Any, size: Tensor, noise: Noise) -> Any:
    """A carry plus `size` [B] float64 times standard Gaussian noise; rows of size 0 are handed on byte for byte."""
    leaves, form = tree_flatten(carry)
    flat = {place: leaf.reshape(len(leaf), -1) for place, leaf in enumerate(leaves) if leaf.is_floating_point()}
    if not flat:
        return carry
    # Of all tensors at once: two draws of one stream would be the same numbers.
    drawn = noise.normal(torch.cat(list(flat.values()), 1), "soft").split([each.shape[1] for each in flat.values()], 1)
    for (place, each), part in zip(flat.items(), drawn, strict=True):
        noisy = (each.double() + rows_like(size, each) * part).to(each.dtype)
        leaves[place] = torch.where(rows_like(size, each) > 0, noisy, each).reshape(leaves[place].shape)
    return tree_unflatten(leaves, form)


@dataclass(frozen=True)
class Forgetful:
    """The inner policy, whose every pass reads the first carry: the control for whatever a carry does."""

    inner: Policy

    @property
    def anytime(self) -> bool:
        return self.inner.anytime

    @property
    def facts(self) -> Facts:
        return facts_of(self.inner)

    def init(self, canvas: Canvas, clock: Clock, noise: Noise) -> Move:
        return _forgotten(self.inner.init(canvas, clock, noise), canvas)

    def __call__(self, canvas: Canvas, reading: Reading, clock: Clock, memory: Memory, noise: Noise) -> Move:
        return _forgotten(self.inner(canvas, reading, clock, memory, noise), canvas)


def _forgotten(move: Move, canvas: Canvas) -> Move:
    return move._replace(ask=move.ask._replace(carry=canvas.carry))


@dataclass(frozen=True)
class Reread:
    """The canvas that it begins with, read for ever: nothing changes but the carry, and what is said of the blanks. The
    control that thinks and never writes.

    `FixedPoint` around it ends when nothing changes any more.
    """

    @property
    def anytime(self) -> bool:
        return True

    @property
    def facts(self) -> Facts:
        return Facts(needs=frozenset({"carry", "masks"}))

    def init(self, canvas: Canvas, clock: Clock, noise: Noise) -> Move:
        return opening(canvas)

    def __call__(self, canvas: Canvas, reading: Reading, clock: Clock, memory: Memory, noise: Noise) -> Move:
        return moved(canvas, reading, canvas.tokens, memory)
