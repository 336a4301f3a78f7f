"""Sums and products of two numbers, digit by digit, with worked thoughts [DoT, arXiv:2402.07754].

This file decides how the two numbers are drawn, written, worked out and judged. It knows no model. Numbers drawn have
exactly their number of digits, without a zero in front, as in the public 4x4 data [arXiv:2405.14838], whose thoughts
are reproduced symbol by symbol; a person's shorter ones are filled up with zeros. All digits are symbols of their own,
the least significant one first, or last with least_first=False. Answers keep their zeros, so they are of one length.

Addition: "4 3 2 1 + 8 7 6 5" is 1234 + 5678. The thought is each column's total from the least significant on, its
own carry included, in two digits: "2 1 1 1 9 0 6 0" is 12, 11, 9, 6; the answer is "2 1 9 6 0". Difficulty: the most
places in a row that carry.

Multiplication: "2 1 * 4 3" is 12 * 34. The thought is the product with each digit of the second number, shifted, and
in parentheses the sum so far: "8 4 0 + 0 6 3 0"; the last sum is the answer, "8 0 4 0". Difficulty: all that is
carried in the long multiplication, which is (s(a) s(b) - s(a b)) / 9, s being the sum of a number's digits; each unit
carried takes 9 off the sum of the digits.

Copies, and thus leakage: a * b is b * a, and in a sum the two digits of any place may change sides, for this alters
neither a column nor thought or answer. Digits of operands carry the place of the answer that has their weight
(feature column 0). Keys do not depend on the order of the digits, so both orders have the same splits.
"""

import random
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from dlmreason.tasks.example import PuzzleError, Verdict
from dlmreason.tasks.steps import ended
from dlmreason.tasks.subject import Form, Problem, Symmetries, check_answer, check_thought, content_key

DIGITS = tuple("0123456789")
MOST_ADDED, MOST_MULTIPLIED = 100, 20

_END = re.compile(r"\s*=\s*\??\s*$")
_TIMES = re.compile("[x×·]")  # noqa: RUF001


@dataclass(frozen=True, kw_only=True)
class Addition:
    """a + b, both of `digits` digits."""

    digits: int = 4
    least_first: bool = True

    version = 1

    def __post_init__(self) -> None:
        if type(self.digits) is not int or not 1 <= self.digits <= MOST_ADDED:
            raise ValueError(f"task.subject.digits={self.digits} must be 1 to {MOST_ADDED}: the digits of a number")
        _refuse_order(self.least_first)

    @property
    def name(self) -> str:
        return f"addition_{self.digits}{'' if self.least_first else '_most_first'}"

    @property
    def parameters(self) -> Mapping[str, str | int]:
        return {"digits": self.digits, "least_first": int(self.least_first)}

    @cached_property
    def form(self) -> Form:
        return Form(
            symbols=(*DIGITS, "+"),
            prompt=2 * self.digits + 1,
            thought=2 * self.digits,
            answer=self.digits + 1,
            ends=False,
            lay=self.lay,
            unique=True,
        )

    @property
    def symmetries(self) -> Symmetries:
        return Symmetries(
            leakage=("the two digits of one place change sides; in all places at once this is a + b = b + a",)
        )

    def lay(self, prompt: str) -> tuple[str, NDArray[np.int64]]:
        """The prompt as it is; each digit with the answer's place of its weight."""
        return prompt, self._weights

    @cached_property
    def _weights(self) -> NDArray[np.int64]:
        return weights((self.digits, self.digits), self.digits + 1, self.least_first)

    def draw(self, seed: int, count: int) -> list[Problem]:
        source, low, high = random.Random(f"{self.name}/{seed}"), smallest(self.digits), 10**self.digits
        return [self._ask(source.randrange(low, high), source.randrange(low, high)) for _ in range(count)]

    def problem(self, prompt: str, thought: str = "", answer: str = "") -> Problem:
        """1234+5678, most significant digit first, or the spaced digits of `draw`.

        Raises: PuzzleError
        """
        made = self._ask(*operands(prompt, "+", (self.digits, self.digits), self.least_first))
        return settled(self, made, thought, answer)

    def keys(self, prompts: Sequence[str]) -> list[int]:
        return [content_key(self._canonical(prompt)) for prompt in prompts]

    def same(self, first: str, second: str) -> bool:
        return self._canonical(first) == self._canonical(second)

    def judge(self, problem: Problem, answer: str) -> Verdict:
        first, second = numbers(problem.prompt, "+", self.least_first)
        return judged(answer, write(first + second, self.digits + 1, self.least_first), "sum")

    def _canonical(self, prompt: str) -> str:
        """The smaller digit of every place, least significant first, and the larger ones."""
        sides = [side[:: 2 if self.least_first else -2] for side in prompt.split(" + ")]
        pairs = [sorted(pair) for pair in zip(*sides, strict=True)]
        return "+".join("".join(side) for side in zip(*pairs, strict=True))

    def _ask(self, first: int, second: int) -> Problem:
        order = -1 if self.least_first else 1
        carry = chain = longest = 0
        totals: list[str] = []
        for a, b in zip(_least_first(first, self.digits), _least_first(second, self.digits), strict=True):
            total = int(a) + int(b) + carry
            totals += f"{total:02d}"[::order]
            carry = total // 10
            chain = (chain + 1) * carry
            longest = max(longest, chain)
        return Problem(
            f"{write(first, self.digits, self.least_first)} + {write(second, self.digits, self.least_first)}",
            " ".join(totals),
            write(first + second, self.digits + 1, self.least_first),
            longest,
        )


