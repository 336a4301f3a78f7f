"""What an arm is to the evaluation, and how examples become rows of numbers.

This file decides what an attempt at a budget says; it knows neither kind of arm.
"""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch
from torch import Tensor

from dlmreason.sampling.state import Rows

ANSWER = ""
LAST = "last"
"""Variants of an attempt: the answer given; the last canvas, where the answer given is the best one so far."""


class Example(Protocol):
    """As `tasks.example.Example`."""

    @property
    def id(self) -> str: ...
    @property
    def difficulty(self) -> int: ...


class Sheet(Protocol):
    """As `tasks.example.Sheet`: numpy arrays of one example."""

    @property
    def tokens(self) -> Any: ...
    @property
    def editable(self) -> Any: ...
    @property
    def features(self) -> Any: ...
    @property
    def answer_at(self) -> int: ...
    def with_room(self, room: int, pad_id: int) -> Any: ...
    def with_prompt(self, length: int, pad_id: int) -> Any: ...


class Vocabulary(Protocol):
    """As `tasks.vocabulary.Vocabulary`."""

    @property
    def mask_id(self) -> int: ...
    @property
    def pad_id(self) -> int: ...
    @property
    def eos_id(self) -> int: ...
    def decode(self, ids: Sequence[int]) -> str: ...


class Task(Protocol):
    """What the evaluation asks of a task; `tasks.task.Task` has more."""

    @property
    def name(self) -> str: ...
    @property
    def in_place(self) -> bool: ...
    @property
    def prompt_length(self) -> int: ...
    @property
    def answer_length(self) -> int: ...
    @property
    def answers_end(self) -> bool: ...
    def vocabulary(self, thought: bool) -> Any: ...
    def length(self, *, in_place: bool, thought: bool) -> int: ...
    def sheet(self, example: Any, *, in_place: bool, thought: bool) -> Any: ...
    def answer_features(self) -> Any: ...
    def verify(self, example: Any, answer: str) -> Any: ...


class Attempt(NamedTuple):
    """What an arm answered to one example at one rung, and what it spent by then."""

    example: Example
    variant: str  # ANSWER, LAST, or the rule by which the answer was chosen; a part of the arm's name in the records
    rung: int  # passes of the diffusion arm, or what their FLOPs buy
    answer: str
    nfe: int
    scheduled_passes: int
    sequential_depth: int
    flops: int
    events: dict[str, int]
    score: float | None
    settled: bool
    thought: str | None = None  # what was written before the answer, where that is kept


class Arm(Protocol):
    """Answers examples at every rung of a ladder that it can afford."""

    name: str

    @property
    def variants(self) -> Sequence[str]:
        """Of the attempts at each rung; ANSWER alone as a rule."""
        ...

    def attempts(self, examples: Sequence[Example], ladder: tuple[int, ...], seed: int) -> Iterator[list[Attempt]]:
        """All attempts at one example together, examples in the order in which they finish."""
        ...


def noise_id(task: str, example: str) -> int:
    """The signed 64-bit word that an example's noise is a function of."""
    digest = hashlib.blake2b(f"{task}/{example}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, signed=True)


def canvas_length(task: Task, thought: bool) -> int:
    """Positions of the diffusion arm's longest sheet."""
    return task.length(in_place=task.in_place and not thought, thought=thought)


def prompt_positions(task: Task, thought: bool) -> int:
    """Positions of the longest prompt of a canvas that is not in place, the marker included where it is given."""
    return task.prompt_length + (not thought)


def canvas_sheet(task: Task, example: Any, thought: bool, prompt: int = 0) -> Sheet:
    """An example as the diffusion arm has it: with room for the longest thought, or in place where the task writes so.

    How long the known thought is would say how hard the example is, and where its answer lies. prompt: of the network,
    which reads so many positions alone; 0 for none. Raises: ValueError for a prompt that does not fit the sheet.
    """
    vocabulary = task.vocabulary(thought)
    sheet = task.sheet(example, in_place=task.in_place and not thought, thought=thought)
    if thought:
        room = task.length(in_place=False, thought=True) - task.length(in_place=False, thought=False)
        sheet = sheet.with_room(room, vocabulary.pad_id)
    return sheet.with_prompt(prompt, vocabulary.pad_id) if prompt else sheet


def known_lengths(sheet: Sheet, pad_id: int) -> tuple[int, int]:
    """Tokens of an example's prompt, and of the known chain behind it."""
    editable = np.asarray(sheet.editable)
    return int((~editable).sum()), int((editable & (sheet.tokens != pad_id)).sum())


def rows_of(
    task: Task, examples: Sequence[Example], device: torch.device, thought: bool = False, prompt: int = 0
) -> Rows:
    """Examples as the diffusion arm's rows, padded to the task's longest sheet; padding is given, and has no features.
    prompt: as in `canvas_sheet`."""
    vocabulary = task.vocabulary(thought)
    length = canvas_length(task, thought)
    sheets = [canvas_sheet(task, example, thought, prompt) for example in examples]
    columns = sheets[0].features.shape[1] if sheets else 0
    tokens = np.full((len(sheets), length), vocabulary.pad_id, dtype=np.int64)
    editable = np.zeros((len(sheets), length), dtype=bool)
    features = np.zeros((len(sheets), length, columns), dtype=np.int64)
    for row, sheet in enumerate(sheets):
        tokens[row, : len(sheet.tokens)] = sheet.tokens
        editable[row, : len(sheet.tokens)] = sheet.editable
        features[row, : len(sheet.tokens)] = sheet.features
    ids = torch.tensor([noise_id(task.name, example.id) for example in examples], dtype=torch.int64)
    gold = torch.from_numpy(tokens)
    rows = Rows(ids, gold, torch.from_numpy(editable), torch.from_numpy(features), gold.clone())
    return Rows(*(tensor.to(device) for tensor in rows))


def answer_text(vocabulary: Vocabulary, tokens: Tensor | Sequence[int]) -> str:
    """The text of an answer's tokens, up to the end of text or padding; a blank shows as the mask's symbol."""
    ids = tokens.tolist() if isinstance(tokens, Tensor) else list(tokens)
    ends = [ids.index(stop) for stop in (vocabulary.eos_id, vocabulary.pad_id) if stop in ids]
    return vocabulary.decode(ids[: min(ends)] if ends else ids)


def judge_of(
    task: Task, examples: Sequence[Example], answer_at: Sequence[int], thought: bool
) -> Callable[[Tensor, Tensor], Tensor]:
    """A task's judge of full canvases: of which examples [B] int64, and a canvas of each [B, L] -> [B] bool.

    answer_at: where each example's answer begins on its sheet; a thought before it is not looked at.
    """
    vocabulary = task.vocabulary(thought)

    def judge(which: Tensor, canvases: Tensor) -> Tensor:
        said = [
            task.verify(examples[row], answer_text(vocabulary, canvas[answer_at[row] :])).correct
            for row, canvas in zip(which.tolist(), canvases.tolist(), strict=True)
        ]
        return torch.tensor(said, dtype=torch.bool, device=canvases.device)

    return judge
