"""Laws of the posterior family: what its chances are at every pass, and the exact law of what it writes.

Small numbers of passes are walked branch by branch through the policy itself; for many the transition matrices are made
of the policy's own hazards, and the first law here is that the two agree.
"""

import math
from typing import Any

import pytest
import torch
from torch.utils._pytree import tree_leaves

from dlmreason.canvas import NEVER
from dlmreason.diffusion.schedules import Cosine, Linear
from dlmreason.policies.confident import Confident
from dlmreason.policies.facts import facts_of
from dlmreason.policies.phases import During, Held
from dlmreason.policies.posterior import (
    ROUNDING,
    Posterior,
    cap,
    cap_in_all,
    flow_matching,
    forward_backward,
    loop,
    rescale,
    switch,
)
from dlmreason.policies.remask import Cap, CapInAll, Corrector, Rescale, Span, sigma_max
from dlmreason.sampling.denoise import Sampler
from dlmreason.sampling.noise import Counter
from tests.policies.chain import kernels, posterior_law
from tests.policies.hand import MASK, Scripted, canvas, clock, reading
from tests.policies.laws import answer_law, total_variation
from tests.sampling.test_denoise import pick, run, some_rows
from tests.toys import JOINT, Oracle, ToySudoku, random_joint, sudoku_rows

LINEAR = Linear()
SAMPLERS = {
    "ancestral": Posterior(LINEAR),
    "cosine": cap(Cosine(), 0.1),
    "cap": cap(LINEAR, 0.1),
    "cap_in_all": cap_in_all(LINEAR, 5.0),
    "rescale": rescale(LINEAR, 0.1),
    "largest": rescale(LINEAR, 1.0),
    "forward_backward": forward_backward(LINEAR),
    "flow_matching": flow_matching(LINEAR),
    "switch": switch(LINEAR, Cap(0.3), 0.6),
    "loop": loop(LINEAR, Cap(0.1)),
    "cosine_loop": loop(Cosine(), Rescale(0.5), 0.7, 0.2, 0.6),
}
each = pytest.mark.parametrize("policy", SAMPLERS.values(), ids=SAMPLERS.keys())


