"""Rows under way and rows that have finished, on disk: an interrupted evaluation goes on, a finished one can be
extended.

This file decides when a snapshot is taken and which one fits. A snapshot that does not fit this run, or is damaged, is
left
unused with a sentence: the rows are walked again from their start and come out the same, only later.
"""

import hashlib
import io
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor
from torch.utils._pytree import tree_flatten, tree_unflatten

from dlmreason import disk
from dlmreason.canvas import join, take
from dlmreason.sampling.denoise import State, extend

_DIGEST = 32  # bytes of SHA-256 in front of the content


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


class Snapshot:
    """The state of one arm's rows for one seed.

    key: the run key; a snapshot of another is not used.  every: seconds between two saves of rows under way.
    """

    def __init__(self, path: Path, key: str, every: float = 10.0, report: Callable[[str], None] = _say) -> None:
        self._path, self._key, self._every, self._report = path, key, every, report
        self._saved_at = time.monotonic()

    @property
    def _finished(self) -> Path:
        return self._path.with_suffix(".finished.pt")

    def load(self, template: State, rungs: tuple[int, ...], wanted: set[int]) -> State | None:
        """Rows among `wanted` ids that need not begin anew, ready to walk `rungs`; None where there are none.

        template: a state of one row of this run, for its structure.
        """
        parts = []
        held: set[int] = set()
        for path in (self._path, self._finished):
            state = self._read(path, template, rungs)
            if state is None:
                continue
            places = [
                place for place, number in enumerate(state.rows.id.tolist()) if number in wanted and number not in held
            ]
            held |= {int(state.rows.id[place]) for place in places}
            if places:
                parts.append(take(state, torch.tensor(places, device=state.index.device)))
        return join(parts) if parts else None

    @property
    def due(self) -> bool:
        """Whether the last save is long enough ago."""
        return time.monotonic() - self._saved_at >= self._every

    def save(self, state: State, rungs: tuple[int, ...]) -> None:
        """Keep rows under way, if that is due."""
        if self.due:
            self._write(self._path, state, rungs)
            self._saved_at = time.monotonic()

    def finish(self, state: State, rungs: tuple[int, ...]) -> None:
        """Keep rows that have finished, for a longer ladder; those kept before and not among them stay."""
        before = self._read(self._finished, take(state, torch.tensor([0], device=state.index.device)), rungs)
        if before is not None:
            new = set(state.rows.id.tolist())
            places = [place for place, number in enumerate(before.rows.id.tolist()) if number not in new]
            if places:
                state = join([state, take(before, torch.tensor(places, device=state.index.device))])
        self._write(self._finished, state, rungs)
        self._path.unlink(missing_ok=True)

    def drop(self) -> None:
        """Forget rows under way: they have all finished, and what became of them is told elsewhere."""
        self._path.unlink(missing_ok=True)

    def _write(self, path: Path, state: State, rungs: tuple[int, ...]) -> None:
        leaves, _ = tree_flatten(state)
        buffer = io.BytesIO()
        torch.save({"key": self._key, "rungs": list(rungs), "leaves": [leaf.cpu() for leaf in leaves]}, buffer)
        content = buffer.getvalue()
        path.parent.mkdir(parents=True, exist_ok=True)
        disk.write(path, hashlib.sha256(content).digest() + content)

    def _read(self, path: Path, template: State, rungs: tuple[int, ...]) -> State | None:
        if not path.exists():
            return None
        data = path.read_bytes()
        if hashlib.sha256(data[_DIGEST:]).digest() != data[:_DIGEST]:
            self._report(f"{path} is damaged and is not used; its rows begin anew")
            return None
        held = torch.load(io.BytesIO(data[_DIGEST:]), weights_only=True)
        if held["key"] != self._key:
            self._report(f"{path} is of other weights, settings or examples and is not used; its rows begin anew")
            return None
        return self._fit(path, held["leaves"], tuple(held["rungs"]), template, rungs)

    def _fit(
        self, path: Path, leaves: list[Tensor], old: tuple[int, ...], template: State, rungs: tuple[int, ...]
    ) -> State | None:
        shapes, spec = tree_flatten(template)
        if len(leaves) != len(shapes):
            self._report(f"{path} is of another version, or counters, and is not used; its rows begin anew")
            return None
        state: State = tree_unflatten([leaf.to(like.device) for leaf, like in zip(leaves, shapes, strict=True)], spec)
        if tuple(rungs[: len(old)]) != old:
            self._report(f"{path} is of the ladder {old} and cannot go on along {rungs}; its rows begin anew")
            return None
        return extend(state, old, rungs)
