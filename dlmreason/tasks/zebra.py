"""Zebra puzzles: who lives in which house, from clues that only one grid satisfies.

This file decides how puzzles are drawn, asked, laid out, thought about and judged. It knows no split and no model.

A street has houses 1, 2, ... from left to right, and in each lives one value of every category: a1, a2, ..., b1, ...
A prompt reads "c3 same a2 ; b1 at 1 ; a2 next b2 ; a2 just_left a1 ; c1 left a1": a clue is a value, a kind, and a
value or, after `at`, a house. `next` is on either side, `just_left` next on the left, `left` anywhere to the left;
`apart`, which is missing here, is not in one house. No clue can be left out. A clue takes one position: its kind, the
two operands being features. The answer is the grid, "a3 b1 c1 a2 b3 c3 a1 b2 c2": house by house, in each the
categories in order. A grid is right if every clue holds.

The thought is what a search finds (zebra_solver tells how it goes), "b1@1 c2@3 ? a2@1 c3@1 b2@2 a1@2 c1@1 a3@3 b3@3 x
a2@2 c3@2 ...", and then the grid: "b1@1" puts b1 into house 1, "? a2@1" is a try, "x" is a contradiction, which takes
back all since the last try that is still open. Puzzles are left out where the search is longer than 4 words a value (.1
% of 4x4, 1 % of 5x5).

difficulty: the number of tries; 0 where going through the clues is enough (about half of the 4x4 puzzles).
Leakage: other orders of clues, and of operands that may change places; other names of values and of categories; the
street seen from the other side, for what is left of a house is then written as the house being left of it.
"""

import functools
import itertools
import random
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dlmreason.tasks.example import PuzzleError, Verdict, mix
from dlmreason.tasks.steps import Steps
from dlmreason.tasks.subject import Form, Problem, Symmetries, check_answer, check_thought
from dlmreason.tasks.zebra_solver import ACROSS, DEAD_END, KINDS, SYMMETRIC, TRY, Clue, Street

LETTERS = "abcdef"
HOUSES, CATEGORIES = (3, 6), (2, len(LETTERS))
SEPARATOR = " ; "
WORDS_A_VALUE = 4
"""Most words of a search, for each value."""

MOST_TRIES = 10_000
"""Of a search for a person's puzzle: half a second. Those drawn take few, but 36 clues may take a minute."""

LONGEST_PROMPT, LONGEST_ANSWER = 10_000, 1_000
"""Characters of a person's texts."""

SPELLED = {"=": "same", "==": "same", "@": "at", "in": "at", "!=": "apart", "≠": "apart", "~": "next", "<": "left"}
REVERSED = {"right": "left", "just_right": "just_left", ">": "left"}
"""Spellings of kinds, the second ones with the operands exchanged."""

_SEPARATORS = re.compile(r"[;,.\n]+")
_PARTS = re.compile(r"\s*([a-z]\d+)\s*([a-z_]+|[^a-z0-9\s]+)\s*([a-z]?\d+)\s*", re.ASCII)


