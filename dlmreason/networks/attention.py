"""Which position may read which, where that is neither all nor the past alone: blocks that are read one after another,
and a prompt that reads itself alone.

This file decides what a block is, what the two copies of block diffusion may see of each other, and what a prompt may
see. A block is `block` neighbouring positions counted from position 0, given or written alike, so that a network needs
to know nothing of a row; where a prompt ends within a block, its answer's first block is the shorter for it, and the
last may be short. What a task gives beyond a block is not seen from it, so blocks are for answers that follow their
prompt. A prompt is the first `prompt` positions, of every row.
Shape letters: L positions, the first axis of a mask the one that reads, True where it may.
"""

import torch
from torch import Tensor

SHORT = 64
"""Positions up to which a compiled forward attends by `look_around`."""


def block_causal(length: int, block: int, device: torch.device) -> Tensor:
    """[L, L] bool: a position reads its own block and all before it."""
    number = torch.arange(length, device=device) // block
    return number[:, None] >= number


def prompt_apart(length: int, prompt: int, device: torch.device) -> Tensor:
    """[L, L] bool: the prompt reads itself, what is behind it everything."""
    number = torch.arange(length, device=device)
    return (number[:, None] >= prompt) | (number < prompt)


def two_copies(length: int, block: int, device: torch.device) -> Tensor:
    """[2L, 2L] bool for a noised copy and, behind it, the clean one [BD3-LM, arXiv:2503.09573, vectorised training].

    The noised copy of a block reads itself and the clean copies of the blocks before; the clean one reads as in
    `block_causal`, and nothing of what is noised.
    """
    number = torch.arange(length, device=device) // block
    same, before = number[:, None] == number, number[:, None] > number
    noised = torch.cat((same, before), 1)
    clean = torch.cat((torch.zeros_like(same), same | before), 1)
    return torch.cat((noised, clean))


def look_around(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """Attention of positions that all read each other, as two batches of matrix products; each [B, H, L, D].

    Of one row and some ten positions it takes four fifths of what the fused kernel does, see `SHORT`.
    """
    rows, heads, length, size = query.shape
    query, key, value = (each.reshape(rows * heads, length, size) for each in (query, key, value))
    nothing = query.new_zeros(()).expand(rows * heads, length, length)
    scores = torch.baddbmm(nothing, query, key.transpose(1, 2), beta=0, alpha=size**-0.5)
    return torch.bmm(scores.softmax(-1), value).view(rows, heads, length, size)
