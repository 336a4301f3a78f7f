"""Laws of what the quality head is asked: the best answers on enumerated joints, and where it gets a gradient."""

import hashlib
import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import combinations, product
from typing import NamedTuple

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from dlmreason.diffusion.corruption import Hybrid, Uniform, corrupt
from dlmreason.diffusion.interpolating import InterpolatingDiffusion
from dlmreason.diffusion.leave_one_out import noise_chance
from dlmreason.diffusion.objectives import Forwards, MaskedDiffusion, NextToken, Taught
from dlmreason.diffusion.quality import Judging, Quality, judged_later
from dlmreason.diffusion.schedules import Cosine, Linear, Polynomial, Schedule
from dlmreason.diffusion.targets import Corrupted, Filled, OwnErrors, Question, Replaced, Target
from dlmreason.diffusion.weightings import NELBO, Bound, Factor, Weighting
from tests.diffusion.exact import leave_one_out_oracle, states
from tests.diffusion.fakes import At, Fake, Said, batch, generator, oracle, table, uniform
from tests.toys import JOINT, random_joint

THREE = random_joint(3, 2)
JOINTS = pytest.mark.parametrize("joint", [JOINT, THREE], ids=["J", "three tokens"])
NODES, WEIGHTS = (torch.from_numpy(array) for array in np.polynomial.legendre.leggauss(20))


@dataclass(frozen=True)
class Chance:
    """A chance for each row, so that the objective itself takes the expectation."""

    chance: Tensor

    def __call__(self, nats: Tensor, t: Tensor, schedule: Schedule) -> Tensor:
        return self.chance[:, None].to(nats.dtype) * nats.numel()


class Every(NamedTuple):
    """Every text, mask, fill and choice of what is filled, one to a row."""

    tokens: Tensor  # [B, L]
    hidden: Tensor  # [B, L]
    written: Tensor  # [B, L]
    order: Tensor  # [B, L]
    chance: Tensor  # [B] float64: all but that of the mask


def every(joint: Tensor, sampler: Fake, fill: int | None) -> Every:
    length, values = joint.dim(), joint.shape[0]
    rows = []
    for (text, p), hidden in product(states(joint), product([False, True], repeat=length)):
        sites = [site for site in range(length) if hidden[site]]
        read = torch.where(torch.tensor(hidden), values, torch.tensor(text))
        law = sampler.logits(read[None])[0].double().softmax(-1)
        chosen = list(combinations(sites, len(sites) if fill is None else min(fill, len(sites))))
        for tokens, first in product(product(range(values), repeat=len(sites)), chosen):
            written = [-5] * length  # what is not hidden is not written
            for site, token in zip(sites, tokens, strict=True):
                written[site] = token
            chance = p / len(chosen) * math.prod(law[s, w].item() for s, w in zip(sites, tokens, strict=True))
            rows.append((text, hidden, written, [float(site not in first) for site in range(length)], chance))
    tokens_, hidden_, written_, order, chances = zip(*rows, strict=True)
    made = [torch.tensor(part) for part in (tokens_, hidden_, written_, order)]
    return Every(*made, torch.tensor(chances, dtype=torch.float64))


def repeated(rows: Every, nodes: int) -> Every:
    return Every(*(part.repeat_interleave(nodes, 0) for part in rows))


def best(joint: Tensor, tokens: Tensor, question: Question, *factors: Factor) -> dict[tuple[int, ...], list[float]]:
    """What a tabulated head says of every canvas when trained to the end: [L] chances, nan where it is never asked."""
    values, length = joint.shape[0], joint.dim()
    places = (values + 1) ** torch.arange(length)
    said = torch.zeros((values + 1) ** length, length, dtype=torch.float64, requires_grad=True)
    network = Fake(lambda t: torch.zeros(*t.shape, values), lambda t: said[(t * places).sum(-1)])
    objective = Judging(MaskedDiffusion(), weighting=Weighting(factors))
    for _ in range(12):  # Newton's method, each entry by itself
        loss = objective.loss_at(network, batch(tokens, values), question).total
        (slope,) = torch.autograd.grad(loss, said, create_graph=True)
        (curve,) = torch.autograd.grad(slope.sum(), said)
        step = torch.where(curve > 0, slope.detach() / torch.where(curve > 0, curve, 1.0), 0.0)
        said = (said.detach() - step).requires_grad_()
    chances = torch.where(curve > 0, said.detach().sigmoid(), torch.nan)
    canvases = product(range(values + 1), repeat=length)
    return {canvas: chances[int((torch.tensor(canvas) * places).sum())].tolist() for canvas in canvases}


