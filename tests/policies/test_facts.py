"""Laws of what policies declare: an onion that cannot be sound is refused before any compute, with the reason."""

from typing import Any

import pytest

from dlmreason.diffusion.schedules import Linear
from dlmreason.policies import presets
from dlmreason.policies.accepting import Accept
from dlmreason.policies.checking import CrossChecked
from dlmreason.policies.confident import Confident
from dlmreason.policies.doubt import AtRandom, Doubt, LowestQuality
from dlmreason.policies.exits import FixedPoint, Prophet
from dlmreason.policies.facts import Facts, check_sound, facts_of
from dlmreason.policies.gating import Gate
from dlmreason.policies.gibbs import Gibbs
from dlmreason.policies.locking import Locked
from dlmreason.policies.metropolis import Metropolis
from dlmreason.policies.ordered import Ordered
from dlmreason.policies.posterior import Cap, Posterior
from dlmreason.policies.published import bd3, llada, p2
from dlmreason.policies.scores import Blocks, confidence, mean_log_max, mean_log_quality
from dlmreason.policies.voting import Vote
from dlmreason.policies.wrappers import Certify, Episodes, Judged, KeepBest, Restart

REFILL = Ordered(confidence, 2, 0.5)
DOUBT = Doubt(LowestQuality(3), REFILL)
JUDGED = Judged(DOUBT, mean_log_quality)


@pytest.mark.parametrize(
    ("wrapper", "name"),
    [
        (KeepBest, "KeepBest"),
        (lambda inner: Restart(inner, 3), "Restart"),
        (lambda inner: Certify(inner, -1.0), "Certify"),
        (lambda inner: Accept(inner, 1.0), "Accept"),
    ],
)
def test_a_reader_of_scores_needs_a_judge_inside(wrapper: Any, name: str) -> None:
    with pytest.raises(ValueError, match=rf"{name} reads scores, but nothing inside it gives any: .*Judged"):
        wrapper(DOUBT)
    assert facts_of(wrapper(JUDGED)).judged
    with pytest.raises(ValueError, match="reads scores"):
        wrapper(Episodes(DOUBT, 5))
    assert facts_of(wrapper(Judged(Episodes(DOUBT, 5), mean_log_quality))).judged


def test_a_stream_is_drawn_once_a_pass() -> None:
    inner = Restart(JUDGED, 3)
    with pytest.raises(ValueError, match="noise stream 'restart' is drawn twice"):
        Restart(inner, 9)
    assert facts_of(Restart(inner, 9, stream="restart_outer")).streams.count("restart") == 1
    with pytest.raises(ValueError, match="noise stream 'doubt'"):
        Facts(streams=("token", "doubt", "doubt"))
    with pytest.raises(ValueError, match="'accept' is drawn twice"):
        Accept(Restart(Accept(JUDGED, 0.0), 3), 1.0)
    with pytest.raises(ValueError, match="'renoise' is drawn twice"):
        Certify(Certify(JUDGED, -1.0), -1.0)


def test_two_that_take_turns_may_draw_from_one_stream() -> None:
    one, other = Facts(("token", "doubt"), judged=True), Facts(("site", "token"), frozenset({"quality"}), revises=True)
    both = one | other
    assert sorted(both.streams) == ["doubt", "site", "token"]
    assert (both.needs, both.judged, both.revises) == (frozenset({"quality"}), True, True)
    with pytest.raises(ValueError, match="'site' is drawn twice"):
        both + Facts(("site",))


@pytest.mark.parametrize(
    "policy", [DOUBT, JUDGED, KeepBest(Restart(JUDGED, 2)), presets.change_of_mind(), presets.restarts()]
)
def test_a_policy_that_reads_quality_needs_the_head(policy: Any) -> None:
    with pytest.raises(ValueError, match="the policy needs a network with a quality head"):
        check_sound(policy, quality=False)
    check_sound(policy, quality=True)


@pytest.mark.parametrize(
    "policy",
    [Ordered(confidence), Posterior(Linear()), Gibbs(), Doubt(AtRandom(3), REFILL), Judged(REFILL, mean_log_max)],
)
def test_a_policy_that_reads_none_runs_on_any_network(policy: Any) -> None:
    check_sound(policy, quality=False)


def test_a_policy_that_needs_a_carry_is_refused_without_one() -> None:
    class Carried:
        facts = Facts(needs=frozenset({"carry"}))

    with pytest.raises(ValueError, match="network that hands a state from pass to pass"):
        check_sound(Carried(), quality=True)  # type: ignore[arg-type]
    check_sound(Carried(), quality=True, carry=True)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "policy",
    [
        Ordered(confidence),
        Posterior(Linear()),
        Gibbs(),
        Metropolis(2),
        Confident(Posterior(Linear())),
        p2(),
        presets.restarts(),
    ],
)
def test_a_policy_that_writes_into_masks_needs_a_network_that_has_seen_some(policy: Any) -> None:
    with pytest.raises(ValueError, match="trained on canvases with masks, where this one has only seen text"):
        check_sound(policy, quality=True, masks=False)


BLOCKWISE = Ordered(Blocks(confidence, 4, by_position=True), 1)


