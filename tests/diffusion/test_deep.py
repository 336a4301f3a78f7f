"""Laws of deep supervision: it is the mean of losses that could be taken one by one, over passes that are made once;
of one loop it is the inner loss to the bit."""

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from dlmreason.compute.flops import read_out_flops, training_flops
from dlmreason.diffusion.blocks import BlockDiffusion
from dlmreason.diffusion.carried import SelfConditioned
from dlmreason.diffusion.correctors import Corrector
from dlmreason.diffusion.deep import DeeplySupervised, deeply_supervised, read_outs
from dlmreason.diffusion.interpolating import InterpolatingDiffusion
from dlmreason.diffusion.objectives import Forwards, Loss, MaskedDiffusion, NextToken, Objective, Staged
from dlmreason.diffusion.quality import Judging, Quality, judging_of, quality_later
from dlmreason.diffusion.rollouts import Rollouts
from dlmreason.diffusion.targets import Filled
from dlmreason.diffusion.thoughts import ScheduledSampling
from dlmreason.networks.shape import Shape
from dlmreason.networks.transformer import Output, Transformer
from tests.diffusion.fakes import Said, batch, generator, uniform

DIGITS, LENGTH, ROWS, LOOPS = 4, 6, 32, 3
SIZES: dict[str, Any] = {"vocabulary_size": DIGITS + 1, "length": LENGTH, "num_layers": 1, "width": 16, "num_heads": 2}
GOLD = torch.randint(0, DIGITS, (ROWS, LENGTH), generator=generator(1))
DATA = batch(GOLD, DIGITS, (torch.arange(LENGTH) >= 2).expand(ROWS, LENGTH))
CAUSAL: dict[str, Any] = {"attention": "causal"}
INNER: dict[str, tuple[Any, dict[str, Any]]] = {
    "masked": (MaskedDiffusion(), {}),
    "gidd": (InterpolatingDiffusion(), {}),
    "scheduled": (ScheduledSampling(MaskedDiffusion(), 0.9), {}),
    "quality": (Quality(MaskedDiffusion()), {}),
    "prism": (Judging(MaskedDiffusion(), Filled(2)), {}),
    "carry": (SelfConditioned(Quality(MaskedDiffusion()), 0.6, 2), {"carry": True}),
    "blocks": (BlockDiffusion(3), {"attention": "block_causal", "block": 3}),
    "next": (NextToken(), CAUSAL),
    "verifier": (Quality(NextToken()), CAUSAL),
}
EACH = pytest.mark.parametrize(("inner", "changes"), INNER.values(), ids=INNER.keys())


def network_of(loops: int = LOOPS, scale: float = 12.0, **changes: Any) -> Transformer:
    torch.manual_seed(0)
    network = Transformer(Shape(**SIZES, quality=True, loops=loops, **changes))
    with torch.no_grad():
        for weight in network.parameters():
            weight.mul_(scale if weight.dim() > 1 else 1)
    return network


def trained(objective: Objective, network: Any, weights: Transformer) -> tuple[Loss, list[Tensor], Tensor]:
    """The loss, the gradient of each weight, and where the draws end."""
    draws = generator(4)
    weights.zero_grad()
    loss = objective(network, DATA, draws)
    loss.total.backward()
    found = [torch.zeros_like(each) if each.grad is None else each.grad.clone() for each in weights.parameters()]
    return loss, found, draws.get_state()


def alike(one: tuple[Loss, list[Tensor], Tensor], other: tuple[Loss, list[Tensor], Tensor]) -> bool:
    losses = torch.equal(one[0].total, other[0].total) and one[0].metrics.keys() == other[0].metrics.keys()
    metrics = all(torch.equal(value, other[0].metrics[name]) for name, value in one[0].metrics.items())
    return losses and metrics and all(map(torch.equal, one[1], other[1])) and torch.equal(one[2], other[2])


@EACH
@pytest.mark.parametrize(("loops", "last"), [(1, None), (1, 0.3), (LOOPS, 1)])
def test_of_one_loop_it_is_the_inner_loss_to_the_bit(
    inner: Objective, changes: dict[str, Any], loops: int, last: float | None
) -> None:
    network = network_of(loops, **changes)
    assert alike(trained(DeeplySupervised(inner, last), network, network), trained(inner, network, network))


