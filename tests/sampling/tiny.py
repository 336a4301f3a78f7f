"""A causal network with opinions, one that writes by script, and one that is watched; small enough for laws."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from dlmreason.compute.flops import causal_exact
from dlmreason.networks.cache import Cache
from dlmreason.networks.shape import Shape
from dlmreason.networks.transformer import Output, Transformer
from dlmreason.sampling.autoregress import generate
from dlmreason.sampling.chains import Chain, Prompt, Work
from dlmreason.sampling.writer import Plan
from tests.nets import opinionated

MARKER, EOS = 8, 9
ANSWER = ((1, 1), (1, 2), (2, 1), (2, 2))
SHAPE = Shape(
    vocabulary_size=11,
    length=72,
    feature_sizes=(3, 3),
    num_layers=2,
    width=32,
    num_heads=4,
    attention="causal",
    quality=True,
)
THOUGHT: dict[str, Any] = {
    "chains": 3,
    "answer_length": len(ANSWER),
    "answer_features": ANSWER,
    "marker_id": MARKER,
    "eos_id": None,
    "thought": True,
    "max_tokens": 30,
    "temperature": 1.0,
    "first_greedy": False,
    "seed": 5,
    "width": 4,
    "prefill_width": 2,
}


def network_of(seed: int = 0, dtype: torch.dtype = torch.float32, scale: float = 3.0, **changes: Any) -> Transformer:
    return opinionated(replace(SHAPE, **changes), dtype, scale, seed)


def prompts_of(count: int, lengths: tuple[int, ...] = (5, 17, 9, 16, 20)) -> list[Prompt]:
    generator = torch.Generator().manual_seed(9)
    prompts = []
    for number in range(count):
        length = lengths[number % len(lengths)]
        tokens = torch.randint(0, 8, (length,), generator=generator).tolist()
        features = torch.randint(0, 3, (length, 2), generator=generator).tolist()
        prompts.append(Prompt(1000 + 7 * number, tokens, features))
    return prompts


class Scripted:
    """A causal network that writes a given text after any prompt, and hands what it was told to a list."""

    def __init__(self, text: list[int], length: int = 72) -> None:
        self.text = text
        self.shape = replace(SHAPE, length=length, quality=False)
        self.told: list[tuple[int, int, tuple[int, ...]]] = []  # position, token, features of row 0

    def cache(self, rows: int, length: int = 0) -> Cache:
        return Cache.empty(self.shape, rows, torch.float32, torch.device("cpu"), length)

    def __call__(
        self, tokens: Tensor, features: Tensor, *, cache: Cache, at: Tensor, read: Tensor | None = None
    ) -> Output:
        if read is not None:
            self.prompt = int(read[0, 0]) + 1
            following = torch.zeros(len(tokens), dtype=torch.int64)
        else:
            self.told.append((int(at[0]), int(tokens[0, 0]), tuple(features[0, 0].tolist())))
            following = at - self.prompt + 1
        script = torch.tensor([*self.text, 0])
        logits = torch.nn.functional.one_hot(script[following.clamp(0, len(self.text))], self.shape.outputs) * 50.0
        return Output(logits[:, None], None, logits[:, None])


def scripted(text: list[int], **changes: Any) -> tuple[Chain, Scripted]:
    network = Scripted(text)
    (chain,) = generate(network, prompts_of(1), **{**THOUGHT, "chains": 1, "temperature": 0.0, "width": 1, **changes})
    return chain, network


class Watched:
    """Counts all that a network was sent, from its arguments alone."""

    def __init__(self, network: Transformer) -> None:
        self.network, self.shape = network, network.shape
        self.sent = Work()
        self.dense = 0  # keys that masked products multiply, hidden ones too
        self.calls = 0

    def cache(self, rows: int, length: int = 0) -> Cache:
        return self.network.cache(rows, length)

    def __call__(
        self, tokens: Tensor, features: Tensor, *, cache: Cache, at: Tensor, read: Tensor | None = None
    ) -> Output:
        rows, length = tokens.shape
        keys = sum(causal_exact(first, length) for first in at.tolist())
        self.calls += 1
        self.dense += rows * length * cache.length
        self.sent = self.sent.plus(Work(rows * length, keys, (tokens if read is None else read).numel()))
        return self.network(tokens, features, cache=cache, at=at, read=read)


# Three symbols, of which 1 is the marker and 2 the end of text; a thought and two symbols of answer within 4 tokens.
FEW = Plan(ANSWER[:2], 2, 1, 2, False, True, 4, 0.0, 0)


def few(seed: int) -> tuple[Transformer, Prompt]:
    return network_of(seed, torch.float64, scale=2.0, vocabulary_size=4, outputs=3), Prompt(
        3, [0, 1, 2], [[1, 0], [0, 2], [1, 1]]
    )


def texts(network: Transformer, prompt: Prompt, plan: Plan) -> Iterator[tuple[tuple[int, ...], float]]:
    """Every text there is and its log-probability, each token from a reading of the whole text."""
    todo: list[tuple[tuple[int, ...], float, int | None]] = [((), 0.0, None if plan.thought else 0)]
    while todo:
        text, log_prob, answer_at = todo.pop()
        features = [
            [0, 0] if answer_at is None or place < answer_at else list(plan.answer_features[place - answer_at])
            for place in range(len(text))
        ]
        with torch.inference_mode():
            said = network(torch.tensor([[*prompt.tokens, *text]]), torch.tensor([[*prompt.features, *features]]))
        for token, value in enumerate(said.logits[0, -1].log_softmax(-1).tolist()):
            longer, at = (*text, token), answer_at
            ended = len(longer) == plan.limit or (at is not None and len(longer) - at == plan.answer_length)
            ended |= token == plan.eos_id and (at is None or plan.ends)
            at = len(longer) if at is None and token == plan.marker_id else at
            if ended:
                yield longer, log_prob + value
            else:
                todo.append((longer, log_prob + value, at))
