"""Laws of a chain's thoughts: which position is of which, and how a canvas has room for the longest chain."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dlmreason.tasks.correcting import Correcting
from dlmreason.tasks.example import Example, thoughts_of
from tests.tasks.thinking import TASKS as PLAIN

PLANTED: dict[str, Any] = {f"{name}_wait": Correcting(task, share=1, most=2) for name, task in PLAIN.items()}
TASKS = PLAIN | PLANTED
ALL = pytest.mark.parametrize("name", TASKS)


def read(name: str, thought: str) -> list[str]:
    """The thoughts of a chain, as they are read off its sheet; the last is the answer."""
    task = TASKS[name]
    first = task.examples("test")[0]
    example = Example("it", first.prompt, thought, first.answer, 0)
    sheet, vocabulary = task.sheet(example, in_place=False, thought=True), task.vocabulary(True)
    parts = [sheet.tokens[sheet.editable & (sheet.thoughts == k)] for k in range(sheet.thoughts[-1] + 1)]
    assert vocabulary.decode(parts.pop()) == vocabulary.decode(sheet.tokens[sheet.answer_at :])
    return [vocabulary.decode(part) for part in parts]


@pytest.mark.parametrize(
    ("name", "thoughts"),
    [
        ("countdown", ["8+2=10|", "10,3|", "10-3=7####"]),
        ("search", ["9-8=1,", "3*9=27,", "2-1=1<<", "7+1=8,", "1+1=2####"]),
        ("multiplication", ["2 4 8 4 +", "0 1 2 4 2 ( 2 5 0 9 2 ) +", "0 0 4 1 6 1 ####"]),
        ("paths", ["8 |", "4 1 |", "6 ####"]),
        ("words", ["One.\n", "Two:\n\n", "2 + 2 = 4####"]),
        ("equations", ["<<2+2=4>>", " <<4/2=2>>####"]),
        ("pieces", ["<<2+2=4>>", " <<4/2=2>>####"]),
        ("addition", ["0 8 1 2 0 1 ####"]),
        ("words", ["One alone.####"]),
        ("words", ["####"]),
    ],
)
def test_a_thought_is_ended_by_the_tasks_own_ends(name: str, thoughts: list[str]) -> None:
    joined = "".join(thoughts) if name not in ("multiplication", "paths", "addition") else " ".join(thoughts)
    assert read(name, joined.removesuffix("####").removesuffix(" ")) == thoughts


@ALL
def test_thoughts_come_one_after_another_and_the_answer_last(name: str) -> None:
    task = TASKS[name]
    for example in (example for split in ("train", "test") for example in task.examples(split)):
        sheet = task.sheet(example, in_place=False, thought=True)
        written = sheet.thoughts[sheet.editable]
        assert written[0] == 0 and set(np.diff(written)) <= {0, 1}
        assert (sheet.thoughts[sheet.answer_at :] == sheet.thoughts[sheet.answer_at - 1] + 1).all()
        for without in (False, True)[: 1 + task.in_place]:
            assert not task.sheet(example, in_place=without, thought=False).thoughts.any()


@ALL
def test_with_room_the_answers_place_tells_nothing(name: str) -> None:
    task, vocabulary = TASKS[name], TASKS[name].vocabulary(True)
    room = task.length(in_place=False, thought=True) - task.length(in_place=False, thought=False)
    for example in task.examples("train"):
        sheet = task.sheet(example, in_place=False, thought=True)
        wide = sheet.with_room(room, vocabulary.pad_id)
        first = int(sheet.editable.argmax())
        assert wide.answer_at == first + room + 1 and wide.tokens[wide.answer_at - 1] == vocabulary.marker_id
        assert wide.editable[first:].all() and not wide.editable[:first].any()
        new = np.arange(len(wide.tokens))
        new = (new >= sheet.answer_at - 1) & (new < wide.answer_at - 1)
        for part in ("tokens", "editable", "features", "thoughts"):
            assert (getattr(wide, part)[~new] == getattr(sheet, part)).all()
        assert (wide.tokens[new] == vocabulary.pad_id).all() and not wide.features[new].any()
        assert (wide.thoughts[new] == sheet.thoughts[sheet.answer_at - 1]).all()
    if name.removesuffix("_wait") not in (
        "multiplication",
        "addition",
        "graph",
        "pieces",
        "words",
        "equations",
        "boolean",
        "sums",
    ):
        assert len({len(task.examples("train")[k].thought) for k in range(6)}) > 1, "else the law says nothing"


@given(ends=st.lists(st.booleans(), min_size=1, max_size=12))
def test_a_run_of_ends_is_one_and_belongs_to_what_it_ends(ends: list[bool]) -> None:
    thoughts, expected = [], 0
    for place, end in enumerate(ends):
        thoughts.append(expected)
        expected += end and (place + 1 == len(ends) or not ends[place + 1])
    assert thoughts_of(np.array(ends)).tolist() == thoughts
