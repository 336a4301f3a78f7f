"""The sampler: rows go through passes in a pool of fixed width.

It decides when the denoiser is called, for which rows, and what is kept of the answers; what happens to a canvas is the
policy's. One pass is one call of the denoiser for one row, or the last of several where a denoiser has to read on
before it; each is counted, and there are no hidden calls. Nothing inside a chunk of passes branches on a value, so a
chunk runs without waiting for the device; between chunks finished rows leave and waiting rows take their places. Where
there is no device to wait for, a chunk ends with the pass that finishes a row. What a denoiser works out of a row for
all of its passes is asked for when the row sits down, and is no part of its state. The denoiser is always called at the
same width, because float sums depend on it: that, and noise that is a function of the example, make a row's result
byte-equal alone or in company, at any place, interrupted or not.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor

from dlmreason.canvas import (
    NEVER,
    Call,
    Canvas,
    Clock,
    Denoiser,
    Move,
    Noise,
    Policy,
    Reading,
    at_hand,
    choose,
    join,
    put,
    seat_of,
    somewhere,
    take,
)
from dlmreason.sampling.events import count_events
from dlmreason.sampling.guard import Guard
from dlmreason.sampling.noise import Counter, words
from dlmreason.sampling.queue import Queue
from dlmreason.sampling.state import Rows, State

SEATED = 8
"""Rows that sit down together, or the width where that is less; see `canvas.Seat`."""


class Counters(Protocol):
    """Keeps count of rows, in a part of their state: a pytree of [B, ...] tensors whose shapes no pass changes."""

    def init(self, start: State) -> Any:
        """What is kept of rows before their first pass."""
        ...

    def __call__(self, before: State, reading: Reading, move: Move, after: State) -> Any:
        """What is kept after a pass, which changed `before` into `after`; it must not wait for the device. What it
        gives for rows that are not live is not used."""
        ...


Observer = Callable[[State, Reading, Move, State], None]
"""Called after each pass with (state before, reading, move, state after); it must not wait for the device."""


class Counts(NamedTuple):
    """What went through the denoiser, in rows. `seated` are none where it has no `seat`."""

    charged: int = 0  # passes of rows that were live
    wasted: int = 0  # of free places and finished rows
    seated: int = 0  # rows that sat down and began
    seated_wasted: int = 0  # beside them: padding, and rows that go on from where they were stopped

    def plus(self, other: "Counts") -> "Counts":
        return Counts(*(one + two for one, two in zip(self, other, strict=True)))


@dataclass
class Sampler:
    """Walks rows through at most `max(rungs)` passes.

    rungs: increasing numbers of passes at which the answer is kept. A policy that is not anytime takes exactly one
    rung, its total.  width: rows per call of the denoiser.  chunk: passes between two looks at who has finished, the
    most of them on the CPU.  seed: of the noise.  counters: what keeps count of rows beside, None for nobody; it
    changes nothing that is said.  begun: rows begin from the tokens that stand at their editable positions, which
    count as committed; False, as a rule: from blanks.
    end_id: see `Canvas`.

    Raises: ValueError for rungs that do not increase from 1 or more, or several rungs with a policy that is not
    anytime.
    """

    policy: Policy
    denoiser: Denoiser
    rungs: tuple[int, ...]
    seed: int = 0
    width: int = 64
    chunk: int = 64
    counters: Counters | None = None
    begun: bool = False
    end_id: int | None = None

    def __post_init__(self) -> None:
        if not self.rungs or self.rungs[0] < 1 or list(self.rungs) != sorted(set(self.rungs)):
            raise ValueError(f"rungs={self.rungs}: give increasing numbers of passes, the first at least 1")
        if not self.policy.anytime and len(self.rungs) > 1:
            raise ValueError(f"rungs={self.rungs}: this policy plans for its total, so each rung is a run of its own")
        if self.width < 1 or self.chunk < 1:
            raise ValueError(f"width={self.width} and chunk={self.chunk} must be at least 1")
        self.counts = Counts()
        self._ladder = torch.tensor(self.rungs)

    @property
    def total(self) -> int:
        return self.rungs[-1]

    def init(self, rows: Rows, noise: Noise | None = None) -> State:
        """The state of rows before their first pass. noise: another than the counter's, for laws.

        Raises: BadMove where the policy's first move breaks a rule.
        """
        mask_id = self.denoiser.mask_id
        first = rows.tokens if self.begun else torch.where(rows.editable, mask_id, rows.tokens)
        start = torch.full_like(rows.id, -1)
        canvas = Canvas(first, rows.editable, self.denoiser.first_carry(len(first)), mask_id, self.end_id)
        move = self.policy.init(canvas, self._clock(start), noise or Counter(self.seed, rows.id, start))
        guard, live = self._guard(rows), torch.ones_like(start, dtype=torch.bool)
        guard.form(move, start, live, canvas.carry, None)
        # Who sleeps past a rung before any reading has nothing yet to fill blanks from; who sleeps past all must not.
        guard.sees(move, start, live, kept=move.wake > self.total)
        guard.look()
        # A policy may begin with tokens, such as noise: those are written, and committed, before the first pass.
        tokens = torch.where(rows.editable, move.tokens, first)
        events = count_events(first, tokens, first, rows.editable, rows.gold, mask_id)
        zero, ladder = torch.zeros_like(rows.id), len(self.rungs)
        state = State(
            rows=rows,
            index=start + move.wake,
            nfe=zero,
            tokens=tokens,
            committed=tokens,
            ask=move.ask,
            memory=move.memory,
            answer=move.answer,
            score=move.score,
            events=events,
            answers=move.answer[:, None].repeat(1, ladder, 1),
            scores=move.score[:, None].repeat(1, ladder),
            canvases=tokens[:, None].repeat(1, ladder, 1),
            spent=zero[:, None].repeat(1, ladder),
            changes=events[:, None].repeat(1, ladder, 1),
        )
        return state if self.counters is None else state._replace(life=self.counters.init(state))

    def one_pass(
        self,
        state: State,
        noise: Noise | None = None,
        observe: Observer | None = None,
        guard: Guard | None = None,
        held: Any = None,
    ) -> State:
        """One call for every live row: a pass, where the denoiser is ready for it. Finished rows are sent along, since
        the width is fixed, and stay as they are.

        guard: looks at the policy's move; a row whose move breaks a rule stays as it is too, until it is named.  held:
        what `seat` gave for these rows; their features without it.
        """
        rows, mask_id = state.rows, self.denoiser.mask_id
        live = state.index < self.total
        reading = self.denoiser(state.ask, rows.features if held is None else held)
        if reading.call is not None:
            state, live = _read_on(state, reading, reading.call, live)
        carry = self.denoiser.first_carry(len(live))
        canvas = Canvas(state.tokens, rows.editable, carry, mask_id, self.end_id)
        noise = noise or Counter(self.seed, rows.id, state.index)
        move = self.policy(canvas, reading, self._clock(state.index), state.memory, noise)
        if guard is not None:
            guard.form(move, state.index, live, state.ask.carry, state.memory)

        tokens = torch.where(rows.editable, move.tokens, state.tokens)
        events = state.events + count_events(state.tokens, tokens, state.committed, rows.editable, rows.gold, mask_id)
        committed = torch.where(tokens == mask_id, state.committed, tokens)
        index = state.index + move.wake.clamp(max=NEVER // 2)
        nfe = state.nfe + 1
        # What is said after this pass stands until the row's next reading, so it is the answer at every rung up to
        # there.
        rungs = self._ladder = self._ladder.to(index.device)
        here = (rungs > state.index[:, None]) & (rungs <= index[:, None])
        if guard is not None:
            live = live & guard.sees(move, state.index, live, kept=here.any(-1))
        here = here & live[:, None]
        after = state._replace(
            index=index,
            nfe=nfe,
            tokens=tokens,
            committed=committed,
            ask=move.ask,
            memory=move.memory,
            answer=move.answer,
            score=move.score,
            events=events,
        )
        after = choose(live, after, state)
        if somewhere(here):
            rung = here[..., None]
            after = after._replace(
                answers=torch.where(rung, move.answer[:, None], state.answers),
                scores=torch.where(here, move.score[:, None], state.scores),
                canvases=torch.where(rung, committed[:, None], state.canvases),
                spent=torch.where(here, nfe[:, None], state.spent),
                changes=torch.where(rung, events[:, None], state.changes),
            )
        if self.counters is not None:
            after = after._replace(life=choose(live, self.counters(state, reading, move, after), state.life))
        if observe is not None:
            observe(state, reading, move, after)
        return after

    @torch.inference_mode()
    def seat(self, rows: Rows) -> Any:
        """What the denoiser is handed of these rows in place of their features, asked for in calls of one width."""
        seat = seat_of(self.denoiser)
        if seat is None:
            return rows.features
        count, width = len(rows.id), min(SEATED, self.width)
        tokens = torch.where(rows.editable, self.denoiser.mask_id, rows.tokens)
        order = torch.arange(count + -count % width, device=tokens.device)
        parts = (part.clamp(max=count - 1) for part in order.split(width))  # the last row fills up the last call
        return take(
            join([seat(tokens[part], rows.editable[part], rows.features[part]) for part in parts]), order[:count]
        )

    @torch.inference_mode()
    def advance(self, state: State, passes: int, observe: Observer | None = None, held: Any = None) -> State:
        """`passes` calls for every row that is live then. Waits for the device at the end. held: as in `one_pass`.

        Raises: BadMove where the policy broke a rule.
        """
        return self._walk(state, passes, observe, held, False)[0]

    def _walk(self, state: State, passes: int, observe: Observer | None, held: Any, looks: bool) -> tuple[State, int]:
        """`advance`, and how many calls were made. looks: stops when a row has come to its end."""
        guard, ids = self._guard(state.rows), state.rows.id
        of_rows = words(self.seed, ids)
        made, begun = 0, self._live(state) if looks else 0
        while made < passes and (not looks or self._live(state) == begun):
            state = self.one_pass(state, Counter(self.seed, ids, state.index, of_rows), observe, guard, held)
            made += 1
        guard.look()
        return state, made

    def _live(self, state: State) -> int:
        return int((state.index < self.total).sum())

    @torch.inference_mode()
    def run(
        self,
        rows: Rows,
        pool: State | None = None,
        observe: Observer | None = None,
        on_chunk: Callable[[State, Counts], None] | None = None,
    ) -> Iterator[State]:
        """Walk all rows to their end; yield each, as a state of one row, when it has finished.

        rows: those that wait.  pool: rows under way, from a snapshot, which go on where they were.  on_chunk: called
        after each
        chunk with the live rows and the calls so far: the place for a snapshot, a flush, a progress line.
        """
        waiting = Queue(rows, pool, self.init, self.width)
        seats = waiting.seats(self.width)
        held = self._sit(None, seats, waiting)
        while seats is not None:
            live = seats.index < self.total
            ahead = int(torch.where(live, self.total - seats.index, 0).amax())  # waits for the device, once a chunk
            before = seats.nfe
            # A look at who has finished costs less than a pass that nobody needs.
            looks = at_hand(seats.index)
            seats, passes = self._walk(seats, min(self.chunk, max(ahead, 0)), observe, held, looks)
            charged = int((seats.nfe - before).sum())
            self.counts = self.counts.plus(Counts(charged, passes * self.width - charged))
            finished = waiting.finished(seats, self.total)
            for place in finished:
                yield take(seats, torch.tensor([place], device=seats.index.device))
            seats = waiting.reseat(seats, finished)
            held = self._sit(held, seats, waiting)
            if on_chunk is not None and seats is not None:
                on_chunk(waiting.under_way(seats), self.counts)

    def _sit(self, held: Any, seats: State | None, waiting: Queue) -> Any:
        """What is held of each seat, now that those who arrived have sat down; `held` before that."""
        if seats is None or seat_of(self.denoiser) is None or not waiting.arrived:
            return held
        places = torch.tensor(waiting.arrived, device=seats.index.device)
        fresh = self.seat(take(seats.rows, places))
        sent = len(places) + -len(places) % min(SEATED, self.width)
        self.counts = self.counts.plus(Counts(seated=waiting.began, seated_wasted=sent - waiting.began))
        if held is None:
            held = take(fresh, torch.zeros(self.width, dtype=torch.int64, device=places.device))
        return put(held, places, fresh)

    def _guard(self, rows: Rows) -> Guard:
        return Guard(self.policy, rows.id, rows.editable, self.denoiser.mask_id)

    def _clock(self, index: Tensor) -> Clock:
        return Clock(index, None if self.policy.anytime else self.total)


def _read_on(state: State, reading: Reading, call: Call, live: Tensor) -> tuple[State, Tensor]:
    """Rows for which this call was none of the asked pass have paid for it and ask again; the others, [B] bool, are
    live."""
    paid = state._replace(nfe=state.nfe + call.charged, ask=state.ask._replace(carry=reading.carry))
    return choose(live & ~call.ready, paid, state), live & call.ready


def extend(state: State, old: tuple[int, ...], new: tuple[int, ...]) -> State:
    """Finished rows of a run over rungs `old`, ready to go on over the longer ladder `new`.

    Raises: ValueError where `old` is not the beginning of `new`: another ladder's answers are not on this one.
    """
    if tuple(new[: len(old)]) != tuple(old):
        raise ValueError(f"a run over rungs {old} goes on only over rungs that begin with them, not {new}")
    more = len(new) - len(old)
    if more == 0:
        return state

    def longer(kept: Tensor, standing: Tensor) -> Tensor:
        return torch.cat([kept, standing[:, None].expand(-1, more, *standing.shape[1:])], 1)

    # What stands now is the answer at new rungs that the row has slept past; at later rungs it will be overwritten.
    return state._replace(
        answers=longer(state.answers, state.answer),
        scores=longer(state.scores, state.score),
        canvases=longer(state.canvases, state.committed),
        spent=longer(state.spent, state.nfe),
        changes=longer(state.changes, state.events),
    )
