"""Orders against answers that were written by hand, and against what is known of all orders."""

from itertools import permutations
from math import comb

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dlmreason.analysis.order import Ends, Pairs, autoregressive, ends, orders, pairs, profile
from dlmreason.analysis.writings import Writing

commits = st.lists(st.integers(1, 6), min_size=2, max_size=12)


def written(commit: list[int], right: list[bool] | None = None, **other: object) -> Writing:
    told: dict[str, object] = {"arm": "a", "example": "0", "seed": 0, "rung": 8, "passes": max(commit), "run_key": "k"}
    return Writing(**told | {"commit": commit, "right": right or [True] * len(commit)} | other)  # type: ignore[arg-type]


def test_pairs_are_counted_by_hand() -> None:
    assert pairs([1, 2, 3]) == Pairs(left=3, same=0, right=0)
    assert pairs([2, 2, 1]) == Pairs(left=0, same=1, right=2)
    assert pairs([5]) == Pairs(0, 0, 0)


@given(commit=commits)
def test_every_pair_is_of_one_kind_and_an_answer_read_backwards_changes_sides(commit: list[int]) -> None:
    found, mirrored = pairs(commit), pairs(commit[::-1])
    assert sum(found) == comb(len(commit), 2)
    assert mirrored == Pairs(found.right, found.same, found.left)
    assert pairs([3 * at for at in commit]) == found, "only which comes first counts"


def test_over_all_orders_neither_side_leads() -> None:
    """The law of an order drawn evenly: half of all pairs each way."""
    every = [pairs(list(order)) for order in permutations(range(1, 6))]
    assert sum(each.left for each in every) == sum(each.right for each in every) == 10 * len(every) // 2


def test_ends_are_the_quarters() -> None:
    right = [True] * 8
    assert ends([1, 2, 3, 4, 5, 6, 7, 8], right) == Ends(together=False, both_right=False, finished=False)
    assert ends([1, 2, 3, 3, 3, 3, 2, 4], right) == Ends(together=True, both_right=True, finished=False)
    assert ends([1, 2, 3, 3, 3, 3, 1, 2], right) == Ends(together=True, both_right=True, finished=True)
    assert ends([1, 2, 3, 3, 3, 3, 4, 2], [True, False, *right[2:]]) == Ends(True, False, False)
    assert ends([1, 1, 3, 3, 3, 3, 1, 1], [True, False, *right[2:6], False, True]) == Ends(True, True, True)
    assert ends([2, 1, 1, 2], [True] * 4) == Ends(True, True, True), "of four tokens a quarter is one"


@pytest.mark.parametrize("commit", [[], [1], [1, -1], [0, 1]])
def test_what_no_pass_wrote_has_no_ends(commit: list[int]) -> None:
    with pytest.raises(ValueError, match="each written by a pass"):
        ends(commit, [True] * len(commit))


@given(commit=commits)
def test_one_pass_for_all_finishes_both_ends_and_one_token_a_pass_never_does(commit: list[int]) -> None:
    n = len(commit)
    assert ends([1] * n, [True] * n) == Ends(True, True, True)
    assert ends(list(range(1, n + 1)), [True] * n) == Ends(False, False, False)


def test_an_arm_is_told_of_all_its_answers() -> None:
    found = orders(
        [
            written([1, 1, 2, 2], [True, True, True, False]),
            written([2, 1, 1, 2], example="1"),
            written([1, 1, 1, 1], rung=4),
            written([1, 2, 3, 4], arm="b", passes=5),
        ]
    )
    assert [(each.arm, each.rung, each.n) for each in found] == [("a", 8, 2), ("a", 4, 1), ("b", 8, 1)]
    both, at_once, alone = found
    assert (both.passes, both.per_pass) == (2, 2) and alone.per_pass == 4 / 5, "passes made count, written or not"
    assert (both.left, both.same, both.right) == (6 / 12, 4 / 12, 2 / 12)
    assert both.lean.value == pytest.approx(1 / 3) and both.lean.low <= 1 / 3 <= both.lean.high
    assert (both.together.value, both.both_right.value, both.finished.value) == (0.5, 0.5, 0.5)
    assert both.answers.value == 0.5
    assert at_once.same == 1 and at_once.lean[:] == (0, 0, 0)
    assert alone.lean[:] == (1, 1, 1)


def test_two_seeds_of_a_puzzle_are_one_draw() -> None:
    one = [written([1, 2, 3, 4] if n % 2 else [4, 3, 2, 1], example=str(n)) for n in range(40)]
    two = [written(each.commit, example=each.example, seed=1) for each in one]
    (once,), (twice,) = orders(one), orders(one + two)
    assert twice.lean == once.lean and twice.answers == once.answers and twice.n == 80


def test_an_autoregressive_model_writes_each_answer_left_to_right() -> None:
    own = [written([2, 1, 1, 2]), written([2, 1, 1, 2], arm="b"), written([1, 1, 1, 1, 1], example="1")]
    reference = autoregressive(own)
    assert [each.commit for each in reference] == [[1, 2, 3, 4], [1, 2, 3, 4, 5]]
    (order,) = orders(reference)
    assert (order.rung, order.passes, order.left, order.per_pass, order.together.value) == (5, 4.5, 1, 1, 0)


def test_a_profile_is_the_mean_pass_of_each_part() -> None:
    assert profile([written([1, 2, 3, 4])], 2) == [1.5 / 4, 3.5 / 4]
    assert profile([written([1, 1, 2, 2]), written([2, 2, 2, 2])], 4) == [0.75, 0.75, 1, 1]
    assert profile(autoregressive([written([1] * 8)]), 4) == sorted(profile(autoregressive([written([1] * 8)]), 4))