class Cut:
    """A network whose trained passes say what one of fewer loops, over the same weights, would say."""

    def __init__(self, network: Transformer, loops: int) -> None:
        self.network, self.loops = network, loops
        self.carries = network.carries
        self.fewer = Transformer(replace(network.shape, loops=loops))
        for name, part in network.named_children():
            setattr(self.fewer, name, part)  # the weights themselves, so that gradients come together
        self.fewer.positions = network.positions

    def __call__(self, tokens: Tensor, features: Tensor, **told: Any) -> Output | Said:
        whole: Output = self.network(tokens, features, **told)
        if not torch.is_grad_enabled():
            return whole
        return Said(self.fewer(tokens, features, **told).logits, whole.quality)

    def paired(self, *arguments: Any) -> Output:
        return self.fewer.paired(*arguments)


@EACH
@pytest.mark.parametrize(
    ("last", "weights"), [(None, (1 / 3, 1 / 3, 1 / 3)), (0.6, (0.2, 0.2, 0.6))], ids=["alike", "rising"]
)
def test_its_gradient_is_the_mean_of_those_of_each_loop(
    inner: Objective, changes: dict[str, Any], last: float | None, weights: Sequence[float]
) -> None:
    """Taken one by one, by networks of one loop, two and three; the samples and the quality head are the last's."""
    network = network_of(**changes)
    loss, found, end = trained(DeeplySupervised(inner, last), network, network)
    each = [trained(inner, Cut(network, loops), network) for loops in (1, 2, 3)]
    assert all(torch.equal(end, one[2]) for one in each), "the draws go on from where the inner loss leaves them"
    total = sum(weight * one[0].total.item() for weight, one in zip(weights, each, strict=True))
    assert loss.total.item() == pytest.approx(total, rel=1e-5)
    for place, gradient in enumerate(found):
        expected = torch.stack([weight * one[1][place] for weight, one in zip(weights, each, strict=True)]).sum(0)
        assert torch.allclose(gradient, expected, rtol=1e-3, atol=1e-5)
    whole = trained(inner, network, network)
    assert all(torch.equal(loss.metrics[name], value) for name, value in whole[0].metrics.items())
    for number, one in enumerate(each, 1):
        assert float(loss.metrics[f"loop_{number}_loss"]) == pytest.approx(one[0].total.item(), rel=1e-5)
    pairs = zip(found, whole[1], strict=True)
    assert not all(torch.allclose(ours, of_last, rtol=1e-2) for ours, of_last in pairs), "the control"


@EACH
def test_what_it_charges_is_what_torch_counts(inner: Objective, changes: dict[str, Any]) -> None:
    """Each pass once, its heads once a loop. Where the head is asked, nothing flows back from earlier loops' logits: so
    much is charged and not spent; and of masks torch multiplies what they hide."""
    objective, network = DeeplySupervised(inner), network_of(scale=1.0, **changes)
    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        objective(network, DATA, generator(4)).total.backward()
    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as alone:
        inner(network, DATA, generator(4)).total.backward()
    more = 3 * ROWS * read_out_flops(network.shape, LENGTH)
    judging = judging_of(inner)
    unspent = 0 if judging is None else judging.target.repeats * 2 * more // 3
    assert counter.get_total_flops() == alone.get_total_flops() + objective.read_outs * more - unspent
    assert objective.forwards == inner.forwards and objective.read_outs == inner.forwards.trained
    if not changes and judging is None:
        charged = objective.forwards.charged * training_flops(network.shape, LENGTH, ROWS) // 3
        assert counter.get_total_flops() == charged + objective.read_outs * more


def test_without_a_gradient_it_says_the_same() -> None:
    objective, network = DeeplySupervised(Quality(MaskedDiffusion())), network_of()
    one = objective(network, DATA, generator(4)).total
    with torch.no_grad():
        other = objective(network, DATA, generator(4)).total
    assert one.requires_grad and not other.requires_grad and torch.equal(one, other)


def test_stages_are_supervised_each_and_read_out_each() -> None:
    inner = Quality(MaskedDiffusion())
    staged = deeply_supervised(quality_later(MaskedDiffusion(), start=0.5), 0.4)
    assert isinstance(staged, Staged) and staged.teaches == quality_later(MaskedDiffusion(), start=0.5).teaches
    assert staged.at(0, 10) == DeeplySupervised(MaskedDiffusion(), 0.4)
    assert staged.at(9, 10) == DeeplySupervised(inner, 0.4) and judging_of(staged.at(9, 10)) == inner.judging
    assert staged.forwards(10) == Forwards(15, 5) and read_outs(staged, 10) == 5 * 1 + 5 * 2
    mixed = Staged([(0.2, MaskedDiffusion()), (0.5, DeeplySupervised(inner)), (0.3, DeeplySupervised(inner, 1))])
    assert read_outs(mixed, 10) == 5 * 2
    assert deeply_supervised(MaskedDiffusion()) == DeeplySupervised(MaskedDiffusion(), None)


