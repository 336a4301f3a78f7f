"""Laws of the nucleus on hand-written readings: the smallest set whose mass reaches p, and nothing else changed."""

import pytest
import torch

from dlmreason.canvas import Canvas, Move, Reading
from dlmreason.diffusion.schedules import Linear
from dlmreason.policies.facts import facts_of
from dlmreason.policies.nucleus import Nucleus, nucleus
from dlmreason.policies.ordered import Ordered
from dlmreason.policies.posterior import Posterior, cap
from dlmreason.policies.respond import opening
from dlmreason.policies.scores import confidence
from tests.policies.hand import MASK, Scripted, canvas, clock, reading
from tests.policies.walk import digest, same_moves


@pytest.mark.parametrize(
    ("chances", "p", "kept"),
    [
        ([0.5, 0.3, 0.2], 0.4, [0]),
        ([0.5, 0.3, 0.2], 0.5, [0]),  # reached, so no more
        ([0.5, 0.3, 0.2], 0.51, [0, 1]),
        ([0.5, 0.3, 0.2], 0.8, [0, 1]),
        ([0.5, 0.3, 0.2], 0.81, [0, 1, 2]),
        ([0.1, 0.2, 0.7], 0.9, [1, 2]),  # .2 + .7, in any order of the tokens
        ([0.1, 0.2, 0.7], 0.6, [2]),
        ([0.25, 0.25, 0.25, 0.25], 0.5, [0, 1]),  # ties go to the lower token
        ([0.2, 0.4, 0.4], 0.4, [1]),
        ([0.1] * 10, 0.9, list(range(9))),  # nine tenths, though their sum in float64 is not 0.9
        ([1.0, 0.0, 0.0], 0.99, [0]),
        ([0.5, 0.3, 0.2], 1e-9, [0]),  # one at least
    ],
)
def test_the_smallest_set_whose_mass_reaches_p(chances: list[float], p: float, kept: list[int]) -> None:
    log_p = torch.tensor(chances, dtype=torch.float64).log()
    assert nucleus(log_p, p).nonzero()[:, 0].tolist() == kept


def test_what_is_drawn_is_the_nucleus_normalised_again() -> None:
    now, noise = canvas([[MASK, MASK, 2]], given=(2,)), Scripted(drawn=[0, 1, 0])
    says = reading(now, [[0.5, 0.3, 0.2], [0.1, 0.85, 0.05], [0.2, 0.2, 0.6]])
    move = Nucleus(Ordered(confidence, 2, 1.0), 0.75)(now, says, clock(0), (), noise)
    assert noise.chances[0, 0].tolist() == pytest.approx([0.625, 0.375, 0.0], abs=1e-15)
    assert noise.chances[0, 1].tolist() == pytest.approx([0.0, 1.0, 0.0], abs=1e-15)
    assert move.tokens.tolist() == [[0, 1, 2]]


class Reader:
    """An inner policy of which only what it reads is of interest."""

    anytime = True

    def init(self, *given: object) -> Move:
        raise AssertionError("nobody begins here")

    def __call__(self, canvas: Canvas, reading: Reading, *given: object) -> Move:
        self.read = reading
        return opening(canvas)


def test_with_all_the_mass_the_reading_is_handed_on_as_it_is() -> None:
    now, inner = canvas([[MASK, 1]]), Reader()
    says = reading(now, [[0.6, 0.4, 1e-14], [0.3, 0.3, 0.4]])
    Nucleus(inner, 1.0)(now, says, clock(0), (), Scripted())
    assert inner.read is says
    Nucleus(inner, 0.5)(now, says, clock(0), (), Scripted())
    assert inner.read.logits.exp()[0].tolist() == [
        [pytest.approx(0.6), 0, 0],
        [pytest.approx(0.3), 0, pytest.approx(0.4)],
    ]


@pytest.mark.parametrize("inner", [cap(Linear(), 0.1), Posterior(Linear())], ids=["cap", "ancestral"])
def test_with_all_the_mass_it_is_the_inner_policy_byte_for_byte(inner: Posterior) -> None:
    assert digest(Nucleus(inner, 1.0), 12) == digest(inner, 12)
    assert not same_moves(Nucleus(inner, 0.2), inner, 12)


def test_it_declares_what_the_inner_policy_does() -> None:
    inner = Posterior(Linear())
    assert facts_of(Nucleus(inner)) == facts_of(inner) and not Nucleus(inner).anytime


@pytest.mark.parametrize("p", [0.0, -0.1, 1.1, float("nan")])
def test_a_mass_that_is_none_is_refused(p: float) -> None:
    with pytest.raises(ValueError, match=r"p=.* is the mass of the tokens that are kept: give a number above 0"):
        Nucleus(Posterior(Linear()), p)
