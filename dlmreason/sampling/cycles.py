"""Whether a row goes round in a circle: the last changes of its canvas against those of a round before.

This file decides what is called a cycle: that the canvas of every pass, up to now, is the one of `period` passes
before, for long enough. That is said of what was seen and promises nothing: a canvas is not all that a policy knows,
and fresh noise may end any round. So coming back to a canvas is no cycle, and Brent's algorithm, which takes the first
return for one, would call a wanderer among few canvases so. What is kept are changes, each with the passes that the
canvas before it had stood; passes that change nothing, slept through or not, cost nothing.
"""

from typing import NamedTuple

import torch
from torch import Tensor

CHANGES = 64
"""A round of more changes than these is not found; how many passes it takes is not bounded."""

REPEATS = 16
"""Changes in a row that must be those of a round before, and two rounds of them at least: one that wanders between two
canvases by a fair coin does that by luck with a chance of 3**-16. A canvas is called a cycle of period 1 once it has
stood for so many passes, and for half of all: a wanderer may well rest."""


class Ring(NamedTuple):
    """The last changes, the newest first, and how long they have repeated."""

    changed: Tensor  # [B] int64, passes made by the last change; 0: the start
    canvas: Tensor  # [B, CHANGES] int64, the word of the canvas that a change gave
    stood: Tensor  # [B, CHANGES] int64, passes that the canvas before it had stood; -1: no such change yet
    repeated: Tensor  # [B, CHANGES] int64, changes in a row that were those of so many changes (1, 2, ...) before


def opened(first: Tensor) -> Ring:
    """No change yet. first: [B] int64, the word of the canvas at the start."""
    none = torch.full((len(first), CHANGES), -1, device=first.device)
    return Ring(torch.zeros_like(first), none, none, torch.zeros_like(none))


def turned(ring: Ring, new: Tensor, changes: Tensor, passes: Tensor) -> Ring:
    """The ring after a pass. new: [B] int64, the canvas's word.  changes: [B] bool.  passes: [B] int64, made by now."""
    stood = passes - ring.changed
    same = (ring.canvas == new[:, None]) & (ring.stood == stood[:, None])
    after = Ring(
        passes,
        torch.cat([new[:, None], ring.canvas[:, :-1]], -1),
        torch.cat([stood[:, None], ring.stood[:, :-1]], -1),
        torch.where(same, ring.repeated + 1, 0),
    )
    return Ring(
        torch.where(changes, after.changed, ring.changed),
        *(torch.where(changes[:, None], a, b) for a, b in zip(after[1:], ring[1:], strict=True)),
    )


def period(ring: Ring, passes: Tensor) -> Tensor:
    """[B] int64: the least period, in passes, of a row that is in a cycle after `passes` [B] passes; 0: it is in none.

    1 is a canvas that stays.
    """
    standing = passes - ring.changed
    lags = torch.arange(1, CHANGES + 1, device=passes.device)
    # What a round before ended the canvas that stands now must still be to come.
    whole = (ring.repeated >= (2 * lags).clamp(min=REPEATS)) & (ring.stood > standing[:, None])
    least = whole.long().argmax(-1, keepdim=True)  # the first of the largest
    round_ = torch.where(whole.any(-1), ring.stood.cumsum(-1).gather(-1, least)[:, 0], 0)
    rests = (standing >= REPEATS) & (standing >= ring.changed)
    return torch.where(rests & (round_ == 0), 1, round_)
