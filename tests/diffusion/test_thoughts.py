"""Laws of thoughts one after another, and of canvases that the model wrote itself."""

from itertools import product

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from dlmreason.diffusion.objectives import Batch, Forwards, Hidden, Hiding, MaskedDiffusion, Network, NextToken, Taught
from dlmreason.diffusion.quality import Judging
from dlmreason.diffusion.schedules import Cosine, Schedule
from dlmreason.diffusion.thoughts import ScheduledSampling, ThoughtByThought, scheduled_sampling
from dlmreason.diffusion.weightings import Bound, Focal, Weighting
from tests.diffusion.exact import entropy, states
from tests.diffusion.fakes import At, Fake, Weights, batch, generator, oracle, table, uniform
from tests.toys import JOINT, random_joint

MASK, ROWS, LENGTH = 3, 400, 7
GOLD = torch.randint(0, MASK, (ROWS, LENGTH), generator=generator(1))
EDITABLE = (torch.arange(LENGTH) >= 1).expand(ROWS, LENGTH)
# A prompt of one token, and then three thoughts, or two, or one.
CHAINS = torch.tensor([[0, 0, 0, 1, 1, 1, 2], [5, 0, 0, 0, 0, 1, 1], [0, 0, 0, 0, 0, 0, 0]])
THOUGHTS = CHAINS[torch.arange(ROWS) % 3]
NUMBER = torch.tensor([3, 2, 1])[torch.arange(ROWS) % 3]
DATA = batch(GOLD, MASK, EDITABLE, EDITABLE & (NUMBER[:, None] == THOUGHTS + 1), THOUGHTS)
WEIGHTINGS = pytest.mark.parametrize(
    "weighting", ["nelbo", "none", Weighting((Bound(),), "rows"), Weighting((Focal(),), "masked")], ids=repr
)


def same_loss(objective: Hiding, other: Hiding, data: Batch, network: Network | None = None) -> bool:
    """Byte for byte, under the same draws."""
    said = network or table(LENGTH, MASK, 8)
    first, second = (each(said, data, generator(3)) for each in (objective, other))
    return torch.equal(first.total, second.total) and all(
        torch.equal(first.metrics[name], value) for name, value in second.metrics.items()
    )


@WEIGHTINGS
def test_one_thought_is_the_inner_loss(weighting: Weighting) -> None:
    inner = MaskedDiffusion(weighting=weighting)
    alone = DATA._replace(thoughts=torch.zeros_like(GOLD))
    for objective in (ThoughtByThought(inner), ThoughtByThought(inner, coupling=1.0, reach=3)):
        assert same_loss(objective, inner, alone)
        assert not same_loss(objective, inner, DATA)


def test_what_comes_later_is_neither_shown_nor_asked() -> None:
    """Canvas and counts are the same whatever the later thoughts are; what came before is right and not asked."""
    objective = ThoughtByThought(MaskedDiffusion())
    t, canvas, counts = objective.hide(DATA, generator(4))
    thought = torch.where(counts > 0, THOUGHTS, -1).amax(-1, keepdim=True)
    now, later = EDITABLE & (thought == THOUGHTS), EDITABLE & (thought < THOUGHTS)
    assert later.any() and torch.equal(counts, torch.where(now, NUMBER[:, None], 0))
    assert (canvas[later] == MASK).all() and torch.equal(canvas[~now & ~later], GOLD[~now & ~later])
    hidden = (canvas == MASK) & now
    assert 0.4 < hidden[now].double().mean() < 0.6 and torch.equal(canvas[now & ~hidden], GOLD[now & ~hidden])
    other = DATA._replace(tokens=torch.where(later, (GOLD + 1) % MASK, GOLD))
    assert all(map(torch.equal, objective.hide(other, generator(4)), (t, canvas, counts)))


@WEIGHTINGS
def test_only_masks_of_the_drawn_thought_are_taught(weighting: Weighting) -> None:
    network, objective = Weights(1, ROWS, LENGTH, MASK), ThoughtByThought(MaskedDiffusion(weighting=weighting))
    objective(network, DATA, generator(4)).total.backward()
    _, canvas, counts = objective.hide(DATA, generator(4))
    slope = network.said[0].grad
    assert slope is not None and torch.equal((slope != 0).any(-1), (canvas == MASK) & (counts > 0))


