"""Running sums: the sum of a row of numbers modulo m, one addition after another.

This file decides how such a row is drawn, asked, worked out and judged. It knows no model. It is the smallest task in
which depth can be dialled: each running sum needs the one before it.

A prompt reads "3 7 2 9", terms from 0 to modulus - 1, each one symbol. The thought is the running sums, one for each
term: "3 0 2 1" for modulus 10; the answer is the last of them. With all_sums=True the running sums are the answer, each
at the place that its term carries (feature column 0), and there is no thought: whether terms and sums share such a sign
decides if a small model learns the task at all. Else column 1 counts the terms. Difficulty: how often the modulus is
passed, which is (sum of the terms - sum modulo m) / m.

Copies, and thus leakage: terms in another order. The thought differs, but the answer does not, and a model that knows
by heart the answers of bags of terms would pass for one that adds. The space allows it: C(length + modulus - 1, length)
bags, 24,310 for 8 terms modulo 10, of which a quarter each is left for validation and test; 4 terms modulo 10 have 715,
about 180 for the test. With all_sums=True the splits are the same ones.
"""

import random
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate

import numpy as np
from numpy.typing import NDArray

from dlmreason.tasks.example import PuzzleError, Verdict
from dlmreason.tasks.numbers import natural
from dlmreason.tasks.steps import Steps
from dlmreason.tasks.subject import Form, Problem, Symmetries, check_answer, check_thought, content_key

MOST = 1000
"""Of terms, and of the modulus."""


@dataclass(frozen=True, kw_only=True)
class RunningSum:
    """The sum of `length` terms modulo `modulus`."""

    length: int = 8
    modulus: int = 10
    all_sums: bool = False  # the answer is every running sum, and there is no thought

    version = 1

    def __post_init__(self) -> None:
        for key, value, least, why in (
            ("length", self.length, 1, "a sum has terms"),
            ("modulus", self.modulus, 2, "modulo 1 every sum is 0"),
        ):
            if type(value) is not int or not least <= value <= MOST:
                raise ValueError(f"task.subject.{key}={value} must be a whole number from {least} to {MOST}: {why}")
        if type(self.all_sums) is not bool:
            raise ValueError(
                f"task.subject.all_sums={self.all_sums} must be true or false: is every running sum asked for?"
            )

    @property
    def name(self) -> str:
        return f"running_sum_{self.length}_mod_{self.modulus}{'_all' if self.all_sums else ''}"

    @property
    def parameters(self) -> Mapping[str, str | int]:
        return {"length": self.length, "modulus": self.modulus, "all_sums": int(self.all_sums)}

    @cached_property
    def form(self) -> Form:
        return Form(
            symbols=self._terms,
            prompt=self.length,
            thought=0 if self.all_sums else self.length,
            answer=self.length if self.all_sums else 1,
            ends=False,
            feature_sizes=() if self.all_sums else (self.length + 1,),
            lay=self.lay,
            unique=True,
            steps=Steps(kinds=(self._terms,), longest=1),
        )

    @property
    def symmetries(self) -> Symmetries:
        return Symmetries(
            leakage=("terms in another order",),
            augmentation=(
                "a constant added to one term, modulo m: so is it to the answer, which has to be added anew",
            ),
        )

    def lay(self, prompt: str) -> tuple[str, NDArray[np.int64]]:
        """The prompt as it is; each term with its place, in column 0 where its sum is asked for, else in column 1."""
        return prompt, self._places

    @cached_property
    def _places(self) -> NDArray[np.int64]:
        features = np.zeros((self.length, 1 if self.all_sums else 2), np.int64)
        features[:, -1] = np.arange(1, self.length + 1)
        features.setflags(write=False)
        return features

    @cached_property
    def _terms(self) -> tuple[str, ...]:
        return tuple(map(str, range(self.modulus)))

    def draw(self, seed: int, count: int) -> list[Problem]:
        source = random.Random(f"running_sum/{self.length}/{self.modulus}/{seed}")
        return [self._ask(source.choices(range(self.modulus), k=self.length)) for _ in range(count)]

    def problem(self, prompt: str, thought: str = "", answer: str = "") -> Problem:
        """Terms separated by spaces, commas or +; by nothing where each has one digit.

        Raises: PuzzleError
        """
        if len(prompt) > 8 * self.length + 8:
            raise PuzzleError(f"{len(prompt)} characters are too many for {self.length} terms below {self.modulus}")
        parts = re.split(r"\s*[,+]\s*|\s+", prompt.strip())
        if len(parts) == 1 and len(parts[0]) == self.length and self.modulus <= 10:
            parts = list(parts[0])
        terms = []
        for place, part in enumerate(parts, start=1):
            number = natural(part)
            if number is None or number >= self.modulus:
                raise PuzzleError(f"term {place}, {part[:20]!r}, is not a number from 0 to {self.modulus - 1}")
            terms.append(number)
        if len(terms) != self.length:
            raise PuzzleError(f"{self.length} terms expected, got {len(terms)}")
        made = self._ask(terms)
        check_answer(self, made, answer)
        check_thought(self.form, thought)
        return made._replace(thought=thought or made.thought)

    def keys(self, prompts: Sequence[str]) -> list[int]:
        return [content_key(" ".join(sorted(prompt.split(" ")))) for prompt in prompts]

    def same(self, first: str, second: str) -> bool:
        return sorted(first.split(" ")) == sorted(second.split(" "))

    def judge(self, problem: Problem, answer: str) -> Verdict:
        right = self._sums([int(term) for term in problem.prompt.split(" ")])[0 if self.all_sums else -1 :]
        asked = f"{len(right)} numbers joined by single spaces" if self.all_sums else "one number"
        if len(answer) > 4 * len(right):
            return Verdict(False, f"{asked} expected, got {len(answer)} characters")
        parts = answer.split(" ")
        if len(parts) != len(right):
            return Verdict(False, f"{asked} expected, got {len(parts)} parts")
        for place, (got, wanted) in enumerate(zip(parts, right, strict=True), start=1):
            if got != wanted:
                return Verdict(False, f"number {place} is {got[:20]!r} where the sum is {wanted}")
        return Verdict(True, "")

    def _sums(self, terms: Sequence[int]) -> list[str]:
        return [self._terms[total % self.modulus] for total in accumulate(terms)]

    def _ask(self, terms: Sequence[int]) -> Problem:
        sums = self._sums(terms)
        prompt, texts = " ".join(self._terms[term] for term in terms), " ".join(sums)
        wraps = sum(terms) // self.modulus
        return Problem(prompt, "", texts, wraps) if self.all_sums else Problem(prompt, texts, sums[-1], wraps)
