"""The examples of a training, stacked, and the order in which they are seen.

This file decides what batch number n holds: a function of (seed, n) and of nothing else, so that the number is all that
a resumed training has to remember. It knows no task: a sheet is anything with the five fields below.
"""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from dlmreason.diffusion.objectives import Batch


class Sheet(Protocol):
    """How one example lies before a model; plain arrays."""

    @property
    def tokens(self) -> Any: ...  # int [L], with the right answer in place

    @property
    def editable(self) -> Any: ...  # bool [L]

    @property
    def features(self) -> Any: ...  # int [L, F]

    @property
    def answer_at(self) -> int: ...  # where the answer begins; a thought lies before it

    @property
    def thoughts(self) -> Any: ...  # int [L]: which thought a position is of, from 0; the answer is the last


@dataclass(frozen=True)
class Sheets:
    """N examples of one length, with their answers. `stack` keeps them in int32 to save memory; batches are int64.

    Raises: ValueError where a position to be written still holds the mask, for then the answer is not known.
    """

    tokens: Tensor  # [N, L]
    editable: Tensor  # [N, L] bool
    features: Tensor  # [N, L, F]
    judged: Tensor  # [N, L] bool
    mask_id: int
    ids: Sequence[str] = ()  # [N], or none
    thoughts: Tensor | None = None  # [N, L]; None: all is one thought
    judge: Callable[[Tensor, Tensor], Tensor] | None = None  # examples [B], a full canvas of each [B, L] -> [B] bool,
    # which are right; None: those alone that equal `tokens`

    def __post_init__(self) -> None:
        rows, length = self.tokens.shape
        shapes = {"editable": self.editable.shape, "features": self.features.shape[:2], "judged": self.judged.shape}
        if self.thoughts is not None:
            shapes["thoughts"] = self.thoughts.shape
        for name, shape in shapes.items():
            if tuple(shape) != (rows, length):
                raise ValueError(
                    f"sheets.{name} is {tuple(shape)} over (examples, positions); tokens are {(rows, length)}"
                )
        if rows == 0:
            raise ValueError(
                "there is no example to train on: raise the task's number of training examples to 1 or more"
            )
        if self.ids and len(self.ids) != rows:
            raise ValueError(f"sheets.ids names {len(self.ids)} examples of {rows}: give one id for each, or none")
        empty = (~self.editable.any(1)).nonzero()
        if len(empty):
            raise ValueError(f"{self.name(int(empty[0]))} has no position for the model to write: leave it out")
        unknown = ((self.tokens == self.mask_id) & self.editable).any(1).nonzero()
        if len(unknown):
            raise ValueError(
                f"{self.name(int(unknown[0]))} has no known answer, as have {len(unknown)} of {rows} examples: "
                "training needs the answers, so give puzzles with solutions"
            )
        if bool((self.judged & ~self.editable).any()):
            raise ValueError(
                "sheets.judged must be a part of sheets.editable: quality is trained where the model writes"
            )

    @classmethod
    def stack(
        cls,
        sheets: Sequence[Sheet],
        *,
        pad_id: int,
        mask_id: int,
        ids: Sequence[str] = (),
        writes_padding: bool = True,
        block: int = 0,
        judge: Callable[[Tensor, Tensor], Tensor] | None = None,
    ) -> "Sheets":
        """Sheets padded at their end to the longest; that padding is not editable. Answers are judged, not thoughts.

        writes_padding: padding within an answer is the model's to write; False for a model that stops before it.
        block: of a model that stops after the block in which its text ends; padding beyond is not its to write.
        judge: of whole canvases, as the field has it.
        """
        if not sheets:
            raise ValueError(
                "there is no example to train on: raise the task's number of training examples to 1 or more"
            )
        shape = (len(sheets), max(len(sheet.tokens) for sheet in sheets))
        tokens = np.full(shape, pad_id, dtype=np.int32)
        editable, judged = np.zeros(shape, dtype=bool), np.zeros(shape, dtype=bool)
        features = np.zeros((*shape, sheets[0].features.shape[1]), dtype=np.int32)
        thoughts = np.zeros(shape, dtype=np.int32)
        for row, sheet in enumerate(sheets):
            length = len(sheet.tokens)
            tokens[row, :length] = sheet.tokens
            editable[row, :length] = sheet.editable
            features[row, :length] = sheet.features
            judged[row, sheet.answer_at : length] = sheet.editable[sheet.answer_at :]
            thoughts[row, :length] = sheet.thoughts
        if not writes_padding:
            editable &= tokens != pad_id
            judged &= editable
        if block:
            places, padding = np.arange(shape[1]), (tokens == pad_id) & editable
            last = np.where(padding.any(1), padding.argmax(1) - 1, shape[1])
            editable &= places // block <= last[:, None] // block
            judged &= editable
        t, e, f, j, p = (torch.from_numpy(array) for array in (tokens, editable, features, judged, thoughts))
        return cls(t, e, f, j, mask_id, tuple(ids), p, judge)

    def __len__(self) -> int:
        return self.tokens.shape[0]

    def name(self, row: int) -> str:
        """The id of an example, or its row where none was given."""
        return self.ids[row] if self.ids else f"example {row}"

    def to(self, device: torch.device) -> "Sheets":
        t, e, f, j = (tensor.to(device) for tensor in (self.tokens, self.editable, self.features, self.judged))
        thoughts = None if self.thoughts is None else self.thoughts.to(device)
        return replace(self, tokens=t, editable=e, features=f, judged=j, thoughts=thoughts)

    def take(self, rows: Tensor) -> Batch:
        """The examples `rows` [B] int64, in that order."""
        tokens = self.tokens[rows].long()
        thoughts = torch.zeros_like(tokens) if self.thoughts is None else self.thoughts[rows].long()
        right = None if self.judge is None else partial(self.judge, rows)
        kept = self.editable[rows], self.features[rows].long(), self.judged[rows]
        return Batch(tokens, *kept, thoughts, self.mask_id, right)

    def digest(self) -> str:
        """SHA-256 over all examples: the same digits, the same data.

        Where thoughts end is left out: it follows from the tokens by the task's own rule, and few objectives ask.
        """
        digest = hashlib.sha256(repr((self.tokens.shape, self.features.shape, self.mask_id)).encode())
        for tensor in (self.tokens, self.editable, self.features, self.judged):
            digest.update(tensor.contiguous().cpu().numpy().data)
        return digest.hexdigest()


