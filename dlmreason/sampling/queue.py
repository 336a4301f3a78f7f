"""Who sits where in a pool of fixed width: rows under way first, then the waiting ones in order.

This file decides who takes a place that becomes free, and what stands in one that nobody takes. It makes no pass.
"""

from typing import TYPE_CHECKING

import torch

from dlmreason.canvas import NEVER, join, put, take

if TYPE_CHECKING:
    from dlmreason.sampling.denoise import Rows, Sampler, State


class Queue:
    """Who sits where: rows under way first, then the waiting ones in order. Free places hold a copy of a row,
    finished."""

    def __init__(self, rows: "Rows", pool: "State | None", sampler: "Sampler") -> None:
        self._rows, self._pool, self._sampler = rows, pool, sampler
        self._taken_rows = self._taken_pool = 0
        # Rows are begun a pool's width at a time: for one it takes as long as for many, and rows finish one by one.
        self._begun: State | None = None
        self._taken_begun = 0
        self._free: set[int] = set()
        self.arrived: list[int] = []  # places of those who sat down last
        self.began = 0  # how many of them had been waiting, not under way

    def _next(self, count: int) -> "list[State]":
        """Up to `count` rows to seat, as states."""
        states = []
        if self._pool is not None and self._taken_pool < len(self._pool.index):
            stop = min(self._taken_pool + count, len(self._pool.index))
            states.append(take(self._pool, torch.arange(self._taken_pool, stop, device=self._pool.index.device)))
            count -= stop - self._taken_pool
            self._taken_pool = stop
        self.began = 0
        while count and (begun := self._begin()) is not None:
            stop = min(self._taken_begun + count, len(begun.index))
            states.append(take(begun, torch.arange(self._taken_begun, stop, device=begun.index.device)))
            count -= stop - self._taken_begun
            self.began += stop - self._taken_begun
            self._taken_begun = stop
        return states

    def _begin(self) -> "State | None":
        """Rows that have begun and not all sat down; None where no row is left."""
        if self._begun is None or self._taken_begun == len(self._begun.index):
            stop = min(self._taken_rows + self._sampler.width, len(self._rows.id))
            if stop == self._taken_rows:
                return None
            index = torch.arange(self._taken_rows, stop, device=self._rows.id.device)
            self._begun, self._taken_begun = self._sampler.init(take(self._rows, index)), 0
            self._taken_rows = stop
        return self._begun

    def seats(self, width: int) -> "State | None":
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

    def finished(self, seats: "State", total: int) -> list[int]:
        """Places of rows that have just reached their end."""
        return [place for place in (seats.index >= total).nonzero()[:, 0].tolist() if place not in self._free]

    def reseat(self, seats: "State", finished: list[int]) -> "State | None":
        """Waiting rows take the places of finished ones; None when nobody is under way any more."""
        arrivals = self._next(len(finished))
        filled = sum(len(state.index) for state in arrivals)
        self.arrived = finished[:filled]
        if filled:
            places = torch.tensor(finished[:filled], device=seats.index.device)
            seats = put(seats, places, join(arrivals))
        self._free.update(finished[filled:])
        return seats if len(self._free) < len(seats.index) else None

    def under_way(self, seats: "State") -> "State":
        """The rows that are neither finished nor padding, for a snapshot."""
        places = [place for place in range(len(seats.index)) if place not in self._free]
        return take(seats, torch.tensor(places, dtype=torch.int64, device=seats.index.device))
