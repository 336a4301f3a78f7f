"""Laws of self-conditioning: what the earlier passes read, what they hand on, what they cost and that nothing flows
back through them."""

import math
from itertools import pairwise
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from dlmreason.compute.flops import pass_flops
from dlmreason.diffusion.carried import SelfConditioned, self_conditioned
from dlmreason.diffusion.correctors import Corrector
from dlmreason.diffusion.interpolating import InterpolatingDiffusion
from dlmreason.diffusion.objectives import Forwards, Loss, MaskedDiffusion, Objective, Staged, Taught
from dlmreason.diffusion.quality import Judging, Quality, quality_later
from dlmreason.diffusion.targets import Filled
from dlmreason.networks.shape import Shape
from dlmreason.networks.transformer import Output, Transformer
from tests.diffusion.fakes import Noted, batch, generator, uniform

DIGITS, LENGTH, ROWS = 4, 6, 8
SHAPE = Shape(vocabulary_size=DIGITS + 1, length=LENGTH, num_layers=1, width=16, num_heads=2, quality=True, carry=True)
GOLD = torch.randint(0, DIGITS, (ROWS, LENGTH), generator=generator(1))
DATA = batch(GOLD, DIGITS, (torch.arange(LENGTH) >= 2).expand(ROWS, LENGTH))
INNER: dict[str, Any] = {
    "masked": MaskedDiffusion(),
    "gidd": InterpolatingDiffusion(),
    "quality": Quality(MaskedDiffusion()),
    "prism": Judging(MaskedDiffusion(), Filled(2)),
    "prism, twice a row": Judging(MaskedDiffusion(), Filled(2, repeats=2)),
    "proseco": Corrector(MaskedDiffusion()),
}
EACH = pytest.mark.parametrize("inner", INNER.values(), ids=INNER.keys())
DEPTHS = pytest.mark.parametrize("depth", [1, 3])


def network_of(scale: float = 6.0) -> Transformer:
    torch.manual_seed(0)
    network = Transformer(SHAPE)
    with torch.no_grad():
        for weight in network.parameters():
            weight.mul_(scale if weight.dim() > 1 else 1)
    return network


def equal(one: Loss, other: Loss) -> bool:
    return torch.equal(one.total, other.total) and all(
        torch.equal(value, other.metrics[name]) for name, value in one.metrics.items()
    )


@EACH
def test_without_a_chance_it_is_the_inner_loss(inner: Objective) -> None:
    network = network_of()
    alone = inner(network, DATA, generator(4))
    assert equal(SelfConditioned(inner, 0.0)(network, DATA, generator(4)), alone)
    assert SelfConditioned(inner, 0.0).forwards == inner.forwards
    assert not equal(SelfConditioned(inner, 0.9)(network, DATA, generator(4)), alone)


@EACH
@DEPTHS
def test_each_pass_is_made_of_earlier_ones_over_its_own_canvas(inner: Objective, depth: int) -> None:
    network = Noted(network_of())
    SelfConditioned(inner, 0.5, depth)(network, DATA, generator(4))
    last = depth + 1
    remembering = set[tuple[bool, ...]]()
    for start in range(0, len(network.calls), last):
        earlier, final = network.calls[start : start + depth], network.calls[start + depth]
        assert all(torch.equal(each.tokens, final.tokens) and not each.trained for each in earlier)
        assert earlier[0].carry is None
        for before, after in pairwise(earlier):
            assert after.carry is before.hidden
        assert final.carry is not None and not final.carry.requires_grad
        remembers = (final.carry != 0).any(-1).any(-1)
        remembering.update(map(tuple, remembers.view(-1, ROWS).tolist()))  # a target may show rows several times
        assert torch.equal(final.carry[remembers], earlier[-1].hidden[remembers])
    assert len(network.calls) % last == 0
    assert len(remembering) == 1, "one coin a row for all passes of an update"
    assert 0 < sum(*remembering) < ROWS


@DEPTHS
def test_no_gradient_goes_through_the_carry(depth: int) -> None:
    """The gradient is that of the carry as a constant, made by hand from another network of the same weights."""
    network, other = network_of(), network_of()
    noted = Noted(network)
    loss = SelfConditioned(MaskedDiffusion(), 0.7, depth)(noted, DATA, generator(4)).total
    loss.backward()
    carry = None
    for _ in range(depth):
        carry = other(noted.calls[-1].tokens, DATA.features, carry=carry).hidden.detach()
    remembers = (noted.calls[-1].carry != 0).any(-1).any(-1)
    carry = torch.where(remembers[:, None, None], carry, torch.zeros(()))

    class Given:
        def __call__(self, tokens: Tensor, features: Tensor) -> Output:
            assert torch.equal(tokens, noted.calls[-1].tokens)
            return other(tokens, features, carry=carry)  # type: ignore[no-any-return]

    noise = generator(4)
    torch.rand(ROWS, 1, 1, generator=noise, dtype=torch.float64)  # the coins
    again = MaskedDiffusion()(Given(), DATA, noise).total
    again.backward()
    assert torch.equal(loss, again)
    grads = [(a.grad, b.grad) for a, b in zip(network.parameters(), other.parameters(), strict=True)]
    assert all((a is None and b is None) or torch.equal(a, b) for a, b in grads)
    assert float(network.recall.weight.grad.abs().max()) > 0


def test_with_the_gradient_let_through_it_would_differ() -> None:
    """The control of the law before."""
    network = network_of()
    tokens = torch.where(DATA.editable, DIGITS, GOLD)
    grads = []
    for detached in (True, False):
        network.zero_grad()
        hidden = network(tokens, DATA.features).hidden
        network(tokens, DATA.features, carry=hidden.detach() if detached else hidden).logits.square().sum().backward()
        grads.append(network.blocks[0].up.weight.grad.clone())
    assert not torch.allclose(*grads, rtol=1e-2)


