"""Work for each token of an answer, against records written by hand."""

import pytest

from dlmreason.analysis.comparison import At, table
from dlmreason.analysis.records import RecordsError
from dlmreason.analysis.work import (
    AUTOREGRESSIVE,
    DIFFUSION,
    Best,
    answer_tokens,
    budgets,
    by_level,
    frontier,
    least_work,
    points,
    side,
)


@pytest.fixture
def rows(make):
    """Ten puzzles. Passes are right on 2, 6 and 6 of them, chains on 4 and then 8, a short arm on 5 and no further."""
    shares = {("passes", 1): 2, ("passes", 4): 6, ("passes", 8): 6, ("chain.vote", 4): 4, ("chain.vote", 8): 8}
    shares[("short.vote", 1)] = 5
    return [
        make(arm, rung, n, n < right, difficulty=n // 5, flops=20 * rung, events={"chains": 1} if "." in arm else {})
        for (arm, rung), right in shares.items()
        for n in range(10)
    ]


@pytest.fixture
def found(rows):
    return table(rows)


def test_records_of_chains_are_of_the_autoregressive_side(found) -> None:
    assert [side(found, arm) for arm in found.arms] == [DIFFUSION, AUTOREGRESSIVE, AUTOREGRESSIVE]


def test_a_token_is_a_symbol_of_a_right_answer(found, make) -> None:
    assert answer_tokens(found) == 2
    assert answer_tokens(table([make("a", 1, 0, True), make("a", 1, 1, False, answer="1 2 3")])) == 2
    with pytest.raises(RecordsError, match=r"\[1, 2\] symbols"):
        answer_tokens(table([make("a", 1, 0, True), make("a", 1, 1, True, answer="1")]))
    with pytest.raises(RecordsError, match="no symbols"):
        answer_tokens(table([make("a", 1, 0, False)]))


def test_the_best_of_a_side_is_picked_at_each_budget(found) -> None:
    one, four, eight = budgets(found, 2)
    assert [each.rung for each in (one, four, eight)] == [1, 4, 8]
    ours, theirs = one.sides[DIFFUSION], one.sides[AUTOREGRESSIVE]
    assert ours and theirs and (ours.at, ours.work, theirs.at) == (At("passes", 1), 10, At("short.vote", 1))
    assert four.sides[AUTOREGRESSIVE].at == At("short.vote", 1), "it would spend no more, and is ahead still"
    assert eight.sides[AUTOREGRESSIVE].at == At("chain.vote", 8)
    assert [each.difference.gain for each in (one, four, eight)] == pytest.approx([-0.3, 0.1, -0.2])


def test_a_budget_that_buys_a_side_nothing_has_no_difference(found, rows) -> None:
    later = table([each for each in rows if each.arm != "short.vote"])
    first = budgets(later, 2)[0]
    assert first.sides[AUTOREGRESSIVE] is None and first.difference is None


def test_an_arm_that_answered_easy_puzzles_alone_does_not_compete(rows, make) -> None:
    easy = [make("easy.vote", 8, n, True, flops=1, events={"chains": 1}) for n in range(4)]
    assert budgets(table(rows + easy), 2)[-1].sides[AUTOREGRESSIVE].at == At("chain.vote", 8)


def test_an_upper_bound_does_not_compete(rows, make) -> None:
    told = [make("told.oracle", 8, n, True, events={"chains": 1}) for n in range(10)]
    assert budgets(table(rows + told, ["told"]), 2) == budgets(table(rows), 2)


def test_the_least_work_for_a_share_is_that_of_its_cheapest_point(found) -> None:
    half = least_work(found, 2, 0.5)
    assert (half[DIFFUSION].at, half[AUTOREGRESSIVE].at) == (At("passes", 4), At("short.vote", 1))
    most = least_work(found, 2, 0.7)
    assert most[DIFFUSION] is None and most[AUTOREGRESSIVE].at == At("chain.vote", 8)
    shares = [least_work(found, 2, share)[AUTOREGRESSIVE].work for share in (0.1, 0.5, 0.6, 0.8)]
    assert shares == sorted(shares), "more right answers never take less work"


def test_levels_split_the_puzzles_and_each_has_its_own_best(found) -> None:
    (easy, at_easy), (hard, at_hard) = by_level(found, 2)
    assert (easy.puzzles, hard.puzzles) == (5, 5)
    assert at_easy[-1].sides[DIFFUSION].accuracy == 1 and at_hard[-1].sides[DIFFUSION].accuracy == 0.2


def test_a_frontier_rises_and_nothing_beats_it(found) -> None:
    own = points(found, 2)[AUTOREGRESSIVE]
    best = frontier(own)
    assert [each.at for each in best] == [At("short.vote", 1), At("chain.vote", 8)]
    assert all(any(edge.work <= each.work and edge.accuracy >= each.accuracy for edge in best) for each in own)
    assert frontier([]) == [] and frontier(best[::-1]) == best
    assert frontier([Best(At("a", 1), 0.5, 0, 1, 3.0), Best(At("b", 1), 0.5, 0, 1, 3.0)])[0].at.arm == "a"
