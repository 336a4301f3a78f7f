"""Generators of the library reasoning-gym, by name [arXiv:2505.24760].

This file decides how their items become problems, and that a scorer of the library never sees a text that it could
evaluate or hang on. It knows no generator; `reasoning_gym_support` is the table of those that can be asked: 83 of 106.
Print it with `python -c "from dlmreason.tasks.reasoning_gym import *; print(supported(), unsupported())"`.

Prompt and answer are the library's texts, such as "Solve the following multiplication: 603 * 170. Give only the result
as your final answer." and "102510". There are no thoughts. Right is what the library gives the score 1, never less; of
some generators, only its own answer (see the table). An item that does not come out, has no answer, or a wrong one that
the table knows of, is left out. Notes hold what the scorer reads of the item, as JSON; a question that comes without
them, from a file or a person, has no right answer where the scorer needs them.

Difficulty: the sum of the numbers that the library calls difficulty, rounded, 0 at least: of a range the item's own
number where it has one of that name, else the middle. It is a rough measure. -1: the library has none.

Copies, and thus leakage: the same question with other white space. Whether two questions ask the same in other words,
names or orders is not known.
"""

import contextlib
import dataclasses
import difflib
import functools
import hashlib
import importlib.metadata
import io
import json
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from dlmreason.tasks.example import PuzzleError, Verdict
from dlmreason.tasks.reasoning_gym_support import LEFT_OUT, LIBRARY, SUPPORTED, UNSUPPORTED, supported, unsupported
from dlmreason.tasks.subject import Problem, Symmetries, content_key
from dlmreason.tasks.text import MEASURED, Text, check_texts

__all__ = ["ReasoningGym", "supported", "unsupported"]

MOST_LENGTH = 1_000
"""Characters of an answer that a scorer may see, or four times those of the known answer."""

_EXACT = Text(judge="exact")


