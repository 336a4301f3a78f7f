"""An upper bound: a network whose quality is the truth.

This file lets an arm ask what revising would be worth if it always knew which tokens are wrong. The known answer
travels to the denoiser as one more feature column, which the network never reads, so that policies and sampler stay as
they are. Whatever such an arm reaches is no result of a model, and its name should say so.
"""

from typing import Any, NamedTuple

import torch
from torch import Tensor

from dlmreason.canvas import Ask, Denoiser, Reading, Seat, seat_of
from dlmreason.sampling.state import Rows


def told(rows: Rows, mask_id: int) -> Rows:
    """The rows with their known answers as the last feature column, for `Oracle`.

    Raises: ValueError where a row's answer is not known.
    """
    unknown = ((rows.gold == mask_id) & rows.editable).any(-1)
    if bool(unknown.any()):
        raise ValueError(
            f"an oracle must know the answers, and {int(unknown.sum()):,} of {len(unknown):,} examples have none: "
            "leave the oracle's arm out, or give puzzles with solutions"
        )
    return rows._replace(features=torch.cat([rows.features, rows.gold[..., None]], -1))


class _Told(NamedTuple):
    """A row that sat down, and its known answer."""

    inner: Any
    gold: Tensor  # [B, L]


class Oracle:
    """A denoiser that says what the inner one says, but its quality is 1 at a token that is as in the known answer, 0
    elsewhere. Where several answers are right, the others count as wrong."""

    def __init__(self, inner: Denoiser) -> None:
        self.inner = inner

    @property
    def mask_id(self) -> int:
        return self.inner.mask_id

    @property
    def uses_level(self) -> bool:
        return self.inner.uses_level

    def first_carry(self, rows: int) -> Any:
        return self.inner.first_carry(rows)

    @property
    def seat(self) -> Seat | None:
        inner = seat_of(self.inner)
        if inner is None:
            return None
        return lambda tokens, editable, features: _Told(inner(tokens, editable, features[..., :-1]), features[..., -1])

    def __call__(self, ask: Ask, features: Any) -> Reading:
        """features: [B, L, F + 1], those of `told`; or what `seat` made of them."""
        held = features if isinstance(features, _Told) else _Told(features[..., :-1], features[..., -1])
        return self.inner(ask, held.inner)._replace(quality=(ask.tokens == held.gold).double())
