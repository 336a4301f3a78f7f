"""Training a network on rollouts of its own passes, each of which hands on what it has in mind.

This file decides what a pass of a rollout reads and where it is asked, how far back its gradient goes, and when a seat
of the batch is free for another example. Who sits there, and what is kept between two updates, is the trainer's: it is
handed a state and hands it back. It knows no trainer, no policy and no shape of network.

A canvas of a rollout is drawn anew in every pass from the right answer, ever more of which is shown; so only what is
carried can tell a pass what the passes before it saw. Shape letters: B rows, L positions, V outputs.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, cast

import torch
from torch import Tensor

from dlmreason.diffusion.carried import Carrier, Thought, carrier
from dlmreason.diffusion.corruption import Absorbing, coins, corrupt
from dlmreason.diffusion.objectives import (
    Batch,
    Forwards,
    Guessing,
    Loss,
    Network,
    Objective,
    Staged,
    State,
    Taught,
    taught_by,
    token_nats,
)
from dlmreason.diffusion.quality import Judging, judging_of, later
from dlmreason.diffusion.schedules import Linear, Schedule
from dlmreason.diffusion.targets import draw
from dlmreason.diffusion.weightings import count

LINEAR = Linear()


class Seats(NamedTuple):
    """How far the rollouts of a batch are, row by row."""

    made: Tensor  # [B] int64, passes made
    length: Tensor  # [B] int64, passes in all; as many made: the rollout has ended
    written: Tensor  # [B, L] int64, a draw from what the last pass said of each position; the mask before the first
    carry: Tensor | None  # [B, L, width], the `hidden` of the last pass; None: zeros, for the width is not known yet

    def renewed(self, ended: Tensor, length: Tensor, mask_id: int) -> "Seats":
        """Rollouts of given lengths [B] begin where others have ended [B] bool."""
        assert self.carry is not None, "a pass was made"
        return Seats(
            torch.where(ended, 0, self.made),
            torch.where(ended, length, self.length),
            torch.where(ended[:, None], mask_id, self.written),
            torch.where(ended[:, None, None], 0.0, self.carry),
        )


class Pass(NamedTuple):
    """What one pass is trained on."""

    nats: Tensor  # [B, L] float32, -log p of the right token where it is asked, else 0
    asked: Tensor  # [B, L] bool
    own: Tensor  # [B, L] bool, a part of `asked`: where one of the model's own samples stands
    wrong: Tensor  # [B, L] bool, a part of `own`: where it is not the right token


@dataclass(frozen=True)
class Rollouts:
    """Cross-entropy in rollouts with a carry, the right answer ever more shown, and gradient through `window` passes
    [timestep-free iterative reasoning, arXiv:2609.01449, persistent memory].

    A rollout makes K passes over one example, K uniform over `lengths`. In pass k = 0 .. K - 1 each editable position
    shows its token with the chance alpha(1 - k / K) of the schedule, drawn anew, else the mask; so the first pass is
    all masks, and no time is read. A share `own` of the shown tokens is drawn by the model itself, from what it said
    there a pass before; no gradient goes through the draw.

    An update makes `window` passes of every row, each with the `hidden` of the one before as its carry, and gradient
    goes through the carries within it; the last one is kept for the next update as a constant. A row whose rollout has
    ended stays as it is to the end of the window, at full price, and is not asked; then its seat takes the batch's
    example, with no carry and a new length. The first update begins rollouts at one of their windows each, drawn alike,
    with no carry, so that later updates see all levels at once.

    The loss is the mean over the asked positions of all passes together, as `MaskedDiffusion` has it, unweighted, of a
    batch of as many canvases. Asked are the masks, and the model's own samples, right or wrong: which tokens are its
    own is not told, so asking only of wrong ones would teach that what stands is never right. Of a token that stands
    the best network says what is right there if it was drawn by the model, not if it was given.

    judging: trains the quality head too, once a window: its target's canvas is read with the carry of the last pass, as
    the next one would read it, and gradient goes through that too. Where a rollout has ended the carry is of its end.

    bound: the largest root mean square of a position's carry. Beyond, and where it is not a number, the loss is
    infinite, from which no trainer learns.

    Called without a state it is the loss of a first update.

    Deviation from the source: tokens under masks in place of Gaussian noise on one-hot vectors, own samples, an end of
    rollouts at the end of a window, and a start at the beginning of one; there K is uniform over 20 to 160.
    """

    lengths: Sequence[int] = (16, 64)
    window: int = 4
    own: float = 0.1
    schedule: Schedule = field(default_factory=Linear)
    judging: Judging | None = None
    bound: float = 1e3

    def __post_init__(self) -> None:
        lengths = tuple(self.lengths)
        if not all(map(_whole, lengths)) or len(lengths) != 2 or lengths[0] > lengths[1]:
            raise ValueError(
                f"objective.lengths={list(lengths)} are the fewest and the most passes of a rollout: give two whole "
                "numbers from 1, the second not below the first, such as [16, 64]"
            )
        if not _whole(self.window):
            raise ValueError(
                f"objective.window={self.window} is how many passes an update makes: give a whole number from 1, where "
                "no gradient goes through a carry"
            )
        if not 0 <= self.own <= 1:
            raise ValueError(
                f"objective.own={self.own} is the share of shown tokens that the model drew: give a number from 0 to 1"
            )
        if not self.bound > 0:
            raise ValueError(f"objective.bound={self.bound} is the largest carry, as a root mean square: give one > 0")
        if self.judging is not None and not taught_by(self.judging.inner).masks:
            raise ValueError(
                f"objective.judging={self.judging!r} asks a network that knows no masks, and rollouts are of one that "
                "does: choose an inner objective with masks, such as MaskedDiffusion, or judging=null"
            )
        object.__setattr__(self, "lengths", lengths)

    @property
    def teaches(self) -> Taught:
        return Taught(quality=self.judging is not None, masks=True, carry=True)

    @property
    def forwards(self) -> Forwards:
        if self.judging is None:
            return Forwards(self.window, 0)
        return Forwards(self.window + self.judging.target.repeats, self.judging.target.guesses)

    def __call__(self, network: Network, batch: Batch, generator: torch.Generator) -> Loss:
        return self.proceed(network, batch, None, generator)[0]

    def vacant(self, state: State) -> Tensor:
        """The rows [B] bool whose rollouts have ended."""
        return state["made"] >= state["length"]

    def proceed(
        self, network: Network, batch: Batch, state: State | None, generator: torch.Generator
    ) -> tuple[Loss, State]:
        """Raises: ValueError for a network that takes no carry, before it is called."""
        reads = carrier(network, "or choose an objective without rollouts")
        length = self._lengths(batch, generator)
        if state is None:
            seats = self.begun(batch, length, generator)
        else:
            seats = Seats(**state).renewed(self.vacant(state), length, batch.mask_id)
        passes, sizes = [], []
        for _ in range(self.window):
            seats, passed = self.passed(reads, batch, seats, generator)
            passes.append(passed)
            sizes.append(_size(seats.carry))
        nats, asked, own, wrong = (torch.stack(parts) for parts in zip(*passes, strict=True))
        total = nats.sum() / count(asked)
        size = torch.stack(sizes).max()
        metrics = {
            "cross_entropy": total.detach(),
            "rollout_errors": wrong.sum() / count(own),
            "carry_size": size,
        }
        if self.judging is not None:
            head = self.judged(self.judging, reads, batch, seats, generator)
            total, metrics = total + self.judging.weight * head.total, metrics | head.metrics
        kept = {name: part.detach() for name, part in seats._asdict().items()}
        return Loss(torch.where(size <= self.bound, total, torch.inf), metrics), kept

    def begun(self, batch: Batch, length: Tensor, generator: torch.Generator) -> Seats:
        """Rollouts of given lengths [B] that are under way, each at the beginning of any of its windows."""
        windows = (length + self.window - 1) // self.window
        at = torch.rand(length.shape, generator=generator, device=length.device, dtype=torch.float64)
        return Seats(self.window * (at * windows).long(), length, torch.full_like(batch.tokens, batch.mask_id), None)

    def passed(self, network: Carrier, batch: Batch, seats: Seats, generator: torch.Generator) -> tuple[Seats, Pass]:
        """One pass of each row whose rollout has not ended; the others stay as they are."""
        live = (seats.made < seats.length)[:, None]
        canvas, own = self.canvas(batch, seats, generator)
        said = network(canvas, batch.features, carry=seats.carry)
        own = own & live
        asked = own | ((canvas == batch.mask_id) & batch.editable & live)
        nats = token_nats(said.logits, batch.tokens, asked)
        # A network that can emit the mask has a column for it, and a mask is no token.
        written = draw(said.logits.detach()[..., : batch.mask_id], generator)
        carry = said.hidden if seats.carry is None else torch.where(live[..., None], said.hidden, seats.carry)
        after = Seats(seats.made + live[:, 0], seats.length, torch.where(live, written, seats.written), carry)
        return after, Pass(nats, asked, own, own & (canvas != batch.tokens))

    def canvas(self, batch: Batch, seats: Seats, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """What the next pass reads, [B, L] int64, and where that is a token of the model's own, [B, L] bool."""
        t = 1 - seats.made.double() / seats.length
        canvas = corrupt(batch.tokens, batch.editable, Absorbing(self.schedule).shares(t), batch.mask_id, generator)
        shown = batch.editable & (canvas != batch.mask_id) & (seats.written != batch.mask_id)
        own = coins(torch.full_like(t, self.own)[:, None], canvas, generator) & shown
        return torch.where(own, seats.written, canvas), own

    def judged(
        self, judging: Judging, network: Carrier, batch: Batch, seats: Seats, generator: torch.Generator
    ) -> Loss:
        """The loss of the quality head, asked with the carry of the last pass."""
        assert seats.carry is not None, "a pass was made"
        mindful = _Mindful(network, seats.carry)
        question = judging.target(cast(Guessing, judging.inner), mindful, batch, generator)
        return judging.loss_at(mindful, batch, question)

    def _lengths(self, batch: Batch, generator: torch.Generator) -> Tensor:
        """Of rollouts that may begin, [B] int64: drawn for every row, so that what is drawn after depends on none."""
        shortest, longest = self.lengths
        rows, device = batch.tokens.shape[0], batch.tokens.device
        return torch.randint(shortest, longest + 1, (rows,), generator=generator, device=device)


