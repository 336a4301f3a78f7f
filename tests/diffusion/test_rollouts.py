"""Laws of rollouts: what a pass reads and where it is asked, how far its gradient goes, who leaves when, the price."""

import math
from collections import Counter
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy
from torch.utils.flop_counter import FlopCounterMode

from dlmreason.compute.flops import pass_flops
from dlmreason.diffusion.carried import SelfConditioned, self_conditioned
from dlmreason.diffusion.correctors import Corrector
from dlmreason.diffusion.corruption import Uniform
from dlmreason.diffusion.interpolating import InterpolatingDiffusion
from dlmreason.diffusion.objectives import Batch, Forwards, MaskedDiffusion, NextToken, Staged, State, Taught
from dlmreason.diffusion.quality import Judging, Quality, judging_of, quality_later
from dlmreason.diffusion.rollouts import Rollouts, rollouts_later
from dlmreason.diffusion.schedules import Cosine, EvenWeight, LogLinear
from dlmreason.diffusion.targets import Corrupted, Filled, OwnErrors
from dlmreason.networks.shape import Shape
from dlmreason.networks.transformer import Output, Transformer
from tests.diffusion.fakes import Noted, batch, generator, uniform
from tests.nets import opinionated
from tests.toys import JOINT

DIGITS, LENGTH, ROWS = 4, 6, 8
SHAPE = Shape(vocabulary_size=DIGITS + 1, length=LENGTH, num_layers=1, width=16, num_heads=2, quality=True, carry=True)
GOLD = torch.randint(0, DIGITS, (ROWS, LENGTH), generator=generator(1))
DATA = batch(GOLD, DIGITS, (torch.arange(LENGTH) >= 2).expand(ROWS, LENGTH))
JUDGING = Judging(MaskedDiffusion(), OwnErrors(full=1.0, lowest=0.2))
JUDGED: dict[str, Judging | None] = {
    "plain": None,
    "own errors": JUDGING,
    "prism, twice": Judging(MaskedDiffusion(), Filled(2, repeats=2), weight=0.5),
    "noise": Judging(MaskedDiffusion(), Corrupted()),
}
EACH = pytest.mark.parametrize("judging", JUDGED.values(), ids=JUDGED.keys())


@dataclass
class Saying:
    """Says the same of every position of every canvas; its carry counts the passes."""

    logits: Tensor  # [V], or [L, V]

    def __call__(self, tokens: Tensor, features: Tensor, *, carry: Tensor | None = None) -> Output:
        logits = self.logits.expand(*tokens.shape, self.logits.shape[-1])
        hidden = torch.zeros(*tokens.shape, 1) if carry is None else carry
        return Output(logits, None, hidden + 1)


def flat(rows: int, length: int = 1) -> tuple[Batch, Noted]:
    """All right answers are the token 0; the network says all alike."""
    return batch(torch.zeros(rows, length, dtype=torch.int64), DIGITS), Noted(Saying(torch.zeros(DIGITS)))


def after(batch: Batch, made: int, length: int, written: int = 1) -> State:
    """Of rollouts that are all equally far."""
    rows, positions = batch.tokens.shape
    return {
        "made": torch.full((rows,), made),
        "length": torch.full((rows,), length),
        "written": torch.full((rows, positions), written),
        "carry": torch.full((rows, positions, 1), float(made)),
    }


def gradients(network: Transformer) -> dict[str, Tensor]:
    return {name: weight.grad for name, weight in network.named_parameters() if weight.grad is not None}


# What a pass reads.


def test_the_first_pass_alone_is_the_plain_loss_of_a_canvas_of_masks() -> None:
    network = opinionated(SHAPE)
    ours, kept = Rollouts((1, 1), 1, 0.0).proceed(network, DATA, None, generator(3))
    masks = torch.where(DATA.editable, DIGITS, GOLD)
    plain = MaskedDiffusion(weighting="none").loss_at(network, DATA, torch.ones(ROWS, dtype=torch.float64), masks)
    assert torch.equal(ours.total, plain.total)
    assert torch.equal(kept["carry"], network(masks, DATA.features).hidden)
    assert Rollouts((1, 1), 1, 0.0).vacant(kept).all()