def raw(policy: Posterior, passes: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """alpha at the T + 1 ends of passes, and the chances to write and to take back, before any rounding is cut."""
    index = torch.arange(passes + 1)
    write, take_back = policy.chances(index[:-1], passes)
    return policy.schedule.alpha(policy.time(index, passes)), write, take_back


# Chances


@each
@pytest.mark.parametrize("passes", [1, 2, 3, 7, 20, 100_000])
def test_every_chance_is_one_and_the_blank_share_follows_the_schedule(policy: Posterior, passes: int) -> None:
    """Given x0, each position is blank after a pass with chance 1 - alpha_s, whatever sigma: ReMDM's theorem."""
    alpha, write, take_back = raw(policy, passes)
    assert alpha[0] == 0 and alpha[-1] == 1 and bool((alpha.diff() >= 0).all())
    for chance in (write, take_back):
        assert bool((chance >= -ROUNDING).all()) and bool((chance <= 1 + ROUNDING).all())
    # One pass on a blank share of 1 - alpha_t gives 1 - alpha_s.
    blank = 1 - alpha
    after = blank[:-1] * (1 - write) + alpha[:-1] * take_back
    assert torch.allclose(after, blank[1:], rtol=0, atol=1e-15)
    # So does the whole run, from blanks and with the chances that are used.
    share, hazards = 1.0, policy.hazards(passes)
    for w, s in hazards.T[:2000].tolist():
        share = share * (1 - w) + (1 - share) * s
    assert share == pytest.approx(float(blank[min(passes, 2000)]), abs=1e-10)
    assert hazards[0, -1] == pytest.approx(1, abs=ROUNDING) and hazards[1, -1] == 0


@each
def test_no_sigma_is_above_the_largest(policy: Posterior) -> None:
    index = torch.arange(50)
    t, s = policy.time(index, 50), policy.time(index + 1, 50)
    span = Span(t, s, policy.schedule.alpha(t), policy.schedule.alpha(s))
    assert bool((policy.sigma(span) <= sigma_max(span)).all())
    assert facts_of(policy).revises == bool((policy.sigma(span) > 0).any())
    assert not policy.anytime


def test_chances_by_hand() -> None:
    """Four passes, alpha = 0, 1/4, 1/2, 3/4, 1."""
    largest = [1.0, 1.0, 0.5, 0.0]
    cases: list[tuple[Any, list[float]]] = [
        (Cap(0.3), [0.3, 0.3, 0.3, 0.0]),
        (CapInAll(2.4), [0.6, 0.6, 0.5, 0.0]),
        (Rescale(0.2), [0.2, 0.2, 0.1, 0.0]),
        (Corrector(), [1.0, 1.0, 0.5, 0.0]),
        (Corrector(0.5), [1.0, 0.5, 0.25, 0.0]),  # nothing is committed yet at alpha = 0
        (Corrector(0.5, 1.0), [0.0, 0.09375, 0.0625, 0.0]),
        (During(Cap(0.3), 0.75, 0.25), [0.0, 0.3, 0.3, 0.0]),
        (During(Cap(0.3), 0.6), [0.0, 0.0, 0.3, 0.0]),
    ]
    for sigma, expected in [(sigma_max, largest), *cases]:
        _, write, take_back = raw(Posterior(LINEAR, sigma), 4)
        assert take_back.tolist() == pytest.approx(expected)
        alpha = [0.0, 0.25, 0.5, 0.75, 1.0]
        chances = [(b - (1 - s) * a) / (1 - a) for a, b, s in zip(alpha, alpha[1:], expected, strict=False)]
        assert write.tolist() == pytest.approx(chances)


def test_the_published_last_pass_of_forward_backward_is_refused() -> None:
    """Uncapped it writes a blank with chance 2. The authors' code draws from that, and so reaches 3/56 at 8 passes."""

    def uncapped(span: Span) -> torch.Tensor:
        return torch.where(span.alpha_t > 0, (span.alpha_s - span.alpha_t) / span.alpha_t.clamp(min=0.01), 1.0)

    with pytest.raises(
        ValueError, match=r"over 8 passes give chances from .* to 2, outside 0 to 1: keep sigma at most"
    ):
        Posterior(LINEAR, uncapped).hazards(8)
    with pytest.raises(ValueError, match=r"outside 0 to 1"):
        answer_law(Confident(Posterior(LINEAR, uncapped)), Oracle(JOINT), 8)


# Phases


@pytest.mark.parametrize("passes", [1, 2, 3, 5, 9, 10, 20, 64, 1000, 99_999])
def test_phases_change_between_passes_and_share_their_time_evenly(passes: int) -> None:
    policy = loop(LINEAR, Cap(0.02), t_on=0.55, t_off=0.05, alpha_on=0.9)
    t = policy.time(torch.arange(passes + 1), passes)
    assert t[0] == 1 and t[-1] == 0 and bool((t.diff() < 0).all())
    on, off = round(0.45 * passes), round(0.95 * passes)
    if passes >= 11:  # below, a phase is shorter than half a pass and has none
        assert t[on] == 0.55 and t[off] == 0.05
    for first, last in ((0, on), (on, off), (off, passes)):
        if last > first:
            steps = t[first : last + 1].diff()
            assert torch.allclose(steps, steps[:1], rtol=1e-9)
    _, write, take_back = raw(policy, passes)
    assert torch.equal(take_back > 0, (t[:-1] <= 0.55) & (t[1:] >= 0.05))
    held = take_back > 0
    assert torch.allclose(write[held], torch.tensor(0.02 * 0.9 / 0.1, dtype=torch.float64))


def test_without_stops_the_passes_are_even() -> None:
    assert torch.equal(Posterior(LINEAR).time(torch.arange(8), 7), torch.arange(7, -1, -1).double() / 7)


def test_a_held_schedule_is_the_published_one() -> None:
    t = torch.linspace(0, 1, 101, dtype=torch.float64)
    published = torch.where(t > 0.55, (1 - t) * 0.9 / 0.45, torch.where(t <= 0.05, 1 - t * 0.1 / 0.05, 0.9))
    assert torch.allclose(Held(LINEAR, 0.9, 0.55, 0.05).alpha(t), published, rtol=0, atol=1e-15)


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: Rescale(1.01), r"eta=1\.01 is a chance: give a number from 0 to 1"),
        (lambda: Cap(-0.1), r"eta=-0\.1"),
        (lambda: CapInAll(-1.0), r"times=-1\.0 is how often"),
        (lambda: CapInAll(float("nan")), "times=nan"),
        (lambda: Corrector(-1.0), r"scale=-1\.0 must be finite and not negative"),
        (lambda: Corrector(1.0, math.inf), "power=inf"),
        (lambda: During(Cap(0.1), 0.2, 0.2), r"give 1 >= start > end >= 0"),
        (lambda: Held(LINEAR, 1.0, 0.5, 0.1), r"alpha_on=1\.0 .* between 0 and 1"),
        (lambda: loop(LINEAR, Cap(0.1), 0.1, 0.5), r"t_on=0\.1 and t_off=0\.5: time runs from 1 down to 0"),
        (lambda: switch(LINEAR, Cap(0.1), 0.0), "start=0.0"),
        (lambda: Posterior(LINEAR, stops=(0.1, 0.5)), "from high to low"),
        (lambda: Posterior(LINEAR, stops=(1.0,)), "strictly between 0 and 1"),
    ],
)
def test_settings_that_mean_nothing_are_refused(make: Any, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        make()


# Laws


@each
def test_the_matrices_are_what_the_policy_does(policy: Posterior) -> None:
    walked = answer_law(policy, Oracle(JOINT), 3)
    assert walked == pytest.approx(posterior_law(policy, Oracle(JOINT), 3), abs=1e-12)


@each
def test_rows_of_a_matrix_sum_to_one(policy: Posterior) -> None:
    _, matrices = kernels(policy, Oracle(random_joint(2, 3)), 9)
    assert bool((matrices >= 0).all())
    assert torch.allclose(matrices.sum(-1), torch.ones(9, 16, dtype=torch.float64), rtol=0, atol=1e-12)


@pytest.mark.parametrize("passes", [1, 2, 4, 8, 64, 512])
def test_ancestral_bias_is_three_tenths_over_passes(passes: int) -> None:
    law = posterior_law(Posterior(LINEAR), Oracle(JOINT), passes)
    assert total_variation(law, JOINT) == pytest.approx(0.3 / passes, abs=1e-12)


PINNED = [
    ("cap", (0.04167, 0.01842, 0.01149, 0.00617)),
    ("rescale", (0.03889, 0.01222, 0.00480, 0.00210)),
    ("forward_backward", (5 / 96, 0.01260, 0.00313, 0.00078)),
    ("flow_matching", (0.07266, 0.02793, 0.00785, 0.00193)),
]


@pytest.mark.parametrize(("name", "distances"), PINNED)
def test_pinned_distances(name: str, distances: tuple[float, ...]) -> None:
    for passes, distance in zip((8, 32, 128, 512), distances, strict=True):
        law = posterior_law(SAMPLERS[name], Oracle(JOINT), passes)
        assert sum(law.values()) == pytest.approx(1, abs=1e-12)
        assert total_variation(law, JOINT) == pytest.approx(distance, abs=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "distances"), PINNED[1:])  # the cap is walked in test_exact_laws
