"""Laws of teaching a network to take tokens back: what is right to say, what its errors are, what it adds up to."""

import math
from itertools import product

import pytest
import torch
from torch import Tensor, nn

from dlmreason.diffusion.carried import SelfConditioned
from dlmreason.diffusion.objectives import Forwards, MaskedDiffusion, Taught
from dlmreason.diffusion.quality import Judging, Quality
from dlmreason.diffusion.reflective import Reflective, action, mistake, reflective_later
from dlmreason.diffusion.schedules import Cosine
from dlmreason.diffusion.targets import Filled
from tests.diffusion.exact import states
from tests.diffusion.fakes import At, Fake, Said, batch, generator, table
from tests.toys import JOINT, random_joint

MASK, ROWS, LENGTH = 4, 400, 8
GOLD = torch.zeros(ROWS, LENGTH, dtype=torch.int64)
EDITABLE = torch.arange(LENGTH).expand(ROWS, LENGTH) >= 2
WRITES = torch.tensor([0.4, 0.3, 0.2, 0.1]).log()  # of four tokens; and then the mask
SIX = math.log(6.0)


def writer(mask: float = -1.0) -> Fake:
    """The same everywhere; `mask` is the logit of the mask beside chances that sum to 1."""
    return Fake(lambda tokens: torch.cat((WRITES, torch.tensor([mask]))).expand(*tokens.shape, MASK + 1))


def test_what_is_right_to_say_depends_on_the_token_there_and_the_right_one_alone() -> None:
    """The whole table of three tokens and a mask."""
    said = {(c, gold): 3 if c != 3 and c != gold else gold for c, gold in product(range(4), range(3))}
    assert said[2, 1] == 3 and said[1, 1] == 1 and said[3, 1] == 1
    for canvas in product(range(4), repeat=2):
        for gold in product(range(3), repeat=2):
            alone = [said[pair] for pair in zip(canvas, gold, strict=True)]
            assert action(torch.tensor([canvas]), torch.tensor([gold]), 3).tolist() == [alone]


def test_a_mistake_is_likely_and_never_right() -> None:
    right = torch.arange(4).repeat(20_000)[None]
    logits = WRITES.expand(*right.shape, 4)
    for top in (1, 2, 3, 9):
        drawn = mistake(logits, right, top, generator(1))
        for gold in range(4):
            chances = [math.exp(WRITES[token]) for token in range(4) if token != gold][:top]
            expected = [token for token in range(4) if token != gold][:top]
            found = drawn[right == gold].bincount(minlength=4).double() / (right == gold).sum()
            assert found.nonzero().flatten().tolist() == expected
            total = sum(chances)
            assert found[expected].tolist() == pytest.approx([c / total for c in chances], abs=0.02)


def test_so_many_of_what_stands_are_wrong_and_no_gradient_makes_them() -> None:
    network, objective = writer(), Reflective(0.3, 2, times=At(0.5))
    data = batch(GOLD, MASK, EDITABLE)
    loss = objective(network, data, generator(3))
    hidden, canvas = network.read
    assert network.trained == [False, True] and objective.forwards == Forwards(1, 1)
    assert (canvas[~EDITABLE] == 0).all() and (hidden[~EDITABLE] == 0).all()
    masked, wrong = (canvas == MASK) & EDITABLE, EDITABLE & (canvas != MASK) & (canvas != 0)
    assert torch.equal(hidden == MASK, masked | wrong), "what it writes wrongly it writes from what stays"
    assert masked.sum() / EDITABLE.sum() == pytest.approx(0.5, abs=0.05)
    assert wrong.sum() / (EDITABLE & ~masked).sum() == pytest.approx(0.3, abs=0.05)
    assert set(canvas[wrong].tolist()) == {1, 2}
    assert loss.total.isfinite()


def test_the_loss_is_the_mean_over_what_is_revealed_kept_and_taken_back() -> None:
    network = writer(math.log(5.0))  # of 1 + 5: the mask has 5/6, the tokens .4 / 6 and so on
    canvas = torch.tensor([[MASK, 0, 2, 3, MASK]])
    gold = torch.tensor([[1, 0, 0, 0, 2]])
    editable = torch.tensor([[True, True, True, False, False]])
    loss = Reflective().loss_at(network, batch(gold, MASK, editable), canvas)
    reveal, keep, back = SIX - math.log(0.3), SIX - math.log(0.4), SIX - math.log(5)
    assert loss.total.item() == pytest.approx((reveal + keep + back) / 3, rel=1e-6)
    expected = {"cross_entropy": reveal, "keep_loss": keep, "take_back_loss": back}
    assert {name: value.item() for name, value in loss.metrics.items()} == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("schedule", [None, Cosine()])
def test_without_wrong_tokens_masks_are_revealed_as_in_masked_diffusion(schedule: Cosine | None) -> None:
    """To the bit: the same draws, the same canvases, the same mean over masks; and no pass more."""
    said = table(4, 4, 11)  # three tokens, and the mask that it can emit
    network = Fake(lambda tokens: said.logits(tokens))
    shared = {} if schedule is None else {"schedule": schedule}
    data = batch(torch.randint(0, 3, (64, 4), generator=generator(1)), 3)
    masked = MaskedDiffusion(weighting="none", **shared)(network, data, generator(2))  # type: ignore[arg-type]
    reflective = Reflective(wrong=0.0, **shared)
    loss = reflective(network, data, generator(2))
    assert torch.equal(*network.read) and reflective.forwards == (1, 0)
    assert loss.metrics["cross_entropy"].item() == masked.total.item()
    assert loss.metrics["take_back_loss"].item() == 0 != loss.metrics["keep_loss"].item()
    alone = data._replace(editable=network.read[0] == 3)  # where nothing else is asked, it is the whole loss
    assert reflective.loss_at(network, alone, network.read[0]).total.item() == masked.total.item()


