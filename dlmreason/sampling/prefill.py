"""Prompts are read once, in batches of one padded length, and handed to every chain that continues them.

This file decides which prompts are read together and what a chain starts from. It knows no token that is written.
Shape letters: V outputs.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor

from dlmreason.sampling.chains import Batch, Prompt, Work

CHUNK = 16  # tokens between two exchanges of rows; prompts are padded to a multiple of it
WINDOW = 4  # prompts of one padded length are looked for among this many batches of waiting ones


class Reader(Protocol):
    """A causal network with a cache, as `networks.transformer.Transformer`."""

    @property
    def shape(self) -> Any: ...

    def cache(self, rows: int, length: int = 0) -> Any: ...

    def __call__(
        self, tokens: Tensor, features: Tensor, *, cache: Any, at: Tensor, read: Tensor | None = None
    ) -> Any: ...


class Start(NamedTuple):
    """Where a chain begins: its prompt, read."""

    id: int
    number: int
    length: int  # tokens of the prompt
    logits: Tensor  # [V] of the first token
    cache: Any  # of the batch in which the prompt was read
    row: int  # its row there


class Prefixes:
    """Reads each prompt once, in batches of one padded length, when the first of its chains is about to begin."""

    def __init__(
        self,
        network: Reader,
        prompts: Sequence[Prompt],
        width: int,
        device: torch.device,
        on_batch: Callable[[Batch], None] | None,
    ) -> None:
        self.network, self.prompts, self.width, self.device, self.on_batch = network, prompts, width, device, on_batch
        self.unread = list(range(len(prompts)))
        self.read: dict[int, tuple[Tensor, Any, int]] = {}

    def start(self, prompt: int, number: int, last: bool) -> Start:
        """The beginning of a chain; `last`: nothing will be asked of this prompt again."""
        if prompt not in self.read:
            self._read_with(prompt)
        logits, cache, row = self.read.pop(prompt) if last else self.read[prompt]
        return Start(self.prompts[prompt].id, number, len(self.prompts[prompt].tokens), logits, cache, row)

    def _extent(self, prompt: int) -> int:
        """The padded length: it follows from the prompt's own length alone, since float sums depend on it."""
        return int(min(-(-len(self.prompts[prompt].tokens) // CHUNK) * CHUNK, self.network.shape.length))

    def _read_with(self, prompt: int) -> None:
        extent = self._extent(prompt)
        near = self.unread[: WINDOW * self.width]
        batch = [number for number in near if self._extent(number) == extent][: self.width]
        self.unread[: len(near)] = [number for number in near if number not in batch]

        tokens = torch.zeros(self.width, extent, dtype=torch.int64)
        features = torch.zeros(self.width, extent, len(self.network.shape.feature_sizes), dtype=torch.int64)
        ends = torch.zeros(self.width, 1, dtype=torch.int64)
        lengths = [len(self.prompts[number].tokens) for number in batch]
        for row, (number, length) in enumerate(zip(batch, lengths, strict=True)):
            tokens[row, :length] = torch.as_tensor(self.prompts[number].tokens)
            features[row, :length] = torch.as_tensor(self.prompts[number].features).view(length, -1)
            ends[row] = length - 1
        cache = self.network.cache(self.width, extent)
        output = self.network(
            tokens.to(self.device),
            features.to(self.device),
            cache=cache,
            at=torch.zeros(self.width, dtype=torch.int64, device=self.device),
            read=ends.to(self.device),
        )
        for row, number in enumerate(batch):
            self.read[number] = (output.logits[row, 0], cache, row)
        if self.on_batch is not None:
            charged = Work(sum(lengths), sum(length * (length + 1) // 2 for length in lengths), len(batch))
            sent = Work(self.width * extent, self.width * (extent * (extent + 1) // 2), self.width)
            self.on_batch(Batch(charged, sent.minus(charged), calls=1, finished=0))