def without(joint: Tensor, canvas: tuple[int, ...]) -> list[float]:
    """p(the token there | the others that are not masked), by the oracle."""
    said = []
    for site, token in enumerate(canvas):
        read = torch.tensor(canvas)
        read[site] = joint.shape[0]
        law = oracle(joint).logits(read[None])[0, site].exp()
        said.append(law[token].item() if token < joint.shape[0] else math.nan)
    return said


SAMPLERS: dict[str, Callable[[Tensor], Fake]] = {
    "oracle": oracle,
    "uniform": lambda joint: uniform(joint.shape[0]),
    "anything": lambda joint: table(joint.dim(), joint.shape[0], 6),
}


@JOINTS
@pytest.mark.parametrize("sampler", SAMPLERS)
def test_one_fill_teaches_the_chance_without_the_token_whoever_wrote_it(joint: Tensor, sampler: str) -> None:
    rows, target = every(joint, SAMPLERS[sampler](joint), 1), Filled(1)
    t = torch.rand(len(rows.chance), generator=generator(1), dtype=torch.float64)  # told nowhere
    question = target.question(batch(rows.tokens, joint.shape[0]), t, *rows[1:4])
    said = best(joint, rows.tokens, question, Chance(rows.chance))
    for canvas, chances in said.items():
        assert chances == pytest.approx(without(joint, canvas), abs=2e-6, nan_ok=True)
    if joint is JOINT:
        full = [said[canvas] for canvas in ((0, 0), (1, 1), (0, 1), (1, 0))]
        expected = [(0.9, 0.75), (0.7, 0.875), (0.3, 0.25), (0.1, 0.125)]
        assert [tuple(round(chance, 5) for chance in chances) for chances in full] == expected


def test_a_second_fill_moves_the_target() -> None:
    """The other fill is no right token, so that what was written in company counts with what is known of nothing."""
    rows = every(JOINT, oracle(JOINT), 2)
    t = torch.ones(len(rows.chance), dtype=torch.float64)
    question = Filled(2).question(batch(rows.tokens, 2), t, *rows[1:4])
    # 0 0 from one mask has the chance .45, at either place, and is right .9 and .75; from two .3, and .6 and .5.
    assert best(JOINT, rows.tokens, question, Chance(rows.chance))[0, 0] == pytest.approx((0.78, 0.65), abs=2e-6)