def test_pinned_distances_branch_by_branch(name: str, distances: tuple[float, ...]) -> None:
    law = answer_law(SAMPLERS[name], Oracle(JOINT), 8)
    assert total_variation(law, JOINT) == pytest.approx(distances[0], abs=1e-5)


@pytest.mark.parametrize(("eta", "floor"), [(0.1, 0.0128), (0.02, 0.0025), (0.005, 0.0006), (0.001, 0.0002)])
def test_a_loop_has_a_floor_that_only_a_smaller_eta_lowers(eta: float, floor: float) -> None:
    distances = [
        total_variation(posterior_law(loop(LINEAR, Cap(eta)), Oracle(JOINT), passes), JOINT) for passes in (2000, 4000)
    ]
    assert distances[0] == pytest.approx(floor, abs=5e-5)
    assert eta < 0.02 or distances[1] > 0.9 * distances[0]  # twice the passes do not help


def test_a_cap_that_shrinks_with_the_passes_has_no_floor() -> None:
    for passes, distance in ((20, 0.034), (100, 0.0084), (500, 0.0018), (2000, 0.0005)):
        law = posterior_law(cap_in_all(LINEAR, 5), Oracle(JOINT), passes)
        assert total_variation(law, JOINT) == pytest.approx(distance, abs=5e-4 if passes == 20 else 5e-5)


class Marginals(Oracle):
    """The negative control: says the marginals of the joint whatever it reads."""

    def _row(self, row: list[int]) -> torch.Tensor:
        return super()._row([self.mask_id] * self.length)


@each
def test_a_denoiser_that_ignores_context_gains_nothing_from_passes(policy: Posterior) -> None:
    for passes in (1, 2, 8, 64, 512):
        law = posterior_law(policy, Marginals(JOINT), passes)
        assert total_variation(law, JOINT) == pytest.approx(0.3, abs=1e-12)
    assert total_variation(answer_law(Confident(policy), Marginals(JOINT), 3), JOINT) == pytest.approx(0.3, abs=1e-12)


@pytest.mark.parametrize(
    "policy",
    [cap(LINEAR, 0.0), rescale(LINEAR, 0.0), Posterior(LINEAR, Corrector(0.0)), switch(LINEAR, Cap(0.5), 0.001)],
    ids=["cap", "rescale", "corrector", "switch"],
)
def test_without_remasking_it_is_ancestral_token_for_token(policy: Posterior) -> None:
    def walk(each: Posterior) -> list[bytes]:
        done = Sampler(each, ToySudoku(), (24,), seed=3, width=4).run(sudoku_rows(4))
        return [b"|".join(leaf.contiguous().numpy().tobytes() for leaf in tree_leaves(state)) for state in done]

    assert walk(policy) == walk(Posterior(LINEAR))
    assert walk(cap(LINEAR, 0.5)) != walk(Posterior(LINEAR))


