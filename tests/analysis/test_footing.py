"""Points that cost the same within the tolerance are matched, and no others; who was still learning is said."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dlmreason.analysis.comparison import At, table
from dlmreason.analysis.crossing import DEPTH
from dlmreason.analysis.footing import STILL_LEARNING, matched, still_learning, unmatched
from dlmreason.analysis.records import RecordsError
from dlmreason.analysis.summary import summary

A, B, C = At("a", 1), At("b", 1), At("c", 2)


def costing(make, **flops):
    return [make(arm, 1, i, flops=each) for arm, each in flops.items() for i in range(4)]


def test_matched_within_the_tolerance_and_not_beyond(make):
    found = table(costing(make, a=1000, b=980))
    held, match = matched(found, A, B, 0.02)
    assert held and (match.first_cost, match.second_cost, match.apart) == (1000, 980, pytest.approx(0.02))
    assert not matched(found, A, B, 0.0199)[0] and not matched(found, B, A, 0.0199)[0]
    assert matched(found, A, A, 0.0)[0] and matched(found, A, B, 0.0, DEPTH)[0]


@given(st.integers(1, 10**6), st.integers(1, 10**6), st.floats(0, 0.99))
def test_who_comes_first_changes_nothing(one, other, tolerance):
    from dlmreason.analysis.records import Record

    found = table(
        Record(
            arm=arm, task="t", split="s", example="0", difficulty=0, rung=1, seed=0, answer="", correct=True, reason="",
            nfe=1, scheduled_passes=1, sequential_depth=1, flops=flops, events={}, run_key="k",
        )
        for arm, flops in (("a", one), ("b", other))
    )  # fmt: skip
    assert matched(found, A, B, tolerance)[0] == matched(found, B, A, tolerance)[0]


def test_only_shared_puzzles_are_weighed(make):
    """The first also answered a puzzle that costs a hundred times as much, which the second never saw."""
    found = table([*costing(make, a=100, b=100), make("a", 1, "dear", flops=10_000)])
    assert matched(found, A, B, 0.0)[0]
    with pytest.raises(RecordsError, match="share no puzzle"):
        matched(table([*costing(make, a=100), make("b", 1, "other")]), A, B, 0.1)


def test_the_refusal_has_the_two_numbers_of_the_worst_pair(make):
    found = table([*costing(make, a=1000, b=970), *(make("c", 2, i, flops=500) for i in range(4))])
    text = unmatched(found, [(A, B), (A, C)], 0.02)
    assert text is not None
    assert "a at 1 pass spends 1 kFLOP and c at 2 passes spends 500 FLOP, 50.0 % apart" in text
    assert "the claim allows 2.0 %" in text and "equal FLOPs" in text
    assert unmatched(found, [(A, B)], 0.03) is None and unmatched(found, [], 0.0) is None


@pytest.mark.parametrize("tolerance", [-0.1, 1.0, float("nan")])
def test_a_tolerance_is_a_share(tolerance, make):
    with pytest.raises(ValueError, match=r"share from 0 to below 1"):
        matched(table(costing(make, a=1, b=1)), A, B, tolerance)


def test_a_claim_without_a_tolerance_is_not_asked(make):
    records = costing(make, a=1000, b=10)
    assert summary(records)["no_common_axis"] is None
    assert "a at 1 pass spends" in summary(records, tolerance=0.5)["no_common_axis"]
    third = costing(make, c=1000)
    assert summary([*records, *third], tolerance=0.5, family=[["a@1", "c@1"]])["no_common_axis"] is None


def test_still_learning_is_a_gain_beyond_the_margin():
    learning = {
        "rising": {"half": 0.4, "full": 0.4 + STILL_LEARNING + 1e-6},
        "done": {"half": 0.4, "full": 0.4 + STILL_LEARNING - 1e-6},
        "falling": {"half": 0.4, "full": 0.3},
    }
    assert still_learning(learning) == (
        "Still learning when training ended: rising (40.0 % right at half, 42.0 % at full training)"
    )
    assert still_learning({}) is None and "done" in str(still_learning(learning, 0.0))
