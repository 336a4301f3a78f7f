"""Searches for Countdown: the first solution of a plain depth-first search, and a search that can be read as a thought.

This file decides the order in which steps are tried, and how a search is written down. It knows no prompt and no model.

A state is the numbers still to be used, results last. A step takes two of them and puts back a + b, a * b, the larger
less the smaller, or, where that is exact, the larger over the smaller: with numbers that are never negative nothing is
lost by this order, as a solution with negative numbers becomes one without by taking absolute values. The plain search
tries pairs by their places in the state, (1, 2), (1, 3), ..., the operations in the order + * - /, and is done when one
number is left and this is the target: the search that made the public data [arXiv:2404.03683], so that its solutions
are found again.
"""

from collections.abc import Sequence
from functools import cache
from itertools import combinations
from math import comb, prod
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

SIGNS = "+*-/"
EXACT, SHORT = 2**50, 2**23
"""Up to here numbers and quotients of 64-bit and of 32-bit floats are exact."""

WHOLE = 4
"""Up to so many numbers the ends of the search tree are looked at all at once."""
CHUNK = 512
"""Problems for which this is done together, so that they stay in the cache."""

BACK = "<"
"""Takes the last equation back that is not yet taken back."""

State = tuple[int, ...]
Floats = NDArray[np.floating[Any]]


class Step(NamedTuple):
    """One equation, a sign b = result."""

    a: int
    sign: str
    b: int
    result: int

    def __str__(self) -> str:
        return f"{self.a}{self.sign}{self.b}={self.result}"


@cache
def ends_of(numbers: int) -> int:
    """Ends of the plain search's tree, steps that cannot be made included: 48, 1,152, 46,080 for 3, 4, 5 numbers."""
    return prod(len(SIGNS) * comb(size, 2) for size in range(2, numbers + 1))


def first_solutions(numbers: NDArray[np.int64], targets: NDArray[np.int64]) -> NDArray[np.int64]:
    """[B, n], [B] -> [B]: the place of each first solution among the ends of the plain search, from 0; -1: none.

    Exact for n numbers whose product may be EXACT. Short floats do where they hold all results of n - 2 numbers, and
    every target times a number: a longer result of n - 1 numbers is too large to come back to a target by one number.
    """
    most, size = int(numbers.max(initial=1)), numbers.shape[1]
    short = max(most ** (size - 2), most * int(targets.max(initial=1))) <= SHORT
    kind = np.float32 if short else np.float64
    with np.errstate(divide="ignore", invalid="ignore"):
        return _first(numbers.astype(kind), targets.astype(kind))