def test_a_row_with_nothing_to_write_is_settled() -> None:
    given = canvas([[0, 1, 2]], given=(0, 1, 2))
    noise = Counter(0, torch.tensor([1]), torch.tensor([-1]))
    assert cap(LINEAR, 0.5).init(given, clock(-1, 8), noise).wake.tolist() == [NEVER]
    assert Confident(cap(LINEAR, 0.5)).init(given, clock(-1, 8), noise).wake.tolist() == [NEVER]
    # Ancestral sampling is done when it has written the last blank, and asks no more.
    last = canvas([[0, MASK, 2]])
    move = Posterior(LINEAR)(last, reading(last, [[1, 0, 0]] * 3), clock(2, 8), torch.tensor([[8, 2, 8]]), noise)
    assert move.tokens.tolist() == [[0, 0, 2]]
    assert move.wake.tolist() == [NEVER]


# Confidence

PLAN = rescale(LINEAR, 1.0)
HALF = canvas([[0, 1, MASK, MASK, 2]], given=(4,))


def test_the_less_probable_bear_more_of_the_sigma() -> None:
    """Pass 2 of 4: alpha 1/2 to 3/4, so sigma_max is 1/2 and a blank is written with 1/2."""
    psi = torch.tensor([[0.9, 0.4, 0.1, 0.1, 0.1]], dtype=torch.float64)
    chances = Confident(PLAN).chances(HALF, psi, torch.tensor([2]), 4)
    a, b = math.exp(-0.9), math.exp(-0.4)
    assert chances[0].tolist() == pytest.approx([0.5 * a / (a + b), 0.5 * b / (a + b), 0.5, 0.5, 0.0])


def test_a_canvas_of_blanks_takes_nothing_back_and_knows_no_nan() -> None:
    blank = canvas([[MASK] * 4])
    chances = Confident(PLAN).chances(blank, torch.ones(1, 4, dtype=torch.float64), torch.tensor([0]), 8)
    assert chances[0].tolist() == pytest.approx([1 / 8] * 4)


def test_what_is_remembered_is_the_chance_of_the_token_when_it_was_written() -> None:
    says = reading(HALF, [[0.2, 0.5, 0.3]] * 5)
    psi = torch.tensor([[0.9, 0.4, 1.0, 1.0, 1.0]], dtype=torch.float64)
    noise = Scripted(coins=[False, True, True, False, False], drawn=[2])
    move = Confident(PLAN)(HALF, says, clock(2, 4), psi, noise)
    assert move.tokens.tolist() == [[0, MASK, 2, MASK, 2]]
    assert move.answer.tolist() == [[0, 1, 2, 1, 2]]
    assert move.memory[0].tolist() == pytest.approx([0.9, 0.4, 0.3, 1.0, 1.0])
    assert move.wake.tolist() == [1]
    assert noise.asked == ["change", "token"]
    assert facts_of(Confident(PLAN)).streams == ("token", "change")
    assert facts_of(Confident(PLAN)).revises and not facts_of(Confident(Posterior(LINEAR))).revises


def test_confidence_without_remasking_is_ancestral() -> None:
    law = answer_law(Confident(Posterior(LINEAR)), Oracle(JOINT), 3)
    assert law == pytest.approx(answer_law(Posterior(LINEAR), Oracle(JOINT), 3), abs=1e-12)


def test_confidence_ends_full_and_nearer_to_the_joint_with_more_passes() -> None:
    oracle = Oracle(JOINT)
    far, near = (answer_law(Confident(PLAN), oracle, passes) for passes in (2, 5))
    assert sum(near.values()) == pytest.approx(1, abs=1e-12)
    assert all(oracle.mask_id not in answer for answer in near)
    assert total_variation(near, JOINT) < total_variation(far, JOINT)


def test_confidence_leaves_more_blank_than_the_schedule() -> None:
    """Blanks are not written faster to make up for what is taken back: what its docstring says, in numbers."""
    half = canvas([[0, MASK]])
    chances = Confident(PLAN).chances(half, torch.ones(1, 2, dtype=torch.float64), torch.tensor([1]), 3)
    assert chances[0].tolist() == pytest.approx([1.0, 0.5])  # so 3/4 of the two are blank after this pass
    assert PLAN.hazards(3)[:, 1].tolist() == pytest.approx([1.0, 1.0])  # under the plan 1/2 are


@pytest.mark.parametrize("policy", [SAMPLERS["loop"], Confident(PLAN)], ids=["loop", "confident"])
def test_a_row_is_byte_equal_alone_and_in_company(policy: Any) -> None:
    rows = some_rows(5)
    together = run(policy, rows, (21,))
    alone: dict[int, bytes] = {}
    for row in range(5):
        alone |= run(policy, pick(rows, [row]), (21,))
    assert alone == together
