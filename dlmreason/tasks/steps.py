"""What the steps of a chain of thought are, which wrong ones could stand in their place, and how to read them back.

This file decides how a thought's text is cut, when a step counts as wrong, and when a wrong one counts as repaired. It
knows no task and no model.

A thought with corrections reads "a1 3 b1 5 <wait> b1 4 ...": a sign takes the step before it back, and the right one
follows.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

from dlmreason.tasks.vocabulary import WAIT

DIGITS = tuple("0123456789")


@dataclass(frozen=True)
class Steps:
    """The steps of one kind of thought.

    A wrong step is a step in which the last symbol of a kind is another one of its kind: what a step finds comes last.
    The generic default, `Steps()`, takes each symbol for a step, and decimal digits for values.
    """

    one: str = r"\S+"  # a regular expression without groups: a step, without what joins it to the next
    kinds: tuple[tuple[str, ...], ...] = (DIGITS,)  # symbols that could stand for each other; one is of one kind
    joint: str = " "  # between symbols, and between steps
    guesses: tuple[str, ...] = ()  # symbols of a step that is no claim, such as a try, and therefore never wrong
    longest: int | None = None  # tokens of the longest step; None: as a whole thought

    def cut(self, thought: str) -> list[str]:
        """The steps of any text; joined they are the text again, where it is a thought of the task's."""
        return self._one.findall(thought)

    def others(self, step: str) -> list[str]:
        """Every wrong step in the place of this one, as many as its last value has others of its kind; none for some.

        Those of one order, always: which is taken may be drawn by its place.
        """
        symbols = step.split(self.joint) if self.joint else list(step)
        if not any(symbol in self.guesses for symbol in symbols):
            for place in range(len(symbols) - 1, -1, -1):
                if kind := self._kind.get(symbols[place]):
                    before, after = symbols[:place], symbols[place + 1 :]
                    return [self.joint.join([*before, one, *after]) for one in kind if one != symbols[place]]
        return []

    def join(self, parts: Sequence[str]) -> str:
        return self.joint.join(part for part in parts if part)

    @cached_property
    def _one(self) -> re.Pattern[str]:
        return re.compile(rf"{self.one}|\S+" if self.joint else rf"{self.one}|.", re.DOTALL)

    @cached_property
    def _kind(self) -> dict[str, tuple[str, ...]]:
        return {symbol: kind for kind in self.kinds for symbol in kind}


def ended(
    ends: Sequence[str],
    *,
    spaced: bool,
    kinds: tuple[tuple[str, ...], ...] = (DIGITS,),
    longest: int | None = None,
) -> Steps:
    """Steps up to a run of `ends`, as `example.thoughts_of` has it; these are symbols, or not `spaced`, any text."""
    any_end = "|".join(map(re.escape, ends))
    end, plain, joint = rf"(?:{any_end})", rf"(?!{any_end}).", ""
    if spaced:
        end, plain, joint = rf"(?:{any_end})(?!\S)", rf"(?!(?:{any_end})(?!\S))\S+", " "
    one = rf"{plain}(?:{joint}{plain})*(?:{joint}{end})*|{end}(?:{joint}{end})*"
    return Steps(one, kinds, joint, longest=longest)


class WrittenStep(NamedTuple):
    """One step that was written, beside the right one of its place."""

    text: str
    place: int  # of the right step that it stands for, from 0
    right: bool
    taken_back: bool  # a sign follows
    repaired: bool  # wrong, taken back, and the step that stands in its place in the end is right


def read_steps(written: str, right: str, steps: Steps) -> list[WrittenStep]:
    """What became of each step of a written thought, by comparison with the right thought of the item.

    The k-th step that is not taken back stands for the k-th right one; a step too many is wrong. A sign without a step
    before it takes nothing back. Where thoughts of an item may be right in several orders, one out of this order counts
    as wrong.
    """
    wanted = steps.cut(right)
    found: list[tuple[str, int, bool, bool]] = []
    standing: list[bool] = []  # [place]: the step there is right
    parts = written.split(WAIT)
    for part, text in enumerate(parts):
        pieces = steps.cut(text)
        for index, piece in enumerate(pieces):
            place = len(standing)
            good = place < len(wanted) and piece == wanted[place]
            taken_back = index == len(pieces) - 1 and part < len(parts) - 1
            found.append((piece, place, good, taken_back))
            standing += [] if taken_back else [good]
    return [
        WrittenStep(piece, place, good, back, not good and back and place < len(standing) and standing[place])
        for piece, place, good, back in found
    ]


FATES = ("kept", "taken_back", "hollow", "rewritten", "lost")
"""What may become of a wrong step that stood before anything was written; see `told_of`."""


def told_of(written: str, right: str, steps: Steps, place: int | None = None) -> dict[str, int]:
    """A written thought in numbers, by comparison with the right thought of the item.

    waits: signs.  wrong: steps that stand and are wrong, and places without a step.  repaired: wrong steps that were
    taken back and set right.  hollow: right steps that were taken back, so that the sign says what is not so.

    place: of the right step in whose place a wrong one stood at first; then `plant_<fate>` is 1 for one of FATES. The
    wrong one, or another, still stands: kept. It was taken back by a sign: taken_back. The right one stands: rewritten,
    silently; or hollow, where a sign takes a right one back there. Nothing stands there: lost.
    """
    found, wanted = read_steps(written, right, steps), len(steps.cut(right))
    standing = [step for step in found if not step.taken_back]
    missing = max(wanted - len(standing), 0)
    told = {
        "waits": count_waits(written),
        "wrong": sum(not step.right for step in standing) + missing,
        "repaired": sum(step.repaired for step in found),
        "hollow": sum(step.right and step.taken_back for step in found),
    }
    if place is None:
        return told
    fate = _fate([step for step in found if step.place == place])
    return told | {f"plant_{each}": int(each == fate) for each in FATES}


def _fate(there: Sequence[WrittenStep]) -> str:
    """there: the steps that were written in one place, the last of which may stand."""
    if any(step.taken_back and not step.right for step in there):
        return "taken_back"
    if not there or there[-1].taken_back:
        return "lost"
    return "kept" if not there[-1].right else "hollow" if len(there) > 1 else "rewritten"


def count_waits(written: str) -> int:
    """Signs in a thought; in tokens it is `(tokens == vocabulary.wait_id).sum(-1)`."""
    return written.count(WAIT)
