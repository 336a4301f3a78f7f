"""What every task hands out: an example, how it lies before a model, and the verdict on an answer.

This file decides the shape of examples, sheets and verdicts, how items are seeded and which split a piece of content
belongs to. It knows no task, no network and no torch.
"""

import hashlib
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

SPLITS = ("train", "validation", "test")


class PuzzleError(ValueError):
    """A puzzle that cannot be asked; `reason` says why in words, with the place."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class FileError(ValueError):
    """A line of a puzzle file that cannot be used: "path:line: reason", lines counted from 1."""

    def __init__(self, path: str, line: int, reason: str) -> None:
        super().__init__(f"{path}:{line}: {reason}")
        self.path, self.line, self.reason = path, line, reason


@dataclass(frozen=True, slots=True)
class Example:
    """One item: what is asked, a chain of thought, one right answer, and how hard it is by the task's own measure.

    Texts of a closed alphabet are symbols joined by single spaces. `answer` and `thought` are "" where nobody knows
    them.
    """

    id: str
    prompt: str
    thought: str
    answer: str
    difficulty: int
    notes: str = ""  # what the judge needs and no model sees


class Verdict(NamedTuple):
    """Right or wrong, and if wrong the reason in words with the place; no partial credit."""

    correct: bool
    reason: str  # "" when correct


@dataclass(frozen=True, slots=True, eq=False)
class Sheet:
    """How an example lies before a model; `decode(tokens[answer_at:])` is the answer's text."""

    tokens: NDArray[np.int64]  # [L]; the gold answer where it is known, else mask_id
    editable: NDArray[np.bool_]  # [L]; True where a model writes
    features: NDArray[np.int64]  # [L, F]; one id per feature column, 0 = none
    answer_at: int
    thoughts: NDArray[
        np.int64
    ]  # [L]; which thought a position that a model writes is of, from 0; the answer is the last

    def with_room(self, room: int, pad_id: int) -> "Sheet":
        """The thought filled up to `room` tokens by padding before the marker, which a model writes too.

        For a model that writes all positions at once: the answer lies where nothing tells how long the thought is.
        """
        marker = self.answer_at - 1
        missing = room - (marker - int(self.editable.argmax()))
        return Sheet(
            np.insert(self.tokens, marker, [pad_id] * missing),
            np.insert(self.editable, marker, [True] * missing),
            np.insert(self.features, marker, np.zeros((missing, 1), np.int64), axis=0),
            self.answer_at + missing,
            np.insert(self.thoughts, marker, [self.thoughts[marker]] * missing),
        )

    def with_prompt(self, length: int, pad_id: int) -> "Sheet":
        """What is given filled up to `length` tokens by padding behind the prompt, which is given too; a marker that is
        given stays the last.

        For a model that reads the prompt alone and once: what it writes begins at one place, whatever it is asked.
        Raises: ValueError where it writes into the prompt, or there is more given than that.
        """
        written = int(self.editable.argmax())
        missing, end = length - written, min(written, self.answer_at - 1)
        if end < 0 or missing < 0:
            what = "written into its prompt" if end < 0 else f"given {written} tokens"
            raise ValueError(
                f"a sheet that is {what} cannot be filled up to a prompt of {length}: lay the answer out after the "
                "prompt, and give at least the task's longest prompt, and its marker where that is given"
            )
        return Sheet(
            np.insert(self.tokens, end, [pad_id] * missing),
            np.insert(self.editable, end, [False] * missing),
            np.insert(self.features, end, np.zeros((missing, 1), np.int64), axis=0),
            self.answer_at + missing,
            np.insert(self.thoughts, end, [self.thoughts[end]] * missing),
        )


@dataclass(frozen=True, slots=True)
class Layout:
    """How positions first ... first + rows * columns - 1 of the diffusion sheet lie before a person; a line has one
    row.
    """

    rows: int
    columns: int
    box_rows: int
    box_columns: int
    first: int


def thoughts_of(ends: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Which thought each position is of, from 0; an end is of the thought that it ends, and a run of ends is one.

    ends: [L] bool.  Returns [L].
    """
    last = ends & ~np.append(ends[1:], False)
    return np.cumsum(last) - last


def example_seed(task: str, split: str, seed: int, index: int) -> int:
    """A 64-bit seed that no other (task, split, seed, index) shares in practice."""
    key = f"{task}/{split}/{seed}/{index}".encode()
    return int.from_bytes(hashlib.blake2b(key, digest_size=8).digest())


def split_of(key: NDArray[np.uint64]) -> NDArray[np.int64]:
    """Which split may hold content with this 64-bit key: an index into SPLITS; half train, a quarter each of the
    others.

    Content decides its own split, so two splits share nothing whatever their sizes and seeds. A key that is equal for
    all symmetric copies keeps these together too.
    """
    quarter = (mix(key ^ np.uint64(0x5BD1E995)) >> np.uint64(62)).astype(np.int64)
    return np.maximum(quarter - 1, 0)


def mix(words: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """A bijection of 64-bit words that scatters them [the finaliser of SplitMix64, doi:10.1145/2660193.2660195]."""
    words = (words ^ (words >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    words = (words ^ (words >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return words ^ (words >> np.uint64(31))


def random_words(seed: int, rows: int, columns: int) -> NDArray[np.uint64]:
    """[rows, columns] random 64-bit words: a pure function of (seed, row, column), the same for every numpy."""
    counter = np.arange(1, rows * columns + 1, dtype=np.uint64).reshape(rows, columns)
    return mix(np.uint64(seed) + counter * np.uint64(0x9E3779B97F4A7C15))


def random_orders(seed: int, rows: int, columns: int) -> NDArray[np.int64]:
    """[rows, columns] each row a random order of 0 ... columns - 1."""
    return np.argsort(random_words(seed, rows, columns), axis=1, kind="stable")
