"""Laws of the bound under any noise: closed forms by enumeration, the definition it comes from, and its gradient."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from dlmreason.diffusion.corruption import Absorbing, Corruption, Hybrid, Shares, Uniform
from dlmreason.diffusion.interpolating import InterpolatingDiffusion, Logits, bound_weight, divergence
from dlmreason.diffusion.objectives import Forwards, MaskedDiffusion, NextToken, Staged, Taught
from dlmreason.diffusion.quality import Judging
from dlmreason.diffusion.schedules import Cosine, LowDiscrepancy
from dlmreason.diffusion.targets import Corrupted
from dlmreason.diffusion.weightings import Clipped, Dynamic, Noised
from tests.diffusion.exact import (
    Everything,
    chance,
    entropy,
    everything,
    exact_bound,
    leave_one_out_oracle,
    quadrature,
)
from tests.diffusion.fakes import Fake, batch, generator, table
from tests.toys import JOINT, random_joint

ONE = torch.tensor([0.5, 0.3, 0.2], dtype=torch.float64)
NOISES = [Uniform(), Uniform(Cosine()), Hybrid(0.1), Hybrid(0.2, 2.0), Hybrid(0.5), Hybrid(0.0), Absorbing()]
noises = pytest.mark.parametrize("noise", NOISES, ids=repr)


def oracle(joint: Tensor, posterior: bool = False):  # type: ignore[no-untyped-def]
    return lambda every: leave_one_out_oracle(joint, every.canvas, every.shares, posterior)


@noises
@pytest.mark.parametrize(
    ("joint", "nats"),
    [(ONE, 1.0296530), (JOINT, 1.1611208), (random_joint(3, 2), entropy(random_joint(3, 2)))],
    ids=["one token", "J", "three tokens"],
)
def test_a_leave_one_out_oracle_reaches_the_entropy(noise: Corruption, joint: Tensor, nats: float) -> None:
    assert exact_bound(noise, joint, oracle(joint)) == pytest.approx(nats, abs=5e-7)


@pytest.mark.parametrize(
    ("noise", "nats"),
    [(Uniform(), 1.503898), (Hybrid(0.1), 1.287120), (Hybrid(0.2), 1.386727), (Hybrid(0.5), 1.485224)],
    ids=repr,
)
def test_a_posterior_taken_for_a_leave_one_out_costs_more_and_one_that_is_converted_does_not(
    noise: Corruption, nats: float
) -> None:
    """Which of the two the logits are is no detail: the better network has the worse bound when they are mixed up."""
    posterior = oracle(ONE, posterior=True)
    assert exact_bound(noise, ONE, posterior) == pytest.approx(nats, abs=2e-6)
    assert exact_bound(noise, ONE, posterior, logits="posterior") == pytest.approx(entropy(ONE), abs=5e-7)


@pytest.mark.parametrize(
    ("noise", "alone", "mixed_up"),
    [
        (Uniform(), 1.0296530, 1.5037),
        (Hybrid(0.1), 1.02963, 1.2843),
        (Hybrid(0.2), 1.02961, 1.3809),
        (Hybrid(0.5), 1.02948, 1.4655),
    ],
    ids=repr,
)
def test_times_that_stay_away_from_the_ends_leave_a_share_of_the_bound_out(
    noise: Corruption, alone: float, mixed_up: float
) -> None:
    """Of uniform noise that grows as the root of time much lies near 0: at 1e-6 the bound lacks a hundredth."""
    assert exact_bound(noise, ONE, oracle(ONE), eps=1e-10) == pytest.approx(alone, abs=6e-6)
    eps = 1e-5 if isinstance(noise, Uniform) else 1e-6
    assert exact_bound(noise, ONE, oracle(ONE, posterior=True), eps=eps) == pytest.approx(mixed_up, abs=6e-5)


def test_a_little_uniform_noise_is_nearly_none() -> None:
    network = table(2, 2, 5)
    masked, near, far = (
        exact_bound(noise, JOINT, lambda every: network.logits(every.canvas))
        for noise in (Absorbing(), Hybrid(1e-7), Hybrid(0.1))
    )
    assert near == pytest.approx(masked, abs=1e-4)
    assert abs(far - masked) > 1e-2


def test_under_masks_it_is_the_masked_bound_to_the_draw() -> None:
    tokens = torch.randint(0, 3, (64, 5), generator=generator(1))
    editable = torch.rand(64, 5, generator=generator(2)) < 0.7
    network, times = table(5, 3, 1), LowDiscrepancy()
    data = batch(tokens, 3, editable)
    for schedule, noise in ((Cosine(), Absorbing(Cosine())), (MaskedDiffusion().schedule, Hybrid(0.0))):
        one = MaskedDiffusion(schedule, times=times)(network, data, generator(9))
        other = InterpolatingDiffusion(noise, times=times)(network, data, generator(9))
        assert other.total.item() == pytest.approx(one.total.item(), rel=1e-6)


@given(seed=st.integers(0, 2**32), noise=st.sampled_from(NOISES), says=st.sampled_from(["leave_one_out", "posterior"]))
@settings(max_examples=25, deadline=None)
def test_it_is_a_bound(seed: int, noise: Corruption, says: Logits) -> None:
    """Whatever a network says, of whatever it is shown, and whatever it is taken for."""
    joint, network = random_joint(2, 2, seed), table(2, 2, seed)
    assert exact_bound(noise, joint, lambda every: 2 * network.logits(every.canvas), says) > entropy(joint) - 1e-6


def terms(every: Everything, noise: Corruption, log_probs: Tensor) -> Tensor:
    """Each row's bound by the code, [B]; one position."""
    values = log_probs.shape[-1]
    masked = every.canvas == values
    there = torch.where(masked, 0, every.canvas)
    weight = bound_weight(every.tokens, there, masked, every.shares, noise.rates(every.t), values)
    return (weight * divergence(log_probs, every.tokens, there, masked, every.shares))[:, 0]


