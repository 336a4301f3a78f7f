"""A network in blocks as a denoiser that reads one block of each row a call, and keeps what it has read.

This file decides which block a call reads, from the canvas alone and on the device, and what a row has paid for. It
knows no policy and no sampler. Shape letters: B rows, L positions, S positions of a block, F feature columns.

A block that is finished is read once more, clean, in a call of its own, before the next is begun. To read it with every
pass over the next one would take 2S positions a pass where this takes S: for p passes a block 2pS against (p + 1)S,
which is never less.
"""

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from dlmreason.canvas import Ask, Call, Reading, Seat
from dlmreason.networks.cache import Cache
from dlmreason.networks.denoiser import Denoise, chance


class InBlocks(NamedTuple):
    """What calls are handed of rows that are read block by block."""

    features: Tensor  # [B, L, F] int64
    editable: Tensor  # [B, L] bool
    read: Tensor  # [B] int64, how many whole blocks the cache holds as they stand; a call writes into it
    cache: Cache


class DenoiseBlocks:
    """A network in blocks as the denoiser that the sampler calls, over a cache of the blocks before the one under way.

    The block under way is the first with a mask at an editable position, the last where there is none. A call reads it,
    and is a pass, once all before it are in the cache; until then it reads the first that is not, prompt and written
    alike, and `Reading.call` says so. A pass says of the block under way what one over the whole sheet says of it; of
    positions beyond it, which nobody may write yet, its logits are zeros and its quality 1/2, so that an answer asked
    for now holds token 0 there; nor does it say anything of blocks before. The policy must leave a finished block as it
    is, see `policies.facts.check_keeps_blocks`.

    The carry counts the blocks that a row has paid for [B] int64; the cache is no part of a state. Where a state goes
    on without it, what was paid for is read again, in the same shapes and so to the same bytes, and nobody pays.

    Not seated, it reads whole sheets, as `Denoise`.
    """

    uses_level = False
    in_blocks = True

    def __init__(self, network: nn.Module, mask_id: int) -> None:
        """network, mask_id: as for `Denoise`.  Raises: ValueError for a network without blocks."""
        shape: Any = network.shape
        if not shape.block:
            raise ValueError(
                f"blocks are to be kept, and this network has attention={shape.attention}, which has none: train it "
                "with objective=block_diffusion, or read it whole"
            )
        self.network, self.mask_id, self.block = network, mask_id, shape.block
        self._whole = Denoise(network, mask_id)

    def first_carry(self, rows: int) -> Tensor:
        return torch.zeros(rows, dtype=torch.int64, device=next(self.network.parameters()).device)

    @property
    def seat(self) -> Seat:
        return self._seat

    def _seat(self, tokens: Tensor, editable: Tensor, features: Tensor) -> InBlocks:
        network: Any = self.network
        return InBlocks(features, editable, self.first_carry(len(tokens)), network.cache(*tokens.shape))

    def __call__(self, ask: Ask, features: Tensor | InBlocks) -> Reading:
        if not isinstance(features, InBlocks):
            return self._whole(ask, features)._replace(carry=ask.carry)
        held, tokens = features, ask.tokens
        rows, length = tokens.shape
        paid = ask.carry
        waits = under_way(tokens, held.editable, self.mask_id, self.block)
        number = torch.minimum(torch.minimum(held.read, paid), waits)
        ready = number == waits
        more = number + ~ready
        # A short last block is read with the end of the one before, so that each call is of one width.
        size = min(self.block, length)
        at = (number * self.block).clamp(max=length - size)
        where = at[:, None] + torch.arange(size, device=tokens.device)
        columns = where[:, :, None].expand(-1, -1, held.features.shape[2])
        said = self.network(tokens.gather(1, where), held.features.gather(1, columns), cache=held.cache, at=at)
        held.read.copy_(more)
        logits = said.logits.new_zeros(rows, length, said.logits.shape[2])
        logits = logits.scatter(1, where[:, :, None].expand_as(said.logits), said.logits)
        quality = None
        if said.quality is not None:
            even = torch.full((rows, length), 0.5, dtype=torch.float64, device=tokens.device)
            quality = even.scatter(1, where, chance(said.quality))
        call = Call(ready, charged=ready | (number == paid))
        return Reading(ask, logits, quality, torch.where(ready, number, torch.maximum(paid, more)), call)


def under_way(tokens: Tensor, editable: Tensor, mask_id: int, block: int) -> Tensor:
    """[B] int64: the number of the first block that waits to be written, of the last where none does."""
    number = torch.arange(tokens.shape[1], device=tokens.device) // block
    return torch.where((tokens == mask_id) & editable, number, number[-1]).amin(-1)
