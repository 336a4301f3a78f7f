"""Losses over a network and a batch: masked diffusion, next token, and stages of training.

This file decides what a network is trained to say. A network here is any callable `network(tokens, features)` that
returns something with `.logits` and `.quality`; an objective knows no task, no trainer and no shape of network. Nothing
here waits for the device. Shape letters: B rows, L positions, F feature columns, V outputs (the mask is none of them).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple, Protocol, TypeGuard

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from dlmreason.diffusion.corruption import Absorbing, corrupt
from dlmreason.diffusion.leave_one_out import Logits
from dlmreason.diffusion.schedules import Linear, LowDiscrepancy, Schedule, Times
from dlmreason.diffusion.weightings import NELBO, PLAIN, Weighting, count


class Said(Protocol):
    """What a network says of a batch."""

    @property
    def logits(self) -> Tensor:
        """[B, L, V]."""
        ...

    @property
    def quality(self) -> Tensor | None:
        """[B, L], the logit of the chance that the token now there is right; None without a quality head."""
        ...


class Network(Protocol):
    def __call__(self, tokens: Tensor, features: Tensor) -> Said: ...


class Batch(NamedTuple):
    """Examples as they lie before a model, with the right answers in place. No right answer holds the mask."""

    tokens: Tensor  # [B, L] int64
    editable: Tensor  # [B, L] bool: what the model writes; never padding
    features: Tensor  # [B, L, F] int64
    judged: Tensor  # [B, L] bool, a part of `editable`: where quality is trained; the answer without its thought
    thoughts: Tensor  # [B, L] int64: the thought, from 0, of an editable position, the answer being the last; else any
    mask_id: int
    right: Callable[[Tensor], Tensor] | None = None  # [B, L] int64, full canvases of these rows -> [B] bool: a judge of
    # whole canvases, which may call several right; None: only `tokens` is known to be

    def to(self, device: torch.device) -> "Batch":
        tokens, editable, features, judged, thoughts = (part.to(device) for part in self[:5])
        return Batch(tokens, editable, features, judged, thoughts, self.mask_id, self.right)

    def repeat(self, times: int) -> "Batch":
        """All its rows, then all again, `times` in all."""
        if times == 1:
            return self
        tensors = {name: part for name, part in self._asdict().items() if isinstance(part, Tensor)}
        repeated: dict[str, Any] = {name: torch.cat([part] * times) for name, part in tensors.items()}
        judge = self.right
        if judge is not None:
            repeated["right"] = lambda canvas: torch.cat([judge(each) for each in canvas.chunk(times)])
        return self._replace(**repeated)


class Loss(NamedTuple):
    """What is minimised, and what a person wants to see of it."""

    total: Tensor  # scalar
    metrics: dict[str, Tensor]  # scalars without gradient, in nats where they are losses


class Forwards(NamedTuple):
    """Passes of the network over a whole batch that an update takes; a trained one costs three: forward, backward."""

    trained: float
    untrained: float

    @property
    def charged(self) -> float:
        """The same in units of one forward pass."""
        return 3 * self.trained + self.untrained


class Taught(NamedTuple):
    """What a network was trained to do that a policy may need, or that its shape has to make room for."""

    quality: bool = False  # to say which tokens are right
    masks: bool = False  # to read canvases with positions that wait to be written
    block: int = 0  # to write blocks of so many positions, each when all before it is written; 0: in any order
    carry: bool = False  # to read what it had in mind a pass before
    emits_mask: bool = False  # to say the mask of tokens that are wrong, as one more output
    noise: Logits | None = None  # to read canvases with random tokens, and what its logits are there


class Objective(Protocol):
    """A loss over any network."""

    @property
    def teaches(self) -> Taught: ...

    @property
    def forwards(self) -> Forwards: ...

    def __call__(self, network: Network, batch: Batch, generator: torch.Generator) -> Loss: ...


State = dict[str, Tensor]
"""What an update hands on to the next: tensors by name, without gradient, their first axis the rows."""


class Continuing(Objective, Protocol):
    """An objective whose rows go on from update to update, each with its example, until it lets that go."""

    def vacant(self, state: State) -> Tensor:
        """The rows [B] bool that take the next batch's example; the others are to be given the same one again."""
        ...

    def proceed(
        self, network: Network, batch: Batch, state: State | None, generator: torch.Generator
    ) -> tuple[Loss, State]:
        """The loss of an update and what the next goes on from; None: nothing, as at the start of its stage."""
        ...


