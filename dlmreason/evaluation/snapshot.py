"""Rows under way and rows that have finished, on disk: an interrupted evaluation goes on, a finished one can be
extended.

This file decides when a snapshot is taken and which one fits. One that is damaged, or of another version or ladder, is
left unused with a sentence: the rows are walked again from their start and come out the same, only later. Rows under
way of another run are refused, with what differs, for to begin anew would write over them.
"""

import hashlib
import io
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import torch
from torch import Tensor
from torch.utils._pytree import tree_flatten, tree_unflatten

from dlmreason import disk
from dlmreason.canvas import join, take
from dlmreason.sampling.denoise import extend
from dlmreason.sampling.state import State

_DIGEST = 32  # bytes of SHA-256 in front of the content


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


class ForeignSnapshot(ValueError):
    """Rows under way are of other weights, settings or examples."""


class Snapshot:
    """The state of one arm's rows for one seed.

    key: the run key.  every: seconds between two saves of rows under way.  facts: what the key is made of, by name, for
    a person who has changed some of it.
    """

    def __init__(
        self,
        path: Path,
        key: str,
        every: float = 10.0,
        report: Callable[[str], None] = _say,
        facts: Mapping[str, str] | None = None,
    ) -> None:
        self._path, self._key, self._every, self._report, self._facts = path, key, every, report, dict(facts or {})
        self._saved_at = time.monotonic()

    @property
    def _finished(self) -> Path:
        return self._path.with_suffix(".finished.pt")

    def load(self, template: State, rungs: tuple[int, ...], wanted: set[int]) -> State | None:
        """Rows among `wanted` ids that need not begin anew, ready to walk `rungs`; None where there are none.

        template: a state of one row of this run, for its structure.  Raises: ForeignSnapshot where rows under way are
        of another run.
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
        about = {"key": self._key, "facts": self._facts, "rungs": list(rungs)}
        torch.save({**about, "leaves": [leaf.cpu() for leaf in leaves]}, buffer)
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
            if path == self._path:
                raise ForeignSnapshot(self._foreign(held.get("facts", {})))
            self._report(f"{path} is of other weights, settings or examples and is not used; its rows begin anew")
            return None
        return self._fit(path, held["leaves"], tuple(held["rungs"]), template, rungs)

    def _foreign(self, theirs: Mapping[str, str]) -> str:
        both = {name: (theirs.get(name, "none"), self._facts.get(name, "none")) for name in {**theirs, **self._facts}}
        differs = [f"{name}={there} there and {here} here" for name, (there, here) in both.items() if there != here]
        return (
            f"{self._path} holds rows under way of another run "
            f"({', '.join(differs) or 'other weights, settings or examples'}): start it as it was, give another "
            "name= or output=, or remove that file"
        )

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