def some_rows(noise: Corruption, t: Tensor) -> tuple[Everything, Tensor]:
    every = everything(noise, ONE, t, torch.ones_like(t))
    said = torch.randn(len(every.t), 1, 3, generator=generator(4), dtype=torch.float64).log_softmax(-1)
    return every, said


@noises
def test_each_term_is_the_rate_of_the_divergence_of_the_reverse_process(noise: Corruption) -> None:
    """KL(q(z_s | z_t, x) || q(z_s | z_t, x_theta)) / (t - s) as s nears t, from nothing but the shares."""
    every, said = some_rows(noise, torch.tensor([0.15, 0.5, 0.8], dtype=torch.float64))
    before = noise.shares(every.t - 1e-6)
    now, ratio = every.shares, every.shares.clean / before.clean
    z, values = every.canvas[:, 0], 3
    step = Shares(ratio, now.mask - ratio * before.mask, now.uniform - ratio * before.uniform)
    earlier = torch.arange(values + 1)
    # q(z_t | z_s) for each z_s, the mask among them: kept, or overwritten on the way.
    forward = ratio[:, None] * (z[:, None] == earlier) + torch.where(
        z == values, step.mask, step.uniform / values
    ).unsqueeze(1)

    def reverse(right: Tensor) -> Tensor:
        """q(z_s | z_t, x) for a mixture `right` [B, V] of right tokens, [B, V + 1]."""
        each = torch.stack(
            [chance(earlier[None], torch.full((1, 1), v), before, values) for v in range(values)], 1
        )  # [B, V, V + 1]
        both = forward * (right[:, :, None] * each).sum(1)
        return both / both.sum(-1, keepdim=True)

    q, p = reverse(nn.functional.one_hot(every.tokens[:, 0], values).double()), reverse(said[:, 0].exp())
    naive = (torch.xlogy(q, q) - torch.xlogy(q, p)).sum(-1) / 1e-6
    assert torch.allclose(terms(every, noise, said), naive, rtol=1e-4, atol=1e-6)
    assert naive.max() > 0.1