class Guessing(Objective, Protocol):
    """An objective whose network can also be asked what it would have written."""

    def guess(self, network: Network, batch: Batch, hidden: Tensor, generator: torch.Generator) -> Tensor:
        """The logits [B, L, V] by which the network would write the `hidden` [B, L] positions, seeing only the rest.

        What it says of a hidden position knows of no token that is hidden; the mask is none of the V.
        """
        ...


class Hidden(NamedTuple):
    """A canvas with masks, and where it is asked what they hide."""

    t: Tensor  # [B] float64
    canvas: Tensor  # [B, L] int64
    counts: Tensor  # [B, L] int64, how many times the loss there counts; 0: it is not asked


class Hiding(Guessing, Protocol):
    """An objective in two steps, so that another may come between: hide, and ask what was hidden."""

    @property
    def schedule(self) -> Schedule: ...

    def hide(self, batch: Batch, generator: torch.Generator) -> Hidden: ...

    def loss_at(
        self, network: Network, batch: Batch, t: Tensor, corrupted: Tensor, counts: Tensor | None = None
    ) -> Loss: ...


@dataclass(frozen=True)
class MaskedDiffusion:
    """Cross-entropy of what was masked, at a random noise level [MDLM, arXiv:2406.07524, eq. 10].

    weighting "nelbo": the bound on -log p, in nats per editable position. "none": the mean over the masked positions of
    the batch, which learns faster on small models and bounds nothing. Others are made of factors: see `Weighting`. The
    bound is reported either way; the times start at eps, which leaves a share of at most eps of it out.
    """

    schedule: Schedule = field(default_factory=Linear)
    weighting: Literal["nelbo", "none"] | Weighting = "nelbo"
    times: Times = field(default_factory=LowDiscrepancy)

    def __post_init__(self) -> None:
        if not isinstance(self.weighting, Weighting) and self.weighting not in ("nelbo", "none"):
            raise ValueError(f"objective.weighting={self.weighting!r} is unknown: choose nelbo or none, or a Weighting")

    @property
    def teaches(self) -> Taught:
        return Taught(masks=True)

    @property
    def forwards(self) -> Forwards:
        return Forwards(trained=1, untrained=0)

    def __call__(self, network: Network, batch: Batch, generator: torch.Generator) -> Loss:
        return self.loss_at(network, batch, *self.hide(batch, generator))

    def hide(self, batch: Batch, generator: torch.Generator) -> Hidden:
        """Each editable position masked by itself, with the chance of its row's time."""
        t = self.times(batch.tokens.shape[0], generator)
        shares = Absorbing(self.schedule).shares(t)
        corrupted = corrupt(batch.tokens, batch.editable, shares, batch.mask_id, generator)
        return Hidden(t, corrupted, batch.editable.long())

    def loss_at(
        self, network: Network, batch: Batch, t: Tensor, corrupted: Tensor, counts: Tensor | None = None
    ) -> Loss:
        """The loss of given times [B] float64 and canvases [B, L] int64: nothing is drawn.

        counts: [B, L], how many times each position counts, not at all where 0; None is once.
        """
        masked = (corrupted == batch.mask_id) & batch.editable
        if counts is not None:
            masked = masked & (counts > 0)
        nats = token_nats(network(corrupted, batch.features).logits, batch.tokens, masked)

        def weighed(weighting: Weighting) -> Tensor:
            return weighting(nats, t, self.schedule, masked, batch.editable, counts)

        nelbo, plain = weighed(NELBO), weighed(PLAIN)
        metrics = {"nelbo": nelbo.detach(), "cross_entropy": plain.detach()}
        if isinstance(self.weighting, Weighting):
            return Loss(weighed(self.weighting), metrics)
        return Loss(nelbo if self.weighting == "nelbo" else plain, metrics)

    def guess(self, network: Network, batch: Batch, hidden: Tensor, generator: torch.Generator) -> Tensor:
        # A network that can emit the mask has a column for it, and a mask is no token.
        return network(torch.where(hidden, batch.mask_id, batch.tokens), batch.features).logits[..., : batch.mask_id]


@dataclass(frozen=True)
class NextToken:
    """Mean -log p(token | all before it) over the editable positions, in nats.

    Only a causal network may be trained with it. A token at position 0 has nothing before it and is not trained.
    """

    @property
    def teaches(self) -> Taught:
        return Taught()

    @property
    def forwards(self) -> Forwards:
        return Forwards(trained=1, untrained=0)

    def __call__(self, network: Network, batch: Batch, generator: torch.Generator) -> Loss:
        logits = network(batch.tokens, batch.features).logits[:, :-1]
        editable = batch.editable[:, 1:]
        nats = token_nats(logits, batch.tokens[:, 1:], editable).sum() / count(editable)
        return Loss(nats, {"cross_entropy": nats.detach()})

    def guess(self, network: Network, batch: Batch, hidden: Tensor, generator: torch.Generator) -> Tensor:
        # One pass over the right text says at each position what would have come next; shift it to where it would
        # stand. What would stand at position 0 is never asked.
        return network(batch.tokens, batch.features).logits.roll(1, dims=1)


