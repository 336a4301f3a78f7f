"""Tasks whose answer is written after the prompt: a subject's problems as splits, sheets and verdicts.

This file decides where each split comes from. It knows no subject and no model.

A split is read from its file where one is named; else it is split off the training file, by the hash of its content,
where there is one; else it is drawn. What is a copy of an evaluated problem under the subject's leakage symmetries is
left out of training, whichever way it comes.
"""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import ClassVar, overload

import numpy as np
from numpy.typing import NDArray

from dlmreason.tasks.drawn import Drawn
from dlmreason.tasks.example import SPLITS, Example, Layout, PuzzleError, Sheet, Verdict
from dlmreason.tasks.page import PARTS, Page
from dlmreason.tasks.questions import questions
from dlmreason.tasks.rows import RowFile, read_rows
from dlmreason.tasks.steps import Steps, ended
from dlmreason.tasks.subject import Problem, Subject, Symmetries
from dlmreason.tasks.vocabulary import Characters, Closed, Vocabulary

Builder = Callable[[Iterable[str]], Vocabulary]
"""Makes a vocabulary of the training texts."""

FILES = {"train": "train_file", "validation": "validation_file", "test": "file"}


class Written:
    """The task of a subject.

    file: the test split; train_file, validation_file: the others.  source: "hub" takes them from `dataset` of the
    Hugging Face hub instead.  on_error: "skip" leaves bad rows out, and says so in `skipped`.  cache: a folder that
    keeps what was drawn.  vocabulary: made of the training texts, in place of the subject's own alphabet.
    prompt_length, thought_length, answer_length: the canvas, in tokens; None: the subject's own, or measured.

    Raises: ValueError for settings that contradict each other; FileError for a row that cannot be used, or is longer
    than the canvas.
    """

    in_place: ClassVar[bool] = False

    def __init__(
        self,
        subject: Subject,
        *,
        train_examples: int,
        validation_examples: int,
        test_examples: int,
        seed: int = 0,
        file: str | None = None,
        train_file: str | None = None,
        validation_file: str | None = None,
        source: str = "files",
        dataset: str | None = None,
        dataset_config: str | None = None,
        revision: str | None = None,
        on_error: str = "stop",
        cache: str | None = None,
        vocabulary: Builder | None = None,
        prompt_length: int | None = None,
        thought_length: int | None = None,
        answer_length: int | None = None,
    ) -> None:
        counts = dict(zip(SPLITS, (train_examples, validation_examples, test_examples), strict=True))
        for key, value, least in (*((f"{split}_examples", counts[split], 1) for split in SPLITS), ("seed", seed, 0)):
            if type(value) is not int or not least <= value < 2**63:
                raise ValueError(f"task.{key}={value} must be a whole number, {least} or more")
        for key, word, may in (("source", source, ("files", "hub")), ("on_error", on_error, ("stop", "skip"))):
            if word not in may:
                raise ValueError(f"task.{key}={word} is unknown: use {' or '.join(may)}")
        self.subject, self.name, self.seed, self._counts = subject, subject.name, seed, counts
        paths = dict(zip(SPLITS, (train_file, validation_file, file), strict=True))
        self.provenance: dict[str, str | int] = {
            "subject": subject.name,
            "generator": subject.version,
            **{f"subject.{key}": value for key, value in subject.parameters.items()},
            "seed": seed,
            **{f"{split}_examples": count for split, count in counts.items()},
            "source": source if source == "hub" or any(paths.values()) else "generated",
        }
        files = self._from_hub(dataset, dataset_config, revision) if source == "hub" else self._from_files(paths)
        read = questions(subject, files, counts)
        self._read, self.remarks = set(read.splits), read.remarks
        self._splits: dict[str, Sequence[Problem]] = {
            split: [question.problem for question in read.splits[split]]
            if split in read.splits
            else self._drawn(split, read.keys(SPLITS), None if cache is None else Path(cache))
            for split in SPLITS
        }
        asked = dict(zip(PARTS, (prompt_length, thought_length, answer_length), strict=True))
        self._page = self._paged(vocabulary, asked)
        self.skipped = read.settle(self._page.misfit, on_error)
        for split, kept in read.splits.items():
            self._splits[split] = [question.problem for question in kept][: counts[split]]
            if not kept:
                raise ValueError(f"task.{FILES[split]}: no row is left for the {split} split")

    @property
    def symmetries(self) -> Symmetries:
        return self.subject.symmetries

    @property
    def unique(self) -> bool:
        return self.subject.form.unique

    @property
    def steps(self) -> Steps:
        """What thoughts are made of."""
        form = self.subject.form
        if form.thought_ends:
            return form.steps or ended(form.thought_ends, spaced=form.spaced)
        return form.steps or (Steps(longest=1) if form.spaced else Steps(".", joint="", longest=1))

    @property
    def answers_end(self) -> bool:
        return self._page.form.ends

    @property
    def feature_sizes(self) -> tuple[int, ...]:
        return self._page.feature_sizes

    @property
    def prompt_length(self) -> int:
        return self._page.prompt

    @property
    def answer_length(self) -> int:
        return self._page.answer_length

    @property
    def layout(self) -> Layout:
        return Layout(1, self.answer_length, 1, self.answer_length, first=self.prompt_length + 1)

    def vocabulary(self, thought: bool) -> Vocabulary:
        return self._page.vocabularies[thought]

    def length(self, *, in_place: bool, thought: bool) -> int:
        self._refuse(in_place, thought)
        return self._page.length(thought)

    def examples(self, split: str) -> "Items":
        if split not in SPLITS:
            raise ValueError(f"split={split} is unknown: use {', '.join(SPLITS)}")
        return Items(self._splits[split], None if split in self._read else f"{split}/{self.seed}")

    def example(self, puzzle: str) -> Example:
        """A person's question. Raises: PuzzleError, also where it is longer than the canvas."""
        problem = self.subject.problem(puzzle)
        if reason := self._page.misfit(problem):
            raise PuzzleError(reason)
        return Example(f"given/{_hash(problem)}", *problem)

    def sheet(self, example: Example, *, in_place: bool, thought: bool) -> Sheet:
        """prompt | [thought] | #### | answer, end of text, padding: the last two where answers differ in length.

        Feature column 0 is the place in the answer, from 1; the others are the subject's.
        """
        self._refuse(in_place, thought)
        return self._page.sheet(example, thought)

    def answer_features(self) -> NDArray[np.int64]:
        return self._page.answer_features

    def verify(self, example: Example, answer: str) -> Verdict:
        return self.subject.judge(_problem(example), answer)

    def paper_compat(self, example: Example, answer: str) -> Verdict | None:
        """The verdict of a published, more lenient grader, where the subject has one."""
        judge = getattr(self.subject, "paper_compat", None)
        return None if judge is None else judge(_problem(example), answer)

    def _refuse(self, in_place: bool, thought: bool) -> None:
        if in_place:
            raise ValueError("in_place=True: the answer is written after the prompt here; use in_place=False")
        if thought and not self._page.thought:
            raise ValueError(f"{self.name} has no chains of thought: leave out the models that think")

    def _from_files(self, paths: Mapping[str, str | None]) -> dict[str, RowFile]:
        files = {split: read_rows(path, f"task.{FILES[split]}") for split, path in paths.items() if path is not None}
        self.provenance |= {f"{split}_sha256": file.sha256 for split, file in files.items()}
        return files

    def _from_hub(self, dataset: str | None, config: str | None, revision: str | None) -> dict[str, RowFile]:
        from dlmreason.tasks.hub import load_hub

        if dataset is None:
            raise ValueError("task.dataset=null must name a dataset of the hub where task.source=hub")
        files = {split: load_hub(dataset, config, split, revision) for split in ("train", "test")}
        self.provenance |= {"dataset": dataset, "revision": files["test"].revision or "unknown"}
        self.provenance |= {f"{split}_sha256": file.sha256 for split, file in files.items()}
        return files

    def _drawn(self, split: str, avoid: set[int], cache: Path | None) -> Sequence[Problem]:
        drawn = Drawn(self.subject, split, self.seed, self._counts[split], avoid)
        if cache is None:
            return drawn
        from dlmreason.tasks.cache import sources_of, stored

        key = {
            **{name: value for name, value in self.provenance.items() if name.startswith(("subject", "generator"))},
            "split": split,
            "seed": self.seed,
            "examples": self._counts[split],
            "avoid": hashlib.sha256(repr(sorted(avoid)).encode()).hexdigest(),
        }
        return stored(cache, key, sources_of(self.subject), lambda: drawn[:])

    def _paged(self, builder: Builder | None, asked: Mapping[str, int | None]) -> Page:
        """Vocabulary and canvas."""
        form = self.subject.form
        if builder is None and not form.symbols:
            raise ValueError(
                f"task.vocabulary=null: {self.name} has no alphabet of its own; use one of "
                f"dlmreason.tasks.text_vocabulary, such as byte_pair"
            )
        if builder is not None and form.lay is not None:
            raise ValueError(f"task.vocabulary: {self.name} lays its prompts out symbol by symbol; leave it null")
        vocabularies: tuple[Vocabulary, Vocabulary]
        if builder is None:
            kind = Closed if form.spaced else Characters
            vocabularies = (kind(form.symbols), kind(form.symbols, form.thought_symbols))
            lengths = {part: getattr(form, part) for part in PARTS}
        else:
            made = builder(text for problem in self._splits["train"] for text in problem[:3] if text)
            vocabularies, lengths = (made, made), {}
            listed = "\x00".join(made.symbols).encode("utf-8", "backslashreplace")
            self.provenance["vocabulary"] = hashlib.sha256(listed).hexdigest()
        for part, length in asked.items():
            least = 0 if part == "thought" else 1
            if length is not None and (type(length) is not int or length < least):
                raise ValueError(f"task.{part}_length={length} must be a whole number, {least} or more")
            lengths |= {part: length} if length is not None else {}
        measuring = Page(form, vocabularies, 0, 0, 0)
        for part in PARTS:
            if part not in lengths:
                texts = (getattr(problem, part) for split in SPLITS for problem in self._splits[split])
                lengths[part] = max((measuring.size(part, text) for text in texts), default=0)
        self.provenance |= {f"{part}_length": length for part, length in lengths.items()}
        return Page(form, vocabularies, **lengths)


