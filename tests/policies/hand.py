"""Readings written by hand: a policy is a pure function of what it may see, so it needs no network."""

import re

import torch
from torch import Tensor

from dlmreason.canvas import Ask, Canvas, Clock, Reading, place


def named(value: object) -> str:
    """The id of a test's case: what it is built of, without places in memory, which every worker has its own of."""
    return re.sub(r" at 0x[0-9a-f]+", "", repr(value))


MASK = 3  # three tokens and the mask


def canvas(tokens: list[list[int]], given: tuple[int, ...] = ()) -> Canvas:
    rows = torch.tensor(tokens)
    editable = torch.ones_like(rows, dtype=torch.bool)
    editable[:, list(given)] = False
    return Canvas(rows, editable, (), MASK)


def reading(of: Canvas, chances: list[list[float]] | Tensor, quality: list[float] | None = None) -> Reading:
    """chances: [L, 3] of the three tokens at each position, the same for all rows.  quality: [L]."""
    rows = len(of.tokens)
    logits = torch.as_tensor(chances, dtype=torch.float64).log().expand(rows, -1, -1)
    judged = None if quality is None else torch.tensor(quality, dtype=torch.float64).expand(rows, -1)
    return Reading(Ask(of.tokens, torch.zeros(rows, dtype=torch.float64), ()), logits, judged, ())


def clock(index: int, total: int | None = None, rows: int = 1) -> Clock:
    return Clock(torch.full((rows,), index), total)


class Scripted:
    """Noise that says what it is told to: an order is that of the scores, a coin lands where it is told to."""

    def __init__(self, coins: list[bool] | None = None, drawn: list[int] | None = None) -> None:
        self.coins, self.drawn, self.asked = coins, drawn, list[str]()
        self.chances = torch.empty(0)

    def coin(self, chance: Tensor, stream: str) -> Tensor:
        self.asked.append(stream)
        self.chances = chance
        return torch.tensor(self.coins).expand_as(chance)

    def draw(self, log_probs: Tensor, stream: str) -> Tensor:
        self.asked.append(stream)
        self.chances = log_probs.exp()
        return torch.tensor(self.drawn).expand(log_probs.shape[:-1])

    def rank(self, score: Tensor, stream: str) -> Tensor:
        self.asked.append(stream)
        self.chances = score
        return place(score)

    def first(self, hazard: Tensor, kind: Tensor, since: Tensor, stream: str) -> Tensor:
        raise AssertionError("nobody draws ahead here")

    def gumbel(self, like: Tensor, stream: str) -> Tensor:
        raise AssertionError("nobody draws Gumbel noise here")

    def normal(self, like: Tensor, stream: str) -> Tensor:
        raise AssertionError("nobody draws Gaussian noise here")
