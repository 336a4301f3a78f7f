"""Laws of planning on hand-written numbers: who is kept, what is taken back, and which planner is which sampler."""

import math
from typing import Any

import pytest
import torch
from torch import Tensor

from dlmreason.canvas import NEVER, Canvas, Move, Reading
from dlmreason.policies import published
from dlmreason.policies.counts import Scheduled, cosine
from dlmreason.policies.doubt import AtRandom
from dlmreason.policies.facts import facts_of
from dlmreason.policies.ordered import Ordered, PlackettLuce
from dlmreason.policies.planned import LastQuality, Loop, Planned, Planner, Power, Weighted
from dlmreason.policies.scores import certain, confidence, even, log_quality, sampled, standing
from tests.policies.hand import MASK, Scripted, canvas, clock, reading
from tests.policies.walk import same_moves, walked
from tests.toys import sudoku_rows

# 0 and 3 are written, with tokens of probability .20 and .50; 1 and 4 are blank; 2 is given.
CHANCES = [[0.70, 0.20, 0.10], [0.10, 0.85, 0.05], [1e-9, 1e-9, 1.0], [0.50, 0.30, 0.20], [0.55, 0.25, 0.20]]
HALF = canvas([[1, MASK, 2, 0, MASK]], given=(2,))
SAYS = reading(HALF, CHANCES)
THIRD_OF_FOUR = clock(2, 4)  # three of the four editable positions are kept


def moved(policy: Any, now: Canvas = HALF, says: Reading = SAYS, noise: Any = None) -> Move:
    return policy(now, says, THIRD_OF_FOUR, (), noise or Scripted())  # type: ignore[no-any-return]


def tokens(policy: Any, noise: Any = None) -> list[int]:
    return moved(policy, noise=noise).tokens[0].tolist()  # type: ignore[no-any-return]


def test_the_last_of_the_order_is_blank_whether_it_was_written_or_not() -> None:
    assert tokens(Planned(standing)) == [MASK, 1, 2, 0, 0]  # .20 of the token there: behind .85, .55 and .50
    assert tokens(Planned(confidence)) == [1, 1, 2, MASK, 0]  # by the most probable token .50 is the last
    assert tokens(Planned(Planner(confidence, certain))) == [1, 1, 2, 0, MASK]  # what is written stays


def test_a_kept_token_stays_as_it_is_or_is_written_anew() -> None:
    assert tokens(Planned(confidence)) == [1, 1, 2, MASK, 0]
    assert tokens(Planned(confidence, rewrite=True)) == [0, 1, 2, MASK, 0]


def test_a_tie_at_the_cut_goes_to_the_lower_position() -> None:
    assert tokens(Planned(even)) == [1, 1, 2, 0, MASK]


def test_the_answer_has_no_blanks_and_a_token_taken_back_stands_in_it_as_it_was_read() -> None:
    move = moved(Planned(standing))
    assert move.answer.tolist() == [[1, 1, 2, 0, 0]]
    assert move.ask.tokens.tolist() == move.tokens.tolist()
    assert move.ask.level.tolist() == [0.75]
    assert move.wake.tolist() == [1]


@pytest.mark.parametrize("rewrite", [False, True])
def test_it_settles_when_all_are_kept_and_none_can_change(rewrite: bool) -> None:
    move = Planned(standing, rewrite=rewrite)(HALF, SAYS, clock(3, 4), (), Scripted())
    assert MASK not in move.tokens[0].tolist()
    assert move.wake.tolist() == [1 if rewrite else NEVER]