class Items(Sequence[Example]):
    """A split's items."""

    def __init__(self, problems: Sequence[Problem], prefix: str | None) -> None:
        """prefix: of ids, which count on from it; None: an item is named by its content."""
        self._problems, self._prefix = problems, prefix
        self._ids = _content_ids(problems) if prefix is None else []

    def __len__(self) -> int:
        return len(self._problems)

    @overload
    def __getitem__(self, index: int) -> Example: ...
    @overload
    def __getitem__(self, index: slice) -> list[Example]: ...
    def __getitem__(self, index: int | slice) -> Example | list[Example]:
        if isinstance(index, slice):
            places = range(len(self))[index]
            return [self._item(*each) for each in zip(places, self._problems[index], strict=True)]
        place = range(len(self))[index]
        return self._item(place, self._problems[place])

    def __iter__(self) -> Iterator[Example]:
        return (self._item(place, problem) for place, problem in enumerate(self._problems))

    def _item(self, place: int, problem: Problem) -> Example:
        return Example(self._id(place), *problem)

    def _id(self, place: int) -> str:
        return f"{self._prefix}/{place}" if self._prefix else self._ids[place]


def _problem(example: Example) -> Problem:
    return Problem(example.prompt, example.thought, example.answer, example.difficulty, example.notes)


def _hash(problem: Problem) -> str:
    """64 bits of the SHA-256 of a prompt, in hexadecimal."""
    return hashlib.sha256(problem.prompt.encode("utf-8", "backslashreplace")).hexdigest()[:16]


def _content_ids(problems: Sequence[Problem]) -> list[str]:
    """An id each, the same wherever in a file the item stands; a repeated prompt is numbered."""
    times: dict[str, int] = {}
    ids = []
    for problem in problems:
        key = _hash(problem)
        times[key] = times.get(key, 0) + 1
        ids.append(f"file/{key}" if times[key] == 1 else f"file/{key}/{times[key]}")
    return ids
