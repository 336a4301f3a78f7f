"""Laws of the losses: closed forms by enumeration, and what must get no gradient."""

import itertools
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from dlmreason.diffusion.blocks import BlockDiffusion
from dlmreason.diffusion.objectives import (
    Forwards,
    MaskedDiffusion,
    Network,
    NextToken,
    Objective,
    Staged,
    Taught,
    taught_by,
    token_nats,
)
from dlmreason.diffusion.quality import Judging, Quality
from dlmreason.diffusion.schedules import Cosine, EvenWeight, Linear, LogLinear, Polynomial, Schedule
from dlmreason.diffusion.targets import Corrupted
from tests.diffusion.exact import entropy, states
from tests.diffusion.fakes import At, Fake, batch, generator, oracle, table, uniform
from tests.toys import JOINT, random_joint

SCHEDULES = [Linear(), Cosine(), Polynomial(2.0)]
NODES, WEIGHTS = (array.tolist() for array in np.polynomial.legendre.leggauss(20))


def exact_nelbo(network: Network, joint: Tensor, schedule: Schedule, start: float = 0.0, end: float = 1.0) -> float:
    """The objective's expectation over data, masks and times: masks enumerated, time integrated, nothing drawn."""
    length, mask_id = joint.dim(), joint.shape[0]
    objective, total = MaskedDiffusion(schedule), 0.0
    for node, weight in zip(NODES, WEIGHTS, strict=True):
        t = torch.tensor([start + (end - start) * (node + 1) / 2], dtype=torch.float64)
        clean = schedule.alpha(t).item()
        for mask in itertools.product([False, True], repeat=length):
            chance = math.prod(1 - clean if hidden else clean for hidden in mask)
            for tokens, p in states(joint):
                data = batch(torch.tensor([tokens]), mask_id)
                loss = objective.loss_at(network, data, t, torch.where(torch.tensor([mask]), mask_id, data.tokens))
                total += weight / 2 * (end - start) * chance * p * loss.total.item() * length
    return total


@pytest.mark.parametrize("schedule", SCHEDULES, ids=repr)
@pytest.mark.parametrize(
    ("joint", "nats"),
    [
        (torch.tensor([0.5, 0.3, 0.2], dtype=torch.float64), 1.0296530),
        (JOINT, 1.1611208),
        (random_joint(3, 2), entropy(random_joint(3, 2))),
    ],
    ids=["one token", "J", "three tokens"],
)
def test_an_oracle_reaches_the_entropy(schedule: Schedule, joint: Tensor, nats: float) -> None:
    assert exact_nelbo(oracle(joint), joint, schedule) == pytest.approx(nats, abs=1e-6)


@pytest.mark.parametrize("schedule", SCHEDULES, ids=repr)
def test_a_uniform_predictor_costs_log_v_a_token(schedule: Schedule) -> None:
    joint = random_joint(3, 3)
    assert exact_nelbo(uniform(3), joint, schedule) == pytest.approx(3 * math.log(3), abs=1e-5)


@pytest.mark.parametrize("seed", range(3))
def test_the_bound_knows_no_schedule_and_is_a_bound(seed: int) -> None:
    joint, network = random_joint(2, 2, seed), table(2, 2, seed)
    linear, *others = (exact_nelbo(network, joint, schedule) for schedule in SCHEDULES)
    assert others == pytest.approx([linear] * len(others), abs=1e-6)
    assert linear > entropy(joint)


def test_a_schedule_that_stops_short_is_the_linear_one_over_a_part() -> None:
    """At the end, a share eps never hidden; at the start, one hidden from the first, and then all times weigh alike."""
    joint, network = random_joint(2, 2, 4), table(2, 2, 4)
    whole = exact_nelbo(network, joint, Linear())
    for schedule, start, end in ((LogLinear(0.1), 0.0, 0.9), (EvenWeight(0.1), 0.1, 1.0)):
        part = exact_nelbo(network, joint, Linear(), start, end)
        assert exact_nelbo(network, joint, schedule) == pytest.approx(part, abs=1e-6)
        assert part < whole - 0.05


def test_the_bound_is_the_mean_over_numbers_of_masks() -> None:
    """NELBO = mean over k of E over masks of size k of (L / k) times the loss, which needs no time at all."""
    length, joint, network = 3, random_joint(3, 2), table(3, 2, 7)
    discrete = 0.0
    for hidden in itertools.product([False, True], repeat=length):
        k = sum(hidden)
        for tokens, p in states(joint) if k else ():
            where = torch.tensor([hidden])
            canvas = torch.where(where, 2, torch.tensor([tokens]))
            nats = token_nats(network(canvas, torch.zeros(1, 3, 0)).logits, torch.tensor([tokens]), where).sum().item()
            discrete += p * nats / k / math.comb(length, k)
    assert exact_nelbo(network, joint, Linear()) == pytest.approx(discrete, abs=1e-6)