def test_of_an_exact_batch_the_first_pass_costs_the_entropy_of_each_token() -> None:
    """20 rows in which the joint's pairs are as often as it says, and a network that knows how often a token is."""
    counts = (20 * JOINT).round().long()
    assert torch.allclose(counts.double() / 20, JOINT, rtol=0, atol=1e-15)
    pairs = [pair for pair in JOINT.nonzero().tolist() for _ in range(int(counts[*pair]))]
    marginals = torch.stack([JOINT.sum(1), JOINT.sum(0)])
    loss = Rollouts((1, 1), 1, 0.0)(Noted(Saying(marginals.log())), batch(torch.tensor(pairs), 2), generator())
    assert float(loss.total) == pytest.approx(-float((marginals * marginals.log()).sum()) / 2, abs=1e-7)


@pytest.mark.parametrize(("schedule", "share"), [(None, lambda x: x), (Cosine(), lambda x: math.sin(x * math.pi / 2))])
def test_a_pass_shows_each_token_with_its_chance_anew(schedule: Any, share: Any) -> None:
    rows, last = 40_000, 5
    data, network = flat(rows)
    rollouts = Rollouts((last, last), last, 0.0, **({"schedule": schedule} if schedule else {}))
    rollouts.proceed(network, data, after(data, last, last), generator(2))
    shown = torch.stack([call.tokens[:, 0] != DIGITS for call in network.calls]).double()
    for k in range(last):
        chance = share(k / last)
        assert float(shown[k].mean()) == pytest.approx(chance, abs=5 * math.sqrt(chance * (1 - chance) / rows))
        for other in range(1, k):  # drawn anew: what one pass shows says nothing of the next
            both, alone = float((shown[k] * shown[other]).mean()), share(other / last)
            assert both == pytest.approx(chance * alone, abs=5 * math.sqrt(chance * alone / rows))
    assert float(shown[0].sum()) == 0.0


def test_what_is_given_and_padding_are_neither_hidden_nor_trained() -> None:
    logits = torch.zeros(LENGTH, DIGITS, requires_grad=True)
    network = Noted(Saying(logits))
    rollouts = Rollouts((3, 9), 4, 0.5)
    state, noise = None, generator(5)
    for _ in range(5):
        loss, state = rollouts.proceed(network, DATA, state, noise)
        loss.total.backward()
    assert logits.grad is not None
    assert (logits.grad.abs().sum(-1) > 0).tolist() == DATA.editable[0].tolist()
    for call in network.calls:
        assert torch.equal(call.tokens[~DATA.editable], GOLD[~DATA.editable])


@pytest.mark.parametrize("own", [0.0, 0.2, 1.0])
def test_a_share_of_what_is_shown_is_what_the_model_drew(own: float) -> None:
    """In pass 3 of 4 three tokens of four are shown; before, the model said 1 to 3 and never 0, which is right."""
    rows = 40_000
    data, _ = flat(rows)
    said = torch.tensor([0.0, 0.5, 0.3, 0.2])
    network = Noted(Saying(said.log()))
    loss, _ = Rollouts((4, 4), 2, own).proceed(network, data, after(data, 2, 4), generator(7))
    seen = torch.bincount(network.calls[1].tokens[:, 0], minlength=5) / rows
    expected = [0.75 * (1 - own), *(0.75 * own * said[1:]).tolist(), 0.25]
    for value, chance in zip(seen.tolist(), expected, strict=True):
        assert value == pytest.approx(chance, abs=5 * math.sqrt(chance * (1 - chance) / rows))
    assert float(loss.metrics["rollout_errors"]) == float(own > 0)