@dataclass(frozen=True, kw_only=True)
class Zebra:
    """Puzzles of `houses` houses and `categories` categories, with clues of these kinds."""

    houses: int = 4
    categories: int = 4
    kinds: tuple[str, ...] = KINDS

    version = 1

    def __post_init__(self) -> None:
        for key, value, (least, most), why in (
            ("houses", self.houses, HOUSES, "of two houses each is next to the other, and more take too long to solve"),
            ("categories", self.categories, CATEGORIES, "clues tell of values that differ in kind"),
        ):
            if type(value) is not int or not least <= value <= most:
                raise ValueError(f"task.subject.{key}={value} must be {least} to {most}: {why}")
        listed = isinstance(self.kinds, list | tuple) and all(type(each) is str for each in self.kinds)
        if not listed or not self.kinds or not set(KINDS) >= set(self.kinds) or len(set(self.kinds)) < len(self.kinds):
            raise ValueError(
                f"task.subject.kinds={self.kinds} must be a list of one or more of {', '.join(KINDS)}, each once: "
                f"clues are of these kinds"
            )
        object.__setattr__(self, "kinds", tuple(self.kinds))  # a config has a list
        if self._street.unlike([clue for each in self._truths.values() for clue in each], self._plain) is not None:
            raise ValueError(
                f"task.subject.kinds={list(self.kinds)} must be kinds that tell every grid from all others: with these "
                f"two grids can be alike, such as a street and its mirror image; add at or left"
            )

    @property
    def name(self) -> str:
        return "_".join([f"zebra_{self.houses}x{self.categories}", *(() if self.kinds == KINDS else self.kinds)])

    @property
    def parameters(self) -> Mapping[str, str | int]:
        return {"houses": self.houses, "categories": self.categories, "kinds": " ".join(self.kinds)}

    @functools.cached_property
    def form(self) -> Form:
        values = len(self._values)
        return Form(
            symbols=(*self.kinds, *self._values),
            prompt=values,
            thought=(WORDS_A_VALUE + 1) * values,
            answer=values,
            ends=False,
            thought_symbols=(TRY, DEAD_END, *(word for each in self._street.words for word in each.values())),
            feature_sizes=(values + 1, values + self.houses + 1),
            lay=self.lay,
            unique=True,
            steps=Steps(
                r"\? \S+", tuple(tuple(each.values()) for each in self._street.words), guesses=(TRY,), longest=1
            ),
        )

    @property
    def symmetries(self) -> Symmetries:
        return Symmetries(
            leakage=(
                "another order of the clues",
                "the operands of same, apart or next exchanged",
                "other names of a category's values",
                "other names of the categories",
                "the street seen from the other side",
            )
        )

    def lay(self, prompt: str) -> tuple[str, NDArray[np.int64]]:
        """Kinds; columns 1 and 2: the operands, values from 1 on, houses after them."""
        clues = self._clues(prompt)
        features = np.zeros((len(clues), 3), np.int64)
        for row, (kind, first, second) in zip(features, clues, strict=True):
            row[1:] = first + 1, second + 1 + (len(self._values) if kind == "at" else 0)
        return " ".join([clue.kind for clue in clues]), features

    def draw(self, seed: int, count: int) -> list[Problem]:
        source = random.Random(f"{self.name}/{seed}")
        asked = (self._ask(self._drawn(source)) for _ in range(count))
        return [problem for problem in asked if problem.thought and self._fits(problem.prompt)]

    def problem(self, prompt: str, thought: str = "", answer: str = "") -> Problem:
        """Clues as drawn, or "A1 = B2; c3 in 2; a1 != b3; a1 > b2; b1 just_right c1", one a line where one likes.

        Raises: PuzzleError, also where no grid or more than one satisfies the clues.
        """
        made = self._ask(self._parse(prompt))
        check_thought(self.form, thought)
        if answer:
            spelled = " ".join(answer.lower().split()) if len(answer) <= LONGEST_ANSWER else answer
            check_answer(self, made, spelled)
        return made._replace(thought=thought or made.thought)

    def keys(self, prompts: Sequence[str]) -> list[int]:
        words = np.uint64(0x9E3779B97F4A7C15)
        return [
            int(mix(self._copies(prompt).astype(np.uint64) + words).sum(axis=1, dtype=np.uint64).min())
            for prompt in prompts
        ]

    def same(self, first: str, second: str) -> bool:
        copies, plain = self._copies(first), self._copies(second)[:1]
        return copies.shape[1] == plain.shape[1] and bool(
            (np.sort(copies, axis=1) == np.sort(plain, axis=1)).all(axis=1).any()
        )

    def judge(self, problem: Problem, answer: str) -> Verdict:
        expected = f"{len(self._values)} values, such as {' '.join(self._values[:: self.houses])} ..., expected"
        if len(answer) > LONGEST_ANSWER:
            return Verdict(False, f"{expected}, got a text of {len(answer)} characters")
        values = answer.split(" ")
        if len(values) != len(self._values):
            return Verdict(False, f"{expected}, got {len(values) if answer else 0}")
        grid: list[int] = [-1] * len(values)
        for place, value in enumerate(values):
            house, category = divmod(place, self.categories)
            index = self._index.get(value, -1)
            if index < 0 or index // self.houses != category:
                letter = LETTERS[category]
                return Verdict(
                    False,
                    f"{value[:20]!r} at place {place + 1}, house {house + 1}, is none of {letter}1 to "
                    f"{letter}{self.houses}",
                )
            if grid[index] >= 0:
                return Verdict(False, f"{value} stands in house {grid[index] + 1} and in house {house + 1}")
            grid[index] = house
        for place, clue in enumerate(self._clues(problem.prompt), start=1):
            if not clue.holds(grid):
                says = f"{self._text(clue)}, but {self._values[clue.first]} is in house {grid[clue.first] + 1}"
                if clue.kind != "at":
                    says += f" and {self._values[clue.second]} in house {grid[clue.second] + 1}"
                return Verdict(False, f"clue {place} says {says}")
        return Verdict(True, "")

    @functools.cached_property
    def _values(self) -> tuple[str, ...]:
        return tuple(f"{letter}{number + 1}" for letter in LETTERS[: self.categories] for number in range(self.houses))

    @functools.cached_property
    def _index(self) -> dict[str, int]:
        return {value: index for index, value in enumerate(self._values)}

    @functools.cached_property
    def _street(self) -> Street:
        words = [{1 << house: f"{value}@{house + 1}" for house in range(self.houses)} for value in self._values]
        return Street(self.houses, self.categories, words)

    @functools.cached_property
    def _plain(self) -> list[int]:
        """The grid that has each value in the house of its number: any other one is this one with other names."""
        return [value % self.houses for value in range(len(self._values))]

    @functools.cached_property
    def _truths(self) -> dict[str, list[Clue]]:
        return self._street.truths(self.kinds, self._plain)

    @functools.cached_property
    def _moves(self) -> NDArray[np.int64]:
        """[T, values] what keeps a grid plain: the categories in another order, and the mirror image, second half."""
        orders = np.array(list(itertools.permutations(range(self.categories))))[:, :, None] * self.houses
        houses = np.arange(self.houses)
        return np.concatenate([orders + houses, orders + houses[::-1]]).reshape(-1, len(self._values))

    def _drawn(self, source: random.Random) -> list[Clue]:
        """Clues of a random grid. Who searches prefers some categories and one side: so these are shuffled too."""
        clues = self._street.minimal(source, self._truths, self._plain)
        source.shuffle(clues)
        move = source.randrange(len(self._moves))
        mirrored = move >= len(self._moves) // 2
        names = [source.sample(range(self.houses), self.houses) for _ in range(self.categories)]
        value = [
            moved - moved % self.houses + names[moved // self.houses][moved % self.houses]
            for moved in self._moves[move].tolist()
        ]
        renamed = []
        for kind, first, second in clues:
            if kind == "at":
                renamed.append(Clue(kind, value[first], self.houses - 1 - second if mirrored else second))
                continue
            swapped = source.random() < 0.5 if kind in SYMMETRIC else mirrored
            pair = (second, first) if swapped else (first, second)
            renamed.append(Clue(kind, value[pair[0]], value[pair[1]]))
        return renamed

    def _ask(self, clues: Sequence[Clue]) -> Problem:
        """The thought is "" where it would be too long.

        Raises: PuzzleError unless exactly one grid satisfies the clues, or if that takes too long to tell.
        """
        trace: list[str] = []
        search = self._street.solutions(clues, trace, MOST_TRIES)
        grid = next(search, None)
        if grid is None:
            raise PuzzleError("no grid satisfies all clues")
        words = trace.copy()
        if (other := next(search, None)) is not None:
            value = next(value for value in range(len(grid)) if grid[value] != other[value])
            raise PuzzleError(
                f"more than one grid satisfies the clues: {self._values[value]} may be in house {grid[value] + 1} and "
                f"in house {other[value] + 1}"
            )
        lived = sorted(range(len(grid)), key=lambda value: (grid[value], value))
        answer = " ".join([self._values[value] for value in lived])
        thought = " ".join([*words, answer]) if len(words) <= WORDS_A_VALUE * len(grid) else ""
        prompt = SEPARATOR.join([self._text(clue) for clue in clues])
        return Problem(prompt, thought, answer, words.count(TRY))

    def _text(self, clue: Clue) -> str:
        second = str(clue.second + 1) if clue.kind == "at" else self._values[clue.second]
        return f"{self._values[clue.first]} {clue.kind} {second}"

    def _clues(self, prompt: str) -> list[Clue]:
        """The clues of a prompt that was drawn or checked."""
        parts = [clue.split(" ") for clue in prompt.split(SEPARATOR)]
        return [
            Clue(kind, self._index[first], int(second) - 1 if kind == "at" else self._index[second])
            for first, kind, second in parts
        ]

    def _fits(self, prompt: str) -> bool:
        return prompt.count(SEPARATOR) < self.form.prompt

    def _copies(self, prompt: str) -> NDArray[np.int64]:
        """[T, clues] the clues in numbers, as they are when the grid is plain, and after each of its moves."""
        clues = self._clues(prompt)
        grid = next(self._street.solutions(clues, []))
        kinds = np.array([KINDS.index(clue.kind) for clue in clues])
        firsts = np.array([clue.first for clue in clues])
        seconds = np.array([clue.first if clue.kind == "at" else clue.second for clue in clues])
        plain = np.arange(len(grid)) // self.houses * self.houses + grid
        one, other = self._moves[:, plain[firsts]], self._moves[:, plain[seconds]]
        swapped = np.zeros(one.shape, np.bool_)
        swapped[len(swapped) // 2 :] = True  # left of is right of in the mirror
        swapped = np.where([clue.kind in SYMMETRIC for clue in clues], one > other, swapped)
        one, other = np.where(swapped, other, one), np.where(swapped, one, other)
        return (kinds * len(grid) + one) * len(grid) + other

    def _parse(self, prompt: str) -> list[Clue]:
        """A person's clues. Raises: PuzzleError"""
        if len(prompt) > LONGEST_PROMPT:
            raise PuzzleError(f"the prompt has {len(prompt)} characters, and {LONGEST_PROMPT} are too many")
        clues: list[Clue] = []
        seen: dict[tuple[str, int, int], int] = {}
        for place, text in enumerate(filter(str.strip, _SEPARATORS.split(prompt.lower())), start=1):
            clue = self._clue(text, f"clue {place}, {text.strip()[:40]!r},")
            pair = sorted(clue[1:]) if clue.kind in SYMMETRIC else clue[1:]
            if (earlier := seen.setdefault((clue.kind, pair[0], pair[1]), place)) != place:
                raise PuzzleError(f"clue {place} repeats clue {earlier}")
            clues.append(clue)
        if not 1 <= len(clues) <= self.form.prompt:
            raise PuzzleError(f"1 to {self.form.prompt} clues expected, got {len(clues)}")
        return clues

    def _clue(self, text: str, which: str) -> Clue:
        parts = _PARTS.fullmatch(text)
        if parts is None:
            raise PuzzleError(f"{which} is not a clue such as a1 same b2, or a1 at 3")
        first, kind, second = parts.groups()
        if kind == "=" and second.isdigit():
            kind = "at"
        if kind in REVERSED:
            first, kind, second = second, REVERSED[kind], first
        kind = SPELLED.get(kind, kind)
        if kind not in self.kinds:
            raise PuzzleError(f"{which} is of none of the kinds {', '.join(self.kinds)}")
        if first not in self._index or (kind != "at" and second not in self._index):
            raise PuzzleError(f"{which} is not about two values from a1 to {self._values[-1]}")
        if kind == "at":
            if second not in {str(house) for house in range(1, self.houses + 1)}:
                raise PuzzleError(f"{which} is not about a house from 1 to {self.houses}")
            return Clue(kind, self._index[first], int(second) - 1)
        clue = Clue(kind, self._index[first], self._index[second])
        if clue.first == clue.second or (kind in ACROSS and clue.first // self.houses == clue.second // self.houses):
            raise PuzzleError(f"{which} tells nothing: its two values have to differ in category")
        return clue
