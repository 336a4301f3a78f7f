"""Laws of `Ordered` on ten hand-written numbers: which blanks are written, with what, and when it is done."""

import math

import pytest
import torch

from dlmreason.canvas import NEVER
from dlmreason.policies.facts import facts_of
from dlmreason.policies.ordered import Ordered, PlackettLuce
from dlmreason.policies.scores import Blocks, confidence, entropy, even, left_to_right, log_quality, margin, sampled
from dlmreason.sampling.noise import Counter
from tests.policies.hand import MASK, Scripted, canvas, clock, reading

# Position 1 is the surest; 3 has the widest margin but one; 0 is a tie of two; 2 is given.
CHANCES = [[0.45, 0.45, 0.10], [0.05, 0.90, 0.05], [1.0, 1e-9, 1e-9], [0.60, 0.02, 0.38], [0.55, 0.25, 0.20]]
BLANK = canvas([[MASK, MASK, 0, MASK, MASK]], given=(2,))
NOBODY = Scripted()


@pytest.mark.parametrize(
    ("score", "order"),
    [(confidence, [1, 3, 4, 0]), (margin, [1, 4, 3, 0]), (entropy, [1, 3, 0, 4]), (left_to_right, [0, 1, 3, 4])],
)
def test_blanks_are_written_in_the_order_of_their_score(score, order: list[int]) -> None:  # type: ignore[no-untyped-def]
    says = reading(BLANK, CHANCES)
    for count in (1, 2, 3):
        move = Ordered(score, count)(BLANK, says, clock(0), (), NOBODY)
        written = (move.tokens != BLANK.tokens)[0].nonzero()[:, 0].tolist()
        assert written == sorted(order[:count])
        assert all(move.tokens[0, place] == torch.tensor(CHANCES[place]).argmax() for place in written)
        assert move.wake.tolist() == [1]


def test_a_tie_goes_to_the_lower_position_and_token() -> None:
    even = reading(BLANK, [[1 / 3] * 3] * 5)
    assert Ordered(confidence, 2)(BLANK, even, clock(0), (), NOBODY).tokens.tolist() == [[0, 0, 0, MASK, MASK]]


def test_the_answer_has_no_blanks_and_the_canvas_keeps_its_own() -> None:
    move = Ordered(confidence, 1)(BLANK, reading(BLANK, CHANCES), clock(0), (), NOBODY)
    assert move.answer.tolist() == [[0, 1, 0, 0, 0]]
    assert move.tokens.tolist() == move.ask.tokens.tolist() == [[MASK, 1, 0, MASK, MASK]]
    assert move.ask.level.tolist() == [0.25]
    assert move.score.tolist() == [-math.inf]


def test_it_settles_on_writing_the_last_blank() -> None:
    move = Ordered(confidence, 9)(BLANK, reading(BLANK, CHANCES), clock(0), (), NOBODY)
    assert move.tokens.tolist() == [[0, 1, 0, 0, 0]]
    assert move.wake.tolist() == [NEVER]


@pytest.mark.parametrize(
    ("total", "shares"), [(1, [4]), (2, [2, 2]), (3, [2, 1, 1]), (4, [1, 1, 1, 1]), (9, [1, 1, 1, 1])]
)
def test_blanks_are_shared_evenly_early_passes_taking_the_remainder(total: int, shares: list[int]) -> None:
    """[LLaDA, arXiv:2502.09992]"""
    policy, now, written = Ordered(confidence), BLANK, []
    assert not policy.anytime
    for index in range(total):
        before = int(now.masked.sum())
        move = policy(now, reading(now, CHANCES), clock(index, total), (), NOBODY)
        now = now._replace(tokens=move.tokens)
        written.append(before - int(now.masked.sum()))
        if move.wake.item() == NEVER:
            break
    assert written == shares


def test_temperature_sharpens_what_is_drawn_and_not_where() -> None:
    noise = Scripted(drawn=[2])
    move = Ordered(confidence, 1, temperature=0.5)(BLANK, reading(BLANK, CHANCES), clock(0), (), noise)
    assert move.tokens.tolist() == [[MASK, 2, 0, MASK, MASK]]
    squared = torch.tensor(CHANCES, dtype=torch.float64) ** 2
    assert torch.allclose(noise.chances[0], squared / squared.sum(-1, keepdim=True))
    assert noise.asked == ["token"]


