"""The story of a row, pass by pass: what changed, and what the model thought of it.

Delta-encoded: memory grows with the changes, not with passes x length. The observer only keeps references while a chunk
runs; turning them into frames waits for the device and happens between chunks.
"""

import math
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import torch
from torch import Tensor

from dlmreason.canvas import Move, Reading
from dlmreason.sampling.state import State


class _Kept(NamedTuple):
    """What one pass leaves for the flush."""

    live: Tensor
    made: Tensor
    tokens: Tensor
    answer: Tensor
    score: Tensor
    read: Tensor
    quality: Tensor | None


class _Said(NamedTuple):
    """The same of one row, as numbers."""

    live: bool
    made: int
    tokens: list[int]
    answer: list[int]
    score: float
    read: list[int]
    percent: list[int] | None


@dataclass
class Trace:
    """One row's story. A frame or answer is dated by the number of passes made.

    frames: {"pass", "changes": [[position, token]], "masked", "quality": [percent per position] | None, "score" |
    None}, one for each pass that changed the canvas or read a full one.  answers: {"pass", "changes"}, one for each
    change of the answer.
    """

    start: list[int]
    frames: list[dict[str, Any]] = field(default_factory=list)
    answers: list[dict[str, Any]] = field(default_factory=list)


class Tracer:
    """Observes the rows whose ids are in `wanted`; give its `observe` to the sampler and call `flush` after each
    chunk."""

    def __init__(self, wanted: Collection[int], mask_id: int) -> None:
        self.traces: dict[int, Trace] = {}
        self._wanted, self._mask_id = set(wanted), mask_id
        self._kept: list[_Kept] = []
        self._ids: Tensor | None = None
        self._canvas: dict[int, list[int]] = {}
        self._answer: dict[int, list[int]] = {}

    def observe(self, before: State, reading: Reading, move: Move, after: State) -> None:
        """The sampler's observer. All passes kept between two flushes must be of one pool."""
        if not self._kept:
            self._first(before)
        live = before.index != after.index
        self._kept.append(
            _Kept(live, before.index, after.tokens, after.answer, after.score, reading.of.tokens, reading.quality)
        )

    def flush(self) -> None:
        """Turn what was kept into frames."""
        if self._ids is None:
            return
        seated = [(place, number) for place, number in enumerate(self._ids.tolist()) if number in self._wanted]
        if seated:
            chunk = _stacked(self._kept)
            for place, number in seated:
                for said in _read(chunk, place):
                    if said.live:
                        self._frame(number, said)
        self._kept, self._ids = [], None

    def _first(self, state: State) -> None:
        self._ids = state.rows.id
        for place, number in enumerate(state.rows.id.tolist()):
            if number in self._wanted and number not in self.traces:
                tokens = state.tokens[place].tolist()
                self.traces[number] = Trace(tokens)
                self._canvas[number], self._answer[number] = tokens, tokens

    def _frame(self, number: int, said: _Said) -> None:
        trace, passes = self.traces[number], said.made + 1
        changes = _changes(self._canvas[number], said.tokens)
        full = self._mask_id not in said.read
        if changes or full:
            trace.frames.append(
                {
                    "pass": passes,
                    "changes": changes,
                    "masked": said.tokens.count(self._mask_id),
                    "quality": said.percent if full else None,
                    "score": said.score if said.score > -math.inf else None,
                }
            )
        changed = _changes(self._answer[number], said.answer)
        if changed:
            trace.answers.append({"pass": passes, "changes": changed})
        self._canvas[number], self._answer[number] = said.tokens, said.answer


def _stacked(kept: list[_Kept]) -> _Kept:
    """The passes of a chunk as one, each field [T, B, ...], and quality in percent."""
    live, made, tokens, answer, score, read, quality = (list(each) for each in zip(*kept, strict=True))
    percent = None if quality[0] is None else (torch.stack(quality).float() * 100).round().int()
    stack = torch.stack
    return _Kept(stack(live), stack(made), stack(tokens), stack(answer), stack(score), stack(read), percent)


def _read(chunk: _Kept, place: int) -> list[_Said]:
    """A row of what `_stacked` gives, pass by pass. Read at once: one by one its numbers would take as long as a
    pass."""
    fields = [field[:, place].tolist() for field in chunk if field is not None]
    unjudged = [[None] * len(fields[0])] if chunk.quality is None else []
    return [_Said(*said) for said in zip(*fields, *unjudged, strict=True)]


def _changes(old: list[int], new: list[int]) -> list[list[int]]:
    """[[position, new token], ...] where the two differ."""
    return [[position, now] for position, (was, now) in enumerate(zip(old, new, strict=True)) if was != now]
