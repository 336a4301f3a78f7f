"""Laws of the rules: each allows exactly its kind, and a message names key, value and what is allowed."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dlmreason.launch_rules import (
    Boolean,
    Choice,
    Folder,
    Integer,
    Maybe,
    Name,
    Real,
    Rule,
    Several,
    Text,
    broken,
    nearest,
    rule_for,
)

JUNK = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=9), st.lists(st.integers(), max_size=3)
)


@given(JUNK)
def test_rules_allow_exactly_their_kind(value: object) -> None:
    whole = isinstance(value, int) and not isinstance(value, bool)
    finite = whole or (isinstance(value, float) and abs(value) < float("inf"))
    assert (Integer(2, 9).check(value) is None) == (whole and 2 <= value <= 9)
    assert (Real(0, above=0, below=1).check(value) is None) == (finite and 0 < value < 1)
    assert (Boolean().check(value) is None) == isinstance(value, bool)
    assert (Text().check(value) is None) == (isinstance(value, str) and value != "")
    assert (Maybe(Integer()).check(value) is None) == (whole or value is None)
    listed = isinstance(value, list) and len(value) > 0
    rising = listed and sorted(set(value)) == value
    assert (Several(Integer(), increasing=True).check(value) is None) == rising


@given(st.text(max_size=12))
def test_a_name_leads_nowhere_else(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    root = tmp_path_factory.getbasetemp()
    if Name().check(text) is None:
        assert (root / text).resolve().parent == root.resolve()


@pytest.mark.parametrize("path", ["outputs/a", "/data/run", "a b/c"])
def test_folders(path: str) -> None:
    assert Folder().check(path) is None


@pytest.mark.parametrize("path", ["", "/", ".", "..", "a/../b", "~/x", "a\nb", "a\0b", 3, None, True])
def test_no_folders(path: object) -> None:
    assert Folder().check(path)


def test_the_first_pattern_decides_and_every_message_is_whole() -> None:
    rules: dict[str, Rule] = {"a.seed": Choice("x"), "*.seed": Integer(0)}
    assert rule_for("a.seed", rules) == Choice("x")
    assert rule_for("a.b.seed", rules) == Integer(0)
    assert rule_for("seed", rules) is None
    assert list(broken({"a": {"seed": "x", "b": {"seed": -1}}, "free": float("nan")}, rules)) == [
        "a.b.seed=-1: must be a whole number of 0 or more",
        "free=nan: must be a finite number",
    ]
    assert rule_for("arms.1.network.width", {"*network.width": Integer(1)}) == Integer(1)


def test_settings_within_lists_are_checked() -> None:
    assert list(broken({"arms": [{"seed": 1}, {"seed": -1}]}, {"*.seed": Integer(0)})) == [
        "arms.1.seed=-1: must be a whole number of 0 or more"
    ]


@pytest.mark.parametrize(
    ("word", "found"),
    [("passes", "budget.passes"), ("budget.pases", "budget.passes"), ("sed", "seed"), ("zzzzzz", None)],
)
def test_nearest(word: str, found: str | None) -> None:
    assert nearest(word, ["seed", "budget.passes", "budget.width"]) == (f"; nearest: {found}" if found else "")
