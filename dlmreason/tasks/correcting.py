"""Thoughts that correct themselves: some items of a task have a wrong step planted, "<wait>", and the right one again.

This file decides which items, which steps, and how such a thought lies before a model. It knows no one task. Prompts,
answers and their judge are the inner task's; what is new is in the thoughts, their alphabet (one symbol more) and their
lengths. A plant is a function of (task, item, seed) alone, and an item's id says its split.

What a step is and what a wrong one may be, the inner task says (`steps`); one that does not say it has the generic
default of `steps.Steps`. Not planted: a guess, a step without a value, one longer than `longest` tokens; an item
without any other has no plant, whatever the share. A chain of one step is no exception: the whole is written wrong,
taken back, and written again.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any, NamedTuple, overload

import numpy as np
from numpy.typing import NDArray

from dlmreason.tasks.example import Example, Sheet, Verdict, example_seed, random_words
from dlmreason.tasks.steps import Steps, WrittenStep, read_steps, told_of
from dlmreason.tasks.task import Task
from dlmreason.tasks.vocabulary import WAIT, Vocabulary

VERSION = 1
"""Part of every provenance: to be raised by any change that plants otherwise."""


class Begun(NamedTuple):
    """An item whose thought is under way, and has just gone wrong."""

    example: Example  # as the task has it, with one plant
    tokens: int  # of its thought before the sign: right steps and a wrong one
    place: int  # of the wrong step, from 0


class Correcting:
    """A task whose thoughts hold wrong steps, taken back.

    share: the chance of an item to have some; 0: none, and sheets are the inner task's but for the mask's id.  most: an
    item that has some has 1 to `most` of them, all as likely.  seed: of the plants alone.  longest: tokens of the
    longest step that may be planted; None: any, as the inner task bounds it.

    Raises: ValueError for a task without thoughts.
    """

    def __init__(
        self, task: Task, *, share: float = 0.3, most: int = 1, seed: int = 0, longest: int | None = None
    ) -> None:
        if type(share) not in (int, float) or not 0 <= share <= 1:
            raise ValueError(f"task.share={share} is a chance: give a number from 0 to 1, such as 0.3")
        for key, value, least in (
            ("most", most, 1),
            ("seed", seed, 0),
            ("longest", 1 if longest is None else longest, 1),
        ):
            if type(value) is not int or not least <= value < 2**63:
                raise ValueError(f"task.{key}={value} must be a whole number, {least} or more")
        try:
            self._thought = task.length(in_place=False, thought=True) - task.length(in_place=False, thought=False)
        except ValueError as error:
            raise ValueError(f"task.task: only thoughts can correct themselves: {error}") from None
        if self._thought < 1:
            raise ValueError(f"task.task: only thoughts can correct themselves, and {task.name} has none: use another")
        if task.vocabulary(True).wait_id is not None:
            raise ValueError(
                f"task.task: thoughts of {task.name} correct themselves already: raise task.task.most instead"
            )
        self.task, self.share, self.most, self.seed = task, float(share), most, seed
        self.steps: Steps = getattr(task, "steps", Steps())
        self.longest = min(each for each in (longest, self.steps.longest, self._thought) if each is not None)
        self.name = f"{task.name}_wait"
        self.in_place, self.answers_end, self.unique = task.in_place, task.answers_end, task.unique
        self.feature_sizes, self.layout, self.symmetries = task.feature_sizes, task.layout, task.symmetries
        self.prompt_length, self.answer_length = task.prompt_length, task.answer_length
        self.skipped: list[str] = getattr(task, "skipped", [])
        self.provenance: dict[str, str | int] = {
            **task.provenance,
            "wait": VERSION,
            "wait_share": repr(self.share),
            "wait_most": most,
            "wait_seed": seed,
            "wait_longest": self.longest,
        }
        self._vocabularies: tuple[Vocabulary, Vocabulary] = task.vocabulary(False), task.vocabulary(True).with_wait()
        self._wait_id = self._vocabularies[True].encode(WAIT)[0]
        self._planted_below = round(self.share * 2**64)

    def vocabulary(self, thought: bool) -> Vocabulary:
        return self._vocabularies[thought]

    def length(self, *, in_place: bool, thought: bool) -> int:
        """As the inner task's, and room for `most` wrong steps and signs, whatever the share: canvases of all shares
        are alike. Different steps are no more than a thought."""
        room = min(self.most * self.longest, self._thought) + self.most
        return self.task.length(in_place=in_place, thought=thought) + room * thought

    def examples(self, split: str) -> "Items":
        return Items(self, self.task.examples(split))

    def example(self, puzzle: str) -> Example:
        """A person's puzzle; its thought has no plant."""
        return self.task.example(puzzle)

    def sheet(self, example: Example, *, in_place: bool, thought: bool) -> Sheet:
        """As the inner task has it; a thought is laid from sign to sign, and a sign is of the step that it takes back,
        as the right one after it is."""
        if not thought:
            return self.task.sheet(example, in_place=in_place, thought=False)
        *parts, sheet = [
            self.task.sheet(replace(example, thought=part.strip(self.steps.joint)), in_place=in_place, thought=True)
            for part in example.thought.split(WAIT)
        ]
        inner, own = self.task.vocabulary(True), self._vocabularies[True]
        unknown = sheet.tokens == inner.mask_id
        if unknown.any():
            sheet = replace(sheet, tokens=np.where(unknown, own.mask_id, sheet.tokens))
        if not parts:
            return sheet
        tokens: list[int] = []
        thoughts: list[int] = []
        for part in parts:
            written, before = slice(int(part.editable.argmax()), part.answer_at - 1), thoughts[-1] if thoughts else 0
            tokens += part.tokens[written].tolist()
            thoughts += (part.thoughts[written] + before).tolist()
            tokens.append(self._wait_id)
            thoughts.append(thoughts[-1] if thoughts else 0)
        start, new = int(sheet.editable.argmax()), len(tokens)

        def around(part: NDArray[Any], middle: Any) -> NDArray[Any]:
            return np.concatenate([part[:start], middle, part[start:]], dtype=part.dtype)

        return Sheet(
            around(sheet.tokens, tokens),
            around(sheet.editable, np.ones(new, np.bool_)),
            around(sheet.features, np.zeros((new, sheet.features.shape[1]), np.int64)),
            sheet.answer_at + new,
            around(np.where(sheet.editable, sheet.thoughts + thoughts[-1], sheet.thoughts), thoughts),
        )

    def answer_features(self) -> NDArray[np.int64]:
        return self.task.answer_features()

    def verify(self, example: Example, answer: str) -> Verdict:
        return self.task.verify(example, answer)

    def paper_compat(self, example: Example, answer: str) -> Verdict | None:
        """The verdict of a published, more lenient grader, where the inner task has one."""
        judge = getattr(self.task, "paper_compat", None)
        return None if judge is None else judge(example, answer)

    def plain(self, example: Example) -> Example:
        """The item as the inner task has it: what signs take back is gone, and so are they."""
        kept: list[str] = []
        *taken_back, last = map(self.steps.cut, example.thought.split(WAIT))
        for part in taken_back:
            kept += part[:-1]
        return replace(example, thought=self.steps.join([*kept, *last])) if taken_back else example

    def planted(self, example: Example, count: int) -> Example:
        """The item, as the inner task has it, with `count` plants, or as many as there are steps for.

        Raises: ValueError for a thought with a sign in it.
        """
        if WAIT in example.thought:
            raise ValueError(f"{example.id}: {WAIT} is in the thought already: plant in the item that `plain` gives")
        parts = self.steps.cut(example.thought)
        ranks, draws = random_words(self._word(example, "steps"), 2, len(parts)).tolist()
        order = sorted(range(len(parts)), key=ranks.__getitem__)
        return self._with_plants(example, parts, order, draws, count)

    def read(self, example: Example, written: str) -> list[WrittenStep]:
        """What became of the steps of a thought written for this item; its own right steps are compared with."""
        return read_steps(written, self.plain(example).thought, self.steps)

    def told_of(self, example: Example, written: str, begun: bool = False) -> dict[str, int]:
        """The same in numbers, see `steps.told_of`; with the fate of the wrong step where the thought was `begun`."""
        place = self.begun(example).place if begun else None
        return told_of(written, self.plain(example).thought, self.steps, place)

    def begun(self, example: Example, *, first: bool = False) -> Begun:
        """The item whose thought goes wrong, once; what comes before the sign may stand before a model writes.

        first: at the first step that can be planted; else at one of them, drawn by the item.
        Raises: ValueError for an item in which none can.
        """
        plain = self.plain(example)
        parts = self.steps.cut(plain.thought)
        ranks, draws = random_words(self._word(example, "steps"), 2, len(parts)).tolist()
        order = range(len(parts)) if first else sorted(range(len(parts)), key=ranks.__getitem__)
        planted = self._with_plants(plain, parts, order, draws, 1)
        sheet = self.sheet(planted, in_place=False, thought=True)
        signs = sheet.tokens == self._wait_id
        if not signs.any():
            raise ValueError(f"{example.id}: no step of the thought can be written wrong: take another item")
        place = next(step.place for step in self.read(plain, planted.thought) if step.taken_back)
        return Begun(planted, int(signs.argmax() - sheet.editable.argmax()), place)

    def _with_plants(
        self, example: Example, parts: Sequence[str], order: Sequence[int], draws: Sequence[int], count: int
    ) -> Example:
        """order: places of steps, those to be planted first; draws: a word for each, which says how it is wrong."""
        wrong: dict[int, str] = {}
        for place in order:
            if len(wrong) == count:
                break
            others = self.steps.others(parts[place])
            if others and self._fits(parts[place], other := others[draws[place] % len(others)]):
                wrong[place] = other
        thought = [
            text
            for place, part in enumerate(parts)
            for text in ((wrong[place], WAIT, part) if place in wrong else (part,))
        ]
        return replace(example, thought=self.steps.join(thought)) if wrong else example

    def _fits(self, right: str, wrong: str) -> bool:
        """The wrong step takes no more room than the right one, and than a step may."""
        vocabulary = self.task.vocabulary(True)
        size = len(vocabulary.encode(right))
        return size <= self.longest and len(vocabulary.encode(wrong)) <= size

    def _word(self, example: Example, purpose: str) -> int:
        """64 random bits, a function of the item and the purpose."""
        return example_seed(self.task.name, f"{example.id}/wait/{purpose}", self.seed, 0)

    def _drawn(self, example: Example) -> Example:
        """The item with the plants that it has by its id."""
        if not example.thought or self._word(example, "coin") >= self._planted_below:
            return example
        return self.planted(example, 1 + self._word(example, "count") % self.most)


class Items(Sequence[Example]):
    """A split's items, planted when they are looked at."""

    def __init__(self, task: Correcting, inner: Sequence[Example]) -> None:
        self._task, self._inner = task, inner

    def __len__(self) -> int:
        return len(self._inner)

    @overload
    def __getitem__(self, index: int) -> Example: ...
    @overload
    def __getitem__(self, index: slice) -> list[Example]: ...
    def __getitem__(self, index: int | slice) -> Example | list[Example]:
        found = self._inner[index]
        return self._task._drawn(found) if isinstance(found, Example) else [self._task._drawn(each) for each in found]

    def __iter__(self) -> Iterator[Example]:
        return map(self._task._drawn, self._inner)
