"""Laws of beam search: wide enough it is exhaustive, one wide it is greedy, and every row is paid for."""

from dataclasses import replace
from typing import Any

import pytest

from dlmreason.compute.flops import chain_flops, forward_flops, prefill_flops
from dlmreason.sampling.autoregress import generate
from dlmreason.sampling.beam import beam
from dlmreason.sampling.chains import Batch, Work
from dlmreason.sampling.writer import Forcing, Plan
from tests.sampling.tiny import ANSWER, EOS, FEW, MARKER, SHAPE, THOUGHT, Watched, few, network_of, prompts_of, texts

PLAN = Plan(ANSWER, len(ANSWER), MARKER, EOS, False, True, 30, 0.0, 5)


@pytest.mark.parametrize("plan", [FEW, FEW._replace(thought=False, limit=2), FEW._replace(ends=True)])
@pytest.mark.parametrize("penalty", [0.0, 0.7, 1.0])
def test_wide_enough_it_ranks_every_text_there_is(plan: Plan, penalty: float) -> None:
    narrow_misses = 0
    for seed in range(4):
        network, prompt = few(seed)
        known = dict(texts(network, prompt, plan))
        ranked = sorted(known, key=lambda text: -known[text] / len(text) ** penalty)
        (found,) = beam(network, [prompt], plan, beams=3**plan.limit, penalty=penalty, width=1)
        assert [chain.tokens for chain in found.chains] == ranked
        assert [chain.log_prob for chain in found.chains] == pytest.approx([known[text] for text in ranked], abs=1e-12)
        assert [chain.number for chain in found.chains] == list(range(len(ranked)))
        assert found.work.queries == len({text[:end] for text in known for end in range(1, len(text) + 1)})
        (narrow,) = beam(network, [prompt], plan, beams=1, penalty=penalty, width=1)
        narrow_misses += narrow.chains[0].tokens != ranked[0]
    assert narrow_misses or penalty or not plan.thought, "where greedy is always best the law says little"


@pytest.mark.parametrize("thought", [True, False])
@pytest.mark.parametrize("quality", [True, False])
def test_one_beam_is_the_greedy_chain_byte_for_byte(thought: bool, quality: bool) -> None:
    network, prompts = network_of(quality=quality), prompts_of(7)
    plan = PLAN._replace(thought=thought, limit=30 if thought else 4)
    settings = {**THOUGHT, "chains": 1, "temperature": 0.0, "thought": thought, "eos_id": EOS}
    greedy = list(generate(network, prompts, **settings))
    for penalty in (0.0, 0.9):
        found = list(beam(network, prompts, plan, beams=1, penalty=penalty, width=4, prefill_width=2))
        assert [one.chains for one in found] == [[chain] for chain in greedy]
        for chain, one in zip(greedy, found, strict=True):
            flops = chain_flops(network.shape, len(prompts[chain.prompt].tokens), chain.generated)
            assert forward_flops(network.shape, *one.work) == flops
            assert one.depth == one.work.queries


def test_a_beam_is_the_same_bytes_in_any_company() -> None:
    network, prompts = network_of(), prompts_of(5)
    settings: dict[str, Any] = {"beams": 3, "width": 7, "prefill_width": 2}
    together = list(beam(network, prompts, PLAN, **settings))
    backwards = list(beam(network, prompts[::-1], PLAN, **settings))[::-1]

    def bare(found: Any) -> Any:
        return [(one.work, one.depth, [chain._replace(prompt=0) for chain in one.chains]) for one in found]

    assert bare(together) == bare(backwards)
    assert bare(beam(network, prompts[2:3], PLAN, **settings)) == bare(together[2:3])
    assert all(len({chain.tokens for chain in one.chains}) == 3 for one in together)


@pytest.mark.parametrize("quality", [True, False])
def test_charged_and_wasted_are_all_that_was_sent_and_each_beam_is_charged_its_own(quality: bool) -> None:
    shape = replace(SHAPE, quality=quality)
    network, prompts = Watched(network_of(scale=1.0, quality=quality)), prompts_of(5)
    batches: list[Batch] = []
    found = list(beam(network, prompts, PLAN, beams=3, width=6, prefill_width=2, on_batch=batches.append))
    charged, wasted = Work(), Work()
    for batch in batches:
        charged, wasted = charged.plus(batch.charged), wasted.plus(batch.wasted)
        assert min(batch.wasted) >= 0
    assert charged.plus(wasted) == network.sent
    own = sum(forward_flops(shape, *one.work) for one in found)
    assert forward_flops(shape, *charged) == own + sum(prefill_flops(shape, len(prompt.tokens)) for prompt in prompts)
    for one, prompt in zip(found, prompts, strict=True):
        most = 3 * chain_flops(shape, len(prompt.tokens), PLAN.limit)
        longest = max(chain.generated for chain in one.chains)
        assert forward_flops(shape, *one.work) <= most
        assert longest - (not quality) <= one.depth <= PLAN.limit


def test_all_beams_of_one_length_cost_the_formula() -> None:
    network, (prompt,) = network_of(), prompts_of(1)
    plan = PLAN._replace(thought=False, limit=4)
    (found,) = beam(network, [prompt], plan, beams=3, width=3)
    assert forward_flops(SHAPE, *found.work) == 3 * chain_flops(SHAPE, len(prompt.tokens), 4)
    assert found.depth == 4


@pytest.mark.parametrize(
    ("plan", "changes", "says"),
    [
        (PLAN, {"beams": 0}, "beams=0"),
        (PLAN, {"penalty": -1.0}, "penalty=-1.0"),
        (PLAN, {"penalty": float("inf")}, "penalty=inf"),
        (PLAN._replace(forcing=Forcing(0, 3)), {}, "force thoughts of independent chains"),
        (PLAN._replace(limit=60), {}, "lower max_tokens to 52 or less"),
    ],
)
def test_what_cannot_be_searched_is_refused_before_any_call(plan: Plan, changes: dict[str, Any], says: str) -> None:
    network = Watched(network_of())
    with pytest.raises(ValueError, match=says):
        beam(network, prompts_of(5), plan, **{"beams": 2, "width": 2} | changes)
    assert network.sent == Work()
