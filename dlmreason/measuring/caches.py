"""What a diffusion network need not read again, as networks, denoisers and prices of one answer.

Each kind of cache says of which shape its network is, which denoiser reads it, how many calls and FLOPs passes over a
block cost, and what the block is. This file joins `networks` and `compute.flops`; it knows no clock.
"""

from dataclasses import dataclass
from typing import NamedTuple, Protocol

from dlmreason.canvas import Denoiser
from dlmreason.compute.flops import block_call_flops, cached_pass_flops, pass_flops, prompt_flops, stale_flops
from dlmreason.networks.block_denoiser import DenoiseBlocks
from dlmreason.networks.denoiser import Denoise
from dlmreason.networks.shape import Shape
from dlmreason.networks.stale_denoiser import DenoiseStale, StaleCache
from dlmreason.networks.transformer import Transformer


class Spent(NamedTuple):
    """Of one row."""

    calls: int  # of the network, one after another
    flops: int


class Kept(Protocol):
    """A kind of cache, over a sheet of `context` given positions and a block behind them."""

    def shape(self, context: int) -> dict[str, int | str]:
        """What of the network's shape it asks for."""
        ...

    def denoiser(self, network: Transformer, mask_id: int) -> Denoiser: ...

    def spent(self, shape: Shape, context: int, length: int, passes: int) -> Spent:
        """By `passes` passes over a block of `length` positions that write as many each."""
        ...


@dataclass(frozen=True)
class NoCache:
    """Every pass reads the whole sheet."""

    def shape(self, context: int) -> dict[str, int | str]:
        return {}

    def denoiser(self, network: Transformer, mask_id: int) -> Denoiser:
        return Denoise(network, mask_id)

    def spent(self, shape: Shape, context: int, length: int, passes: int) -> Spent:
        return Spent(passes, passes * pass_flops(shape, context + length))


@dataclass(frozen=True)
class PromptCache:
    """The context reads itself alone, once, and passes read what is behind it: exact."""

    def shape(self, context: int) -> dict[str, int | str]:
        return {"attention": "prompt", "prompt": context}

    def denoiser(self, network: Transformer, mask_id: int) -> Denoiser:
        return Denoise(network, mask_id)

    def spent(self, shape: Shape, context: int, length: int, passes: int) -> Spent:
        return Spent(1 + passes, prompt_flops(shape) + passes * cached_pass_flops(shape, context + length))


@dataclass(frozen=True)
class BlockCache:
    """Blocks of `block` positions are read one after another, given or written, once each: exact."""

    block: int

    def shape(self, context: int) -> dict[str, int | str]:
        if context % self.block:
            raise ValueError(f"a context of {context} is no whole number of blocks of {self.block}: change one of them")
        return {"attention": "block_causal", "block": self.block}

    def denoiser(self, network: Transformer, mask_id: int) -> Denoiser:
        return DenoiseBlocks(network, mask_id)

    def spent(self, shape: Shape, context: int, length: int, passes: int) -> Spent:
        # Written blocks are read once more, but for the last.
        calls = context // self.block + passes + -(-length // self.block) - 1
        return Spent(calls, calls * block_call_flops(shape, context + length))


@dataclass(frozen=True)
class Stale:
    """All but the block under way is as it was at the last refresh: approximate, see `StaleCache`."""

    block: int
    refresh: int
    suffix: bool = False

    def __post_init__(self) -> None:
        self._cache()

    def _cache(self) -> StaleCache:
        return StaleCache(self.block, self.refresh, self.suffix)

    def shape(self, context: int) -> dict[str, int | str]:
        if context % self.block:
            raise ValueError(f"a context of {context} is no whole number of blocks of {self.block}: change one of them")
        return {}

    def denoiser(self, network: Transformer, mask_id: int) -> Denoiser:
        return DenoiseStale(network, mask_id, self._cache())

    def spent(self, shape: Shape, context: int, length: int, passes: int) -> Spent:
        each, sheet = passes // -(-length // self.block), context + length
        positions = 0
        for number in range(passes):
            within = number % each
            first = context + number // each * self.block
            part = min(self.block, sheet - first) if self.suffix else sheet - first
            positions += part if within % self.refresh else sheet
        return Spent(passes, stale_flops(shape, sheet, positions))