@pytest.mark.parametrize(
    ("eta", "convention", "kept"),
    [
        # Code: .20 ** eta and .50 ** eta against the blanks' .85 and .55.
        (0.0, "code", [1, 1, 2, 0, MASK]),
        (0.3, "code", [1, 1, 2, 0, MASK]),  # .617 and .812 against .55
        (0.5, "code", [MASK, 1, 2, 0, 0]),  # .447 and .707
        (1.0, "code", [MASK, 1, 2, 0, 0]),
        # Paper: .85 eta and .55 eta against .20 and .50.
        (0.3, "paper", [1, 1, 2, 0, MASK]),  # .255 and .165
        (0.4, "paper", [MASK, 1, 2, 0, 0]),  # .340 and .220
        (1.0, "paper", [MASK, 1, 2, 0, 0]),
    ],
)
def test_both_conventions_of_eta(eta: float, convention: Any, kept: list[int]) -> None:
    """[P2, arXiv:2502.03540, eq. 7 and the released code]"""
    assert tokens(published.p2(eta, convention, score_current=True, temperature=0.0)) == kept


def test_a_written_token_is_judged_by_a_fresh_draw_or_by_itself() -> None:
    """Drawn: 0 of .70, 1 of .85, 2 of .20 and 1 of .25; the written tokens' own chances are .20 and .50."""
    drawn = [0, 1, 2, 2, 1]
    assert tokens(published.p2(), Scripted(drawn=drawn)) == [1, 1, 2, MASK, 1]
    assert tokens(published.p2(score_current=True), Scripted(drawn=drawn)) == [MASK, 1, 2, 0, 1]


def test_at_eta_zero_nothing_is_taken_back_even_for_certain_blanks() -> None:
    """Two blanks of probability 1 stand before two written tokens, one of them impossible."""
    now = canvas([[MASK, MASK, 2, 1, 1]], given=(2,))
    sure = [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0], [0.0, 0.0, 1.0], [0.5, 0.3, 0.2]]
    move = moved(published.p2(0.0, score_current=True, temperature=0.0), now, reading(now, sure))
    assert move.tokens.tolist() == [[0, MASK, 2, 1, 1]]


@pytest.mark.parametrize("temperature", [0.0, 1.0])
@pytest.mark.parametrize("passes", [1, 4, 6, 12])
def test_p2_that_takes_nothing_back_is_greedy_ancestral(temperature: float, passes: int) -> None:
    planner, plain = published.p2(0.0, temperature=temperature), Ordered(sampled, Scheduled(), temperature)
    assert same_moves(planner, plain, passes)
    if passes == 6:
        assert not same_moves(published.p2(1.0, temperature=1.0), Ordered(sampled, Scheduled(), 1.0), passes)


def test_random_scores_that_take_nothing_back_are_a_uniform_order() -> None:
    planner = Planned(Planner(even, certain), temperature=1.0, rank=PlackettLuce())
    assert same_moves(planner, Ordered(even, Scheduled(), 1.0, PlackettLuce()), 6)


@pytest.mark.parametrize("kappa", [cosine, None])
def test_a_ranking_that_holds_written_tokens_certain_is_the_order_of_confidence(kappa: Any) -> None:
    """RemeDi with its head at infinity on written tokens and the log-probability on blanks."""
    schedule = Scheduled() if kappa is None else Scheduled(kappa)
    score = Planner(confidence, certain)
    planner = Planned(score) if kappa is None else Planned(score, kappa)
    assert same_moves(planner, Ordered(confidence, schedule), 5)
    assert not same_moves(Planned(standing), Ordered(confidence), 5)


def test_remedi_ranks_blanks_by_confidence_and_written_tokens_by_the_head() -> None:
    says = reading(HALF, CHANCES, [0.9, 0.0, 0.0, 0.3, 0.0])
    assert moved(published.remedi(), says=says).tokens.tolist() == [[1, 1, 2, MASK, 0]]
    assert moved(published.remedi(learned=False), says=says).tokens.tolist() == [[MASK, 1, 2, 0, 0]]
    assert facts_of(published.remedi()).needs == {"masks", "quality"} and facts_of(published.remedi(False)).needs == {
        "masks"
    }