@pytest.mark.parametrize("written", [0, 1])
@pytest.mark.parametrize("own", [0.0, 1.0])
def test_masks_and_own_samples_are_asked_right_or_wrong(own: float, written: int) -> None:
    """In pass 6 of 8, of which a quarter is masks; what the model wrote is right, 0, or wrong."""
    data = batch(torch.zeros(64, LENGTH, dtype=torch.int64), DIGITS)
    logits = torch.randn(LENGTH, DIGITS, generator=generator(3))
    network = Noted(Saying(logits))
    loss, _ = Rollouts((8, 8), 1, own).proceed(network, data, after(data, 6, 8, written), generator(4))
    masked = network.calls[0].tokens == DIGITS
    assert (network.calls[0].tokens[~masked] == (written if own else 0)).all() and 0.1 < float(
        masked.double().mean()
    ) < 0.4
    nats = -logits.log_softmax(-1)[:, 0].expand(64, LENGTH)
    assert float(loss.total) == pytest.approx(float(nats.mean() if own else nats[masked].mean()), rel=1e-6)
    assert float(loss.metrics["rollout_errors"]) == float(own and written)


def test_a_rollout_has_no_own_tokens_before_it_said_any() -> None:
    """The first update begins in the midst of rollouts, where nothing has been drawn yet."""
    data, _ = flat(2000)
    network = Noted(Saying(torch.tensor([0.0, 1.0, 0.0, 0.0]).log()))
    Rollouts((40, 40), 4, 1.0).proceed(network, data, None, generator())
    first, second = (call.tokens[:, 0] for call in network.calls[:2])
    assert set(first.tolist()) == {0, DIGITS} and set(second.tolist()) == {1, DIGITS}


def test_a_new_rollout_shows_nothing_that_was_written_for_the_one_before() -> None:
    """Under a schedule that shows half of the tokens in the very first pass."""
    data, network = flat(2000)
    Rollouts((9, 9), 1, 1.0, LogLinear(0.5)).proceed(network, data, after(data, 9, 9, written=1), generator())
    assert set(network.calls[0].tokens[:, 0].tolist()) == {0, DIGITS}


# The carry, and the gradient through it.


def test_each_pass_reads_what_the_one_before_had_in_mind() -> None:
    network, other = Noted(opinionated(SHAPE)), opinionated(SHAPE)
    rollouts = Rollouts((8, 8), 4, 0.2)
    state: State | None = None
    for window in range(5):
        before = state
        _, state = rollouts.proceed(network, DATA, before, generator(window))
        assert all(not part.requires_grad for part in state.values())
        calls = network.calls[-4:]
        if before is None:
            assert calls[0].carry is None
        else:
            ended = rollouts.vacant(before)
            assert torch.equal(calls[0].carry, torch.where(ended[:, None, None], 0.0, before["carry"]))
        for one, two in pairwise(calls):
            assert torch.equal(two.carry, one.said.hidden)
        assert torch.equal(state["carry"], calls[-1].said.hidden)
        assert torch.equal(calls[-1].said.hidden, other(calls[-1].tokens, DATA.features, carry=calls[-1].carry).hidden)


