"""Laws of noise taken back pass by pass: exact at one position, biased by how many act at once, corrected or not."""

import itertools
from functools import partial
from typing import Any

import pytest
import torch

from dlmreason.canvas import NEVER, Ask, Canvas, Reading
from dlmreason.diffusion.corruption import Absorbing, Corruption, Hybrid, Shares, Uniform
from dlmreason.diffusion.schedules import Cosine, EvenWeight, Linear, LogLinear
from dlmreason.policies.counts import Scheduled, linear
from dlmreason.policies.facts import check_sound, facts_of
from dlmreason.policies.ordered import Ordered
from dlmreason.policies.posterior import Posterior
from dlmreason.policies.reversal import Corrector, Reversal, corrected, resampled
from dlmreason.policies.scores import confidence, mean_log_max
from dlmreason.policies.wrappers import Certify, Episodes, Judged, KeepBest, Restart
from dlmreason.sampling.denoise import Sampler
from dlmreason.sampling.enumerate import branches
from dlmreason.sampling.noise import Counter
from tests.diffusion.exact import leave_one_out_oracle
from tests.policies.hand import MASK, Scripted, canvas, clock, reading
from tests.policies.laws import answer_law, total_variation
from tests.policies.noisy import Laws, NoisyOracle, Unheeding, canvases, noisy_joint, reversal_law
from tests.toys import JOINT, Oracle, blank_rows, random_joint

ONE = torch.tensor([0.6, 0.1, 0.3], dtype=torch.float64)
UNIFORM, HYBRID = Uniform(), Hybrid(0.3)
NOISES = pytest.mark.parametrize("noise", [UNIFORM, HYBRID], ids=["uniform", "hybrid"])


def distance(law: torch.Tensor, joint: torch.Tensor = JOINT) -> float:
    return float((law - joint).abs().sum()) / 2


@pytest.mark.parametrize(
    ("joint", "passes", "schedule"),
    [
        (JOINT, 1, Linear()),
        (JOINT, 2, Linear()),
        (JOINT, 4, Cosine()),
        pytest.param(random_joint(3, 3), 2, Cosine(), marks=pytest.mark.slow),
        (random_joint(3, 2), 2, Cosine()),
    ],
)
def test_of_masks_it_is_the_ancestral_sampler(joint: torch.Tensor, passes: int, schedule: Any) -> None:
    law = answer_law(Reversal(Absorbing(schedule)), Oracle(joint), passes)
    other = answer_law(Posterior(schedule), Oracle(joint), passes)
    assert law == pytest.approx(other, abs=1e-12)


@pytest.mark.parametrize("noise", [UNIFORM, Uniform(Cosine()), Uniform(LogLinear(0.2)), HYBRID, Hybrid(0.6, 2.0)])
@pytest.mark.parametrize("passes", [1, 2, 3])
def test_one_position_is_exact_at_any_number_of_passes(noise: Corruption, passes: int) -> None:
    """But for a share that stays clean to the end, and of which pure noise knows nothing."""
    policy = Reversal(noise)
    law = answer_law(policy, NoisyOracle(ONE, policy, passes), passes)
    ends = float(policy.shares(torch.ones(1, dtype=torch.float64)).clean)
    assert total_variation(law, ONE) == pytest.approx(0, abs=1e-12) or ends > 0
    assert total_variation(law, ONE) < ends + 1e-12


