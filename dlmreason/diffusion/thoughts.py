"""Training on thoughts: one after another, and on canvases that the model wrote itself [DoT, arXiv:2402.07754].

This file decides what of a canvas is noised and asked where it holds a chain of thoughts, and whose tokens stand in it.
Which thought a position is of, the batch says; no task is known here. "DoT" itself, all thoughts in one block, is
`MaskedDiffusion` over thought and answer. The source noises embeddings with Gaussian noise; all here is its port to
masks. Shape letters: B rows, L positions, V outputs.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from dlmreason.diffusion.corruption import coins
from dlmreason.diffusion.objectives import Batch, Forwards, Hidden, Hiding, Loss, Network, Staged, Taught, taught_by
from dlmreason.diffusion.schedules import Schedule
from dlmreason.diffusion.targets import draw


@dataclass(frozen=True)
class ThoughtByThought:
    """The inner loss of one thought of each row: those before it are right, those after it not written yet [DoT,
    arXiv:2402.07754, "multi-pass"].

    A thought of K is drawn, all alike, and counts K times, so that the expectation is the sum over the thoughts: with
    the weights of the bound, and no coupling, a bound on -log p by the chain rule, in nats per editable position. A row
    of one thought is the inner loss.

    coupling: the chance that a row has the `reach` thoughts before the drawn one noised too, at the same level, and
    asked. The loss then bounds those thoughts together, so the sum over the thoughts counts some twice: no bound.

    Deviation: the source draws thoughts alike and does not count them K times, so long chains weigh less. It couples by
    joining the drawn thought and the next one, .1 of the first two rows of a batch, which is a chance of its own here
    (read in the released code; the paper's wording was not at hand).
    """

    inner: Hiding
    coupling: float = 0.0
    reach: int = 1

    def __post_init__(self) -> None:
        _check_inner("thoughts", self.inner)
        if not 0 <= self.coupling <= 1:
            raise ValueError(f"thoughts.coupling={self.coupling} is a chance: give a number from 0 to 1, such as 0.1")
        if self.reach < 1:
            raise ValueError(
                f"thoughts.reach={self.reach} is how many earlier thoughts are noised too: give 1 or more; for none, "
                "set thoughts.coupling=0"
            )

    @property
    def schedule(self) -> Schedule:
        return self.inner.schedule

    @property
    def teaches(self) -> Taught:
        return taught_by(self.inner)

    @property
    def forwards(self) -> Forwards:
        return self.inner.forwards

    def __call__(self, network: Network, batch: Batch, generator: torch.Generator) -> Loss:
        return self.loss_at(network, batch, *self.hide(batch, generator))

    def hide(self, batch: Batch, generator: torch.Generator) -> Hidden:
        inner = self.inner.hide(batch, generator)  # first, so that one thought has the very canvas of the inner loss
        drawn = torch.rand(inner.t.shape, generator=generator, device=inner.t.device, dtype=torch.float64)
        coupled = coins(torch.full_like(drawn, self.coupling), drawn, generator)
        number = self.number(batch)
        thought = (drawn * number).long().clamp(max=number - 1)
        return self.hidden(batch, inner, thought, coupled)

    def hidden(self, batch: Batch, inner: Hidden, thought: Tensor, coupled: Tensor) -> Hidden:
        """Of an inner canvas, a thought of each row [B] int64, and whether it is coupled [B] bool: nothing is drawn."""
        first = thought - torch.where(coupled, self.reach, 0)
        noised = batch.editable & (batch.thoughts >= first[:, None]) & (batch.thoughts <= thought[:, None])
        later = batch.editable & (batch.thoughts > thought[:, None])
        canvas = torch.where(later, batch.mask_id, torch.where(noised, inner.canvas, batch.tokens))
        return Hidden(inner.t, canvas, torch.where(noised, inner.counts * self.number(batch)[:, None], 0))

    def number(self, batch: Batch) -> Tensor:
        """How many thoughts each row has, the answer included: [B] int64."""
        return torch.where(batch.editable, batch.thoughts, 0).amax(-1) + 1

    def loss_at(
        self, network: Network, batch: Batch, t: Tensor, corrupted: Tensor, counts: Tensor | None = None
    ) -> Loss:
        return self.inner.loss_at(network, batch, t, corrupted, counts)

    def guess(self, network: Network, batch: Batch, hidden: Tensor, generator: torch.Generator) -> Tensor:
        return self.inner.guess(network, batch, hidden, generator)


@dataclass(frozen=True)
class ScheduledSampling:
    """The inner loss, in a share of the rows on a canvas that the model itself denoised down to its level [DoT,
    arXiv:2402.07754, "scheduled sampling"].

    Of a canvas at time t more is hidden, as at a time u, uniform from t to 1. What the model writes there, drawn from
    its distribution and with no gradient, stands wherever the inner canvas shows a token of what is asked: one
    ancestral pass from u to t. What is right stays the right answer.

    chance: of a row.  It costs a pass without gradient for the whole batch, whatever the chance.

    The best network says what is right given what stands, and knows that it may have written it. Where the answer is
    certain given what stood at u, nothing changes; else a right answer is asked that need not go with the tokens drawn,
    so the optimum is not the data's own conditional, and the loss is no bound.

    Deviation: the source runs from pure noise in passes of 1/16 and takes the likeliest token at the end; its loss is
    at all positions, here at masks alone. For what stands, see `Corrector`.
    """

    inner: Hiding
    chance: float = 0.05

    def __post_init__(self) -> None:
        _check_inner("scheduled", self.inner)
        if not 0 <= self.chance <= 1:
            raise ValueError(f"scheduled.chance={self.chance} is a chance: give a number from 0 to 1, such as 0.05")

    @property
    def schedule(self) -> Schedule:
        return self.inner.schedule

    @property
    def teaches(self) -> Taught:
        return taught_by(self.inner)

    @property
    def forwards(self) -> Forwards:
        inner = self.inner.forwards
        return Forwards(trained=inner.trained, untrained=inner.untrained + 1)

    def __call__(self, network: Network, batch: Batch, generator: torch.Generator) -> Loss:
        t, canvas, counts = self.inner.hide(batch, generator)
        more = self.more(batch, Hidden(t, canvas, counts), generator)
        own = coins(torch.full_like(t, self.chance), t, generator)[:, None]
        written = self.written(network, batch, canvas, more, generator)
        loss = self.inner.loss_at(network, batch, t, torch.where(own, written, canvas), counts)
        wrong = own & (written != canvas)
        return Loss(loss.total, loss.metrics | {"scheduled_errors": wrong.sum() / (own & more).sum().clamp(min=1)})

    def more(self, batch: Batch, hidden: Hidden, generator: torch.Generator) -> Tensor:
        """What else would be masked at a time u > t, given what is: [B, L] bool."""
        t = hidden.t
        u = t + (1 - t) * torch.rand(t.shape, generator=generator, device=t.device, dtype=torch.float64)
        clean, later = self.schedule.alpha(t), self.schedule.alpha(u)
        chance = 1 - later / torch.where(clean > 0, clean, 1.0)  # where nothing is clean, nothing is visible
        visible = (hidden.canvas != batch.mask_id) & (hidden.counts > 0)
        return coins(chance[:, None], batch.tokens, generator) & visible

    @torch.no_grad()
    def written(
        self, network: Network, batch: Batch, canvas: Tensor, more: Tensor, generator: torch.Generator
    ) -> Tensor:
        """The canvas [B, L] with tokens of the model's own where `more` [B, L] bool hid them from it."""
        said = network(torch.where(more, batch.mask_id, canvas), batch.features).logits
        return torch.where(more, draw(said, generator), canvas)

    def loss_at(
        self, network: Network, batch: Batch, t: Tensor, corrupted: Tensor, counts: Tensor | None = None
    ) -> Loss:
        return self.inner.loss_at(network, batch, t, corrupted, counts)

    def guess(self, network: Network, batch: Batch, hidden: Tensor, generator: torch.Generator) -> Tensor:
        return self.inner.guess(network, batch, hidden, generator)


def scheduled_sampling(inner: Hiding, *, chance: float = 0.05, stages: int = 10) -> Staged:
    """`ScheduledSampling` whose chance rises over the training from 0 to `chance`, in `stages` equal steps.

    Deviation from DoT [arXiv:2402.07754], where it rises with every update: a stage has the chance of its middle.
    """
    if stages < 1:
        raise ValueError(f"scheduled.stages={stages} is how many steps the chance rises in: give a whole number from 1")
    steps = [ScheduledSampling(inner, chance * (stage + 0.5) / stages) for stage in range(stages)]
    return Staged([(1 / stages, step) for step in steps])


def _check_inner(key: str, inner: object) -> None:
    if not (hasattr(inner, "hide") and hasattr(inner, "loss_at")):
        raise ValueError(
            f"{key}.inner={inner!r} does not say what it hides: choose MaskedDiffusion, or ThoughtByThought around it, "
            "and wrap what comes out in what is to come on top"
        )