@pytest.mark.parametrize("schedule", SCHEDULES, ids=repr)
def test_drawn_times_and_masks_estimate_the_bound(schedule: Schedule) -> None:
    tokens = torch.zeros(20_000, 6, dtype=torch.int64)
    loss = MaskedDiffusion(schedule)(uniform(4), batch(tokens, 4), generator())
    assert loss.total.item() == pytest.approx(math.log(4), rel=0.02)
    assert loss.metrics["nelbo"].item() == loss.total.item()


def test_unweighted_is_the_mean_over_what_is_masked_and_still_reports_the_bound() -> None:
    tokens = torch.randint(0, 3, (64, 5), generator=generator(1))
    network = Fake(lambda read: nn.functional.one_hot(read.clamp(max=2), 3) + torch.arange(3.0))
    plain = MaskedDiffusion(weighting="none")(network, batch(tokens, 3), generator())
    weighted = MaskedDiffusion()(network, batch(tokens, 3), generator())
    masked = network.read[0] == 3
    nats = -network.logits(network.read[0]).log_softmax(-1).gather(-1, tokens[..., None])[..., 0]
    assert plain.total.item() == pytest.approx(nats[masked].mean().item(), rel=1e-6)
    assert plain.metrics["nelbo"].item() == weighted.total.item() != plain.total.item()


class Sayings(nn.Module):
    """Logits that are weights, so that a gradient shows which of them a loss asks for."""

    def __init__(self, rows: int, length: int, outputs: int) -> None:
        super().__init__()
        self.logits = nn.Parameter(torch.randn(rows, length, outputs, generator=generator(3)))
        self.fake = Fake(lambda tokens: self.logits)

    def forward(self, tokens: Tensor, features: Tensor) -> object:
        return self.fake(tokens, features)

    def asked(self) -> Tensor:
        assert self.logits.grad is not None
        return (self.logits.grad != 0).any(-1)


@given(seed=st.integers(0, 2**32))
@settings(max_examples=20)
def test_diffusion_asks_for_what_is_masked_and_editable_only(seed: int) -> None:
    tokens = torch.randint(0, 4, (16, 6), generator=generator(seed))
    editable = torch.rand(16, 6, generator=generator(seed + 1)) < 0.5
    tokens = torch.where(editable, tokens, 4)  # what is given may be any token, also one that is no output
    network = Sayings(16, 6, 4)
    MaskedDiffusion()(network, batch(tokens, 4, editable), generator(seed)).total.backward()
    read = network.fake.read[0]
    assert torch.equal(network.asked(), (read == 4) & editable)
    assert torch.equal(read[~editable], tokens[~editable])


def test_next_token_asks_the_position_before_each_editable_one() -> None:
    tokens = torch.tensor([[3, 1, 2, 0, 4]])
    editable = torch.tensor([[False, False, True, True, False]])
    network = Sayings(1, 5, 4)
    loss = NextToken()(network, batch(tokens, 5, editable), generator())
    loss.total.backward()
    assert network.asked().tolist() == [[False, True, True, False, False]]
    said = network.logits.log_softmax(-1)
    assert loss.total.item() == pytest.approx(-(said[0, 1, 2] + said[0, 2, 0]).item() / 2, rel=1e-6)


def test_next_token_of_an_oracle_is_the_entropy() -> None:
    """The chain rule on J: the first token is given by a start symbol, so both are predicted."""
    start = torch.full((4, 1), 2)
    tokens = torch.cat([start, torch.tensor([list(tokens) for tokens, _ in states(JOINT)])], 1)
    first, second = JOINT.sum(1), JOINT / JOINT.sum(1, keepdim=True)
    network = Fake(
        lambda read: torch.stack([torch.stack([first, second[a], first]) for _, a, _ in read.tolist()]).log()
    )
    editable = torch.tensor([False, True, True]).expand(4, 3)
    nats = [
        p * NextToken()(network, batch(tokens[i : i + 1], 3, editable[:1]), generator()).total.item() * 2
        for i, (_, p) in enumerate(states(JOINT))
    ]
    assert sum(nats) == pytest.approx(entropy(JOINT), abs=1e-6)