@JOINTS
@pytest.mark.parametrize("schedule", [Linear(), Cosine(), Polynomial(2.0)], ids=repr)
def test_a_planner_averages_over_what_may_have_been_masked(joint: Tensor, schedule: Schedule) -> None:
    """P2, prop. 2: told what was masked it says p(z_i | the rest); its weight makes the average know no schedule."""
    length, once = joint.dim(), every(joint, oracle(joint), None)
    rows, t = repeated(once, len(NODES)), ((NODES + 1) / 2).repeat(len(once.chance))
    clean = schedule.alpha(t)[:, None]
    chance = rows.chance * WEIGHTS.repeat(len(once.chance)) / 2
    chance = chance * torch.where(rows.hidden, 1 - clean, clean).prod(1)
    question = Filled(schedule=schedule).question(batch(rows.tokens, joint.shape[0]), t, *rows[1:4])
    said = best(joint, rows.tokens, question, Bound(), Chance(chance))
    for z in product(range(joint.shape[0]), repeat=length):
        for site in range(length):
            right = total = 0.0
            for masked in product([False, True], repeat=length):
                if not masked[site]:
                    continue
                read = tuple(joint.shape[0] if hidden else token for hidden, token in zip(masked, z, strict=True))
                law = oracle(joint).logits(torch.tensor([read]))[0].exp()
                seen = joint[tuple(slice(None) if h else v for h, v in zip(masked, z, strict=True))].sum().item()
                k = sum(masked)
                weight = math.factorial(k - 1) * math.factorial(length - k) / math.factorial(length)  # the time, out
                weight *= seen * math.prod(law[i, z[i]].item() for i in range(length) if masked[i])
                total, right = total + weight, right + weight * law[site, z[site]].item()
            assert said[z][site] == pytest.approx(right / total, abs=5e-6)
    if joint is JOINT:
        assert said[0, 0] == pytest.approx((0.78, 0.65), abs=5e-6)
    for masked in product([False, True], repeat=length):
        some = (once.hidden == torch.tensor(masked)).all(1)
        told = Every(*(part[some] for part in once))
        ones = torch.ones(len(told.chance), dtype=torch.float64)
        question = Filled(schedule=schedule).question(batch(told.tokens, joint.shape[0]), ones, *told[1:4])
        alone = best(joint, told.tokens, question, Chance(told.chance))
        for z in product(range(joint.shape[0]), repeat=length):
            read = tuple(joint.shape[0] if hidden else token for hidden, token in zip(masked, z, strict=True))
            law = oracle(joint).logits(torch.tensor([read]))[0].exp()
            expected = [law[i, z[i]].item() if masked[i] else math.nan for i in range(length)]
            assert alone[z] == pytest.approx(expected, abs=2e-6, nan_ok=True)


@JOINTS
@pytest.mark.parametrize("corruption", [Uniform(), Hybrid(0.3)], ids=repr)
def test_a_head_trained_on_noise_is_the_detector_that_a_denoiser_contains(
    joint: Tensor, corruption: Uniform | Hybrid
) -> None:
    length, values = joint.dim(), joint.shape[0]
    at = torch.tensor([0.4], dtype=torch.float64)
    clean, mask, drawn = (share.item() for share in corruption.shares(at))
    of = {-1: clean, values: mask} | dict.fromkeys(range(values), drawn / values)
    rows = [
        (text, noise, p * math.prod(of[each] for each in noise))
        for (text, p), noise in product(states(joint), product(of, repeat=length))
    ]
    tokens, noise = (torch.tensor([row[k] for row in rows]) for k in (0, 1))
    chance = torch.tensor([row[2] for row in rows], dtype=torch.float64)
    question = Corrupted(corruption).question(batch(tokens, values), at.expand(len(rows)), noise)
    said = best(joint, tokens, question, Chance(chance))
    written = [canvas for canvas in said if all(token < values for token in canvas)]
    canvases = torch.tensor(written)
    shares = corruption.shares(at.expand(len(canvases)))
    noisy = noise_chance(leave_one_out_oracle(joint, canvases, shares), canvases, shares, values)
    found = torch.tensor([said[canvas] for canvas in written], dtype=torch.float64)
    assert torch.allclose(found, 1 - noisy, atol=2e-6)
    if joint is JOINT and isinstance(corruption, Uniform):  # alpha = .6
        assert [1 - chance for chance in said[0, 0]] == pytest.approx((0.299401, 0.335329), abs=2e-6)
        assert [1 - chance for chance in said[1, 0]] == pytest.approx((0.602410, 0.530120), abs=2e-6)


