"""Laws of corruptions: shares that are a law of tokens, rates that are theirs, and draws that follow them."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from dlmreason.diffusion.corruption import Absorbing, Corruption, Hybrid, Shares, Uniform, coins, corrupt
from dlmreason.diffusion.schedules import Cosine
from tests.diffusion.fakes import generator

MASK = 9
ROWS = 5000
TOKENS = torch.arange(8).expand(ROWS, 8)
EDITABLE = torch.tensor([True, False] * 4).expand(ROWS, 8)
EVERYWHERE = torch.ones(ROWS, 8, dtype=torch.bool)
NOISES = [Absorbing(), Absorbing(Cosine()), Uniform(), Hybrid(0.2), Hybrid(0.5, 2.0), Hybrid(0.0)]
noises = pytest.mark.parametrize("noise", NOISES, ids=repr)


def at(t: float, rows: int = 1) -> Tensor:
    return torch.full((rows,), t, dtype=torch.float64)


@noises
@given(t=st.floats(0, 1))
def test_shares_are_a_law(noise: Corruption, t: float) -> None:
    shares = torch.stack(noise.shares(at(t)))
    assert shares.dtype == torch.float64
    assert (shares >= 0).all()
    assert shares.sum().item() == pytest.approx(1, abs=1e-15)


@noises
def test_all_is_clean_at_the_start_and_nothing_at_the_end_exactly(noise: Corruption) -> None:
    start, end = (torch.cat(noise.shares(at(t))).tolist() for t in (0.0, 1.0))
    assert start == [1, 0, 0]
    assert end == [0, 0, 1] if isinstance(noise, Uniform) else end == [0, 1, 0]


@noises
@given(t=st.floats(0.01, 0.99))
def test_rates_are_those_at_which_the_shares_grow(noise: Corruption, t: float) -> None:
    """Overwriting at these rates, and nothing else, takes the shares from one time to the next."""
    time = at(t).requires_grad_()
    clean, *noised = noise.shares(time)
    slope, *grown = (
        torch.autograd.grad((share + 0 * time).sum(), time, retain_graph=True)[0] for share in (clean, *noised)
    )
    for share, growth, rate in zip(noised, grown, noise.rates(time), strict=True):
        assert rate.item() == pytest.approx((growth - slope / clean * share).item(), rel=1e-9, abs=1e-12)
        assert rate >= 0


@given(t=st.floats(0, 1), peak=st.floats(0, 0.99), gamma=st.floats(0.1, 2))
def test_hybrid_shares_are_those_of_gidd(t: float, peak: float, gamma: float) -> None:
    B = 2**gamma * peak / (1 - peak)
    c = B * t ** (gamma / 2) * (1 - t) ** (gamma / 2)
    expected = [(1 - t) / (1 + c), t / (1 + c), c / (1 + c)]
    assert torch.cat(Hybrid(peak, gamma).shares(at(t))).tolist() == pytest.approx(expected, abs=1e-12)
    assert Hybrid(peak, gamma).shares(at(0.5)).uniform.item() == pytest.approx(peak, abs=1e-12)


@noises
@pytest.mark.parametrize("t", [0.0, 0.3, 0.5, 0.99, 1.0])
def test_canvases_follow_the_shares_and_what_is_given_stays(noise: Corruption, t: float) -> None:
    shares = noise.shares(at(t, ROWS))
    canvas = corrupt(TOKENS, EDITABLE, shares, MASK, generator())
    assert torch.equal(canvas[~EDITABLE], TOKENS[~EDITABLE])
    written, tokens = canvas[EDITABLE], TOKENS[EDITABLE]
    clean, mask, uniform = (share[0].item() for share in shares)
    counted = torch.bincount(written, minlength=MASK + 1).double() / len(written)
    right = torch.bincount(tokens, minlength=MASK + 1).double() / len(written)
    expected = clean * right + uniform / MASK
    expected[MASK] = mask
    assert (counted[expected == 0] == 0).all()
    assert (counted - expected).abs().max() <= 5 * math.sqrt(0.25 / len(written))
    same = (written == tokens).double().mean().item()
    assert same == pytest.approx(clean + uniform / MASK, abs=5 * math.sqrt(0.25 / len(written)))


def test_a_mask_is_one_coin() -> None:
    """Trainings under masks draw what they drew before there was other noise."""
    shares = Absorbing().shares(torch.linspace(0, 1, ROWS, dtype=torch.float64))
    hidden = coins(shares.mask[:, None], TOKENS, generator()) & EDITABLE
    canvas = corrupt(TOKENS, EDITABLE, shares, MASK, generator())
    assert torch.equal(canvas, torch.where(hidden, MASK, TOKENS))


def test_each_row_has_its_own_level() -> None:
    levels = torch.tensor([0.0, 1.0], dtype=torch.float64)
    canvas = corrupt(TOKENS[:2], EVERYWHERE[:2], Absorbing().shares(levels), MASK, generator())
    assert canvas.tolist() == [list(range(8)), [MASK] * 8]


@noises
def test_positions_are_noised_by_themselves(noise: Corruption) -> None:
    canvas = corrupt(TOKENS, EVERYWHERE, noise.shares(at(0.5, ROWS)), MASK, generator())
    noised = (canvas != TOKENS).double()
    together = torch.corrcoef(noised.T) - torch.eye(8)
    assert together.abs().max() < 5 / math.sqrt(ROWS)


def test_uniform_noise_is_drawn_from_all_tokens_alike() -> None:
    canvas = corrupt(TOKENS, EVERYWHERE, Shares(*(at(share, ROWS) for share in (0.0, 0.0, 1.0))), MASK, generator())
    counted = torch.bincount(canvas.flatten())
    assert len(counted) == MASK
    assert ((counted - counted.sum() / MASK) ** 2 / (counted.sum() / MASK)).sum() < 26.1  # chi-squared, 8, .999


@pytest.mark.parametrize("wrong", [{"peak_uniform": 1.0}, {"peak_uniform": -0.1}, {"gamma": 0.0}, {"gamma": 2.1}])
def test_noise_that_is_none_is_refused(wrong: dict[str, float]) -> None:
    ((name, value),) = wrong.items()
    with pytest.raises(ValueError, match=rf"corruption\.{name}={value}"):
        Hybrid(**wrong)
