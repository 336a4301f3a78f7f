"""Laws of budget forcing: a thought has the length that was asked for, and all of it is read, charged and the rest."""

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from dlmreason.compute.flops import chain_flops, forward_flops, generation_flops, prefill_flops
from dlmreason.sampling.autoregress import generate
from dlmreason.sampling.chains import Batch, Work
from dlmreason.sampling.writer import Forcing
from tests.sampling.tiny import ANSWER, EOS, MARKER, SHAPE, THOUGHT, Watched, network_of, prompts_of, scripted

WAIT = 7
ENDS = THOUGHT | {"eos_id": EOS}
ROOM = THOUGHT["max_tokens"] - 1 - len(ANSWER)


def test_an_end_that_comes_early_is_a_wait() -> None:
    text = [3, MARKER, 4, EOS, 5, MARKER, 1, MARKER, EOS, 2]
    chain, network = scripted(text, eos_id=EOS, forcing=Forcing(4, None, WAIT))
    assert chain.tokens == (3, WAIT, 4, WAIT, 5, MARKER, 1, MARKER, EOS, 2), (
        "in the answer they are symbols like others"
    )
    assert chain.answer == (1, MARKER, EOS, 2) and chain.finished
    assert [token for _, token, _ in network.told[:10]] == list(chain.tokens), "what is forced is read"
    least = [scripted([MARKER] * 30, forcing=Forcing(least, None, WAIT))[0].tokens for least in (0, 1, 3)]
    assert least == [(WAIT,) * n + (MARKER,) * 5 for n in (0, 1, 3)]


def test_a_thought_is_ended_at_most() -> None:
    text = [3, 4, 5, 6, 1, 2, 1, 2]
    for most in (0, 1, 3):
        chain, _ = scripted(text, forcing=Forcing(0, most))
        assert chain.tokens == (*text[:most], MARKER, *text[most + 1 : most + 5]) and chain.finished
    chain, _ = scripted([3, MARKER, 4, 5, 6, 1], forcing=Forcing(0, 3))
    assert chain.tokens == (3, MARKER, 4, 5, 6, 1), "an answer is never touched"
    chain, _ = scripted([3, MARKER, 4, 5, 6, 1, 2, 1], forcing=Forcing(2, 2, WAIT))
    assert chain.tokens[:3] == (3, WAIT, MARKER), "exactly two"


@pytest.mark.parametrize(("least", "most"), [(0, 0), (0, 9), (7, None), (6, 11), (8, 8), (ROOM, None)])
def test_every_thought_is_within_its_bounds_and_all_finish_that_are_ended(least: int, most: int | None) -> None:
    network, prompts = network_of(), prompts_of(6)
    free = list(generate(network, prompts, **ENDS))
    forced = list(generate(network, prompts, **ENDS, forcing=Forcing(least, most, WAIT)))
    thoughts = [chain.generated - len(chain.answer) - (len(chain.answer) > 0) for chain in forced]
    assert all(length >= least for length in thoughts)
    assert all(length <= ROOM + 5 if most is None else length <= most for length in thoughts)
    assert most is None or all(chain.finished or chain.tokens[-1] == EOS for chain in forced)
    assert [chain.tokens for chain in forced] != [chain.tokens for chain in free]


def test_forcing_nothing_is_no_forcing_byte_for_byte() -> None:
    network, prompts = network_of(), prompts_of(4)
    free = list(generate(network, prompts, **ENDS))
    assert list(generate(network, prompts, **ENDS, forcing=Forcing(0, None, WAIT))) == free
    assert list(generate(network, prompts, **ENDS, forcing=Forcing())) == free


def test_log_probabilities_are_the_networks_own_of_forced_tokens_too() -> None:
    network, prompts = network_of(dtype=torch.float64), prompts_of(3)
    for chain in generate(network, prompts, **THOUGHT, forcing=Forcing(6, 6, WAIT)):
        prompt, tokens = prompts[chain.prompt], list(chain.tokens)
        features = [*prompt.features, *([0, 0] for _ in range(7)), *map(list, ANSWER)]
        with torch.inference_mode():
            said = network(torch.tensor([[*prompt.tokens, *tokens]]), torch.tensor([features])).logits[0]
        log_probs = said[len(prompt.tokens) - 1 : -1].log_softmax(-1)
        assert chain.log_prob == pytest.approx(
            float(log_probs.gather(1, torch.tensor(tokens)[:, None]).sum()), abs=1e-10
        )


@pytest.mark.parametrize("quality", [True, False])
@pytest.mark.parametrize("forcing", [None, Forcing(9, 14, WAIT)])
def test_charged_and_wasted_are_what_the_flop_counter_sees(quality: bool, forcing: Forcing | None) -> None:
    """Every matrix product that torch ran. Masked attention multiplies all places of a cache: counted apart."""
    shape = replace(SHAPE, quality=quality)
    inner = network_of(quality=quality)
    network, prompts = Watched(inner), prompts_of(3)
    batches: list[Batch] = []
    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        chains = list(generate(network, prompts, **THOUGHT, forcing=forcing, on_batch=batches.append))
    charged, wasted = Work(), Work()
    for batch in batches:
        charged, wasted = charged.plus(batch.charged), wasted.plus(batch.wasted)
    assert charged.plus(wasted) == network.sent
    dense = network.sent._replace(attended=network.dense)
    assert forward_flops(shape, *dense) == counter.get_total_flops()
    lengths = [(len(prompts[chain.prompt].tokens), chain.generated) for chain in chains]
    expected = sum(prefill_flops(shape, len(prompt.tokens)) for prompt in prompts)
    assert forward_flops(shape, *charged) == expected + sum(chain_flops(shape, *each) for each in lengths)


@pytest.mark.parametrize("chains", [4, 16, 64])
def test_chains_of_one_prompt_cost_little_beyond_the_formula_of_a_shared_prefill(chains: int) -> None:
    """All that was sent, padding too, in rows that the chains fill; the prompt is padded to a multiple of 16."""
    network, prompts = Watched(network_of()), prompts_of(1, lengths=(16,))
    settings = {**THOUGHT, "thought": False, "chains": chains, "width": 4, "prefill_width": 1}
    list(generate(network, prompts, **settings))
    formula = generation_flops(SHAPE, 16, len(ANSWER), chains)
    assert formula <= forward_flops(SHAPE, *network.sent) <= 1.05 * formula
    assert network.calls == 1 + chains // 4 * len(ANSWER)


@pytest.mark.parametrize(
    ("forcing", "changes", "says"),
    [
        (
            Forcing(ROOM + 1, None, WAIT),
            {},
            rf"least={ROOM + 1} tokens.*are 31, and a chain may have 30: lower least to 25",
        ),
        (Forcing(0, ROOM + 1), {}, rf"most={ROOM + 1} tokens"),
        (Forcing(3, 2, WAIT), {}, "least=3 and most=2"),
        (Forcing(-1, 2, WAIT), {}, "least=-1"),
        (Forcing(1, None, None), {}, "vocabulary has none: set least=0"),
        (Forcing(0, 1), {"thought": False}, "thought=true"),
    ],
)
def test_what_cannot_be_forced_is_refused_before_any_call(forcing: Forcing, changes: dict[str, Any], says: str) -> None:
    network = Watched(network_of())
    with pytest.raises(ValueError, match=says):
        generate(network, prompts_of(2), **{**THOUGHT, **changes}, forcing=forcing)
    assert network.sent == Work()