def test_thoughts_are_drawn_alike_and_some_rows_are_coupled() -> None:
    rows = 6000
    chain = torch.tensor([0, 1, 2]).expand(rows, 3)
    data = batch(torch.zeros(rows, 3, dtype=torch.int64), MASK, thoughts=chain)
    for reach in (1, 2):
        _, _, counts = ThoughtByThought(MaskedDiffusion(), coupling=0.3, reach=reach).hide(data, generator(5))
        asked, seen = counts > 0, torch.zeros(3, 3, dtype=torch.float64)
        for first, last in product(range(3), repeat=2):
            whole = (chain >= first) & (chain <= last)
            seen[first, last] = (asked == whole).all(-1).double().mean() if first <= last else 0.0
        law = torch.eye(3, dtype=torch.float64) * 0.7 / 3
        for last in range(3):
            law[max(last - reach, 0), last] += 0.1
        assert torch.allclose(seen, law, atol=5 * (0.25 / rows) ** 0.5) and seen.sum() == pytest.approx(1)


NODES, TIMES = (torch.from_numpy(array) for array in np.polynomial.legendre.leggauss(12))


def exact(
    network: Network, joint: Tensor, chain: tuple[int, ...], reach: int = 0, schedule: Schedule | None = None
) -> float:
    """The objective's expectation over data, thoughts, masks and times, in nats for the whole text; nothing drawn."""
    length, mask, number = joint.dim(), joint.shape[0], max(chain) + 1
    objective = ThoughtByThought(MaskedDiffusion(schedule or MaskedDiffusion().schedule), reach=max(reach, 1))
    masks = list(product([False, True], repeat=length))
    rows = list(product(range(len(NODES)), states(joint), masks, range(number)))
    t = ((NODES + 1) / 2)[[node for node, *_ in rows]]
    hidden = torch.tensor([where for *_, where, _ in rows])
    tokens = torch.tensor([text for _, (text, _), *_ in rows])
    clean = objective.schedule.alpha(t)[:, None]
    chance = torch.where(hidden, 1 - clean, clean).prod(1) * torch.tensor([p for _, (_, p), *_ in rows]) / number
    chance = chance * (TIMES / 2)[[node for node, *_ in rows]]
    data = batch(tokens, mask, thoughts=torch.tensor(chain))
    inner = Hidden(t, torch.where(hidden, mask, tokens), chance[:, None] * tokens.numel())
    thought, coupled = torch.tensor([k for *_, k in rows]), torch.full((len(rows),), reach > 0)
    asked = objective.hidden(data, inner, thought, coupled)
    return objective.loss_at(network, data, *asked).total.item()


CHAINS_OF_THREE = [(0, 0, 0), (0, 0, 1), (0, 1, 1), (0, 1, 2)]


@pytest.mark.parametrize("schedule", [None, Cosine()], ids=repr)
def test_an_oracle_reaches_the_entropy_of_j_thought_by_thought(schedule: Schedule | None) -> None:
    assert exact(oracle(JOINT), JOINT, (0, 1), schedule=schedule) == pytest.approx(1.1611208, abs=1e-5)


@pytest.mark.parametrize("chain", CHAINS_OF_THREE)
def test_the_bound_is_the_chain_rule(chain: tuple[int, ...]) -> None:
    joint = random_joint(3, 2)
    assert exact(oracle(joint), joint, chain) == pytest.approx(entropy(joint), abs=1e-5)
    assert exact(uniform(2), joint, chain) == pytest.approx(3 * np.log(2), abs=1e-5)
    assert exact(table(3, 2, 7), joint, chain) > entropy(joint) + 0.1


@pytest.mark.parametrize("reach", [1, 2])
@pytest.mark.parametrize("chain", CHAINS_OF_THREE[1:])
def test_coupled_an_oracle_reaches_the_entropies_of_thoughts_together(chain: tuple[int, ...], reach: int) -> None:
    """The sum over k of H(thoughts k - reach .. k | those before), which is H and what is asked twice."""
    joint = random_joint(3, 2)

    def begun(thoughts: int) -> float:
        """H of the first so many thoughts."""
        known = sum(thought < thoughts for thought in chain)
        return entropy(joint.sum(list(range(known, 3)))) if 0 < known < 3 else entropy(joint) if known else 0.0

    law = sum(begun(k + 1) - begun(max(k - reach, 0)) for k in range(max(chain) + 1))
    assert exact(oracle(joint), joint, chain, reach) == pytest.approx(law, abs=1e-5)
    assert law > entropy(joint) + 0.1


