"""The splits that are read from files or a hub.

This file decides what becomes of rows: which are questions, which split they belong to where no file says so, and that
no copy of an evaluated question is trained on. It knows no vocabulary and no canvas.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from dlmreason.tasks.example import PuzzleError, mix
from dlmreason.tasks.rows import Row, RowFile
from dlmreason.tasks.subject import Problem, Subject


class Question(NamedTuple):
    """A problem, and the row that it comes from."""

    problem: Problem
    key: int
    row: Row
    file: RowFile


@dataclass
class Questions:
    """Questions by split; a split that is not here has to be drawn."""

    splits: dict[str, list[Question]]
    files: Sequence[RowFile]
    remarks: list[str]  # sentences for a person

    def keys(self, splits: Iterable[str]) -> set[int]:
        return {question.key for split in splits for question in self.splits.get(split, ())}

    def settle(self, misfit: Callable[[Problem], str], on_error: str) -> list[str]:
        """Takes out the questions that do not fit. Returns "path:line: reason" of every row that was left out.

        Raises: FileError at the earliest bad row, with on_error "stop".
        """
        for split, questions in self.splits.items():
            kept = []
            for question in questions:
                if reason := misfit(question.problem):
                    question.file.refuse(question.row, reason)
                else:
                    kept.append(question)
            self.splits[split] = kept
        return [line for file in self.files for line in file.settle(on_error)]


def questions(subject: Subject, files: Mapping[str, RowFile], counts: Mapping[str, int]) -> Questions:
    """Every split that can be had from the files by split, `counts` items at most of the evaluated ones.

    Where a training file is all there is, the other splits are the first of its contents in the order of their hash.
    """
    found = Questions({split: _asked(subject, file) for split, file in files.items()}, list(files.values()), [])
    splits = found.splits
    if "train" in splits:
        scattered = mix(np.array([each.key for each in splits["train"]], np.uint64))
        rest = [splits["train"][row] for row in np.argsort(scattered, kind="stable").tolist()]
        for split in ("test", "validation"):
            if split not in splits:
                splits[split], rest = _first_contents(rest, counts[split])
        splits["train"] = sorted(rest, key=lambda question: (question.row.path, question.row.line))
    for split, others in (("validation", ["test"]), ("train", ["test", "validation"])):
        if split in splits:
            evaluated = found.keys(others)
            apart = [question for question in splits[split] if question.key not in evaluated]
            if left := len(splits[split]) - len(apart):
                found.remarks.append(
                    f"{split}: {left:,} rows are copies of {' or '.join(others)} items and were left out"
                )
            splits[split] = apart
    return found


def _asked(subject: Subject, file: RowFile) -> list[Question]:
    """The rows that are problems; the file is told of the others."""
    problems: list[tuple[Problem, Row]] = []
    for row in file.rows:
        try:
            problems.append((subject.problem(row.prompt, row.thought, row.answer), row))
        except PuzzleError as error:
            file.refuse(row, error.reason)
    keys = subject.keys([problem.prompt for problem, _ in problems])
    return [Question(problem, key, row, file) for (problem, row), key in zip(problems, keys, strict=True)]


def _first_contents(rows: Sequence[Question], count: int) -> tuple[list[Question], list[Question]]:
    """The first `count` questions with different contents, one of each; and the questions of other contents."""
    taken: dict[int, Question] = {}
    for question in rows:
        if len(taken) == count:
            break
        taken.setdefault(question.key, question)
    return list(taken.values()), [question for question in rows if question.key not in taken]