@pytest.mark.parametrize("chance", [0.1, 0.5, 0.9])
def test_a_row_remembers_with_its_chance(chance: float) -> None:
    class Zero:
        carries = True
        remembered = 0.0

        def __call__(self, tokens: Tensor, features: Tensor, *, carry: Tensor | None = None) -> Output:
            if carry is not None:
                self.remembered += float(carry.mean())
            return Output(torch.zeros(*tokens.shape, DIGITS), None, torch.ones(*tokens.shape, 1))

    rows, network = 40_000, Zero()
    data = batch(torch.zeros(rows, 1, dtype=torch.int64), DIGITS)
    SelfConditioned(MaskedDiffusion(), chance)(network, data, generator(2))
    assert network.remembered == pytest.approx(chance, abs=4 * math.sqrt(chance * (1 - chance) / rows))


@EACH
@DEPTHS
def test_what_it_charges_is_what_torch_counts(inner: Objective, depth: int) -> None:
    objective, network = SelfConditioned(inner, 0.5, depth), network_of(1.0)
    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        objective(network, DATA, generator(4)).total.backward()
    assert counter.get_total_flops() == objective.forwards.charged * ROWS * pass_flops(SHAPE, LENGTH)
    trained, untrained = inner.forwards
    assert objective.forwards == Forwards(trained, untrained + depth * (trained + untrained))


def test_stages_are_conditioned_each() -> None:
    staged = self_conditioned(quality_later(MaskedDiffusion(), start=0.5), 0.25, 2)
    assert isinstance(staged, Staged) and staged.teaches == Taught(quality=True, masks=True, carry=True)
    assert staged.at(0, 10) == SelfConditioned(MaskedDiffusion(), 0.25, 2)
    assert staged.at(9, 10) == SelfConditioned(Quality(MaskedDiffusion()), 0.25, 2)
    assert staged.forwards(10) == Forwards(5 * 1 + 5 * 2, 5 * 2 + 5 * (1 + 2 * 3))
    assert self_conditioned(MaskedDiffusion(), 0.25, 2) == SelfConditioned(MaskedDiffusion(), 0.25, 2)
    plain, carried = MaskedDiffusion(), SelfConditioned(MaskedDiffusion())
    assert Staged([(0.5, plain), (0.5, carried)]).teaches.carry and not Staged([(1.0, plain)]).teaches.carry
    with pytest.raises(ValueError, match="a stage without a carry after one with"):
        Staged([(0.5, carried), (0.5, plain)])


def test_what_is_trained_is_believed() -> None:
    """The answer is one digit of the prompt. In the end a first pass is right, and so is one with its own carry; one
    with another row's carry says what that row has in mind."""
    torch.manual_seed(0)
    shape = Shape(vocabulary_size=DIGITS + 1, length=LENGTH, num_layers=1, width=32, num_heads=2, carry=True)
    network = Transformer(shape)
    objective = SelfConditioned(MaskedDiffusion(weighting="none"), 0.5)
    tokens = torch.randint(0, DIGITS, (64, 1), generator=generator(1)).repeat(1, LENGTH)
    data = batch(tokens, DIGITS, (torch.arange(LENGTH) > 0).expand(64, LENGTH))

    def nats() -> list[float]:
        canvas = torch.where(data.editable, DIGITS, tokens)
        with torch.no_grad():
            own = network(canvas, data.features).hidden
            said = [network(canvas, data.features, carry=carry).logits for carry in (None, own, own.roll(1, 0))]
        return [float(-each.log_softmax(-1).gather(-1, tokens[..., None])[:, 1:].mean()) for each in said]

    first, own, foreign = nats()
    assert abs(own - foreign) < 0.1 and min(first, own, foreign) > 1
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-2)
    for update in range(40):
        optimizer.zero_grad()
        objective(network, data, generator(100 + update)).total.backward()
        optimizer.step()
    first, own, foreign = nats()
    assert max(first, own) < 0.05 < 1 < foreign


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: SelfConditioned(MaskedDiffusion(), -0.1), r"chance=-0\.1"),
        (lambda: SelfConditioned(MaskedDiffusion(), 1.0), r"chance=1\.0 .* below 1"),
        (lambda: SelfConditioned(MaskedDiffusion(), math.nan), "chance=nan"),
        (lambda: SelfConditioned(MaskedDiffusion(), 0.5, 0), "depth=0"),
        (lambda: SelfConditioned(SelfConditioned(MaskedDiffusion())), "has its carry already"),
        (lambda: SelfConditioned(quality_later(MaskedDiffusion(), start=0.5)), "use self_conditioned"),
        (lambda: Quality(SelfConditioned(MaskedDiffusion())), "put SelfConditioned around the whole objective"),
        (lambda: Judging(SelfConditioned(MaskedDiffusion()), Filled(1)), "put SelfConditioned around"),
        (lambda: Corrector(SelfConditioned(MaskedDiffusion())), "leaves no masks to be filled"),
    ],
)
def test_what_cannot_be_sound_is_refused(make: Any, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        make()


def test_a_network_without_a_carry_is_refused_before_it_is_called() -> None:
    network = uniform(DIGITS)
    with pytest.raises(ValueError, match="this network takes none: give it the shape carry=true"):
        SelfConditioned(MaskedDiffusion())(network, DATA, generator())
    assert network.read == []
    SelfConditioned(MaskedDiffusion(), 0.0)(network, DATA, generator())


def test_left_alone_half_the_rows_read_the_carry_of_one_pass() -> None:
    assert self_conditioned(MaskedDiffusion()) == SelfConditioned(MaskedDiffusion(), 0.5, 1)
