"""Go back where a change of mind made the answer worse, with a chance: a walk over answers, steered by their scores.

Decides whether a judged answer is kept; what is proposed is the inner policy's, how good it is the judge's.
"""

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from dlmreason.canvas import Ask, Canvas, Clock, Memory, Move, Noise, Policy, Reading, choose
from dlmreason.policies.facts import Facts, facts_of, require_anytime, require_judge
from dlmreason.policies.respond import next_pass, unjudged


class _State(NamedTuple):
    """All that it takes to stand where the row stood: what it was when the kept answer was read."""

    tokens: Tensor  # [B, L]
    ask: Ask  # with its carry
    memory: Memory  # the inner policy's
    answer: Tensor  # [B, L]
    score: Tensor  # [B] float64, -inf until an answer was judged


class _Walk(NamedTuple):
    inner: Memory
    kept: _State


@dataclass(frozen=True)
class Accept:
    """Keep a judged answer with chance min(1, exp((score - kept score) / temperature)), else go back to the kept one
    [Metropolis et al. 1953].

    temperature: in the units of the score; 0 keeps only what is no worse, infinity everything.  Going back restores
    canvas, question, carry and inner memory byte for byte, and asks that question again; what was drawn then is drawn
    anew. The answer gone back to is judged as it is read, so wrappers outside hear of it then.
    Deviation: the law exp(score / temperature), for symmetric proposals, is that of the kept answer proposal by
    proposal. Pass by pass it is not, since going back takes a pass more.
    """

    inner: Policy
    temperature: float

    def __post_init__(self) -> None:
        require_judge(self.inner, "Accept")
        require_anytime(self.inner, "Accept goes back to an earlier memory")
        if not self.temperature >= 0:
            raise ValueError(
                f"temperature={self.temperature} must be 0 or more, in the units of the score: 0 keeps only answers "
                "that are no worse"
            )
        _ = self.facts

    @property
    def anytime(self) -> bool:
        return True

    @property
    def facts(self) -> Facts:
        return facts_of(self.inner) + Facts(streams=("accept",), revises=True)

    def init(self, canvas: Canvas, clock: Clock, noise: Noise) -> Move:
        move = self.inner.init(canvas, clock, noise)
        start = _State(move.tokens, move.ask, move.memory, move.answer, unjudged(move.tokens))
        return move._replace(memory=_Walk(move.memory, start))

    def __call__(self, canvas: Canvas, reading: Reading, clock: Clock, memory: _Walk, noise: Noise) -> Move:
        move, kept = self.inner(canvas, reading, clock, memory.inner, noise), memory.kept
        judged, gain = move.score > -torch.inf, move.score - kept.score
        likely = torch.where(gain < 0, (gain / self.temperature).exp(), 1.0)
        # Where nothing is decided the coin is not in use, and an enumeration must not branch on it.
        accepted = noise.coin(torch.where(judged, likely, 0.0)[:, None], "accept")[:, 0]
        rejected = judged & ~accepted

        # As it was when this answer was read, not as the move leaves it: going back reads it again and doubts anew.
        now = _State(canvas.tokens, reading.of, memory.inner, move.answer, move.score)
        kept = choose(accepted, now, kept)
        back = move._replace(
            tokens=kept.tokens,
            answer=kept.answer,
            score=unjudged(kept.tokens),
            ask=kept.ask,
            wake=next_pass(kept.tokens),
            memory=kept.memory,
        )
        out = choose(rejected, back, move)
        return out._replace(memory=_Walk(out.memory, kept))