def test_mgdm_predicts_all_anew_with_noise_that_ends() -> None:
    noise = Scripted()
    assert tokens(published.mgdm(0.5), noise) == [0, 1, 2, MASK, 0]
    log_p = torch.tensor([0.70, 0.85, 1.0, 0.50, 0.55]).double().log()
    assert noise.asked == ["order"]
    assert noise.chances[0, [0, 1, 3, 4]].tolist() == pytest.approx((log_p / (0.5 * 0.25))[[0, 1, 3, 4]].tolist())
    last = published.mgdm(0.5)(HALF, SAYS, clock(3, 4), (), Scripted())
    assert last.tokens.tolist() == [[0, 1, 2, 0, 0]]


WRITTEN = canvas([[1, 0, 2, 0, MASK, 1, MASK, MASK, MASK]], given=(2,))
QUALITY = [0.5, 0.2, 0.01, 0.9, 0.0, 0.3, 0.0, 0.0, 0.0]


@pytest.mark.parametrize(("count", "last"), [(0, []), (1, [1]), (2, [1, 5]), (3, [0, 1, 5]), (4, []), (9, [])])
def test_the_lowest_quality_comes_last_while_enough_is_written_and_blank(count: int, last: list[int]) -> None:
    """Of 8 positions 4 are written: r are taken back where r < 4 < 8 - r, or not at all."""
    says = reading(WRITTEN, [[0.6, 0.3, 0.1]] * 9, QUALITY)
    score = LastQuality(count)(WRITTEN, says)[0, [0, 1, 3, 5]]
    behind = [position for position, value in zip((0, 1, 3, 5), score.tolist(), strict=True) if value < 0]
    assert behind == ([] if count == 4 else last)
    assert all(value == math.inf or value < -1e8 for value in score.tolist())


def test_prism_swaps_the_lowest_quality_for_blanks_and_keeps_to_its_count() -> None:
    says = reading(WRITTEN, [[0.6, 0.3, 0.1]] * 8 + [[0.9, 0.05, 0.05]], QUALITY)
    policy = published.prism(remask=2, order="confidence", temperature=0.0)
    move = policy(WRITTEN, says, clock(4, 8), (), Scripted())  # ceil(8 (5 / 8)) = 5 are kept
    assert move.tokens.tolist() == [[1, MASK, 2, 0, 0, MASK, 0, MASK, 0]]


def test_where_the_blanks_do_not_reach_the_best_of_those_taken_back_stay() -> None:
    quality = [0.2, 0.3, 0.01, 0.9, 0.0, 0.5, 0.0, 0.0, 0.0]
    policy = published.prism(remask=3, temperature=0.0)
    move = policy(WRITTEN, reading(WRITTEN, [[0.6, 0.3, 0.1]] * 9, quality), clock(5, 8), (), Scripted())
    assert move.tokens.tolist() == [[MASK, MASK, 2, 0, 0, 1, 0, 0, 0]]  # 6 of 8: one written, four blanks, and one more


def test_prism_that_takes_nothing_back_is_plain_top_k() -> None:
    plain = Ordered(confidence, Scheduled(), 1.0)
    assert same_moves(published.prism(remask=0, order="confidence"), plain, 6)
    assert not same_moves(published.prism(remask=2, order="confidence"), plain, 6)
    drawn = Ordered(even, Scheduled(), 1.0, PlackettLuce())
    assert same_moves(published.prism(remask=0), drawn, 6)


def test_a_constant_quality_leaves_the_tie_to_the_position() -> None:
    says = reading(WRITTEN, [[0.6, 0.3, 0.1]] * 9, [0.5] * 9)
    behind = LastQuality(2)(WRITTEN, says)[0] < 0
    assert behind.nonzero()[:, 0].tolist() == [0, 1]


def blanks(moves: list[Move]) -> list[int]:
    return [int((move.tokens == 4).sum()) for move in moves]


