"""Laws of few passes: what the teacher writes and when, what the best student says, what it costs, and that neither a
gradient nor a draw of the inner loss knows of it."""

import itertools
import math
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from dlmreason.compute.flops import pass_flops
from dlmreason.diffusion.carried import SelfConditioned, self_conditioned
from dlmreason.diffusion.few_passes import FewPasses, divergence, few_passes
from dlmreason.diffusion.fixed_point import FixedPoint
from dlmreason.diffusion.interpolating import InterpolatingDiffusion
from dlmreason.diffusion.objectives import Forwards, MaskedDiffusion, NextToken, Objective, Taught
from dlmreason.diffusion.quality import Judging, Quality, quality_later
from dlmreason.diffusion.targets import Filled
from dlmreason.diffusion.thoughts import ScheduledSampling, ThoughtByThought
from dlmreason.networks.shape import Shape
from dlmreason.policies import scores
from dlmreason.policies.ordered import Ordered
from tests.diffusion.fakes import At, Fake, Weights, batch, generator, oracle, table
from tests.nets import opinionated
from tests.policies.laws import answer_law
from tests.toys import JOINT, Oracle, random_joint

MASK, ROWS, LENGTH = 3, 200, 6
GOLD = torch.randint(0, MASK, (ROWS, LENGTH), generator=generator(1))
EDITABLE = (torch.arange(LENGTH) >= 2).expand(ROWS, LENGTH)
DATA = batch(GOLD, MASK, EDITABLE, thoughts=torch.arange(LENGTH) // 2)
HIDING: dict[str, Any] = {"masked": MaskedDiffusion(), "thoughts": ThoughtByThought(MaskedDiffusion())}
EACH = pytest.mark.parametrize("inner", HIDING.values(), ids=HIDING.keys())
JOINTS = pytest.mark.parametrize("joint", [JOINT, random_joint(3, 2), random_joint(3, 3, 1)], ids=["J", "two", "three"])


def everything(joint: Tensor) -> Tensor:
    """Every canvas of a joint, the mask being one more value: [S, L]."""
    return torch.tensor(list(itertools.product(range(joint.shape[0] + 1), repeat=joint.dim())))


def tabled(joint: Tensor) -> Fake:
    """`oracle`, each canvas looked up, so that many rows cost little."""
    values, length = joint.shape[0], joint.dim()
    said = oracle(joint).logits(everything(joint))
    weights = (values + 1) ** torch.arange(length - 1, -1, -1)
    return Fake(lambda tokens: said[tokens @ weights])


def taught(
    network: Fake, canvas: Tensor, passes: int, temperature: float = 0.0, mask: int = 2
) -> tuple[Tensor, Tensor]:
    """What the teacher says of each mask when it writes it, and what it writes."""
    data = batch(torch.zeros_like(canvas), mask)
    objective = FewPasses(MaskedDiffusion(), passes, temperature)
    return objective.taught(network, data, canvas, canvas == mask, network.logits(canvas), generator(5))


# The teacher.


@JOINTS
@pytest.mark.parametrize("passes", [1, 2, 3, 5])
def test_the_teacher_writes_what_the_policy_writes_in_as_many_passes(joint: Tensor, passes: int) -> None:
    """From every canvas. `confidence`, an even share a pass."""
    canvases, mask = everything(joint), joint.shape[0]
    _, written = taught(oracle(joint), canvases, passes, mask=mask)
    policy = Ordered(scores.confidence)
    for canvas, ours in zip(canvases, written, strict=True):
        assert answer_law(policy, Oracle(joint), passes, canvas[None]) == {tuple(ours.tolist()): 1.0}
        assert (ours != mask).all() and torch.equal(ours[canvas != mask], canvas[canvas != mask])


def test_what_is_taught_on_j_is_the_greedy_decode() -> None:
    """By hand. Of two masks the first is surer, .6 against .5, and 0; given that, .75 is said of the second being 0."""
    said, written = taught(oracle(JOINT), torch.tensor([[2, 2]]), 2)
    law = said.softmax(-1)[0]
    assert torch.allclose(law, torch.tensor([[0.6, 0.4], [0.75, 0.25]], dtype=torch.float64), atol=1e-12)
    assert written.tolist() == [[0, 0]] and JOINT.argmax() == 0
    in_one, _ = taught(oracle(JOINT), torch.tensor([[2, 2]]), 1)
    assert torch.allclose(in_one.softmax(-1)[0, 1], torch.tensor([0.5, 0.5], dtype=torch.float64), atol=1e-12)


@JOINTS
def test_the_best_student_says_the_teachers_decode_in_one_pass(joint: Tensor) -> None:
    """Of free logits for every canvas: there the loss is 0 and has no slope, and anywhere else it is more. Their
    likeliest tokens are the decode; those of an exact pass are others somewhere, but on J, where a tie helps."""
    canvases, mask = everything(joint), joint.shape[0]
    teacher, written = taught(oracle(joint), canvases, joint.dim(), mask=mask)
    asked = canvases == mask
    free = (teacher + torch.randn(*canvases.shape, 1, generator=generator(3))).requires_grad_()
    loss = divergence(teacher, free)
    assert float(loss.detach()[asked].abs().max()) < 1e-6
    (slope,) = torch.autograd.grad(loss[asked].sum(), free)
    assert float(slope.abs().max()) < 1e-6
    moved = (teacher + torch.randn(teacher.shape, generator=generator(4))).detach()
    assert (divergence(teacher, moved) > 0).all()
    assert torch.equal(teacher.argmax(-1)[asked], written[asked])
    one_pass = torch.where(asked, oracle(joint).logits(canvases).argmax(-1), canvases)
    assert torch.equal(one_pass, written) == (joint is JOINT)


def test_a_teacher_of_the_moment_comes_to_rest_in_two_rounds() -> None:
    """On J, all masked, everything else exact. The student becomes what it was taught and teaches in turn: surest of
    the second token it writes that first, is taught .9 of the first, and from then on nothing new."""
    exact, canvas = oracle(JOINT), torch.tensor([[2, 2]])
    said = exact.logits(canvas)
    network = Fake(lambda tokens: torch.where((tokens == 2).all(-1)[:, None, None], said, exact.logits(tokens)))
    objective = FewPasses(MaskedDiffusion(times=At(1.0)), 2, weight=0.0)
    losses, laws = [], []
    for _ in range(4):
        losses.append(float(objective(network, batch(torch.tensor([[0, 0]]), 2), generator()).total))
        laws.append(said.softmax(-1)[0].flatten().tolist())
        said, written = taught(network, canvas, 2)
        assert written.tolist() == [[0, 0]]
    kl = [
        0.75 * math.log(0.75 / 0.5) + 0.25 * math.log(0.25 / 0.5),
        0.9 * math.log(0.9 / 0.6) + 0.1 * math.log(0.1 / 0.4),
    ]
    assert losses[:2] == pytest.approx([kl[0] / 2, kl[1] / 2], abs=1e-6) and losses[2:] == [0.0, 0.0]
    assert laws[0] == pytest.approx([0.6, 0.4, 0.5, 0.5], abs=1e-9)
    assert laws[1] == pytest.approx([0.6, 0.4, 0.75, 0.25], abs=1e-9)
    assert laws[2] == laws[3] == pytest.approx([0.9, 0.1, 0.75, 0.25], abs=1e-9)


@pytest.mark.parametrize("joint", [JOINT, random_joint(3, 2)], ids=["J", "three tokens"])
def test_an_exact_teacher_that_draws_teaches_what_is_said_already(joint: Tensor) -> None:
    """One token a pass at temperature 1: over what is written, what it says averages to the marginals, at which the
    expected loss has its minimum; and what it writes has the law of the joint. At temperature 0 neither is so."""
    rows, length = 60_000, joint.dim()
    canvas = torch.full((rows, length), 2)
    marginals = oracle(joint).logits(canvas[:1])[0].exp()
    error = 5 * math.sqrt(0.25 / rows)
    said, written = taught(tabled(joint), canvas, length, temperature=1.0)
    assert torch.allclose(said.softmax(-1).mean(0), marginals, atol=error)
    weights = 2 ** torch.arange(length - 1, -1, -1)
    law = torch.bincount(written @ weights, minlength=2**length).double() / rows
    assert torch.allclose(law, joint.flatten(), atol=error)
    greedy, _ = taught(tabled(joint), canvas[:1], length)
    assert float((greedy.softmax(-1)[0] - marginals).abs().max()) > 0.05 > 4 * error


@pytest.mark.parametrize("temperature", [0.0, 0.5, 2.0])
def test_what_is_written_has_the_temperature_and_what_is_learnt_has_none(temperature: float) -> None:
    rows, logits = 40_000, torch.tensor([0.5, 0.3, 0.2]).log()
    network, canvas = Fake(lambda tokens: logits.expand(*tokens.shape, MASK)), torch.full((rows, 1), MASK)
    said, written = taught(network, canvas, 1, temperature, MASK)
    assert torch.equal(said, network.logits(canvas))
    law = torch.bincount(written[:, 0], minlength=MASK).double() / rows
    expected = (logits / temperature).softmax(-1) if temperature else torch.tensor([1.0, 0.0, 0.0])
    assert torch.allclose(law, expected.double(), atol=5 * math.sqrt(0.25 / rows) if temperature else 0)


# The loss.


@EACH
def test_only_the_student_is_taught_and_only_where_it_is_asked(inner: Any) -> None:
    """The loss and its slope by hand: the KL of what was said when it was written, and the inner loss, on one pass."""
    passes, weight = 3, 0.25
    network, alone = Weights(passes, ROWS, LENGTH, MASK), Weights(1, ROWS, LENGTH, MASK)
    loss = FewPasses(inner, passes, weight=weight)(network, DATA, generator(4))
    loss.total.backward()
    gold = inner(alone, DATA, generator(4))
    gold.total.backward()
    _, canvas, counts = inner.hide(DATA, generator(4))
    asked = (canvas == MASK) & (counts > 0)
    assert torch.equal(network.read[0], canvas) and torch.equal(alone.read[0], canvas)
    hidden = [(read == MASK) & asked for read in network.read]
    for before, after, read in zip(hidden, hidden[1:], network.read[1:], strict=False):
        assert (after <= before).all() and torch.equal(read[~asked], canvas[~asked])
        assert (before & ~after).any()
    teacher = network.said[0].detach()
    for blank, said in zip(hidden[1:], network.said[1:], strict=True):
        teacher = torch.where(blank[..., None], said.detach(), teacher)
    p, q = teacher.double().softmax(-1)[asked], network.said[0].detach().double().softmax(-1)[asked]
    kl = float((p * (p / q).log()).sum() / asked.sum())
    assert loss.metrics["few_passes_loss"].item() == pytest.approx(kl, rel=1e-5) != 0
    assert loss.total.item() == pytest.approx(kl + weight * gold.total.item(), rel=1e-5)
    assert all(network.said[made].grad is None for made in range(1, passes))
    slope, inner_slope = network.said[0].grad, alone.said[0].grad
    assert slope is not None and inner_slope is not None
    by_hand = (q - p).float() / asked.sum() + weight * inner_slope[asked]
    assert torch.allclose(slope[asked], by_hand, atol=1e-7) and not slope[~asked].any()
    wrong = (taught_tokens(network, inner) != GOLD)[asked].double().mean().item()
    assert loss.metrics["teacher_errors"].item() == pytest.approx(wrong, abs=1e-6) != 0
    assert {name: value.item() for name, value in gold.metrics.items()}.items() <= {
        name: value.item() for name, value in loss.metrics.items()
    }.items()


def taught_tokens(network: Weights, inner: Any) -> Tensor:
    """What a teacher of these passes writes."""
    last = network.read[-1]
    return torch.where(last == MASK, network.said[-1].detach().argmax(-1), last)


@EACH
def test_one_pass_teaches_nothing_at_the_teachers_own_point(inner: Any) -> None:
    network = Weights(1, ROWS, LENGTH, MASK)
    loss = FewPasses(inner, 1, weight=0.0)(network, DATA, generator(4))
    loss.total.backward()
    slope = network.said[0].grad
    assert loss.total.item() == 0.0 and slope is not None and float(slope.abs().max()) < 1e-9


@EACH
@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_the_draws_of_the_inner_objective_are_those_it_makes_alone(inner: Any, temperature: float) -> None:
    network, alone = table(LENGTH, MASK, 8), table(LENGTH, MASK, 8)
    drawn, drawn_within = generator(4), generator(4)
    loss = inner(alone, DATA, drawn)
    own = FewPasses(inner, 4, temperature, weight=1.0)(network, DATA, drawn_within)
    assert torch.equal(drawn.get_state(), drawn_within.get_state())
    assert torch.equal(network.read[0], alone.read[0])
    assert network.trained == [True, False, False, False], "the student's pass, and the other three of the teacher"
    assert own.total.item() == pytest.approx((loss.total + own.metrics["few_passes_loss"]).item(), rel=1e-6)
    again = FewPasses(inner, 4, temperature, weight=1.0)(network, DATA, generator(4))
    assert torch.equal(again.total, own.total)


def test_a_chance_of_zero_is_no_error() -> None:
    teacher = torch.tensor([[[0.0, -math.inf], [0.0, 0.0]]])
    student = torch.tensor([[[0.0, 0.0], [0.0, math.log(3.0)]]], requires_grad=True)
    loss = divergence(teacher, student)
    assert loss.tolist()[0] == pytest.approx([math.log(2), 0.5 * math.log(2) + 0.5 * math.log(2 / 3)], abs=1e-6)
    (slope,) = torch.autograd.grad(loss.sum(), student)
    assert torch.allclose(slope, torch.tensor([[[-0.5, 0.5], [-0.25, 0.25]]]), atol=1e-6)


# The price, and what it is part of.

SHAPE = Shape(vocabulary_size=MASK + 1, length=LENGTH, num_layers=1, width=16, num_heads=2, quality=True, carry=True)


@pytest.mark.parametrize("passes", [1, 4])
@pytest.mark.parametrize(
    "around",
    [
        lambda inner: inner,
        Quality,
        lambda inner: Judging(inner, Filled(2)),
        lambda inner: SelfConditioned(Quality(inner)),
        lambda inner: FixedPoint(Quality(inner), 0.5, 2),
    ],
    ids=["alone", "quality", "prism", "self-conditioned", "fixed point"],
)
def test_what_it_charges_is_what_torch_counts(around: Any, passes: int) -> None:
    objective, network = around(FewPasses(MaskedDiffusion(), passes)), opinionated(SHAPE, scale=1.0)
    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        objective(network, DATA, generator(4)).total.backward()
    assert counter.get_total_flops() == objective.forwards.charged * ROWS * pass_flops(SHAPE, LENGTH)
    assert FewPasses(MaskedDiffusion(), passes).forwards == Forwards(1, passes - 1)


def test_it_comes_after_a_stage_whose_head_it_trains_on() -> None:
    first = quality_later(MaskedDiffusion(), start=0.5)
    staged = few_passes(first, start=0.4, passes=4, weight=0.1)
    distilled = FewPasses(MaskedDiffusion(), 4, 0.0, 0.1)
    assert [share for share, _ in staged.stages] == pytest.approx([0.2, 0.2, 0.6])
    assert [stage for _, stage in staged.stages[:2]] == [stage for _, stage in first.stages]
    judging = Quality(MaskedDiffusion()).judging
    assert staged.stages[-1][1] == Judging(distilled, judging.target, judging.weight)
    assert staged.teaches == Taught(quality=True, masks=True)
    assert staged.forwards(10) == Forwards(2 + 2 * 2 + 6 * 2, 2 + 6 * (3 + 1))
    assert few_passes(MaskedDiffusion(), start=0.0).stages == ((1.0, FewPasses(MaskedDiffusion())),)
    assert few_passes(first, start=1.0).stages == first.stages


def test_a_carry_goes_around_all_of_it() -> None:
    staged = self_conditioned(few_passes(Quality(MaskedDiffusion()), start=0.5))
    assert staged.teaches == Taught(quality=True, masks=True, carry=True)
    with pytest.raises(ValueError, match="a stage without a carry after one with"):
        few_passes(self_conditioned(Quality(MaskedDiffusion())), start=0.5)


def test_what_is_taught_is_learnt() -> None:
    """Two tokens that are equal, 0 or 1 alike: right answers leave one pass with even chances for each, so that half of
    what it writes is wrong; what decodes one after another teaches it one answer, and that is right."""
    after = torch.tensor([[4.0, 0.0], [0.0, 4.0]])
    data = batch(torch.tensor([[0, 0], [1, 1]] * 8), 2)
    inner = MaskedDiffusion(weighting="none", times=At(1.0))

    def learnt(objective: Objective) -> Tensor:
        """The chance of 0 for each, of a network whose weights are what it says of two masks."""
        said = torch.tensor([[0.05, 0.0], [0.0, 0.0]], requires_grad=True)

        def logits(tokens: Tensor) -> Tensor:
            other = tokens.flip(-1)
            return torch.where((other == 2)[..., None], said, after[other.clamp(max=1)])

        for update in range(60):
            (slope,) = torch.autograd.grad(objective(Fake(logits), data, generator(update)).total, said)
            said.data -= 4 * slope
        return said.detach().softmax(-1)[:, 0]

    right, taught_alone, both = (learnt(each) for each in (inner, *(FewPasses(inner, 2, weight=w) for w in (0.0, 1.0))))
    assert ((right - 0.5).abs() < 0.02).all() and (taught_alone > 0.95).all()
    assert ((right + 0.02 < both) & (both < taught_alone - 0.02)).all()


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: FewPasses(MaskedDiffusion(), 0), "passes=0 .* whole number"),
        (lambda: FewPasses(MaskedDiffusion(), 2.0), r"passes=2\.0"),  # type: ignore[arg-type]
        (lambda: FewPasses(MaskedDiffusion(), True), "passes=True"),
        (lambda: FewPasses(MaskedDiffusion(), 2, -0.5), r"temperature=-0\.5"),
        (lambda: FewPasses(MaskedDiffusion(), 2, math.inf), "temperature=inf"),
        (lambda: FewPasses(MaskedDiffusion(), 2, math.nan), "temperature=nan"),
        (lambda: FewPasses(MaskedDiffusion(), 2, 0.0, -0.1), r"weight=-0\.1"),
        (lambda: FewPasses(MaskedDiffusion(), 2, 0.0, 1.1), r"weight=1\.1 .* from 0 to 1"),
        (lambda: FewPasses(MaskedDiffusion(), 2, 0.0, math.nan), "weight=nan"),
        (lambda: FewPasses(NextToken()), "does not say what it hides"),  # type: ignore[arg-type]
        (lambda: FewPasses(Quality(MaskedDiffusion())), "wrap what comes out"),  # type: ignore[arg-type]
        (lambda: FewPasses(InterpolatingDiffusion()), "does not say what it hides"),  # type: ignore[arg-type]
        (lambda: FewPasses(SelfConditioned(MaskedDiffusion())), "a carry"),  # type: ignore[arg-type]
        (lambda: FewPasses(ScheduledSampling(MaskedDiffusion())), "does not say"),  # type: ignore[arg-type]
        (lambda: few_passes(MaskedDiffusion(), start=1.5), r"start=1\.5"),
    ],
)
def test_what_cannot_be_sound_is_refused(make: Any, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        make()