def test_nothing_masked_is_no_loss_and_no_nan() -> None:
    network = Sayings(2, 3, 4)
    loss = MaskedDiffusion(weighting="none", times=At(1e-12))
    said = loss(network, batch(torch.zeros(2, 3, dtype=torch.int64), 4), generator())
    said.total.backward()
    assert said.total.item() == 0
    assert not network.asked().any()


def test_losses_are_float32_whatever_the_network_says() -> None:
    half = Fake(lambda tokens: torch.ones(*tokens.shape, 4, dtype=torch.bfloat16))
    loss = MaskedDiffusion()(half, batch(torch.zeros(64, 5, dtype=torch.int64), 4), generator())
    assert loss.total.dtype == torch.float32
    assert loss.metrics["cross_entropy"].item() == pytest.approx(math.log(4), rel=1e-6)


QUALITIES = [Quality(MaskedDiffusion()), Quality(NextToken())]


@pytest.mark.parametrize("objective", [MaskedDiffusion(), NextToken(), *QUALITIES], ids=repr)
def test_the_passes_stated_are_the_passes_made(objective: Objective) -> None:
    network = Fake(lambda tokens: torch.zeros(*tokens.shape, 4), lambda tokens: torch.zeros(tokens.shape))
    objective(network, batch(torch.zeros(2, 5, dtype=torch.int64), 4), generator())
    assert objective.forwards == Forwards(sum(network.trained), len(network.trained) - sum(network.trained))


@given(shares=st.lists(st.integers(1, 50), min_size=1, max_size=4), updates=st.integers(1, 300))
def test_stages_follow_one_another_and_are_charged_as_made(shares: list[int], updates: int) -> None:
    every: list[Objective] = [MaskedDiffusion(), QUALITIES[0], NextToken(), QUALITIES[1]]
    objectives = every[: len(shares)]
    staged = Staged([(share / sum(shares), one) for share, one in zip(shares, objectives, strict=True)])
    order = [objectives.index(staged.at(update, updates)) for update in range(updates)]
    assert order == sorted(order)
    for number, share in enumerate(shares):
        assert abs(order.count(number) - share / sum(shares) * updates) <= 1
    charged = staged.forwards(updates)
    assert charged.charged == pytest.approx(sum(objectives[number].forwards.charged for number in order))


def test_stages_that_do_not_fill_the_training_are_refused() -> None:
    with pytest.raises(ValueError, match=r"\[0.6, 0.3\].*together they must make 1"):
        Staged([(0.6, NextToken()), (0.3, NextToken())])
    with pytest.raises(IndexError):
        Staged([(1.0, NextToken())]).at(10, 10)


def test_an_unknown_weighting_is_refused() -> None:
    with pytest.raises(ValueError, match="choose nelbo or none"):
        MaskedDiffusion(weighting="elbo")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("objective", "declared"),
    [
        (MaskedDiffusion(), Taught(masks=True)),
        (NextToken(), Taught()),
        (Quality(MaskedDiffusion()), Taught(masks=True, quality=True)),
        (Quality(NextToken()), Taught(quality=True)),
        (Staged([(0.5, MaskedDiffusion()), (0.5, Quality(MaskedDiffusion()))]), Taught(masks=True, quality=True)),
    ],
    ids=["masked", "next token", "quality", "quality of next token", "staged"],
)
def test_what_an_objective_teaches_is_declared(objective: Objective, declared: Taught) -> None:
    assert objective.teaches == declared


def test_one_that_says_nothing_is_taken_at_its_best_but_shapes_no_network() -> None:
    class Mine:
        forwards = Forwards(1, 0)

        def __call__(self, *given: object) -> None: ...

    best = taught_by(Mine())  # type: ignore[arg-type]
    assert best == Taught(quality=True, masks=True, noise="leave_one_out")
    for around in (Staged([(0.5, NextToken()), (0.5, Mine())]), Judging(Mine(), Corrupted())):  # type: ignore[arg-type, list-item]
        assert around.teaches == best


def test_stages_of_different_blocks_are_refused() -> None:
    with pytest.raises(ValueError, match="its stages teach blocks of 0 and 3"):
        Staged([(0.5, BlockDiffusion(3)), (0.5, MaskedDiffusion())])
    assert Staged([(0.5, BlockDiffusion(3)), (0.5, BlockDiffusion(3))]).teaches.block == 3


def test_a_network_that_was_taught_nothing_can_do_nothing() -> None:
    assert not any(Taught())
