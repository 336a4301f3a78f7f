"""Judge an answer by hiding parts of it and asking what the model puts there.

Decides which positions are hidden together and how the replies are summed; needs no quality head. The questions are
passes of the row's own, so a judgement costs what it takes.
"""

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from dlmreason.canvas import Ask, Canvas, Clock, Move, Noise, Policy, Reading, choose
from dlmreason.policies.facts import Facts, facts_of, require_anytime
from dlmreason.policies.respond import level, log_probs, next_pass, unjudged


class _Check(NamedTuple):
    held: Move  # the inner policy's move, handed out when it is judged
    left: Tensor  # [B] int64, questions still to be answered
    total: Tensor  # [B] float64, nats: what the replies gave so far


@dataclass(frozen=True)
class CrossChecked:
    """The inner policy, its whole answers scored by their block pseudo-log-likelihood, in nats [Besag 1975].

    copies: groups of positions, each hidden once while the rest stands; the editable positions take turns, the first in
    group 0, the next in group 1, and so on. The score is the sum over groups of log p(the group's tokens | the rest),
    tokens of one group independent, as the model writes them. Of 1 group it is the likelihood of writing all at once;
    of as many groups as positions, the pseudo-log-likelihood, and more cost nothing.

    An answer is judged when the inner move leaves it whole on the canvas. That takes one pass a group, in which the
    inner move is held; it is handed out with its score after the last, and is unjudged until then.
    """

    inner: Policy
    copies: int

    def __post_init__(self) -> None:
        require_anytime(self.inner, "CrossChecked holds its row while it asks")
        if self.copies < 1:
            raise ValueError(f"copies={self.copies}: an answer is judged from at least 1 copy with a part hidden")

    @property
    def anytime(self) -> bool:
        return True

    @property
    def facts(self) -> Facts:
        return facts_of(self.inner) + Facts(needs=frozenset({"masks"}), judged=True)

    def init(self, canvas: Canvas, clock: Clock, noise: Noise) -> Move:
        move = self.inner.init(canvas, clock, noise)
        return move._replace(memory=_Check(move, torch.zeros_like(move.wake), torch.zeros_like(move.score)))

    def __call__(self, canvas: Canvas, reading: Reading, clock: Clock, memory: _Check, noise: Noise) -> Move:
        asking = memory.left > 0
        # Where a question is under way this reading is the reply: the inner policy's move on it is thrown away.
        held = choose(asking, memory.held, self.inner(canvas, reading, clock, memory.held.memory, noise))
        replied = torch.where(asking, memory.total + self._reply(canvas, reading, held.answer), 0.0)

        place = canvas.editable.cumsum(-1) - 1
        groups = canvas.editable.sum(-1).clamp(min=1, max=self.copies)
        blank = (held.answer == canvas.mask_id) & canvas.editable
        whole = (held.tokens == held.answer).all(-1) & ~blank.any(-1)
        left = torch.where(asking, memory.left - 1, torch.where(whole, groups, 0))

        hidden = (place % groups[:, None] == left[:, None] - 1) & canvas.editable
        probe = torch.where(hidden, canvas.mask_id, held.answer)
        # With the first carry: that of this row remembers what is hidden.
        ask = Ask(probe, level(probe, canvas), canvas.carry)
        wait = held._replace(tokens=canvas.tokens, ask=ask, wake=next_pass(probe), score=unjudged(probe))
        # One that waits for nothing was not asked about, and has no score of ours.
        scored = held._replace(score=torch.where(asking, replied, -torch.inf))
        return choose(left > 0, wait, scored)._replace(memory=_Check(held, left, replied))

    def _reply(self, canvas: Canvas, reading: Reading, answer: Tensor) -> Tensor:
        """[B] float64: log p of the answer's tokens where this reading's question hid them."""
        log_p = log_probs(canvas, reading)
        column = torch.where(canvas.editable, answer, 0)[..., None]
        given = log_p.gather(-1, column.clamp(max=log_p.shape[-1] - 1))[..., 0]
        return torch.where((reading.of.tokens == canvas.mask_id) & canvas.editable, given, 0.0).sum(-1)