@pytest.mark.parametrize("weighting", ["nelbo", "none"])
def test_drawn_thoughts_estimate_the_loss_of_all(weighting: str) -> None:
    """Log 4 at the first thought's positions, 0 at the others': the rows differ in how many thoughts they have."""
    tokens = torch.zeros(30_000, LENGTH, dtype=torch.int64)
    chains = CHAINS[torch.arange(len(tokens)) % 3]
    knows = chains > 0
    said = torch.where(knows[..., None], torch.tensor([50.0, 0.0, 0.0, 0.0]), torch.zeros(4))
    data = batch(tokens, 4, EDITABLE[:1].expand_as(tokens), thoughts=chains)
    share = ((~knows) & data.editable).sum() / data.editable.sum()
    objective = ThoughtByThought(MaskedDiffusion(weighting=weighting))  # type: ignore[arg-type]
    loss = objective(Fake(lambda _: said), data, generator(6))
    assert loss.total.item() == pytest.approx(np.log(4) * share.item(), rel=0.03)
    assert loss.metrics["nelbo"].item() == pytest.approx(np.log(4) * share.item(), rel=0.03)


INNERS = pytest.mark.parametrize("inner", [MaskedDiffusion(), ThoughtByThought(MaskedDiffusion(), 0.2)], ids=repr)


@INNERS
def test_never_on_its_own_canvas_is_the_inner_loss(inner: Hiding) -> None:
    assert same_loss(ScheduledSampling(inner, 0.0), inner, DATA)
    assert not same_loss(ScheduledSampling(inner, 1.0), inner, DATA)


@INNERS
def test_one_who_writes_what_is_right_learns_as_before(inner: Hiding) -> None:
    """All answers certain: the canvas is the inner one. All tokens apart: another canvas says nothing else."""
    sure = Fake(lambda _: 1e3 * nn.functional.one_hot(GOLD, MASK).float())
    apart = Fake(lambda tokens: torch.tensor([0.2, 0.5, 0.3]).log().expand(*tokens.shape, MASK))
    for network in (sure, apart):
        assert same_loss(ScheduledSampling(inner, 1.0), inner, DATA, network)
    canvas = inner.hide(DATA, generator(3)).canvas
    assert torch.equal(sure.read[1], canvas) and not torch.equal(apart.read[1], canvas)


@INNERS
def test_the_own_canvas_is_read_without_gradient_and_differs_at_what_is_shown_of_the_asked(inner: Hiding) -> None:
    network = Weights(2, ROWS, LENGTH, MASK)
    loss = ScheduledSampling(inner, 1.0)(network, DATA, generator(4))
    loss.total.backward()
    _, canvas, counts = inner.hide(DATA, generator(4))
    own, asked = network.read[1], (canvas == MASK) & (counts > 0)
    more = network.read[0] != canvas
    assert (network.read[0][more] == MASK).all() and torch.equal(own[~more], canvas[~more])
    assert torch.equal(more & (counts > 0) & (canvas != MASK), more), "what is asked, and stands"
    assert (own[more] != MASK).all() and (own != canvas).any()
    slope = network.said[1].grad
    assert network.said[0].grad is None and slope is not None and torch.equal((slope != 0).any(-1), asked)
    wrong = (own != GOLD)[more].double().mean().item()
    assert loss.metrics["scheduled_errors"].item() == pytest.approx(wrong, abs=1e-6) != 0


@pytest.mark.parametrize("chance", [0.25, 1.0])
def test_it_is_a_share_of_the_rows(chance: float) -> None:
    network = Fake(lambda tokens: 50.0 * nn.functional.one_hot((GOLD + 1) % MASK, MASK).float())
    inner = MaskedDiffusion(times=At(0.1))
    loss = ScheduledSampling(inner, chance)(network, DATA, generator(4))
    assert loss.metrics["scheduled_errors"] == 1
    could, changed = ((read != inner.hide(DATA, generator(4)).canvas).any(-1) for read in network.read)
    assert could.sum() > ROWS / 2 and not changed[~could].any()
    assert changed[could].double().mean() == pytest.approx(chance, abs=5 * (0.25 / could.sum().item()) ** 0.5)


@pytest.mark.parametrize("t", [0.5, 1.0])
def test_more_is_hidden_as_at_a_later_time(t: float) -> None:
    """From t = 1/2, at which half is shown, to u uniform up to 1, at which a quarter is; at t = 1 nothing is left."""
    zeros = batch(torch.zeros(3000, 20, dtype=torch.int64), MASK)
    objective = ScheduledSampling(MaskedDiffusion(times=At(t)))
    hidden = objective.inner.hide(zeros, generator(4))
    more = objective.more(zeros, hidden, generator(5))
    shown = (hidden.canvas != MASK) & ~more
    assert shown.double().mean() == pytest.approx((1 - t) / 2, abs=0.02) and more.any() == (t < 1)
    # Within a row all were hidden at one u: their number varies more than that of single coins.
    if t < 1:
        assert shown.double().sum(-1).var() > 1.5 * 20 * 0.25 * 0.75


