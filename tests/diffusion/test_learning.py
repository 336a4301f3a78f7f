"""Every objective trains a real network: a few updates, and the loss of a task that can be learnt falls."""

import pytest
import torch

from dlmreason.diffusion.corruption import Hybrid, Uniform
from dlmreason.diffusion.interpolating import InterpolatingDiffusion
from dlmreason.diffusion.objectives import MaskedDiffusion, Objective
from dlmreason.diffusion.schedules import Independent, Levels
from dlmreason.diffusion.thoughts import ScheduledSampling, ThoughtByThought
from dlmreason.diffusion.weightings import Bound, Dynamic, Falling, Focal, Weighting
from dlmreason.networks.shape import Shape
from dlmreason.networks.transformer import Transformer
from tests.diffusion.fakes import batch, generator

DIGITS, LENGTH, ROWS = 4, 6, 64
OBJECTIVES = {
    "masked": MaskedDiffusion(),
    "mgdm": MaskedDiffusion(weighting=Weighting((Focal(), Falling()), "masked"), times=Levels()),
    "llada": MaskedDiffusion(weighting=Weighting((Bound(),), "rows"), times=Independent()),
    "udlm": InterpolatingDiffusion(Uniform()),
    "udlm, posterior": InterpolatingDiffusion(Uniform(), "posterior"),
    "gidd": InterpolatingDiffusion(Hybrid(0.2), weighting=Dynamic()),
    "gidd, bound": InterpolatingDiffusion(Hybrid(0.2)),
    "thought by thought": ThoughtByThought(MaskedDiffusion(), coupling=0.1),
    "scheduled sampling": ScheduledSampling(ThoughtByThought(MaskedDiffusion()), 0.5),
}


@pytest.mark.parametrize("objective", OBJECTIVES.values(), ids=OBJECTIVES.keys())
def test_the_loss_and_the_bound_fall(objective: Objective) -> None:
    """The answer is one digit of the prompt, again and again."""
    torch.manual_seed(0)
    network = Transformer(Shape(vocabulary_size=DIGITS + 1, length=LENGTH, num_layers=1, width=32, num_heads=2))
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-2)
    tokens = torch.randint(0, DIGITS, (ROWS, 1), generator=generator(1)).repeat(1, LENGTH)
    data = batch(tokens, DIGITS, (torch.arange(LENGTH) > 0).expand(ROWS, LENGTH), thoughts=torch.arange(LENGTH) // 2)

    def measured() -> torch.Tensor:
        with torch.no_grad():
            loss = objective(network, data, generator(7))
        return torch.stack([loss.total, loss.metrics["nelbo"]])

    before = measured()
    for update in range(40):
        optimizer.zero_grad()
        objective(network, data, generator(100 + update)).total.backward()
        optimizer.step()
    assert (measured() < before / 3).all(), (before, measured())