@pytest.mark.parametrize("joint", [JOINT, random_joint(3, 2)], ids=["J", "three tokens"])
def test_the_best_network_says_how_likely_what_stands_is_wrong(joint: Tensor) -> None:
    """By every text and canvas: at a token the mask has the chance that it is wrong, at a mask nothing of it."""
    values, length, mask, wrong = joint.shape[0], joint.dim(), 0.4, 0.25

    def chance(seen: int, token: int) -> float:
        if seen == values:
            return mask
        return (1 - mask) * (1 - wrong if seen == token else wrong / (values - 1))

    canvases = list(product(range(values + 1), repeat=length))
    rows = [(x, c, p * math.prod(map(chance, c, x))) for (x, p), c in product(states(joint), canvases)]
    tokens, canvas = (torch.tensor([row[k] for row in rows]) for k in (0, 1))
    weight = torch.tensor([row[2] for row in rows], dtype=torch.float64)
    place = (canvas * (values + 1) ** torch.arange(length)).sum(-1)
    law = torch.zeros(len(canvases), length, values + 1, dtype=torch.float64)
    for z in canvases:
        right = {x: p * math.prod(map(chance, z, x)) for x, p in states(joint)}
        for site, (x, p) in product(range(length), right.items()):
            told = x[site] if z[site] in (values, x[site]) else values
            law[int((torch.tensor(z) * (values + 1) ** torch.arange(length)).sum()), site, told] += p / sum(
                right.values()
            )
    found = law.log().requires_grad_()
    losses = [
        w * Reflective().loss_at(Fake(lambda _, p=p: found[p][None]), batch(x[None], values), c[None]).total
        for x, c, w, p in zip(tokens, canvas, weight, place, strict=True)
    ]
    (slope,) = torch.autograd.grad(torch.stack(losses).sum(), found)
    assert slope.abs().max() < 1e-7
    assert (law[place[(canvas == values).all(-1)], :, values] == 0).all()


class Weights(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.logits = nn.Parameter(torch.randn(ROWS, LENGTH, MASK + 1, generator=generator(5)))

    def forward(self, tokens: Tensor, features: Tensor) -> Said:
        return Said(self.logits, None)


def test_gradient_reaches_all_that_is_editable_and_only_through_what_is_said() -> None:
    network, data = Weights(), batch(GOLD, MASK, EDITABLE)
    objective = Reflective(0.3)
    objective(network, data, generator(1)).total.backward()
    found = network.logits.grad
    assert found is not None and torch.equal(found.abs().sum(-1) > 0, EDITABLE)
    again = Weights()
    alone = Fake(lambda _: again.logits)
    objective(alone, data, generator(1))
    objective.loss_at(again, data, alone.read[-1]).total.backward()
    assert again.logits.grad is not None and torch.equal(again.logits.grad, found)


def test_who_needs_the_mask_among_the_outputs() -> None:
    later = reflective_later(MaskedDiffusion(schedule=Cosine()), start=0.5, wrong=0.1, top=2)
    assert later.at(9, 10) == Reflective(0.1, 2, Cosine(), later.at(0, 10).times)  # type: ignore[attr-defined]
    assert later.forwards(10) == (10, 5) and later.teaches == Taught(masks=True, emits_mask=True)
    assert Reflective().teaches == later.teaches != MaskedDiffusion().teaches
    for judged in (Judging(Reflective(), Filled(1)), Quality(Reflective())):
        assert judged.teaches == Taught(quality=True, masks=True, emits_mask=True)
    assert reflective_later(MaskedDiffusion(), start=1.0).teaches == Taught(masks=True)
    assert SelfConditioned(Reflective()).teaches == Taught(masks=True, emits_mask=True, carry=True)


def test_a_head_may_be_trained_beside_it_and_is_asked_of_tokens_only() -> None:
    eager = Fake(writer(9.0).logits, lambda tokens: torch.zeros(tokens.shape))
    objective = Judging(Reflective(0.3), Filled())
    loss = objective(eager, batch(GOLD, MASK, EDITABLE), generator(1))
    assert loss.total.isfinite() and not (eager.read[-1] == MASK).any()
    assert objective.forwards == (2, 2) == (sum(eager.trained), 4 - sum(eager.trained))


def test_what_is_none_is_refused() -> None:
    for wrong in (-0.1, 1.0, math.nan):
        with pytest.raises(ValueError, match=rf"objective\.wrong={wrong} .*from 0 to below 1"):
            Reflective(wrong)
    with pytest.raises(ValueError, match=r"objective\.top=0 .*give 1 or more"):
        Reflective(top=0)
    with pytest.raises(ValueError, match=r"4 outputs.*let network\.outputs be 5"):
        Reflective()(Fake(lambda tokens: torch.zeros(*tokens.shape, 4)), batch(GOLD, MASK), generator())
