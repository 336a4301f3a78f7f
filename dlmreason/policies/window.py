"""A long answer in blocks, one after another: a window moves along it, and to the policy inside what lies beyond is
given.

Decides where the window is and when it moves on. What is written or doubted inside belongs to the policy there, which
lives on a clock of its own in each place of the window.
"""

from dataclasses import dataclass
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from dlmreason.canvas import NEVER, Canvas, Clock, Memory, Move, Noise, Policy, Reading, block_numbers, choose
from dlmreason.policies.facts import Facts, facts_of
from dlmreason.policies.respond import filled, level, unjudged

REACH: dict[str, int] = {"none": 0, "one": 1, "all": NEVER}
"""How many blocks before the one under way may be edited again."""


class _Place(NamedTuple):
    inner: Memory
    index: Tensor  # type: ignore[assignment]  # [B] int64, the inner clock
    block: Tensor  # [B] int64, the block under way


@dataclass(frozen=True)
class Window:
    """The inner policy in one block after another, `passes` passes in each at most; what it answers there stays (design
    of this project).

    size: positions of a block.  passes: an inner policy that settles earlier moves on at once.  reopen: blocks before
    the one under way that may be edited again: "none" of them, "one" or "all"; the window is as much longer.
    by_position: blocks are counted from position 0, given or not, as a network in blocks has them; else editable
    positions are counted.

    It begins at the first block with a blank. Settles after the last block, and where texts end in a token of their
    own, after the first one that leaves such a token before it or in it. Blanks beyond the window are read as blanks,
    and what a network carries is handed on from block to block. Scores given inside compare answers of one window and
    no others, so none is handed out: a judge of whole answers stands outside.
    """

    inner: Policy
    size: int
    passes: int
    reopen: Literal["none", "one", "all"] = "none"
    by_position: bool = False

    def __post_init__(self) -> None:
        if self.size < 1:
            raise ValueError(f"size={self.size}: a block has 1 position or more")
        if self.passes < 1:
            raise ValueError(f"passes={self.passes}: a block takes 1 pass or more")
        if self.reopen not in REACH:
            raise ValueError(
                f"reopen={self.reopen!r}: how many earlier blocks may be edited again is one of {', '.join(REACH)}"
            )

    @property
    def anytime(self) -> bool:
        return True

    @property
    def facts(self) -> Facts:
        inner = facts_of(self.inner)
        keeps = self.size if self.by_position and self.reopen == "none" else 0
        return Facts(inner.streams, inner.needs, judged=False, revises=inner.revises, block=keeps)

    def init(self, canvas: Canvas, clock: Clock, noise: Noise) -> Move:
        numbers = block_numbers(canvas.editable, self.size, self.by_position)
        beyond = canvas.tokens.shape[-1]
        blank = torch.where(canvas.masked, numbers, beyond).amin(-1)
        last = torch.where(canvas.editable, numbers, 0).amax(-1)
        block = torch.where(blank < beyond, blank, last)
        inside = self._inside(canvas, block)
        start = torch.full_like(clock.index, -1)
        move = self.inner.init(inside, Clock(start, self._total), noise)
        return self._seen(move._replace(memory=_Place(move.memory, start + move.wake, block)), canvas, inside)

    def __call__(self, canvas: Canvas, reading: Reading, clock: Clock, memory: _Place, noise: Noise) -> Move:
        inside = self._inside(canvas, memory.block)
        move = self.inner(inside, reading, Clock(memory.index, self._total), memory.inner, noise)
        answer = filled(canvas, reading, move.answer)
        index = memory.index + move.wake.clamp(max=self.passes)
        over = index >= self.passes

        left = torch.where(inside.editable, move.answer, canvas.tokens)
        more = ((left == canvas.mask_id) & canvas.editable).any(-1)
        if canvas.end_id is not None:
            more &= ~((left == canvas.end_id) & canvas.editable).any(-1)
        begun = self.init(canvas._replace(tokens=left), clock, noise)
        onward = begun._replace(answer=answer, ask=begun.ask._replace(carry=move.ask.carry))
        here = _Place(move.memory, index, memory.block)
        wake = torch.where(over, NEVER, move.wake)
        stays = self._seen(move._replace(answer=answer, memory=here, wake=wake), canvas, inside)
        return choose(over & more, onward, stays)

    @property
    def _total(self) -> int | None:
        return None if self.inner.anytime else self.passes

    def _inside(self, canvas: Canvas, block: Tensor) -> Canvas:
        """The canvas as the inner policy sees it: nothing may be written but in the window."""
        back = block[:, None] - block_numbers(canvas.editable, self.size, self.by_position)
        return canvas._replace(editable=canvas.editable & (back >= 0) & (back <= REACH[self.reopen]))

    @staticmethod
    def _seen(move: Move, canvas: Canvas, inside: Canvas) -> Move:
        """The inner policy's move as one on the whole canvas."""
        # The inner level is of the window alone.
        part = (inside.editable != canvas.editable).any(-1)
        share = torch.where(part, level(move.ask.tokens, canvas), move.ask.level)
        return move._replace(ask=move.ask._replace(level=share), score=unjudged(move.tokens))
