"""How thoughts are cut into steps, what a wrong step looks like, and how corrections are read."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dlmreason.tasks.steps import FATES, Steps, WrittenStep, count_waits, ended, read_steps, told_of
from tests.tasks.thinking import TASKS

PAIRS = Steps(r"[a-i][1-9] [1-9]", (("1", "2", "3", "4"),))
RIGHT = "a1 3 b1 4 c1 2"


@pytest.mark.parametrize("name", TASKS)
def test_steps_joined_are_the_thought(name):
    for split in ("train", "validation", "test"):
        for example in TASKS[name].examples(split):
            steps = TASKS[name].steps
            assert steps.join(steps.cut(example.thought)) == example.thought != ""
            if name not in ("words", "equations", "pieces"):
                assert len(steps.cut(example.thought)) > 1, "else the law says nothing"


@pytest.mark.parametrize(
    ("steps", "thought", "cut"),
    [
        (Steps(), "3 10 7", ["3", "10", "7"]),
        (PAIRS, RIGHT, ["a1 3", "b1 4", "c1 2"]),
        (PAIRS, "a1 3 c1 c1 2 4 #### b1 4", ["a1 3", "c1", "c1 2", "4", "####", "b1 4"]),  # it finds its feet again
        (ended(("|",), spaced=True), "8 | 4 1 | | 6", ["8 |", "4 1 | |", "6"]),
        (ended(("|",), spaced=True), "| 8 |8 | 6", ["|", "8 |8 |", "6"]),  # |8 is another symbol
        (ended((",", "<"), spaced=False), "2-1=1<<7+1=8,2", ["2-1=1<<", "7+1=8,", "2"]),
        (ended(("\n",), spaced=False), "One.\n\nTwo", ["One.\n\n", "Two"]),
        (Steps(".", joint=""), "a\nb", ["a", "\n", "b"]),
    ],
)
def test_a_thought_is_cut(steps, thought, cut):
    assert steps.cut(thought) == cut
    assert steps.join(cut) == thought


@given(text=st.text(alphabet="ab1 3|\n<", max_size=12))
def test_any_text_without_a_joint_is_cut_whole(text):
    for steps in (ended(("|", "<"), spaced=False), Steps(".", joint="")):
        assert "".join(steps.cut(text)) == text


@pytest.mark.parametrize(
    ("steps", "step", "others"),
    [
        (PAIRS, "a1 3", ["a1 1", "a1 2", "a1 4"]),
        (Steps(kinds=(("T", "F"),)), "T", ["F"]),
        (Steps(kinds=(("1", "-1"), ("2", "-2"))), "-2", ["2"]),
        (Steps(r"\? \S+", (("1", "-1"),), guesses=("?",)), "? 1", []),  # a try is no claim
        (Steps(), "x", []),  # without a value
        (Steps(), "12", []),  # a number of two digits is one symbol, and of no kind here
        (ended(("|",), spaced=False), "8+2=10|", [f"8+2=1{digit}|" for digit in "123456789"]),
    ],
)
def test_a_wrong_step_has_another_value_last(steps, step, others):
    assert steps.others(step) == others


@pytest.mark.parametrize(
    ("written", "read"),
    [
        (RIGHT, [(0, "right"), (1, "right"), (2, "right")]),
        ("a1 3 b1 1 <wait> b1 4 c1 2", [(0, "right"), (1, "repaired"), (1, "right"), (2, "right")]),
        ("a1 3 b1 1 c1 2", [(0, "right"), (1, "wrong"), (2, "right")]),
        ("a1 3 b1 1 <wait> b1 2 c1 2", [(0, "right"), (1, "taken back"), (1, "wrong"), (2, "right")]),
        ("b1 1 <wait> a1 2 <wait> a1 3", [(0, "repaired"), (0, "repaired"), (0, "right")]),
        ("a1 3 <wait> a1 3", [(0, "needless"), (0, "right")]),
        ("a1 1 <wait>", [(0, "taken back")]),
        ("<wait> a1 3 <wait> <wait> b1 4", [(0, "needless"), (0, "wrong")]),
        (f"{RIGHT} d1 1", [(0, "right"), (1, "right"), (2, "right"), (3, "wrong")]),
        ("", []),
    ],
)
def test_a_written_thought_is_read(written, read):
    says = {
        (True, False, False): "right",
        (False, False, False): "wrong",
        (False, True, True): "repaired",
        (False, True, False): "taken back",
        (True, True, False): "needless",
    }
    assert [(step.place, says[step[2:]]) for step in read_steps(written, RIGHT, PAIRS)] == read
    assert count_waits(written) == written.split().count("<wait>")


@pytest.mark.parametrize(
    ("written", "waits", "wrong", "repaired", "hollow", "fate"),
    [
        ("a1 3 b1 1 <wait> b1 4 c1 2", 1, 0, 1, 0, "taken_back"),
        ("a1 3 b1 1 <wait> b1 2 c1 2", 1, 1, 0, 0, "taken_back"),
        ("a1 3 b1 1 c1 2", 0, 1, 0, 0, "kept"),
        ("a1 3 b1 2 c1 2", 0, 1, 0, 0, "kept"),  # another wrong one
        (RIGHT, 0, 0, 0, 0, "rewritten"),
        ("a1 3 b1 4 <wait> b1 4 c1 2", 1, 0, 0, 1, "hollow"),
        ("a1 3 b1 4 <wait> b1 1 c1 2", 1, 1, 0, 1, "kept"),
        ("a1 3 b1 4 <wait>", 1, 2, 0, 1, "lost"),
        ("a1 3", 0, 2, 0, 0, "lost"),
        ("a1 1 <wait> a1 3 b1 4 c1 2", 1, 0, 1, 0, "rewritten"),  # the sign is of another place
        (f"{RIGHT} <wait>", 1, 1, 0, 1, "rewritten"),
        ("", 0, 3, 0, 0, "lost"),
    ],
)
def test_what_is_told_of_a_thought_and_of_the_wrong_step_that_stood_in_its_second_place(
    written, waits, wrong, repaired, hollow, fate
):
    numbers = {"waits": waits, "wrong": wrong, "repaired": repaired, "hollow": hollow}
    assert told_of(written, RIGHT, PAIRS) == numbers
    fates = {f"plant_{each}": int(each == fate) for each in FATES}
    assert told_of(written, RIGHT, PAIRS, place=1) == numbers | fates


def test_a_sign_without_spaces_is_read():
    steps = ended(("|",), spaced=False)
    assert read_steps("8+2=11|<wait>8+2=10|10,3|", "8+2=10|10,3|10-3=7", steps)[:2] == [
        WrittenStep("8+2=11|", 0, right=False, taken_back=True, repaired=True),
        WrittenStep("8+2=10|", 0, right=True, taken_back=False, repaired=False),
    ]
