"""What happened to the tokens of a canvas, read off the canvas itself.

Each token is held against its position's last *committed* one, so a mask between two tokens hides no flip. Probes and
answers
are no events: only what a policy writes into the working canvas counts, and only at editable positions.
"""

import torch
from torch import Tensor

KINDS = (
    "written",  # a position's first token
    "written_right",  # of these, equal to the gold answer
    "doubted",  # a token taken back
    "restored",  # the same token written again
    "flipped",  # another token than the last committed one
    "wrong_to_right",  # of the flips, by the gold answer
    "right_to_wrong",
    "lateral",  # wrong to another wrong
)
"""Counted per row. Identity: written_right + wrong_to_right - right_to_wrong = right committed tokens,
from blanks; of a row that begins with tokens, as many more as were right."""


def kinds_of(before: Tensor, after: Tensor, committed: Tensor, gold: Tensor, mask_id: int) -> tuple[Tensor, ...]:
    """[B, L] bool for each of KINDS: the events between two canvases, position by position.

    before, after: [B, L] working canvases.  committed: [B, L] last token written at each position, `mask_id` where none
    was.
    gold: [B, L] the known answer; where several answers are right, right and wrong here mean "as in the known one".
    """
    was, now, seen, same = before != mask_id, after != mask_id, committed != mask_id, after == committed
    filled, flipped = now & ~was, now & seen & ~same
    right_before, right_after = committed == gold, after == gold
    return (
        written := filled & ~seen,
        written & right_after,
        was & ~now,
        filled & same,
        flipped,
        flipped & right_after,
        flipped & right_before,
        flipped & ~(right_before | right_after),
    )


def count_events(
    before: Tensor, after: Tensor, committed: Tensor, editable: Tensor, gold: Tensor, mask_id: int
) -> Tensor:
    """[B, len(KINDS)] int64: how many events of each kind there were at editable positions; see `kinds_of`."""
    kinds = kinds_of(before, after, committed, gold, mask_id)
    return (torch.stack(kinds, -1) & editable[..., None]).sum(1)
