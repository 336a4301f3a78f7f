"""Countdown and the Game of 24: reach the target with the numbers given [arXiv:2404.03683, arXiv:2410.14157].

This file decides how problems are drawn, written and judged; which steps a search tries is countdown_search.py's. It
knows no model.

A prompt reads "86,28,13,31,96": the numbers, and the target last. An answer reads "86+28=114,31-13=18,114-18=96":
equations of two numbers that are still there, given ones or earlier results, each used once; the last result is the
target. Results are natural numbers or 0, as in the public data: a difference is not negative and a quotient is exact.
Not all numbers have to be used unless `all_numbers` says so; every problem drawn has a solution with all of them. The
Game of 24 thereby lacks the few hands that need fractions, such as 3, 3, 8, 8: where 8/3 is a number, texts can no
longer be read equation by equation as in Countdown.

Thoughts, "path": after each equation but the last the numbers left, "86+28=114|13,31,114|31-13=18|114,18|114-18=96".
"search": equations tried depth first, "<" taking the last one back, for 33,39,16,96 with two tried from each state
"33+39=72,16+72=88<72-16=56<<39-33=6,16*6=96"; what is not taken back is the answer. Not all that is taken back is
hopeless, as few steps are tried. The promising ones are tried by rank, so that their order says nothing of which is
right; but a right one that is not promising comes last, and who reads it may know it by that.

Drawn as the public data were: a target, all as likely, then numbers, all as likely, anew until there is a solution with
all of them; the answer is the first that the plain search finds, or with "search" the one that the thought finds.
Deviation: the public test files have 9 of the 91 targets each, which training there never sees; here `held_targets` has
to name them.

Difficulty: the wrong ends of the plain search's tree before its first solution, steps that cannot be made included; all
of them where no solution uses all numbers. It depends on the order of the numbers, as that search does.

Copies, and thus leakage: the numbers in another order. Another target is another problem, whose answer has another
end; and a multiple of all numbers and of the target is one, for its products and quotients do not grow alike.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from dlmreason.tasks.countdown_search import (
    BACK,
    EXACT,
    SIGNS,
    WHOLE,
    State,
    Step,
    after,
    ends_of,
    first_solutions,
    longest_answer,
    longest_left,
    longest_search,
    searched,
    solution,
    steps_at,
)
from dlmreason.tasks.example import PuzzleError, Verdict, random_words
from dlmreason.tasks.numbers import natural
from dlmreason.tasks.steps import ended
from dlmreason.tasks.subject import Form, Problem, Symmetries, Wanted, content_key, every
from dlmreason.tasks.vocabulary import Characters

MOST_NUMBERS, MOST_BREADTH, MOST_TARGET = 6, 8, 100_000
ROUNDS = 200
"""Drawings of numbers for a target after which it is left out."""
TOGETHER = 128
"""Least hands tried at once."""
SPARING = 8
"""So many times more hands may be tried at once where most of them are not wanted."""
LEFT = "|"
"""Around the numbers left."""

_EQUATION = re.compile(r"([0-9]+)([-+*/])([0-9]+)=([0-9]+)", re.ASCII)
_BETWEEN = re.compile(r"\s*(?:[,;:]|->|=>|=|\s)\s*")
_TYPED = str.maketrans({"×": "*", "÷": "/", "−": "-", ";": ",", " ": None})  # noqa: RUF001


@dataclass(frozen=True, kw_only=True)
class Countdown:
    """Hands of `numbers` numbers from 1 to `largest`; the Game of 24 with 4, 13, (24, 24) and all_numbers."""

    numbers: int = 4
    largest: int = 99
    target: tuple[int, int] = (10, 100)  # lowest and highest
    thought: str = "path"  # or "search"
    all_numbers: bool = False  # whether an answer has to use them all
    breadth: int = 2  # of a search: steps tried from a state
    held_targets: tuple[int, ...] = ()  # never drawn, such as those of a test file

    version = 2

    def __post_init__(self) -> None:
        whole = type(self.numbers) is int and 2 <= self.numbers <= MOST_NUMBERS
        _check("numbers", self.numbers, whole, f"2 to {MOST_NUMBERS}: each more makes a search 60 times as long")
        most = int(EXACT ** (1 / self.numbers))
        whole = type(self.largest) is int and 2 <= self.largest <= most
        _check("largest", self.largest, whole, f"2 to {most}: products of all numbers have to be exact in floats")
        ends = _whole(self.target) or []
        low, high = ends if len(ends) == 2 else (0, 0)
        most = min(MOST_TARGET, self.largest**self.numbers)
        two = f"the lowest and the highest target, within 1 to {most}, such as [10, 100]: none above is reached"
        _check("target", self.target, 1 <= low <= high <= most, two)
        kinds = "path or search: the numbers left after each step, or all that was tried"
        _check("thought", self.thought, self.thought in ("path", "search"), kinds)
        _check("all_numbers", self.all_numbers, type(self.all_numbers) is bool, "true or false: is none left over?")
        whole = type(self.breadth) is int and 1 <= self.breadth <= MOST_BREADTH
        _check("breadth", self.breadth, whole, f"1 to {MOST_BREADTH}: the steps that a search tries from a state")
        held = _whole(self.held_targets)
        some = held is not None and set(held) < set(range(low, high + 1))
        _check("held_targets", self.held_targets, some, f"some of the targets {low} to {high}: the others are drawn")
        object.__setattr__(self, "target", (low, high))  # a config has lists
        object.__setattr__(self, "held_targets", tuple(sorted(set(held or ()))))

    @property
    def name(self) -> str:
        low, high = self.target
        hand, targets = f"_{self.largest}" * (self.largest != 99), f"_{low}to{high}" * (self.target != (10, 100))
        name = f"countdown_{self.numbers}{hand}{targets}{'_all' * self.all_numbers}"
        if name == "countdown_4_13_24to24_all":
            name = "game_of_24"
        held = len(self.held_targets)
        return name + f"_search{self.breadth}" * (self.thought == "search") + f"_held{held}" * bool(held)

    @property
    def parameters(self) -> Mapping[str, str | int]:
        return {
            "numbers": self.numbers,
            "largest": self.largest,
            "target": f"{self.target[0]} to {self.target[1]}",
            "thought": self.thought,
            "all_numbers": int(self.all_numbers),
            "breadth": self.breadth,
            "held_targets": " ".join(map(str, self.held_targets)),
        }

    @cached_property
    def form(self) -> Form:
        path, widths = self.thought == "path", self._widths
        tried = [*widths[:-1], _digits(min(self.largest**self.numbers, self._highest))]
        lefts = [longest_left(widths, count) + 1 for count in range(2, self.numbers)]  # and a bar that is no comma
        ends, equation = (LEFT,) if path else (",", BACK), 3 * max(widths if path else tried) + 2
        return Form(
            symbols=(*"0123456789", *SIGNS, "=", ","),
            prompt=self.numbers * (_digits(self.largest) + 1) + _digits(self.target[1]),
            thought=longest_answer(widths) + sum(lefts) if path else longest_search(tried, self.breadth),
            answer=longest_answer(widths),
            ends=True,
            thought_symbols=(LEFT,) if path else (BACK,),
            thought_ends=ends,
            spaced=False,
            steps=ended(ends, spaced=False, longest=max([equation + (1 if path else self.numbers), *lefts])),
        )

    @property
    def symmetries(self) -> Symmetries:
        return Symmetries(
            leakage=("the numbers in another order",),
            augmentation=(
                "a number and the target change places: a solution has to be turned around, 3+5=8 into 8-5=3, which is "
                "work of its own, and may fail where it divides or takes a difference",
            ),
        )

    def draw(self, seed: int, count: int) -> list[Problem]:
        return self.draw_wanted(seed, count, every)

    def draw_wanted(self, seed: int, count: int, wanted: Wanted) -> list[Problem]:
        """The targets are drawn first, so that what is wanted has no say in them."""
        pool = self._targets
        targets = pool[(self._words(f"{seed}", count, 1)[:, 0] % np.uint64(len(pool))).astype(np.int64)]
        hands, places = np.zeros((count, self.numbers), np.int64), np.full(count, -1, np.int64)
        asked = searched_for = solved = 0
        for round in range(ROUNDS):
            open = np.flatnonzero(places < 0)
            if not len(open):
                break
            most = max(count, TOGETHER) * min(max(asked // max(searched_for, 1), 1), SPARING)
            times = min(most // len(open), asked // max(solved, 1)) or 1
            words = self._words(f"{seed}/{round}", len(open) * times, self.numbers)
            tried = (words % np.uint64(self.largest)).astype(np.int64) + 1
            aims = np.repeat(targets[open], times)
            found = np.full(len(tried), -1, np.int64)
            use = _these(wanted, tried, aims) if self.numbers > WHOLE else np.ones(len(tried), np.bool_)
            found[use] = first_solutions(tried[use], aims[use])
            if self.numbers <= WHOLE:  # so short a search costs less than to ask what is wanted
                right = np.flatnonzero(found >= 0)
                found[right[~_these(wanted, tried[right], aims[right])]] = -1
            asked, searched_for, solved = (
                asked + len(use),
                searched_for + int(use.sum()),
                solved + int((found >= 0).sum()),
            )
            of_each = found.reshape(len(open), times)
            first = (of_each >= 0).argmax(axis=1)
            places[open] = of_each[np.arange(len(open)), first]
            hands[open] = tried.reshape(len(open), times, -1)[np.arange(len(open)), first]
        return [
            self._ask(tuple(hand), target, place, steps_at(tuple(hand), place))
            for hand, target, place in zip(hands.tolist(), targets.tolist(), places.tolist(), strict=True)
            if place >= 0
        ]

    def problem(self, prompt: str, thought: str = "", answer: str = "") -> Problem:
        """Numbers and target with commas, spaces, = or -> between them; the target may be left out if it is always one.

        The answer may have spaces, ×, ÷ and semicolons. A thought is made where none is given, unless it is a search
        and meets another solution than the answer given.  Raises: PuzzleError
        """
        hand, target = self._read(prompt)
        place, steps = solution(hand, target)
        if answer:
            typed = answer.translate(_TYPED) if len(answer) <= 4 * self.form.answer else answer
            found = self._steps(hand, target, typed)
            if isinstance(found, str):
                raise PuzzleError(f"the answer is wrong: {found}")
            steps = found
        elif not steps and not self.all_numbers:
            steps = _with_fewer(hand, target)
        if not steps:
            raise PuzzleError(f"{target} cannot be reached with {_listed(hand)} by natural numbers alone")
        made = self._ask(hand, target, place, steps)
        if thought:
            try:
                Characters(self.form.symbols, self.form.thought_symbols).encode(thought)
            except ValueError as error:
                raise PuzzleError(f"the thought cannot be written: {error}") from None
        given = _written(steps) if answer or thought else made.answer
        return made._replace(thought=thought or made.thought * (made.answer == given), answer=given)

    def keys(self, prompts: Sequence[str]) -> list[int]:
        return [content_key(",".join(map(str, _canonical(prompt)))) for prompt in prompts]

    def same(self, first: str, second: str) -> bool:
        return _canonical(first) == _canonical(second)

    def judge(self, problem: Problem, answer: str) -> Verdict:
        found = self._steps(*_parts(problem.prompt), answer)
        return Verdict(False, found) if isinstance(found, str) else Verdict(True, "")

    def paper_compat(self, problem: Problem, answer: str) -> Verdict:
        """The verdict of the papers' grader: every equation is true, and the last result is the target.

        Not checked: whether the numbers used are there, how often each is used, whether all are, and zeros in front.
        """
        if len(answer) > self.form.answer:
            return Verdict(False, f"at most {self.form.answer} characters expected, got {len(answer)}")
        target = _parts(problem.prompt)[1]
        steps = _equations(answer, leading_zeros=True)
        if isinstance(steps, str):
            return Verdict(False, steps)
        if steps[-1].result != target:
            return Verdict(False, f"the last result is {steps[-1].result}, not {target}")
        return Verdict(True, "")

    def _steps(self, hand: State, target: int, answer: str) -> list[Step] | str:
        """An answer's steps, or what is wrong with it."""
        if len(answer) > self.form.answer:
            return f"at most {self.form.answer} characters expected, got {len(answer)}"
        steps = _equations(answer, leading_zeros=False)
        if isinstance(steps, str):
            return steps
        left = hand
        for place, step in enumerate(steps, start=1):
            there = list(left)
            for number in (step.a, step.b):
                if number not in there:
                    return f"equation {place} uses {number} where {_listed(there) or 'nothing'} is left"
                there.remove(number)
            left = after(left, step)
        if left[-1] != target:
            return f"the last result is {left[-1]}, not {target}"
        if self.all_numbers and len(left) > 1:
            return f"all numbers are to be used, and {_listed(left[:-1])} is left over"
        return steps

    def _ask(self, hand: State, target: int, place: int, steps: list[Step]) -> Problem:
        if self.thought == "path":
            parts, left = [], hand
            for step in steps[:-1]:
                left = after(left, step)
                parts += [str(step), ",".join(map(str, left))]
            thought = LEFT.join([*parts, str(steps[-1])])
        else:
            thought, steps = searched(
                hand, target, steps, breadth=self.breadth, highest=self._highest, all_numbers=self.all_numbers
            )
        return Problem(_prompt(hand, target), thought, _written(steps), place if place >= 0 else ends_of(self.numbers))

    def _read(self, prompt: str) -> tuple[State, int]:
        """Raises: PuzzleError"""
        if len(prompt) > 4 * self.form.prompt + 40:
            raise PuzzleError(f"{len(prompt)} characters are too many for {self.numbers} numbers and a target")
        parts = _BETWEEN.split(prompt.strip())
        low, high = self.target
        if low == high and len(parts) == self.numbers:
            parts.append(str(low))
        if len(parts) != self.numbers + 1:
            raise PuzzleError(f"{self.numbers} numbers and a target expected, got {len(parts)} parts")
        found = []
        for place, part in enumerate(parts, start=1):
            what, least, most = ("number", 1, self.largest) if place <= self.numbers else ("target", low, high)
            value = natural(part)
            if value is None or not least <= value <= most:
                raise PuzzleError(f"part {place}, {part[:20]!r}, is not a {what} from {least} to {most}")
            found.append(value)
        return tuple(found[:-1]), found[-1]

    def _words(self, what: str, rows: int, columns: int) -> NDArray[np.uint64]:
        return random_words(content_key(f"{self.name}/{what}"), rows, columns)

    @cached_property
    def _targets(self) -> NDArray[np.int64]:
        return np.setdiff1d(np.arange(self.target[0], self.target[1] + 1), self.held_targets)

    @property
    def _highest(self) -> int:
        """Of a search's results: a larger one comes back to a target only by more than one number."""
        return self.target[1] * self.largest

    @cached_property
    def _widths(self) -> list[int]:
        """Most digits of a number made of 1, 2, ..., all of the given ones, in a right answer.

        With one number left to come, only a division by it, or a difference, brings a large number back.
        """
        last = [min(self.largest ** (self.numbers - 1), self._highest), self.target[1]]
        return [0, *(_digits(self.largest**size) for size in range(1, self.numbers - 1)), *map(_digits, last)]


