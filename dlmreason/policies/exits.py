"""Stop early: settle when the model has made up its mind.

Decides when a reading is sure enough to be the end. What the inner policy would have said later is lost by design: an
exit buys passes, and pays with every change of mind that was still to come. So it stands inside a judge and what keeps
the best, never around them: it would give up the best answer for the last.
"""

from dataclasses import dataclass, replace
from typing import NamedTuple

import torch
from torch import Tensor

from dlmreason.canvas import NEVER, Canvas, Clock, Memory, Move, Noise, Policy, Reading, choose
from dlmreason.policies.facts import Facts, facts_of, require_no_judge
from dlmreason.policies.respond import filled, level, log_probs, unjudged
from dlmreason.policies.scores import entropy, mean_over


def _blank(canvas: Canvas, reading: Reading) -> Tensor:
    """[B, L] bool: blanks that were read. None where a probe was read: its blanks are another's question."""
    own = (reading.of.tokens == canvas.tokens).all(-1, keepdim=True)
    return canvas.masked & own


def _settle(canvas: Canvas, reading: Reading, move: Move) -> Move:
    """The move that fills all by argmax and ends."""
    answer = filled(canvas, reading, reading.of.tokens)
    settled = torch.full_like(move.wake, NEVER)
    return move._replace(tokens=answer, answer=answer, score=unjudged(answer), wake=settled)


class _Fixed(NamedTuple):
    inner: Memory
    guess: Tensor  # [B, L], the canvas filled by argmax, as last read with a blank
    still: Tensor  # [B] int64, readings since it changed


@dataclass(frozen=True)
class FixedPoint:
    """Settle when the canvas filled by argmax is the same for `patience` further readings, and the mean entropy of the
    blanks is below `entropy` [DiffusionGemma, 1 and 0.005].

    entropy: nats; 0 never exits. Only readings of the working canvas with a blank left count: a full canvas gives
    itself back whatever the model thinks. So a policy that asks by probes alone, such as `Gibbs`, never exits.
    """

    inner: Policy
    patience: int = 1
    entropy: float = 0.005

    def __post_init__(self) -> None:
        require_no_judge(self.inner, "FixedPoint", "settles on what the model says last, not on the best-judged answer")
        if self.patience < 1:
            raise ValueError(f"patience={self.patience}: nothing is still before 1 further reading")
        if not self.entropy >= 0:
            raise ValueError(f"entropy={self.entropy} is a bound in nats: give 0, which never exits, or more")

    @property
    def anytime(self) -> bool:
        return self.inner.anytime

    @property
    def facts(self) -> Facts:
        return replace(facts_of(self.inner), block=0)  # it settles by what is said of every blank

    def init(self, canvas: Canvas, clock: Clock, noise: Noise) -> Move:
        move = self.inner.init(canvas, clock, noise)
        return move._replace(memory=_Fixed(move.memory, move.answer, torch.zeros_like(move.wake)))

    def __call__(self, canvas: Canvas, reading: Reading, clock: Clock, memory: _Fixed, noise: Noise) -> Move:
        move = self.inner(canvas, reading, clock, memory.inner, noise)
        blank = _blank(canvas, reading)
        counts = blank.any(-1)
        guess = filled(canvas, reading, canvas.tokens)
        same = (guess == memory.guess).all(-1)
        still = torch.where(counts, torch.where(same, memory.still + 1, 0), memory.still)
        sure = mean_over(-entropy(canvas, reading), blank) < self.entropy
        over = counts & (still >= self.patience) & sure
        after = _Fixed(move.memory, choose(counts, guess, memory.guess), still)
        return choose(over, _settle(canvas, reading, move), move)._replace(memory=after)


@dataclass(frozen=True)
class Prophet:
    """Fill all and settle when the two highest logits are far apart, on average over the blanks
    [Prophet, arXiv:2508.19982].

    bars: the gap that is enough, in nats of logit, in each equal part of the way from blank to written; early a larger
    one is asked for; infinity never exits. Readings of probes do not count.
    Deviation: the way is the share of the canvas that is written, not of the passes, so that an anytime policy has one;
    and the bounds between the parts are thirds, there .33 and .67.
    """

    inner: Policy
    bars: tuple[float, ...] = (7.5, 5.0, 2.5)

    def __post_init__(self) -> None:
        require_no_judge(self.inner, "Prophet", "settles on what the model says last, not on the best-judged answer")
        if not self.bars or not all(bar >= 0 for bar in self.bars):
            raise ValueError(f"bars={self.bars}: give a gap of 0 or more for each part of the way, at least one")

    @property
    def anytime(self) -> bool:
        return self.inner.anytime

    @property
    def facts(self) -> Facts:
        return replace(facts_of(self.inner), block=0)  # it settles by what is said of every blank

    def init(self, canvas: Canvas, clock: Clock, noise: Noise) -> Move:
        return self.inner.init(canvas, clock, noise)

    def __call__(self, canvas: Canvas, reading: Reading, clock: Clock, memory: Memory, noise: Noise) -> Move:
        move = self.inner(canvas, reading, clock, memory, noise)
        blank = _blank(canvas, reading)
        top = log_probs(canvas, reading).topk(2, dim=-1).values
        gap = mean_over(top[..., 0] - top[..., 1], blank)
        part = (level(canvas.tokens, canvas) * len(self.bars)).long().clamp(max=len(self.bars) - 1)
        bar = torch.tensor(self.bars, dtype=torch.float64, device=part.device)[part]
        return choose(blank.any(-1) & (gap >= bar), _settle(canvas, reading, move), move)