def _first(numbers: Floats, targets: Floats) -> NDArray[np.int64]:
    rows, size = numbers.shape
    places = np.full(rows, -1, np.int64)
    if size <= WHOLE:
        for start in range(0, rows, CHUNK):
            part = slice(start, start + CHUNK)
            right = _ends(list(numbers[part].T.copy()), targets[part])
            solved = np.flatnonzero(right.any(axis=0))
            places[start + solved] = right[:, solved].argmax(axis=0)
        return places
    pairs = list(combinations(range(size), 2))
    others = np.array([[place for place in range(size) if place not in pair] for pair in pairs])
    results = np.stack([result for i, j in pairs for result in _combined(numbers[:, i], numbers[:, j])], axis=-1)
    open, choice = np.arange(rows), 0
    while len(open) and choice < results.shape[1]:  # first steps in order, as many at once as make a chunk
        choices = np.arange(choice, min(choice + max(1, CHUNK // len(open)), results.shape[1]))
        made = results[open[:, None], choices]
        rest = numbers[open[:, None, None], others[choices // len(SIGNS)]]
        states, able = np.concatenate([rest, made[..., None]], axis=-1), ~np.isnan(made)
        found = np.full(made.shape, -1, np.int64)
        found[able] = _first(states[able], np.broadcast_to(targets[open, None], made.shape)[able])
        first = (found >= 0).argmax(axis=1)
        place = found[np.arange(len(open)), first]
        places[open] = np.where(place < 0, -1, choices[first] * ends_of(size - 1) + place)
        open, choice = open[place < 0], choice + len(choices)
    return places


def _ends(numbers: list[Floats], targets: Floats) -> NDArray[np.bool_]:
    """n times [..., B], [B] -> [..., ends, B]: which ends of the plain search are solutions."""
    if len(numbers) == 2:
        a, b = np.broadcast_arrays(*numbers)
        right = np.empty((*a.shape[:-1], len(SIGNS), a.shape[-1]), np.bool_)
        larger, smaller = np.maximum(a, b), np.minimum(a, b)
        np.equal(a + b, targets, out=right[..., 0, :])
        np.equal(a * b, targets, out=right[..., 1, :])
        np.equal(larger - smaller, targets, out=right[..., 2, :])
        np.equal(larger, smaller * targets, out=right[..., 3, :])
        right[..., 3, :] &= smaller > 0
        return right
    parts = []
    for i, j in combinations(range(len(numbers)), 2):
        results = np.stack(_combined(numbers[i], numbers[j]), axis=-2)
        others = [number[..., None, :] for place, number in enumerate(numbers) if place not in (i, j)]
        deeper = _ends([*others, results], targets)
        parts.append(deeper.reshape(*deeper.shape[:-3], -1, deeper.shape[-1]))
    return np.concatenate(parts, axis=-2)


def _combined(a: Floats, b: Floats) -> tuple[Floats, Floats, Floats, Floats]:
    """The results in the order of SIGNS; NaN for no result, or of no numbers."""
    larger, smaller = np.maximum(a, b), np.minimum(a, b)
    quotient = larger / smaller
    quotient[(smaller == 0) | (quotient != np.floor(quotient))] = np.nan
    return a + b, a * b, larger - smaller, quotient


def steps_at(state: State, place: int) -> list[Step]:
    """The steps to one end of the plain search's tree."""
    steps = []
    while len(state) > 1:
        choice, place = divmod(place, ends_of(len(state) - 1))
        pair, sign = divmod(choice, len(SIGNS))
        i, j = _PAIRS[len(state)][pair]
        a, b = state[i], state[j]
        if sign == 0:
            step = Step(a, "+", b, a + b)
        elif sign == 1:
            step = Step(a, "*", b, a * b)
        else:
            larger, smaller = (a, b) if a > b else (b, a)
            step = Step(larger, "-", smaller, larger - smaller)
            if sign == 3:
                step = Step(larger, "/", smaller, larger // smaller)
        steps.append(step)
        state = (*state[:i], *state[i + 1 : j], *state[j + 1 :], step.result)
    return steps


_PAIRS = [list(combinations(range(size), 2)) for size in range(10)]


def solution(numbers: State, target: int) -> tuple[int, list[Step]]:
    """The place of the first solution with all numbers, and its steps; -1 and no steps where there is none."""
    if len(numbers) <= WHOLE:
        place = _first_end(numbers, target)
    else:
        place = int(first_solutions(np.array([numbers]), np.array([target]))[0])
    return place, steps_at(numbers, place) if place >= 0 else []


def _first_end(state: State, target: int) -> int:
    """As `first_solutions`, for one problem: ten times as fast as arrays of one."""
    if len(state) == 2:
        smaller, larger = sorted(state)
        right = (smaller + larger, smaller * larger, larger - smaller, larger / smaller if smaller else -1)
        return right.index(target) if target in right else -1
    for pair, (i, j) in enumerate(_PAIRS[len(state)]):
        smaller, larger = sorted((state[i], state[j]))
        results = [smaller + larger, smaller * larger, larger - smaller]
        if smaller and not larger % smaller:
            results.append(larger // smaller)
        left = (*state[:i], *state[i + 1 : j], *state[j + 1 :])
        for sign, result in enumerate(results):
            place = _first_end((*left, result), target)
            if place >= 0:
                return (pair * len(SIGNS) + sign) * ends_of(len(state) - 1) + place
    return -1


def after(state: State, step: Step) -> State:
    """The numbers left. Raises: ValueError where the step's are not there."""
    left = list(state)
    left.remove(step.a)
    left.remove(step.b)
    return (*left, step.result)


def searched(
    numbers: State, target: int, known: Sequence[Step], *, breadth: int, highest: int, all_numbers: bool
) -> tuple[str, list[Step]]:
    """A depth-first search as it reads, and the steps that it ends in: those not taken back.

    From each state the `breadth` most promising steps are tried, best first: those after which the numbers are nearest
    to the target in sum [the heuristic of arXiv:2404.03683], the earlier ones of the plain search where that is equal,
    none with a result above `highest`, and one for each set of numbers left, or two where only one result is the
    target. On the way of `known`, a solution, its step stands in place of the least promising where it is not among
    them. The first solution met ends the search, whether known or not; without all_numbers it may leave numbers over.
    """
    text: list[str] = []
    path: list[Step] = []

    def tried(state: State, way: Sequence[Step]) -> bool:
        """way: what is left of `known`, or nothing off its way."""
        for step, left, right in _promising(state, target, breadth, highest, way[0] if way else None):
            text.append(f",{step}" if text and text[-1] != BACK else f"{step}")
            path.append(step)
            if step.result == target and (len(left) == 1 or not all_numbers):
                return True
            if len(left) > 1 and tried(left, way[1:] if right else ()):
                return True
            text.append(BACK)
            path.pop()
        return False

    tried(numbers, known)
    return "".join(text), path


def _promising(
    state: State, target: int, breadth: int, highest: int, known: Step | None
) -> list[tuple[Step, State, bool]]:
    """Steps to try, best first; the numbers that each leaves, and whether it comes to the same as `known`."""
    ranked: list[tuple[int, int, int, str, int, int]] = []  # merit, place, and a step
    for a, b in combinations(state, 2):
        larger, smaller = (a, b) if a > b else (b, a)
        steps = [(a, "+", b, a + b), (a, "*", b, a * b), (larger, "-", smaller, larger - smaller)]
        if smaller and not larger % smaller:
            steps.append((larger, "/", smaller, larger // smaller))
        away = abs(a - target) + abs(b - target)
        for step in steps:
            if step[3] <= highest:
                ranked.append((abs(step[3] - target) - away, len(ranked), *step))
    ranked.sort()
    kept: dict[tuple[bool, State], tuple[Step, State]] = {}

    def keep(step: Step) -> tuple[bool, State]:
        left = after(state, step)
        outcome = step.result == target, tuple(sorted(left))
        kept.setdefault(outcome, (step, left))
        return outcome

    for _, _, a, sign, b, result in ranked:
        keep(Step(a, sign, b, result))
        if len(kept) == breadth:
            break
    wanted = keep(known) if known is not None else None
    if len(kept) > breadth:
        del kept[[*kept][breadth - 1]]
    return [(*each, outcome == wanted) for outcome, each in kept.items()]


def longest_answer(widths: Sequence[int]) -> int:
    """Most characters of n - 1 equations; widths[k]: most digits of a number made of k of the n numbers, widths[0] = 0.

    The best of all ways to split k numbers between the two sides of an equation.
    """
    most = [0, 0]
    for k in range(2, len(widths)):
        most.append(max(most[i] + most[k - i] + widths[i] + widths[k - i] + widths[k] + 2 for i in range(1, k)))
    return most[-1] + len(widths) - 3


def longest_left(widths: Sequence[int], count: int) -> int:
    """Most characters of `count` numbers made of all n, with commas: the best of all ways to share the n out."""
    most = [0, *([-len(widths)] * (len(widths) - 1))]
    for _ in range(count):
        most = [max((most[k - i] + widths[i] for i in range(1, k + 1)), default=-len(widths)) for k in range(len(most))]
    return most[-1] + count - 1


def longest_search(widths: Sequence[int], breadth: int) -> int:
    """Most characters of a search: all states within the breadth, each step at its longest and taken back."""
    total = 0
    for depth in range(1, len(widths) - 1):
        parts = [(i, k - i) for k in range(2, depth + 2) for i in range(1, k)]
        equation = max(widths[i] + widths[j] + widths[i + j] + 2 for i, j in parts)
        commas = breadth ** (depth - 1) if depth > 1 else 0  # before the first step of each state but the first
        total += breadth**depth * (equation + 1) + commas
    return total
