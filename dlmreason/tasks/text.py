"""Questions of a file that need no code: prompts, thoughts and answers as they are written there.

This file decides when such an answer is right: "exact", the same text, white space around it aside; or "number", the
same number. It draws nothing and works nothing out. Its vocabulary is made of the training texts, and the lengths are
measured. Difficulty is not measured.

A number is ASCII digits with a point or commas between thousands as it may be, a sign, and a dollar sign, and a point
may end it: 1,234 and $1234.00 and 1234. are one number. It is compared as an exact fraction and never evaluated: 2*9,
18/1 and 1e3 are no numbers, and neither are 5% and 5 eggs, which may be another one.

Copies, and thus leakage: the same prompt with other white space, or other upper and lower case.
"""

import re
from collections.abc import Mapping, Sequence
from fractions import Fraction

from dlmreason.tasks.example import PuzzleError, Verdict
from dlmreason.tasks.numbers import MOST_DIGITS, decimal
from dlmreason.tasks.subject import Form, Problem, Symmetries, content_key

JUDGES = ("exact", "number")
MEASURED = Form(symbols=(), prompt=0, thought=0, answer=0, ends=True, spaced=False, thought_ends=("\n",))
"""No alphabet and no lengths; no right answer is the only one, for a text may be cut into tokens in several ways."""

_NAME = re.compile("[A-Za-z0-9_-]{1,64}", re.ASCII)
_DOLLAR = re.compile(r"^([-+]?)\$")


class Text:
    """Texts of a file; judge: "exact" or "number"."""

    version = 1
    form = MEASURED
    symmetries = Symmetries(leakage=("white space", "upper and lower case"))

    def __init__(self, *, name: str = "text", judge: str = "exact") -> None:
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            raise ValueError(f"task.subject.name={name} must be letters, digits, _ and -, 64 at most: it names folders")
        if judge not in JUDGES:
            raise ValueError(f"task.subject.judge={judge} must be {' or '.join(JUDGES)}: how are answers compared?")
        self.name, self._judge = name, judge

    @property
    def parameters(self) -> Mapping[str, str | int]:
        return {"name": self.name, "judge": self._judge}

    def draw(self, seed: int, count: int) -> list[Problem]:
        """None: there are only the files'."""
        return []

    def problem(self, prompt: str, thought: str = "", answer: str = "") -> Problem:
        """The texts as they are. Raises: PuzzleError"""
        check_texts(prompt, thought, answer)
        if self._judge == "number" and answer and number(answer) is None:
            raise PuzzleError(f"the answer {answer[:20]!r} is no number, and task.subject.judge=number compares these")
        return Problem(prompt, thought, answer, -1)

    def keys(self, prompts: Sequence[str]) -> list[int]:
        return [content_key(_canonical(prompt)) for prompt in prompts]

    def same(self, first: str, second: str) -> bool:
        return _canonical(first) == _canonical(second)

    def judge(self, problem: Problem, answer: str) -> Verdict:
        if self._judge == "number":
            return judge_number(problem.answer, answer)
        if not problem.answer.strip():
            return Verdict(False, "no right answer is known")
        if len(answer) > 2 * len(problem.answer) + 100:
            return Verdict(False, f"{len(answer)} characters are too many")
        given, gold = answer.strip(), problem.answer.strip()
        if given == gold:
            return Verdict(True, "")
        pairs = enumerate(zip(given, gold, strict=False))
        at = next((at for at, (one, other) in pairs if one != other), min(len(given), len(gold)))
        return Verdict(False, f"{given[at : at + 12]!r} at character {at + 1}, where {gold[at : at + 12]!r} is right")


def check_texts(prompt: str, thought: str, answer: str) -> None:
    """Raises: PuzzleError for an empty prompt, and for a text that UTF-8 cannot hold."""
    if not prompt.strip():
        raise PuzzleError("the prompt is empty")
    for part, text in (("prompt", prompt), ("thought", thought), ("answer", answer)):
        try:
            text.encode()
        except UnicodeEncodeError as error:
            raise PuzzleError(f"the {part} has an unpaired surrogate at character {error.start + 1}") from None


def number(text: str) -> Fraction | None:
    """The number that a text is, by this file's rule; None for any other text."""
    if len(text) > 4 * MOST_DIGITS:
        return None
    return decimal(_DOLLAR.sub(r"\1", text.strip()))


def judge_number(gold: str, answer: str) -> Verdict:
    """Whether the answer is the same number."""
    if (right := number(gold)) is None:
        return Verdict(False, "no right answer is known")
    if (given := number(answer)) is None:
        return Verdict(False, f"{answer[:20]!r} is no number")
    return Verdict(True, "") if given == right else Verdict(False, f"{answer.strip()[:20]} is not {gold.strip()[:20]}")


def _canonical(prompt: str) -> str:
    return " ".join(prompt.casefold().split())
