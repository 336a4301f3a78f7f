"""Training a network that loops over its layers to be right after each loop, and not only after the last.

This file decides of which loops the loss is taken, and how much each counts. Which loss that is stays the inner
objective's: it calls a network as always, and is asked once for each loop, over passes that are made once. It knows no
policy and no shape of network.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, cast

import torch
from torch import Tensor

from dlmreason.diffusion.correctors import Corrector
from dlmreason.diffusion.objectives import (
    Batch,
    Forwards,
    Loss,
    Network,
    Objective,
    Said,
    Staged,
    Taught,
    continues,
    taught_by,
)
from dlmreason.diffusion.quality import Judging, judging_of


class Looping(Protocol):
    """A network that goes through its layers `loops` times in a pass; by `loops` it is told from others."""

    @property
    def loops(self) -> int: ...

    def __call__(self, tokens: Tensor, features: Tensor, **told: Any) -> Said: ...

    def at_each_loop(self, tokens: Tensor, features: Tensor, **told: Any) -> Sequence[Said]:
        """What one pass would say after each of its loops; the last is what it says."""
        ...

    def paired_at_each_loop(self, noised: Tensor, clean: Tensor, features: Tensor, block: int) -> Sequence[Said]:
        """The same of a pass over two copies, see `blocks.InPairs`."""
        ...


@dataclass(frozen=True)
class DeeplySupervised:
    """The mean over a network's loops of the inner loss, each of what the pass would say if it ended there [deep
    supervision, arXiv:1409.5185; of loops, arXiv:2311.12424].

    last: the share of the last loop, above 0 and up to 1; the loops before it share the rest alike, so that 1 is the
    inner loss itself. None: all alike.

    One set of passes over one set of canvases serves all loops: canvas, times and draws are the same, and a gradient
    goes from each loop through all loops before it. Samples of the network's own, in passes without gradient, are those
    of its last loop, and so is the quality head, which is trained as the inner objective has it. A network that loops
    once is trained on the inner loss to the bit. It goes around the whole objective.

    Metrics are those of the last loop, and the inner loss of each: `loop_1_loss` and so on, a quality head's included.

    Deviation: the source takes the loss of the last loops alone, and ever more of them.
    """

    inner: Objective
    last: float | None = None

    def __post_init__(self) -> None:
        if isinstance(self.inner, Staged):
            raise ValueError("DeeplySupervised.inner has stages: use deeply_supervised, which goes into each of them")
        for each in _within(self.inner):
            if isinstance(each, DeeplySupervised):
                raise ValueError(f"DeeplySupervised.inner={self.inner!r} is so already: leave one of the two out")
            if isinstance(each, Corrector):
                raise ValueError(
                    f"DeeplySupervised.inner={self.inner!r} shows the network what a trained pass has written, which "
                    "differs from loop to loop, and one canvas is to serve all: choose MaskedDiffusion, or Judging, "
                    "whose samples come from passes without gradient"
                )
        if continues(self.inner):
            raise ValueError(
                f"DeeplySupervised.inner={self.inner!r} goes on from update to update, from what the last loop had in "
                "mind: use it alone, after a stage that is DeeplySupervised"
            )
        if self.last is not None and not 0 < self.last <= 1:
            raise ValueError(
                f"objective.last={self.last} is the share of the last loop in the loss: give a number above 0 and up "
                "to 1, or null, with which all loops count alike"
            )

    @property
    def teaches(self) -> Taught:
        return taught_by(self.inner)

    @property
    def judging(self) -> Judging | None:
        return judging_of(self.inner)

    @property
    def forwards(self) -> Forwards:
        """Passes, whatever their loops; what more is read out of them is `read_outs`."""
        return self.inner.forwards

    @property
    def read_outs(self) -> float:
        """Trained passes of an update whose every loop is read out."""
        return 0 if self.last == 1 else self.inner.forwards.trained

    def weights(self, loops: int) -> list[float]:
        """What each loop counts, the first one first; they add up to 1."""
        if self.last is None or loops == 1:
            return [1 / loops] * loops
        return [(1 - self.last) / (loops - 1)] * (loops - 1) + [self.last]

    def __call__(self, network: Network, batch: Batch, generator: torch.Generator) -> Loss:
        """Raises: ValueError for a network that says of no loops, before it is called."""
        weights = self.weights(_loops_of(network))
        if not any(weights[:-1]):
            return self.inner(network, batch, generator)
        passes, before = _Passes(cast(Looping, network)), generator.get_state()
        wanted = torch.is_grad_enabled()
        with torch.enable_grad():  # so that passes without gradient are told from the others
            of_last = self.inner(passes, batch, generator)
            losses = []
            for loop in range(len(weights) - 1):
                generator.set_state(before)
                losses.append(self.inner(passes.again(loop), batch, generator).total)
            losses.append(of_last.total)
            total = torch.stack([weight * loss for weight, loss in zip(weights, losses, strict=True)]).sum()
        each = {f"loop_{number}_loss": loss.detach() for number, loss in enumerate(losses, 1)}
        return Loss(total if wanted else total.detach(), of_last.metrics | each)


@dataclass(frozen=True)
class _Heard:
    """What a pass says, as of one of its loops."""

    logits: Tensor
    quality: Tensor | None


@dataclass
class _Passes:
    """A network whose passes are kept as they are made, to be heard again as of another loop."""

    network: Looping
    made: list[tuple[Tensor, Sequence[Said]]] = field(default_factory=list)

    @property
    def carries(self) -> bool:
        return getattr(self.network, "carries", False)

    def again(self, loop: int) -> "_Again":
        return _Again(self.carries, loop, iter(self.made))

    def __call__(self, tokens: Tensor, features: Tensor, **told: Any) -> Said:
        if torch.is_grad_enabled():
            return self._keep(tokens, self.network.at_each_loop(tokens, features, **told))
        return self._keep(tokens, (self.network(tokens, features, **told),))

    def paired(self, noised: Tensor, clean: Tensor, features: Tensor, block: int) -> Said:
        return self._keep(noised, self.network.paired_at_each_loop(noised, clean, features, block))

    def _keep(self, tokens: Tensor, each: Sequence[Said]) -> Said:
        self.made.append((tokens, each))
        return each[-1]


@dataclass(frozen=True)
class _Again:
    """The passes of a loss once more, the trained ones as if they had ended with an earlier loop."""

    carries: bool
    loop: int
    made: Iterator[tuple[Tensor, Sequence[Said]]]

    def __call__(self, tokens: Tensor, features: Tensor, **told: Any) -> Said:
        read, each = next(self.made)
        # On an accelerator nobody looks, for that would wait for it.
        if tokens.device.type == "cpu" and not torch.equal(tokens, read):
            raise ValueError(
                "the inner objective of DeeplySupervised shows the network another canvas in each loop, and one is to "
                "serve all: let it draw what it shows from passes without gradient, or train it alone"
            )
        return each[-1] if len(each) == 1 else _Heard(each[self.loop].logits, each[-1].quality)

    def paired(self, noised: Tensor, clean: Tensor, features: Tensor, block: int) -> Said:
        return self(noised, features)


def deeply_supervised(inner: Objective | Staged, last: float | None = None) -> Objective | Staged:
    """The inner objective, or each stage of it, `DeeplySupervised`."""
    if isinstance(inner, Staged):
        return Staged([(share, DeeplySupervised(stage, last)) for share, stage in inner.stages])
    return DeeplySupervised(inner, last)


def read_outs(staged: Staged, updates: int) -> float:
    """Trained passes over a batch, of the whole training, whose every loop is read out."""
    return sum(count * getattr(objective, "read_outs", 0) for count, objective in staged.spans(updates))


def _loops_of(network: object) -> int:
    loops: int | None = getattr(network, "loops", None)
    if loops is None:
        raise ValueError(
            f"the objective reads out each loop of a network, and {type(network).__name__} says of none: give it a "
            "network with loops, put DeeplySupervised outermost, or choose the inner objective alone"
        )
    return loops


def _within(objective: Any) -> Iterator[Any]:
    """The objective and what is inside it."""
    while objective is not None:
        yield objective
        objective = getattr(objective, "inner", None)
