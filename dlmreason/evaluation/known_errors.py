"""Right answers with a few wrong tokens in them: what a detector of errors is shown, and where a policy may begin.

This file decides which tokens go wrong, and into what. A plant is a function of the example alone: no seed, model,
arm or company changes it, and the wrong tokens of a smaller count are among those of a larger one. It knows no network
and no policy.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from dlmreason.sampling.noise import Counter
from dlmreason.sampling.state import Rows


@dataclass(frozen=True)
class Planted:
    """The known answer with `count` wrong tokens."""

    count: int

    def rows(self, examples: Sequence[Any], blank: Callable[[Sequence[Any]], Rows], mask_id: int) -> Rows:
        rows = blank(examples)
        return rows._replace(tokens=planted(rows, self.count, mask_id)) if len(rows.id) else rows

    def told(self, example: Any, rows: Rows, sheet: Any, says: Tensor) -> tuple[None, dict[str, int]]:
        return None, {}


BEFORE = -2
"""The pass that plants are drawn at: before that of a policy's first move, with which they share no draw."""


def planted(rows: Rows, count: int, mask_id: int) -> Tensor:
    """The known answers [N, L] with `count` wrong tokens each, at editable positions drawn evenly.

    A wrong token is drawn evenly from the other tokens of the same answer, so that none stands out by being rare. Where
    several answers are right a token is wrong that is not as in the known one.

    Raises: ValueError where an answer is not known, has no more than `count` tokens, or has one token all over.
    """
    gold, editable = rows.gold, rows.editable
    if bool(((gold == mask_id) & editable).any()):
        raise ValueError(f"planted={count}: an answer is not known: give puzzles with solutions, or plant none")
    sizes = editable.sum(-1)
    if count < 1 or bool((sizes <= count).any()):
        raise ValueError(
            f"planted={count}: the shortest answer has {int(sizes.min())} tokens, of which some must stay right: give "
            f"1 to {int(sizes.min()) - 1}"
        )
    kinds = int(gold.max()) + 1
    there = torch.zeros(len(gold), kinds, dtype=torch.int64, device=gold.device)
    there.scatter_add_(1, gold, editable.long())  # what is given adds nothing
    other = (there > 0)[:, None] & (gold[..., None] != torch.arange(kinds, device=gold.device)) | ~editable[..., None]
    if not bool(other.any(-1).all()):
        raise ValueError(
            f"planted={count}: an answer is one token all over, and nothing else can stand in it: leave that example "
            "out, or choose a task whose answers have several"
        )
    noise = Counter(0, rows.id, torch.full_like(rows.id, BEFORE))
    order = noise.rank(torch.where(editable, 0.0, -torch.inf).double(), "site")
    wrong = noise.draw(other.double().log().log_softmax(-1), "token")
    return torch.where(editable & (order < count), wrong, gold)
