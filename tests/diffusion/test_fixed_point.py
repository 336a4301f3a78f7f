"""Laws of fixed-point forcing: what a roll reads, writes and hands on, which rows roll, what it costs, and that neither
a gradient nor a draw of the inner loss knows of it."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from dlmreason.compute.flops import pass_flops
from dlmreason.diffusion.blocks import BlockDiffusion
from dlmreason.diffusion.carried import SelfConditioned, self_conditioned
from dlmreason.diffusion.correctors import Corrector
from dlmreason.diffusion.corruption import Uniform
from dlmreason.diffusion.fixed_point import FixedPoint, evenly, fixed_point, turns
from dlmreason.diffusion.generators import apart, fraction
from dlmreason.diffusion.interpolating import InterpolatingDiffusion
from dlmreason.diffusion.objectives import Batch, Forwards, Loss, MaskedDiffusion, NextToken, Objective, Staged, Taught
from dlmreason.diffusion.quality import Judging, Quality, judging_of, quality_later
from dlmreason.diffusion.reflective import Reflective
from dlmreason.diffusion.rollouts import Rollouts, rollouts_later
from dlmreason.diffusion.targets import Filled
from dlmreason.networks.shape import Shape
from dlmreason.networks.transformer import Output, Transformer
from tests.diffusion.fakes import Call, Noted, batch, generator, oracle, uniform
from tests.nets import opinionated
from tests.toys import JOINT

DIGITS, LENGTH, ROWS, DEPTH = 4, 6, 8, 3
SHAPE = Shape(vocabulary_size=DIGITS + 1, length=LENGTH, num_layers=1, width=16, num_heads=2, quality=True, carry=True)
GOLD = torch.randint(0, DIGITS, (ROWS, LENGTH), generator=generator(1))
DATA = batch(GOLD, DIGITS, (torch.arange(LENGTH) >= 2).expand(ROWS, LENGTH))
INNER: dict[str, Any] = {
    "masked": MaskedDiffusion(),
    "gidd": InterpolatingDiffusion(),
    "quality": Quality(MaskedDiffusion()),
    "prism, twice": Judging(MaskedDiffusion(), Filled(2, repeats=2)),
    "proseco": Corrector(MaskedDiffusion(), fill="sample"),
}
EACH = pytest.mark.parametrize("inner", INNER.values(), ids=INNER.keys())


def rolls(network: Noted, depth: int) -> Iterator[tuple[list[Call], Call]]:
    """The passes of each roll, and the pass that it was made for."""
    for start in range(0, len(network.calls), depth + 1):
        yield network.calls[start : start + depth], network.calls[start + depth]
    assert len(network.calls) % (depth + 1) == 0


@dataclass
class Counting:
    """Says the same of every position, or what a function of the canvas says; its carry counts the passes."""

    logits: Any

    def __call__(self, tokens: Tensor, features: Tensor, *, carry: Tensor | None = None) -> Output:
        said = self.logits(tokens) if callable(self.logits) else self.logits.expand(*tokens.shape, len(self.logits))
        hidden = torch.zeros(*tokens.shape, 1) if carry is None else carry
        return Output(said, None, hidden + 1)


@dataclass(frozen=True)
class Reads:
    """An objective of one pass over a given canvas."""

    canvas: Tensor
    teaches = Taught(masks=True)
    forwards = Forwards(1, 0)

    def __call__(self, network: Any, batch: Batch, generator: torch.Generator) -> Loss:
        return Loss(network(self.canvas, batch.features).logits.sum(), {})


def equal(one: Loss, other: Loss) -> bool:
    return torch.equal(one.total, other.total) and all(
        torch.equal(value, other.metrics[name]) for name, value in one.metrics.items()
    )


# Without it, and beside it.


@EACH
@pytest.mark.parametrize(("chance", "depth"), [(0.0, DEPTH), (0.5, 0)])
def test_without_a_chance_or_a_pass_it_is_the_inner_loss(inner: Objective, chance: float, depth: int) -> None:
    network, none = opinionated(SHAPE), FixedPoint(inner, chance, depth)
    alone = inner(network, DATA, generator(4))
    assert equal(none(network, DATA, generator(4)), alone)
    assert none.forwards == inner.forwards and none.teaches == inner.teaches
    assert not equal(FixedPoint(inner, 0.5, 1)(network, DATA, generator(4)), alone)


@EACH
def test_the_draws_of_the_inner_objective_are_those_it_makes_alone(inner: Objective) -> None:
    """All of them, and so the times and the canvases: of a network that says the same with and without a carry, what
    is read for the loss is the same, and so is the loss. With `SelfConditioned`, whose coins come first, it is not."""
    network = opinionated(SHAPE)
    with torch.no_grad():
        network.recall.weight.zero_()
    alone, within, coins = Noted(network), Noted(network), Noted(network)
    drawn, drawn_within = generator(4), generator(4)
    loss, own = inner(alone, DATA, drawn), FixedPoint(inner, 0.5, DEPTH)(within, DATA, drawn_within)
    assert torch.equal(drawn.get_state(), drawn_within.get_state())
    read = [final.tokens for _, final in rolls(within, DEPTH)]
    assert all(torch.equal(call.tokens, tokens) for call, tokens in zip(alone.calls, read, strict=True))
    assert own.total.item() == pytest.approx(loss.total.item(), rel=1e-5)
    SelfConditioned(MaskedDiffusion())(coins, DATA, generator(4))
    assert not torch.equal(coins.calls[-1].tokens, alone.calls[0].tokens)


def test_draws_beside_a_generator_leave_it_and_differ_by_its_state_and_by_purpose() -> None:
    def drawn(given: torch.Generator, purpose: str) -> tuple[float, float]:
        beside = apart(given, purpose)
        return fraction(beside), float(torch.rand((), generator=beside))

    given = generator(3)
    before = given.get_state()
    first, other = drawn(given, "roll"), drawn(given, "teacher")
    assert torch.equal(given.get_state(), before) and drawn(generator(3), "roll") == first
    alone = float(torch.rand((), generator=given))
    after = drawn(given, "roll")
    numbers = [*first, *other, *after, alone]
    assert len(set(numbers)) == len(numbers) and all(0 <= number < 1 for number in numbers)
    seeds = torch.tensor([fraction(apart(generator(seed), "roll")) for seed in range(2000)]).double()
    assert float(seeds.mean()) == pytest.approx(1 / 2, abs=5 * math.sqrt(1 / 12 / 2000))
    assert float(seeds.var()) == pytest.approx(1 / 12, rel=0.1)


# What a roll is.


@EACH
@pytest.mark.parametrize("depth", [1, DEPTH, 9])
def test_a_roll_comes_to_the_canvas_of_its_pass_and_hands_on_its_carry(inner: Objective, depth: int) -> None:
    """Every row that rolls shows in no pass a token that the canvas does not, nor one where the canvas has a mask, but
    those it wrote itself; every pass reads the carry of the last."""
    network = Noted(opinionated(SHAPE))
    FixedPoint(inner, 0.5, depth)(network, DATA, generator(4))
    rolling = set[tuple[int, ...]]()
    rolled_some = wrote_wrong = False
    for earlier, final in rolls(network, depth):
        times = len(final.tokens) // ROWS
        assert final.carry is not None and not final.carry.requires_grad
        assert not any(call.trained for call in earlier) and earlier[0].carry is None
        assert len(earlier[0].tokens) == len(final.tokens) // 2
        reading = (final.carry != 0).any(-1).any(-1)
        rows = next(
            rows for rows in (range(0, ROWS, 2), range(1, ROWS, 2)) if not reading[list(rows)].logical_not().all()
        )
        rolling.add(tuple(rows))
        at = torch.tensor([row + time * ROWS for time in range(times) for row in rows])
        assert not reading[[row for row in range(ROWS * times) if row not in at]].any()
        canvas, editable = final.tokens[at], DATA.editable[:1]
        more = (earlier[0].tokens == DIGITS) & (canvas != DIGITS)
        assert torch.equal(torch.where(more, canvas, earlier[0].tokens), canvas) and not (more & ~editable).any()
        passes = more.sum(-1).clamp(max=depth)
        rolled_some |= bool(more.any())
        for made, (before, after) in enumerate(pairwise(earlier)):
            written = after.tokens != before.tokens
            assert (before.tokens[written] == DIGITS).all() and not (written & ~more).any()
            assert torch.equal(written.any(-1), made < passes), "each pass writes, until all is written"
            wrote_wrong |= bool((after.tokens[written] != canvas[written]).any())
            live = (made < passes)[:, None, None]
            assert after.carry is not None
            assert torch.equal(after.carry, torch.where(live, before.hidden, 0.0 if made == 0 else before.carry))
        hiddens = torch.stack([call.hidden for call in earlier])[(passes - 1).clamp(min=0), torch.arange(len(at))]
        assert torch.equal(final.carry[at], torch.where((passes > 0)[:, None, None], hiddens, 0.0))
    assert len(rolling) == 1 and rolled_some and wrote_wrong == (depth > 1), "the same rows in every pass of an update"


def test_a_right_token_is_never_shown_where_the_roll_wrote() -> None:
    """All right tokens are 0, and the network never says 0."""
    rows = 400
    data = batch(torch.zeros(rows, LENGTH, dtype=torch.int64), DIGITS)
    network = Noted(Counting(torch.tensor([-math.inf, 0.0, 0.0, 0.0])))
    FixedPoint(MaskedDiffusion(), 0.5, LENGTH)(network, data, generator(2))
    ((earlier, final),) = rolls(network, LENGTH)
    hidden = earlier[0].tokens == DIGITS
    for call in earlier:
        assert torch.equal(call.tokens == 0, ~hidden)
    assert set(final.tokens.unique().tolist()) == {0, DIGITS} and (earlier[-1].tokens == 3).any()


def test_a_roll_is_as_long_as_it_writes_and_the_first_pass_has_none() -> None:
    """The carry counts the passes. A canvas of masks alone is the first that inference reads."""
    rows, depth = 300, 4
    data = batch(torch.zeros(rows, LENGTH, dtype=torch.int64), DIGITS)
    network = Noted(Counting(torch.zeros(DIGITS)))
    for canvas in (data.tokens, torch.full((rows, LENGTH), DIGITS)):
        FixedPoint(Reads(canvas), 0.5, depth)(network, data, generator(5))
    (shown, final), (_, of_masks) = rolls(network, depth)
    assert final.carry is not None and of_masks.carry is not None
    assert not of_masks.carry.any()
    number = (shown[0].tokens == DIGITS).sum(-1)
    made = torch.zeros(rows, dtype=torch.int64)
    made[final.carry[:, 0, 0] != 0] = number[number > 0].clamp(max=depth)
    assert torch.equal(final.carry[..., 0], made[:, None].expand(rows, LENGTH).float())
    assert set(made.tolist()) == set(range(depth + 1))


def test_a_share_is_hidden_that_is_uniform() -> None:
    """So of n tokens shown, any number from 0 to n is hidden with the chance 1 / (n + 1)."""
    rows, length = 40_000, 4
    right = torch.zeros(2 * rows, length + 1, dtype=torch.int64)
    canvas = torch.where(torch.arange(length + 1) == 0, DIGITS, right)
    network = Noted(Counting(torch.zeros(DIGITS)))
    FixedPoint(Reads(canvas), 0.5, 1)(network, batch(right, DIGITS), generator(6))
    number = (network.calls[0].tokens == DIGITS).sum(-1) - 1
    seen = torch.bincount(number, minlength=length + 1).double() / rows
    chance = 1 / (length + 1)
    assert torch.allclose(seen, torch.full_like(seen, chance), atol=5 * math.sqrt(chance * (1 - chance) / rows))


def test_what_an_exact_network_writes_in_a_roll_has_the_law_of_the_data() -> None:
    """One token a pass, both hidden, any order: the joint itself, which is far from what one pass would write."""
    rows = 120_000
    said = oracle(JOINT).logits
    every = torch.tensor([[a, b] for a in range(3) for b in range(3)])
    table = said(every)
    network = Noted(Counting(lambda tokens: table[tokens[:, 0] * 3 + tokens[:, 1]]))
    data = batch(torch.zeros(rows, 2, dtype=torch.int64), 2)
    FixedPoint(Reads(data.tokens), 0.5, 3)(network, data, generator(7))
    ((rolled, _),) = rolls(network, 3)
    both = (rolled[0].tokens == 2).all(-1)
    written = rolled[2].tokens[both]
    law = torch.bincount(written[:, 0] * 2 + written[:, 1], minlength=4).double() / len(written)
    error = 5 * math.sqrt(0.25 / len(written))
    alone = (JOINT.sum(1, keepdim=True) * JOINT.sum(0, keepdim=True)).flatten()
    assert torch.allclose(law, JOINT.flatten(), atol=error)
    assert float((law - alone).abs().sum()) / 2 > 0.2 > 10 * error


@pytest.mark.parametrize("passes", [1, 3, 20])
def test_turns_are_even_and_any_order_is_as_likely(passes: int) -> None:
    where = torch.rand(500, 9, generator=generator(1)) < 0.6
    turn = turns(where, passes, generator(2))
    for row, number in enumerate(where.sum(-1).tolist()):
        parts = torch.bincount(turn[row][where[row]], minlength=min(passes, number)).tolist()
        assert len(parts) == min(passes, number) and (not parts or 0 <= max(parts) - min(parts) <= 1)
    whole = turns(torch.ones(20_000, 3, dtype=torch.bool), 3, generator(3))
    orders = torch.bincount(whole[:, 0] * 9 + whole[:, 1] * 3 + whole[:, 2], minlength=27).double() / 20_000
    assert torch.allclose(orders[orders > 0], torch.full((6,), 1 / 6).double(), atol=5 * math.sqrt(5 / 36 / 20_000))


# Which rows roll.


@pytest.mark.parametrize("rows", [1, 5, 8])
@pytest.mark.parametrize("chance", [0.1, 0.3, 0.5, 0.75, 0.96875])
def test_each_row_rolls_with_its_chance_and_rolling_rows_are_evenly_apart(rows: int, chance: float) -> None:
    """Over all starts, exactly: what is chosen changes only where a start passes a multiple of 1 / 160, which every
    chance here is."""
    grid = 160
    seen, sizes = torch.zeros(rows), []
    for start in range(grid):
        chosen = evenly(rows, chance, (start + 0.5) / grid, torch.device("cpu"))
        seen[chosen] += 1 / grid
        sizes.append(len(chosen))
        gaps = chosen.diff()
        assert ((gaps >= math.floor(1 / chance)) & (gaps <= math.ceil(1 / chance)) & (gaps > 0)).all()
    assert torch.allclose(seen, torch.full((rows,), chance), atol=1e-6)
    assert sum(sizes) / grid == pytest.approx(chance * rows, abs=1e-9)
    assert set(sizes) <= {math.floor(chance * rows), math.ceil(chance * rows)}


# What it costs, and what flows back.


@EACH
@pytest.mark.parametrize("depth", [1, DEPTH])
def test_what_it_charges_is_what_torch_counts(inner: Objective, depth: int) -> None:
    objective, network = FixedPoint(inner, 0.5, depth), opinionated(SHAPE, scale=1.0)
    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        objective(network, DATA, generator(4)).total.backward()
    assert counter.get_total_flops() == objective.forwards.charged * ROWS * pass_flops(SHAPE, LENGTH)
    trained, untrained = inner.forwards
    assert objective.forwards == Forwards(trained, untrained + depth / 2 * (trained + untrained))


def test_where_the_share_is_not_whole_the_charge_is_the_mean() -> None:
    objective, rows = FixedPoint(MaskedDiffusion(), 0.3, 2), 3
    data = batch(GOLD[:rows], DIGITS)
    read = []
    for seed in range(200):
        network = Noted(Counting(torch.zeros(DIGITS)))
        objective(network, data, generator(seed))
        read.append(sum(len(call.tokens) for call in network.calls))
    assert set(read) == {rows, rows + 2}
    assert sum(read) / 200 / rows == pytest.approx(sum(objective.forwards), abs=5 * 2 / 3 * math.sqrt(0.09 / 200))


def test_no_gradient_goes_through_a_roll() -> None:
    """The gradient is that of the carry as a constant, made by hand with another network of the same weights."""
    network, other = opinionated(SHAPE), opinionated(SHAPE)
    noted = Noted(network)
    loss = FixedPoint(MaskedDiffusion(), 0.5, DEPTH)(noted, DATA, generator(4)).total
    loss.backward()
    ((_, final),) = rolls(noted, DEPTH)
    carry = final.carry

    class Given:
        def __call__(self, tokens: Tensor, features: Tensor) -> Output:
            assert torch.equal(tokens, final.tokens)
            return other(tokens, features, carry=carry)  # type: ignore[no-any-return]

    again = MaskedDiffusion()(Given(), DATA, generator(4)).total
    again.backward()
    assert torch.equal(loss, again)
    grads = [(a.grad, b.grad) for a, b in zip(network.parameters(), other.parameters(), strict=True)]
    assert all((a is None and b is None) or torch.equal(a, b) for a, b in grads)
    assert float(network.recall.weight.grad.abs().max()) > 0


@pytest.mark.slow
def test_what_is_carried_holds() -> None:
    """All tokens of an answer are one digit. A carry of another answer is let go where the canvas says otherwise, and
    what is in mind after 64 passes is right; trained on its own carry over one canvas alone, a network believes it."""
    length, rows = 4, 64
    shape = Shape(vocabulary_size=DIGITS + 1, length=length, num_layers=1, width=32, num_heads=2, carry=True)

    def answers(seed: int) -> Tensor:
        return torch.randint(0, DIGITS, (rows, 1), generator=generator(seed)).repeat(1, length)

    def trained(objective: Objective) -> Transformer:
        torch.manual_seed(0)
        network = Transformer(shape)
        optimizer = torch.optim.Adam(network.parameters(), lr=5e-3)
        for update in range(100):
            optimizer.zero_grad()
            objective(network, batch(answers(update), DIGITS), generator(1000 + update)).total.backward()
            optimizer.step()
        return network

    @torch.no_grad()
    def nats(network: Transformer, passes: int) -> float:
        """Half is shown, and the carry is of passes over it that begin with the carry of another answer."""
        right, features = answers(99_999), torch.zeros(rows, length, 0, dtype=torch.int64)
        canvases = [torch.where(torch.arange(length) < 2, text, DIGITS) for text in ((right + 1) % DIGITS, right)]
        carry = network(canvases[0], features).hidden
        for _ in range(passes):
            said = network(canvases[1], features, carry=carry)
            carry = said.hidden
        return float(-said.logits.log_softmax(-1).gather(-1, right[..., None])[:, 2:].mean())

    inner = MaskedDiffusion(weighting="none")
    forced, conditioned = trained(FixedPoint(inner, 0.7, 4)), trained(SelfConditioned(inner, 0.7))
    assert nats(forced, 1) < 0.2 and nats(forced, 64) < 0.1
    assert min(nats(conditioned, passes) for passes in (1, 4, 64)) > 1


# What it is part of.


def test_a_stage_of_its_own_carry_comes_first_and_the_head_is_trained_to_the_end() -> None:
    inner = quality_later(MaskedDiffusion(), start=0.5)
    staged = fixed_point(inner, start=0.4, chance=0.25, depth=8)
    assert isinstance(staged, Staged) and staged.teaches == Taught(quality=True, masks=True, carry=True)
    first = self_conditioned(inner, 0.25)
    assert isinstance(first, Staged)
    forced = FixedPoint(Quality(MaskedDiffusion()), 0.25, 8)
    assert [stage for _, stage in staged.stages] == [*(stage for _, stage in first.stages), forced]
    assert [share for share, _ in staged.stages] == pytest.approx([0.2, 0.2, 0.6])
    assert staged.forwards(10) == Forwards(2 + 2 * 2 + 6 * 2, 2 + 2 * 4 + 6 * (1 + 2 * 3))
    assert judging_of(forced) == judging_of(Quality(MaskedDiffusion()))
    assert fixed_point(inner, start=0.0).stages == ((1.0, FixedPoint(Quality(MaskedDiffusion()))),)  # type: ignore[union-attr]
    assert fixed_point(MaskedDiffusion()).stages == (  # type: ignore[union-attr]
        (0.5, SelfConditioned(MaskedDiffusion())),
        (0.5, FixedPoint(MaskedDiffusion(), 0.5, 16)),
    )


def test_rollouts_go_on_from_it() -> None:
    staged = rollouts_later(fixed_point(Quality(MaskedDiffusion())), start=0.5)
    assert [type(stage) for _, stage in staged.stages] == [SelfConditioned, FixedPoint, Rollouts]
    assert staged.at(9, 10) == Rollouts(judging=judging_of(Quality(MaskedDiffusion())))


def test_the_mask_is_no_token_of_a_roll() -> None:
    """Also of a network that can say it, and says nothing else."""
    network = Noted(Counting(torch.tensor([0.0, 0.0, 0.0, 0.0, 50.0])))
    FixedPoint(Reads(GOLD), 0.5, LENGTH)(network, DATA, generator(4))
    ((earlier, _),) = rolls(network, LENGTH)
    assert (earlier[0].tokens == DIGITS).any() and not (earlier[-1].tokens == DIGITS).any()
    assert FixedPoint(Reflective()).teaches == Taught(masks=True, emits_mask=True, carry=True)


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: FixedPoint(MaskedDiffusion(), -0.1), r"chance=-0\.1"),
        (lambda: FixedPoint(MaskedDiffusion(), 1.0), r"chance=1\.0 .* below 1"),
        (lambda: FixedPoint(MaskedDiffusion(), math.nan), "chance=nan"),
        (lambda: FixedPoint(MaskedDiffusion(), 0.5, -1), "depth=-1 .* whole number"),
        (lambda: FixedPoint(MaskedDiffusion(), 0.5, 2.0), r"depth=2\.0"),  # type: ignore[arg-type]
        (lambda: FixedPoint(MaskedDiffusion(), 0.5, True), "depth=True"),
        (lambda: FixedPoint(SelfConditioned(MaskedDiffusion())), "has its carry already"),
        (lambda: FixedPoint(Rollouts()), "has its carry already"),
        (lambda: SelfConditioned(FixedPoint(MaskedDiffusion())), "has its carry already"),
        (lambda: FixedPoint(quality_later(MaskedDiffusion(), start=0.5)), "use fixed_point"),  # type: ignore[arg-type]
        (lambda: FixedPoint(NextToken()), "teaches no network that fills masks"),
        (lambda: FixedPoint(InterpolatingDiffusion(Uniform())), "teaches no network that fills masks"),
        (lambda: FixedPoint(BlockDiffusion(2)), "teaches no network that fills masks anywhere"),
        (lambda: Quality(FixedPoint(MaskedDiffusion())), "reads a carry"),  # type: ignore[arg-type]
        (lambda: fixed_point(MaskedDiffusion(), start=1.5), r"start=1\.5"),
        (lambda: Staged([(0.5, FixedPoint(MaskedDiffusion())), (0.5, MaskedDiffusion())]), "without a carry after"),
    ],
)
def test_what_cannot_be_sound_is_refused(make: Any, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        make()


def test_a_network_without_a_carry_is_refused_before_it_is_called() -> None:
    network = uniform(DIGITS)
    with pytest.raises(ValueError, match="this network takes none: give it the shape carry=true"):
        FixedPoint(MaskedDiffusion())(network, DATA, generator())
    assert network.read == []
    FixedPoint(MaskedDiffusion(), 0.0)(network, DATA, generator())