@dataclass(frozen=True)
class Staged:
    """Objectives one after another in one training: (share of the updates, objective), the shares adding up to 1."""

    stages: Sequence[tuple[float, Objective]]

    def __post_init__(self) -> None:
        stages = tuple((float(share), objective) for share, objective in self.stages)
        shares = [share for share, _ in stages]
        if not stages or not all(share > 0 for share in shares) or abs(sum(shares) - 1) > 1e-9:
            raise ValueError(
                f"objective.stages has the shares {shares}; each must be above 0 and together they must make 1: "
                "lower one and raise another"
            )
        taught = [taught_by(objective) for _, objective in stages]
        blocks = sorted({each.block for each in taught})
        if len(blocks) > 1:
            raise ValueError(
                f"its stages teach blocks of {' and '.join(map(str, blocks))} positions, 0 being none, and a network "
                "reads one kind: give all stages one block, or train block_diffusion alone"
            )
        carries = [each.carry for each in taught]
        if carries != sorted(carries):
            raise ValueError(
                "objective.stages has a stage without a carry after one with: the network would be called with a carry "
                "that the later stage never showed it: put that stage first, or make it SelfConditioned too"
            )
        object.__setattr__(self, "stages", stages)

    @property
    def teaches(self) -> Taught:
        """What the last stage does; a head or an output that any stage trains is there, and stays."""
        taught = [taught_by(objective) for _, objective in self.stages]
        quality, emits_mask = any(each.quality for each in taught), any(each.emits_mask for each in taught)
        return taught[-1]._replace(quality=quality, emits_mask=emits_mask)

    def at(self, update: int, updates: int) -> Objective:
        """The objective of update `update` (0 is the first) of `updates`."""
        for end, (_, objective) in zip(self._ends(updates), self.stages, strict=True):
            if update < end:
                return objective
        raise IndexError(f"update {update} is not one of {updates}")

    def begins(self, update: int, updates: int) -> bool:
        """Whether a stage begins with update `update` (0 is the first) of `updates`."""
        return update in (0, *self._ends(updates))

    def forwards(self, updates: int) -> Forwards:
        """The passes over a batch that the whole training takes."""
        spans = [(count, objective.forwards) for count, objective in self.spans(updates)]
        trained = sum((count * each.trained for count, each in spans), 0.0)
        return Forwards(trained, sum((count * each.untrained for count, each in spans), 0.0))

    def spans(self, updates: int) -> list[tuple[int, Objective]]:
        """How many of `updates` each stage makes."""
        ends = self._ends(updates)
        starts = [0, *ends[:-1]]
        stages = zip(starts, ends, self.stages, strict=True)
        return [(end - start, objective) for start, end, (_, objective) in stages]

    def _ends(self, updates: int) -> list[int]:
        reached, ends = 0.0, []
        for share, _ in self.stages:
            reached += share
            ends.append(round(reached * updates))
        return ends


def continues(objective: Objective) -> TypeGuard[Continuing]:
    """Whether it is `Continuing`."""
    return hasattr(objective, "proceed")


def can_guess(objective: Objective) -> bool:
    """Whether it is `Guessing`; one that has the method but no sound answer says so by a `can_guess` of its own."""
    return hasattr(objective, "guess") and getattr(objective, "can_guess", True)


ANYTHING = Taught(quality=True, masks=True, noise="leave_one_out")


def taught_by(objective: "Objective | Staged") -> Taught:
    """What an objective teaches. One of your own that says nothing is taken at its best, but for what a network is
    shaped by: blocks, a carry and the mask as an output are there where they are declared, so that none is ever read
    untrained."""
    return getattr(objective, "teaches", ANYTHING)


def token_nats(logits: Tensor, targets: Tensor, where: Tensor) -> Tensor:
    """-log p of each target where `where` holds, 0 elsewhere: [B, L] float32, whatever the precision of the logits.

    logits: [B, L, V].  targets: [B, L] int64; only those under `where` need be among the V outputs.
    """
    targets = torch.where(where, targets, 0)
    nats = cross_entropy(logits.float().flatten(0, 1), targets.flatten(), reduction="none").view_as(targets)
    return torch.where(where, nats, 0.0)
