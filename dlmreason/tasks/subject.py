"""What a kind of question is to the task that asks it: `Subject`, and the plain values that it hands out.

This file decides what has to be written for a new task: how problems are drawn, when two are the same, who is right,
and how the texts lie before a model. `written.Written` makes splits, sheets and verdicts of it. It knows no split, no
file and no model.
"""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from dlmreason.tasks.example import PuzzleError, Verdict
from dlmreason.tasks.steps import Steps
from dlmreason.tasks.vocabulary import Characters, Closed


class Problem(NamedTuple):
    """One question with one right answer; `thought` and `answer` are "" where nobody knows them."""

    prompt: str
    thought: str
    answer: str
    difficulty: int  # by the subject's own measure, higher is harder; -1: not measured
    notes: str = ""  # what the judge needs and no model sees


@dataclass(frozen=True)
class Symmetries:
    """What may be done to a problem without changing what it asks, in words.

    leakage: copies under these are one problem: `keys` is blind to them, and no two splits share one.
    augmentation: under these a problem becomes another one that may well be trained on, though its answer follows from
    the first one's; the reason why it is no leakage belongs to the words.
    """

    leakage: tuple[str, ...]
    augmentation: tuple[str, ...] = ()


@dataclass(frozen=True)
class Form:
    """How a subject's texts lie before a model; lengths are of the longest, in symbols.

    Without symbols of its own a subject's vocabulary is made of the training texts, and its lengths are measured.

    The prompt is encoded as it reads, with no features, or as `lay` has it. Feature column 0 is every task's own: k + 1
    for what belongs to place k of the answer, 0 for nothing; the subject may give it to symbols of the prompt too, such
    as a digit's weight. Columns 1 ... F are the subject's.
    """

    symbols: tuple[str, ...]  # of prompts and answers; single characters where not `spaced`
    prompt: int
    thought: int  # 0: there are no thoughts
    answer: int  # without the end of text
    ends: bool  # answers differ in length, so the model writes an end of text, and padding after it
    thought_symbols: tuple[str, ...] = ()  # that thoughts alone need
    spaced: bool = True  # texts are symbols joined by single spaces; False: by nothing
    feature_sizes: tuple[int, ...] = ()  # of columns 1 ... F, id 0 (none) included
    lay: Callable[[str], tuple[str, NDArray[np.int64]]] | None = None  # prompt -> text, features [symbols, 1 + F]
    thought_ends: tuple[str, ...] = ()  # what ends one thought of the chain, a symbol or a part of it; none: it is one
    unique: bool = False  # a problem has one right answer, so that each token of another one can be called wrong
    placed: bool = True  # False: column 0 says nothing of the answer's places, for answers longer than any in training
    steps: Steps | None = (
        None  # of thoughts; None: up to `thought_ends`, or else each symbol, decimal digits being values
    )


class Subject(Protocol):
    """One kind of question. All of it is a function of the constructor's arguments; nothing is remembered."""

    @property
    def name(self) -> str:
        """In records and figures; letters, digits, _ and -."""
        ...

    @property
    def version(self) -> int:
        """To be raised by any change that draws other problems from the same seed, or ends thoughts elsewhere."""
        ...

    @property
    def parameters(self) -> Mapping[str, str | int]:
        """The constructor's arguments, in plain values."""
        ...

    @property
    def form(self) -> Form: ...

    @property
    def symmetries(self) -> Symmetries: ...

    def draw(self, seed: int, count: int) -> Sequence[Problem]:
        """`count` problems or fewer (those that did not come out right are left out), a function of the arguments.

        Every answer is right, every thought is true and ends in the answer.
        """
        ...

    def problem(self, prompt: str, thought: str = "", answer: str = "") -> Problem:
        """A person's or a file's question, in the form that `draw` has; what is "" is found where that is cheap.

        Raises: PuzzleError with the reason and the place, also for an answer that is wrong.
        """
        ...

    def keys(self, prompts: Sequence[str]) -> Sequence[int]:
        """64-bit words without sign, equal for prompts that are copies under the leakage symmetries; an invariant."""
        ...

    def same(self, first: str, second: str) -> bool:
        """Whether two prompts with equal keys are copies: exact."""
        ...

    def judge(self, problem: Problem, answer: str) -> Verdict:
        """Strict, whatever the text, which may be long and hostile; never raises.

        Any right answer is right: of the problem, its known answer is used only where the prompt does not decide.
        """
        ...


Wanted = Callable[[Sequence[str]], NDArray[np.bool_]]
"""[n] prompts -> [n]: which of them are of use."""


def every(prompts: Sequence[str]) -> NDArray[np.bool_]:
    """All are wanted."""
    return np.ones(len(prompts), np.bool_)


class Sparing(Subject, Protocol):
    """A subject whose answers cost more than its prompts, so that it asks first which prompts are wanted: an evaluated
    split may use a quarter of them."""

    def draw_wanted(self, seed: int, count: int, wanted: Wanted) -> Sequence[Problem]:
        """As `draw`, of wanted prompts alone; what is wanted changes nothing else of how often a problem is drawn."""
        ...


def check_answer(subject: Subject, problem: Problem, answer: str) -> None:
    """Raises: PuzzleError for a given answer that is wrong; "" is none."""
    if answer and not (verdict := subject.judge(problem, answer)).correct:
        raise PuzzleError(f"the answer is wrong: {verdict.reason}")


def check_thought(form: Form, thought: str) -> None:
    """Raises: PuzzleError for a given thought with a symbol that the form's alphabet lacks."""
    try:
        (Closed if form.spaced else Characters)(form.symbols, form.thought_symbols).encode(thought)
    except ValueError as error:
        raise PuzzleError(f"the thought cannot be written: {str(error)[:200]}") from None


def in_rounds(draw: Callable[[int, int], Sequence[Problem]], count: int, rounds: int) -> list[Problem]:
    """`count` problems, or as many as `draw(round, missing)` gives in so many rounds."""
    problems: list[Problem] = []
    for attempt in range(rounds):
        missing = count - len(problems)
        if missing > 0:
            problems += draw(attempt, missing)
    return problems[:count]


def content_key(text: str) -> int:
    """64 bits of a text's hash: the key of a prompt's canonical form."""
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest())


def copies(subject: Subject, first: Sequence[str], second: Sequence[str]) -> list[tuple[int, int]]:
    """Every pair (i, j) such that prompts first[i] and second[j] are copies of each other: by key, then exactly."""
    where: dict[int, list[int]] = {}
    for index, key in enumerate(subject.keys(second)):
        where.setdefault(key, []).append(index)
    return [
        (index, other)
        for index, key in enumerate(subject.keys(first))
        for other in where.get(key, [])
        if subject.same(first[index], second[other])
    ]
