"""Laws of which settings are tried: different, as many of every arm, the same whenever they are drawn."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from dlmreason import launch
from dlmreason.analysis.records import Trial
from dlmreason.tuning import Space, best, drawn, merged, nested, spaces_of, tuned, with_choice

SPACE = Space("arm", ("policy.count", "policy.temperature", "rules"), ((1, 2, 3), (0.5, 1.0), (["vote"], ["quality"])))
ARMS: dict[str, Any] = {
    "one": {"kind": "diffusion", "policy": {"count": 2, "temperature": 1.0, "inner": {"share": 0.5}}},
    "two": {"kind": "autoregressive", "temperature": 1.0, "rules": ["vote"]},
}
GIVEN: dict[str, Any] = {
    "one": {"policy": {"count": [1, 2, 3, 4], "inner": {"share": [0.2, 0.5]}}},
    "two": {"temperature": [0.1 * number for number in range(1, 10)]},
}


def settings(trials: int = 8, **space: Any) -> dict[str, Any]:
    return {"arms": ARMS, "tuning": {"trials": trials, "space": {**GIVEN, **space}}}


@given(trials=st.integers(0, SPACE.size), more=st.integers(0, SPACE.size), seed=st.integers(0, 2**31))
def test_trials_differ_and_more_of_them_begin_with_the_same(trials: int, more: int, seed: int) -> None:
    few, many = (drawn(SPACE, number, seed) for number in (trials, max(trials, more)))
    assert few == many[:trials]
    assert len({repr(each) for each in many}) == len(many)
    assert all(each[key] in values for each in many for key, values in zip(SPACE.keys, SPACE.values, strict=True))


def test_as_many_as_the_grid_has_are_all_of_it() -> None:
    grid = {repr(SPACE.point(number)) for number in range(SPACE.size)}
    assert len(grid) == SPACE.size == 12
    assert {repr(each) for each in drawn(SPACE, 12, 3)} == grid
    with pytest.raises(ValueError, match="trials=13 of arm arm: its space has 12 settings"):
        drawn(SPACE, 13, 3)


def test_trials_are_of_the_seed_and_of_the_arm() -> None:
    """And every setting is as likely to come first: 9 standard deviations of 1,200 draws."""
    assert drawn(SPACE, 8, 0) != drawn(SPACE, 8, 1) and drawn(SPACE, 8, 0) != drawn(SPACE._replace(arm="other"), 8, 0)
    first = [repr(drawn(SPACE, 1, seed)[0]) for seed in range(1200)]
    assert all(10 < first.count(repr(SPACE.point(number))) < 190 for number in range(SPACE.size))


def test_a_space_is_read_as_it_is_declared() -> None:
    spaces = spaces_of(settings())
    assert spaces["one"] == Space(
        "one", ("policy.count", "policy.inner.share"), ((1, 2, 3, 4), (0.2, 0.5))
    )  # keys sorted
    assert {arm: space.size for arm, space in spaces.items()} == {"one": 8, "two": 9}
    listed = spaces_of(settings(two={"rules": [["vote"], ["quality"]], "temperature": [0.1, 0.2, 0.3, 0.4]}))["two"]
    assert list(spaces_of(settings(two=None))) == ["one"], "an arm whose space is null stays as it is"
    assert listed.keys == ("rules", "temperature") and listed.values[0] == (["vote"], ["quality"])


@pytest.mark.parametrize(
    ("given_", "says"),
    [
        (settings(9), r"tuning.trials=9: the space of arm one has 4 x 2 = 8 settings: .* lower tuning.trials to 8"),
        (settings(three={"a": [1]}), r"tuning.space.three=...: there is no such arm; there are one, two"),
        (settings(two={}), r"tuning.space.two: every arm is tuned with the same number of trials.* ~arms.two"),
        (settings(one=None, two=None), r"tuning.space: every arm is to stay as it is"),
        (settings(two={"temperatur": [1.0]}), r"arm two has no such setting; nearest: temperature"),
        (settings(one={"policy": [1, 2]}), r"tuning.space.one.policy: is a group of settings"),
        (settings(two={"temperature": []}), r"tuning.space.two.temperature: must be a list of at least one"),
        (settings(two={"temperature": 1.0}), r"tuning.space.two.temperature: must be a list of at least one"),
        (settings(two={"temperature": [1.0, 0.5, 1.0]}), r"holds a value twice"),
        (
            settings(two={"temperature": [1.0, 0.0]}),
            r"tuning.space.two.temperature=0.0: must be a finite number above 0",
        ),
    ],
)
def test_a_space_that_cannot_be_used_is_refused(given_: dict[str, Any], says: str) -> None:
    with pytest.raises(launch.BadInput, match=says):
        spaces_of(given_)


def test_a_choice_changes_what_it_names_and_nothing_else() -> None:
    changed = with_choice(settings(), "one", {"policy.inner.share": 0.9})["arms"]
    assert changed["one"]["policy"] == {"count": 2, "temperature": 1.0, "inner": {"share": 0.9}}
    assert changed["two"] == ARMS["two"] and ARMS["one"]["policy"]["inner"] == {"share": 0.5}
    assert merged({"a": {"b": 1}, "c": 2}, {"a": {"d": 3}}) == {"a": {"b": 1, "d": 3}, "c": 2}
    assert nested({"a.b": 1, "a.c": 2, "d": 3}) == {"a": {"b": 1, "c": 2}, "d": 3}


def trial(number: int, correct: int, flops: float) -> Trial:
    return Trial("a", number, {}, "t", "validation", 9, 4, 0, correct, correct / 9, 0.0, 1.0, flops, "k")


def test_the_best_is_right_most_often_then_cheapest_then_first() -> None:
    assert best([trial(0, 3, 1.0), trial(1, 5, 9.0), trial(2, 4, 1.0)]).trial == 1
    assert best([trial(0, 5, 9.0), trial(1, 5, 2.0), trial(2, 4, 1.0)]).trial == 1
    assert best([trial(2, 5, 2.0), trial(1, 5, 2.0), trial(3, 5, 2.0)]).trial == 1


def test_what_tuning_chose_is_taken_over(tmp_path: Path) -> None:
    path = tmp_path / "tuning.yaml"
    path.write_text(
        yaml.safe_dump({"arms": {"one": {"policy": {"inner": {"share": 0.9}}}, "two": {"rules": ["quality"]}}})
    )
    taken = tuned(settings() | {"tuned": str(path)})["arms"]
    assert taken == {
        "one": with_choice(settings(), "one", {"policy.inner.share": 0.9})["arms"]["one"],
        "two": {**ARMS["two"], "rules": ["quality"]},
    }
    assert tuned(settings() | {"tuned": None}) == settings() | {"tuned": None}
    assert tuned(settings()) == settings()


@pytest.mark.parametrize(
    ("content", "more", "says"),
    [
        (None, {}, "No such file"),
        ("[", {}, "tuned="),
        ("arms: 3", {}, "is no tuning.yaml"),
        ("arms: {one: 3, two: {}}", {}, "is no tuning.yaml"),
        ("arms: {one: {}}", {}, "speaks of one, and the arms are one, two: every arm is tuned or none is"),
        ("arms: {one: {policy: {cuont: 1}}, two: {}}", {}, r"arms\.one\.policy\.cuont: there is no such setting"),
        ("arms: {one: {}, two: {}}", {"policy": {"name": "gibbs"}}, "policy=gibbs takes the place of the arms"),
    ],
)
def test_a_file_that_does_not_fit_is_refused(content: str | None, more: Any, says: str, tmp_path: Path) -> None:
    path = tmp_path / "tuning.yaml"
    if content is not None:
        path.write_text(content)
    with pytest.raises(launch.BadInput, match=says):
        tuned(settings() | {"tuned": str(path)} | more)