def _equations(answer: str, leading_zeros: bool) -> list[Step] | str:
    """True equations, or which one is not one."""
    steps = []
    for place, text in enumerate(answer.split(","), start=1):
        found = _EQUATION.fullmatch(text)
        values = [natural(found[group], leading_zeros) for group in (1, 3, 4)] if found else [None]
        if found is None or None in values:
            return f"equation {place}, {text[:20]!r}, is not of the form 12+34=46"
        a, b, result = (value for value in values if value is not None)
        sign = found[2]
        if sign == "/":
            true = b > 0 and a == b * result
        else:
            true = result == (a + b if sign == "+" else a - b if sign == "-" else a * b)
        if not true:
            return f"equation {place}, {text[:20]!r}, is not true"
        steps.append(Step(a, sign, b, result))
    return steps


def _with_fewer(hand: State, target: int) -> list[Step]:
    """A solution with the most numbers that one has; none: no steps."""
    for size in range(len(hand) - 1, 1, -1):
        for part in combinations(hand, size):
            if steps := solution(part, target)[1]:
                return steps
    return []


def _parts(prompt: str) -> tuple[State, int]:
    *hand, target = map(int, prompt.split(","))
    return tuple(hand), target


def _prompt(hand: Sequence[int], target: int) -> str:
    return ",".join(map(str, (*hand, target)))


def _these(wanted: Wanted, hands: NDArray[np.int64], targets: NDArray[np.int64]) -> NDArray[np.bool_]:
    return wanted([_prompt(hand, target) for hand, target in zip(hands.tolist(), targets.tolist(), strict=True)])


def _canonical(prompt: str) -> list[int]:
    hand, target = _parts(prompt)
    return [*sorted(hand), target]


def _written(steps: Sequence[Step]) -> str:
    return ",".join(map(str, steps))


def _listed(numbers: Sequence[int]) -> str:
    return ", ".join(map(str, numbers))


def _digits(number: int) -> int:
    return len(str(number))


def _whole(values: object) -> list[int] | None:
    """A list's values; None where they are not whole numbers."""
    if not isinstance(values, list | tuple) or not all(type(value) is int for value in values):
        return None
    return list(values)


def _check(key: str, value: object, good: bool, what: str) -> None:
    if not good:
        raise ValueError(f"task.subject.{key}={value} must be {what}")