@pytest.mark.parametrize("judged", [False, True])
@pytest.mark.parametrize("own", [0.0, 1.0])
@pytest.mark.parametrize("through", [True, False])
def test_the_gradient_is_that_of_the_unrolled_window(own: float, judged: bool, through: bool) -> None:
    """The second of two windows of 3 passes in float64, against a loss written out here over the same canvases: it goes
    through the carries of its passes and none before. Not through them, the control, it is another gradient.

    With no own tokens masks are asked; with nothing but own ones, everything.
    """
    network, other = (opinionated(SHAPE, torch.float64, seed=2) for _ in range(2))
    noted, rollouts = Noted(network), Rollouts((21, 21), 3, own, judging=JUDGING if judged else None)
    _, state = rollouts.proceed(noted, DATA, None, generator(0))
    noted.calls.clear()
    loss = rollouts.proceed(noted, DATA, state, generator(1))[0].total
    loss.backward()
    passes, quality = noted.calls[:3], noted.calls[3:]
    carry = passes[0].carry
    assert carry is not None and not carry.requires_grad and float(carry.abs().max()) > 0

    def handed(carry: Tensor) -> Tensor:
        return carry if through else carry.detach()

    total, asked = torch.zeros((), dtype=torch.float64), 0
    for call in passes:
        said = other(call.tokens, DATA.features, carry=handed(carry))
        where = DATA.editable & ((call.tokens == DIGITS) | (own > 0))
        total, asked = total + cross_entropy(said.logits[where], GOLD[where], reduction="sum"), asked + int(where.sum())
        carry = said.hidden
    total = total / asked
    if judged:
        guess, last = quality
        assert not guess.trained and last.trained and torch.equal(guess.carry, last.carry)  # type: ignore[arg-type]
        said = other(last.tokens, DATA.features, carry=handed(carry))
        right = (last.tokens == GOLD).double()
        total = total + binary_cross_entropy_with_logits(said.quality[DATA.judged], right[DATA.judged])
    total.backward()
    ours, theirs = gradients(network), gradients(other)
    assert ours.keys() == theirs.keys() >= {"recall.weight", "tokens.weight"}
    assert loss.item() == pytest.approx(total.item(), rel=1e-6)
    assert all(torch.allclose(ours[name], theirs[name], rtol=1e-4, atol=1e-6) for name in ours) == through


def test_no_gradient_reaches_the_window_before() -> None:
    """The carry of the first window is made by one network, and the second window is another's."""
    first, second = (opinionated(SHAPE, seed=seed) for seed in (1, 2))
    rollouts = Rollouts((8, 8), 2, 0.2)
    _, state = rollouts.proceed(first, DATA, None, generator(0))
    rollouts.proceed(second, DATA, state, generator(1))[0].total.backward()
    assert gradients(first) == {} and float(gradients(second)["recall.weight"].abs().max()) > 0


@pytest.mark.slow
def test_what_earlier_passes_saw_is_remembered_longer_than_a_window() -> None:
    """The answer is noise, so that a masked token can be known only if an earlier pass of the rollout showed it. At its
    best, log V for each that none showed, the loss is .7211 log V; without a carry it is log V."""
    passes, length = 8, 3
    hides = [1 - k / passes for k in range(passes)]
    never = sum(hide * math.prod(hides[:k]) for k, hide in enumerate(hides))
    best, guessing = math.log(DIGITS) * never / sum(hides), math.log(DIGITS)
    assert best / guessing == pytest.approx(0.7211, abs=5e-5)
    torch.manual_seed(0)
    shape = Shape(vocabulary_size=DIGITS + 1, length=length, num_layers=1, width=32, num_heads=2, carry=True)
    network, rollouts = Transformer(shape), Rollouts((passes, passes), 4, 0.0)

    def whole(rows: int) -> tuple[float, float]:
        """The loss of whole rollouts over new answers, and of the same with nothing carried."""
        data = batch(torch.randint(0, DIGITS, (rows, length), generator=generator(9)), DIGITS)
        state = after(data, passes, passes) | {"carry": torch.zeros(rows, length, 32)}

        class Forgetful(Noted):
            def __call__(self, tokens: Tensor, features: Tensor, *, carry: Tensor | None = None) -> Output:
                return super().__call__(tokens, features)

        with torch.no_grad():
            one, other = (
                Rollouts((passes, passes), passes, 0.0).proceed(each, data, state, generator(10))[0].total.item()
                for each in (network, Forgetful(network))
            )
        return one, other

    optimizer = torch.optim.Adam(network.parameters(), lr=1e-2)
    state: State | None = None
    answers = torch.empty(0)
    for update in range(400):
        fresh = torch.randint(0, DIGITS, (64, length), generator=generator(1000 + update))
        answers = fresh if state is None else torch.where(rollouts.vacant(state)[:, None], fresh, answers)
        loss, state = rollouts.proceed(network, batch(answers, DIGITS), state, generator(update))
        optimizer.zero_grad()
        loss.total.backward()
        optimizer.step()
    remembering, forgetting = whole(4000)
    assert best - 0.03 < remembering < best + 0.05 < guessing - 0.03 < forgetting


