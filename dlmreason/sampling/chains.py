"""What goes into autoregressive decoding and what comes out: prompts, chains, the work they were. Plain types."""

from collections.abc import Sequence
from typing import NamedTuple


class Prompt(NamedTuple):
    """What a chain continues."""

    id: int  # the key of its noise, a signed 64-bit word
    tokens: Sequence[int]  # the last one comes just before the first that is written
    features: Sequence[Sequence[int]]  # as many rows as tokens, F ids each


class Chain(NamedTuple):
    """One continuation of one prompt. Log-probabilities are the network's own, in nats, whatever the temperature."""

    prompt: int  # its place among the prompts that were given
    number: int  # 0 .. chains - 1
    tokens: tuple[int, ...]  # all that was written: the thought and the marker, if any, then the answer
    answer: tuple[int, ...]  # its last tokens; too few where it was not finished
    log_prob: float  # sum over `tokens`
    answer_log_prob: float  # sum over `answer`
    quality: float | None  # mean log quality of the answer's tokens; None unfinished, or without the head
    finished: bool

    @property
    def generated(self) -> int:
        """Tokens written."""
        return len(self.tokens)


class Work(NamedTuple):
    """Positions that went through the network: the arguments of `compute.flops.forward_flops`."""

    queries: int = 0  # tokens read
    attended: int = 0  # keys that they attended to, themselves and all before them
    outputs: int = 0  # positions with heads

    def plus(self, other: "Work") -> "Work":
        return Work(*(mine + its for mine, its in zip(self, other, strict=True)))

    def minus(self, other: "Work") -> "Work":
        return Work(*(mine - its for mine, its in zip(self, other, strict=True)))


class Batch(NamedTuple):
    """What one batch of prompts, or one chunk of tokens, was. Charged + wasted is all that the network was sent."""

    charged: Work
    wasted: Work  # padding, and rows that were done
    calls: int
    finished: int  # chains that ended
