"""Laws of what a network says of noised tokens: exact conversions, and the noise detector, against Bayes' rule on J."""

import itertools

import pytest
import torch

from dlmreason.diffusion.corruption import Absorbing, Corruption, Hybrid, Shares, Uniform
from dlmreason.diffusion.leave_one_out import leave_one_out, noise_chance, posterior_of
from tests.diffusion.exact import leave_one_out_oracle
from tests.toys import JOINT, random_joint

JOINTS = pytest.mark.parametrize("joint", [JOINT, random_joint(3, 3)], ids=["J", "three tokens"])


def canvases(joint: torch.Tensor, noise: Corruption, t: float) -> tuple[torch.Tensor, Shares]:
    """Every canvas of masks and tokens, and the shares, one to a row."""
    rows = torch.tensor(list(itertools.product(range(joint.shape[0] + 1), repeat=joint.dim())))
    return rows, noise.shares(torch.full((len(rows),), t, dtype=torch.float64))


@JOINTS
@pytest.mark.parametrize("noise", [Uniform(), Hybrid(0.3)], ids=repr)
@pytest.mark.parametrize("t", [0.1, 0.4, 0.9])
def test_one_becomes_the_other_exactly(joint: torch.Tensor, noise: Corruption, t: float) -> None:
    rows, shares = canvases(joint, noise, t)
    if isinstance(noise, Uniform):
        rows, shares = rows[(some := (rows < joint.shape[0]).all(1))], Shares(*(share[some] for share in shares))
    alone, seen = (leave_one_out_oracle(joint, rows, shares, posterior) for posterior in (False, True))
    assert torch.allclose(leave_one_out(seen, rows, shares, joint.shape[0]), alone, atol=1e-12)
    assert torch.allclose(posterior_of(alone, rows, shares, joint.shape[0]), seen, atol=1e-12)
    assert (alone - seen).abs().max() > 0.1
    masked = (rows == joint.shape[0])[..., None]
    assert torch.allclose(alone.where(masked, 0), seen.where(masked, 0), atol=1e-12)


def test_under_masks_what_stands_is_carried_over_and_nothing_is_nan() -> None:
    rows, shares = canvases(JOINT, Absorbing(), 0.4)
    alone = leave_one_out_oracle(JOINT, rows, shares)
    seen = posterior_of(alone, rows, shares, 2).exp()
    written = rows != 2
    assert (seen.gather(-1, rows.clamp(max=1)[..., None])[..., 0][written] == 1).all()
    assert torch.allclose(seen[~written], alone.exp()[~written], atol=1e-12)
    assert not leave_one_out(alone, rows, shares, 2).isnan().any()


@pytest.mark.parametrize(("canvas", "expected"), [((0, 0), (0.299401, 0.335329)), ((1, 0), (0.602410, 0.530120))])
def test_where_the_noise_is(canvas: tuple[int, int], expected: tuple[float, float]) -> None:
    """On J under uniform noise, alpha = .6."""
    rows = torch.tensor([canvas])
    shares = Uniform().shares(torch.tensor([0.4], dtype=torch.float64))
    alone = leave_one_out_oracle(JOINT, rows, shares)
    assert noise_chance(alone, rows, shares, 2)[0].tolist() == pytest.approx(expected, abs=5e-7)


@JOINTS
@pytest.mark.parametrize("noise", [Uniform(), Hybrid(0.3), Absorbing()], ids=repr)
def test_the_detector_is_bayes_rule(joint: torch.Tensor, noise: Corruption) -> None:
    """Over every text, and every choice of which positions are noise."""
    rows, shares = canvases(joint, noise, 0.4)
    values, length = joint.shape[0], joint.dim()
    clean, mask, uniform = (share[0].item() for share in shares)
    said = noise_chance(leave_one_out_oracle(joint, rows, shares), rows, shares, values)
    for row, canvas in enumerate(rows.tolist()):
        all_of_it, noisy = 0.0, [0.0] * length
        for text in itertools.product(range(values), repeat=length):
            for noised in itertools.product([False, True], repeat=length):
                p = joint[text].item()
                for z, x, is_noise in zip(canvas, text, noised, strict=True):
                    p *= (mask if z == values else uniform / values) if is_noise else clean * (z == x)
                all_of_it += p
                noisy = [sum_ + p * is_noise for sum_, is_noise in zip(noisy, noised, strict=True)]
        if all_of_it > 0:
            assert said[row].tolist() == pytest.approx([each / all_of_it for each in noisy], abs=1e-12)
