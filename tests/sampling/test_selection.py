"""Choices are running: what n chains choose is what they would choose alone, and ties fall as stated."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dlmreason.sampling.chains import Chain
from dlmreason.sampling.selection import (
    Choice,
    by_first,
    by_judge,
    by_last,
    by_mean_log_prob,
    by_quality,
    by_vote,
    by_weighted_vote,
)

RULES = (by_vote, by_mean_log_prob, by_quality, by_weighted_vote, by_first, by_last)


def chain(
    answer: str, log_prob: float = -1.0, *, quality: float | None = -0.5, finished: bool = True, tokens: int = 4
) -> Chain:
    text = tuple(map(int, answer))
    return Chain(0, 0, (9,) * (tokens - len(text)) + text, text, log_prob, log_prob, quality, finished)


chains = st.lists(
    st.builds(
        chain,
        st.sampled_from(["12", "21", "33"]),
        st.sampled_from([-1.0, -2.0, -3.5]),
        quality=st.sampled_from([-0.1, -0.2, -0.9]),
        finished=st.booleans(),
        tokens=st.integers(2, 6),
    ),
    min_size=1,
    max_size=9,
)


@given(chains)
def test_a_choice_never_depends_on_later_chains(some: list[Chain]) -> None:
    for rule in RULES:
        running = rule(some)
        assert [rule(some[: n + 1])[-1] for n in range(len(some))] == running
        assert all(choice.chosen <= n for n, choice in enumerate(running))


@given(chains)
def test_an_unfinished_chain_is_chosen_only_where_none_is_finished(some: list[Chain]) -> None:
    for rule in RULES:
        for n, choice in enumerate(rule(some)):
            assert some[choice.chosen].finished == any(one.finished for one in some[: n + 1])
            assert (choice.score == -math.inf) == (not some[choice.chosen].finished)


def test_the_majority_wins_and_its_share_is_the_score() -> None:
    some = [chain("12"), chain("21"), chain("21"), chain("12", finished=False), chain("12"), chain("12")]
    assert by_vote(some) == [
        Choice(0, 1.0),
        Choice(0, 0.5),
        Choice(1, 2 / 3),
        Choice(1, 0.5),
        Choice(0, 2 / 5),
        Choice(0, 3 / 6),
    ]


def test_a_tied_vote_falls_by_summed_log_probability_then_to_the_earlier() -> None:
    tied = [chain("12", -2.0), chain("21", -1.0), chain("12", -1.0), chain("21", -1.5)]
    assert by_vote(tied)[-1].chosen == 1
    assert by_vote([chain("12"), chain("21")])[-1].chosen == 0


def test_mean_log_probability_is_per_token_written() -> None:
    some = [chain("12", -4.0, tokens=4), chain("21", -4.5, tokens=9)]
    assert by_mean_log_prob(some) == [Choice(0, -1.0), Choice(1, -0.5)]


def test_the_best_judged_wins() -> None:
    some = [chain("12", quality=-0.5), chain("21", quality=-0.2), chain("33", quality=-0.2)]
    assert [choice.chosen for choice in by_quality(some)] == [0, 1, 1]


def test_a_weighted_vote_sums_the_chances_of_each_answer() -> None:
    """Two tokens of log quality q are right with a chance of exp(2 q)."""
    some = [chain("12", quality=-0.5), chain("21", quality=-0.1), chain("12", quality=-0.5), chain("12", quality=-0.5)]
    low, high = math.exp(-1.0), math.exp(-0.2)
    said = by_weighted_vote(some)
    assert [choice.chosen for choice in said] == [0, 1, 1, 0]
    shares = [1.0, high / (low + high), high / (2 * low + high), 3 * low / (3 * low + high)]
    assert [choice.score for choice in said] == pytest.approx(shares)


@given(chains)
def test_a_weighted_vote_of_equal_weights_is_a_vote(some: list[Chain]) -> None:
    equal = [one if one.quality is None else one._replace(quality=-0.3, log_prob=0.0) for one in some]
    assert [choice.chosen for choice in by_weighted_vote(equal)] == [choice.chosen for choice in by_vote(equal)]


def test_one_chain_that_the_judge_overrates_wins_by_quality_and_loses_the_weighted_vote() -> None:
    some = [chain("33", quality=-0.001)] + [chain("12", quality=-0.01)] * 9
    assert by_quality(some)[-1].chosen == 0 and by_weighted_vote(some)[-1].chosen == 1


def test_what_cannot_be_chosen_is_refused() -> None:
    for rule in RULES:
        with pytest.raises(ValueError, match="over no chains"):
            rule([])
    with pytest.raises(ValueError, match=r"network\.quality=true"):
        by_quality([chain("12"), chain("21", quality=None)])


@given(chains)
def test_the_judges_choice_is_right_as_soon_as_any_chain_is(some: list[Chain]) -> None:
    def right(one: Chain) -> bool:
        return one.answer == (2, 1)

    running = by_judge(some, right)
    assert [by_judge(some[: n + 1], right)[-1] for n in range(len(some))] == running
    for n, choice in enumerate(running):
        found = any(one.finished and right(one) for one in some[: n + 1])
        assert (choice.score == 1.0) == found
        assert found == (some[choice.chosen].finished and right(some[choice.chosen]))


@given(chains)
def test_first_and_last_are_places_among_the_finished(some: list[Chain]) -> None:
    for n in range(1, len(some) + 1):
        done = [index for index in range(n) if some[index].finished]
        scores = [some[index].log_prob for index in done]
        first, last = by_first(some)[n - 1], by_last(some)[n - 1]
        assert first == (Choice(done[0], scores[0]) if done else Choice(0, -math.inf))
        assert last == (Choice(done[-1], scores[-1]) if done else Choice(0, -math.inf))
