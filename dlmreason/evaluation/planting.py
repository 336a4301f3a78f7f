"""Rows that begin with a part of the answer written, and some of it wrong.

This file decides which tokens of a draft are right and which are planted errors, and what became of both. A plant is a
function of the example alone, so that every policy and every budget meets the same one. It knows no policy.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import one_hot

from dlmreason.canvas import block_numbers
from dlmreason.sampling.noise import Counter
from dlmreason.sampling.state import Rows

_BEFORE = -2
"""The pass that a plant's noise is of: none makes it."""


@dataclass(frozen=True)
class Draft:
    """The known answer in the first block that has a position to write, but for `wrong` tokens of it; blanks beyond.

    block, by_position: as `Window`'s size.  wrong: 0 writes the known answer, the control.  seed: of the plants alone.
    What stands in place of a right token is another one of the same answer, drawn evenly from its positions that hold
    one: an error that could have been written.

    Raises: ValueError, when called, where a row's answer is not known, or a row has no room for so many errors.
    """

    block: int
    wrong: int = 1
    by_position: bool = False
    seed: int = 0

    def __post_init__(self) -> None:
        if self.block < 1:
            raise ValueError(f"draft.block={self.block}: a block has 1 position or more")
        if self.wrong < 0:
            raise ValueError(f"draft.wrong={self.wrong}: give the number of errors to plant, 0 for none")

    def rows(self, examples: Sequence[Any], blank: Callable[[Sequence[Any]], Rows], mask_id: int) -> Rows:
        rows = blank(examples)
        return rows._replace(tokens=torch.where(rows.editable, self(rows, mask_id), rows.tokens))

    def told(self, example: Any, rows: Rows, sheet: Any, says: Tensor) -> tuple[None, dict[str, int]]:
        return None, self.became(rows, says)

    def __call__(self, rows: Rows, mask_id: int) -> Tensor:
        """[N, L] int64: what stands at the start."""
        first, wrong = self._first(rows), self.planted(rows)
        unknown = ((rows.gold == mask_id) & rows.editable).any(-1)
        if bool(unknown.any()):
            raise ValueError(
                f"a draft is made of the known answers, and {int(unknown.sum()):,} of {len(unknown):,} examples have "
                "none: give puzzles with solutions, or leave draft out"
            )
        short = wrong.sum(-1) < self.wrong
        if bool(short.any()):
            raise ValueError(
                f"draft.wrong={self.wrong}: {int(short.sum()):,} of {len(short):,} examples have fewer tokens in their "
                f"first block of {self.block} that another one of the answer could stand for: plant fewer, or make the "
                "block longer"
            )
        held = one_hot(torch.where(rows.editable, rows.gold, mask_id), mask_id + 1).sum(1)[:, :mask_id].double()
        others = held[:, None] * (1 - one_hot(rows.gold, mask_id + 1)[..., :mask_id].double())
        put = self._noise(rows).draw((others / others.sum(-1, keepdim=True).clamp(min=1)).log(), "token")
        return torch.where(first, torch.where(wrong, put, rows.gold), mask_id)

    def planted(self, rows: Rows) -> Tensor:
        """[N, L] bool: where the errors are."""
        # Where the whole answer is one token, nothing else of it could stand.
        lone = (rows.gold == rows.gold.gather(1, rows.editable.long().argmax(-1, keepdim=True))) | ~rows.editable
        where = self._first(rows) & ~lone.all(-1, keepdim=True)
        score = torch.where(where, 0.0, -torch.inf).double()
        return (self._noise(rows).rank(score, "order") < self.wrong) & where

    def became(self, rows: Rows, answer: Tensor) -> dict[str, int]:
        """Of one row's answer [1, L], or canvas: the draft's tokens that were planted and are right now, and those that
        were right and are wrong now."""
        wrong, good = self.planted(rows), answer == rows.gold
        right = self._first(rows) & ~wrong
        return {
            "planted": int(wrong.sum()),
            "taken_back": int((wrong & good).sum()),
            "given_right": int(right.sum()),
            "harmed": int((right & ~good).sum()),
        }

    def _first(self, rows: Rows) -> Tensor:
        """[N, L] bool: the block that is written."""
        numbers = block_numbers(rows.editable, self.block, self.by_position)
        least = torch.where(rows.editable, numbers, rows.tokens.shape[-1]).amin(-1, keepdim=True)
        return (numbers == least) & rows.editable

    def _noise(self, rows: Rows) -> Counter:
        return Counter(self.seed, rows.id, torch.full_like(rows.id, _BEFORE))
