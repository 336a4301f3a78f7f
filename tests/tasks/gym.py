"""What the tests of the reasoning-gym adapter share: subjects, their problems, and hostile texts."""

import functools
from typing import Any

import pytest

from dlmreason.tasks.reasoning_gym import ReasoningGym
from dlmreason.tasks.subject import Problem
from tests.tasks.laws import POISON

pytest.importorskip("reasoning_gym", reason="reasoning-gym is not installed: pip install 'dlmreason[gym]'")
from reasoning_gym import factory  # type: ignore[import-untyped]

HOSTILE = (
    *POISON,
    *("nan", "nan+nanj", "-inf", "1e999999999", "1e-999999999", "9" * 999, "[" * 999, "(" * 499 + ")" * 499),
    *("A+999999999", "R99999999", "F+99999 " * 100, "1,1" * 300, "{}", "[]", "[[]]", '{"a": 1}', "null", "\ud800"),
    *("No", "\n" * 999, "Move disk 1 from Peg 1 to Peg 2\n" * 30, "L" * 999, "A → B" * 99, "--" * 499),
)
SLOW = ("futoshiki", "zebra_puzzles", "sudoku", "sokoban", "quantum_lock", "polynomial_equations")


@functools.cache
def subject_of(name: str) -> ReasoningGym:
    return ReasoningGym(generator=name)


@functools.cache
def drawn(name: str, count: int = 2) -> list[Problem]:
    """`count` problems or more; with one call of `draw` where nothing is left out."""
    found: list[Problem] = []
    for seed in range(1, 50):
        found += subject_of(name).draw(seed, count)
        if len(found) >= count:
            return found
    raise AssertionError(f"{name} gave {len(found)} of {count} problems")


def items(name: str, count: int, seed: int = 5) -> list[tuple[dict[str, Any], Problem]]:
    """The library's own items, with what becomes of them."""
    source = factory.create_dataset(name, size=count, seed=seed)
    found = ((item, subject_of(name)._problem(item)) for item in (source[place] for place in range(count)))
    return [(item, problem) for item, problem in found if problem is not None]
