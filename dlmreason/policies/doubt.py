"""Take tokens back from a full canvas and write them anew.

Decides which tokens of a full canvas are doubted; how the blanks are filled again is the refill's business. It needs no
memory: a canvas with blanks is refilled, a full one is doubted.
"""

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from dlmreason.canvas import Canvas, Clock, Memory, Move, Noise, Reading, place
from dlmreason.policies.facts import Facts, facts_of
from dlmreason.policies.ordered import Ordered
from dlmreason.policies.respond import moved, opening
from dlmreason.policies.scores import quality_of, standing


class Select(Protocol):
    """Which written tokens are doubted: (canvas, reading, noise) -> [B, L] bool."""

    @property
    def facts(self) -> Facts: ...

    def __call__(self, canvas: Canvas, reading: Reading, noise: Noise) -> Tensor: ...


@dataclass(frozen=True)
class LowestQuality:
    """Doubt the `count` tokens of lowest quality [PRISM, arXiv:2510.01384].

    noisy: True draws them with a chance proportional to 1 - quality, without replacement; False takes the lowest, which
    may doubt the same tokens for ever.
    """

    count: int
    noisy: bool = True

    def __post_init__(self) -> None:
        _require_count(self.count)

    @property
    def facts(self) -> Facts:
        return Facts(streams=("doubt",) if self.noisy else (), needs=frozenset({"quality"}))

    def __call__(self, canvas: Canvas, reading: Reading, noise: Noise) -> Tensor:
        return _likely_wrong(quality_of(reading), self.count, self.noisy, canvas, noise)


@dataclass(frozen=True)
class LowestConfidence:
    """Doubt the `count` tokens that the network itself would least write where they stand, given all tokens.

    It needs no quality head, but reads the network at visible tokens; see `scores.standing`.  noisy: as in
    `LowestQuality`, by 1 - p(the token there).
    """

    count: int
    noisy: bool = True

    def __post_init__(self) -> None:
        _require_count(self.count)

    @property
    def facts(self) -> Facts:
        return Facts(streams=("doubt",) if self.noisy else ())

    def __call__(self, canvas: Canvas, reading: Reading, noise: Noise) -> Tensor:
        return _likely_wrong(standing(canvas, reading).exp(), self.count, self.noisy, canvas, noise)


@dataclass(frozen=True)
class AtRandom:
    """Doubt `count` tokens drawn evenly: the control for every learned choice. 0 doubts none."""

    count: int

    def __post_init__(self) -> None:
        _require_count(self.count)

    @property
    def facts(self) -> Facts:
        return Facts(streams=("doubt",) if self.count else ())

    def __call__(self, canvas: Canvas, reading: Reading, noise: Noise) -> Tensor:
        if self.count == 0:
            return torch.zeros_like(canvas.editable)
        there = canvas.written
        even = torch.where(there, 0.0, -torch.inf).double()
        return (noise.rank(even, "doubt") < self.count) & there


@dataclass(frozen=True)
class Doubt:
    """A full canvas is doubted where `select` says, a canvas with blanks is filled by `refill`. Never settles by
    itself."""

    select: Select
    refill: Ordered

    def __post_init__(self) -> None:
        _ = self.facts  # refuses a stream drawn twice
        if not self.refill.anytime:
            raise ValueError(
                "Doubt fills again and again and so has no total to share blanks over: give its refill a `count`"
            )

    @property
    def anytime(self) -> bool:
        return True

    @property
    def facts(self) -> Facts:
        return facts_of(self.refill) + self.select.facts + Facts(revises=True)

    def init(self, canvas: Canvas, clock: Clock, noise: Noise) -> Move:
        return opening(canvas)

    def __call__(self, canvas: Canvas, reading: Reading, clock: Clock, memory: Memory, noise: Noise) -> Move:
        filled = self.refill.write(canvas, reading, clock, noise)
        taken_back = torch.where(self.select(canvas, reading, noise), canvas.mask_id, canvas.tokens)
        blank_left = canvas.masked.any(-1, keepdim=True)
        # Awake also when the last blank is written: that canvas is still to be read and doubted.
        return moved(canvas, reading, torch.where(blank_left, filled, taken_back), memory)


def _likely_wrong(right: Tensor, count: int, noisy: bool, canvas: Canvas, noise: Noise) -> Tensor:
    """[B, L] bool: `count` written tokens, by the chance `right` [B, L] that each is right, low ones first."""
    wrong, there = torch.log1p(-right.double().clamp(max=1 - 1e-9)), canvas.written
    score = torch.where(there, wrong, -torch.inf)
    order = noise.rank(score, "doubt") if noisy else place(score)
    return (order < count) & there


def _require_count(count: int) -> None:
    if count < 0:
        raise ValueError(f"count={count}: the number of tokens to doubt must be 0 or more")
