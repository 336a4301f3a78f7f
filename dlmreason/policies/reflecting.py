"""Let the network itself say which of its tokens are taken back, by emitting the mask.

Decides where that is believed; blanks are filled by the refill beside it, which, like every other policy, never writes
the mask. A network that cannot emit the mask takes nothing back.
"""

from dataclasses import dataclass

import torch

from dlmreason.canvas import Canvas, Clock, Memory, Move, Noise, Reading
from dlmreason.policies.facts import Facts, facts_of
from dlmreason.policies.ordered import Ordered
from dlmreason.policies.respond import moved, opening, settled_where


@dataclass(frozen=True)
class Reflecting:
    """A written token of which the mask is the most probable is taken back, while blanks are filled; settled on a full
    canvas of which none is [Reflective Masking, arXiv:2606.16700].

    refill: fills blanks.  rewrite: a written token of which another one is the most probable gives way to that,
    directly; False lets it stand.

    A perfect network with a refill that writes all blanks at once is done after two passes, whatever stood there: wrong
    tokens become blanks, and blanks become right ones. Where the network errs it may go in circles, which a refill that
    draws its tokens leaves.

    Deviation: the network is shown the canvas as it is, without its earlier states.
    """

    refill: Ordered
    rewrite: bool = False

    @property
    def anytime(self) -> bool:
        return self.refill.anytime

    @property
    def facts(self) -> Facts:
        return facts_of(self.refill) + Facts(needs=frozenset({"emits_mask"}), revises=True)

    def init(self, canvas: Canvas, clock: Clock, noise: Noise) -> Move:
        return opening(canvas)

    def __call__(self, canvas: Canvas, reading: Reading, clock: Clock, memory: Memory, noise: Noise) -> Move:
        tokens = self.refill(canvas, reading, clock, memory, noise).tokens
        said = reading.logits.argmax(-1)
        speaks = canvas.written & ((said == canvas.mask_id) | self.rewrite)
        tokens = torch.where(speaks, said, tokens)
        # A canvas with blanks changes, for the refill writes at least one.
        return moved(canvas, reading, tokens, memory, wake=settled_where((tokens == canvas.tokens).all(-1)))
