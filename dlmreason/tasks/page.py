"""How prompts, thoughts and answers lie before a model when the answer is written after the prompt.

This file decides positions and features, and what does not fit. It knows no subject and no split.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from dlmreason.tasks.example import Example, Sheet, thoughts_of
from dlmreason.tasks.subject import Form, Problem
from dlmreason.tasks.vocabulary import Vocabulary

PARTS = ("prompt", "thought", "answer")


@dataclass(frozen=True)
class Page:
    """A canvas with room for the longest prompt, thought and answer.

    vocabularies: without and with the symbols that thoughts alone need.  prompt, thought, answer: most tokens of each;
    the answer's without its end of text.
    """

    form: Form
    vocabularies: tuple[Vocabulary, Vocabulary]
    prompt: int
    thought: int
    answer: int

    @property
    def answer_length(self) -> int:
        """Positions of an answer, its end of text included."""
        return self.answer + self.form.ends

    @property
    def feature_sizes(self) -> tuple[int, ...]:
        return (self.answer_length + 1, *self.form.feature_sizes)

    def length(self, thought: bool) -> int:
        return self.prompt + self.thought * thought + 1 + self.answer_length

    @cached_property
    def answer_features(self) -> NDArray[np.int64]:
        """[A, 1 + F]: the place, from 1, where places are told; the subject's own columns are 0."""
        features = np.zeros((self.answer_length, len(self.feature_sizes)), np.int64)
        if self.form.placed:
            features[:, 0] = np.arange(1, self.answer_length + 1)
        return features

    @cached_property
    def _ends(self) -> list[int]:
        """The ids that end a thought; the marker does too."""
        vocabulary = self.vocabularies[True]

        def ends(symbol: str) -> bool:
            return any(end == symbol if self.form.spaced else end in symbol for end in self.form.thought_ends)

        plain = (id for id, symbol in enumerate(vocabulary.symbols) if id != vocabulary.mask_id and ends(symbol))
        return [*plain, vocabulary.marker_id]

    def sheet(self, example: Example, thought: bool) -> Sheet:
        """prompt | [thought] | #### | answer, end of text, padding: the last two where answers differ in length.

        Raises: ValueError for what does not fit; it is never cut.
        """
        vocabulary = self.vocabularies[thought]
        text, asked = self._asked(example.prompt)
        parts = {
            "prompt": vocabulary.encode(text),
            "thought": vocabulary.encode(example.thought) if thought else [],
            "answer": vocabulary.encode(example.answer),
        }
        for part, ids in parts.items():
            if reason := self._room(part, len(ids)):
                raise ValueError(f"{example.id}: {reason}")
        given, middle, gold = parts["prompt"], [*parts["thought"], vocabulary.marker_id], parts["answer"]
        if not gold:
            gold = [vocabulary.mask_id] * self.answer_length
        elif self.form.ends:
            gold = [*gold, vocabulary.eos_id, *[vocabulary.pad_id] * (self.answer - len(gold))]
        tokens = np.array([*given, *middle, *gold], np.int64)
        answer_at = len(given) + len(middle)
        features = np.zeros((len(tokens), len(self.feature_sizes)), np.int64)
        features[: len(given)] = asked
        features[answer_at:] = self.answer_features
        editable = np.arange(len(tokens)) >= (len(given) if thought else answer_at)
        ends = np.isin(tokens, self._ends) & editable & (np.arange(len(tokens)) < answer_at)
        return Sheet(tokens, editable, features, answer_at, thoughts_of(ends))

    def misfit(self, problem: Problem) -> str:
        """Why a problem cannot lie on the page, or ""."""
        for part in PARTS:
            try:
                reason = self._room(part, self.size(part, getattr(problem, part)))
            except ValueError as error:
                reason = f"{part}: {error}"
            if reason:
                return reason
        return ""

    def size(self, part: str, text: str) -> int:
        """Tokens of a text. Raises: ValueError for a symbol that the vocabulary lacks."""
        return len(self.vocabularies[part == "thought"].encode(self._asked(text)[0] if part == "prompt" else text))

    def _room(self, part: str, size: int) -> str:
        room = getattr(self, part)
        if size > room:
            return (
                f"the {part} takes {size} tokens, and the canvas has {room} for it: raise task.{part}_length to {size} "
                f"or more, or leave the item out"
            )
        if part == "answer" and not self.form.ends and size not in (0, room):
            return f"the answer takes {size} tokens, and every answer here has {room}"
        return ""

    def _asked(self, prompt: str) -> tuple[str, NDArray[np.int64] | int]:
        """The prompt's text and features; 0 for none."""
        return (prompt, 0) if self.form.lay is None else self.form.lay(prompt)
