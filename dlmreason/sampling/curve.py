"""What each reading said of a row, thinned so that no number of passes makes it longer.

This file decides which readings are kept: of the passes of an octave, 2**k to 2**(k + 1) - 1, the first reading in each
quarter. So a longer run's points begin with a shorter one's, and there are at most `POINTS`.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from dlmreason.canvas import Move, Reading

QUARTERS, OCTAVES = 4, 41
POINTS = QUARTERS * OCTAVES
"""The most points of a row; a budget has at most 2**40 passes."""

SAID = ("energy", "quality", "entropy", "residual", "level")
"""Of one reading. energy: minus the score of the answer, lower is better; infinite: not judged.  quality, entropy,
residual: means over the editable positions of the chance that the token is right, of the entropy of what is said, in
nats, and of its total variation from what the row's reading before said; NaN where there is none.  level: that which
was read."""


class Curve(NamedTuple):
    passes: Tensor  # [B, POINTS] int64, passes made by then; 0: no such point yet
    said: Tensor  # [B, POINTS, len(SAID)] float64


def opened(like: Tensor) -> Curve:
    """No point yet, for each row of `like` [B]."""
    rows = len(like)
    said = torch.zeros(rows, POINTS, len(SAID), dtype=torch.float64, device=like.device)
    return Curve(torch.zeros(rows, POINTS, dtype=torch.int64, device=like.device), said)


def slot(passes: Tensor) -> Tensor:
    """[B] int64: the place of a pass, counted from 1, among the points."""
    octave = torch.frexp(passes.double()).exponent.long() - 1  # exact, which a logarithm is not
    quarter = (passes - (1 << octave)) * QUARTERS >> octave
    return (octave * QUARTERS + quarter).clamp(max=POINTS - 1)


def noted(curve: Curve, passes: Tensor, said: Tensor) -> Curve:
    """The curve after one more reading. passes: [B] int64, counted from 1.  said: [B, len(SAID)] float64."""
    here = torch.arange(POINTS, device=passes.device) == slot(passes)[:, None]
    here = here & (curve.passes == 0)
    return Curve(
        torch.where(here, passes[:, None], curve.passes), torch.where(here[..., None], said[:, None], curve.said)
    )


def chances(reading: Reading, mask_id: int) -> Tensor:
    """[B, L, V] float64: what a reading says; the mask is never a prediction."""
    logits = reading.logits.double()
    if logits.shape[-1] > mask_id:
        column = torch.arange(logits.shape[-1], device=logits.device) == mask_id
        logits = logits.masked_fill(column, -torch.inf)
    return logits.softmax(-1)


def said_of(reading: Reading, move: Move, editable: Tensor, said: Tensor, before: Tensor | None) -> Tensor:
    """[B, len(SAID)] float64 of one reading. said, before: [B, L, V] the chances of this one and of the one before;
    NaN: there was none."""
    count = editable.sum(-1)

    def mean(values: Tensor | None) -> Tensor:
        if values is None:
            return torch.full_like(move.score, torch.nan)
        return torch.where(editable, values.double(), 0.0).sum(-1) / count

    entropy = torch.special.entr(said).sum(-1)
    residual = None if before is None else (said - before).abs().sum(-1) / 2
    return torch.stack([-move.score, mean(reading.quality), mean(entropy), mean(residual), reading.of.level], -1)