@dataclass(frozen=True, kw_only=True)
class ReasoningGym:
    """Questions of one generator; config: the generator's own settings, by name."""

    generator: str = "chain_sum"
    config: dict[str, Any] | None = None

    version = 1
    form = MEASURED
    symmetries = Symmetries(leakage=("white space",))

    def __post_init__(self) -> None:
        known = [*SUPPORTED, *UNSUPPORTED]
        if type(self.generator) is not str or self.generator not in known:
            near = difflib.get_close_matches(str(self.generator), known, n=3) or sorted(SUPPORTED)
            raise ValueError(
                f"task.subject.generator={self.generator} must be a generator of reasoning-gym, such as "
                f"{', '.join(near[:3])}"
            )
        if self.generator in UNSUPPORTED:
            raise ValueError(
                f"task.subject.generator={self.generator} must be one that can be asked here: "
                f"{UNSUPPORTED[self.generator]}"
            )
        object.__setattr__(self, "config", dict(self.config or {}))
        object.__setattr__(self, "_library", self._checked())

    def _checked(self) -> Any:
        """The library's generator, whose scorer judges. Raises: ValueError"""
        factory = _factory()
        kind = factory.DATASETS[self.generator][1]
        fields = {field.name: field for field in dataclasses.fields(kind) if field.name not in ("seed", "size")}
        settings: dict[str, Any] = self.config or {}
        for name in settings:
            if name not in fields:
                near = difflib.get_close_matches(str(name), fields, n=1)
                raise ValueError(
                    f"task.subject.config.{name}: {self.generator} has no such setting"
                    f"{f'; did you mean {near[0]}?' if near else ''}; it takes {', '.join(fields) or 'none'}"
                )
        try:
            json.dumps(settings)
            with _quiet():
                return factory.create_dataset(self.generator, size=1, seed=0, **settings)
        except Exception as error:  # the library's own assertions, and what a wrong type breaks
            key = next((name for name in settings if name in str(error)), None) or next(iter(settings), None)
            where = f".{key}={settings[key]}" if key else ""
            raise ValueError(f"task.subject.config{where}: {self.generator} refuses it: {_said(error)}") from error

    def __reduce__(self) -> tuple[Any, ...]:
        """Made anew in another process: some of the library's objects cannot go there."""
        return functools.partial(ReasoningGym, generator=self.generator, config=self.config), ()

    @property
    def name(self) -> str:
        """With other settings than usual, a hash of them behind it."""
        settings = json.dumps(self.config, sort_keys=True)
        return f"gym_{self.generator}" + (f"_{hashlib.sha256(settings.encode()).hexdigest()[:6]}" * bool(self.config))

    @property
    def parameters(self) -> Mapping[str, str | int]:
        settings = json.dumps(self.config, sort_keys=True)
        return {"generator": self.generator, "config": settings, "library": f"reasoning-gym {LIBRARY}"}

    def draw(self, seed: int, count: int) -> list[Problem]:
        """Deviation: the library's items of seed s + 1 are those of s, moved by one; so seeds are scattered here, over
        31 bits."""
        if count < 1:
            return []
        problems, said = [], ""
        with _quiet():
            scattered = content_key(f"{self.name}/{seed}") >> 33
            items = _factory().create_dataset(self.generator, size=count, seed=scattered, **(self.config or {}))
            for index in range(count):
                try:
                    problem = self._problem(items[index])
                except Exception as error:  # some generators fail at some items
                    said = said or _said(error)
                    continue
                if problem and self.judge(problem, problem.answer).correct:
                    problems.append(problem)
        if not problems and said and count >= 16:
            raise ValueError(
                f"task.subject.generator={self.generator} made none of {count} items: {said}: change "
                f"task.subject.config={self.config}"
            )
        return problems

    def _problem(self, item: Mapping[str, Any]) -> Problem | None:
        """None for an item to leave out."""
        prompt, answer, metadata = item["question"], item["answer"], item["metadata"]
        if type(prompt) is not str or type(answer) is not str or not prompt.strip() or not answer.strip():
            return None
        if self.generator in LEFT_OUT and LEFT_OUT[self.generator][1](item):
            return None
        kept = {name: metadata[name] for name in SUPPORTED[self.generator].keeps if name in metadata}
        return Problem(prompt, "", answer, difficulty(metadata), json.dumps(kept) if kept else "")

    def problem(self, prompt: str, thought: str = "", answer: str = "") -> Problem:
        """The texts as they are. Raises: PuzzleError, also for an answer whose judge needs a drawn item's notes."""
        check_texts(prompt, thought, answer)
        if answer and SUPPORTED[self.generator].keeps:
            raise PuzzleError(
                f"{self.generator} judges an answer by more than the texts: its questions can be drawn, and asked "
                f"without an answer, but not read with one"
            )
        return Problem(prompt, thought, answer, -1)

    def keys(self, prompts: Sequence[str]) -> list[int]:
        return [content_key(_canonical(prompt)) for prompt in prompts]

    def same(self, first: str, second: str) -> bool:
        return _canonical(first) == _canonical(second)

    def judge(self, problem: Problem, answer: str) -> Verdict:
        support = SUPPORTED[self.generator]
        if support.judge == "text" or not problem.answer.strip():
            return _EXACT.judge(problem, answer)
        most = max(MOST_LENGTH, 4 * len(problem.answer))
        if len(answer) > most:
            return Verdict(False, f"{len(answer):,} characters are too many: a scorer sees {most:,} at most")
        try:
            kept = json.loads(problem.notes or "{}")
        except ValueError:
            return Verdict(False, "the item's notes are not what was drawn")
        if support.judge == "listed":
            right = any(answer.strip() in kept[name] for name in support.keeps if name in kept)
            return Verdict(right, "" if right else f"{answer[:20]!r}... is none of the right answers")
        if reason := self._unreadable(problem, answer):
            return Verdict(False, reason)
        try:
            with contextlib.redirect_stdout(io.StringIO()):
                entry = {"question": problem.prompt, "answer": problem.answer, "metadata": kept}
                score = self._library.score_answer(answer, entry)  # type: ignore[attr-defined]
        except Exception as error:  # scorers raise whatever a text makes them
            return Verdict(False, f"the scorer cannot read {answer[:20]!r}: {_said(error)[:100]}")
        right = bool(score == 1.0)
        return Verdict(
            right, "" if right else f"reasoning-gym scores {answer[:20]!r} {float(score):.3f}, and 1 is right"
        )

    def _unreadable(self, problem: Problem, answer: str) -> str:
        """Why the scorer must not see the answer, or "": digits of other scripts and 1_0 would pass for numbers."""
        for place, character in enumerate(answer, start=1):
            if (character == "_" or not character.isascii()) and character not in problem.answer + problem.prompt:
                return f"{character!r} at character {place} is in neither the question nor the answer"
        shape = SUPPORTED[self.generator].shape
        return (
            "" if shape is None or shape.fullmatch(answer.strip()) else f"{answer[:20]!r} is not of the form asked for"
        )


def difficulty(metadata: Mapping[str, Any]) -> int:
    """As in the file's head."""
    dial = metadata.get("difficulty")
    if not isinstance(dial, Mapping):
        return max(0, round(dial)) if isinstance(dial, int | float) else -1
    total = 0.0
    for name, value in dial.items():
        own = metadata.get(name, metadata.get(f"num_{name}"))
        if _is_number(own):
            total += own
        elif _is_number(value):
            total += value
        elif isinstance(value, list | tuple) and len(value) == 2 and all(map(_is_number, value)):
            total += sum(value) / 2
    return max(0, round(total))


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _canonical(prompt: str) -> str:
    return " ".join(prompt.split())


def _said(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0][:200] if lines else type(error).__name__


def _factory() -> Any:
    """The library. Raises: ValueError where it is missing, or another version than the table is about."""
    try:
        import reasoning_gym
        from reasoning_gym import factory

        version = importlib.metadata.version("reasoning-gym")
    except ImportError as error:
        raise ValueError(
            f"task reasoning_gym needs the package reasoning-gym: pip install 'dlmreason[gym]' ({_said(error)})"
        ) from error
    if version != LIBRARY:
        raise ValueError(
            f"task reasoning_gym needs reasoning-gym {LIBRARY}, not {version}: which scorers are safe is known of that "
            f"version alone: pip install 'dlmreason[gym]'"
        )
    del reasoning_gym  # imported for the generators that it registers
    return factory


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """The library's generators print, and one sets the seed of numpy's global generator."""
    plain, numpys = random.getstate(), np.random.get_state()  # noqa: NPY002
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            yield
    finally:
        random.setstate(plain)
        np.random.set_state(numpys)  # noqa: NPY002
