"""Laws of the averaged weights."""

import pytest
import torch
from torch import nn

from dlmreason.training.average import Average


def history(updates: int) -> list[list[float]]:
    return torch.randn(updates, 3, generator=torch.Generator().manual_seed(0)).tolist()


def network(weights: list[float]) -> nn.Linear:
    linear = nn.Linear(3, 1, bias=False)
    with torch.no_grad():
        linear.weight.copy_(torch.tensor([weights]))
    return linear


@pytest.mark.parametrize("decay", [0.0, 0.5, 0.995])
def test_it_is_the_ramped_exponential_mean(decay: float) -> None:
    past = history(200)
    model = network([100.0, 100.0, 100.0])
    average = Average(model, decay)
    expected = torch.tensor([100.0, 100.0, 100.0], dtype=torch.float64)
    for number, weights in enumerate(past):
        with torch.no_grad():
            model.weight.copy_(torch.tensor([weights]))
        average.update()
        kept = min(decay, (1 + number) / (10 + number))
        expected = kept * expected + (1 - kept) * torch.tensor(weights, dtype=torch.float64)
    assert torch.allclose(average.state()["weight"][0].double(), expected, atol=1e-5)
    assert expected.abs().max() < 3, "the first weights, which are noise, are forgotten"


def test_swapping_puts_every_bit_back_even_after_a_failure() -> None:
    model = network([1.0, 2.0, 3.0])
    average = Average(model, 0.9)
    with torch.no_grad():
        model.weight.mul_(1 / 3)
    before = model.weight.detach().clone()
    with pytest.raises(KeyError), average.swapped():
        assert model.weight.tolist() == [[1.0, 2.0, 3.0]]
        raise KeyError
    assert torch.equal(model.weight, before)
    average.publish()
    assert model.weight.tolist() == [[1.0, 2.0, 3.0]]


def test_going_on_is_not_starting_again() -> None:
    whole_model, model = network([0.0] * 3), network([0.0] * 3)
    whole, first = Average(whole_model, 0.995), Average(model, 0.995)
    average = first
    for number, weights in enumerate(history(40)):
        for one in (whole_model, model):
            with torch.no_grad():
                one.weight.copy_(torch.tensor([weights]))
        if number == 20:
            average = Average(model, 0.995)
            average.restore(first.state(), first.updates)
        whole.update()
        average.update()
    assert torch.equal(whole.state()["weight"], average.state()["weight"])
