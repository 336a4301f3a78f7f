"""Write the best-scored blanks first, and never take one back.

Decides how many blanks a pass writes, which, and by what token; knows nothing of doubt.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from dlmreason.canvas import Canvas, Clock, Memory, Move, Noise, Reading, place
from dlmreason.policies.facts import Facts, needs_of
from dlmreason.policies.respond import log_probs, moved, opening, settled_where
from dlmreason.policies.scores import PositionScore


@dataclass(frozen=True)
class Ordered:
    """Write the best-scored blanks of each pass [MaskGIT, arXiv:2202.04200; LLaDA, arXiv:2502.09992]; settled when
    full.

    score: which blanks come first.  count: blanks a pass, at least 1, which makes the policy anytime; None shares the
    blanks evenly over the passes of the budget.  temperature: 0 writes the most probable token, else one is drawn at
    it.
    """

    score: PositionScore
    count: int | None = None
    temperature: float = 0.0

    def __post_init__(self) -> None:
        if self.count is not None and self.count < 1:
            raise ValueError(
                f"count={self.count}: a pass must write at least 1 blank: give 1 or more, or null for an even share"
            )
        if not 0 <= self.temperature < float("inf"):
            raise ValueError(
                f"temperature={self.temperature} must be finite and not negative: 0 writes the most probable token"
            )

    @property
    def anytime(self) -> bool:
        return self.count is not None

    @property
    def facts(self) -> Facts:
        return Facts(streams=("token",) if self.temperature > 0 else (), needs=needs_of(self.score))

    def init(self, canvas: Canvas, clock: Clock, noise: Noise) -> Move:
        return opening(canvas)

    def __call__(self, canvas: Canvas, reading: Reading, clock: Clock, memory: Memory, noise: Noise) -> Move:
        log_p = log_probs(canvas, reading)
        if self.temperature == 0:
            token = log_p.argmax(-1)
        else:
            token = noise.draw((log_p / self.temperature).log_softmax(-1), "token")
        masked = canvas.masked
        score = torch.where(masked, self.score(canvas, reading), -torch.inf)
        write = masked & (place(score) < self._count(masked, clock)[:, None])
        tokens = torch.where(write, token, canvas.tokens)
        blank_left = ((tokens == canvas.mask_id) & canvas.editable).any(-1)
        return moved(canvas, reading, tokens, memory, wake=settled_where(~blank_left))

    def _count(self, masked: Tensor, clock: Clock) -> Tensor:
        """[B] int64: blanks to write now."""
        if self.count is not None:
            return torch.full_like(clock.index, self.count)
        assert clock.total is not None, "a policy that is not anytime is given the total"
        passes_left = (clock.total - clock.index).clamp(min=1)
        return -(-masked.sum(-1) // passes_left)
