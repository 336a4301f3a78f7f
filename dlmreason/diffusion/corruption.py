"""How a clean text is corrupted.

This file decides which positions are hidden at a given noise level. It knows no schedule: it is told the share alpha_t
that stays clean.
"""

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Absorbing:
    """Each editable position becomes a mask with chance 1 - alpha_t, by itself [MDLM, arXiv:2406.07524]."""

    mask_id: int

    def __post_init__(self) -> None:
        if self.mask_id < 0:
            raise ValueError(f"mask_id={self.mask_id} is not a token: give the id of the mask, 0 or more")

    def __call__(self, tokens: Tensor, editable: Tensor, alpha_t: Tensor, generator: torch.Generator) -> Tensor:
        """The corrupted tokens [B, L].

        tokens: [B, L] int64.  editable: [B, L] bool.  alpha_t: [B] float64 in [0, 1].
        """
        hide = coins(1 - alpha_t[:, None], tokens, generator)
        return torch.where(hide & editable, self.mask_id, tokens)


def coins(chance: Tensor, like: Tensor, generator: torch.Generator) -> Tensor:
    """True with `chance`, one coin for each place of `like` [B, ...]. `chance` is broadcast; 0 is never, 1 always."""
    return torch.rand(like.shape, generator=generator, device=like.device, dtype=torch.float64) < chance
