"""A network that reads both ways as a denoiser that takes most of the sheet from an earlier pass: approximate caches.

This file decides which part of a canvas a pass reads anew, when it reads everything, and what a row has paid for. In a
network whose positions all read each other, the keys of every position change with every token, so that what is kept is
stale until the next refresh; exact caches need other attention, see `networks.cache`. It knows no policy and no
sampler. Shape letters: B rows, L positions, F feature columns.
"""

from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from dlmreason.canvas import Ask, Reading, Seat, rows_like
from dlmreason.networks.block_denoiser import under_way
from dlmreason.networks.cache import Cache
from dlmreason.networks.denoiser import Denoise, chance


@dataclass(frozen=True)
class StaleCache:
    """What a pass reads anew [Fast-dLLM, arXiv:2505.22618, sec. 3.2].

    block: positions of a block, counted from position 0.  refresh: passes, at most, from one reading of the whole sheet
    to the next; 1 keeps nothing.  suffix: what is behind the block under way is taken from the last refresh too, as in
    the source's dual cache; without it a pass reads it with the block, as with its prefix cache.
    """

    block: int
    refresh: int
    suffix: bool = False

    def __post_init__(self) -> None:
        if self.block < 1 or self.refresh < 1:
            raise ValueError(f"block={self.block} positions and refresh={self.refresh} passes must each be 1 or more")


class Since(NamedTuple):
    """The carry: what a row's cache is made of, and what it has paid for."""

    read: Tensor  # [B, L] int64, the canvas at the last refresh
    age: Tensor  # [B] int64, passes made from it on; 0: there was none
    positions: Tensor  # [B] int64, positions read so far, by all passes


class Kept(NamedTuple):
    """What passes are handed of rows that have sat down."""

    features: Tensor  # [B, L, F] int64
    editable: Tensor  # [B, L] bool
    whole: Tensor  # [B] bool, the cache holds what `Since.read` says; a pass writes into it
    cache: Cache


class DenoiseStale:
    """A denoiser with an approximate cache of keys and values, see `StaleCache`.

    A pass is a refresh, which reads the whole sheet, where it is the row's first, where `refresh` passes have been made
    since the last one, or where another block is under way than then: the first, of `block` positions counted from
    position 0, with a mask at an editable position. Every other pass reads the block under way and, unless `suffix`,
    all behind it; of all else it takes keys and values from the refresh. Of positions that a pass does not read its
    logits are zeros and its quality 1/2; the policy must write in the block under way alone, as one whose facts name
    the block does.

    FLOPs are those of the positions that were read, `Since.positions`, each attending to the whole sheet: refreshes and
    other passes alike, so that their sum says all. The cache is a function of the carry: where a state goes on without
    it, the canvas of the last refresh is read again, to the same bytes, and nobody pays. Rows in several blocks take a
    call for each, so that a row's bytes do not depend on the others; to know which, a pass waits for the device.

    Not seated, it reads whole sheets, as `Denoise`.
    """

    uses_level = False
    stale = True

    def __init__(self, network: nn.Module, mask_id: int, cache: StaleCache, length: int = 0) -> None:
        """network, mask_id, length: as for `Denoise`.

        Raises: ValueError for a network that has an exact cache, one that carries, or one without attention.
        """
        shape: Any = network.shape
        if shape.attention != "bidirectional" or shape.carry or shape.mixing != "attention":
            why = (
                "hands a state on from pass to pass, of all positions"
                if shape.carry
                else "mixes whole sheets, without keys"
                if shape.mixing != "attention"
                else "has an exact cache"
            )
            raise ValueError(
                f"a stale cache is for a network that reads both ways and carries nothing; this one, of attention="
                f"{shape.attention}, {why}: leave stale_cache out"
            )
        self.network, self.mask_id = network, mask_id
        self.block, self.refresh, self.suffix = cache.block, cache.refresh, cache.suffix
        self._length = length or shape.length
        self._whole = Denoise(network, mask_id)

    def first_carry(self, rows: int) -> Since:
        device = next(self.network.parameters()).device
        none = torch.zeros(rows, dtype=torch.int64, device=device)
        return Since(none[:, None].repeat(1, self._length), none, none)

    @property
    def seat(self) -> Seat:
        return self._seat

    def _seat(self, tokens: Tensor, editable: Tensor, features: Tensor) -> Kept:
        network: Any = self.network
        return Kept(features, editable, torch.zeros_like(editable[:, 0]), network.cache(*tokens.shape))

    def __call__(self, ask: Ask, features: Tensor | Kept) -> Reading:
        if not isinstance(features, Kept):
            return self._whole(ask, features)._replace(carry=ask.carry)
        held, since, tokens = features, ask.carry, ask.tokens
        number = under_way(tokens, held.editable, self.mask_id, self.block)
        moved = number != under_way(since.read, held.editable, self.mask_id, self.block)
        due = (since.age == 0) | (since.age >= self.refresh) | moved
        read = torch.where(due[:, None], tokens, since.read)
        logits = quality = None
        if bool((due | ~held.whole).any()):
            # Rows that are not due read what they read before, and keep the same bytes.
            said = self.network(read, held.features, cache=held.cache, at=0, refresh=True)
            held.whole.fill_(True)
            logits, quality = said.logits, None if said.quality is None else chance(said.quality)
        paid = torch.where(due, tokens.shape[1], 0)
        for block in number[~due].unique().tolist():
            here = ~due & (number == block)
            part = self._part(block, tokens.shape[1])
            paid = torch.where(here, part.stop - part.start, paid)
            said = self.network(
                tokens[:, part], held.features[:, part], cache=_without(held.cache, part), at=part.start, refresh=False
            )
            logits = _choose(here, said.logits, part, tokens.shape[1], logits, 0.0)
            if said.quality is not None:
                quality = _choose(here, chance(said.quality), part, tokens.shape[1], quality, 0.5)
        assert logits is not None, "each row is due or in a block"
        carry = Since(read, torch.where(due, 1, since.age + 1), since.positions + paid)
        return Reading(ask, logits, quality, carry)

    def _part(self, block: int, length: int) -> slice:
        """What a pass reads that is no refresh."""
        first = block * self.block
        return slice(first, min(first + self.block, length) if self.suffix else length)


def _without(cache: Cache, part: slice) -> Cache:
    """What is kept of all other positions; their order is nothing to attention."""

    def others(kept: Tensor) -> Tensor:
        before, behind = kept[:, :, : part.start], kept[:, :, part.stop :]
        return torch.cat((before, behind), 2) if behind.shape[2] else before

    return Cache(tuple(type(layer)(*map(others, layer)) for layer in cache.layers))


def _choose(here: Tensor, said: Tensor, part: slice, length: int, other: Tensor | None, nothing: float) -> Tensor:
    """`said` [B, R, ...] of a part, laid into a sheet that else holds `nothing`, in the rows `here`; else `other`."""
    sheet = said.new_full((len(said), length, *said.shape[2:]), nothing)
    sheet[:, part] = said
    return sheet if other is None else torch.where(rows_like(here, sheet), sheet, other)