@pytest.mark.parametrize("policy", [BLOCKWISE, bd3(4), bd3(2), bd3(1, "left_to_right", None, 0.0)])
def test_a_network_trained_in_blocks_takes_a_policy_that_keeps_to_them(policy: Any) -> None:
    check_sound(policy, quality=False, block=4)
    check_sound(policy, quality=False)


@pytest.mark.parametrize(("kept", "taught"), [(4, 3), (4, 2), (2, 3)])
def test_a_network_trained_in_blocks_refuses_others(kept: int, taught: int) -> None:
    says = rf"writes blocks of {kept} positions, and .* blocks of {taught} positions.*: choose policy=bd3 with"
    with pytest.raises(ValueError, match=says):
        check_sound(bd3(kept), quality=False, block=taught)


@pytest.mark.parametrize(
    "policy",
    [
        Ordered(confidence),
        llada(block=4),
        Posterior(Linear()),
        Gibbs(),
        Metropolis(2),
        p2(),
        Doubt(AtRandom(3), BLOCKWISE),
        CrossChecked(BLOCKWISE, 2),
        FixedPoint(BLOCKWISE, 2),
        Prophet(BLOCKWISE),
        Judged(BLOCKWISE, mean_log_max),
        KeepBest(Judged(BLOCKWISE, mean_log_max)),
    ],
)
def test_a_network_trained_in_blocks_refuses_one_that_may_not(policy: Any) -> None:
    """Blocks of the editable positions are others; and what is made of two may ask for what lies beyond the block."""
    with pytest.raises(ValueError, match=r"the policy writes anywhere.*: choose policy=bd3 with block=4, or Ordered"):
        check_sound(policy, quality=True, block=4)
    check_sound(policy, quality=True)


def test_a_policy_of_ones_own_may_declare_nothing() -> None:
    check_sound(object(), quality=False, block=4)  # type: ignore[arg-type]
    assert facts_of(object()) == Facts()  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("policy", "revises", "anytime"),
    [
        (Ordered(confidence), False, False),
        (Ordered(confidence, 1), False, True),
        (Posterior(Linear()), False, False),
        (Posterior(Linear(), Cap(0.1)), True, False),
        (Gibbs(), True, True),
        (DOUBT, True, True),
        (Judged(REFILL, mean_log_max), False, True),
        (KeepBest(Judged(REFILL, mean_log_max)), False, True),
        (Restart(Judged(REFILL, mean_log_max), 0), True, True),
        (Episodes(Posterior(Linear()), 4), True, True),
        (presets.restarts(certify=-1.0), True, True),
        (Accept(JUDGED, 0.0), True, True),
        (CrossChecked(REFILL, 3), False, True),
        (Gate(Ordered(confidence), REFILL, mean_log_max, -1.0, 9), True, True),
        (Vote(Ordered(confidence)), False, False),
        (FixedPoint(REFILL), False, True),
        (Prophet(Posterior(Linear())), False, False),
        (Locked(DOUBT, 0.9, 3), True, True),
    ],
)
def test_who_may_take_a_token_back_and_who_needs_no_total(policy: Any, revises: bool, anytime: bool) -> None:
    assert facts_of(policy).revises == revises
    assert policy.anytime == anytime


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: Restart(JUDGED, -1), "patience=-1: .* 0 or more"),
        (lambda: Restart(JUDGED, 3, share=0.0), r"share=0\.0 .* above 0 and at most 1"),
        (lambda: Restart(JUDGED, 3, share=1.01), r"share=1\.01"),
        (lambda: Episodes(DOUBT, 0), "passes=0: an episode has at least 1 pass"),
        (lambda: Certify(JUDGED, -1.0, tests=0), "tests=0: .* at least 1 test"),
        (lambda: Certify(JUDGED, -1.0, share=0.0), r"share=0\.0"),
        (lambda: Certify(Judged(Ordered(confidence), mean_log_max), -1.0), "put it in Episodes"),
        (lambda: Cap(1.5), r"eta=1\.5 is a chance"),
        (lambda: Cap(float("nan")), "eta=nan"),
        (lambda: presets.ordered("luck"), "order='luck' is not known: choose one of confidence, margin"),
        (lambda: presets.change_of_mind(doubt=-1), "count=-1"),
        (lambda: presets.change_of_mind(count=0), "count=0"),
        (lambda: presets.random_doubt(share=2.0), r"share=2\.0"),
        (lambda: presets.restarts(temperature=-1.0), r"temperature=-1\.0"),
        (lambda: presets.restarts(certify=-1.0, tests=0), "tests=0"),
    ],
)
def test_settings_that_mean_nothing_are_refused_with_what_is_allowed(make: Any, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        make()


def test_the_control_differs_in_nothing_but_who_is_doubted() -> None:
    mind, control = presets.change_of_mind(5, 1, 0.7, 3, 0.4), presets.random_doubt(5, 1, 0.7, 3, 0.4)
    assert repr(mind).replace("LowestQuality(count=5, noisy=True)", "AtRandom(count=5)") == repr(control) != repr(mind)
    assert facts_of(mind).streams == facts_of(control).streams