@JOINTS
@pytest.mark.parametrize("sampler", ["oracle", "anything"])
def test_a_head_trained_as_remedi_says_what_stays_and_at_masks_how_sure_the_network_may_be(
    joint: Tensor, sampler: str
) -> None:
    length, values, network = joint.dim(), joint.shape[0], SAMPLERS[sampler](joint)
    target, at = Replaced(0.2), torch.tensor([0.4], dtype=torch.float64)
    mask, wrong = 0.4, target.share(at).item()
    assert wrong == pytest.approx(4 * 0.2 * 0.4 * 0.6)

    def chance(seen: int, token: int) -> float:
        """q(z_i | x_i), by definition."""
        if seen == values:
            return mask
        return (1 - mask) * (1 - wrong if seen == token else wrong / (values - 1))

    canvases = list(product(range(values + 1), repeat=length))
    rows = [
        (text, canvas, p * math.prod(map(chance, canvas, text)))
        for (text, p), canvas in product(states(joint), canvases)
    ]
    tokens, canvas = (torch.tensor([row[k] for row in rows]) for k in (0, 1))
    weight = torch.tensor([row[2] for row in rows], dtype=torch.float64)
    assert weight.sum().item() == pytest.approx(1)
    hidden = canvas == values
    noisy = torch.where(hidden, tokens, canvas)
    question = target.question(batch(tokens, values), at.expand(len(rows)), hidden, noisy, network.logits(canvas))
    assert torch.equal(question.canvas, canvas) and question.asked.all()
    said = best(joint, tokens, question, Chance(weight))
    for z in canvases:
        right = {text: p * math.prod(map(chance, z, text)) for text, p in states(joint)}
        law = network.logits(torch.tensor([z]))[0].double().softmax(-1)
        for site in range(length):
            label = sum(
                p * (law[site, x[site]].item() if z[site] == values else x[site] == z[site]) for x, p in right.items()
            )
            assert said[z][site] == pytest.approx(label / sum(right.values()), abs=5e-6)


MASK, ROWS, LENGTH = 4, 400, 8
GOLD = torch.zeros(ROWS, LENGTH, dtype=torch.int64)
PLACE = torch.arange(LENGTH).expand(ROWS, LENGTH)
EDITABLE, JUDGED = PLACE >= 1, PLACE >= 3


def coin() -> Fake:
    """Writes 0 or 1, and knows which of them is right."""
    law = torch.tensor([0.0, 0.0, -math.inf, -math.inf])
    return Fake(lambda t: law.expand(*t.shape, MASK), lambda t: torch.where(t == 0, 1e3, -1e3))


def ask(target: Target, network: Fake | None = None) -> Question:
    data = batch(GOLD, MASK, EDITABLE, JUDGED)
    return target(MaskedDiffusion(), network or coin(), data, generator(3))


@pytest.mark.parametrize("fill", [1, 2, 100])
def test_so_many_masks_of_a_row_are_filled_and_only_those_are_asked(fill: int) -> None:
    network = coin()
    canvas, asked, right, _, _ = ask(Filled(fill, times=At(0.5)), network)
    hidden = network.read[0] == MASK
    assert torch.equal(asked.sum(1), (hidden & JUDGED).sum(1).clamp(max=fill))
    assert torch.equal(hidden, asked | (canvas == MASK))
    assert torch.equal(canvas[~hidden], GOLD[~hidden]) and (asked <= JUDGED).all()
    assert torch.equal(right[asked], canvas[asked] == 0) and 0 < right[asked].sum() < asked.sum()
    often = asked.double().mean(0)[3:]
    assert (often - often.mean()).abs().max() < 5 * math.sqrt(0.25 / ROWS)  # no place before another


def test_repeats_fill_the_same_masks_anew_and_cost_one_guess() -> None:
    network, data = coin(), batch(GOLD, MASK, EDITABLE, JUDGED)
    question = Filled(2, times=At(0.5), repeats=3)(MaskedDiffusion(), network, data, generator(3))
    assert len(network.read) == 1
    hidden, parts = network.read[0] == MASK, question.canvas.split(ROWS)
    assert len(parts) == 3 and not torch.equal(parts[0], parts[1])
    for canvas, asked in zip(parts, question.asked.split(ROWS), strict=True):
        assert torch.equal(hidden, asked | (canvas == MASK))
        assert torch.equal(asked.sum(1), (hidden & JUDGED).sum(1).clamp(max=2))
    # Three times the questions: the mean over all of them is the mean of the three means of equally many.
    judging = Judging(MaskedDiffusion(), Filled(2, repeats=3))
    head = Fake(network.logits, lambda t: t.double() - 0.3)
    alone = [Question(*(part.split(ROWS)[k] for part in question[:4])) for k in range(3)]
    losses = [judging.loss_at(head, data, each).total for each in alone]
    assert judging.loss_at(head, data, question).total.item() == pytest.approx(sum(losses).item() / 3)
    once = Filled(2, times=At(0.5))(MaskedDiffusion(), coin(), data, generator(3))
    again = Filled(2, times=At(0.5), repeats=1)(MaskedDiffusion(), coin(), data, generator(3))
    assert all(torch.equal(a, b) for a, b in zip(once[:4], again[:4], strict=True))


