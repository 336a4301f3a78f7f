"""Two things a network may say of a noised token, and how one becomes the other.

The posterior p(x_i | z) has seen the token z_i that stands there; the leave-one-out p(x_i | z without z_i) has not.
Under masks they are one. Where tokens are overwritten by tokens they differ, and mixing them up goes unnoticed until
the numbers are wrong: the likelihood bound and the reverse process want the leave-one-out ["Uniform Diffusion Models
Revisited", arXiv:2605.22765], while cross-entropy on noised tokens teaches the posterior. This file decides nothing
else: pure functions in log space, float64. Shape letters: B rows, L positions, V outputs.
"""

from typing import Literal

import torch
from torch import Tensor

from dlmreason.diffusion.corruption import Shares

Logits = Literal["leave_one_out", "posterior"]
"""Which of the two a network's logits are."""


def leave_one_out(log_posterior: Tensor, tokens: Tensor, shares: Shares, mask_id: int) -> Tensor:
    """log p(x_i = v | all tokens but z_i), from the posterior: divided by q(z_i | v) and made to add up to 1.

    log_posterior: [B, L, V] log p(x_i = v | z).  tokens: [B, L] int64, z.  A value that could not have become z_i is
    left as it is: its posterior is 0, and nothing is known of it.
    """
    seen = log_chance(tokens, shares, mask_id, log_posterior.shape[-1])
    return (log_posterior.double() - torch.where(seen > -torch.inf, seen, 0.0)).log_softmax(-1)


def posterior_of(log_leave_one_out: Tensor, tokens: Tensor, shares: Shares, mask_id: int) -> Tensor:
    """log p(x_i = v | z), from the leave-one-out: times q(z_i | v). [B, L, V] as above.

    Where tokens are only ever masked, this carries over what is not masked [MDLM, arXiv:2406.07524].
    """
    seen = log_chance(tokens, shares, mask_id, log_leave_one_out.shape[-1])
    return (log_leave_one_out.double() + seen).log_softmax(-1)


def noise_chance(log_leave_one_out: Tensor, tokens: Tensor, shares: Shares, mask_id: int) -> Tensor:
    """The chance that the token at each position is noise, drawn and not kept: [B, L] float64; 1 at masks.

    A denoiser of uniform noise contains this detector: P = (u / V) / (u / V + clean p(x_i = z_i | z without z_i)), by
    Bayes. A token that was drawn and happens to be right counts as noise.
    """
    by_chance = (shares.uniform / log_leave_one_out.shape[-1])[:, None]
    written = tokens != mask_id
    there = torch.where(written, tokens, 0)[..., None]
    kept = shares.clean[:, None] * log_leave_one_out.double().gather(-1, there)[..., 0].exp()
    return torch.where(written, by_chance / (by_chance + kept), 1.0)


def log_chance(tokens: Tensor, shares: Shares, mask_id: int, outputs: int) -> Tensor:
    """log q(z_i | x_i = v) for every v, [B, L, V] float64; 0 at masks, which say the same of each v.

    tokens: [B, L] int64, z.  outputs: V.
    """
    clean, _, uniform = (share[:, None, None] for share in shares)
    same = tokens[..., None] == torch.arange(outputs, device=tokens.device)
    seen = (torch.where(same, clean, 0.0) + uniform / outputs).log()
    return torch.where((tokens == mask_id)[..., None], 0.0, seen)