def test_under_uniform_noise_it_is_the_sum_of_duo() -> None:
    """With x_bar = K alpha x + 1 - alpha, and alpha' = -1."""
    every, said = some_rows(Uniform(), torch.tensor([0.05, 0.3, 0.9], dtype=torch.float64))
    for row, term in enumerate(terms(every, Uniform(), said)):
        alpha, K, z = every.shares.clean[row], 3, every.canvas[row, 0]
        bar = K * alpha * nn.functional.one_hot(every.tokens[row, 0], K) + 1 - alpha
        said_bar = K * alpha * said[row, 0].exp() + 1 - alpha
        inner = sum(bar[j] / bar[z] * (said_bar[z] * bar[j] / (said_bar[j] * bar[z])).log() for j in range(K))
        assert term.item() == pytest.approx(
            (-1 / (K * alpha) * (K / bar[z] - K / said_bar[z] - inner)).item(), abs=1e-11
        )


@pytest.mark.parametrize(("peak", "gamma"), [(0.1, 1.0), (0.5, 1.0), (0.2, 2.0), (0.2, 0.5)])
def test_the_weights_are_those_of_gidd(peak: float, gamma: float) -> None:
    noise, V = Hybrid(peak, gamma), 7
    t = torch.tensor([0.01, 0.3, 0.5, 0.9], dtype=torch.float64)
    c = 2**gamma * peak / (1 - peak) * (t * (1 - t)) ** (gamma / 2)
    slope = gamma / 2 * (1 - 2 * t) / (t * (1 - t)) * c
    published = {
        "masked": 1 / (t * (1 - t)),
        "right": (c + (1 - t) * slope) / V / ((1 - t) * (1 - t + c / V)),
        "wrong": (c + (1 - t) * slope) / ((1 - t) * c),
    }
    tokens = torch.zeros(4, 3, dtype=torch.int64)
    masked = torch.tensor([True, False, False]).expand(4, 3)
    there = torch.tensor([0, 0, 1]).expand(4, 3)
    weight = bound_weight(tokens, there, masked, noise.shares(t), noise.rates(t), V)
    assert torch.allclose(weight, torch.stack(list(published.values()), 1), rtol=1e-12)


def test_dynamic_weights_are_the_bounds_in_units_of_a_wrong_tokens() -> None:
    noise, V = Hybrid(0.2), 10**6
    t = torch.tensor([0.01, 0.3, 0.5, 0.9], dtype=torch.float64)
    masked, right = (torch.tensor(row).expand(4, 3) for row in ([True, False, False], [False, True, False]))
    there = torch.where(masked | right, 0, 1)
    shares = noise.shares(t)
    bound = bound_weight(torch.zeros(4, 3, dtype=torch.int64), there, masked, shares, noise.rates(t), V)
    weight = Dynamic()(Noised(bound, masked, right, shares, V))
    assert torch.allclose(weight, bound / bound[:, 2:], rtol=1e-5)
    # In the letters of the paper: B / V e^(-gamma lambda / 2).
    assert torch.allclose(weight[:, 1], 2 * 0.2 / 0.8 / V * (t / (1 - t)).sqrt(), rtol=1e-12)
    few = Noised(bound, masked, right, shares, 1)
    assert Dynamic(0.5, 1.5)(few).min() >= 0.5 and Dynamic(0.5, 1.5)(few).max() == 1.5


@pytest.mark.parametrize(
    ("noise", "nats"),
    [(Uniform(), 1.028913), (Hybrid(0.1), 1.017720), (Hybrid(0.5), 0.953514), (Hybrid(0.2, 2.0), 1.028767)],
    ids=repr,
)
def test_the_standard_times_report_a_bound_that_is_too_low_by_so_much(noise: Corruption, nats: float) -> None:
    assert exact_bound(noise, ONE, oracle(ONE), eps=1e-4) == pytest.approx(nats, abs=2e-5)