def test_a_loop_holds_the_schedule_while_tokens_are_written_anew() -> None:
    """12 blanks over 6 passes, and 6 more passes after the third: two tokens are taken back before each."""
    policy = Loop(Planned(Planner(confidence, certain)), AtRandom(2), after=0.5, share=0.5)
    rows = sudoku_rows(1)
    moves, _ = walked(policy, 12, rows, width=1)
    assert blanks(moves) == [10, 8, *[6 + 2] * 6, 6, 4, 2, 0]
    assert all(4 not in move.answer[0].tolist() for move in moves)
    plain, _ = walked(Planned(Planner(confidence, certain)), 6, rows, width=1)
    assert blanks(plain) == [10, 8, 6, 4, 2, 0]


def test_a_loop_at_the_end_takes_back_and_fills_a_full_canvas() -> None:
    policy = Loop(Planned(Planner(confidence, certain)), AtRandom(3), after=1.0, share=0.5)
    moves, answers = walked(policy, 60, sudoku_rows(1), width=1)
    assert blanks(moves)[29:] == [3] * 30 + [0]  # full long before, it waits for its loop
    assert moves[-1].wake.tolist() == [NEVER]
    assert all(4 not in answer.tolist() for answer in answers.values())


def test_a_loop_of_no_passes_is_the_policy_inside() -> None:
    inner = published.p2(1.0)
    assert isinstance(inner, Planned)
    assert same_moves(Loop(inner, AtRandom(2), after=0.5, share=0.0), inner, 6)


def test_scores_are_given_the_proposal_everywhere_and_what_was_read() -> None:
    seen: list[Tensor] = []

    def look(canvas: Canvas, reading: Reading) -> Tensor:
        seen.extend((canvas.tokens, reading.of.tokens))
        return even(canvas, reading)

    for policy in (Planned(look), Ordered(look, 1)):
        moved(policy)
        assert seen[-2].tolist() == [[0, 1, 2, 0, 0]]  # the given token stays
        assert seen[-1].tolist() == HALF.tokens.tolist()


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: Planned(standing, temperature=-1.0), r"temperature=-1\.0"),
        (lambda: Power(standing, -0.1), r"eta=-0\.1 is the power .* 0 or more"),
        (lambda: Power(standing, math.inf), "eta=inf"),
        (lambda: Weighted(standing, 0.0), r"eta=0\.0 multiplies .* above 0"),
        (lambda: Weighted(standing, math.nan), "eta=nan"),
        (lambda: LastQuality(-1), "count=-1: .* 0 or more"),
        (lambda: Loop(Planned(standing), AtRandom(1), after=0.0), r"after=0\.0 .* above 0"),
        (lambda: Loop(Planned(standing), AtRandom(1), after=1.1), r"after=1\.1"),
        (lambda: Loop(Planned(standing), AtRandom(1), share=1.0), r"share=1\.0 .* below 1"),
        (lambda: Loop(Planned(standing), AtRandom(1), share=-0.1), r"share=-0\.1"),
        (lambda: PlackettLuce(0.0), r"temperature=0\.0 of an order .* above 0"),
        (lambda: PlackettLuce(math.nan), "temperature=nan"),
        (lambda: published.p2(1.0, "eq7"), "convention='eq7' is not known: choose code or paper"),
        (lambda: published.p2(0.0, "paper"), r"eta=0\.0"),
        (lambda: published.p2(kappa="sine"), "kappa='sine' is not known: choose one of linear, cosine"),
        (lambda: published.prism(order="luck"), "order='luck' is not known: choose one of confidence"),
        (lambda: published.maskgit(choice=-1.0), r"temperature=-1\.0"),
    ],
)
def test_settings_that_mean_nothing_are_refused(make: Any, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        make()


def test_a_planner_needs_what_its_scores_need() -> None:
    assert facts_of(Planned(Planner(confidence, log_quality))).needs == {"masks", "quality"}
    assert facts_of(Planned(Weighted(log_quality, 0.5))).needs == {"masks", "quality"}
    assert facts_of(published.prism()).needs == {"masks", "quality"}
    assert facts_of(Loop(Planned(standing), AtRandom(1))).streams == ("doubt",)
    assert facts_of(published.p2()).revises and not published.p2().anytime
