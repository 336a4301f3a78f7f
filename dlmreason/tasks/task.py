"""What a task is to everyone else.

This file decides which questions may be asked of a task. It knows no task, no model and no torch.
"""

from collections.abc import Mapping, Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from dlmreason.tasks.example import Example, Layout, Sheet, Verdict
from dlmreason.tasks.subject import Symmetries
from dlmreason.tasks.vocabulary import Vocabulary


class Task(Protocol):
    """Items, how they lie before a model, and the only judge of answers."""

    @property
    def name(self) -> str: ...

    @property
    def in_place(self) -> bool:
        """The diffusion arm writes into the prompt; False: after it."""
        ...

    @property
    def feature_sizes(self) -> tuple[int, ...]:
        """Ids of each feature column, id 0 (none) included: the same for every sheet of the task."""
        ...

    @property
    def prompt_length(self) -> int:
        """Positions of the longest prompt in the form after the prompt."""
        ...

    @property
    def answer_length(self) -> int:
        """Positions of an answer, its end of text included."""
        ...

    @property
    def answers_end(self) -> bool:
        """Answers differ in length: a model writes an end of text, and the diffusion arm padding after it."""
        ...

    @property
    def unique(self) -> bool:
        """A question has one right answer, so that each token of another one can be called wrong."""
        ...

    @property
    def symmetries(self) -> Symmetries: ...

    @property
    def layout(self) -> Layout: ...

    @property
    def provenance(self) -> Mapping[str, str | int]:
        """Where the items come from, in plain values: enough to make or find the same ones again."""
        ...

    def vocabulary(self, thought: bool) -> Vocabulary:
        """The alphabet; thought=False leaves out symbols that only thoughts need, for a smaller output layer."""
        ...

    def length(self, *, in_place: bool, thought: bool) -> int:
        """Positions of the longest sheet of that form among the task's items."""
        ...

    def examples(self, split: str) -> Sequence[Example]:
        """The items of train, validation or test: lazy, and the same in every process."""
        ...

    def example(self, puzzle: str) -> Example:
        """A person's puzzle as an item.

        Raises: PuzzleError with the reason.
        """
        ...

    def sheet(self, example: Example, *, in_place: bool, thought: bool) -> Sheet:
        """The item before a model: written into the prompt, or prompt | thought | #### | answer.

        The marker is given when there is no thought, and written by the model when there is one.
        """
        ...

    def answer_features(self) -> NDArray[np.int64]:
        """[answer_length, F]: features of the answer's positions in the form after the prompt."""
        ...

    def verify(self, example: Example, answer: str) -> Verdict:
        """Whether a text is a right answer; never raises, whatever the text."""
        ...
