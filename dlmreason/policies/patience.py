"""How long to wait for something better before beginning again, restart after restart.

A rule is a sequence of waits. This file decides the sequence; what is counted, and what beginning again means, is the
wrapper's.
"""

from dataclasses import dataclass
from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from dlmreason.canvas import Memory


class Patience(Protocol):
    """A sequence of waits for each row, as a policy is a sequence of moves: the first, and the next from what is
    remembered. A wait is [B] int64, judged answers without a better one, 0 or more."""

    def init(self, like: Tensor) -> tuple[Tensor, Memory]:
        """The first wait of each row of `like` [B] int64."""
        ...

    def __call__(self, memory: Memory) -> tuple[Tensor, Memory]:
        """The wait after the next restart."""
        ...


class _Wait(NamedTuple):
    wait: Tensor  # [B] int64


@dataclass(frozen=True)
class Fixed:
    """The same wait every time. 0 begins again at every judged answer."""

    wait: int

    def __post_init__(self) -> None:
        if self.wait < 0:
            raise ValueError(f"patience={self.wait}: give the number of judged answers to wait, 0 or more")

    def init(self, like: Tensor) -> tuple[Tensor, Memory]:
        wait = torch.full_like(like, self.wait)
        return wait, _Wait(wait)

    def __call__(self, memory: _Wait) -> tuple[Tensor, Memory]:
        return memory.wait, memory


class _Reluctant(NamedTuple):
    u: Tensor  # [B] int64
    v: Tensor  # [B] int64, the current term of the sequence


@dataclass(frozen=True)
class Luby:
    """`unit` times 1, 1, 2, 1, 1, 2, 4, ...: within a logarithm of the best fixed wait, with nothing known
    [Luby, Sinclair, Zuckerman 1993].

    Two numbers a row give each term from the last [Knuth, TAOCP 7.2.2.2, reluctant doubling].
    Deviation: there a term is the length of a run, here the judged answers without a better one, so that a run that
    still gains is never cut.
    """

    unit: int

    def __post_init__(self) -> None:
        if self.unit < 1:
            raise ValueError(f"unit={self.unit}: Luby's waits are multiples of 1 judged answer or more")

    def init(self, like: Tensor) -> tuple[Tensor, Memory]:
        one = torch.ones_like(like)
        return self.unit * one, _Reluctant(one, one)

    def __call__(self, memory: _Reluctant) -> tuple[Tensor, Memory]:
        u, v = memory
        done = (u & -u) == v
        after = _Reluctant(torch.where(done, u + 1, u), torch.where(done, 1, 2 * v))
        return self.unit * after.v, after
