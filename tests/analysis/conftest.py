"""A record with little to say, to be varied by the tests."""

from collections.abc import Callable
from typing import Any

import pytest

from dlmreason.analysis.records import Record

Make = Callable[..., Record]


@pytest.fixture
def make() -> Make:
    def build(
        arm: str = "a", rung: int = 1, example: int | str = 0, correct: bool = True, seed: int = 0, **other: Any
    ) -> Record:
        usual: dict[str, Any] = {
            "task": "toy", "split": "test", "difficulty": 0, "answer": "1 2", "reason": "" if correct else "row 1",
            "nfe": rung, "scheduled_passes": rung, "sequential_depth": rung, "flops": 10 * rung, "events": {},
            "run_key": "k",
        }  # fmt: skip
        return Record(arm=arm, rung=rung, example=str(example), correct=correct, seed=seed, **usual | other)

    return build