@dataclass(frozen=True, kw_only=True)
class Multiplication:
    """a * b, of digits[0] and digits[1] digits."""

    digits: tuple[int, int] = (4, 4)
    least_first: bool = True

    version = 1

    def __post_init__(self) -> None:
        whole = isinstance(self.digits, list | tuple) and [type(each) for each in self.digits] == [int, int]
        if not whole or not all(1 <= each <= MOST_MULTIPLIED for each in self.digits):
            raise ValueError(
                f"task.subject.digits={self.digits} must be two numbers from 1 to {MOST_MULTIPLIED}: the digits of the "
                f"first number and of the second, such as [4, 4]"
            )
        object.__setattr__(self, "digits", (self.digits[0], self.digits[1]))  # a config has a list
        _refuse_order(self.least_first)

    @property
    def name(self) -> str:
        return f"multiplication_{self.digits[0]}x{self.digits[1]}{'' if self.least_first else '_most_first'}"

    @property
    def parameters(self) -> Mapping[str, str | int]:
        return {"digits": f"{self.digits[0]}x{self.digits[1]}", "least_first": int(self.least_first)}

    @cached_property
    def form(self) -> Form:
        return Form(
            symbols=(*DIGITS, "*"),
            prompt=sum(self.digits) + 1,
            thought=len(self._worked(0, 0).split(" ")),
            answer=sum(self.digits),
            ends=False,
            thought_symbols=("+", "(", ")"),
            thought_ends=("+",),
            steps=ended(("+",), spaced=True, longest=2 * sum(self.digits) + 3),
            lay=self.lay,
            unique=True,
        )

    @property
    def symmetries(self) -> Symmetries:
        return Symmetries(leakage=("a * b = b * a",))

    def lay(self, prompt: str) -> tuple[str, NDArray[np.int64]]:
        """The prompt as it is; each digit with the answer's place of its weight."""
        return prompt, self._weights

    @cached_property
    def _weights(self) -> NDArray[np.int64]:
        return weights(self.digits, sum(self.digits), self.least_first)

    def draw(self, seed: int, count: int) -> list[Problem]:
        source, (first, second) = random.Random(f"{self.name}/{seed}"), self.digits
        low, high, other_low, other_high = smallest(first), 10**first, smallest(second), 10**second
        return [self._ask(source.randrange(low, high), source.randrange(other_low, other_high)) for _ in range(count)]

    def problem(self, prompt: str, thought: str = "", answer: str = "") -> Problem:
        """1234*5678, most significant digit first, or the spaced digits of `draw`.

        Raises: PuzzleError
        """
        made = self._ask(*operands(_TIMES.sub("*", prompt), "*", self.digits, self.least_first))
        return settled(self, made, thought, answer)

    def keys(self, prompts: Sequence[str]) -> list[int]:
        return [content_key("{}*{}".format(*self._sorted(prompt))) for prompt in prompts]

    def same(self, first: str, second: str) -> bool:
        return self._sorted(first) == self._sorted(second)

    def judge(self, problem: Problem, answer: str) -> Verdict:
        first, second = numbers(problem.prompt, "*", self.least_first)
        return judged(answer, write(first * second, sum(self.digits), self.least_first), "product")

    def _sorted(self, prompt: str) -> list[int]:
        return sorted(numbers(prompt, "*", self.least_first))

    def _ask(self, first: int, second: int) -> Problem:
        product = first * second
        return Problem(
            f"{write(first, self.digits[0], self.least_first)} * {write(second, self.digits[1], self.least_first)}",
            self._worked(first, second),
            write(product, sum(self.digits), self.least_first),
            (_digit_sum(first) * _digit_sum(second) - _digit_sum(product)) // 9,
        )

    def _worked(self, first: int, second: int) -> str:
        """The long multiplication of the public data: number k has one digit more than number k - 1."""
        width, last = self.digits[0] + 1, self.digits[1] - 1
        parts, total = [], 0
        for place, digit in enumerate(_least_first(second, self.digits[1])):
            product = first * int(digit) * 10**place
            total += product
            parts.append(write(product, width + place, self.least_first))
            if 0 < place < last:
                parts[-1] += f" ( {write(total, width + place, self.least_first)} )"
        return " + ".join(parts)


