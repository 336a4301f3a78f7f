"""Who lives where: what clues mean, a search that solves them step by step, and clues none of which can go.

This file decides how a person would solve a Zebra puzzle, what the search writes down of it, and how clues are found
for a known grid. It knows no text but the words of the trace.

Value v is number v % houses of category v // houses, and a grid is the house of every value, all counted from 0. The
search goes through the clues in order, again and again: a clue takes from a value the houses that no house left to the
other value goes with; then, in each category, a house that one value has is taken from the others, and a house that
only one value has left is its. Where nothing changes any more a house is tried, for the value with the fewest houses
left, of these the one in most clues; when a contradiction shows, the value loses that house.
"""

import itertools
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

from dlmreason.tasks.example import PuzzleError

TRY, DEAD_END = "?", "x"

HOLDS: Mapping[str, Callable[[int, int], bool]] = {
    "same": lambda first, second: first == second,
    "apart": lambda first, second: first != second,
    "next": lambda first, second: abs(first - second) == 1,
    "just_left": lambda first, second: first + 1 == second,
    "left": lambda first, second: first < second,
}
"""What a clue says of the houses of its two values."""

KINDS = ("at", *HOLDS)
ACROSS = ("same", "apart")
"""Kinds that say something only of values of two categories."""
SYMMETRIC = ("same", "apart", "next")


class Clue(NamedTuple):
    kind: str
    first: int  # a value
    second: int  # a value; for `at` a house

    def holds(self, grid: Sequence[int]) -> bool:
        if self.kind == "at":
            return grid[self.first] == self.second
        return HOLDS[self.kind](grid[self.first], grid[self.second])


class Street:
    """The solver for one size; `words[v][1 << h]` is what the trace says when value v is found to be in house h."""

    def __init__(self, houses: int, categories: int, words: Sequence[Mapping[int, str]]) -> None:
        self.houses, self.values, self.words = houses, houses * categories, words
        self._categories = [range(first, first + houses) for first in range(0, self.values, houses)]
        self._excluded = {
            kind: (excluded(houses, holds), excluded(houses, swapped(holds))) for kind, holds in HOLDS.items()
        }

    def solutions(self, clues: Sequence[Clue], trace: list[str], most_tries: int | None = None) -> Iterator[list[int]]:
        """Every grid that the clues allow, once; what the search does goes to the end of `trace`.

        Raises: PuzzleError after `most_tries` tries.
        """
        left = [(1 << self.houses) - 1] * self.values  # bits of the houses that a value may still have
        times = [0] * self.values
        pairs = []
        for kind, first, second in clues:
            times[first] += 1
            if kind == "at":
                left[first] &= 1 << second
                trace.append(self.words[first][1 << second])
            else:
                times[second] += 1
                pairs.append((*self._excluded[kind], first, second))
        preferred = sorted(range(self.values), key=lambda value: -times[value])
        tries: list[tuple[list[int], int, int]] = []
        tried = 0
        while True:
            if all(left) and self._propagate(left, pairs, trace):
                open_values = [value for value in preferred if left[value] & (left[value] - 1)]
                if open_values:
                    if tried == most_tries:
                        raise PuzzleError(f"too hard: {tried} tries do not tell which grids satisfy the clues")
                    tried += 1
                    value = min(open_values, key=lambda value: left[value].bit_count())
                    house = left[value] & -left[value]
                    tries.append((left.copy(), value, house))
                    trace += TRY, self.words[value][house]
                    left[value] = house
                    continue
                yield [bits.bit_length() - 1 for bits in left]
            else:
                trace.append(DEAD_END)
            if not tries:
                return
            left, value, house = tries.pop()
            left[value] &= ~house
            if word := self.words[value].get(left[value]):
                trace.append(word)

    def _propagate(
        self, left: list[int], pairs: Sequence[tuple[list[int], list[int], int, int]], trace: list[str]
    ) -> bool:
        """Takes from `left` until nothing follows any more; False where a value or a house has nothing left."""
        words, take, every = self.words, self._take, (1 << self.houses) - 1
        before: list[int] = []
        while before != left:
            before = left.copy()
            for of_first, of_second, first, second in pairs:
                gone = left[first] & of_first[left[second]]
                if gone and not take(left, first, gone, trace):
                    return False
                gone = left[second] & of_second[left[first]]
                if gone and not take(left, second, gone, trace):
                    return False
            for category in self._categories:
                taken = once = twice = 0
                for value in category:
                    if left[value] in words[value]:
                        if taken & left[value]:
                            return False
                        taken |= left[value]
                if taken == every:
                    continue
                for value in category:
                    bits = left[value]
                    if bits & taken and bits not in words[value]:
                        if not take(left, value, bits & taken, trace):
                            return False
                        bits = left[value]
                    twice |= once & bits
                    once |= bits
                if once != every:
                    return False
                only = once & ~twice & ~taken
                for value in category if only else ():
                    bits = left[value] & only
                    if bits and bits not in words[value]:
                        return False  # two houses need this value
                    if bits and left[value] != bits:
                        take(left, value, left[value] ^ bits, trace)
        return True

    def _take(self, left: list[int], value: int, houses: int, trace: list[str]) -> bool:
        """Takes houses, which it has, from a value; False where it has no other."""
        left[value] ^= houses
        if word := self.words[value].get(left[value]):
            trace.append(word)
        return left[value] != 0

    def unlike(self, clues: Sequence[Clue], grid: Sequence[int]) -> list[int] | None:
        """A grid other than this one that the clues allow."""
        return next((found for found in self.solutions(clues, []) if found != grid), None)

    def truths(self, kinds: Sequence[str], grid: Sequence[int]) -> dict[str, list[Clue]]:
        """All that clues can say of a grid, by kind; where the two values may change places, it is said once."""
        found: dict[str, list[Clue]] = {kind: [] for kind in kinds}
        for kind in kinds:
            if kind == "at":
                found[kind] = [Clue(kind, value, house) for value, house in enumerate(grid)]
                continue
            for first, second in itertools.permutations(range(self.values), 2):
                once = kind not in SYMMETRIC or first < second
                says = kind not in ACROSS or first // self.houses != second // self.houses
                if once and says and HOLDS[kind](grid[first], grid[second]):
                    found[kind].append(Clue(kind, first, second))
        return found

    def minimal(self, source: random.Random, truths: Mapping[str, Sequence[Clue]], grid: Sequence[int]) -> list[Clue]:
        """Clues that this grid alone satisfies, and no fewer of them would do; each is drawn from a random kind."""
        kinds, clues = list(truths), list[Clue]()
        while len(clues) < self.values // 2:  # a start that needs no search
            clue = source.choice(truths[source.choice(kinds)])
            if clue not in clues:
                clues.append(clue)
        while (other := self.unlike(clues, grid)) is not None:
            clue = source.choice(truths[source.choice(kinds)])
            while clue.holds(other):
                clue = source.choice(truths[source.choice(kinds)])
            clues.append(clue)
        for clue in clues.copy():
            rest = [each for each in clues if each != clue]
            if self.unlike(rest, grid) is None:
                clues = rest
        return clues


def excluded(houses: int, holds: Callable[[int, int], bool]) -> list[int]:
    """[2**houses] for each set of houses of the second value: bits of those that the first one cannot have."""
    goes = [sum(1 << second for second in range(houses) if holds(first, second)) for first in range(houses)]
    return [sum(1 << first for first in range(houses) if not goes[first] & bits) for bits in range(1 << houses)]


def swapped(holds: Callable[[int, int], bool]) -> Callable[[int, int], bool]:
    return lambda first, second: holds(second, first)