class Order:
    """Which examples batch n holds: batches run on through one shuffle of all examples after another.

    A batch may straddle two shuffles, so no example is left out at the end of an epoch.
    """

    def __init__(self, rows: int, batch_size: int, seed: int) -> None:
        self.rows, self.batch_size, self.seed = rows, batch_size, seed
        self._epoch, self._shuffle = -1, torch.empty(0, dtype=torch.int64)

    def __call__(self, batch: int) -> Tensor:
        """The examples of batch `batch` (0 is the first), [batch_size] int64."""
        start, parts = batch * self.batch_size, []
        end = start + self.batch_size
        while start < end:
            epoch, at = divmod(start, self.rows)
            parts.append(self._shuffled(epoch)[at : at + end - start])
            start += len(parts[-1])
        return torch.cat(parts)

    def _shuffled(self, epoch: int) -> Tensor:
        if epoch != self._epoch:
            generator = torch.Generator().manual_seed(seed_of("order", self.seed, epoch))
            self._epoch, self._shuffle = epoch, torch.randperm(self.rows, generator=generator)
        return self._shuffle


def seed_of(*parts: str | int) -> int:
    """A 64-bit seed that no other parts share in practice."""
    key = "/".join(map(str, parts)).encode()
    return int.from_bytes(hashlib.blake2b(key, digest_size=8).digest())
