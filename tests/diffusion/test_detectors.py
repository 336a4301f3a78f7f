"""Laws of detectors: by hand, against exact networks, and controls that know nothing."""

import itertools

import pytest
import torch

from dlmreason.canvas import Ask, Canvas, Reading
from dlmreason.diffusion.corruption import Uniform
from dlmreason.diffusion.detectors import (
    AtRandom,
    Conflicts,
    Detector,
    HiddenInTurn,
    Look,
    LowQuality,
    NoiseChance,
    Unlikely,
    Unsure,
)
from dlmreason.sampling.noise import Counter
from tests.diffusion.exact import leave_one_out_oracle
from tests.toys import Oracle, random_joint

JOINT = random_joint(3, 3)
CANVASES = torch.tensor(list(itertools.product(range(3), repeat=3)))


def look(read: object, tokens: torch.Tensor = CANVASES, features: torch.Tensor | None = None) -> Look:
    rows = len(tokens)
    nothing = torch.zeros(*tokens.shape, 0, dtype=torch.int64)
    features = nothing if features is None else features
    canvas = Canvas(tokens, torch.ones_like(tokens, dtype=torch.bool), (), 3)
    ids = torch.arange(rows)

    def passes(asked: torch.Tensor) -> Reading:
        return read(Ask(asked, torch.ones(rows, dtype=torch.float64), ()), features)  # type: ignore[operator, no-any-return]

    return Look(canvas, features, passes, Counter(0, ids, torch.full_like(ids, -2)))


def alone(ask: Ask, features: torch.Tensor) -> Reading:
    """The exact leave-one-out of each token."""
    shares = Uniform().shares(torch.full((len(ask.tokens),), 1e-9, dtype=torch.float64))
    return Reading(ask, leave_one_out_oracle(JOINT, ask.tokens, shares), None, ())


def test_hiding_each_token_in_its_turn_finds_what_an_exact_leave_one_out_says_at_once() -> None:
    by_masks = HiddenInTurn()(look(Oracle(JOINT)))
    in_closed_form = Unlikely()(look(alone))
    assert torch.allclose(by_masks, in_closed_form, atol=1e-6)
    assert by_masks.std() > 0.1


def test_the_closed_form_orders_as_the_probability_of_the_token_and_its_share_orders_nothing() -> None:
    unlikely = Unlikely()(look(alone)).flatten().argsort()
    few, many = (NoiseChance(share)(look(alone)) for share in (0.05, 0.4))
    assert few.flatten().argsort().equal(unlikely) and many.flatten().argsort().equal(unlikely)
    assert (many > few).all() and (few > 0).all() and (many < 1).all()


def test_the_closed_form_by_hand() -> None:
    """p = 1/2 for the token there, three tokens, one in ten is noise: .1/3 against .1/3 + .9/2."""

    def half(ask: Ask, features: torch.Tensor) -> Reading:
        there = torch.nn.functional.one_hot(ask.tokens, 3).bool()
        return Reading(ask, torch.where(there, 0.5, 0.25).log(), None, ())

    assert NoiseChance(0.1)(look(half)).tolist() == [[pytest.approx(0.1 / 3 / (0.1 / 3 + 0.45))] * 3] * 27
    assert Unsure()(look(half)).tolist() == [[pytest.approx(0.5)] * 3] * 27


def test_a_head_is_asked_of_the_text_as_it_stands() -> None:
    def knows(ask: Ask, features: torch.Tensor) -> Reading:
        return Reading(ask, torch.zeros(*ask.tokens.shape, 3), (ask.tokens == 1).double() * 0.8 + 0.1, ())

    assert torch.allclose(LowQuality()(look(knows)), torch.where(CANVASES == 1, 0.1, 0.9).double())


def test_conflicts_are_counted_once_for_each_other_token() -> None:
    tokens = torch.tensor([[1, 1, 2, 1]])
    units = torch.tensor([[[1, 1], [1, 1], [1, 2], [2, 2]]])  # the first two share both, the last shares one with them
    assert Conflicts(2)(look(None, tokens, units)).tolist() == [[1, 1, 0, 0]]
    assert Conflicts(1)(look(None, tokens, units[..., 1:])).tolist() == [[1, 1, 0, 0]]


DETECTORS: list[Detector] = [NoiseChance(), Unlikely(), Unsure(), HiddenInTurn(), AtRandom()]


@pytest.mark.parametrize("detector", DETECTORS, ids=lambda each: type(each).__name__)
def test_who_ignores_the_text_learns_nothing_of_it(detector: Detector) -> None:
    """The negative control: a network that says the same of every token suspects all alike, or any."""

    def blind(ask: Ask, features: torch.Tensor) -> Reading:
        return Reading(ask, torch.zeros(*ask.tokens.shape, 3), None, ())

    found = detector(look(blind))
    assert found.shape == CANVASES.shape and found.dtype == torch.float64
    if isinstance(detector, AtRandom):
        assert found.unique().numel() == found.numel() and found.equal(detector(look(blind)))
    else:
        assert found.unique().numel() == 1


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_a_share_that_is_none_is_refused(share: float) -> None:
    with pytest.raises(ValueError, match="share="):
        NoiseChance(share)