def test_the_mask_is_never_written() -> None:
    with_mask = torch.tensor([[0.1, 0.1, 0.1, 0.7]] * 5)
    move = Ordered(confidence, 9)(BLANK, reading(BLANK, with_mask), clock(0), (), NOBODY)
    assert MASK not in move.tokens[0].tolist()


def test_the_score_of_the_drawn_token_reads_the_model_and_not_the_tempered_draw() -> None:
    """Drawn: .45, .05, .38 and .20, by probabilities before any temperature."""
    noise = Scripted(drawn=[0, 0, 0, 2, 2])
    move = Ordered(sampled, 3, temperature=0.2)(BLANK, reading(BLANK, CHANCES), clock(0), (), noise)
    assert move.tokens.tolist() == [[0, MASK, 0, 2, 2]]


@pytest.mark.parametrize(
    ("size", "tokens", "written"),
    [
        (1, [MASK, MASK, 0, MASK, MASK], [0]),
        (2, [MASK, MASK, 0, MASK, MASK], [0, 1]),  # editable positions count, the given one does not
        (3, [MASK, MASK, 0, MASK, MASK], [0, 1, 3]),
        (2, [1, 1, 0, MASK, MASK], [3, 4]),
        (2, [1, MASK, 0, 1, MASK], [1]),
        (4, [MASK, MASK, 0, MASK, MASK], [0, 1, 3, 4]),
    ],
)
def test_a_block_waits_for_the_one_before_it(size: int, tokens: list[int], written: list[int]) -> None:
    now = canvas([tokens], given=(2,))
    move = Ordered(Blocks(confidence, size), 9)(now, reading(now, CHANCES), clock(0), (), NOBODY)
    assert (move.tokens != now.tokens)[0].nonzero()[:, 0].tolist() == written


def test_a_plackett_luce_order_is_the_score_over_its_temperature() -> None:
    for index, heat in ((0, 1.5), (1, 1.0), (2, 0.5)):
        noise = Scripted()
        Ordered(confidence, 1, rank=PlackettLuce(2.0, annealed=True))(
            BLANK, reading(BLANK, CHANCES), clock(index, 4), (), noise
        )
        assert noise.asked == ["order"]
        chances = [max(CHANCES[place]) ** (1 / heat) for place in (0, 1, 3, 4)]
        assert noise.chances[0, [0, 1, 3, 4]].exp().tolist() == pytest.approx(chances)
        assert noise.chances[0, 2] == -math.inf
    even_share = Ordered(confidence, rank=PlackettLuce(2.0))
    assert facts_of(even_share).streams == ("order",) and not even_share.anytime
    assert not Ordered(confidence, 1, rank=PlackettLuce(2.0, annealed=True)).anytime


def test_annealed_noise_is_gone_on_the_last_pass_and_even_scores_draw_evenly() -> None:
    rows = canvas([[MASK, MASK, 0, MASK, MASK]] * 4000, given=(2,))
    noise = Counter(0, torch.arange(4000), torch.zeros(4000, dtype=torch.int64))
    says = reading(rows, CHANCES)
    last = Ordered(confidence, 1, rank=PlackettLuce(9.0, annealed=True))(rows, says, clock(3, 4, 4000), (), noise)
    assert bool((last.tokens[:, 1] == 1).all())
    drawn = Ordered(even, 1, rank=PlackettLuce())(rows, says, clock(0, 4, 4000), (), noise)
    share = (drawn.tokens != rows.tokens).double().mean(0)
    assert torch.allclose(share, torch.tensor([0.25, 0.25, 0.0, 0.25, 0.25]).double(), atol=0.03)


def test_a_block_needs_what_its_score_needs() -> None:
    assert facts_of(Ordered(Blocks(log_quality, 2), 1)).needs == {"masks", "quality"}
    with pytest.raises(ValueError, match="size=0: a block has at least 1 position"):
        Blocks(confidence, 0)


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"count": 0}, "count=0: .* at least 1"),
        ({"count": -2}, "count=-2"),
        ({"temperature": -0.1}, "temperature=-0.1"),
        ({"temperature": float("nan")}, "temperature=nan"),
        ({"temperature": float("inf")}, "temperature=inf"),
    ],
)
def test_settings_that_mean_nothing_are_refused(settings: dict[str, float], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        Ordered(confidence, **settings)  # type: ignore[arg-type]
