"""Networks small enough to be exact, and batches for them."""

from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import product
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from dlmreason.canvas import Ask
from dlmreason.diffusion.objectives import Batch
from tests.toys import Oracle


class Said(NamedTuple):
    logits: Tensor
    quality: Tensor | None


@dataclass
class Fake:
    """A network of two functions of the tokens; it notes what it read and whether a gradient was wanted."""

    logits: Callable[[Tensor], Tensor]
    quality: Callable[[Tensor], Tensor] | None = None
    read: list[Tensor] = field(default_factory=list)
    trained: list[bool] = field(default_factory=list)

    def __call__(self, tokens: Tensor, features: Tensor) -> Said:
        self.read.append(tokens)
        self.trained.append(torch.is_grad_enabled())
        return Said(self.logits(tokens), self.quality(tokens) if self.quality else None)


class Weights(nn.Module):
    """A network whose every pass says weights of its own, [rows, length, outputs]; it notes what it read."""

    def __init__(self, passes: int, rows: int, length: int, outputs: int) -> None:
        super().__init__()
        drawn = torch.randn(passes, rows, length, outputs, generator=generator(2))
        self.said = nn.ParameterList(drawn.unbind())
        self.read: list[Tensor] = []

    def forward(self, tokens: Tensor, features: Tensor) -> Said:
        self.read.append(tokens)
        return Said(self.said[len(self.read) - 1], None)


@dataclass
class Call:
    """A pass of a network that carries."""

    tokens: Tensor
    carry: Tensor | None
    said: Any
    trained: bool

    @property
    def hidden(self) -> Tensor:
        found: Tensor = self.said.hidden
        return found


@dataclass
class Noted:
    """A network that carries, whose calls are kept."""

    network: Any
    calls: list[Call] = field(default_factory=list)
    carries = True

    def __call__(self, tokens: Tensor, features: Tensor, *, carry: Tensor | None = None) -> Any:
        said = self.network(tokens, features, carry=carry)
        self.calls.append(Call(tokens, carry, said, torch.is_grad_enabled()))
        return said


@dataclass(frozen=True)
class At:
    """Times that are all one time."""

    t: float

    def __call__(self, rows: int, generator: torch.Generator) -> Tensor:
        return torch.full((rows,), self.t, dtype=torch.float64)


def uniform(outputs: int) -> Fake:
    return Fake(lambda tokens: torch.zeros(*tokens.shape, outputs))


def oracle(joint: Tensor) -> Fake:
    """Knows p(x_i | the tokens that are not masked) of an enumerated joint."""
    if joint.dim() == 1:
        return Fake(lambda tokens: joint.log().expand(*tokens.shape, len(joint)))
    exact = Oracle(joint)

    def logits(tokens: Tensor) -> Tensor:
        none = torch.zeros(*tokens.shape, 0, dtype=torch.int64)
        return exact(Ask(tokens, torch.ones(len(tokens), dtype=torch.float64), ()), none).logits

    return Fake(logits)


def table(length: int, outputs: int, seed: int) -> Fake:
    """Says something arbitrary of every canvas."""
    generator = torch.Generator().manual_seed(seed)
    said = {
        canvas: torch.randn(length, outputs, generator=generator)
        for canvas in product(range(outputs + 1), repeat=length)
    }
    return Fake(lambda tokens: torch.stack([said[tuple(row)] for row in tokens.tolist()]))


def batch(
    tokens: Tensor,
    mask_id: int,
    editable: Tensor | None = None,
    judged: Tensor | None = None,
    thoughts: Tensor | None = None,
) -> Batch:
    editable = torch.ones_like(tokens, dtype=torch.bool) if editable is None else editable
    features = torch.zeros(*tokens.shape, 0, dtype=torch.int64)
    thoughts = torch.zeros_like(tokens) if thoughts is None else thoughts.expand_as(tokens)
    return Batch(tokens, editable, features, editable if judged is None else judged, thoughts, mask_id)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)
