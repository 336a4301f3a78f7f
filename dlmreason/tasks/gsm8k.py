"""GSM8K: grade-school word problems whose answer is a number [arXiv:2110.14168].

This file decides what of a solution is the thought, which questions are copies, and when an answer is right. It draws
nothing: questions are read from files or from the hub (openai/gsm8k, config main). Prompt: the question. Answer: the
number, without commas. Thought, by `form`:

text       the solution less its calculator notes: "Natalia sold 48/2 = 24 clips in May."
equations  the calculator notes alone: "<<48/2=24>> <<48+24=72>>", as in the data of implicit chain of thought
           [arXiv:2311.01460]; "" where a solution has none

Difficulty: the calculator notes of the thought given, -1 where it has none. Answers are compared as exact numbers, by
the rule of text.py. The test and train files have no copies in common; the 500 validation items of implicit chain of
thought are train items.

Copies, and thus leakage: the same question with other white space, punctuation (signs of arithmetic and decimal points
are none), upper and lower case, or commas in its numbers. The same story with other numbers is another question: its
answer has to be worked out anew.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from fractions import Fraction

from dlmreason.tasks.example import PuzzleError, Verdict
from dlmreason.tasks.numbers import decimal
from dlmreason.tasks.subject import Problem, Symmetries, content_key
from dlmreason.tasks.text import MEASURED, check_texts, judge_number, number

FORMS = ("text", "equations")
LONGEST = 1000
"""Characters of an expression whose value is worked out."""

_NOTE = re.compile(r"<<([^<>]*)>>")
_NUMBER = re.compile(r"-?(?:[0-9][0-9,]*(?:\.[0-9]+)?|\.[0-9]+)", re.ASCII)
_PART = re.compile(r"[0-9.,]+|//|\S", re.ASCII)
_RANK = {"+": 1, "-": 1, "*": 2, "/": 2, "//": 2, "minus": 3}
_THOUSANDS = re.compile(r"(?<=[0-9]),(?=[0-9]{3})", re.ASCII)
_BETWEEN = re.compile(r"(?:(?![-.][0-9]|[+*/%=<>])[\W_])+")
_LENIENT = re.compile(r"-?[$0-9.,]{2,}|-?[0-9]+", re.ASCII)


class GSM8K:
    """Word problems; form: what a thought is, "text" or "equations"."""

    version = 1
    symmetries = Symmetries(
        leakage=("white space", "punctuation", "upper and lower case", "commas in numbers"),
        augmentation=("the same story with other names or numbers: the answer has to be worked out anew",),
    )

    def __init__(self, *, form: str = "text") -> None:
        if form not in FORMS:
            raise ValueError(f"task.subject.form={form} must be {' or '.join(FORMS)}: what is a thought made of?")
        self._thoughts = form
        self.form = MEASURED if form == "text" else replace(MEASURED, thought_ends=(">",))
        self.name = "gsm8k" if form == "text" else "gsm8k_equations"

    @property
    def parameters(self) -> Mapping[str, str | int]:
        return {"form": self._thoughts}

    def draw(self, seed: int, count: int) -> list[Problem]:
        """None: there are only the files'."""
        return []

    def problem(self, prompt: str, thought: str = "", answer: str = "") -> Problem:
        """A question; the thought may be a solution with calculator notes, or be in this subject's form.

        Raises: PuzzleError
        """
        check_texts(prompt, thought, answer)
        if answer and number(answer) is None:
            raise PuzzleError(f"the answer {answer[:20]!r} is no number")
        notes = _NOTE.findall(thought)
        if self._thoughts == "equations":
            made = " ".join(f"<<{note}>>" for note in notes)
        else:
            made = _NOTE.sub("", thought).strip()
            if notes and not made:
                raise PuzzleError("the thought is equations alone: use task.subject.form=equations")
        return Problem(prompt, made, answer.replace(",", ""), len(notes) or -1)

    def keys(self, prompts: Sequence[str]) -> list[int]:
        return [content_key(_canonical(prompt)) for prompt in prompts]

    def same(self, first: str, second: str) -> bool:
        return _canonical(first) == _canonical(second)

    def judge(self, problem: Problem, answer: str) -> Verdict:
        return judge_number(problem.answer, answer)

    def paper_compat(self, problem: Problem, answer: str) -> Verdict:
        """As "flexible-extract" of EleutherAI/lm-evaluation-harness has it: the last number of the text is compared,
        letter by letter, commas, dollar signs and a last point aside."""
        found = _LENIENT.findall(answer)
        given, gold = (re.sub(r"[,$]|\.$", "", text) for text in (found[-1] if found else "", problem.answer))
        return Verdict(True, "") if given == gold else Verdict(False, f"the last number is {given[:20]!r}")


def ends_in_answer(problem: Problem) -> bool:
    """The last number of the thought is the answer; in equations that is the last one's right side."""
    found = _NUMBER.findall(problem.thought)
    return bool(found) and number(found[-1].rstrip(",")) == number(problem.answer)


def equations_true(problem: Problem, tolerance: float = 0) -> bool:
    """Every calculator note of the thought holds, exactly or to `tolerance`; so it does where there are none."""
    return all((off := gap(note)) is not None and off <= Fraction(tolerance) for note in _NOTE.findall(problem.thought))


def gap(equation: str) -> Fraction | None:
    """How far apart the sides of "48/2=24" are, exactly; None for what is no equation of two expressions."""
    sides = [value(side) for side in equation.split("=")]
    if len(sides) != 2 or sides[0] is None or sides[1] is None:
        return None
    return abs(sides[0] - sides[1])


def value(expression: str) -> Fraction | None:
    """The exact value of numbers joined by + - * / // and parentheses, % behind one being a hundredth; else None.

    It is worked out on two stacks, so no nesting is too deep, and nothing can grow beyond its number of digits.
    """
    if len(expression) > LONGEST:
        return None
    values: list[Fraction] = []
    waiting: list[str] = []

    def settle(rank: int) -> bool:
        """Work out what waits and binds at least as strongly as `rank`. False: a division by zero."""
        while waiting and _RANK.get(waiting[-1], 0) >= rank:
            sign, right = waiting.pop(), values.pop()
            if sign == "minus":
                values.append(-right)
                continue
            left = values.pop()
            if sign in ("/", "//"):
                if not right:
                    return False
                values.append(left / right if sign == "/" else Fraction(left // right))
            else:
                values.append(left + right if sign == "+" else left - right if sign == "-" else left * right)
        return True

    wanted = True  # a number, and not a sign between two
    for part in _PART.findall(expression):
        if wanted:
            if part in "(-":
                waiting.append("minus" if part == "-" else "(")
            elif (found := decimal(part)) is not None:
                values.append(found)
                wanted = False
            elif part != "+":
                return None
        elif part == "%":
            values[-1] /= 100
        elif part == ")":
            if not settle(1) or not waiting:
                return None
            waiting.pop()
        elif part not in _RANK or not settle(_RANK[part]):
            return None
        else:
            waiting.append(part)
            wanted = True
    return values[0] if not wanted and settle(1) and not waiting else None


def _canonical(prompt: str) -> str:
    return _BETWEEN.sub(" ", _THOUSANDS.sub("", prompt.casefold())).strip()