@NOISES
@pytest.mark.parametrize("passes", [1, 2, 3])
def test_walking_every_branch_gives_the_law_of_the_matrices(noise: Corruption, passes: int) -> None:
    policy = Reversal(noise)
    oracle = NoisyOracle(JOINT, policy, passes)
    walked, law = answer_law(policy, oracle, passes), reversal_law(policy, oracle, passes)
    assert total_variation(walked, law) == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize(
    ("noise", "expected"),
    [
        (UNIFORM, {1: 0.3, 2: 0.194517, 4: 0.104286, 8: 0.051767}),
        (HYBRID, {1: 0.3, 2: 0.212036, 4: 0.141578, 8: 0.091541}),
    ],
    ids=["uniform", "hybrid"],
)
def test_the_bias_of_two_positions_goes_with_the_passes(noise: Corruption, expected: dict[int, float]) -> None:
    policy, found = Reversal(noise), {}
    for passes in (*expected, 64, 512):
        found[passes] = distance(reversal_law(policy, NoisyOracle(JOINT, policy, passes), passes))
    assert {passes: found[passes] for passes in expected} == pytest.approx(expected, abs=5e-7)
    assert list(found.values()) == sorted(found.values(), reverse=True)
    assert found[512] < 0.0045


@NOISES
def test_a_posterior_is_turned_into_what_leaves_the_token_out(noise: Corruption) -> None:
    for passes in (1, 2, 8):
        plain, turned = Reversal(noise), Reversal(noise, "posterior")
        law = reversal_law(plain, NoisyOracle(JOINT, plain, passes), passes)
        other = reversal_law(turned, NoisyOracle(JOINT, turned, passes, posterior=True), passes)
        assert torch.allclose(law, other, atol=1e-12)


@NOISES
def test_a_posterior_taken_for_the_other_stays_wrong(noise: Corruption) -> None:
    """The control of every law here: counting a token twice does not go away with passes, not even for one position."""
    policy = Reversal(noise)
    for joint in (ONE, JOINT):
        laws = [reversal_law(policy, NoisyOracle(joint, policy, n, posterior=True), n) for n in (64, 256)]
        assert all(distance(law, joint) > 0.09 for law in laws)


@NOISES
@pytest.mark.parametrize("make", [Reversal, resampled], ids=["ancestral", "resampled"])
def test_a_denoiser_that_ignores_context_gains_nothing_from_passes(make: Any, noise: Corruption) -> None:
    for passes in (1, 2, 8, 64):
        policy = make(noise)
        law = reversal_law(policy, Unheeding(JOINT, policy, passes), passes)
        if make is Reversal:
            assert distance(law) == pytest.approx(0.3, abs=1e-12)
        else:
            assert distance(law) > 0.29


def test_nor_does_a_corrector_of_one() -> None:
    for passes in (3, 5):
        policy = corrected(UNIFORM)
        law = answer_law(policy, Unheeding(JOINT, policy, passes), passes)
        assert total_variation(law, JOINT) == pytest.approx(0.3, abs=1e-12)


def after_correcting(corrector: Corrector, joint: torch.Tensor, shares: Shares) -> float:
    """How far the law of a noisy canvas is from itself, once `corrector` acted on it."""
    rows, law = canvases(joint.shape[0], joint.dim()), noisy_joint(joint, shares)
    alone = leave_one_out_oracle(joint, rows, Shares(*(share.expand(len(rows)) for share in shares)))
    mask_id, powers = joint.shape[0], (joint.shape[0] + 1) ** torch.arange(joint.dim()).flip(0)

    def walk(given: Any, noise: Any) -> Any:
        tokens, says = given
        here = Canvas(tokens, torch.ones_like(tokens, dtype=torch.bool), (), mask_id)
        now = Shares(*(share.expand(len(tokens)) for share in shares))
        return noise.draw(corrector(here, says, now, now, noise), "token")

    some = (law > 0).nonzero()[:, 0]
    moved = torch.zeros_like(law)
    for branch in branches(walk, (rows[some], alone[some]), len(some)):  # type: ignore[misc]
        moved[int((branch.row[0] * powers).sum())] += law[some][branch.parent] * branch.chance  # type: ignore[index]
    return float((moved - law).abs().sum()) / 2


@NOISES
@pytest.mark.parametrize("joint", [JOINT, random_joint(3, 2)], ids=["J", "three tokens"])
@pytest.mark.parametrize("t", [0.1, 0.5, 0.9])
def test_one_site_drawn_anew_leaves_the_noisy_law_as_it_is(noise: Corruption, joint: torch.Tensor, t: float) -> None:
    shares = noise.shares(torch.tensor([t], dtype=torch.float64))
    assert after_correcting(Corrector(), joint, shares) == pytest.approx(0, abs=1e-12)


