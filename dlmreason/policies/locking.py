"""Hold on to tokens that were right for long, so that a walk does not wander away from what it has.

Decides which tokens are locked; to the policy inside, a locked token is one that the task gave.
"""

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from dlmreason.canvas import Canvas, Clock, Memory, Move, Noise, Policy, Reading
from dlmreason.policies.facts import Facts, facts_of, require_no_judge
from dlmreason.policies.respond import level
from dlmreason.policies.scores import quality_of


class _Locks(NamedTuple):
    inner: Memory
    sure: Tensor  # [B, L] int64, readings in a row in which this token stood and was at least of the quality


@dataclass(frozen=True)
class Locked:
    """A token of at least `quality` in `passes` readings in a row is not rewritten any more.

    quality: in (0, 1].  A reading that hides the token says nothing of it.  The inner policy sees locked tokens as
    given ones, so that none of it, its probes neither, touches them; a restart outside unlocks all, one inside erases
    the others only. Where something is locked the level of a question is the share written.
    """

    inner: Policy
    quality: float
    passes: int

    def __post_init__(self) -> None:
        require_no_judge(self.inner, "Locked", "hides its tokens from a judge inside, whose scores would not compare")
        if not 0 < self.quality <= 1:
            raise ValueError(
                f"quality={self.quality}: a token's quality is a chance, give a bound above 0 and at most 1"
            )
        if self.passes < 1:
            raise ValueError(f"passes={self.passes}: a token stands 1 reading or more before it is locked")

    @property
    def anytime(self) -> bool:
        return self.inner.anytime

    @property
    def facts(self) -> Facts:
        return facts_of(self.inner) + Facts(needs=frozenset({"quality"}))

    def init(self, canvas: Canvas, clock: Clock, noise: Noise) -> Move:
        move = self.inner.init(canvas, clock, noise)
        return move._replace(memory=_Locks(move.memory, torch.zeros_like(canvas.tokens)))

    def __call__(self, canvas: Canvas, reading: Reading, clock: Clock, memory: _Locks, noise: Noise) -> Move:
        shown = (reading.of.tokens == canvas.tokens) & (canvas.tokens != canvas.mask_id)
        good = quality_of(reading).double() >= self.quality
        sure = torch.where(shown, torch.where(good, memory.sure + 1, 0), memory.sure)
        locked = (sure >= self.passes) & canvas.editable

        fenced = canvas._replace(editable=canvas.editable & ~locked)
        move = self.inner(fenced, reading, clock, memory.inner, noise)
        # A policy that planned this token's next event before it was locked may still write it.
        tokens, answer, asked = (
            torch.where(locked, canvas.tokens, each) for each in (move.tokens, move.answer, move.ask.tokens)
        )
        share = torch.where(locked.any(-1), level(asked, canvas), move.ask.level)
        ask = move.ask._replace(tokens=asked, level=share)
        still = torch.where(tokens == canvas.tokens, sure, 0)
        return move._replace(tokens=tokens, answer=answer, ask=ask, memory=_Locks(move.memory, still))