@pytest.mark.parametrize("loops", [1, 2, 5])
@pytest.mark.parametrize("last", [None, 0.1, 0.7, 1])
def test_the_weights_add_up_to_one(loops: int, last: float | None) -> None:
    weights = DeeplySupervised(MaskedDiffusion(), last).weights(loops)
    assert len(weights) == loops and sum(weights) == pytest.approx(1, abs=1e-12)
    assert len(set(weights[:-1])) <= 1
    assert weights[-1] == (1 / loops if last is None or loops == 1 else last)


def test_what_is_trained_after_each_loop_is_right_after_each() -> None:
    """The answer is one digit of the prompt, which one loop can copy. Trained on the last loop alone, no loop is right
    as soon: the control."""
    tokens = torch.randint(0, DIGITS, (64, 1), generator=generator(1)).repeat(1, LENGTH)
    data = batch(tokens, DIGITS, (torch.arange(LENGTH) > 0).expand(64, LENGTH))
    canvas = torch.where(data.editable, DIGITS, tokens)
    nats = {}
    for last in (None, 1):
        torch.manual_seed(0)
        network = Transformer(Shape(**SIZES | {"width": 32}, loops=LOOPS))
        objective = DeeplySupervised(MaskedDiffusion(weighting="none"), last)
        optimizer = torch.optim.Adam(network.parameters(), lr=1e-2)
        for update in range(40):
            optimizer.zero_grad()
            objective(network, data, generator(100 + update)).total.backward()
            optimizer.step()
        with torch.no_grad():
            said = [each.logits.log_softmax(-1) for each in network.at_each_loop(canvas, data.features)]
        nats[last] = [float(-each.gather(-1, tokens[..., None])[:, 1:].mean()) for each in said]
    assert max(nats[None]) < 0.05 < 0.2 < min(nats[1])


class Overheard:
    """Shows the network what a trained pass of it has said."""

    forwards = Forwards(2, 0)

    def __call__(self, network: Any, data: Any, draws: torch.Generator) -> Loss:
        said = network(data.tokens, data.features).logits.argmax(-1)
        return Loss(network(said, data.features).logits.square().mean(), {})


def test_a_canvas_that_differs_from_loop_to_loop_is_refused() -> None:
    with pytest.raises(ValueError, match="shows the network another canvas in each loop"):
        DeeplySupervised(Overheard())(network_of(), DATA, generator())


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: DeeplySupervised(MaskedDiffusion(), 0), "last=0 is the share"),
        (lambda: DeeplySupervised(MaskedDiffusion(), 1.1), r"last=1\.1"),
        (lambda: DeeplySupervised(MaskedDiffusion(), math.nan), "last=nan"),
        (lambda: DeeplySupervised(DeeplySupervised(MaskedDiffusion())), "is so already"),
        (lambda: DeeplySupervised(quality_later(MaskedDiffusion(), start=0.5)), "use deeply_supervised"),
        (lambda: DeeplySupervised(Corrector(MaskedDiffusion())), "one canvas is to serve all"),
        (lambda: deeply_supervised(Judging(Corrector(MaskedDiffusion()))), "one canvas is to serve all"),
        (lambda: DeeplySupervised(Rollouts()), "goes on from update to update"),
    ],
)
def test_what_cannot_be_sound_is_refused(make: Any, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        make()


def test_a_network_that_says_of_no_loops_is_refused_before_it_is_called() -> None:
    network = uniform(DIGITS)
    with pytest.raises(ValueError, match="Fake says of none: give it a network with loops, put DeeplySupervised outer"):
        DeeplySupervised(MaskedDiffusion())(network, DATA, generator())
    assert network.read == []
    within = SelfConditioned(DeeplySupervised(MaskedDiffusion()))
    with pytest.raises(ValueError, match="put DeeplySupervised outermost"):
        within(network_of(carry=True), DATA, generator())
