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
        stop = min(self._taken_rows + count, len(self._rows.id))
        if stop > self._taken_rows:
            index = torch.arange(self._taken_rows, stop, device=self._rows.id.device)
            states.append(self._sampler.init(take(self._rows, index)))
        self.began, self._taken_rows = stop - self._taken_rows, stop
        return states

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
