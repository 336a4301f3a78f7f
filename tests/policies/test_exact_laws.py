"""Laws of the base policies on enumerated joints, to the digits of their closed forms."""

import pytest
import torch

from dlmreason.policies.doubt import AtRandom, Doubt
from dlmreason.policies.gibbs import Gibbs
from dlmreason.policies.ordered import Ordered
from dlmreason.policies.posterior import Cap, Posterior
from dlmreason.policies.scores import confidence, entropy, left_to_right, margin, mean_log_max
from dlmreason.policies.wrappers import Judged, KeepBest, Restart
from dlmreason.sampling.enumerate import Enumerate
from tests.policies.laws import answer_law, from_joint, total_variation
from tests.toys import JOINT, Oracle, random_joint


class Linear:
    def alpha(self, t: torch.Tensor) -> torch.Tensor:
        return 1 - t


@pytest.mark.parametrize("passes", [1, 2, 4, 8])
def test_ancestral_bias_is_three_tenths_over_passes(passes: int) -> None:
    law = answer_law(Posterior(Linear()), Oracle(JOINT), passes)
    assert sum(law.values()) == pytest.approx(1, abs=1e-12)
    assert total_variation(law, JOINT) == pytest.approx(0.3 / passes, abs=1e-12)


def test_ancestral_calls_the_network_once_a_distinct_canvas() -> None:
    oracle = Oracle(JOINT)
    from dlmreason.sampling.denoise import Sampler
    from tests.toys import blank_rows

    sampler = Sampler(Posterior(Linear()), oracle, (4096,), width=1, chunk=1)
    done = list(sampler.run(blank_rows(8, 2, oracle.mask_id)))
    assert max(int(state.nfe) for state in done) <= 2
    assert all(int(state.index) >= 4096 for state in done)


@pytest.mark.slow
def test_capped_remasking_reaches_the_pinned_distance() -> None:
    assert total_variation(answer_law(Posterior(Linear(), Cap(0.1)), Oracle(JOINT), 8), JOINT) == pytest.approx(
        0.04167, abs=1e-5
    )


def test_cap_of_zero_is_ancestral() -> None:
    plain = answer_law(Posterior(Linear()), Oracle(JOINT), 4)
    capped = answer_law(Posterior(Linear(), Cap(0.0)), Oracle(JOINT), 4)
    assert capped == pytest.approx(plain)


@pytest.mark.parametrize("score", [confidence, margin, entropy, left_to_right])
@pytest.mark.parametrize("joint", [JOINT, random_joint(3, 3)], ids=["two", "three"])
def test_one_sampled_token_a_pass_is_exact_in_any_order(score, joint: torch.Tensor) -> None:  # type: ignore[no-untyped-def]
    law = answer_law(Ordered(score, count=1, temperature=1.0), Oracle(joint), joint.dim())
    assert total_variation(law, joint) == pytest.approx(0, abs=1e-12)


def test_all_at_once_is_the_product_of_the_marginals() -> None:
    law = answer_law(Ordered(confidence, count=2, temperature=1.0), Oracle(JOINT), 1)
    product = torch.outer(JOINT.sum(1), JOINT.sum(0))
    assert total_variation(law, product) == pytest.approx(0, abs=1e-12)


def test_gibbs_leaves_the_joint_invariant() -> None:
    assert total_variation(from_joint(Gibbs(), Oracle(JOINT), 3, JOINT), JOINT) == pytest.approx(0, abs=1e-12)


def test_gibbs_cannot_cross_between_two_far_answers() -> None:
    """The failure that restarts exist for: with no probability in between, single sites never move."""
    apart = torch.tensor([[0.5, 0.0], [0.0, 0.5]], dtype=torch.float64)
    law = answer_law(Gibbs(), Oracle(apart), 4, torch.tensor([[0, 0]]))
    assert law == {(0, 0): pytest.approx(1)}


def test_parallel_refill_of_both_sites_is_not_invariant() -> None:
    both = Doubt(AtRandom(2), Ordered(confidence, count=2, temperature=1.0))
    assert total_variation(from_joint(both, Oracle(JOINT), 2, JOINT), JOINT) == pytest.approx(0.30, abs=1e-12)


def test_a_nested_policy_is_enumerated_with_its_memory() -> None:
    inner = Judged(Doubt(AtRandom(1), Ordered(confidence, count=1, temperature=1.0)), mean_log_max)
    law = answer_law(KeepBest(Restart(inner, patience=1, share=0.5)), Oracle(JOINT), 4)
    assert sum(law.values()) == pytest.approx(1, abs=1e-12)
    assert len(law) == 4


def test_continuous_noise_is_refused_by_enumeration() -> None:
    for verb in ("gumbel", "normal"):
        with pytest.raises(TypeError, match="no branches"):
            getattr(Enumerate([[]]), verb)(torch.zeros(1), "soft")
