"""What a network has read and need not read again: a static cache of keys and values.

This file decides how much each kind of attention may remember, in which parts a sheet may be read with a cache so that
every number is that of reading it whole, and what a position sees of the cache. A part is refused where a position
would have to read a later one that is not there yet. It knows no weights. Shape letters: B rows, L positions, S
positions of a cache, H heads, D numbers per head.
"""

import functools
from typing import NamedTuple

import torch
from torch import Tensor

from dlmreason.canvas import take
from dlmreason.networks.shape import Shape


class Layer(NamedTuple):
    """What one layer keeps, of one loop. Keys and values lie apart, so that each is one batch of matrices."""

    keys: Tensor  # [B, H, S, D]
    values: Tensor  # [B, H, S, D]


class Cache(NamedTuple):
    """Keys and values of what each row has read. Static: every row has its place for every position from the start.

    Rows come first, so `take`, `put` and `choose` of `canvas` work on it. Forward writes into it.
    """

    layers: tuple[Layer, ...]  # of the first loop, then of the next

    @classmethod
    def empty(cls, shape: Shape, rows: int, dtype: torch.dtype, device: torch.device, length: int = 0) -> "Cache":
        """Zeros for `rows` rows of `length` positions; 0: as many as the network remembers, which of a sheet with a
        prompt apart is the prompt."""
        size = (rows, shape.num_heads, length or shape.prompt or shape.length, shape.head_dim)
        keys, values = (
            [torch.zeros(size, dtype=dtype, device=device) for _ in range(shape.loops * shape.num_layers)]
            for _ in Layer._fields
        )
        return cls(tuple(map(Layer, keys, values)))

    @property
    def length(self) -> int:
        return self.layers[0].keys.shape[2]

    @property
    def device(self) -> torch.device:
        return self.layers[0].keys.device

    def take(self, index: Tensor) -> "Cache":
        """Copies of the rows `index` [N] int64, with repeats: one read prompt becomes the start of its chains."""
        return take(self, index)

    def begin(self, rows: Tensor, prompts: "Cache") -> None:
        """Let the rows `rows` [N] int64 start from `prompts`, N rows of the same or a smaller length, in place.

        What stood behind the prompt stays; it is hidden until it is overwritten.
        """
        for layer, prompt in zip(self.layers, prompts.layers, strict=True):
            for own, read in zip(layer, prompt, strict=True):
                own[:, :, : read.shape[2]].index_copy_(0, rows, read)

    def slots(self, positions: Tensor) -> Tensor:
        """[B * L * H] int64: where keys of `positions` [B, L] go, and values, seen as [B * H * S, D]."""
        rows, heads = self.layers[0].keys.shape[:2]
        return (_starts(rows, heads, self.length, positions.device) + positions[:, :, None]).flatten()

    def mask(self, positions: Tensor, block: int, dtype: torch.dtype) -> Tensor:
        """[B, 1, L, S] 0, or -inf where `positions` [B, L] must not look: at what comes later, which may be anything.

        block: positions that read one another, 0 for none.
        """
        last = positions
        if block:  # the end of its block; behind a short one nothing has been read
            last = torch.minimum(positions // block * block + block - 1, positions[:, -1:])
        hidden = _places(self.length, positions.device) > last[:, None, :, None]
        return torch.where(hidden, -torch.inf, _zero(dtype, positions.device))


# Made once: of one token a call costs more than the numbers.
@functools.lru_cache(maxsize=16)
def _places(length: int, device: torch.device) -> Tensor:
    return torch.arange(length, device=device)


@functools.lru_cache(maxsize=16)
def _zero(dtype: torch.dtype, device: torch.device) -> Tensor:
    return torch.zeros((), dtype=dtype, device=device)


@functools.lru_cache(maxsize=16)
def _starts(rows: int, heads: int, length: int, device: torch.device) -> Tensor:
    """[rows, 1, heads] int64: where the first position of each row's heads lies in a layer seen as a list of
    positions."""
    return torch.arange(rows * heads, device=device).view(rows, 1, heads) * length


def check_part(shape: Shape, length: int, cache: Cache, at: Tensor | int, refresh: bool | None = None) -> None:
    """Whether `length` tokens from `at` on may be read alone, given what is before them.

    refresh: as `Transformer.forward` was told.

    Raises: ValueError where not. Where each row of blocks has its own `at` on an accelerator nobody looks, for that
    would wait for it.
    """
    if refresh is not None and shape.attention != "bidirectional":
        raise ValueError(
            f"refresh={refresh} is for a network that reads both ways, and attention={shape.attention} has an exact "
            "cache: leave it out"
        )
    if shape.mixing != "attention":
        raise ValueError(
            f"a cache keeps keys and values, and mixing={shape.mixing} has none: leave it out, or set mixing=attention"
        )
    if refresh is not None:
        sheet = cache.length if refresh else cache.length + length
        if not isinstance(at, int) or at + length > sheet or (refresh and length != sheet):
            raise ValueError(
                f"{length} tokens at {at} with a cache of {cache.length}: with refresh=true a whole sheet is read at=0 "
                "into a cache of its length, with refresh=false a part of it, and a cache of all else"
            )
        return
    if shape.attention == "bidirectional":
        raise ValueError(
            "a cache needs attention=causal, block_causal or prompt, this network is bidirectional: with each token "
            "it would read everything anew"
        )
    if shape.prompt:
        whole = cache.length == shape.prompt and isinstance(at, int)
        if not whole or not (
            (at == 0 and length == shape.prompt) or (at == shape.prompt and at + length <= shape.length)
        ):
            raise ValueError(
                f"{length} tokens at {at} with a cache of {cache.length}: with attention=prompt a sheet is read in two "
                f"parts, the prompt at=0, of {shape.prompt} tokens, into a cache of as many, and behind it at="
                f"{shape.prompt} the rest, of {shape.length - shape.prompt} at most"
            )
        return
    if isinstance(at, int) and not 0 <= at <= cache.length - length:
        raise ValueError(f"{length} tokens at {at} do not fit the {cache.length} positions of this cache: lower `at`")
    if not shape.block or torch.compiler.is_compiling():
        return
    starts = [at] if isinstance(at, int) else at.tolist() if at.device.type == "cpu" else []
    # A part of a whole block's length that ends the cache reads a short last block, and with it, once more, positions
    # whose block has been read.
    last = cache.length - length if length >= shape.block else -1
    wrong = [start for start in starts if start % shape.block and start != last]
    if wrong:
        raise ValueError(
            f"tokens at {wrong[0]} begin within a block of {shape.block}, whose first positions should have read them: "
            f"read whole blocks, each part beginning at a multiple of {shape.block}; the sheet's last may be short"
        )
