"""Replace a written token by another, directly, without a blank between.

Decides which written tokens give way; blanks are filled by the refill beside it. It trusts what the network says at a
visible token. A network trained on masked tokens alone was never taught that: there it tends to copy, so few edits
come, and they mean little. One trained on corrupted or self-made visible tokens (uniform or hybrid noise, a corrector)
can be trusted.
"""

import math
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from dlmreason.canvas import NEVER, Canvas, Clock, Move, Noise, Reading, place
from dlmreason.policies.facts import Facts, facts_of
from dlmreason.policies.ordered import Ordered, propose, require_temperature, tempered
from dlmreason.policies.respond import log_probs, moved, opening, settled_where
from dlmreason.policies.scores import token_of


class _Agreed(NamedTuple):
    best: Tensor  # [B] float64, the highest share of tokens so far that are the network's first choice
    stall: Tensor  # [B] int64, passes since it was reached


@dataclass(frozen=True)
class Edit:
    """A written token gives way to a more probable one; settled on a full canvas where none does [LLaDA2.1,
    arXiv:2602.08676, token-to-token editing; GIDD, arXiv:2503.04482, self-correction].

    refill: fills blanks.  count: replacements a pass at most, the most probable first; None sets no bound, and then two
    tokens may swap for ever.  threshold: the least probability of the new token.  margin: its log-probability must be
    above that of the old one by more than this, in nats.  temperature: of the new token; 0 takes the most probable one.
    early: a canvas with blanks is edited too.  patience: settle after so many full canvases in a row that agree no
    better with the network's first choices; None never.

    With one replacement a pass, temperature 0 and a network that says at each token what it would were that token
    hidden, every edit raises the joint probability, and it settles at a local mode.
    """

    refill: Ordered
    count: int | None = 1
    threshold: float = 0.0
    margin: float = 0.0
    temperature: float = 0.0
    early: bool = False
    patience: int | None = None

    def __post_init__(self) -> None:
        if self.count is not None and self.count < 1:
            raise ValueError(f"count={self.count}: give 1 or more replacements a pass, or null for no bound")
        if not 0 <= self.threshold <= 1:
            raise ValueError(f"threshold={self.threshold} is a probability: give a number from 0 to 1")
        if not self.margin < math.inf:
            raise ValueError(f"margin={self.margin} is a difference in nats: give a number, or -infinity for none")
        if self.patience is not None and self.patience < 1:
            raise ValueError(f"patience={self.patience}: give 1 or more full canvases, or null to wait for ever")
        require_temperature(self.temperature)
        _ = self.facts  # refuses a stream drawn twice

    @property
    def anytime(self) -> bool:
        return self.refill.anytime

    @property
    def facts(self) -> Facts:
        return facts_of(self.refill) + Facts(("doubt",) if self.temperature > 0 else (), revises=True)

    def init(self, canvas: Canvas, clock: Clock, noise: Noise) -> Move:
        never = torch.full_like(clock.index, -1, dtype=torch.float64)
        return opening(canvas, _Agreed(never, torch.zeros_like(clock.index)))

    def __call__(self, canvas: Canvas, reading: Reading, clock: Clock, memory: _Agreed, noise: Noise) -> Move:
        refilled = self.refill(canvas, reading, clock, (), noise).tokens
        full = ~canvas.masked.any(-1)
        token = propose(canvas, reading, self.temperature, noise, "doubt")
        edit = self._edits(canvas, reading, token) & (full | self.early)[:, None]
        tokens = torch.where(edit, token, refilled)

        memory = self._agreed(canvas, reading, tokens, full, memory)
        stalled = memory.stall >= (NEVER if self.patience is None else self.patience)
        return moved(canvas, reading, tokens, memory, wake=settled_where(full & (~edit.any(-1) | stalled)))

    def _edits(self, canvas: Canvas, reading: Reading, token: Tensor) -> Tensor:
        """[B, L] bool: where `token` replaces what is written."""
        log_p = log_probs(canvas, reading)
        new, old = token_of(log_p, token), token_of(log_p, canvas.tokens)
        may = canvas.written & (token != canvas.tokens)
        may = may & (new.exp() >= self.threshold) & (new - old > self.margin)
        if self.count is None:
            return may
        likely = token_of(tempered(log_p, self.temperature), token)
        return may & (place(torch.where(may, likely, -torch.inf)) < self.count)

    def _agreed(self, canvas: Canvas, reading: Reading, tokens: Tensor, full: Tensor, memory: _Agreed) -> _Agreed:
        """How long it is since the canvas agreed better with the network; canvases with blanks do not count."""
        first = (tokens == log_probs(canvas, reading).argmax(-1)) & canvas.editable
        share = first.sum(-1).double() / canvas.editable.sum(-1).clamp(min=1)
        better = full & (share > memory.best)
        stall = torch.where(better, 0, memory.stall + full.long())
        return _Agreed(torch.where(better, share, memory.best), stall)
