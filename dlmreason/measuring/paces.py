"""How many blocks an answer takes, how long each is, and how many passes it gets.

A pace is a function of the answer's length. This file decides those that are compared; it knows no network.
"""

from collections.abc import Callable
from typing import NamedTuple


class Part(NamedTuple):
    """One block of an answer: a run of the sampler, which begins when the blocks before it are there."""

    length: int  # positions, those that pad a shorter answer included
    passes: int


Pace = Callable[[int], list[Part]]
"""(tokens of the answer, at least 1) -> its blocks in their order."""


def fixed(block: int = 256, passes: int = 12) -> Pace:
    """Whole blocks, whatever the answer: a shorter one is padded, and every block gets all its passes."""
    _check(block, passes)
    return lambda answer: [Part(block, passes)] * -(-answer // block)


def fitted(block: int = 256, passes: int = 12) -> Pace:
    """Blocks as long as the answer has tokens, each with all its passes, but never more passes than tokens."""
    _check(block, passes)
    return lambda answer: [Part(length, min(passes, length)) for length in _lengths(answer, block)]


def in_proportion(block: int = 256, passes: int = 12) -> Pace:
    """Blocks as long as the answer has tokens, each with as many passes a token as a whole block: at least one."""
    _check(block, passes)
    return lambda answer: [Part(length, -(-passes * length // block)) for length in _lengths(answer, block)]


def _lengths(answer: int, block: int) -> list[int]:
    whole, rest = divmod(answer, block)
    return [block] * whole + [rest] * (rest > 0)


def _check(block: int, passes: int) -> None:
    if not 1 <= passes <= block:
        raise ValueError(f"passes={passes} of a block of {block}: give 1 to {block}, for a pass writes a token or more")
