"""Laws of `Doubt` on hand-written numbers: which tokens of a full canvas are taken back, and that blanks come first."""

import pytest
import torch

from dlmreason.canvas import NEVER
from dlmreason.policies.doubt import AtRandom, Doubt, LowestConfidence, LowestQuality
from dlmreason.policies.ordered import Ordered
from dlmreason.policies.scores import confidence
from dlmreason.sampling.noise import Counter
from tests.policies.hand import MASK, Scripted, canvas, clock, reading

SURE = [[0.9, 0.05, 0.05]] * 5
QUALITY = [0.9, 0.2, 0.01, 0.6, 0.3]  # the worst, position 2, is given by the task
FULL = canvas([[0, 1, 2, 1, 0]], given=(2,))
REFILL = Ordered(confidence, count=1)


@pytest.mark.parametrize(("count", "doubted"), [(0, []), (1, [1]), (2, [1, 4]), (3, [1, 3, 4]), (9, [0, 1, 3, 4])])
def test_the_lowest_quality_goes_and_what_is_given_stays(count: int, doubted: list[int]) -> None:
    policy = Doubt(LowestQuality(count, noisy=False), REFILL)
    move = policy(FULL, reading(FULL, SURE, QUALITY), clock(3), (), Scripted())
    assert (move.tokens == MASK)[0].nonzero()[:, 0].tolist() == doubted
    assert move.answer.tolist() == FULL.tokens.tolist()  # what is doubted this pass stands as it was read
    assert move.wake.tolist() == [1]


def test_noisy_doubt_is_drawn_in_proportion_to_the_chance_of_being_wrong() -> None:
    noise = Scripted()
    LowestQuality(1)(FULL, reading(FULL, SURE, QUALITY), noise)
    wrong = noise.chances[0].exp()
    assert noise.asked == ["doubt"]
    assert torch.allclose(wrong, torch.tensor([0.1, 0.8, 0.0, 0.4, 0.7], dtype=torch.float64))
    many = Counter(0, torch.arange(20_000), torch.zeros(20_000, dtype=torch.int64))
    rows = canvas([[0, 1, 2, 1, 0]] * 20_000, given=(2,))
    picked = LowestQuality(1)(rows, reading(rows, SURE, QUALITY), many).double()
    assert picked.sum(-1).eq(1).all()
    assert torch.allclose(picked.mean(0), wrong / wrong.sum(), atol=0.015)


def test_the_lowest_confidence_is_in_the_token_there_and_not_in_the_likeliest() -> None:
    chances = [[0.3, 0.4, 0.3], [0.98, 0.01, 0.01], [0.1, 0.1, 0.8], [0.1, 0.9, 0.0], [0.6, 0.3, 0.1]]
    of = reading(FULL, chances)  # of 0 1 2 1 0: .3, .01, given, .9, .6
    assert LowestConfidence(2, noisy=False)(FULL, of, Scripted()).tolist() == [[True, True, False, False, False]]
    noise = Scripted()
    LowestConfidence(2)(FULL, of, noise)
    assert noise.asked == ["doubt"]
    assert torch.allclose(noise.chances[0].exp(), torch.tensor([0.7, 0.99, 0.0, 0.1, 0.4], dtype=torch.float64))


def test_a_quality_of_one_is_still_a_number() -> None:
    certain = reading(FULL, SURE, [1.0] * 5)
    assert int(LowestQuality(2, noisy=False)(FULL, certain, Scripted()).sum()) == 2


def test_the_control_draws_evenly_and_as_many() -> None:
    rows = canvas([[0, 1, 2, 1, 0]] * 20_000, given=(2,))
    noise = Counter(0, torch.arange(20_000), torch.zeros(20_000, dtype=torch.int64))
    picked = AtRandom(2)(rows, reading(rows, SURE, QUALITY), noise).double()
    assert picked.sum(-1).eq(2).all()
    assert torch.allclose(picked.mean(0), torch.tensor([0.5, 0.5, 0.0, 0.5, 0.5], dtype=torch.float64), atol=0.015)
    silent = Scripted()
    assert not bool(AtRandom(0)(FULL, reading(FULL, SURE), silent).any()) and silent.asked == []


def test_a_canvas_with_blanks_is_filled_before_anything_is_doubted() -> None:
    """Rows are apart: one is refilled on the very pass on which the other is doubted."""
    both = canvas([[0, MASK, 2, 1, 0], [0, 1, 2, 1, 0]], given=(2,))
    policy = Doubt(LowestQuality(2, noisy=False), REFILL)
    move = policy(both, reading(both, SURE, QUALITY), clock(3, rows=2), (), Scripted())
    assert move.tokens.tolist() == [[0, 0, 2, 1, 0], [0, MASK, 2, 1, MASK]]
    assert move.wake.tolist() == [1, 1]  # the refill alone would settle: here the full canvas is still to be read


def test_a_refill_that_needs_a_total_is_refused() -> None:
    with pytest.raises(ValueError, match="give its refill a `count`"):
        Doubt(LowestQuality(2), Ordered(confidence))
    assert Ordered(confidence, 2)(FULL, reading(FULL, SURE), clock(0), (), Scripted()).wake.tolist() == [NEVER]


@pytest.mark.parametrize("select", [LowestQuality, LowestConfidence, AtRandom])
def test_a_negative_count_is_refused(select: type) -> None:
    with pytest.raises(ValueError, match=r"count=-1: .* 0 or more"):
        select(-1)


def test_quality_that_is_not_there_is_not_made_up() -> None:
    with pytest.raises(ValueError, match="no quality head"):
        LowestQuality(1)(FULL, reading(FULL, SURE), Scripted())
