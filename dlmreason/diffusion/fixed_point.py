"""Training a network on what it has in mind after passes over its own samples, not only over right tokens.

This file decides from which passes a network's carry comes: a short roll of its own inference, which ends on a canvas
like that of the loss, but written by the network. Which loss is trained stays the inner objective's, as in `carried`,
whose first passes over the canvas itself are what this goes on from. It knows no policy and no shape of network. Shape
letters: B rows, L positions.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from dlmreason.diffusion.carried import Carrier, carrier, self_conditioned
from dlmreason.diffusion.corruption import coins
from dlmreason.diffusion.generators import apart, fraction
from dlmreason.diffusion.objectives import Batch, Forwards, Loss, Network, Objective, Said, Staged, Taught, taught_by
from dlmreason.diffusion.quality import Judging, judging_of, later
from dlmreason.diffusion.targets import draw


@dataclass(frozen=True)
class FixedPoint:
    """The inner loss of a network that, in a share `chance` of the rows, reads the carry of a roll of its own inference
    [Flow Reasoning Models, arXiv:2606.29150, fixed-point forcing].

    Of a canvas that is to be read a share u more is hidden, u uniform over [0, 1] of what it shows: a noisier canvas,
    from which ancestral sampling comes to this level. The network writes what was hidden more, drawn from what it says,
    in even parts and a random order, each pass reading the carry of the last, the first one zeros. The carry of the
    last one that wrote is what the pass of the loss reads, over the canvas as it was, with the right tokens where the
    roll has the network's own. So it learns to hold on to what it has in mind where that is right, and to let it go
    where the canvas says otherwise. No gradient goes through a roll.

    chance: in [0, 1). Each row has it, and rows that roll are evenly apart, so that they see all times of a batch. The
    others read zeros, as every first pass does, which is why 1 is refused.  depth: the most passes of a roll; fewer
    where fewer tokens are hidden, each writing at least one, and none for a canvas that shows none, which inference
    reads first. With either 0 it is the inner loss itself.

    Every pass of the inner objective is carried so, those of its own samples and of its quality head too; so this goes
    around the whole objective, whose draws are those that it makes alone: the same times and canvases of the same seed.
    Only the rows that roll are rolled: `forwards` is the mean over updates, exact where `chance` of the rows is whole.

    Deviation: masks in place of Gaussian noise, and the carry is the hidden state, normed, in place of the prediction.
    Roll and loss hide the same positions, where the source draws the canvas of the loss apart. The source first trains
    on its own carry over one canvas: see `fixed_point`.
    """

    inner: Objective
    chance: float = 0.5
    depth: int = 16

    def __post_init__(self) -> None:
        if isinstance(self.inner, Staged):
            raise ValueError("FixedPoint.inner has stages: use fixed_point, which follows them")
        taught = taught_by(self.inner)
        if taught.carry:
            raise ValueError(f"FixedPoint.inner={self.inner!r} has its carry already: leave one of the two out")
        if not taught.masks or taught.block:
            raise ValueError(
                f"FixedPoint.inner={self.inner!r} teaches no network that fills masks anywhere, and a roll is of one "
                "that does: choose an objective with masks and without blocks, such as MaskedDiffusion"
            )
        if not 0 <= self.chance < 1:
            raise ValueError(
                f"objective.chance={self.chance} is the share of rows that read the carry of a roll: give 0 or more "
                "and below 1, so that the first pass, which has none, is trained too"
            )
        if not isinstance(self.depth, int) or isinstance(self.depth, bool) or self.depth < 0:
            raise ValueError(
                f"objective.depth={self.depth} is the most passes of a roll: give a whole number, such as 16; 0 is "
                "none, and no carry"
            )

    @property
    def teaches(self) -> Taught:
        return taught_by(self.inner)._replace(carry=self.chance > 0 and self.depth > 0)

    @property
    def judging(self) -> Judging | None:
        return judging_of(self.inner)

    @property
    def forwards(self) -> Forwards:
        trained, untrained = self.inner.forwards
        return Forwards(trained, untrained + self.chance * self.depth * (trained + untrained))

    def __call__(self, network: Network, batch: Batch, generator: torch.Generator) -> Loss:
        """Raises: ValueError for a network that takes no carry, before it is called."""
        if not self.teaches.carry:
            return self.inner(network, batch, generator)
        reads = carrier(network, "put FixedPoint outermost, or choose the inner objective alone")
        beside = apart(generator, "roll")
        rows = evenly(len(batch.tokens), self.chance, fraction(beside), batch.tokens.device)
        rolling = _Rolling(reads, batch.editable, batch.mask_id, rows, self.depth, beside)
        return self.inner(rolling, batch, generator)


@dataclass(frozen=True)
class _Rolling:
    """A carrying network as one of tokens and features, which makes the rolls before a pass itself."""

    network: Carrier
    editable: Tensor  # [B, L] bool
    mask_id: int
    rows: Tensor  # [R] int64, those that roll
    depth: int
    generator: torch.Generator

    def __call__(self, tokens: Tensor, features: Tensor) -> Said:
        if len(self.rows) == 0:
            return self.network(tokens, features)
        times = len(tokens) // len(self.editable)  # a target may show each row several times, the whole batch after it
        rows = torch.cat([self.rows + time * len(self.editable) for time in range(times)])
        rolled = self.rolled(tokens[rows], features[rows], self.editable[self.rows].repeat(times, 1))
        carry = rolled.new_zeros((len(tokens), *rolled.shape[1:])).index_copy(0, rows, rolled)
        return self.network(tokens, features, carry=carry)

    @torch.no_grad()
    def rolled(self, tokens: Tensor, features: Tensor, editable: Tensor) -> Tensor:
        """The carry [R, L, width] after a roll to each canvas [R, L]; zeros where there is nothing to roll."""
        share = torch.rand(tokens[:, :1].shape, generator=self.generator, device=tokens.device, dtype=torch.float64)
        more = coins(share, tokens, self.generator) & editable & (tokens != self.mask_id)
        turn = turns(more, self.depth, self.generator)
        last = torch.where(more, turn, -1).amax(-1)[:, None, None]
        canvas = torch.where(more, self.mask_id, tokens)
        carry: Tensor | None = None
        for made in range(self.depth):
            said = self.network(canvas, features, carry=carry)
            # A network that can emit the mask has a column for it, and a mask is no token.
            written = draw(said.logits[..., : self.mask_id], self.generator)
            canvas = torch.where(more & (turn == made), written, canvas)
            carry = torch.where(made <= last, said.hidden, torch.zeros_like(said.hidden) if carry is None else carry)
        assert carry is not None, "depth is 1 or more"
        return carry


def turns(where: Tensor, passes: int, generator: torch.Generator) -> Tensor:
    """In which pass, from 0, each position of `where` [B, L] bool is written: in a random order, in even parts, in
    `passes` passes or, one by one, in as few as a row has positions. [B, L] int64, of no meaning elsewhere."""
    drawn = torch.rand(where.shape, generator=generator, device=where.device, dtype=torch.float64)
    rank = torch.where(where, drawn, torch.inf).argsort(-1).argsort(-1)
    number = where.sum(-1, keepdim=True)
    return rank * number.clamp(max=passes) // number.clamp(min=1)


def evenly(rows: int, chance: float, start: float, device: torch.device) -> Tensor:
    """Numbers of rows evenly apart [R] int64: each of `rows` is among them with `chance` in (0, 1), for a start uniform
    over [0, 1) [systematic sampling].

    R is chance * rows where that is whole, else one of the two whole numbers next to it.
    """
    count = int(chance * rows + start)
    # Row i is one where chance * (i + 1) + start reaches a whole number that chance * i + start does not.
    reached = (torch.arange(1, count + 1, dtype=torch.float64, device=device) - start) / chance
    return (reached.ceil().long() - 1).clamp(0, rows - 1)


def fixed_point(
    inner: Objective | Staged, *, start: float = 0.5, chance: float = 0.5, depth: int = 16
) -> Objective | Staged:
    """The inner objective `SelfConditioned` in one pass for a share `start` of the training, its stages keeping their
    parts of it, then its last stage `FixedPoint`; 0 is from the beginning, 1 never."""
    last = inner.stages[-1][1] if isinstance(inner, Staged) else inner
    return later(self_conditioned(inner, chance), FixedPoint(last, chance, depth), start)