@pytest.mark.parametrize("noise", [Uniform(), Hybrid(0.5)], ids=repr)
def test_the_bound_is_reported_whatever_is_minimised(noise: Corruption) -> None:
    data = batch(torch.randint(0, 3, (64, 4), generator=generator(1)), 3)
    plain, same, dynamic = (
        InterpolatingDiffusion(noise, weighting=weighting)(table(4, 3, 2), data, generator(5))
        for weighting in ("nelbo", Clipped(0, math.inf), Dynamic())
    )
    assert plain.total.item() == plain.metrics["nelbo"].item() == same.total.item()
    assert dynamic.metrics["nelbo"].item() == plain.total.item() != dynamic.total.item()


@given(seed=st.integers(0, 2**32), noise=st.sampled_from(NOISES), says=st.sampled_from(["leave_one_out", "posterior"]))
@settings(max_examples=25, deadline=None)
def test_no_gradient_reaches_what_is_given(seed: int, noise: Corruption, says: Logits) -> None:
    tokens = torch.randint(0, 4, (16, 6), generator=generator(seed))
    editable = torch.rand(16, 6, generator=generator(seed + 1)) < 0.5
    tokens = torch.where(editable, tokens, torch.randint(0, 6, (16, 6), generator=generator(seed)))  # also no output
    logits = torch.randn(16, 6, 4, generator=generator(3), requires_grad=True)
    network = Fake(lambda _: logits)
    loss = InterpolatingDiffusion(noise, says)(network, batch(tokens, 4, editable), generator(seed))
    loss.total.backward()
    assert loss.total.dtype == torch.float32 and torch.isfinite(loss.total)
    assert logits.grad is not None and torch.isfinite(logits.grad).all()
    asked = (logits.grad != 0).any(-1)
    assert not asked[~editable].any()
    read = network.read[0]
    assert torch.equal(read[~editable], tokens[~editable])
    if isinstance(noise, Uniform):
        assert torch.equal(asked, editable)  # every token may be noise, so every one is asked for
        assert (read[editable] < 4).all()


def test_the_passes_stated_are_the_passes_made() -> None:
    network = Fake(lambda tokens: torch.zeros(*tokens.shape, 4))
    objective = InterpolatingDiffusion(Uniform())
    objective(network, batch(torch.zeros(2, 5, dtype=torch.int64), 4), generator())
    assert objective.forwards == Forwards(sum(network.trained), len(network.trained) - sum(network.trained)) == (1, 0)


@pytest.mark.parametrize(
    ("noise", "masks", "tokens"), [(Absorbing(), True, False), (Uniform(), False, True), (Hybrid(0.3), True, True)]
)
@pytest.mark.parametrize("says", ["leave_one_out", "posterior"])
def test_it_says_what_its_network_reads_and_what_it_says_there(
    noise: Corruption, masks: bool, tokens: bool, says: Logits
) -> None:
    objective = InterpolatingDiffusion(noise, says)
    assert objective.teaches == Taught(masks=masks, noise=says if tokens else None)
    # So does what is wrapped around it; of stages the last counts.
    assert Staged([(0.5, NextToken()), (0.5, objective)]).teaches == objective.teaches
    assert Judging(objective, Corrupted()).teaches == objective.teaches._replace(quality=True)
    assert Staged([(0.5, objective), (0.5, MaskedDiffusion())]).teaches.noise is None


def test_what_is_none_is_refused() -> None:
    with pytest.raises(ValueError, match="choose leave_one_out or posterior"):
        InterpolatingDiffusion(logits="scores")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="choose nelbo"):
        InterpolatingDiffusion(weighting="none")  # type: ignore[arg-type]
    network = Fake(lambda tokens: torch.zeros(*tokens.shape, 4))
    with pytest.raises(ValueError, match=r"4 outputs.*5 tokens below"):
        InterpolatingDiffusion()(network, batch(torch.zeros(2, 3, dtype=torch.int64), 5), generator())


def test_an_integral_over_all_time_is_one() -> None:
    """The rule that the laws above rest on: also where the integrand has a root's singularity."""
    t, weight = quadrature()
    assert weight.sum().item() == pytest.approx(1, abs=1e-12)
    assert (weight / t.sqrt()).sum().item() == pytest.approx(2, abs=1e-8)
