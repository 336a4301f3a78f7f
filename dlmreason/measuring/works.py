"""What is timed: whole answers of either arm, over networks with the weights they are born with.

A work is known before it is begun: how many calls and FLOPs it takes follows from sizes alone. This file decides what
an answer of each arm consists of, bookkeeping included, by the code that answers anywhere else. It knows no clock.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

import torch

from dlmreason.canvas import Policy
from dlmreason.compute.flops import generation_flops
from dlmreason.measuring.caches import Kept, NoCache, Spent
from dlmreason.measuring.paces import Pace, Part
from dlmreason.networks.shape import Shape
from dlmreason.networks.transformer import Transformer
from dlmreason.policies.presets import ordered
from dlmreason.policies.published import bd3
from dlmreason.sampling.autoregress import generate
from dlmreason.sampling.chains import Prompt
from dlmreason.sampling.denoise import Sampler
from dlmreason.sampling.state import Rows

Begun = Callable[[], object]
"""Does it once more, for all rows; the same each time."""


class Sizes(NamedTuple):
    """Of a network and its texts, but for their length."""

    symbols: int  # token ids, the mask excluded
    num_layers: int
    width: int
    num_heads: int


class Work(NamedTuple):
    """An answer to each row of a batch."""

    what: str  # token | pass: of what kind most of its calls are
    calls: int  # of the network, one after another
    flops: int  # of all rows
    begin: Callable[[], Begun]  # makes networks and rows


class Arm(Protocol):
    """Writes `answer` tokens behind `context` given ones, in each of `batch` rows.

    Raises: ValueError for lengths that it cannot take.
    """

    def work(self, sizes: Sizes, context: int, answer: int, batch: int, device: torch.device) -> Work: ...


@dataclass(frozen=True)
class Autoregressive:
    """A causal network with a cache of exactly the places it needs: the context is read at once, then token by token.

    The engine reads the last token too, in a call that only a network with a quality head would need: one in so many
    as the answer has tokens, counted among the calls and not among the FLOPs.
    """

    def work(self, sizes: Sizes, context: int, answer: int, batch: int, device: torch.device) -> Work:
        shape = shape_of(sizes, context + answer, attention="causal")

        def begin() -> Begun:
            network = network_of(shape, device)
            tokens = torch.arange(batch * context).view(batch, context) % sizes.symbols
            prompts = [Prompt(row, each.tolist(), [[]] * context) for row, each in enumerate(tokens)]
            plan: dict[str, Any] = {
                "chains": 1,
                "answer_length": answer,
                "answer_features": [[]] * answer,
                "marker_id": 0,
                "eos_id": None,
                "thought": False,
                "max_tokens": answer,
                "temperature": 0.0,
                "first_greedy": True,
                "seed": 0,
                "width": batch,
                "prefill_width": batch,
            }
            return lambda: list(generate(network, prompts, **plan))

        return Work("token", 1 + answer, batch * generation_flops(shape, context, answer, 1), begin)


@dataclass(frozen=True)
class Diffusion:
    """Denoising passes over the blocks of a `pace`, each with what it need not read again.

    within: positions of smaller blocks that the passes of a block write one after another, surest token first; None
    writes anywhere in it. The blocks written before are the context of the next.
    """

    pace: Pace
    kept: Kept = field(default_factory=NoCache)
    within: int | None = None

    def work(self, sizes: Sizes, context: int, answer: int, batch: int, device: torch.device) -> Work:
        calls, flops, begins = 0, 0, []
        for part in self.pace(answer):
            shape = shape_of(sizes, context + part.length, **self.kept.shape(context))
            spent: Spent = self.kept.spent(shape, context, *part)
            calls, flops = calls + spent.calls, flops + batch * spent.flops
            begins.append(self._begin(shape, context, part, batch, device))
            context += part.length

        def begin() -> Begun:
            begun = [each() for each in begins]
            return lambda: [each() for each in begun]

        return Work("pass", calls, flops, begin)

    def _begin(self, shape: Shape, context: int, part: Part, batch: int, device: torch.device) -> Callable[[], Begun]:
        policy = self._policy(part)

        def begin() -> Begun:
            mask_id, sheet = shape.vocabulary_size - 1, context + part.length
            denoiser = self.kept.denoiser(network_of(shape, device), mask_id)
            tokens = torch.arange(batch * sheet, device=device).view(batch, sheet) % mask_id
            editable = torch.arange(sheet, device=device).expand(batch, -1) >= context
            features = torch.zeros(batch, sheet, 0, dtype=torch.int64, device=device)
            rows = Rows(torch.arange(batch, device=device), tokens, editable, features, tokens.clone())
            return lambda: list(Sampler(policy, denoiser, (part.passes,), 0, batch, sheet + part.passes).run(rows))

        return begin

    def _policy(self, part: Part) -> Policy:
        """One that is done after exactly the passes of the part."""
        if self.within is None:
            return ordered()
        blocks, rest = divmod(part.length, self.within)
        count, uneven = divmod(part.length, part.passes)
        if rest or uneven or self.within % count:
            raise ValueError(
                f"{part.passes} passes over {part.length} positions in blocks of {self.within}: each pass must write "
                f"as many tokens, within one of {blocks} blocks"
            )
        return bd3(self.within, "confidence", count, 0.0)


def shape_of(sizes: Sizes, length: int, **more: Any) -> Shape:
    """Rotary positions, so that a longer text takes no more weights."""
    given: dict[str, Any] = sizes._asdict() | {"length": length, "positions": "rotary"} | more
    symbols = given.pop("symbols")
    return Shape(vocabulary_size=symbols + 1, outputs=symbols, **given)


def network_of(shape: Shape, device: torch.device) -> Transformer:
    torch.manual_seed(0)
    return Transformer(shape).eval().to(device)
