"""Which of a prompt's chains is believed: by vote, by probability, by learned quality, by place, or by a judge.

This file decides a choice for every n at once: the first n of N chains are what n chains alone would have been. It
knows no task and judges no answer.
"""

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

from dlmreason.sampling.chains import Chain


class Choice(NamedTuple):
    """The chain believed among the first n, and how good the rule thinks it is; higher is better."""

    chosen: int  # which chain, in 0..n-1
    score: float


def by_vote(chains: Sequence[Chain]) -> list[Choice]:
    """For each n, the answer that most of the first n chains gave; ties by summed log-probability, then by the earlier.

    The score is the answer's share of the n chains [self-consistency, arXiv:2203.11171]. Unfinished chains do not vote.
    Raises: ValueError without chains.
    """
    _some(chains, "a vote")
    first: dict[tuple[int, ...], int] = {}
    votes: dict[tuple[int, ...], int] = {}
    weight: dict[tuple[int, ...], float] = {}
    choices = []
    for index, chain in enumerate(chains):
        if chain.finished:
            answer = chain.answer
            first.setdefault(answer, index)
            votes[answer] = votes.get(answer, 0) + 1
            weight[answer] = weight.get(answer, 0.0) + chain.log_prob
        if not votes:
            choices.append(Choice(0, -math.inf))
            continue
        won = max(votes, key=lambda answer: (votes[answer], weight[answer], -first[answer]))
        choices.append(Choice(first[won], votes[won] / (index + 1)))
    return choices


def by_mean_log_prob(chains: Sequence[Chain]) -> list[Choice]:
    """For each n, the finished chain of the first n with the highest log-probability per token it wrote.

    Raises: ValueError without chains.
    """
    return _best(chains, lambda chain: chain.log_prob / chain.generated)


def by_quality(chains: Sequence[Chain]) -> list[Choice]:
    """For each n, the finished chain of the first n with the highest mean log quality of its answer.

    Raises: ValueError without chains, or where a finished chain was not judged.
    """
    _judged(chains)
    return _best(chains, lambda chain: -math.inf if chain.quality is None else chain.quality)


def by_weighted_vote(chains: Sequence[Chain]) -> list[Choice]:
    """For each n, the answer for which the first n chains speak most, each as much as it is likely to be right
    [arXiv:2206.02336, section 2.2]; ties by the earlier. A rare answer that the judge overrates wins no vote.

    A chain's chance is the product of the chances of its answer's tokens. The score is the answer's share of all that
    was said.  Raises: ValueError without chains, or where a finished chain was not judged.
    """
    _some(chains, "a vote")
    _judged(chains)
    first: dict[tuple[int, ...], int] = {}
    spoken: dict[tuple[int, ...], float] = {}
    choices = []
    for index, chain in enumerate(chains):
        if chain.finished and chain.quality is not None:
            first.setdefault(chain.answer, index)
            chance = math.exp(chain.quality * len(chain.answer))
            spoken[chain.answer] = spoken.get(chain.answer, 0.0) + chance
        if not spoken:
            choices.append(Choice(0, -math.inf))
            continue
        won = max(spoken, key=lambda answer: (spoken[answer], -first[answer]))
        everything = math.fsum(spoken.values())
        choices.append(Choice(first[won], spoken[won] / everything if everything else 0.0))
    return choices


def by_first(chains: Sequence[Chain]) -> list[Choice]:
    """For each n, the first finished chain of the first n: the best of a search that hands its chains best first.

    The score is its log-probability.  Raises: ValueError without chains.
    """
    return [_scored(chains, choice) for choice in _best(chains, lambda chain: 0.0)]


def by_last(chains: Sequence[Chain]) -> list[Choice]:
    """For each n, the last finished chain of the first n: where a walk from chain to chain has got to.

    The score is its log-probability.  Raises: ValueError without chains.
    """
    _some(chains, "a choice")
    last, choices = Choice(0, -math.inf), []
    for index, chain in enumerate(chains):
        last = _scored(chains, Choice(index, 0.0)) if chain.finished else last
        choices.append(last)
    return choices


def by_judge(chains: Sequence[Chain], right: Callable[[Chain], bool]) -> list[Choice]:
    """For each n, a finished chain of the first n that `right` accepts, the earliest; else the first finished one.

    Right as often as any chain is: coverage, an upper bound of every other rule where `right` is the task's own judge.
    The score is 1 or 0.  Raises: ValueError without chains.
    """
    return _best(chains, lambda chain: float(right(chain)))


def _judged(chains: Sequence[Chain]) -> None:
    for index, chain in enumerate(chains):
        if chain.finished and chain.quality is None:
            raise ValueError(
                f"chain {index} was not judged: choosing by quality needs a network with network.quality=true"
            )


def _scored(chains: Sequence[Chain], choice: Choice) -> Choice:
    chain = chains[choice.chosen]
    return choice._replace(score=chain.log_prob if chain.finished else -math.inf)


def _best(chains: Sequence[Chain], score: Callable[[Chain], float]) -> list[Choice]:
    """A running maximum over finished chains, the earlier one winning a tie; the first chain until one is finished."""
    _some(chains, "a choice")
    best = Choice(0, -math.inf)
    settled = False
    choices = []
    for index, chain in enumerate(chains):
        if chain.finished and (not settled or score(chain) > best.score):
            best, settled = Choice(index, score(chain)), True
        choices.append(best)
    return choices


def _some(chains: Sequence[Chain], what: str) -> None:
    if not chains:
        raise ValueError(f"{what} over no chains: the budget buys none, raise it or leave this arm out at this rung")