def test_where_the_answer_is_not_certain_the_best_answer_is_another_one() -> None:
    """On J at t = 1/2 half of what stands beside a mask is drawn by itself: seen with it are p(v, x) and p(v) p(x)."""
    rows = 60_000
    text = torch.multinomial(JOINT.flatten(), rows, replacement=True, generator=generator(7))
    tokens = torch.stack([text // 2, text % 2], 1)
    network = oracle(JOINT)
    said = torch.stack([network.logits(torch.tensor([z]))[0] for z in product(range(3), repeat=2)])
    fast = Fake(lambda tokens: said[tokens[:, 0] * 3 + tokens[:, 1]])
    ScheduledSampling(MaskedDiffusion(times=At(0.5)), 1.0)(fast, batch(tokens, 2), generator(8))
    canvas = fast.read[1]
    for masked in (0, 1):
        beside = (canvas[:, masked] == 2) & (canvas[:, 1 - masked] != 2)
        pair = torch.where(torch.arange(2) == masked, tokens, canvas)[beside]
        seen = torch.bincount(pair[:, 0] * 2 + pair[:, 1], minlength=4).double() / len(pair)
        apart = JOINT.sum(1, keepdim=True) * JOINT.sum(0, keepdim=True)
        law = ((JOINT + apart) / 2).flatten()
        assert torch.allclose(seen, law, atol=5 * (0.25 / len(pair)) ** 0.5)
        assert (seen - JOINT.flatten()).abs().max() > 0.05


def test_the_passes_stated_are_the_passes_made() -> None:
    for objective, passes in (
        (ThoughtByThought(MaskedDiffusion(), 0.5), (1, 0)),
        (ScheduledSampling(MaskedDiffusion()), (1, 1)),
        (ScheduledSampling(ThoughtByThought(MaskedDiffusion())), (1, 1)),
    ):
        network = table(LENGTH, MASK, 8)
        objective(network, DATA, generator())
        made = Forwards(sum(network.trained), len(network.trained) - sum(network.trained))
        assert objective.forwards == made == passes
        assert objective.teaches == Taught(masks=True)


def test_a_head_can_be_trained_on_top() -> None:
    said = table(LENGTH, MASK, 8)
    network = Fake(said.logits, lambda tokens: tokens.float())
    objective = Judging(ScheduledSampling(ThoughtByThought(MaskedDiffusion())))
    loss = objective(network, DATA, generator())
    assert {"nelbo", "scheduled_errors", "quality_loss"} <= loss.metrics.keys()
    assert objective.forwards == (2, 2) == (sum(network.trained), len(network.trained) - sum(network.trained))


def test_the_chance_rises_over_the_training() -> None:
    staged = scheduled_sampling(MaskedDiffusion(), chance=0.2, stages=4)
    chances = [staged.at(update, 40).chance for update in range(40)]  # type: ignore[attr-defined]
    assert chances == sorted(chances) and sum(chances) / 40 == pytest.approx(0.1)
    assert sorted(set(chances)) == pytest.approx([0.025, 0.075, 0.125, 0.175])
    assert staged.forwards(40) == (40, 40) and staged.teaches == Taught(masks=True)


def test_what_is_no_training_on_thoughts_is_refused() -> None:
    for coupling in (-0.1, 1.1, float("nan")):
        with pytest.raises(ValueError, match=r"thoughts\.coupling=.*from 0 to 1"):
            ThoughtByThought(MaskedDiffusion(), coupling)
    with pytest.raises(ValueError, match=r"thoughts\.reach=0.*give 1 or more"):
        ThoughtByThought(MaskedDiffusion(), 0.1, 0)
    with pytest.raises(ValueError, match=r"scheduled\.chance=2 .*from 0 to 1"):
        ScheduledSampling(MaskedDiffusion(), 2)
    with pytest.raises(ValueError, match=r"scheduled\.stages=0 .*from 1"):
        scheduled_sampling(MaskedDiffusion(), stages=0)
    for objective in (NextToken(), ScheduledSampling(MaskedDiffusion())):
        with pytest.raises(ValueError, match=r"thoughts\.inner=.*choose MaskedDiffusion"):
            ThoughtByThought(objective)  # type: ignore[arg-type]
