"""Wrappers around a policy: judge its answers, keep the best one, begin again, certify.

An onion: readings go in, moves come out, and each layer sees only the layer inside it. None of them makes a call of its
own; one that wants to know something asks it as its row's next pass and holds the inner move meanwhile. More layers
stand beside: `accepting`, `checking`, `exits`, `gating`, `locking`, `voting`.
"""

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from dlmreason.canvas import NEVER, Ask, Canvas, Clock, Memory, Move, Noise, Policy, Reading, Score, choose
from dlmreason.policies.facts import Facts, facts_of, needs_of, require_anytime, require_judge
from dlmreason.policies.patience import Fixed, Patience
from dlmreason.policies.respond import filled, level, next_pass, unjudged


@dataclass(frozen=True)
class Judged:
    """The inner policy, its answers scored by `score(canvas, reading, answer)`, which costs nothing."""

    inner: Policy
    score: Score

    @property
    def anytime(self) -> bool:
        return self.inner.anytime

    @property
    def facts(self) -> Facts:
        return facts_of(self.inner) + Facts(needs=needs_of(self.score), judged=True)

    def init(self, canvas: Canvas, clock: Clock, noise: Noise) -> Move:
        return self.inner.init(canvas, clock, noise)

    def __call__(self, canvas: Canvas, reading: Reading, clock: Clock, memory: Memory, noise: Noise) -> Move:
        move = self.inner(canvas, reading, clock, memory, noise)
        return move._replace(score=self.score(canvas, reading, move.answer))


class _Best(NamedTuple):
    inner: Memory
    answer: Tensor  # [B, L]
    score: Tensor  # [B] float64


@dataclass(frozen=True)
class KeepBest:
    """Answers with the best-scored answer so far; until one is judged, with whatever stands."""

    inner: Policy

    def __post_init__(self) -> None:
        require_judge(self.inner, "KeepBest")

    @property
    def anytime(self) -> bool:
        return self.inner.anytime

    @property
    def facts(self) -> Facts:
        return facts_of(self.inner)

    def init(self, canvas: Canvas, clock: Clock, noise: Noise) -> Move:
        move = self.inner.init(canvas, clock, noise)
        return move._replace(memory=_Best(move.memory, move.answer, move.score))

    def __call__(self, canvas: Canvas, reading: Reading, clock: Clock, memory: _Best, noise: Noise) -> Move:
        move = self.inner(canvas, reading, clock, memory.inner, noise)
        better = (move.score > memory.score) | (memory.score == -torch.inf)
        answer, score = choose(better, (move.answer, move.score), (memory.answer, memory.score))
        return move._replace(answer=answer, score=score, memory=_Best(move.memory, answer, score))


class _Stalled(NamedTuple):
    inner: Memory
    best: Tensor  # [B] float64, best score since the last restart
    stall: Tensor  # [B] int64, judged answers since it was reached
    wait: Tensor  # [B] int64, judged answers to wait this time
    rule: Memory  # where in its sequence the patience is


@dataclass(frozen=True)
class Restart:
    """After `patience` judged answers without a better one, erase a share of the tokens and begin again.

    patience: a rule such as `Luby`, which a bigger restart around this one begins anew; a number waits that long every
    time, and 0 restarts at every judged answer.  share: the chance that an editable token is erased, in (0, 1].
    stream: the noise it draws from; the bigger restart takes "restart_outer".
    """

    inner: Policy
    patience: Patience | int
    share: float = 1.0
    stream: str = "restart"

    def __post_init__(self) -> None:
        require_judge(self.inner, "Restart")
        _ = self._patience  # refuses a number below 0
        if not 0 < self.share <= 1:
            raise ValueError(
                f"share={self.share} is the chance that a token is erased: give a number above 0 and at most 1"
            )
        _ = self.facts

    @property
    def anytime(self) -> bool:
        return self.inner.anytime

    @property
    def facts(self) -> Facts:
        return facts_of(self.inner) + Facts(streams=(self.stream,), revises=True)

    @property
    def _patience(self) -> Patience:
        return Fixed(self.patience) if isinstance(self.patience, int) else self.patience

    def init(self, canvas: Canvas, clock: Clock, noise: Noise) -> Move:
        move = self.inner.init(canvas, clock, noise)
        stall = torch.zeros_like(move.wake)
        return move._replace(memory=_Stalled(move.memory, move.score, stall, *self._patience.init(stall)))

    def __call__(self, canvas: Canvas, reading: Reading, clock: Clock, memory: _Stalled, noise: Noise) -> Move:
        move = self.inner(canvas, reading, clock, memory.inner, noise)
        judged, better = move.score > -torch.inf, move.score > memory.best
        stall = torch.where(better, 0, memory.stall + judged.long())
        over = judged & (stall >= memory.wait)

        # What the inner policy doubted on this very pass was read and stands; the restart alone decides what goes.
        standing = torch.where(move.tokens == canvas.mask_id, reading.of.tokens, move.tokens)
        chance = torch.full(standing.shape, self.share, dtype=torch.float64, device=standing.device)
        erase = noise.coin(chance, self.stream) & canvas.editable
        erased = canvas._replace(tokens=torch.where(erase, canvas.mask_id, standing))
        again = self.inner.init(erased, clock, noise)._replace(answer=move.answer, score=move.score)

        kept = _Stalled(move.memory, torch.where(better, move.score, memory.best), stall, memory.wait, memory.rule)
        fresh = _Stalled(again.memory, unjudged(stall), torch.zeros_like(stall), *self._patience(memory.rule))
        return choose(over, again._replace(memory=fresh), move._replace(memory=kept))