@dataclass(frozen=True)
class _Mindful:
    """A carrying network as one of tokens and features, which reads one carry in every pass."""

    network: Carrier
    carry: Tensor  # [B, L, width]

    def __call__(self, tokens: Tensor, features: Tensor) -> Thought:
        times = len(tokens) // len(self.carry)  # a target may show each row several times, the whole batch after it
        return self.network(tokens, features, carry=self.carry.repeat(times, 1, 1))


def _whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1


def _size(carry: Tensor | None) -> Tensor:
    """The largest root mean square of a position, or nan."""
    assert carry is not None, "a pass was made"
    return carry.detach().float().square().mean(-1).sqrt().max()


def rollouts_later(
    first: Objective | Staged,
    *,
    start: float,
    lengths: Sequence[int] = (16, 64),
    window: int = 4,
    own: float = 0.1,
    schedule: Schedule = LINEAR,
    bound: float = 1e3,
) -> Staged:
    """`first` for a share `start` of the training, its stages keeping their parts of it, then `Rollouts`; 0 is from the
    beginning, 1 never.

    The quality head, where the last stage of `first` trains one, is trained to the end and asked the same.
    """
    last = first.stages[-1][1] if isinstance(first, Staged) else first
    judging = judging_of(last)
    return later(first, Rollouts(lengths, window, own, schedule, judging, bound), start)
