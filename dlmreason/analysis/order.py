"""In which order answers were written: which of two tokens came first, how many a pass, whether both ends came at once.

This file decides what is quoted of the passes that wrote an answer's tokens. An order is told by all pairs of
positions, so that ties, tokens of one pass, stand beside it; left minus right is Kendall's tau-a of position and pass.
Puzzles are what is drawn at random, several seeds of one are one draw. It knows no policy.
"""

from collections.abc import Iterable, Sequence
from functools import cache
from typing import Any, NamedTuple

import numpy as np

from dlmreason.analysis.statistics import Interval, bootstrap, wilson
from dlmreason.analysis.writings import Writing


class Pairs(NamedTuple):
    """Of all pairs of an answer's tokens: which one was written first."""

    left: int
    same: int  # both in one pass
    right: int


class Ends(NamedTuple):
    """An answer's first and last quarter, of as many tokens each."""

    together: bool  # some pass wrote a token of either
    both_right: bool  # and in some pass a right token of either
    finished: bool  # one pass wrote the last token of either


class Share(NamedTuple):
    value: float
    low: float
    high: float


class Order(NamedTuple):
    """How an arm wrote at a budget; shares of pairs and of answers."""

    arm: str
    rung: int
    n: int
    passes: float  # made, mean
    per_pass: float  # tokens written, of all over the passes made in all
    left: float
    same: float
    right: float
    lean: Share  # left - right
    together: Share
    both_right: Share
    finished: Share
    answers: Share  # all tokens right


def pairs(commit: Sequence[int]) -> Pairs:
    """Of the passes in which tokens were written, left to right."""
    passes = np.asarray(commit)
    first, second = _pairs_of(len(passes))
    sign = np.sign(passes[second] - passes[first])
    return Pairs(int((sign > 0).sum()), int((sign == 0).sum()), int((sign < 0).sum()))


@cache
def _pairs_of(n: int) -> tuple[Any, Any]:
    """The places of the left and of the right one of each pair of `n`."""
    left, right = np.triu_indices(n, 1)
    return left, right


def ends(commit: Sequence[int], right: Sequence[bool]) -> Ends:
    """Of an answer of at least 2 tokens, all written by a pass; a quarter has at least one token.

    Raises: ValueError for fewer tokens, or one that no pass wrote.
    """
    if len(commit) < 2 or min(commit) < 1:
        raise ValueError(f"commit={list(commit)[:8]}: an answer of 2 tokens or more, each written by a pass, has ends")
    size = max(1, len(commit) // 4)
    told = list(zip(commit, right, strict=True))
    head, tail = told[:size], told[-size:]
    of = [({at for at, _ in part}, {at for at, good in part if good}) for part in (head, tail)]
    (head_all, head_right), (tail_all, tail_right) = of
    return Ends(bool(head_all & tail_all), bool(head_right & tail_right), max(head_all) == max(tail_all))


def orders(writings: Iterable[Writing]) -> list[Order]:
    """By arm and budget, in the order of the lines."""
    found: dict[tuple[str, int], list[Writing]] = {}
    for each in writings:
        found.setdefault((each.arm, each.rung), []).append(each)
    return [_order(arm, rung, own) for (arm, rung), own in found.items()]


def autoregressive(writings: Iterable[Writing]) -> list[Writing]:
    """The same answers as an autoregressive model writes them: one token a pass, left to right."""
    seen = {(each.example, each.seed): len(each.commit) for each in writings}
    longest = max(seen.values(), default=0)
    return [
        Writing("autoregressive", example, seed, longest, n, list(range(1, n + 1)), [True] * n, "")
        for (example, seed), n in seen.items()
    ]


def profile(writings: Iterable[Writing], parts: int = 8) -> list[float]:
    """[parts]: the mean pass that wrote a token, as a share of the passes made, over equal parts of the answer, each of
    a token or more."""
    sums, counts = np.zeros(parts), np.zeros(parts)
    for each in writings:
        n = len(each.commit)
        part = np.arange(n) * parts // n
        np.add.at(sums, part, np.asarray(each.commit) / each.passes)
        np.add.at(counts, part, 1)
    return [float(value) for value in sums / counts]


def _order(arm: str, rung: int, own: Sequence[Writing]) -> Order:
    told = [(pairs(each.commit), ends(each.commit, each.right)) for each in own]
    total = Pairs(*(sum(column) for column in zip(*(pair for pair, _ in told), strict=True)))
    count, tokens, passes = sum(total), sum(len(each.commit) for each in own), sum(each.passes for each in own)
    puzzles: dict[str, list[int]] = {}
    for each, (pair, _) in zip(own, told, strict=True):
        row = puzzles.setdefault(each.example, [0, 0])
        row[0] += pair.left - pair.right
        row[1] += sum(pair)
    columns = np.array(list(puzzles.values()), dtype=np.int64)
    drawn = bootstrap(columns, lambda sums: sums[:, 0] / np.maximum(sums[:, 1], 1), seed=0)

    def share(hits: Iterable[bool]) -> Share:
        value = sum(hits) / len(own)
        return Share(value, *wilson(value * len(puzzles), len(puzzles)))

    return Order(
        arm, rung, len(own), passes / len(own), tokens / passes,
        total.left / count, total.same / count, total.right / count,
        _share((total.left - total.right) / count, drawn),
        share(each.together for _, each in told), share(each.both_right for _, each in told),
        share(each.finished for _, each in told), share(all(each.right) for each in own),
    )  # fmt: skip


def _share(value: float, interval: Interval) -> Share:
    return Share(value, interval.low, interval.high)