def write(number: int, width: int, least_first: bool) -> str:
    """Spaced digits, with as many zeros as `width` asks for."""
    return " ".join(_least_first(number, width) if least_first else f"{number:0{width}d}")


def numbers(prompt: str, sign: str, least_first: bool) -> tuple[int, int]:
    """The two numbers of a prompt as drawn."""
    first, second = (side.replace(" ", "")[:: -1 if least_first else 1] for side in prompt.split(sign))
    return int(first), int(second)


def operands(prompt: str, sign: str, widths: tuple[int, int], least_first: bool) -> tuple[int, int]:
    """The two numbers of a person's prompt: spaced digits in the order of the task, or plain ones as people write.

    Raises: PuzzleError
    """
    if len(prompt) > 4 * sum(widths) + 40:
        raise PuzzleError(f"{len(prompt)} characters are too many for numbers of {widths[0]} and {widths[1]} digits")
    sides = [side.split() for side in _END.sub("", prompt).split(sign)]
    if len(sides) != 2 or not all(sides):
        raise PuzzleError(f"two numbers with one {sign} between them are expected, such as 12{sign}34")
    spaced = any(len(side) > 1 for side in sides)
    found = []
    for side, width, which in zip(sides, widths, ("first", "second"), strict=True):
        for place, part in enumerate(side, start=1):
            if not (part.isascii() and part.isdigit()) or (spaced and len(part) > 1):
                kind = "one digit from 0 to 9" if spaced else "a number in digits from 0 to 9"
                raise PuzzleError(f"part {place} of the {which} number, {part[:20]!r}, is not {kind}")
        count = len(side) if spaced else len(side[0])
        if count > width or (spaced and count < width):
            raise PuzzleError(f"the {which} number has {count} digits where {width} are expected")
        digits = "".join(side)
        found.append(int(digits[::-1] if spaced and least_first else digits))
    return found[0], found[1]


def settled(subject: Addition | Multiplication, made: Problem, thought: str, answer: str) -> Problem:
    """`made` with a given thought, once the given answer proved right; plain digits are read as people write them.

    Raises: PuzzleError
    """
    if answer:
        form, plain = subject.form, answer.isascii() and answer.isdigit() and len(answer) <= subject.form.answer
        text = write(int(answer), form.answer, subject.least_first) if plain else answer
        check_answer(subject, made, text)
    check_thought(subject.form, thought)
    return made._replace(thought=thought or made.thought)


def judged(answer: str, right: str, what: str) -> Verdict:
    """Spaced digits against the right ones."""
    if len(answer) != len(right):
        count = (len(right) + 1) // 2
        return Verdict(False, f"{count} digits joined by single spaces expected, got {len(answer)} characters")
    if answer[1::2] != right[1::2]:
        return Verdict(False, "digits are to be joined by single spaces")
    for place, (got, wanted) in enumerate(zip(answer[::2], right[::2], strict=True), start=1):
        if got != wanted:
            return Verdict(False, f"digit {place} is {got!r} where the {what} has {wanted}")
    return Verdict(True, "")


def weights(widths: tuple[int, int], answer: int, least_first: bool) -> NDArray[np.int64]:
    """[prompt, 1]: the place, from 1, of the answer's digit that has the weight of a prompt's digit; 0 for the sign."""
    found: list[int] = []
    for width in widths:
        places = range(1, width + 1) if least_first else range(answer - width + 1, answer + 1)
        found += [*places, 0]
    features = np.array(found[:-1], np.int64)[:, None]
    features.setflags(write=False)
    return features


def smallest(digits: int) -> int:
    """The smallest number without a zero in front; 0 is one of those with one digit."""
    return 10 ** (digits - 1) if digits > 1 else 0


def _least_first(number: int, width: int) -> str:
    return f"{number:0{width}d}"[::-1]


def _digit_sum(number: int) -> int:
    return sum(map(int, str(number)))


def _refuse_order(least_first: object) -> None:
    if type(least_first) is not bool:
        raise ValueError(
            f"task.subject.least_first={least_first} must be true or false: is the least significant digit first?"
        )
