"""Noise that takes every branch: the exact law of a policy, its memory and all.

`Enumerate` stands where `Counter` stands. Each row replays a script of choices; where the script ends it takes the
first option and notes how many there were, and `branches` queues the ones not taken. So the law of an unchanged policy
is found by running it, with no patching. Useful for laws over a few positions and tokens; about a thousand states are
practical.
"""

import math
from collections.abc import Callable, Iterator
from typing import NamedTuple, TypeVar

import torch
from torch import Tensor

from dlmreason.canvas import Hazard, Tree, take

Value = TypeVar("Value")


class Branch(NamedTuple):
    """One outcome of one row."""

    parent: int  # the row it came from
    chance: float
    row: object  # the pytree that came out, one row long


class Enumerate:
    """The Noise protocol over scripted choices. `gumbel` and `normal` are refused: continuous noise has no branches."""

    def __init__(self, scripts: list[list[int]]) -> None:
        self.scripts = scripts
        self.taken: list[list[int]] = [[] for _ in scripts]
        self.widths: list[list[int]] = [[] for _ in scripts]
        self.chance = [1.0] * len(scripts)

    def _pick(self, row: int, options: list[tuple[float, Value]]) -> Value:
        """Follow the row's script among the options of positive chance; a choice of one is no choice."""
        possible = [(chance, value) for chance, value in options if chance > 0]
        if len(possible) == 1:
            return possible[0][1]
        depth = len(self.taken[row])
        chosen = self.scripts[row][depth] if depth < len(self.scripts[row]) else 0
        self.taken[row].append(chosen)
        self.widths[row].append(len(possible))
        self.chance[row] *= possible[chosen][0] / sum(chance for chance, _ in possible)
        return possible[chosen][1]

    def coin(self, chance: Tensor, stream: str) -> Tensor:
        flat = chance.double().flatten(1).tolist()
        picks = [[self._pick(row, [(p, True), (1 - p, False)]) for p in places] for row, places in enumerate(flat)]
        return torch.tensor(picks, dtype=torch.bool).reshape(chance.shape)

    def draw(self, log_probs: Tensor, stream: str) -> Tensor:
        shape = log_probs.shape[:-1]
        flat = log_probs.double().exp().reshape(shape[0], -1, log_probs.shape[-1]).tolist()
        picks = [
            [self._pick(row, [(p, token) for token, p in enumerate(probs)]) for probs in places]
            for row, places in enumerate(flat)
        ]
        return torch.tensor(picks, dtype=torch.int64).reshape(shape)

    def rank(self, score: Tensor, stream: str) -> Tensor:
        """Plackett-Luce: the next place goes to a position with a chance proportional to exp(score)."""
        places = torch.empty(score.shape, dtype=torch.int64)
        for row, scores in enumerate(score.double().tolist()):
            left = [position for position, value in enumerate(scores) if value > -math.inf]
            last = [position for position, value in enumerate(scores) if value == -math.inf]
            order: list[int] = []
            while left:
                top = max(scores[position] for position in left)
                weights = [(math.exp(scores[position] - top), position) for position in left]
                order.append(self._pick(row, weights))
                left.remove(order[-1])
            for rank, position in enumerate(order + last):
                places[row, position] = rank
        return places

    def first(self, hazard: Hazard, kind: Tensor, since: Tensor, stream: str) -> Tensor:
        tables, passes = hazard.chance.tolist(), hazard.chance.shape[-1]
        due = torch.full_like(since, passes)
        for row in range(since.shape[0]):
            for position in range(since.shape[1]):
                number = int(kind[row, position])
                if number >= 0:
                    options = _event_law(tables[number], int(since[row, position]))
                    due[row, position] = self._pick(row, options)
        return due

    def gumbel(self, like: Tensor, stream: str) -> Tensor:
        return self._refuse(stream)

    def normal(self, like: Tensor, stream: str) -> Tensor:
        return self._refuse(stream)

    def _refuse(self, stream: str) -> Tensor:
        raise TypeError(
            f"stream {stream!r} draws continuous noise, which has no branches to enumerate: use coin, draw or rank"
        )


def _event_law(hazard: list[float], since: int) -> list[tuple[float, int]]:
    """(chance, pass) of the first event at or after pass `since`; the last entry is "never"."""
    waiting, law = 1.0, []
    for index in range(since, len(hazard)):
        law.append((waiting * hazard[index], index))
        waiting *= 1 - hazard[index]
    return [*law, (waiting, len(hazard))]


def branches(walk: Callable[[Tree, Enumerate], Tree], rows: Tree, count: int) -> Iterator[Branch]:
    """Every outcome of every row, each once. `walk(rows, noise)` is the unchanged code under test; `count` its rows."""
    jobs: list[tuple[int, list[int]]] = [(row, []) for row in range(count)]
    while jobs:
        noise = Enumerate([script for _, script in jobs])
        out = walk(take(rows, torch.tensor([row for row, _ in jobs])), noise)
        queued = []
        for job, (row, script) in enumerate(jobs):
            yield Branch(row, noise.chance[job], take(out, torch.tensor([job])))
            taken, widths = noise.taken[job], noise.widths[job]
            for depth in range(len(script), len(taken)):
                queued += [(row, [*taken[:depth], other]) for other in range(1, widths[depth])]
        jobs = queued
