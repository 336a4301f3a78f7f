"""The story of a row, pass by pass: what changed, and what the model thought of it.

Delta-encoded: memory grows with the changes, not with passes x length. The observer only keeps references while a chunk
runs; turning them into frames waits for the device and happens between chunks.
"""

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import torch
from torch import Tensor

from dlmreason.canvas import Move, Reading
from dlmreason.sampling.denoise import State


class _Kept(NamedTuple):
    """What one pass leaves for the flush."""

    live: Tensor
    made: Tensor
    tokens: Tensor
    answer: Tensor
    score: Tensor
    read: Tensor
    quality: Tensor | None


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
        ids = self._ids.tolist()
        places = [place for place, number in enumerate(ids) if number in self._wanted]
        for kept in self._kept:
            for place in places:
                if bool(kept.live[place]):
                    self._frame(ids[place], place, kept)
        self._kept, self._ids = [], None

    def _first(self, state: State) -> None:
        self._ids = state.rows.id
        for place, number in enumerate(state.rows.id.tolist()):
            if number in self._wanted and number not in self.traces:
                tokens = state.tokens[place].tolist()
                self.traces[number] = Trace(tokens)
                self._canvas[number], self._answer[number] = tokens, tokens

    def _frame(self, number: int, place: int, kept: _Kept) -> None:
        trace, passes = self.traces[number], int(kept.made[place]) + 1
        tokens, answer = kept.tokens[place].tolist(), kept.answer[place].tolist()
        changes = _changes(self._canvas[number], tokens)
        full = not bool((kept.read[place] == self._mask_id).any())
        if changes or full:
            quality = None
            if full and kept.quality is not None:
                quality = (kept.quality[place].float() * 100).round().int().tolist()
            score = float(kept.score[place])
            trace.frames.append(
                {
                    "pass": passes,
                    "changes": changes,
                    "masked": tokens.count(self._mask_id),
                    "quality": quality,
                    "score": score if score > -torch.inf else None,
                }
            )
        said = _changes(self._answer[number], answer)
        if said:
            trace.answers.append({"pass": passes, "changes": said})
        self._canvas[number], self._answer[number] = tokens, answer


def _changes(old: list[int], new: list[int]) -> list[list[int]]:
    """[[position, new token], ...] where the two differ."""
    return [[position, now] for position, (was, now) in enumerate(zip(old, new, strict=True)) if was != now]
