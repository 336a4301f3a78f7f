"""The figure: the same bytes for the same numbers, every arm named, labels apart."""

import json
import re
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dlmreason.reports import figure, tables


@pytest.fixture(scope="module")
def summary(run_folder: Path) -> dict:
    return json.loads((run_folder / "summary.json").read_text())


def test_same_numbers_same_bytes_and_other_numbers_other_bytes(summary, tmp_path):
    one = figure.svg(summary, tmp_path / "one.svg").read_bytes()
    assert figure.svg(summary, tmp_path / "two.svg").read_bytes() == one
    other = json.loads(json.dumps(summary))
    other["arms"]["restarts"]["points"][3]["accuracy"] += 0.1
    assert figure.svg(other, tmp_path / "three.svg").read_bytes() != one
    assert len(one) < 120_000 and not re.search(rb"<dc:date>", one)


def test_every_arm_is_named_once_and_dollar_signs_are_no_formula(summary, tmp_path):
    other = json.loads(json.dumps(summary))
    other["arms"]["cost $x$"] = other["arms"].pop("restarts")
    text = figure.svg(other, tmp_path / "f.svg").read_text()
    for arm in other["arms"]:
        assert text.count(f"<!-- {arm} -->") == 1


def test_with_many_arms_it_grows_and_names_each_arm_and_no_companion(summary, tmp_path):
    arms = dict(summary["arms"])
    for i in range(30):
        arms |= {f"more_{i}": arms["change_of_mind"], f"more_{i}.last": arms["change_of_mind.last"]}
        arms[f"more_{i}.last"] = arms[f"more_{i}.last"] | {"companion_of": f"more_{i}"}
    text = figure.svg(summary | {"arms": arms}, tmp_path / "many.svg").read_text()
    for arm, content in arms.items():
        assert text.count(f"<!-- {arm} -->") == (content["companion_of"] is None)

    def height(text: str) -> float:
        return float(re.search(r'height="([\d.]+)pt"', text)[1])

    assert height(text) > 1.5 * height(figure.svg(summary, tmp_path / "few.svg").read_text())


def test_an_upper_bound_is_called_one_wherever_it_is_drawn(summary, tmp_path):
    other = json.loads(json.dumps(summary))
    other["arms"]["restarts"]["bound"] = True
    text = figure.svg(other, tmp_path / "f.svg").read_text()
    assert "<!-- restarts (upper bound) -->" in text and "<!-- restarts -->" not in text
    assert "restarts (upper bound)" in [trace.name for trace in figure.plotly(other).data]
    assert "restarts (upper bound)" in tables.markdown(other)


def test_a_companion_shares_its_arms_colour(summary):
    number = figure.places(summary)
    assert number["change_of_mind.last"] == number["change_of_mind"]
    own = [number[arm] for arm, content in summary["arms"].items() if content["companion_of"] is None]
    assert len(set(own)) == len(own)


def test_an_arm_that_spent_nothing_is_left_out(summary, tmp_path):
    other = json.loads(json.dumps(summary))
    for point in other["arms"]["restarts"]["points"]:
        point["flops"] = 0
    assert "<!-- restarts -->" not in figure.svg(other, tmp_path / "f.svg").read_text()


@given(st.lists(st.floats(0, 1), min_size=1, max_size=30))
def test_labels_keep_their_order_and_distance(heights):
    placed = figure.apart(heights, 0.05)
    gap = min(0.05, 1 / max(1, len(heights) - 1))
    order = sorted(range(len(heights)), key=lambda i: (heights[i], i))
    assert all(placed[b] - placed[a] >= gap - 1e-9 for a, b in pairwise(order))
    assert all(-1e-9 <= each <= 1 + 1e-9 for each in placed)


def test_who_was_still_learning_stands_on_its_face(summary, tmp_path):
    """The run of the fixture has one model that gained 11 points in its second half and one that lost 1."""
    said = summary["still_learning"]
    assert "change_of_mind (41.0 % right at half, 52.0 % at full training)" in said and "ar_thought" not in said
    text = " ".join(re.findall(r"<!-- (.*?) -->", figure.svg(summary, tmp_path / "f.svg").read_text(), re.DOTALL))
    assert said in " ".join(text.split())
    assert "Still learning" in figure.plotly(summary).layout.title.text
    done = figure.svg(summary | {"still_learning": None}, tmp_path / "g.svg").read_text()
    assert "Still learning" not in done and "<sub>" not in figure.plotly(summary | {"still_learning": None}).to_json()
    old = {key: value for key, value in summary.items() if key not in ("still_learning", "no_common_axis", "family")}
    assert figure.svg(old, tmp_path / "h.svg").read_text() == done


@pytest.mark.parametrize("draw", [lambda found, path: figure.svg(found, path), lambda found, _: figure.plotly(found)])
def test_points_that_are_not_matched_are_not_drawn(draw, summary, tmp_path):
    with pytest.raises(figure.NoCommonAxis, match="a spends 1 and b 2"):
        draw(summary | {"no_common_axis": "no common axis: a spends 1 and b 2"}, tmp_path / "f.svg")
    assert not list(tmp_path.iterdir())


def test_plotly_holds_every_point(summary):
    drawn = json.loads(figure.plotly(summary).to_json())["data"]
    assert {each["name"] for each in drawn} == set(summary["arms"])
    assert sum(len(each["customdata"]) for each in drawn) == sum(len(arm["points"]) for arm in summary["arms"].values())