@NOISES
def test_several_at_once_or_chosen_by_what_they_are_do_not(noise: Corruption) -> None:
    shares = noise.shares(torch.tensor([0.3], dtype=torch.float64))
    assert after_correcting(Corrector(2), JOINT, shares) > 0.05
    assert after_correcting(Corrector(pick="noise"), JOINT, shares) > 0.03


@pytest.mark.parametrize(
    ("corrections", "passes", "times"),
    [
        (0, 4, [1, 3 / 4, 2 / 4, 1 / 4, 0]),
        (1, 1, [1, 0]),
        (1, 2, [1, 1 / 2, 0]),
        (1, 3, [1, 1 / 2, 1 / 2, 0]),
        (1, 4, [1, 2 / 3, 1 / 3, 1 / 3, 0]),
        (1, 5, [1, 2 / 3, 2 / 3, 1 / 3, 1 / 3, 0]),
        (2, 4, [1, 1 / 2, 1 / 2, 1 / 2, 0]),
        (2, 6, [1, 3 / 4, 2 / 4, 1 / 4, 1 / 4, 1 / 4, 0]),
        (9, 3, [1, 2 / 3, 1 / 3, 0]),
    ],
)
def test_corrections_are_passes_of_the_same_total(corrections: int, passes: int, times: list[float]) -> None:
    policy = corrected(UNIFORM, corrections=corrections)
    assert policy.time(torch.arange(passes + 1), passes).tolist() == pytest.approx(times, abs=1e-15)
    asked = [float(policy.shares(policy.time(torch.tensor([i]), passes)).clean) for i in range(passes + 1)]
    assert asked == pytest.approx([1 - t for t in times], abs=1e-15)


@pytest.mark.parametrize(("passes", "expected", "uncorrected"), [(3, 0.174586, 0.137140), (5, 0.102249, 0.083585)])
def test_a_corrector_lowers_the_bias_of_the_passes_around_it_and_loses_to_as_many_plain_ones(
    passes: int, expected: float, uncorrected: float
) -> None:
    policy, plain = corrected(UNIFORM), Reversal(UNIFORM)
    law = answer_law(policy, NoisyOracle(JOINT, policy, passes), passes)
    assert total_variation(law, JOINT) == pytest.approx(expected, abs=5e-7)
    predictions = (passes + 1) // 2
    assert expected < distance(reversal_law(plain, NoisyOracle(JOINT, plain, predictions), predictions))
    law = reversal_law(plain, NoisyOracle(JOINT, plain, passes), passes)
    assert distance(law) == pytest.approx(uncorrected, abs=5e-7)


@pytest.mark.parametrize("begin", [1.0, 0.2])
def test_it_may_begin_part_way_and_ends_as_ever(begin: float) -> None:
    policy, whole = corrected(UNIFORM, corrections=2, begin=begin), corrected(UNIFORM, corrections=2)
    index = torch.arange(8)
    assert policy.time(index, 7).tolist() == (begin * whole.time(index, 7)).tolist()
    full = canvas([[0, 1, 0]])
    move = policy.init(full, clock(-1, 7), Laws())
    assert move.tokens.equal(full.tokens) and move.ask.level.item() == pytest.approx(1 - begin)


def test_of_little_noise_a_text_is_changed_little() -> None:
    """The share of a text that the first pass changes is no more than the noise that it is taken to hold."""
    full, said = canvas([[0] * 10]), [[0.5, 0.3, 0.2]] * 10
    changed = []
    for begin in (1.0, 0.3, 0.01):
        noise = Laws()
        Reversal(UNIFORM, begin=begin)(full, reading(full, said), clock(0, 4), (), noise)
        changed.append(1 - float(noise.law.exp()[0, :, 0].mean()))
    assert changed[0] > changed[1] > changed[2] and changed[2] < 0.01


