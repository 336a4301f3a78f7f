"""Seconds of works that take turns, so that a busy minute hits all of them."""

import statistics
import time
from collections.abc import Callable, Sequence
from typing import Any

REPEATS = 7


def medians(*works: Callable[[], Any]) -> list[float]:
    """Median seconds of each."""
    return [statistics.median(seconds) for seconds in timed(works)]


def fastest(*works: Callable[[], Any], repeats: int = REPEATS) -> list[float]:
    """Least seconds of each."""
    return [min(seconds) for seconds in timed(works, repeats)]


def timed(works: Sequence[Callable[[], Any]], repeats: int = REPEATS) -> list[list[float]]:
    """Seconds of each, taken in turns, so that a busy minute hits all of them."""
    for work in works:
        work()
    taken: list[list[float]] = [[] for _ in works]
    for _ in range(repeats):
        for seconds, work in zip(taken, works, strict=True):
            started = time.perf_counter()
            work()
            seconds.append(time.perf_counter() - started)
    return taken
