"""Stories of rows, written while they are walked: what is remembered does not grow with the passes.

This file decides which passes are told, and where a file is cut off when a walk goes on from a snapshot. Up to half of
the changes that a file may hold, every pass that changed something is told; of what is left each 32nd part is told at
half the rate of the part before: then only passes that are the first of 2, of 4, of 8, ... may be. A frame always leads
from the canvas and answer told last to those of its own pass, so that thinning leaves out canvases and never falsifies
one; the last canvas and answer are told beyond the bound, and the foot counts every event. All of this depends on the
row alone, so a file is the same bytes however its row was walked. How they lie is `tracefile`'s.
"""

import os
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from dlmreason.canvas import Move, Reading
from dlmreason.sampling import tracefile
from dlmreason.sampling.events import KINDS
from dlmreason.sampling.state import State
from dlmreason.sampling.trace import Trace
from dlmreason.sampling.tracefile import Changes, Foot, Head, Story

PARTS = 32
"""Of the second half of the changes; each is told at half the rate of the part before."""


def rate(told: int, events: int) -> int:
    """Of so many passes in a row at most one is told, once `told` changes of `events` have been."""
    half = events // 2
    return 1 if told < half else 2 << ((told - half) * PARTS // max(events - half, 1))


@dataclass
class _Told:
    """A row's story up to now, as far as what follows depends on it."""

    canvas: list[int]
    answer: list[int]
    passes: int = 0  # of the last frame
    changes: int = 0
    made: int = 0  # passes by which the last one was made; nothing depends on it until the row has finished


class _Kept(NamedTuple):
    """What one pass leaves for the flush."""

    live: Tensor
    made: Tensor
    tokens: Tensor
    answer: Tensor


class Streamed:
    """Observes the rows whose ids are in `wanted`, each into a file of its own in `folder`.

    events: changes that a file tells, beside those that lead to the last canvas and answer.  Give `observe` to the
    sampler, call `flush` after each chunk and before a row's end is asked for, then `finish` with its last state.

    Raises: ValueError for fewer than 1 event, OSError where the folder cannot be written.
    """

    def __init__(self, folder: Path, wanted: Collection[int], events: int) -> None:
        if events < 1:
            raise ValueError(f"events={events}: a story tells 1 change or more")
        self._folder, self._wanted, self._events = folder, set(wanted), events
        self._told: dict[int, _Told] = {}
        self._done = set[int]()
        self._kept: list[_Kept] = []
        self._ids: Tensor | None = None
        self._unsynced: set[Path] = set()
        folder.mkdir(parents=True, exist_ok=True)

    def path(self, number: int) -> Path:
        """The file of the row with this id."""
        return self._folder / f"{number % 2**64:016x}.trace"

    def finished(self, number: int) -> bool:
        """Whether the row's story is told to its end."""
        story = self._read(number)
        return story is not None and story.foot is not None

    def resume(self, number: int, index: int) -> bool:
        """Cut a story off where a row is that makes pass `index` next. False: there is none, the row begins anew."""
        story = self._read(number)
        if story is None:
            return False
        frames = [frame for frame in story.frames if frame.passes <= index]
        told = _Told(list(story.head.start), list(story.head.start))
        for frame in frames:
            _put(told.canvas, frame.canvas)
            _put(told.answer, frame.answer)
            told.passes, told.changes = frame.passes, told.changes + len(frame.canvas) + len(frame.answer)
        os.truncate(self.path(number), frames[-1].end if frames else story.head_size)
        self._told[number] = told
        return True

    def _read(self, number: int) -> Story | None:
        story = tracefile.read(self.path(number))
        return story if story is not None and story.head.events == self._events else None

    def observe(self, before: State, reading: Reading, move: Move, after: State) -> None:
        """The sampler's observer. All passes kept between two flushes must be of one pool."""
        if not self._kept:
            self._first(before)
        self._kept.append(_Kept(before.index != after.index, before.index, after.tokens, after.answer))

    def _first(self, state: State) -> None:
        self._ids = state.rows.id
        for place, number in enumerate(self._ids.tolist()):
            if number in self._wanted and number not in self._told and number not in self._done:
                start = state.tokens[place].tolist()
                self._told[number] = _Told(list(start), list(start))
                self.path(number).write_bytes(tracefile.head(Head(self._events, start)))
                self._unsynced.add(self.path(number))

    def flush(self) -> None:
        """Append what was kept."""
        if self._ids is None:
            return
        places = [(place, number) for place, number in enumerate(self._ids.tolist()) if number in self._told]
        if places:
            kept: list[Any] = [torch.stack(each) for each in zip(*self._kept, strict=True)]
            for place, number in places:
                self._append(number, [each[:, place].tolist() for each in kept])
        self._kept, self._ids = [], None

    def _append(self, number: int, fields: list[Any]) -> None:
        told, out = self._told[number], bytearray()
        for live, made, canvas, answer in zip(*fields, strict=True):
            if not live:  # a free place holds a row that has finished, whose id another place may have too
                continue
            told.made, every = made + 1, rate(told.changes, self._events)
            if told.made // every > told.passes // every:
                out += self._frame(told, canvas, answer, self._events)
        self._write(number, out)

    def _frame(self, told: _Told, canvas: list[int], answer: list[int], most: int) -> bytes:
        """The frame to the pass that was made last, if there is something to tell and room for it."""
        if canvas == told.canvas and answer == told.answer:
            return b""
        changes, said = _changes(told.canvas, canvas), _changes(told.answer, answer)
        count = len(changes) + len(said)
        if told.changes + count > most:
            return b""
        gap = told.made - told.passes
        told.canvas, told.answer, told.passes, told.changes = canvas, answer, told.made, told.changes + count
        return tracefile.frame(gap, changes, said)

    def finish(self, state: State) -> None:
        """A row, as a state of one row, has finished: its last canvas and answer, and the foot."""
        number = int(state.rows.id)
        told = self._told.pop(number, None)
        if told is None:
            return
        self._done.add(number)
        canvas, answer = state.tokens[0].tolist(), state.answer[0].tolist()
        out = self._frame(told, canvas, answer, told.changes + 2 * len(canvas))
        counts = dict(zip(KINDS, state.events[0].tolist(), strict=True))
        self._write(number, out + tracefile.foot(Foot(told.made, counts)))

    def _write(self, number: int, out: bytes | bytearray) -> None:
        if out:
            with self.path(number).open("ab") as file:
                file.write(out)
            self._unsynced.add(self.path(number))

    def sync(self) -> None:
        """Put what was written on the disk: before a snapshot that counts on it."""
        for path in self._unsynced:
            descriptor = os.open(path, os.O_RDONLY)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
        self._unsynced.clear()


def story(path: Path, mask_id: int) -> Trace:
    """A file as the trace that `Tracer` would have made of the passes that are told; no quality and no score.

    Raises: OSError where there is no such file, ValueError where it is not one of ours.
    """
    found = tracefile.read(path)
    if found is None:
        raise ValueError(f"{path}: not a trace, or its head is torn: remove it, and walk its row again")
    trace, canvas = Trace(list(found.head.start)), list(found.head.start)
    for frame in found.frames:
        if frame.canvas:
            _put(canvas, frame.canvas)
            told = {"pass": frame.passes, "changes": [list(change) for change in frame.canvas]}
            trace.frames.append(told | {"masked": canvas.count(mask_id), "quality": None, "score": None})
        if frame.answer:
            trace.answers.append({"pass": frame.passes, "changes": [list(change) for change in frame.answer]})
    return trace


def _changes(old: list[int], new: list[int]) -> Changes:
    """(position, new token) where the two differ."""
    return [(position, now) for position, (was, now) in enumerate(zip(old, new, strict=True)) if was != now]


def _put(tokens: list[int], changes: Changes) -> None:
    for position, token in changes:
        tokens[position] = token
