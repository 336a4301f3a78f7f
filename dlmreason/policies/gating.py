"""Think long only where the quick answer is in doubt.

Decides which of two policies a row belongs to; which are meant, and what doubt is, are the caller's.
"""

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from dlmreason.canvas import NEVER, Ask, Canvas, Clock, Memory, Move, Noise, Policy, Reading, Score, choose
from dlmreason.policies.facts import Facts, facts_of, needs_of, require_anytime
from dlmreason.policies.respond import filled, level, next_pass, unjudged

_FIRST, _WEIGHED, _SECOND = 0, 1, 2


class _Gate(NamedTuple):
    first: Memory
    second: Memory
    stage: Tensor  # [B] int64: the first policy writes, its answer is being read, the second policy writes
    index: Tensor  # type: ignore[assignment]  # [B] int64, the clock of the policy that writes
    answer: Tensor  # [B, L], what the first policy said last


@dataclass(frozen=True)
class Gate:
    """Decode by `first`; where its answer scores `bar` or more settle on it, else let `second` begin from blanks
    [confidence-triggered search: Blackboard Intelligence, Alg. 1].

    passes: the total of `first`, which is weighed when they are spent or it settles; reading its answer takes one pass
    more.  score: what that reading says of the answer, such as `mean_log_quality`.  bar: in its units.  `second` has a
    clock of its own, from the pass at which it began.

    The answer weighed carries its score once and stands until `second` says something. A `KeepBest` around both
    compares scores of the two: judge them alike. A row that was handed over says so in its record: all that `first`
    wrote is taken back at once.
    """

    first: Policy
    second: Policy
    score: Score
    bar: float
    passes: int

    def __post_init__(self) -> None:
        require_anytime(self.second, "Gate hands its row over at a pass that depends on the row")
        if self.passes < 1:
            raise ValueError(f"passes={self.passes}: the first policy has at least 1 pass")
        if self.bar != self.bar:
            raise ValueError("bar=nan: give a score, -inf to settle on every first answer, or inf to settle on none")
        _ = self.facts

    @property
    def anytime(self) -> bool:
        return True

    @property
    def facts(self) -> Facts:
        both = facts_of(self.first) | facts_of(self.second)
        return both + Facts(needs=needs_of(self.score), judged=True, revises=True)

    @property
    def _total(self) -> int | None:
        return None if self.first.anytime else self.passes

    def init(self, canvas: Canvas, clock: Clock, noise: Noise) -> Move:
        start = torch.full_like(clock.index, -1)
        move = self.first.init(canvas, Clock(start, self._total), noise)
        later = self.second.init(canvas, Clock(start, None), noise)
        stage = torch.full_like(start, _FIRST)
        return move._replace(memory=_Gate(move.memory, later.memory, stage, start + move.wake, move.answer))

    def __call__(self, canvas: Canvas, reading: Reading, clock: Clock, memory: _Gate, noise: Noise) -> Move:
        first = self._write_first(canvas, reading, memory, noise)
        weighed = self._weigh(canvas, reading, memory, noise)
        second = self._write_second(canvas, reading, memory, noise)
        return choose(memory.stage == _FIRST, first, choose(memory.stage == _WEIGHED, weighed, second))

    def _write_first(self, canvas: Canvas, reading: Reading, memory: _Gate, noise: Noise) -> Move:
        move = self.first(canvas, reading, Clock(memory.index, self._total), memory.first, noise)
        index = memory.index + move.wake.clamp(max=self.passes)
        over = index >= self.passes
        # The answer is what is weighed, and what would be settled on: the canvas may lack what was just doubted.
        # As the next pass of the first policy, carry and all: the second's answers are read in their line too.
        ask = Ask(move.answer, level(move.answer, canvas), move.ask.carry)
        shown = move._replace(tokens=move.answer, ask=ask, wake=next_pass(move.answer), score=unjudged(move.answer))
        stage = torch.where(over, _WEIGHED, _FIRST)
        after = _Gate(move.memory, memory.second, stage, index, move.answer)
        return choose(over, shown, move)._replace(memory=after)

    def _weigh(self, canvas: Canvas, reading: Reading, memory: _Gate, noise: Noise) -> Move:
        # Filled, so that the score never meets a blank, not even in rows that are at another stage.
        answer = filled(canvas, reading, memory.answer)
        score = self.score(canvas, reading, answer)
        blank = canvas._replace(tokens=torch.where(canvas.editable, canvas.mask_id, canvas.tokens))
        start = torch.full_like(memory.index, -1)
        begun = self.second.init(blank, Clock(start, None), noise)
        settled = begun._replace(tokens=answer, ask=reading.of, wake=torch.full_like(start, NEVER))
        after = _Gate(memory.first, begun.memory, torch.full_like(start, _SECOND), start + begun.wake, answer)
        out = choose(score >= self.bar, settled, begun)
        return out._replace(answer=answer, score=score, memory=after)

    def _write_second(self, canvas: Canvas, reading: Reading, memory: _Gate, noise: Noise) -> Move:
        move = self.second(canvas, reading, Clock(memory.index, None), memory.second, noise)
        index = memory.index + move.wake.clamp(max=NEVER // 2)
        return move._replace(memory=memory._replace(second=move.memory, index=index))