def test_a_canvas_drawn_whole_is_labelled_by_comparison_with_the_right_one() -> None:
    """Full canvases with verified labels, from nothing but what was given."""
    network = coin()
    canvas, asked, right, _, _ = ask(OwnErrors(full=1.0, lowest=1.0, slope=0.0), network)
    assert torch.equal(network.read[0] == MASK, JUDGED) and torch.equal(asked, JUDGED)
    assert (canvas != MASK).all() and torch.equal(right, canvas == GOLD) and 0.4 < right[JUDGED].double().mean() < 0.6


def test_so_many_tokens_are_masked_and_replaced_and_every_one_is_asked() -> None:
    network, target = coin(), Replaced(0.25, At(0.5))
    canvas, asked, right, t, _ = ask(target, network)
    assert torch.equal(network.read[0], canvas) and torch.equal(asked, JUDGED)
    assert (canvas[~EDITABLE] == 0).all() and (t == 0.5).all()
    hidden, wrong = (canvas == MASK)[EDITABLE], ((canvas != MASK) & (canvas != 0))[EDITABLE]
    assert hidden.double().mean().item() == pytest.approx(0.5, abs=0.05)
    assert (wrong.sum() / (~hidden).sum()).item() == pytest.approx(0.25, abs=0.05)
    assert set(canvas[EDITABLE].tolist()) == {0, 1, 2, 3, MASK}
    assert torch.equal(right[canvas == 0], torch.ones(int((canvas == 0).sum())))
    assert (right[EDITABLE][wrong] == 0).all() and (right[EDITABLE][hidden] == 0.5).all()
    times = torch.linspace(0, 1, 101, dtype=torch.float64)[1:]
    assert (target.share(times) * (1 - times) < times).all()


def test_a_critic_of_all_that_was_masked_is_asked_that_and_no_more() -> None:
    network = coin()
    canvas, asked, right, _, _ = ask(Filled(), network)
    hidden = network.read[0] == MASK
    assert (canvas != MASK).all() and torch.equal(asked, hidden & JUDGED) and torch.equal(right, canvas == GOLD)
    canvas, asked, right, _, _ = ask(Filled(times=At(1.0)))
    assert torch.equal(asked, JUDGED) and torch.equal(right[asked], canvas[asked] == 0)
    assert right[asked].double().mean().item() == pytest.approx(0.5, abs=5 * math.sqrt(0.25 / asked.sum().item()))


def test_everywhere_means_what_was_not_masked_too() -> None:
    canvas, asked, right, _, _ = ask(Filled(everywhere=True, times=At(0.01)))
    assert torch.equal(asked, JUDGED) and (canvas[~EDITABLE] == 0).all()
    assert right[asked].double().mean().item() == pytest.approx(0.5, abs=0.06)


def test_a_token_that_was_drawn_is_noise_also_where_it_is_right() -> None:
    target = Corrupted(Hybrid(0.5), At(0.5))
    canvas, asked, kept, t, _ = ask(target)
    assert torch.equal(canvas, corrupt(GOLD, EDITABLE, target.corruption.shares(t), MASK, generator(3)))
    assert torch.equal(asked, JUDGED & (canvas != MASK)) and (canvas[kept] == 0).all()
    right = (canvas == 0) & ~kept & asked
    assert right.sum().item() / (~kept & asked).sum().item() == pytest.approx(1 / MASK, abs=0.06)