def test_with_no_corrections_it_is_ancestral() -> None:
    assert corrected(UNIFORM, corrections=0) == Reversal(UNIFORM)


@pytest.mark.parametrize("passes", [1, 2, 3])
def test_resampling_masks_writes_the_surest_first(passes: int) -> None:
    joint = random_joint(3, 3)
    law = answer_law(resampled(Absorbing()), Oracle(joint), passes)
    other = answer_law(Ordered(confidence, Scheduled(linear), 1.0), Oracle(joint), passes)
    assert law == pytest.approx(other, abs=1e-12)


def test_a_whole_number_of_sure_positions_is_not_rounded_up() -> None:
    """(1 - 7 / 10) x 10 is a little above 3."""
    now = canvas([[0] * 10])
    noise = Laws()
    resampled(UNIFORM)(now, reading(now, [[0.5, 0.3, 0.2]] * 10), clock(2, 10), (), noise)
    assert int((noise.law.exp()[0, :, 0] > 0.34).sum()) == 3


def test_resampling_uniform_noise_keeps_a_bias() -> None:
    """Not even of one position: what is noise by rank is not so by chance."""
    for noise in (UNIFORM, HYBRID):
        laws = [reversal_law(resampled(noise), NoisyOracle(ONE, resampled(noise), n), n) for n in (1, 8, 64)]
        assert distance(laws[0], ONE) == pytest.approx(0, abs=1e-12)
        assert all(distance(law, ONE) > 0.1 for law in laws[1:])


def test_what_is_most_probably_noise_is_drawn_anew_by_hand() -> None:
    """At t = 1/2: noise with 1/6 against 1/2 p. Given positions are never picked, and masks always."""
    now = canvas([[0, 1, MASK, 2]], given=(3,))
    says = reading(now, [[0.8, 0.1, 0.1], [0.5, 0.3, 0.2], [0.2, 0.2, 0.6], [0.98, 0.01, 0.01]])
    shares = Shares(*(torch.tensor([share], dtype=torch.float64) for share in (0.5, 0.2, 0.3)))
    law = Corrector(2, "noise")(now, says.logits, shares, shares, Scripted()).exp()[0]
    assert law[0].tolist() == [1, 0, 0, 0] and law[3].tolist() == [0, 0, 1, 0]
    assert law[1].tolist() == pytest.approx([0.35, 0.25, 0.2, 0.2])
    assert law[2].tolist() == pytest.approx([0.2, 0.2, 0.4, 0.2])


def test_the_surest_is_kept_by_hand() -> None:
    """At t = 2/3 a token that stands counts 2.5 times as much as another, and what is given is not ranked."""
    now = canvas([[0, 1, 2, 2]], given=(3,))
    says = reading(now, [[0.4, 0.5, 0.1], [0.1, 0.5, 0.4], [0.1, 0.7, 0.2], [0.01, 0.01, 0.98]])
    noise = Laws()
    resampled(UNIFORM)(now, says, clock(1, 3), (), noise)  # from t = 2/3 to t = 1/3: two are sure
    law = noise.law.exp()[0]
    assert law[0].tolist() == pytest.approx([1 / 1.6, 0.5 / 1.6, 0.1 / 1.6, 0])
    assert law[1].tolist() == pytest.approx([0.1 / 1.75, 1.25 / 1.75, 0.4 / 1.75, 0])
    assert law[2].tolist() == pytest.approx([1 / 3, 1 / 3, 1 / 3, 0])


