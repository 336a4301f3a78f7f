"""Block diffusion: blocks are written one after another, each by masked diffusion given all before it.

This file decides the times of blocks and what their losses add up to. What a block is, and which of two copies of a
text may read what, belongs to the network, which is handed both copies at once. Shape letters: B rows, L positions, N
blocks, S positions of a block.
"""

from dataclasses import dataclass, field
from typing import Literal, Protocol, cast

import torch
from torch import Tensor
from torch.nn.functional import pad

from dlmreason.diffusion.corruption import Absorbing, corrupt
from dlmreason.diffusion.objectives import Batch, Forwards, Loss, Network, Said, Taught, token_nats
from dlmreason.diffusion.schedules import Linear, LowDiscrepancy, Schedule, Times
from dlmreason.diffusion.weightings import NELBO, PLAIN, Weighting

EVERY = Weighting((), "editable")
"""Every mask counts once, whatever its time; divided by all that is written."""


class InPairs(Protocol):
    """A network in blocks."""

    def paired(self, noised: Tensor, clean: Tensor, features: Tensor, block: int) -> Said:
        """What is said of each block of `noised` [B, L] given the blocks of `clean` [B, L] before it."""
        ...


@dataclass(frozen=True)
class BlockDiffusion:
    """Cross-entropy of what was masked in each block, given all before the block [BD3-LM, arXiv:2503.09573].

    block: positions of a block, as in the network's shape; the whole length is `MaskedDiffusion`, 1 with
    lowest = highest = 1 the likelihood of writing from left to right, exactly.  times: one u for each block, spread
    over all blocks of the batch; a block is noised at lowest + (highest - lowest) u, the source's clipped schedule.
    weighting: as for `MaskedDiffusion`, a block counting as a row does there; "nelbo" with `lowest` above 0.5 gives
    every mask the weight 1, as the released code does. Only with lowest = 0 and highest = 1 is "nelbo" the bound on
    -log p, and reported.

    Deviation: the released code draws the masks of a block anew until their share is within the clipped range, which
    waits for the device and changes the weight of a mask; here the range is of the times alone. There neighbouring
    blocks have neighbouring times; here times are dealt out at random.

    Raises: ValueError, when called, for a network without such blocks.
    """

    block: int
    lowest: float = 0.0
    highest: float = 1.0
    schedule: Schedule = field(default_factory=Linear)
    weighting: Literal["nelbo", "none"] | Weighting = "nelbo"
    times: Times = field(default_factory=LowDiscrepancy)

    def __post_init__(self) -> None:
        if not isinstance(self.block, int) or isinstance(self.block, bool) or self.block < 1:
            raise ValueError(f"objective.block={self.block} must be a whole number of positions, 1 or more, such as 4")
        if not 0 <= self.lowest <= self.highest <= 1 or self.highest == 0:
            raise ValueError(
                f"objective.lowest={self.lowest} and objective.highest={self.highest}: times are between them; give "
                "numbers from 0 to 1, the first not above the second, and the second above 0"
            )
        if not isinstance(self.weighting, Weighting) and self.weighting not in ("nelbo", "none"):
            raise ValueError(f"objective.weighting={self.weighting!r} is unknown: choose nelbo or none, or a Weighting")

    @property
    def teaches(self) -> Taught:
        return Taught(masks=True, block=self.block)

    @property
    def forwards(self) -> Forwards:
        """One pass, over two copies of the batch: `compute.flops.training_flops` charges a network in blocks both."""
        return Forwards(trained=1, untrained=0)

    def __call__(self, network: Network, batch: Batch, generator: torch.Generator) -> Loss:
        tokens, editable = self._fold(batch.tokens), self._fold(batch.editable)
        # Dealt out at random, for strata come in order: the first block of a row would be cleaner than its last.
        deal = torch.randperm(len(tokens), generator=generator, device=generator.device)
        t = self.lowest + (self.highest - self.lowest) * self.times(len(tokens), generator)[deal]
        corrupted = corrupt(tokens, editable, Absorbing(self.schedule).shares(t), batch.mask_id, generator)
        rows, length = batch.tokens.shape
        return self.loss_at(network, batch, t.view(rows, -1), corrupted.view(rows, -1)[:, :length])

    def loss_at(self, network: Network, batch: Batch, t: Tensor, corrupted: Tensor) -> Loss:
        """The loss of given times [B, N] float64 and canvases [B, L] int64: nothing is drawn."""
        if not hasattr(network, "paired"):
            raise ValueError(
                f"block diffusion reads a text in pairs of copies, which {type(network).__name__} cannot: give it a "
                f"network with attention=block_causal and block={self.block}"
            )
        said = cast(InPairs, network).paired(corrupted, batch.tokens, batch.features, self.block)
        masked = (corrupted == batch.mask_id) & batch.editable
        nats, hidden, editable = map(
            self._fold, (token_nats(said.logits, batch.tokens, masked), masked, batch.editable)
        )

        def weighed(weighting: Weighting) -> Tensor:
            return weighting(nats, t.flatten(), self.schedule, hidden, editable)

        whole = (self.lowest, self.highest) == (0, 1)
        metrics = {"nelbo": weighed(NELBO).detach()} if whole else {}
        total = weighed(self._weighting)
        return Loss(total, metrics | {"cross_entropy": weighed(PLAIN).detach()})

    @property
    def _weighting(self) -> Weighting:
        if isinstance(self.weighting, Weighting):
            return self.weighting
        return PLAIN if self.weighting == "none" else EVERY if self.lowest > 0.5 else NELBO

    def _fold(self, x: Tensor) -> Tensor:
        """[B, L] as [B * N, S]; the last block is filled up with zeros, which are neither masked nor editable."""
        return pad(x, (0, -x.shape[1] % self.block)).view(-1, self.block)