@pytest.mark.parametrize("weighting", [NELBO, Weighting((), "masked")], ids=["bound", "plain"])
@pytest.mark.parametrize("target", [OwnErrors(), Filled(2), Filled(), Filled(everywhere=True)], ids=repr)
def test_a_head_that_is_sure_and_right_costs_nothing(target: Target, weighting: Weighting) -> None:
    data = batch(GOLD, MASK, EDITABLE, JUDGED)
    loss = Judging(MaskedDiffusion(), target, weighting=weighting).loss_at(coin(), data, ask(target))
    assert loss.total.item() == 0 and loss.metrics["quality_accuracy"].item() == 1
    assert 0 < loss.metrics["own_errors"].item() < 1


def test_nothing_asked_is_no_loss_and_no_nan() -> None:
    question = ask(Filled(1, times=At(1e-12)))
    loss = Judging(MaskedDiffusion(), Filled(1)).loss_at(coin(), batch(GOLD, MASK, EDITABLE, JUDGED), question)
    assert not question.asked.any() and loss.total.item() == 0


class Two(nn.Module):
    """Logits and quality that are weights of their own."""

    def __init__(self) -> None:
        super().__init__()
        self.logits = nn.Parameter(torch.randn(ROWS, LENGTH, MASK, generator=generator(5)))
        self.quality = nn.Parameter(torch.zeros(ROWS, LENGTH))

    def forward(self, tokens: Tensor, features: Tensor) -> Said:
        return Said(self.logits, self.quality)


TARGETS = [
    OwnErrors(),
    Filled(1),
    Filled(3),
    Filled(),
    Filled(everywhere=True),
    Corrupted(),
    Corrupted(Hybrid(0.3)),
    Replaced(),
]


@dataclass
class Kept:
    """A target that lets itself be looked at."""

    target: Target
    question: Question | None = None

    @property
    def blanks(self) -> bool:
        return self.target.blanks

    @property
    def guesses(self) -> int:
        return self.target.guesses

    @property
    def repeats(self) -> int:
        return self.target.repeats

    def __call__(self, *given: object) -> Question:
        self.question = self.target(*given)  # type: ignore[arg-type]
        return self.question


@pytest.mark.parametrize("target", TARGETS, ids=repr)
def test_the_head_is_trained_where_it_is_asked_and_nothing_else_is(target: Target) -> None:
    alone, both, kept = Two(), Two(), Kept(target)
    data = batch(GOLD, MASK, EDITABLE, JUDGED)
    MaskedDiffusion()(alone, data, generator()).total.backward()
    Judging(MaskedDiffusion(), kept, weight=3.0)(both, data, generator()).total.backward()
    assert alone.logits.grad is not None and both.logits.grad is not None and both.quality.grad is not None
    assert torch.equal(both.logits.grad, alone.logits.grad)
    assert kept.question is not None and kept.question.asked.any()
    asked, right = kept.question.asked, kept.question.right.float()
    assert torch.equal(both.quality.grad != 0, asked)
    # At logit 0 the gradient of the mean is weight * (1/2 - right) / count.
    assert torch.allclose(both.quality.grad[asked], (3.0 * (0.5 - right) / asked.sum())[asked])


