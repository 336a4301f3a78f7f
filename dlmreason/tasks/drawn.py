"""A split of a subject's problems, drawn when they are looked at.

This file decides which draws a split keeps: those whose content belongs to it and is not to be avoided, and of the
evaluated ones each only once. It knows no file and no sheet.
"""

from collections.abc import Collection, Sequence
from typing import overload

import numpy as np
from numpy.typing import NDArray

from dlmreason.tasks.example import SPLITS, example_seed, split_of
from dlmreason.tasks.subject import Problem, Subject

FIRST_BLOCK, LARGEST_BLOCK = 16, 512
"""Problems of the first call of `draw`, and of the later ones: doubling, so that a slow subject shows one soon."""

FRUITLESS = 64
"""Calls of `draw` without a problem to keep after which a split is given up."""


class Drawn(Sequence[Problem]):
    """`count` problems of one split; a function of (subject, split, seed, avoid), the same in every process.

    A problem's content decides its split, copies under the leakage symmetries being one content, so that no two splits
    share one. avoid: keys that the split must not hold, such as those of a file's test problems.
    Raises: ValueError where the subject draws too few different problems.
    """

    def __init__(self, subject: Subject, split: str, seed: int, count: int, avoid: Collection[int] = ()) -> None:
        self.subject, self.split, self.seed, self.size, self.avoid = subject, split, seed, count, frozenset(avoid)
        self._kept: list[Problem] = []
        self._seen: set[int] = set()
        self._blocks = 0

    def __len__(self) -> int:
        return self.size

    @overload
    def __getitem__(self, index: int) -> Problem: ...
    @overload
    def __getitem__(self, index: slice) -> list[Problem]: ...
    def __getitem__(self, index: int | slice) -> Problem | list[Problem]:
        if isinstance(index, slice):
            return [self[each] for each in range(*index.indices(self.size))]
        index = range(self.size)[index]
        self._grow(index + 1)
        return self._kept[index]

    def _grow(self, count: int) -> None:
        fruitless = 0
        while len(self._kept) < count:
            before, size = len(self._kept), min(FIRST_BLOCK << min(self._blocks, 16), LARGEST_BLOCK)
            seed = example_seed(self.subject.name, f"{self.split}/draw", self.seed, self._blocks)
            self._blocks += 1
            problems = self._draw(seed, size)
            keys = self.subject.keys([problem.prompt for problem in problems])
            for problem, key, mine in zip(problems, keys, self._mine(keys).tolist(), strict=True):
                if not mine or key in self.avoid or key in self._seen:
                    continue
                if self.split != "train":
                    self._seen.add(key)
                self._kept.append(problem)
            fruitless = 0 if len(self._kept) > before else fruitless + 1
            if fruitless == FRUITLESS:
                if not before:
                    raise ValueError(
                        f"task.train_file=null: {self.subject.name} draws no {self.split} problems: name a "
                        f"file with task.train_file=, or use source=hub where there is one"
                    )
                raise ValueError(
                    f"task.{self.split}_examples={self.size}: {self.subject.name} gave only {before} different "
                    f"{self.split} problems: lower it to {before}, or widen task.subject"
                )

    def _draw(self, seed: int, size: int) -> Sequence[Problem]:
        draw_wanted = getattr(self.subject, "draw_wanted", None)  # of `Sparing`
        if draw_wanted is None:
            return self.subject.draw(seed, size)
        return draw_wanted(seed, size, lambda prompts: self._mine(self.subject.keys(prompts)))

    def _mine(self, keys: Sequence[int]) -> NDArray[np.bool_]:
        return split_of(np.array(keys, np.uint64)) == SPLITS.index(self.split)
