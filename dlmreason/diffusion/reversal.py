"""The law of a token under noise, forward and back, when a network says what the right one may be.

Every corruption here overwrites each token by itself, so its shares at two times are all that these laws ask of it.
`alone` is always the leave-one-out log p(x_i | z without z_i): with the posterior in its place z_i would be counted
twice. This file decides no times and draws nothing: pure functions, float64. Shape letters: B rows, L positions, V
tokens that can be written; laws are log-chances [B, L, V + 1], the mask last, which is the token `mask_id` = V.
"""

import torch
from torch import Tensor

from dlmreason.diffusion.corruption import Shares

_TINY = 1e-300


def noise_law(shares: Shares, outputs: int) -> Tensor:
    """Of a token that is noise: [B, 1, V + 1]. outputs: V.  Where nothing is noise it is no law, but all -inf."""
    _, mask, uniform = _columns(shares)
    noise = (mask + uniform).clamp(min=_TINY)
    return torch.cat([(uniform / noise / outputs).expand(-1, -1, outputs), mask / noise], -1).log()


def noised_law(alone: Tensor, shares: Shares) -> Tensor:
    """q(z_i | z without z_i), the right token averaged over `alone` [B, L, V]: of a token noised anew."""
    clean, mask, uniform = _columns(shares)
    written = clean * alone.double().exp() + uniform / alone.shape[-1]
    return torch.cat([written, mask.expand(-1, written.shape[1], -1)], -1).log()


def reverse_law(alone: Tensor, tokens: Tensor, before: Shares, after: Shares, mask_id: int) -> Tensor:
    """q(z_s | z_t) = q(z_t | z_s) q_s(z_s | alone) / q_t(z_t | alone) [D3PM, arXiv:2107.03006; GIDD, arXiv:2503.04482].

    alone: [B, L, V].  tokens: [B, L] int64, z_t.  before, after: the shares at t and at s, the cleaner.  A token that
    cannot have come about stands: under masks alone, one that the network calls impossible.
    """
    # What happens between s and t: kept, or overwritten by either kind. Rounding may leave a little below 0.
    kept = before.clean / after.clean.clamp(min=_TINY)
    mask, uniform = (
        (late - kept * early).clamp(min=0)[:, None, None]
        for late, early in ((before.mask, after.mask), (before.uniform, after.uniform))
    )
    same = tokens[..., None] == torch.arange(mask_id + 1, device=tokens.device)
    overwritten = torch.where((tokens == mask_id)[..., None], mask, uniform / mask_id)
    both = (torch.where(same, kept[:, None, None], 0.0) + overwritten) * noised_law(alone, after).exp()
    total = both.sum(-1, keepdim=True)
    return torch.where(total > 0, both / total.clamp(min=_TINY), same.double()).log()


def _columns(shares: Shares) -> tuple[Tensor, ...]:
    return tuple(share[:, None, None] for share in shares)