class _Episode(NamedTuple):
    inner: Memory
    index: Tensor  # type: ignore[assignment]  # [B] int64, the inner clock


@dataclass(frozen=True)
class Episodes:
    """The inner policy lives at most `passes` passes on a clock of its own, then begins again from blanks.

    One that settles earlier begins again at once. Makes any policy anytime. `KeepBest(Episodes(Judged(...)))` is
    best-of-many restarts.
    """

    inner: Policy
    passes: int

    def __post_init__(self) -> None:
        if self.passes < 1:
            raise ValueError(f"passes={self.passes}: an episode has at least 1 pass")

    @property
    def anytime(self) -> bool:
        return True

    @property
    def facts(self) -> Facts:
        return facts_of(self.inner) + Facts(revises=True)

    @property
    def _total(self) -> int | None:
        return None if self.inner.anytime else self.passes

    def init(self, canvas: Canvas, clock: Clock, noise: Noise) -> Move:
        start = torch.full_like(clock.index, -1)
        move = self.inner.init(canvas, Clock(start, self._total), noise)
        return move._replace(memory=_Episode(move.memory, start + move.wake))

    def __call__(self, canvas: Canvas, reading: Reading, clock: Clock, memory: _Episode, noise: Noise) -> Move:
        move = self.inner(canvas, reading, Clock(memory.index, self._total), memory.inner, noise)
        index = memory.index + move.wake.clamp(max=self.passes)
        over = index >= self.passes
        blank = canvas._replace(tokens=torch.where(canvas.editable, canvas.mask_id, canvas.tokens))
        start = torch.full_like(index, -1)
        again = self.inner.init(blank, Clock(start, self._total), noise)
        fresh = again._replace(answer=move.answer, score=move.score, memory=_Episode(again.memory, start + again.wake))
        return choose(over, fresh, move._replace(memory=_Episode(move.memory, index)))


class _Certificate(NamedTuple):
    held: Move  # the inner policy's move, handed out when the tests are done
    left: Tensor  # [B] int64, tests still to pass
    tested: Tensor  # [B, L], the answer that was tested last


@dataclass(frozen=True)
class Certify:
    """Settle on an answer that the model gives back, `tests` times, from copies with a share of it hidden.

    bar: only answers scored at least this are tested, in the units of the judge inside.  share: the chance that a token
    is hidden.  Each test is one pass of the row's own. An answer is tested once: retries would certify by luck. Where
    several answers are right the hidden part may come back as another right one, so this refuses right answers there.
    """

    inner: Policy
    bar: float
    tests: int = 2
    share: float = 0.5

    def __post_init__(self) -> None:
        require_judge(self.inner, "Certify")
        require_anytime(self.inner, "Certify holds its row while it tests")
        if self.tests < 1:
            raise ValueError(f"tests={self.tests}: a certificate needs at least 1 test")
        if not 0 < self.share <= 1:
            raise ValueError(
                f"share={self.share} is the chance that a token is hidden: give a number above 0 and at most 1"
            )
        _ = self.facts

    @property
    def anytime(self) -> bool:
        return self.inner.anytime

    @property
    def facts(self) -> Facts:
        return facts_of(self.inner) + Facts(streams=("renoise",), needs=frozenset({"masks"}))

    def init(self, canvas: Canvas, clock: Clock, noise: Noise) -> Move:
        move = self.inner.init(canvas, clock, noise)
        return move._replace(memory=_Certificate(move, torch.zeros_like(move.wake), move.answer))

    def __call__(self, canvas: Canvas, reading: Reading, clock: Clock, memory: _Certificate, noise: Noise) -> Move:
        testing = memory.left > 0
        # Where a test is under way this reading is of the probe: the inner policy's move on it is thrown away.
        held = choose(testing, memory.held, self.inner(canvas, reading, clock, memory.held.memory, noise))
        given_back = (filled(canvas, reading, reading.of.tokens) == held.answer).all(-1)
        worthy = (held.score >= self.bar) & (held.answer != memory.tested).any(-1)
        left = torch.where(
            testing, torch.where(given_back, memory.left - 1, 0), torch.where(worthy, self.tests, 0).to(memory.left)
        )
        passed = testing & given_back & (left == 0)

        chance = torch.full(canvas.tokens.shape, self.share, dtype=torch.float64, device=canvas.tokens.device)
        hidden = noise.coin(chance, "renoise") & canvas.editable
        probe = torch.where(hidden, canvas.mask_id, held.answer)
        # With the first carry: that of this row remembers what is hidden.
        ask = Ask(probe, level(probe, canvas), canvas.carry)
        # Unjudged while it waits: a wrapper outside must hear each judgement once.
        wait = held._replace(tokens=canvas.tokens, ask=ask, wake=next_pass(probe), score=unjudged(probe))
        settle = held._replace(tokens=held.answer, wake=torch.full_like(left, NEVER))
        out = choose(left > 0, wait, choose(passed, settle, held))
        tested = torch.where((left > 0)[:, None], held.answer, memory.tested)
        return out._replace(memory=_Certificate(held, left, tested))
