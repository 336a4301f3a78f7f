"""Laws of the corrector: what it reads, what it asks, and that the inner loss is left as it is."""

import math
from itertools import product

import pytest
import torch
from torch import Tensor, nn

from dlmreason.diffusion.correctors import Corrector, Fill, corrected_later
from dlmreason.diffusion.objectives import Forwards, MaskedDiffusion, NextToken, Taught
from dlmreason.diffusion.quality import Judging
from dlmreason.diffusion.targets import Filled
from dlmreason.diffusion.weightings import NELBO, Bound, Focal, Weighting
from tests.diffusion.exact import states
from tests.diffusion.fakes import At, Fake, Said, batch, generator, oracle, table
from tests.toys import JOINT

MASK, ROWS, LENGTH = 3, 200, 6
GOLD = torch.randint(0, MASK, (ROWS, LENGTH), generator=generator(1))
EDITABLE = (torch.arange(LENGTH) >= 2).expand(ROWS, LENGTH)
DATA = batch(GOLD, MASK, EDITABLE)
FILLS = pytest.mark.parametrize("fill", ["argmax", "sample"])


class Twice(nn.Module):
    """Logits of the first pass and of the second that are weights of their own."""

    def __init__(self) -> None:
        super().__init__()
        self.said = nn.ParameterList(torch.randn(2, ROWS, LENGTH, MASK, generator=generator(2)).unbind())
        self.read: list[Tensor] = []

    def forward(self, tokens: Tensor, features: Tensor) -> Said:
        self.read.append(tokens)
        return Said(self.said[len(self.read) - 1], None)

    def slope(self, number: int) -> Tensor:
        slope = self.said[number].grad
        assert slope is not None
        return slope


@FILLS
def test_the_second_pass_reads_the_first_and_teaches_it_nothing(fill: Fill) -> None:
    alone, both = Twice(), Twice()
    inner = MaskedDiffusion()(alone, DATA, generator(4))
    inner.total.backward()
    loss = Corrector(MaskedDiffusion(), weight=2.0, fill=fill)(both, DATA, generator(4))
    loss.total.backward()
    assert torch.equal(both.slope(0), alone.slope(0))
    assert torch.equal((both.slope(1) != 0).any(-1), EDITABLE)
    masked = both.read[0] == MASK
    assert torch.equal(both.read[0], alone.read[0]) and torch.equal(both.read[1][~masked], GOLD[~masked])
    assert torch.equal(both.read[1], torch.where(masked, both.said[0].argmax(-1), GOLD)) == (fill == "argmax")
    nats = -both.said[1].log_softmax(-1).gather(-1, GOLD[..., None])[..., 0][EDITABLE].mean().item()
    assert loss.metrics["corrector_loss"].item() == pytest.approx(nats, rel=1e-6)
    assert loss.total.item() == pytest.approx(inner.total.item() + 2 * nats, rel=1e-6)
    assert {name: loss.metrics[name].item() for name in inner.metrics} == {
        k: v.item() for k, v in inner.metrics.items()
    }
    wrong = (both.read[1] != GOLD)[EDITABLE].double().mean().item()
    assert loss.metrics["corrector_errors"].item() == pytest.approx(wrong, abs=1e-6) != 0


def test_samples_follow_the_model() -> None:
    law = torch.tensor([0.7, 0.3, 0.0])
    network = Fake(lambda tokens: law.log().expand(*tokens.shape, MASK))
    zeros = batch(torch.zeros(4000, LENGTH, dtype=torch.int64), MASK)
    objective = Corrector(MaskedDiffusion(times=At(1.0)), fill="sample")
    share = objective(network, zeros, generator()).metrics["corrector_errors"].item()
    assert share == pytest.approx(0.3, abs=5 * math.sqrt(0.25 / (4000 * LENGTH)))


@FILLS
@pytest.mark.parametrize("errors", [False, True])
def test_one_who_is_sure_and_right_pays_the_inner_loss_alone(fill: Fill, errors: bool) -> None:
    sure = Fake(lambda tokens: 1e3 * nn.functional.one_hot(GOLD, MASK).float())
    objective = Corrector(MaskedDiffusion(), fill=fill, errors=errors)
    loss, inner = objective(sure, DATA, generator()), MaskedDiffusion()(sure, DATA, generator())
    assert loss.total.item() == inner.total.item() == 0
    masked_only = Fake(lambda t: torch.where((t == MASK)[..., None], 1e3 * nn.functional.one_hot(GOLD, MASK), 0.0))
    assert objective(masked_only, DATA, generator()).total.item() > 0.5  # what it says at visible tokens is paid for


def test_time_weighs_all_positions() -> None:
    said = table(LENGTH, MASK, 8)
    plain, weighed = (
        Corrector(MaskedDiffusion(times=At(0.25)), weighting=weighting)(said, DATA, generator())
        for weighting in (Weighting(), NELBO)
    )
    ratio = weighed.metrics["corrector_loss"] / plain.metrics["corrector_loss"]
    assert ratio.item() == pytest.approx(1 / 0.25, rel=1e-6)


