"""Write one blank a pass, in an order drawn evenly: ancestral sampling in the limit of infinitely many passes.

Decides which blank is written next; it never takes one back.
"""

from dataclasses import dataclass

import torch

from dlmreason.canvas import Canvas, Clock, Memory, Move, Noise, Reading
from dlmreason.policies.facts import Facts
from dlmreason.policies.respond import log_probs, moved, opening, settled_where


@dataclass(frozen=True)
class FirstHitting:
    """First-hitting sampling [arXiv:2409.02908; BD3-LM, arXiv:2503.09573]: exactly one call a blank.

    With independent hitting times of one law the next position to be written is any blank, evenly, whatever the
    schedule. So it needs no schedule and no total, is anytime, and settles on writing the last blank.

    Deviation: the hitting times themselves are not drawn, since they would only be told to a denoiser that reads the
    noise level; that one is told the share that is written.
    """

    @property
    def anytime(self) -> bool:
        return True

    @property
    def facts(self) -> Facts:
        return Facts(streams=("token", "order"))

    def init(self, canvas: Canvas, clock: Clock, noise: Noise) -> Move:
        return opening(canvas)._replace(wake=settled_where(~canvas.masked.any(-1)))

    def __call__(self, canvas: Canvas, reading: Reading, clock: Clock, memory: Memory, noise: Noise) -> Move:
        even = torch.where(canvas.masked, 0.0, -torch.inf).double()
        hit = (noise.rank(even, "order") == 0) & canvas.masked
        tokens = torch.where(hit, noise.draw(log_probs(canvas, reading), "token"), canvas.tokens)
        blank_left = ((tokens == canvas.mask_id) & canvas.editable).any(-1)
        return moved(canvas, reading, tokens, memory, wake=settled_where(~blank_left))
