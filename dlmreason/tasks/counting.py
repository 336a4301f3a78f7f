"""Counting on: from a first number by a step to a last one, modulo m; answers that differ much in length.

This file decides how such a count is drawn, asked and judged. It knows no model. It is the smallest task in which an
answer's length can be dialled, and in which a longer answer than any in training asks for nothing new: each term is the
one before it plus the step, and the text ends behind the last one.

A prompt reads "3 5 18", first, step and last, each one symbol, which feature column 1 tells apart; the answer is all
terms, "3 8 13 18". The step is prime to m, so that every number is reached, the last one first after
(last - first) / step modulo m steps; `steps` times m additions are to be learned. No answer's place is told to a model
(`Form.placed`), for it would know nothing of places beyond those it was trained on. Difficulty: the number of terms.

Copies, and thus leakage: none. Another first number with the same step, and the last one as far away, is another count.
"""

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import gcd

import numpy as np
from numpy.typing import NDArray

from dlmreason.tasks.example import PuzzleError, Verdict
from dlmreason.tasks.numbers import natural
from dlmreason.tasks.subject import Form, Problem, Symmetries, check_answer, check_thought, content_key

MOST = 1000
"""Of the modulus."""

PARTS = np.array([[0, 1], [0, 2], [0, 3]], np.int64)
PARTS.setflags(write=False)


@dataclass(frozen=True, kw_only=True)
class Counting:
    """Counts of `shortest` to `longest` terms modulo `modulus`, each number of them as often.

    steps: how many different ones, the smallest that are prime to the modulus.  room: terms that an answer may have, at
    least `longest`; the same for tasks that share a network.
    """

    modulus: int = 37
    steps: int = 6
    shortest: int = 1
    longest: int = 10
    room: int = 20

    version = 1

    def __post_init__(self) -> None:
        bounds: tuple[tuple[str, int, Callable[[], int], str], ...] = (
            ("modulus", 2, lambda: MOST, "terms are below it"),
            ("steps", 1, lambda: len(self._prime), "each is prime to the modulus"),
            ("room", 1, lambda: self.modulus, "a count meets no number twice"),
            ("longest", 1, lambda: self.room, "a count fits the canvas"),
            ("shortest", 1, lambda: self.longest, "a count has terms, and no more than the longest"),
        )
        for key, least, most, why in bounds:
            value = getattr(self, key)
            if type(value) is not int or not least <= value <= most():
                raise ValueError(f"task.subject.{key}={value} must be a whole number from {least} to {most()}: {why}")

    @property
    def name(self) -> str:
        return f"counting_by_{self.steps}_mod_{self.modulus}_{self.shortest}_to_{self.longest}"

    @property
    def parameters(self) -> Mapping[str, str | int]:
        names = ("modulus", "steps", "shortest", "longest", "room")
        return {name: getattr(self, name) for name in names}

    @cached_property
    def form(self) -> Form:
        return Form(
            symbols=self._numbers,
            prompt=3,
            thought=0,
            answer=self.room,
            ends=True,
            feature_sizes=(4,),
            lay=self.lay,
            unique=True,
            placed=False,
        )

    @property
    def symmetries(self) -> Symmetries:
        return Symmetries(
            leakage=(),
            augmentation=(
                "a constant added to first and last, modulo m: so is it to each term, which has to be counted anew",
            ),
        )

    def lay(self, prompt: str) -> tuple[str, NDArray[np.int64]]:
        """The prompt as it is; which of the three each number is."""
        return prompt, PARTS

    @cached_property
    def _numbers(self) -> tuple[str, ...]:
        return tuple(map(str, range(self.modulus)))

    @cached_property
    def _prime(self) -> tuple[int, ...]:
        return tuple(step for step in range(1, self.modulus) if gcd(step, self.modulus) == 1)

    @cached_property
    def _steps(self) -> tuple[int, ...]:
        return self._prime[: self.steps]

    def draw(self, seed: int, count: int) -> list[Problem]:
        source = random.Random(f"{self.name}/{seed}")
        return [
            self._ask(
                source.randrange(self.modulus), source.choice(self._steps), source.randint(self.shortest, self.longest)
            )
            for _ in range(count)
        ]

    def problem(self, prompt: str, thought: str = "", answer: str = "") -> Problem:
        """First, step and last, separated by spaces.

        Raises: PuzzleError
        """
        if len(prompt) > 40:
            raise PuzzleError(f"{len(prompt)} characters are too many for three numbers below {self.modulus}")
        parts = prompt.split()
        if len(parts) != 3:
            raise PuzzleError(f"first, step and last are expected, got {len(parts)} numbers")
        found = [natural(part) for part in parts]
        for what, part, number in zip(("first", "step", "last"), parts, found, strict=True):
            if number is None or number >= self.modulus:
                raise PuzzleError(f"the {what}, {part[:20]!r}, is not a number from 0 to {self.modulus - 1}")
        first, step, last = (number or 0 for number in found)
        if step not in self._steps:
            raise PuzzleError(
                f"the step {step} is none of {self._steps[0]} to {self._steps[-1]} that are prime to {self.modulus}"
            )
        terms = (last - first) * pow(step, -1, self.modulus) % self.modulus + 1
        if terms > self.room:
            raise PuzzleError(f"the count has {terms} terms, and {self.room} are the most")
        made = self._ask(first, step, terms)
        check_answer(self, made, answer)
        check_thought(self.form, thought)
        return made

    def keys(self, prompts: Sequence[str]) -> list[int]:
        return [content_key(prompt) for prompt in prompts]

    def same(self, first: str, second: str) -> bool:
        return first == second

    def judge(self, problem: Problem, answer: str) -> Verdict:
        right = self.problem(problem.prompt).answer.split(" ")
        if len(answer) > 8 * self.room:
            return Verdict(False, f"{len(right)} numbers are expected, got {len(answer)} characters")
        parts = answer.split(" ")
        for place, (got, wanted) in enumerate(zip(parts, right, strict=False), start=1):
            if got != wanted:
                return Verdict(False, f"number {place} is {got[:20]!r} where the count has {wanted}")
        if len(parts) != len(right):
            return Verdict(False, f"{len(right)} numbers joined by single spaces expected, got {len(parts)}")
        return Verdict(True, "")

    def _ask(self, first: int, step: int, terms: int) -> Problem:
        numbers = [(first + place * step) % self.modulus for place in range(terms)]
        prompt = f"{first} {step} {numbers[-1]}"
        return Problem(prompt, "", " ".join(self._numbers[number] for number in numbers), terms)
