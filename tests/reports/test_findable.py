"""The runs of a claim carry its name, whatever their own."""

import pytest

from dlmreason.reports.findable import LONGEST_TAG, claim_of, findable


@pytest.mark.parametrize(
    ("name", "seed", "claim"),
    [
        ("demo", 0, "demo"),
        ("demo_1", 1, "demo"),
        ("demo-seed1", 1, "demo"),
        ("demo.seed-12", 12, "demo"),
        ("demo_1", 2, "demo_1"),  # the 1 says something else
        ("demo11", 1, "demo11"),
        ("sudoku_9", 9, "sudoku"),
        ("1", 1, "1"),
        ("demo_1", None, "demo_1"),
    ],
)
def test_a_seed_at_the_end_is_no_part_of_a_claim(name, seed, claim):
    assert claim_of(name, seed) == claim


def test_a_run_is_found_by_claim_task_and_seed():
    settings = {"name": "demo_1", "seed": 1, "logger": {"group": None, "tags": ["paper", "demo"]}}
    found = findable(settings, "sudoku6x6")
    assert found == {
        "name": "demo_1", "group": "demo", "job_type": "experiment", "tags": ["paper", "demo", "sudoku6x6", "seed-1"],
    }  # fmt: skip
    assert findable(settings | {"logger": {"group": "own"}})["group"] == "own"
    assert findable({"name": "x", "model": {}}) == {"name": "x", "group": "x", "job_type": "train", "tags": ["x"]}
    assert findable({"name": "x", "checkpoint": "y"})["job_type"] == "evaluate"


def test_a_tag_is_cut_to_what_wandb_takes():
    assert findable({"name": "x" * 99})["tags"] == ["x" * LONGEST_TAG]