@pytest.mark.parametrize("target", [*TARGETS, Filled(2, repeats=3)], ids=repr)
def test_the_passes_stated_are_the_passes_made(target: Target) -> None:
    network, objective = coin(), Judging(MaskedDiffusion(), target)
    objective(network, batch(GOLD, MASK), generator())
    made = [(len(read) // ROWS, trained) for read, trained in zip(network.read, network.trained, strict=True)]
    assert objective.forwards == Forwards(sum(n for n, yes in made if yes), sum(n for n, yes in made if not yes))
    assert objective.teaches == Taught(quality=True, masks=True)


PINNED = [
    (MaskedDiffusion(), {}, 2.4229846, "ecf3915d0d83"),
    (MaskedDiffusion(weighting="none"), {"full": 0.0, "weight": 3.0}, 5.1116500, "2684bcedc6b8"),
    (NextToken(), {"full": 1.0, "lowest": 0.4, "slope": 0.0}, 2.4440739, "62dd71c6a012"),
]


@pytest.mark.parametrize(("inner", "shares", "total", "digest"), PINNED, ids=["diffusion", "masked", "next token"])
def test_quality_draws_what_it_drew(
    inner: MaskedDiffusion | NextToken, shares: dict[str, float], total: float, digest: str
) -> None:
    """Canvases to the byte, as before targets were parts; and it is the default target."""
    gold = torch.randint(0, 3, (64, 4), generator=generator(1))
    data = batch(gold, 3, judged=(torch.arange(4) >= 1).expand(64, 4))
    said = table(4, 3, 11)
    network = Fake(said.logits, lambda tokens: said.logits(tokens).sum(-1))
    quality = Quality(inner, **shares)
    loss = quality(network, data, generator(2))
    assert hashlib.sha1(network.read[-1].numpy().tobytes()).hexdigest().startswith(digest)
    assert loss.total.item() == pytest.approx(total, rel=1e-6)
    if not shares:
        assert Judging(inner)(network, data, generator(2)).total.item() == loss.total.item()
        other = replace(quality, lowest=0.5, slope=0.5)(network, data, generator(2))
        assert other.total.item() != loss.total.item()


def test_the_ends_of_every_range_are_in_it() -> None:
    for full, lowest, slope in ((0, 0.0, 1.0), (1, 1.0, 0.0), (0.5, 0.0, 0.1)):
        assert OwnErrors(full, lowest, slope).guesses
    for full, lowest, slope in (
        (-0.1, 0.1, 0.1),
        (1.1, 0.1, 0.1),
        (1, -0.1, 0.5),
        (1, 0.5, -0.1),
        (1, 0, 0),
        (1, 1, 0.1),
    ):
        with pytest.raises(ValueError, match=r"quality\.(full|lowest)="):
            OwnErrors(full, lowest, slope)


def test_what_is_no_target_is_refused() -> None:
    with pytest.raises(ValueError, match=r"target\.fill=0 .*give 1 or more, or null for all"):
        Filled(0)
    with pytest.raises(ValueError, match=r"target\.everywhere=true .*set target\.fill=null"):
        Filled(2, everywhere=True)
    with pytest.raises(ValueError, match=r"target\.repeats=0 .*give 1 or more"):
        Filled(repeats=0)
    for wrong in (0.0, 0.26, math.nan):
        with pytest.raises(ValueError, match=rf"target\.wrong={wrong} .*at most 0\.25"):
            Replaced(wrong)
    with pytest.raises(ValueError, match=r"quality\.target=.*choose a target without"):
        Judging(InterpolatingDiffusion(Uniform()), Replaced())
    with pytest.raises(ValueError, match=r"quality\.target=.*choose a target without"):
        Judging(NextToken(), Filled(1))
    with pytest.raises(ValueError, match=r"quality\.weight=0"):
        Judging(MaskedDiffusion(), weight=0)
    with pytest.raises(ValueError, match=r"quality\.inner=.*choose MaskedDiffusion or NextToken"):
        Judging(InterpolatingDiffusion(Uniform(), "posterior"), Filled())


def test_noise_is_asked_of_a_network_that_guesses_nothing() -> None:
    network = coin()
    objective = Judging(InterpolatingDiffusion(Uniform()), Corrupted())
    assert objective(network, batch(GOLD, MASK), generator()).total.isfinite()
    assert objective.forwards == (2, 0) == (len(network.read), 0)
    assert objective.teaches == Taught(quality=True, noise="leave_one_out")


def test_judging_comes_later() -> None:
    inner = MaskedDiffusion()
    staged = judged_later(inner, Filled(1), start=0.6)
    assert [staged.at(update, 10) is inner for update in range(10)] == [True] * 6 + [False] * 4
    assert staged.forwards(10) == (14, 4) and staged.teaches == Taught(quality=True, masks=True)
    with pytest.raises(ValueError, match=r"objective.start=2"):
        judged_later(inner, Filled(1), start=2)
