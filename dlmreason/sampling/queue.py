"""Who sits where in a pool of fixed width: rows under way first, then the waiting ones in order.

This file decides who takes a place that becomes free, and what stands in one that nobody takes. It makes no pass.
"""

from collections.abc import Callable

import torch

from dlmreason.canvas import NEVER, join, put, take
from dlmreason.sampling.state import Rows, State


class Queue:
    """Who sits where: rows under way first, then the waiting ones in order. Free places hold a copy of a row,
    finished.

    begin: the states of rows that have made no pass.  at_once: how many of them begin together.
    """

    def __init__(self, rows: Rows, pool: State | None, begin: Callable[[Rows], State], at_once: int) -> None:
        self._rows, self._begin, self._at_once = rows, begin, at_once
        self._ready, self._taken = pool, 0  # who sits down next, and how many of them have
        self._begun = 0  # of `rows`
        self._free: set[int] = set()
        self.arrived: list[int] = []  # places of those who sat down last
        self.began = 0  # how many of them had been waiting, not under way

    def _next(self, count: int) -> list[State]:
        """Up to `count` rows to seat, as states."""
        states: list[State] = []
        self.began = 0
        while count and (ready := self._waiting()) is not None:
            stop = min(self._taken + count, len(ready.index))
            states.append(take(ready, torch.arange(self._taken, stop, device=ready.index.device)))
            self.began += stop - self._taken if self._begun else 0
            count -= stop - self._taken
            self._taken = stop
        return states

    def _waiting(self) -> State | None:
        """Rows of which not all sit; None where nobody is left."""
        if self._ready is None or self._taken == len(self._ready.index):
            # Many begin at a time: for one row it takes as long as for many, and they finish one by one.
            stop = min(self._begun + self._at_once, len(self._rows.id))
            if stop == self._begun:
                return None
            index = torch.arange(self._begun, stop, device=self._rows.id.device)
            self._ready, self._taken = self._begin(take(self._rows, index)), 0
            self._begun = stop
        return self._ready

    def seats(self, width: int) -> State | None:
        """The first pool, padded to `width`; None where there is nobody."""
        states = self._next(width)
        if not states:
            return None
        seated = join(states)
        count = len(seated.index)
        self.arrived = list(range(count))
        if count == width:
            return seated
        padding = take(seated, torch.zeros(width - count, dtype=torch.int64, device=seated.index.device))
        self._free = set(range(count, width))
        return join([seated, padding._replace(index=torch.full_like(padding.index, NEVER))])

    def finished(self, seats: State, total: int) -> list[int]:
        """Places of rows that have just reached their end."""
        return [place for place in (seats.index >= total).nonzero()[:, 0].tolist() if place not in self._free]

    def reseat(self, seats: State, finished: list[int]) -> State | None:
        """Waiting rows take the places of finished ones; None when nobody is under way any more."""
        arrivals = self._next(len(finished))
        filled = sum(len(state.index) for state in arrivals)
        self.arrived = finished[:filled]
        if filled:
            places = torch.tensor(finished[:filled], device=seats.index.device)
            seats = put(seats, places, join(arrivals))
        self._free.update(finished[filled:])
        return seats if len(self._free) < len(seats.index) else None

    def under_way(self, seats: State) -> State:
        """The rows that are neither finished nor padding, for a snapshot."""
        places = [place for place in range(len(seats.index)) if place not in self._free]
        return take(seats, torch.tensor(places, dtype=torch.int64, device=seats.index.device))
