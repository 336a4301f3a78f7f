"""Laws of quality training: what the head is shown, what it is asked, and what must not be trained by it."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from dlmreason.diffusion.corruption import Uniform
from dlmreason.diffusion.interpolating import InterpolatingDiffusion
from dlmreason.diffusion.objectives import MaskedDiffusion, NextToken
from dlmreason.diffusion.quality import Quality, auroc, mean_log_quality, quality_later
from dlmreason.diffusion.targets import draw
from tests.diffusion.fakes import Fake, Said, batch, generator

MASK = 4
ROWS, LENGTH = 3000, 8
GOLD = torch.zeros(ROWS, LENGTH, dtype=torch.int64)
JUDGED = (torch.arange(LENGTH) >= 2).expand(ROWS, LENGTH)


def always(token: int) -> Fake:
    """Writes `token` wherever it is asked."""
    said = torch.full((MASK,), -1e4).index_fill(0, torch.tensor(token), 0.0)
    return Fake(lambda tokens: said.expand(*tokens.shape, MASK), lambda tokens: torch.zeros(tokens.shape))


def test_full_canvases_have_the_share_of_own_tokens_that_is_stated() -> None:
    canvas = Quality(MaskedDiffusion(), full=1.0).canvas(always(1), batch(GOLD, MASK, judged=JUDGED), generator())
    assert (canvas != MASK).all()
    assert (canvas[~JUDGED] == 0).all()
    wrong = (canvas == 1).double()[JUDGED].view(ROWS, -1).mean(1)
    # t uniform: the mean of .03 + .8 t^2, and its spread from row to row
    assert wrong.mean().item() == pytest.approx(0.03 + 0.8 / 3, abs=5 * wrong.std().item() / math.sqrt(ROWS))
    assert (wrong == 0).any() and (wrong > 0.5).any()


def test_the_other_rows_are_masked_as_in_diffusion_and_filled_in_part() -> None:
    canvas = Quality(MaskedDiffusion(), full=0.0).canvas(always(1), batch(GOLD, MASK), generator())
    blank, own = ((canvas == token).double().mean().item() for token in (MASK, 1))
    assert blank == pytest.approx(0.25, abs=0.02)  # half of what is hidden, which is half
    assert own == pytest.approx(0.25, abs=0.02)


def test_a_quarter_of_the_rows_is_not_full() -> None:
    wide = torch.zeros(ROWS, 64, dtype=torch.int64)
    canvas = Quality(MaskedDiffusion()).canvas(always(1), batch(wide, MASK), generator())
    assert (canvas == MASK).any(1).double().mean().item() == pytest.approx(0.25, abs=0.04)


def test_a_causal_network_sees_full_canvases_only_and_writes_what_it_would_have_said_there() -> None:
    successor = Fake(lambda tokens: 1e4 * nn.functional.one_hot((tokens + 1) % MASK, MASK).float())
    gold = torch.arange(LENGTH).mul(2).remainder(MASK).expand(ROWS, LENGTH)  # 0 2 0 2 ...: the successors are wrong
    canvas = Quality(NextToken(), full=0.0).canvas(successor, batch(gold, MASK, judged=JUDGED), generator())
    own = canvas != gold
    assert own.any() and not own[~JUDGED].any()
    before = gold.roll(1, 1)
    assert (canvas[own] == (before[own] + 1) % MASK).all()


class Two(nn.Module):
    """Logits and quality that are weights of their own."""

    def __init__(self, rows: int) -> None:
        super().__init__()
        self.logits = nn.Parameter(torch.randn(rows, LENGTH, MASK, generator=generator(5)))
        self.quality = nn.Parameter(torch.zeros(rows, LENGTH))
        self.read: list[Tensor] = []

    def forward(self, tokens: Tensor, features: Tensor) -> Said:
        self.read.append(tokens)
        return Said(self.logits, self.quality)


@pytest.mark.parametrize("inner", [MaskedDiffusion(), NextToken()], ids=repr)
def test_no_gradient_goes_through_own_samples_and_masks_are_not_asked_about(inner: MaskedDiffusion | NextToken) -> None:
    rows = 64
    alone, both = Two(rows), Two(rows)
    data = batch(GOLD[:rows], MASK, judged=JUDGED[:rows])
    inner(alone, data, generator()).total.backward()
    loss = Quality(inner, weight=3.0)(both, data, generator())
    loss.total.backward()
    assert both.logits.grad is not None and both.quality.grad is not None and alone.logits.grad is not None
    assert torch.equal(both.logits.grad, alone.logits.grad)
    canvas = both.read[-1]
    scored = JUDGED[:rows] & (canvas != MASK)
    assert torch.equal(both.quality.grad != 0, scored)
    # At logit 0 the gradient of the mean is weight * (1/2 - right) / count.
    right = (canvas == 0).float()
    assert torch.allclose(both.quality.grad[scored], (3.0 * (0.5 - right) / scored.sum())[scored])
    assert loss.metrics["quality_loss"].item() == pytest.approx(math.log(2), rel=1e-5)
    assert loss.metrics["own_errors"].item() == pytest.approx(1 - right[scored].mean().item(), abs=1e-6)


def test_the_best_answer_to_the_question_is_the_chance_of_being_right() -> None:
    """A coin writes 4 tenths of the tokens, and is right half of the time: .8 are right, whatever they are."""
    gold = torch.randint(0, 2, (4000, LENGTH), generator=generator(8))
    coin = torch.tensor([0.0, 0.0, -math.inf, -math.inf])

    def loss(chance: float) -> float:
        logit = math.log(chance / (1 - chance))
        network = Fake(lambda t: coin.expand(*t.shape, MASK), lambda t: torch.full(t.shape, logit))
        objective = Quality(MaskedDiffusion(), full=1.0, lowest=0.4, slope=0.0)
        return objective(network, batch(gold, MASK), generator()).metrics["quality_loss"].item()

    assert loss(0.8) < min(loss(0.77), loss(0.83))
    assert loss(0.8) == pytest.approx(-0.8 * math.log(0.8) - 0.2 * math.log(0.2), abs=0.01)


@given(weights=st.lists(st.integers(0, 5), min_size=2, max_size=5).filter(any), seed=st.integers(0, 2**32))
def test_draws_follow_the_distribution_and_never_the_impossible(weights: list[int], seed: int) -> None:
    chances = torch.tensor(weights, dtype=torch.float64) / sum(weights)
    drawn = draw(chances.log().float().expand(1, 4000, -1), generator(seed))
    share = torch.bincount(drawn.flatten(), minlength=len(weights)).double() / 4000
    assert (share[chances == 0] == 0).all()
    assert (share - chances).abs().max() < 6 * math.sqrt(0.25 / 4000)


@given(st.lists(st.tuples(st.integers(-3, 3), st.booleans()), min_size=1, max_size=30))
def test_auroc_counts_pairs(pairs: list[tuple[int, bool]]) -> None:
    good, bad = ([score for score, right in pairs if right is kind] for kind in (True, False))
    score = auroc(torch.tensor([float(s) for s, _ in pairs]), torch.tensor([right for _, right in pairs]))
    if good and bad:
        wins = sum((g > b) + (g == b) / 2 for g in good for b in bad)
        assert score == pytest.approx(wins / len(good) / len(bad))
    else:
        assert math.isnan(score)


def test_a_canvas_scores_its_mean_log_chance() -> None:
    chances = torch.tensor([[0.9, 0.5, 0.1]])
    score = mean_log_quality(chances.logit(), torch.tensor([[True, True, False]]))
    assert score.item() == pytest.approx((math.log(0.9) + math.log(0.5)) / 2, rel=1e-5)


def test_a_network_without_the_head_is_refused() -> None:
    headless = Fake(lambda tokens: torch.zeros(*tokens.shape, MASK))
    with pytest.raises(ValueError, match=r"network\.quality=true"):
        Quality(MaskedDiffusion())(headless, batch(GOLD[:2], MASK), generator())


@pytest.mark.parametrize("wrong", [{"weight": 0.0}, {"full": 1.5}, {"lowest": 0.5, "slope": 0.6}, {"lowest": -0.1}])
def test_shares_that_are_none_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=r"quality\.\w+=.*"):
        Quality(MaskedDiffusion(), **wrong)


def test_an_objective_that_writes_nothing_cannot_be_judged() -> None:
    with pytest.raises(ValueError, match=r"quality\.inner=.*choose MaskedDiffusion or NextToken"):
        Quality(InterpolatingDiffusion(Uniform(), "posterior"))


def test_quality_later_is_the_inner_loss_first() -> None:
    inner = MaskedDiffusion()
    staged = quality_later(inner, start=0.6)
    assert [staged.at(update, 10) is inner for update in range(10)] == [True] * 6 + [False] * 4
    assert quality_later(inner, start=1.0).forwards(10) == (10, 0)
    assert quality_later(inner, start=0.0).forwards(10) == (20, 10)
    with pytest.raises(ValueError, match=r"objective.start=2"):
        quality_later(inner, start=2)