# Who leaves when.


@pytest.mark.parametrize("window", [1, 3, 4])
def test_a_rollout_makes_all_its_passes_over_one_example_and_leaves(window: int) -> None:
    """50 updates, seated as a trainer seats: a fresh example where a seat is vacant. An example's number is its prompt,
    and the carry is the number of passes that it went through."""
    rows, (shortest, longest) = 8, (2, 11)
    network, rollouts = Noted(Saying(torch.zeros(8))), Rollouts((2, 11), window, 0.5)
    state: State | None = None
    seated = torch.empty(0, dtype=torch.int64)
    stays: dict[int, list[int]] = {}
    lengths: dict[int, int] = {}
    for update in range(50):
        fresh = torch.arange(update * rows, (update + 1) * rows)
        seated = fresh if state is None else torch.where(rollouts.vacant(state), fresh, seated)
        digits = torch.stack([seated // 64, seated // 8 % 8, seated % 8], 1)
        data = batch(digits.repeat(1, 2), 8, (torch.arange(6) >= 3).expand(rows, 6))
        _, state = rollouts.proceed(network, data, state, generator(100 + update))
        for row, example in enumerate(seated.tolist()):
            made, length = int(state["made"][row]), int(state["length"][row])
            stays.setdefault(example, []).append(made)
            assert lengths.setdefault(example, length) == length
            assert example < rows or (state["carry"][row] == made).all()
    done = lengths.keys() - set(seated.tolist())
    assert {lengths[example] for example in done} == set(range(shortest, longest + 1))
    for example in done:
        last, stay = lengths[example], stays[example]
        windows = [min(end, last) for end in range(window, last + window, window)]
        assert stay == (windows if example >= rows else windows[-len(stay) :])
    assert len({len(stays[example]) for example in range(rows)}) > 1, "the first ones are under way already"
    read = Counter(
        (call.tokens[:, :3] @ torch.tensor([64, 8, 1])).tolist()[row] for call in network.calls for row in range(rows)
    )
    assert all(read[example] == window * len(stays[example]) for example in done)


def test_the_first_update_begins_at_all_windows_alike() -> None:
    rows = 40_000
    data, network = flat(rows)
    _, state = Rollouts((7, 7), 2, 0.0).proceed(network, data, None, generator())
    for made, share in {2: 0.25, 4: 0.25, 6: 0.25, 7: 0.25}.items():
        seen = float((state["made"] == made).double().mean())
        assert seen == pytest.approx(share, abs=5 * math.sqrt(share * (1 - share) / rows))


def test_lengths_are_drawn_alike_for_the_rows_that_begin() -> None:
    rows = 40_000
    data, network = flat(rows)
    state = after(data, 9, 9)
    state["length"][: rows // 2] = 20
    _, state = Rollouts((3, 6), 2, 0.0).proceed(network, data, state, generator())
    assert (state["length"][: rows // 2] == 20).all()
    for length in (3, 4, 5, 6):
        seen = float((state["length"][rows // 2 :] == length).double().mean())
        assert seen == pytest.approx(0.25, abs=5 * math.sqrt(0.1875 / (rows // 2)))


def test_an_ended_row_waits_unasked_and_unchanged_to_the_end_of_the_window() -> None:
    """Its other passes may say anything: they are in no loss and in no carry, also under a schedule that still hides
    a third of the tokens at the end."""
    logits = torch.zeros(4, 1, 1, DIGITS, requires_grad=True)

    class Each:
        carries, calls = True, 0

        def __call__(self, tokens: Tensor, features: Tensor, *, carry: Tensor | None = None) -> Output:
            said = logits[self.calls].expand(*tokens.shape, DIGITS)
            self.calls += 1
            assert carry is not None
            return Output(said, None, carry + 1)

    data, _ = flat(50)
    state = after(data, 0, 2)
    loss, kept = Rollouts((2, 2), 4, 1.0, EvenWeight(1 / 3)).proceed(Each(), data, state, generator())
    loss.total.backward()
    assert logits.grad is not None
    assert (logits.grad.abs().sum((1, 2, 3)) > 0).tolist() == [True, True, False, False]
    assert (kept["made"] == 2).all() and (kept["carry"] == 2).all()


def test_an_update_is_a_function_of_its_state_and_its_noise() -> None:
    """And without a state, what it is called for is the loss of a first update."""
    network = opinionated(SHAPE)
    rollouts = Rollouts((3, 9), 2, 0.3, judging=JUDGING)
    first, state = rollouts.proceed(network, DATA, None, generator(1))
    assert torch.equal(rollouts(network, DATA, generator(1)).total, first.total)
    kept = {name: part.clone() for name, part in state.items()}
    one, two = (rollouts.proceed(network, DATA, state, generator(2)) for _ in range(2))
    assert torch.equal(one[0].total, two[0].total) and all(torch.equal(one[1][name], two[1][name]) for name in kept)
    assert all(torch.equal(state[name], kept[name]) for name in kept), "a state is not written over"
    assert not torch.equal(rollouts.proceed(network, DATA, state, generator(3))[0].total, one[0].total)
    moved = state | {"carry": state["carry"].roll(1, 0)}
    assert not torch.equal(rollouts.proceed(network, DATA, moved, generator(2))[0].total, one[0].total)


# The quality head.


def test_the_head_reads_the_last_carry_as_the_next_pass_would() -> None:
    """An ended row's is of its end. What is trained is the head's own loss of the target's canvas."""
    network = Noted(opinionated(SHAPE))
    plain, judged = Rollouts((2, 5), 4, 0.3), Rollouts((2, 5), 4, 0.3, judging=replace(JUDGING, weight=0.5))
    alone, _ = plain.proceed(network, DATA, None, generator(6))
    network.calls.clear()
    loss, state = judged.proceed(network, DATA, None, generator(6))
    guess, last = network.calls[4:]
    for call in (guess, last):
        assert torch.equal(call.carry, state["carry"])  # type: ignore[arg-type]
    assert not guess.trained and last.trained
    assert (guess.tokens == DIGITS).any() and not (last.tokens == DIGITS).any()
    right = (last.tokens == GOLD).float()
    nats = binary_cross_entropy_with_logits(last.said.quality[DATA.judged], right[DATA.judged])  # type: ignore[index]
    assert float(loss.metrics["quality_loss"]) == pytest.approx(nats.item(), rel=1e-6)
    assert loss.total.item() == pytest.approx((alone.total + 0.5 * nats).item(), rel=1e-6)
    assert 0 < float(loss.metrics["own_errors"]) < 1
    ended = judged.vacant(state)
    assert ended.any() and not ended.all()


def test_a_canvas_shown_twice_is_read_with_its_own_carry_twice() -> None:
    network = Noted(opinionated(SHAPE))
    _, state = Rollouts((2, 5), 2, judging=JUDGED["prism, twice"]).proceed(network, DATA, None, generator(6))
    guess, last = network.calls[2:]
    assert torch.equal(guess.carry, state["carry"])  # type: ignore[arg-type]
    assert torch.equal(last.carry, torch.cat([state["carry"]] * 2))  # type: ignore[arg-type]
    assert torch.equal(last.tokens[:, :2], torch.cat([GOLD] * 2)[:, :2])


# The price, and what it is part of.


@EACH
@pytest.mark.parametrize("window", [1, 3])
def test_what_it_charges_is_what_torch_counts(judging: Judging | None, window: int) -> None:
    objective, network = Rollouts((2, 5), window, 0.3, judging=judging), opinionated(SHAPE, scale=1.0)
    state: State | None = None
    for update in range(2):
        with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
            loss, state = objective.proceed(network, DATA, state, generator(update))
            loss.total.backward()
        assert counter.get_total_flops() == objective.forwards.charged * ROWS * pass_flops(SHAPE, LENGTH)


def test_it_comes_after_a_stage_whose_head_it_trains_on() -> None:
    first = self_conditioned(quality_later(MaskedDiffusion(), start=0.6))
    staged = rollouts_later(first, start=0.5, lengths=(3, 5), window=2)
    assert isinstance(first, Staged) and [share for share, _ in staged.stages] == [0.3, 0.2, 0.5]
    assert [stage for _, stage in staged.stages[:2]] == [stage for _, stage in first.stages]
    judging = judging_of(Quality(MaskedDiffusion()))
    assert staged.at(50, 100) == Rollouts((3, 5), 2, judging=judging)
    assert staged.teaches == Taught(quality=True, masks=True, carry=True)
    assert staged.forwards(100) == Forwards(30 + 20 * 2 + 50 * 3, 30 + 20 * 4 + 50)
    assert rollouts_later(first, start=0.0).stages == ((1.0, Rollouts(judging=judging)),)
    assert rollouts_later(first, start=1.0).stages == first.stages
    plain = rollouts_later(MaskedDiffusion(), start=0.5)
    assert plain.stages == ((0.5, MaskedDiffusion()), (0.5, Rollouts())) and not plain.teaches.quality
    assert [staged.begins(update, 100) for update in (0, 29, 30, 31, 50, 99)] == [True, False, True, False, True, False]


def test_a_carry_beyond_the_bound_has_no_loss_to_learn_from() -> None:
    data, network = flat(4)
    rollouts = Rollouts((9, 9), 3, 0.0, bound=5.0)
    for made, finite in ((2, True), (3, False)):  # after three passes the carry is 5, or 6
        loss, _ = rollouts.proceed(network, data, after(data, made, 9), generator())
        assert bool(loss.total.isfinite()) == finite and float(loss.metrics["carry_size"]) == made + 3
    broken = after(data, 2, 9)
    broken["carry"][1] = math.nan
    loss, _ = rollouts.proceed(network, data, broken, generator())
    assert not loss.total.isfinite()


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: Rollouts((5, 4)), r"lengths=\[5, 4\] .* second not below the first"),
        (lambda: Rollouts((0, 4)), r"lengths=\[0, 4\]"),
        (lambda: Rollouts((4,)), r"lengths=\[4\] .* two whole"),
        (lambda: Rollouts((1.0, 4)), r"lengths=\[1\.0, 4\]"),
        (lambda: Rollouts(window=0), "window=0 is how many passes"),
        (lambda: Rollouts(window=2.5), "window=2.5 is how many passes"),
        (lambda: Rollouts(own=1.1), r"own=1\.1"),
        (lambda: Rollouts(own=math.nan), "own=nan"),
        (lambda: Rollouts(bound=0.0), r"bound=0\.0"),
        (lambda: Rollouts(bound=math.nan), "bound=nan"),
        (lambda: Rollouts(judging=Judging(NextToken(), OwnErrors())), "knows no masks"),
        (lambda: Rollouts(judging=Judging(InterpolatingDiffusion(Uniform()), Corrupted())), "knows no masks"),
        (lambda: rollouts_later(MaskedDiffusion(), start=1.5), r"start=1\.5"),
        (lambda: SelfConditioned(Rollouts()), "has its carry already"),
        (lambda: Corrector(Rollouts()), "leaves no masks to be filled"),
        (lambda: Staged([(0.5, Rollouts()), (0.5, MaskedDiffusion())]), "a stage without a carry after one with"),
    ],
)
def test_what_cannot_be_sound_is_refused(make: Any, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        make()


def test_a_network_without_a_carry_is_refused_before_it_is_called() -> None:
    network = uniform(DIGITS)
    with pytest.raises(ValueError, match="this network takes none: give it the shape carry=true"):
        Rollouts()(network, DATA, generator())
    assert network.read == []
