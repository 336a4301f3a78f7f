"""Laws of weightings: what they are made of, and what each published one equals."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from dlmreason.diffusion.objectives import MaskedDiffusion, token_nats
from dlmreason.diffusion.schedules import Cosine, Independent, Levels, Linear
from dlmreason.diffusion.weightings import (
    NELBO,
    PLAIN,
    Bound,
    Clipped,
    Dynamic,
    Falling,
    Focal,
    Weighting,
)
from tests.diffusion.fakes import Fake, batch, generator, table

TOKENS = torch.randint(0, 3, (64, 5), generator=generator(1))
RAGGED = torch.arange(5) < torch.randint(1, 6, (64, 1), generator=generator(2))
MGDM = Weighting((Focal(1.0, 0.25), Falling(20)), "masked")
LLADA = Weighting((Bound(),), "rows")


def focal(nats: Tensor, gamma: float, scale: float = 1.0) -> Tensor:
    return Focal(gamma, scale)(nats, torch.ones(1, dtype=torch.float64), Linear()) * nats


@pytest.mark.parametrize("schedule", [Linear(), Cosine()], ids=repr)
def test_the_named_weightings_are_made_of_the_same_factors(schedule: Linear) -> None:
    for name, weighting in (("nelbo", NELBO), ("none", PLAIN)):
        one, other = (
            MaskedDiffusion(schedule, each)(table(5, 3, 3), batch(TOKENS, 3, RAGGED), generator(4))  # type: ignore[arg-type]
            for each in (name, weighting)
        )
        assert one.total.item() == other.total.item()
        assert one.metrics == other.metrics


def test_without_gamma_the_focal_loss_is_the_plain_one() -> None:
    plain, same, mgdm = (
        MaskedDiffusion(weighting=weighting)(table(5, 3, 3), batch(TOKENS, 3), generator(4))
        for weighting in (PLAIN, Weighting((Focal(0.0, 1.0),), "masked"), MGDM)
    )
    assert plain.total.item() == same.total.item()
    assert plain.metrics["nelbo"].item() == mgdm.metrics["nelbo"].item(), "the bound is reported whatever is minimised"
    assert mgdm.total.item() != plain.total.item()


@given(p=st.floats(1e-4, 1 - 1e-4), gamma=st.floats(0, 4), scale=st.floats(0.1, 2))
def test_a_token_costs_scale_times_missed_to_the_gamma(p: float, gamma: float, scale: float) -> None:
    nats = torch.tensor([[-math.log(p)]], dtype=torch.float64)
    assert focal(nats, gamma, scale).item() == pytest.approx(scale * (1 - p) ** gamma * -math.log(p), rel=1e-6)


@pytest.mark.parametrize("gamma", [0.5, 1.0, 2.0])
def test_a_token_that_is_known_costs_nothing_and_one_that_is_not_costs_all(gamma: float) -> None:
    nats = torch.tensor([[0.0, 50.0]], requires_grad=True)
    loss = focal(nats, gamma, 0.25)
    assert loss.tolist() == [[0.0, pytest.approx(12.5)]]
    loss.sum().backward()
    assert nats.grad is not None and torch.isfinite(nats.grad).all()


@pytest.mark.parametrize("gamma", [0.0, 0.5, 1.0, 2.0])
def test_the_gradient_goes_through_the_weight(gamma: float) -> None:
    """At p = 1 / 2, u = log 2: d/du (1 - e^-u)^gamma u = gamma 2^-gamma log 2 + 2^-gamma."""
    nats = torch.tensor([[math.log(2)]], dtype=torch.float64, requires_grad=True)
    focal(nats, gamma).sum().backward()
    assert nats.grad is not None
    assert nats.grad.item() == pytest.approx(2**-gamma * (gamma * math.log(2) + 1), rel=1e-12)


def test_mgdm_is_its_loss_over_its_times() -> None:
    """Term by term as the source has it: t = 0 .. T - 1, the linear weight T - t, the mean over what is masked."""
    T, network = 20, table(5, 3, 3)
    objective = MaskedDiffusion(Linear(), MGDM, Levels(T))
    said = objective(network, batch(TOKENS, 3, RAGGED), generator(4))
    times, read = Levels(T)(64, generator(4)), network.read[-1]
    masked = (read == 3) & RAGGED
    chances = network.logits(read).softmax(-1).gather(-1, TOKENS[..., None])[..., 0]
    total = 0.0
    for row, column in masked.nonzero().tolist():
        t, p = round(times[row].item() * T) - 1, chances[row, column].item()
        total += (T - t) * 0.25 * (1 - p) * -math.log(p)
    assert said.total.item() == pytest.approx(total / masked.sum().item(), rel=1e-5)


def test_the_original_time_weight_of_mgdm_is_the_bound_on_its_grid() -> None:
    T, network = 20, table(5, 3, 3)
    t = torch.arange(1, T + 1, dtype=torch.float64).repeat_interleave(4)[:64] / T
    canvas = torch.where(torch.rand(64, 5, generator=generator(6)) < t[:, None], 3, TOKENS)
    masked = canvas == 3
    nats = token_nats(network.logits(canvas), TOKENS, masked)
    original = (nats / (t * T)[:, None]).sum() / masked.sum()
    loss = MaskedDiffusion(weighting="nelbo").loss_at(network, batch(TOKENS, 3), t, canvas)
    assert loss.total.item() == pytest.approx((T * original * masked.sum() / TOKENS.numel()).item(), rel=1e-6)


def test_lladas_loss_is_the_bound_where_answers_are_of_one_length_and_only_there() -> None:
    for editable, same in ((None, True), (RAGGED, False)):
        llada, bound = (
            MaskedDiffusion(weighting=each, times=Independent())(
                table(5, 3, 3), batch(TOKENS, 3, editable), generator(4)
            )
            for each in (LLADA, NELBO)
        )
        assert (llada.total.item() == pytest.approx(bound.total.item(), rel=1e-6)) is same
        assert llada.metrics["nelbo"].item() == bound.total.item()


def test_lladas_loss_counts_each_answer_alike() -> None:
    """Cross-entropy over the chance of being masked, over the answer's length, over the answers."""
    network = table(5, 3, 3)
    loss = MaskedDiffusion(weighting=LLADA, times=Independent())(network, batch(TOKENS, 3, RAGGED), generator(4))
    t, read = Independent()(64, generator(4)), network.read[-1]
    nats = token_nats(network.logits(read), TOKENS, (read == 3) & RAGGED).double()
    rows = [(nats[row] / t[row]).sum().item() / RAGGED[row].sum().item() for row in range(64)]
    assert loss.total.item() == pytest.approx(sum(rows) / 64, rel=1e-6)


@pytest.mark.parametrize("weighting", [NELBO, PLAIN, MGDM, LLADA], ids=repr)
def test_no_gradient_reaches_what_is_not_masked(weighting: Weighting) -> None:
    logits = torch.randn(64, 5, 3, generator=generator(3), requires_grad=True)
    network = Fake(lambda _: logits)
    loss = MaskedDiffusion(weighting=weighting)(network, batch(TOKENS, 3, RAGGED), generator(5)).total
    loss.backward()
    assert logits.grad is not None and loss.dtype == torch.float32
    assert torch.equal((logits.grad != 0).any(-1), (network.read[0] == 3) & RAGGED)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: Focal(gamma=-1.0), r"weighting\.gamma=-1"),
        (lambda: Focal(scale=0.0), r"weighting\.scale=0"),
        (lambda: Falling(0), r"weighting\.levels=0"),
        (lambda: Weighting(mean="all"), "choose editable, masked, rows"),  # type: ignore[arg-type]
        (lambda: Clipped(2.0, 1.0), r"weighting\.lowest=2"),
        (lambda: Dynamic(-1.0), r"weighting\.lowest=-1"),
    ],
)
def test_what_is_none_is_refused(make, said: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(ValueError, match=said):
        make()