def test_errors_count_more_by_the_slope() -> None:
    """By hand: a right token costs 1 - p, with p times the slope; a wrong one -log p, as before."""
    canvas = torch.where(torch.rand(GOLD.shape, generator=generator(7)) < 0.5, (GOLD + 1) % MASK, GOLD)
    t = torch.ones(ROWS, dtype=torch.float64)
    slopes = []
    for errors in (False, True):
        network = Twice()
        loss = Corrector(MaskedDiffusion(), errors=errors).loss_at(network, DATA, t, canvas).total
        loss.backward()
        slopes.append(network.slope(0)[EDITABLE])
    p = network.said[0].softmax(-1).gather(-1, GOLD[..., None])[..., 0].detach()
    right = canvas == GOLD
    assert loss.item() == pytest.approx(torch.where(right, 1 - p, -p.log())[EDITABLE].mean().item(), rel=1e-5)
    factor = torch.where(right, p, 1.0)[EDITABLE][:, None]
    assert torch.allclose(slopes[1], factor * slopes[0], atol=1e-7)


def test_the_best_corrector_says_what_is_right_given_its_own_filling() -> None:
    """On J, one place or both masked and filled by argmax: Bayes' rule over the texts that may have been there."""
    mask, seen = 2, torch.zeros(2, 2, 2, 2, dtype=torch.float64)  # canvas, text
    for (text, p), hidden in product(states(JOINT), [(True, False), (False, True), (True, True)]):
        read = torch.where(torch.tensor(hidden), mask, torch.tensor(text))
        filled = torch.where(torch.tensor(hidden), oracle(JOINT).logits(read[None])[0].argmax(-1), read).tolist()
        seen[(*filled, *text)] += p / 3
    joint = torch.stack([seen.sum(3), seen.sum(2)], 2)  # canvas, place, value
    bayes = (joint / joint.sum(-1, keepdim=True)).log()
    rows = [(z, text) for z in product(range(2), repeat=2) for text in product(range(2), repeat=2)]
    chance = torch.tensor([seen[(*z, *text)].item() for z, text in rows])
    canvas, tokens = (torch.tensor([row[k] for row in rows]) for k in (0, 1))
    some = chance > 0
    canvas, tokens, chance = canvas[some], tokens[some], chance[some]

    def loss(shift: float) -> Tensor:
        said = (bayes + torch.tensor([shift, 0.0])).detach().requires_grad_()
        network = Fake(lambda read: said[read[:, 0], read[:, 1]])
        objective = Corrector(MaskedDiffusion(), weighting=Weighting((lambda nats, t, schedule: chance[:, None],)))
        total = objective.loss_at(network, batch(tokens, mask), torch.ones(len(tokens)), canvas).total
        (slope,) = torch.autograd.grad(total, said)
        return slope.nan_to_num()

    assert loss(0.0).abs().max() < 1e-7 and loss(0.1).abs().max() > 1e-4
    assert bayes[0, 0, 0].exp().tolist() != pytest.approx([1.0, 0.0])  # what stands is not copied


@FILLS
def test_the_passes_stated_are_the_passes_made(fill: Fill) -> None:
    network, objective = table(LENGTH, MASK, 8), Corrector(MaskedDiffusion(), fill=fill)
    objective(network, DATA, generator())
    assert objective.forwards == Forwards(sum(network.trained), len(network.trained) - sum(network.trained)) == (2, 0)
    assert objective.teaches == Taught(masks=True)


def test_a_head_can_be_trained_on_top() -> None:
    said = table(LENGTH, MASK, 8)
    network = Fake(said.logits, lambda tokens: tokens.float())
    objective = Judging(Corrector(MaskedDiffusion()), Filled(1))
    loss = objective(network, DATA, generator())
    assert {"nelbo", "corrector_loss", "quality_loss"} <= loss.metrics.keys()
    assert objective.forwards == (3, 1) == (sum(network.trained), len(network.trained) - sum(network.trained))


def test_correcting_comes_later() -> None:
    inner = MaskedDiffusion()
    staged = corrected_later(inner, start=0.6, fill="sample", weighting=Weighting((Bound(),)))
    assert [staged.at(update, 10) is inner for update in range(10)] == [True] * 6 + [False] * 4
    assert staged.at(9, 10) == Corrector(inner, fill="sample", weighting=NELBO)
    assert staged.forwards(10) == (14, 0) and staged.teaches == Taught(masks=True)


def test_what_is_no_corrector_is_refused() -> None:
    with pytest.raises(ValueError, match=r"corrector\.weight=0 must be above 0"):
        Corrector(MaskedDiffusion(), weight=0)
    with pytest.raises(ValueError, match=r"corrector\.fill='best' is unknown: choose argmax or sample"):
        Corrector(MaskedDiffusion(), fill="best")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"corrector\.inner=.*choose MaskedDiffusion"):
        Corrector(NextToken())  # type: ignore[arg-type]
    focal = Weighting((Focal(),))
    with pytest.raises(ValueError, match=r"corrector\.errors=true .*leave Focal out"):
        Corrector(MaskedDiffusion(), weighting=focal, errors=True)
    assert Corrector(MaskedDiffusion(), weighting=focal).weighting is focal