@pytest.mark.parametrize("make", [Reversal, corrected, partial(corrected, pick="noise"), resampled])
@pytest.mark.parametrize("noise", [UNIFORM, Uniform(EvenWeight(0.3)), HYBRID])
@pytest.mark.parametrize("passes", [1, 2, 100_000])
def test_every_pass_draws_from_a_law_and_the_last_leaves_clean_text(make: Any, noise: Corruption, passes: int) -> None:
    """Also where a schedule begins with noise, and whatever is given, which no law is about."""
    rows = canvases(3, 2)
    if isinstance(noise, Uniform):
        rows = rows[(rows < 3).all(-1)]
    given = torch.full((len(rows), 1), 7)
    here = Canvas(torch.cat([rows, given], 1), torch.cat([rows >= 0, given < 0], 1), (), MASK)
    policy, sure = make(noise), [[1.0, 0.0, 0.0]] * 2 + [[0.2, 0.3, 0.5]]
    for index in {0, passes // 2, passes - 2, passes - 1} & set(range(passes)):
        noise_ = Laws()
        move = policy(here, reading(here, sure), clock(index, passes, len(rows)), (), noise_)
        law = noise_.law.exp()[:, :2]
        assert not law.isnan().any() and torch.allclose(law.sum(-1), torch.ones_like(law[..., 0]), atol=1e-12)
        assert (move.tokens[:, 2] == 7).all()
        if index == passes - 1:
            assert (law[..., MASK] == 0).all()
            # In a single pass of hybrid noise all is masked at first: a token cannot be there, and stands.
            assert (law[:, :, 0] == 1).all() or (passes == 1 and noise == HYBRID), "clean and certain"
            assert (move.ask.level == 1).all()


class Unmasked:
    """A network of uniform noise: it refuses canvases that it never saw."""

    uses_level, mask_id, length = False, 3, 6

    def __init__(self) -> None:
        self.levels: list[float] = []

    def first_carry(self, rows: int) -> tuple[()]:
        return ()

    def __call__(self, ask: Ask, features: torch.Tensor) -> Reading:
        assert (ask.tokens != self.mask_id).all()
        self.levels += [float(ask.level[0])]
        table = torch.randn(4, 4, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
        return Reading(ask, table[ask.tokens, ask.tokens.roll(1, -1)], None, ())


JUDGED = Judged(Reversal(UNIFORM), mean_log_max)


@pytest.mark.parametrize(
    "policy",
    [
        Reversal(UNIFORM),
        corrected(UNIFORM, sites=2, pick="noise"),
        resampled(Uniform(Cosine())),
        KeepBest(Episodes(JUDGED, 4)),
        Restart(JUDGED, 0, 0.5),
    ],
    ids=["ancestral", "corrected", "resampled", "episodes", "restarts"],
)
def test_a_network_of_uniform_noise_never_reads_a_mask(policy: Any) -> None:
    rows = blank_rows(5, 6, 3)
    editable = rows.editable.clone()
    editable[:, 2] = False
    rows = rows._replace(editable=editable, tokens=torch.ones_like(rows.tokens))
    sampler = Sampler(policy, Unmasked(), (9,), width=5)
    start = sampler.init(rows)
    assert (start.tokens != 3).all() and (start.tokens[:, 2] == 1).all()
    assert start.tokens[:, [0, 1, 3, 4, 5]].unique().tolist() == [0, 1, 2]
    done = list(sampler.run(rows))
    assert all((state.tokens != 3).all() and state.tokens[0, 2] == 1 for state in done)
    assert all(int(state.nfe) == 9 for state in done)
    kinds = torch.cat([state.events for state in done])
    assert (kinds[:, 0] == 5).all(), "noise is written too, once"


def test_a_pass_is_told_its_level() -> None:
    network = Unmasked()
    list(Sampler(Reversal(UNIFORM), network, (4,), width=1, chunk=1).run(blank_rows(1, 6, 3)))
    assert network.levels[:4] == pytest.approx([0, 0.25, 0.5, 0.75])


def test_a_row_with_nothing_to_write_is_settled() -> None:
    given = canvas([[0, 1, 2]], given=(0, 1, 2))
    noise = Counter(0, torch.tensor([1]), torch.tensor([-1]))
    assert Reversal(UNIFORM).init(given, clock(-1, 8), noise).wake.tolist() == [NEVER]
    move = Reversal(UNIFORM)(given, reading(given, [[0.2, 0.3, 0.5]] * 3), clock(0, 8), (), noise)
    assert move.wake.tolist() == [NEVER] and move.tokens.tolist() == [[0, 1, 2]]


@pytest.mark.parametrize("joint", [JOINT, random_joint(3, 3)], ids=["J", "three tokens"])
def test_what_self_correction_asks_of_a_network_is_what_one_of_hybrid_noise_says(joint: torch.Tensor) -> None:
    """At a token, what it would be were it hidden: near t = 0, where a full canvas lies, the two oracles are one."""
    rows = torch.tensor(list(itertools.product(range(joint.shape[0]), repeat=joint.dim())))
    shares = HYBRID.shares(torch.full((len(rows),), 1e-18, dtype=torch.float64))
    hidden = Oracle(joint)(Ask(rows, torch.ones(len(rows), dtype=torch.float64), ()), rows).logits
    assert torch.allclose(leave_one_out_oracle(joint, rows, shares), hidden, atol=1e-6)
    seen = leave_one_out_oracle(joint, rows, shares, posterior=True)
    assert (seen - hidden).abs().max() > 1, "a posterior would say the token that stands"


@pytest.mark.parametrize(
    ("policy", "taught", "says"),
    [
        (Reversal(UNIFORM), {"noise": None}, "random tokens in them: train it with an objective of uniform noise"),
        (Reversal(UNIFORM, "posterior"), {"noise": None}, "random tokens in them"),
        (Reversal(HYBRID), {"noise": "leave_one_out", "masks": False}, "canvases with masks"),
        (Reversal(UNIFORM), {"noise": "posterior"}, "leave-one-out, .* give the policy logits=posterior"),
        (Reversal(HYBRID, "posterior"), {"noise": "leave_one_out"}, "are a posterior, .* logits=leave_one_out"),
        (
            Certify(KeepBest(Episodes(JUDGED, 4)), -1.0),
            {"noise": "leave_one_out", "masks": False},
            "canvases with masks",
        ),
    ],
)
def test_a_network_of_another_training_is_refused(policy: Any, taught: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        check_sound(policy, quality=True, **taught)


def test_what_it_declares() -> None:
    check_sound(Reversal(UNIFORM), quality=False, masks=False, noise="leave_one_out")
    check_sound(Reversal(HYBRID, "posterior"), quality=False, noise="posterior")
    check_sound(Reversal(Absorbing()), quality=False)
    check_sound(KeepBest(Episodes(JUDGED, 4)), quality=False, masks=False, noise="leave_one_out")
    assert facts_of(Reversal(UNIFORM)).revises and not facts_of(Reversal(Absorbing())).revises
    assert facts_of(corrected(HYBRID)).streams == ("start", "token", "site")
    assert facts_of(corrected(HYBRID, pick="noise")).streams == ("start", "token")
    assert not Reversal(UNIFORM).anytime


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: Reversal(UNIFORM, "both"), "logits='both' is unknown: choose leave_one_out or posterior"),  # type: ignore[arg-type]
        (lambda: Reversal(UNIFORM, corrections=1), "corrections=1 with corrector=None: give a corrector"),
        (lambda: Reversal(UNIFORM, corrector=Corrector()), "corrections=0 with corrector=Corrector"),
        (lambda: corrected(UNIFORM, corrections=-1), "corrections=-1"),
        (
            lambda: Reversal(UNIFORM, begin=0),
            "begin=0 is the time of the first pass: give a number above 0 and at most 1",
        ),
        (lambda: corrected(UNIFORM, begin=1.5), "begin=1.5 is the time"),
        (lambda: corrected(UNIFORM, sites=0), "sites=0: a block has at least 1 position"),
        (lambda: corrected(UNIFORM, pick="best"), "pick='best' is not known: choose even or noise"),  # type: ignore[arg-type]
    ],
)
def test_settings_that_mean_nothing_are_refused(make: Any, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        make()
