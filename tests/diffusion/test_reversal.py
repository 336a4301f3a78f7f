"""Laws of noise taken back: a published formula, Bayes' rule, and the rates at which the noise came."""

import math

import pytest
import torch

from dlmreason.diffusion.corruption import Absorbing, Corruption, Hybrid, Shares, Uniform
from dlmreason.diffusion.reversal import noise_law, noised_law, reverse_law
from dlmreason.diffusion.schedules import Cosine

NOISES = pytest.mark.parametrize("noise", [Uniform(), Uniform(Cosine()), Hybrid(0.3), Hybrid(0.5, 2.0), Absorbing()])
VALUES = 4
MASK = VALUES
# What a network may say at five positions, one for each token and the mask.
ALONE = torch.rand(1, VALUES + 1, VALUES, generator=torch.Generator().manual_seed(2), dtype=torch.float64).log()
ALONE = ALONE.log_softmax(-1)
EVERY = torch.arange(VALUES + 1)[None]


def at(noise: Corruption, t: float) -> Shares:
    return noise.shares(torch.tensor([t], dtype=torch.float64))


def possible(noise: Corruption) -> torch.Tensor:
    """[V + 1] bool: the tokens that the noise leaves possible; a mask is none under uniform noise."""
    return torch.tensor([True] * VALUES + [not isinstance(noise, Uniform)])


@pytest.mark.parametrize(("t", "s"), [(1.0, 0.5), (0.7, 0.2), (0.3, 0.29), (0.4, 0.0)])
def test_under_uniform_noise_it_is_the_published_posterior(t: float, s: float) -> None:
    """UDLM, arXiv:2412.10193, with what the network says in place of the right token."""
    noise = Uniform(Cosine())
    (alpha_t, *_), (alpha_s, *_) = at(noise, t), at(noise, s)
    ratio, x = alpha_t / alpha_s, ALONE[:, :VALUES].exp()
    z = torch.eye(VALUES, dtype=torch.float64)[None]
    above = VALUES * alpha_t * x * z + (ratio - alpha_t) * z + (alpha_s - alpha_t) * x
    above = above + (1 - ratio) * (1 - alpha_s) / VALUES
    expected = above / (VALUES * alpha_t * (x * z).sum(-1, keepdim=True) + 1 - alpha_t)
    law = reverse_law(ALONE, EVERY, at(noise, t), at(noise, s), MASK)[:, :VALUES].exp()
    assert torch.allclose(law[..., :VALUES], expected, atol=1e-14)
    assert (law[..., MASK] == 0).all()


@NOISES
@pytest.mark.parametrize(("t", "s"), [(0.999, 0.5), (0.7, 0.2), (0.3, 0.29), (0.4, 0.0)])
def test_taking_noise_back_leaves_the_noise_of_the_cleaner_time(noise: Corruption, t: float, s: float) -> None:
    same = ALONE[:, :1].expand_as(ALONE)  # whatever stands there, since it was left out
    before, after = noised_law(same, at(noise, t)).exp()[:, 0], noised_law(same, at(noise, s)).exp()[:, 0]
    back = reverse_law(same, EVERY, at(noise, t), at(noise, s), MASK).exp()
    assert torch.allclose(back.sum(-1), torch.ones_like(back[..., 0]), atol=1e-14)
    assert torch.allclose((before[..., None] * back).sum(1), after, atol=1e-14)
    assert torch.equal(noised_law(same, at(noise, 0.0)).exp()[0, 0, :VALUES], same[0, 0].exp())


@NOISES
@pytest.mark.parametrize("t", [0.2, 0.5, 0.8])
def test_over_a_short_time_it_changes_by_the_rates_of_the_noise(noise: Corruption, t: float) -> None:
    """The reverse rate from z to v is the forward rate from v to z times q(v) / q(z)."""
    step = 1e-7
    rates, q = noise.rates(torch.tensor([t], dtype=torch.float64)), noised_law(ALONE, at(noise, t)).exp()[0]
    back = reverse_law(ALONE, EVERY, at(noise, t), at(noise, t - step), MASK).exp()[0] / step
    for z in range(VALUES + 1):
        rate = rates.mask if z == MASK else rates.uniform / VALUES
        for v in range(VALUES + 1):
            if v != z and q[z, z] > 0:
                assert back[z, v].item() == pytest.approx(float(rate * q[z, v] / q[z, z]), rel=2e-5, abs=2e-6)


@NOISES
@pytest.mark.parametrize("index", [0, 1, 50_000, 99_998, 99_999])
def test_at_a_hundred_thousand_passes_every_law_is_a_law(noise: Corruption, index: int) -> None:
    t, s = 1 - index / 100_000, 1 - (index + 1) / 100_000
    back = reverse_law(ALONE, EVERY, at(noise, t), at(noise, max(s, 0.0)), MASK).exp()
    assert not back.isnan().any() and (back >= 0).all()
    assert torch.allclose(back.sum(-1), torch.ones_like(back[..., 0]), atol=1e-12)
    stays = back[0].diagonal()[possible(noise)]
    assert index != 50_000 or (stays > 0.999).all(), "little happens in so short a time"
    if index == 99_999:
        assert (back[..., MASK][:, possible(noise)] == 0).all(), "the last pass leaves no mask"


@NOISES
def test_where_the_time_stands_still_nothing_changes(noise: Corruption) -> None:
    back = reverse_law(ALONE, EVERY, at(noise, 0.4), at(noise, 0.4), MASK).exp()[0]
    assert torch.allclose(back, torch.eye(VALUES + 1, dtype=torch.float64), atol=1e-15)


def test_what_cannot_have_come_about_stands() -> None:
    """A token that a network of masks calls impossible, and a mask under uniform noise; neither is NaN."""
    sure = torch.tensor([[[0.0, -math.inf, -math.inf, -math.inf]] * (VALUES + 1)], dtype=torch.float64)
    back = reverse_law(sure, EVERY, at(Absorbing(), 0.5), at(Absorbing(), 0.2), MASK).exp()[0]
    assert torch.equal(back[:VALUES], torch.eye(VALUES + 1, dtype=torch.float64)[:VALUES])
    assert back[MASK].tolist() == pytest.approx([0.6, 0, 0, 0, 0.4])
    back = reverse_law(sure, EVERY, at(Uniform(), 0.5), at(Uniform(), 0.2), MASK).exp()[0]
    assert back[MASK].tolist() == [0, 0, 0, 0, 1]


@pytest.mark.parametrize(
    ("shares", "law"),
    [
        ((0.0, 0.0, 1.0), [0.25] * 4 + [0.0]),
        ((0.2, 0.0, 0.8), [0.25] * 4 + [0.0]),
        ((0.5, 0.5, 0.0), [0.0] * 4 + [1.0]),
        ((0.5, 0.3, 0.2), [0.1] * 4 + [0.6]),
        ((1.0, 0.0, 0.0), [0.0] * 5),
    ],
)
def test_pure_noise_is_what_is_not_clean(shares: tuple[float, ...], law: list[float]) -> None:
    found = noise_law(Shares(*(torch.tensor([share], dtype=torch.float64) for share in shares)), VALUES)
    assert found.shape == (1, 1, VALUES + 1)
    assert found.exp().flatten().tolist() == pytest.approx(law)
