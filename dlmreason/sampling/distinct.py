"""How many canvases a row has seen, in memory that no number of passes changes.

A canvas is told by a 64-bit word of its tokens. The least `SIZE` of the words seen are kept, in order: while no more
have been seen the count is exact, but for two canvases with one word (a chance below 2**-44 at this size), and beyond
it is an estimate. A hash set of the same size would be exact as far and then know nothing. It knows no policy and no
pass.
"""

import math
from typing import NamedTuple

import torch
from torch import Tensor

from dlmreason.sampling.noise import mix

SIZE = 512
"""Up to so many canvases are counted exactly; beyond, the standard error is 1 / sqrt(SIZE - 2), 4.4 %."""

_EMPTY = 2**63 - 1
_TOKEN, _PLACE = 0x2545F4914F6CDD1D, 0x5851F42D4C957F2D  # odd; any would do, `mix` does the work


class Sketch(NamedTuple):
    """The least words seen [Bar-Yossef et al. 2002, algorithm 2]."""

    least: Tensor  # [B, SIZE] int64, ascending, _EMPTY where fewer were seen
    over: Tensor  # [B] bool, more than SIZE were seen


def word(tokens: Tensor) -> Tensor:
    """[B] int64: what tells canvases [B, L] apart."""
    places = torch.arange(1, tokens.shape[-1] + 1, device=tokens.device) * _PLACE
    return mix(mix(mix(tokens * _TOKEN) + places).sum(-1)).clamp(max=_EMPTY - 1)


def opened(first: Tensor) -> Sketch:
    """A sketch that has seen one word [B]."""
    least = torch.full((len(first), SIZE), _EMPTY, device=first.device)
    return Sketch(torch.cat([first[:, None], least[:, 1:]], -1), torch.zeros_like(first, dtype=torch.bool))


def seen(sketch: Sketch, new: Tensor) -> Sketch:
    """The sketch after one more word [B], which it may hold already."""
    least, new = sketch.least, new[:, None]
    at = torch.searchsorted(least, new)
    known = least.gather(-1, at.clamp(max=SIZE - 1)) == new
    places = torch.arange(SIZE, device=least.device)
    moved = torch.cat([least[:, :1], least[:, :-1]], -1)
    entered = torch.where(places < at, least, torch.where(places == at, new, moved))
    full = least[:, -1:] != _EMPTY
    return Sketch(torch.where(known, least, entered), sketch.over | (full & ~known)[:, 0])


def distinct(sketch: Sketch) -> tuple[Tensor, Tensor]:
    """([B] int64, [B] bool): how many were seen, and whether that is exact; else the unbiased estimate
    (k - 1) / u of k kept words, u being the share of all words up to the last [Beyer et al. 2007, eq. 4]."""
    share = sketch.least[:, -1].double() * 2.0**-64 + 0.5
    counted = (sketch.least != _EMPTY).sum(-1)
    return torch.where(sketch.over, ((SIZE - 1) / share).round().long(), counted), ~sketch.over


ERROR = 1 / math.sqrt(SIZE - 2)
"""The standard error of an estimate, as a share of it."""
