"""Laws of thoughts that are kept, and of thoughts that begin with a wrong step."""

from typing import Any

import pytest

from dlmreason.compute.flops import pass_flops
from dlmreason.diffusion.schedules import Linear
from dlmreason.evaluation.autoregressive import AutoregressiveArm
from dlmreason.evaluation.diffusion import DiffusionArm
from dlmreason.evaluation.thoughts import BEGINS, EDITABLE, GIVEN, Thoughts
from dlmreason.networks.denoiser import Denoise
from dlmreason.policies import presets
from dlmreason.tasks.correcting import Correcting
from tests.evaluation.tiny import graphs, lines, network

POLICIES: dict[str, Any] = {
    "confidence": presets.ordered(),
    "ancestral": presets.ancestral(Linear()),
    "revising": presets.revising("random", doubt=3),
}
LADDER = (2, 8, 24)
TASK = Correcting(graphs(), share=0.5)
EXAMPLES = list(TASK.examples("test"))


def diffusion(policy: str, thoughts: Thoughts | None) -> DiffusionArm:
    reads = network(TASK, "bidirectional", thought=True)
    denoiser = Denoise(reads, TASK.vocabulary(True).mask_id, TASK.length(in_place=False, thought=True))
    return DiffusionArm("it", TASK, reads, denoiser, POLICIES[policy], width=3, chunk=4, thought=True, start=thoughts)


def autoregressive(thoughts: Thoughts | None) -> AutoregressiveArm:
    reads = network(TASK, "causal", thought=True)
    unit = 2 * pass_flops(reads.shape, reads.shape.length)
    given: dict[str, Any] = {"rules": ("first", "last"), "width": 6, "prefill_width": 2, "most": 8}
    return AutoregressiveArm("it", TASK, reads, True, unit, thoughts=thoughts, **given)


def attempts(arm: Any) -> list[Any]:
    return [attempt for group in arm.attempts(EXAMPLES, LADDER, 3) for attempt in group]


def stood(example: Any) -> list[str]:
    begun = TASK.begun(example)
    return begun.example.thought.split()[: begun.tokens]


@pytest.mark.parametrize("policy", [*POLICIES, None])
def test_keeping_thoughts_changes_nothing_else(policy: str | None) -> None:
    def arm(thoughts: Thoughts | None) -> Any:
        return autoregressive(thoughts) if policy is None else diffusion(policy, thoughts)

    plain, kept = attempts(arm(None)), attempts(arm(Thoughts(TASK)))
    for one, other in zip(plain, kept, strict=True):
        told = TASK.told_of(one.example, other.thought)
        assert other == one._replace(thought=other.thought, events=one.events | told)
        assert one.thought is None
    assert all(b'"thought"' not in line for line in lines(TASK, [plain]).values())


@pytest.mark.parametrize("begins", BEGINS)
@pytest.mark.parametrize("policy", POLICIES)
def test_a_step_that_stands_is_taken_back_only_where_it_may_be(policy: str, begins: str) -> None:
    changed = 0
    for attempt in attempts(diffusion(policy, Thoughts(TASK, begins))):
        begins_as_asked = attempt.thought.split()[: len(stood(attempt.example))] == stood(attempt.example)
        changed += not begins_as_asked
        assert (
            sum(attempt.events[f"plant_{fate}"] for fate in ("kept", "taken_back", "hollow", "rewritten", "lost")) == 1
        )
        if begins == GIVEN:
            assert not attempt.events["plant_rewritten"] and not attempt.events["plant_hollow"]
    assert bool(changed) == (policy == "revising" and begins == EDITABLE)


def test_chains_go_on_from_what_stands_and_fit_the_network() -> None:
    found = attempts(autoregressive(Thoughts(TASK, GIVEN)))
    assert {attempt.example.id for attempt in found} == {example.id for example in EXAMPLES}
    assert len({len(stood(example)) for example in EXAMPLES}) > 1, "wrong steps stand in several places"
    for attempt in found:
        assert attempt.thought.split()[: len(stood(attempt.example))] == stood(attempt.example)


@pytest.mark.parametrize("begins", BEGINS)
def test_what_stood_shows_no_company(begins: str) -> None:
    arm = diffusion("revising", Thoughts(TASK, begins))
    whole = lines(TASK, arm.attempts(EXAMPLES, LADDER, 3), LADDER)
    assert lines(TASK, arm.attempts(EXAMPLES[::-1], LADDER, 3), LADDER) == whole
    (alone,) = lines(TASK, arm.attempts(EXAMPLES[2:3], LADDER, 3), LADDER).values()
    assert whole[EXAMPLES[2].id] == alone


def test_what_stands_is_neither_written_nor_counted() -> None:
    """Of a canvas that is never revised, one event for each blank."""
    arm = diffusion("confidence", Thoughts(TASK, EDITABLE))
    blanks = int(arm._rows(EXAMPLES[:1]).editable.sum())
    for attempt in attempts(arm):
        assert attempt.events["written"] == blanks - len(stood(attempt.example))


def test_what_cannot_begin_so_is_refused() -> None:
    with pytest.raises(ValueError, match="begins=editable: an autoregressive model changes nothing that stands"):
        autoregressive(Thoughts(TASK, EDITABLE))
    with pytest.raises(ValueError, match="begins=given: thoughts of star_graph_2x3 do not correct themselves"):
        Thoughts(graphs(), GIVEN)
