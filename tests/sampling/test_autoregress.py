"""Laws of autoregressive decoding: it is what the plain uncached loop would write, and nobody's company shows in it."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from dlmreason.compute.flops import chain_flops, forward_flops, prefill_flops
from dlmreason.networks.shape import Shape
from dlmreason.networks.transformer import Transformer
from dlmreason.sampling.autoregress import generate
from dlmreason.sampling.chains import Batch, Chain, Prompt, Work
from dlmreason.sampling.noise import Counter, fold
from tests.sampling.tiny import ANSWER, EOS, MARKER, SHAPE, THOUGHT, Watched, network_of, prompts_of, scripted

torch.set_num_threads(1)


def plain(
    network: Transformer,
    prompt: Prompt,
    thought: bool,
    choose: Callable[[Tensor, int], Tensor],
    eos: int | None = None,
) -> tuple[list[int], float, float]:
    """The text-book loop: the whole text is read anew for every token, one chain at a time.

    choose: (log-probabilities [V], tokens written so far) -> the next token.  eos: ends an answer, and any thought.
    """
    limit = THOUGHT["max_tokens"] if thought else len(ANSWER)
    tokens, features = list(prompt.tokens), [list(row) for row in prompt.features]
    written: list[int] = []
    answer_at = None if thought else 0
    log_prob = 0.0
    while len(written) < limit:
        with torch.inference_mode():
            output = network(torch.tensor([tokens]), torch.tensor([features]))
        log_probs = output.logits[0, -1].double().log_softmax(-1)
        token = int(choose(log_probs, len(written)))
        log_prob += float(log_probs[token])
        features.append([0, 0] if answer_at is None else list(ANSWER[len(written) - answer_at]))
        tokens.append(token)
        written.append(token)
        if answer_at is not None and len(written) - answer_at == len(ANSWER):
            break
        if token == eos:
            break
        if answer_at is None and token == MARKER:
            answer_at = len(written)
    with torch.inference_mode():
        output = network(torch.tensor([tokens]), torch.tensor([features]))
    answered = len(written) - (len(written) - 1 if answer_at is None else answer_at)
    judged = float("nan") if output.quality is None else float(output.quality[0, -answered:].sigmoid().log().mean())
    return written, log_prob, judged


@pytest.mark.parametrize("positions", ["learned", "rotary"])
@pytest.mark.parametrize("thought", [True, False])
def test_greedy_text_is_that_of_the_uncached_loop(positions: str, thought: bool) -> None:
    finished = 0
    for seed in range(3):
        network = network_of(seed, torch.float64, positions=positions)
        prompts = prompts_of(9)
        settings = {**THOUGHT, "chains": 1, "temperature": 0.0, "thought": thought}
        for chain in generate(network, prompts, **settings):
            written, log_prob, judged = plain(network, prompts[chain.prompt], thought, lambda said, _: said.argmax())
            assert list(chain.tokens) == written
            assert chain.log_prob == pytest.approx(log_prob, abs=1e-10)
            finished += chain.finished
            if chain.finished:
                assert chain.quality == pytest.approx(judged, abs=1e-10)
                assert list(chain.answer) == written[-4:]
    assert finished > 5, "a comparison of chains that never write an answer would say little"


@pytest.mark.slow
@pytest.mark.parametrize("positions", ["learned", "rotary"])
def test_a_thousand_greedy_texts_are_those_of_the_uncached_loop(positions: str) -> None:
    network, prompts = network_of(3, torch.float64, positions=positions), prompts_of(1000, tuple(range(3, 30)))
    settings = {**THOUGHT, "chains": 1, "temperature": 0.0, "width": 64, "prefill_width": 16}
    texts = [list(chain.tokens) for chain in generate(network, prompts, **settings)]
    assert texts == [plain(network, prompt, True, lambda said, _: said.argmax())[0] for prompt in prompts]
    assert len(set(map(tuple, texts))) > 100


@pytest.mark.parametrize("thought", [True, False])
def test_an_answer_that_ends_is_that_of_the_uncached_loop_that_stops_there(thought: bool) -> None:
    lengths = set()
    for seed in range(8):
        network = network_of(seed, torch.float64)
        prompts = prompts_of(9)
        settings = {**THOUGHT, "chains": 1, "temperature": 0.0, "thought": thought, "eos_id": EOS, "answers_end": True}
        for chain in generate(network, prompts, **settings):
            written, log_prob, judged = plain(
                network, prompts[chain.prompt], thought, lambda said, _: said.argmax(), EOS
            )
            assert list(chain.tokens) == written
            assert chain.log_prob == pytest.approx(log_prob, abs=1e-10)
            begun = MARKER in written if thought else True
            ended = begun and (written[-1] == EOS or len(chain.answer) == len(ANSWER))
            assert chain.finished == ended
            if chain.finished:
                lengths.add(len(chain.answer))
                assert chain.quality == pytest.approx(judged, abs=1e-10)
                assert list(chain.answer) == written[len(written) - len(chain.answer) :]
    assert len(lengths) > 1, "answers of one length would say little"


@pytest.mark.parametrize("temperature", [0.5, 1.0, 1.7])
def test_sampled_text_is_that_of_the_uncached_loop(temperature: float) -> None:
    """Token t of chain c is drawn with the noise of (seed, prompt and chain, t), whatever the row and the position."""
    network = network_of(0, torch.float64)
    prompts = prompts_of(4)
    for chain in generate(network, prompts, **{**THOUGHT, "temperature": temperature}):
        prompt = prompts[chain.prompt]
        key = fold(torch.tensor([prompt.id]), chain.number)

        def draw(said: Tensor, index: int, key: Tensor = key) -> Tensor:
            noise = Counter(THOUGHT["seed"], key, torch.tensor([index]))
            return noise.draw((said / temperature).log_softmax(-1)[None], "token")

        written, log_prob, _ = plain(network, prompt, True, draw)
        assert list(chain.tokens) == written
        assert chain.log_prob == pytest.approx(log_prob, abs=1e-10), "of the network itself, not of the tempered law"


def company(network: Transformer, prompts: list[Prompt], **changes: Any) -> dict[tuple[int, int], Chain]:
    """Chains by the id of their prompt and their number, places in the batch forgotten."""
    chains = generate(network, prompts, **{**THOUGHT, **changes})
    return {(prompts[chain.prompt].id, chain.number): chain._replace(prompt=0) for chain in chains}


@pytest.mark.parametrize(("thought", "width", "prefill_width"), [(True, 4, 2), (True, 7, 3), (False, 3, 8)])
def test_a_chain_is_the_same_bytes_in_any_company(thought: bool, width: int, prefill_width: int) -> None:
    """Odd widths too: a matrix-vector product, or the tail of a vectorised loop, would tell a row's seat."""
    network = network_of()
    prompts = prompts_of(7)
    at = {"thought": thought, "width": width, "prefill_width": prefill_width}
    together = company(network, prompts, **at)
    assert len({chain.tokens for chain in together.values()}) > 10
    assert company(network, prompts[::-1], **at) == together
    assert company(network, prompts[3:] + prompts[:3], **at, chains=5).items() >= together.items()
    for prompt in prompts[:3]:
        alone = company(network, [prompt], **at)
        assert alone == {key: chain for key, chain in together.items() if key[0] == prompt.id}


def test_first_chains_do_not_depend_on_how_many_were_asked_for() -> None:
    network, prompts = network_of(), prompts_of(4)
    many = company(network, prompts, chains=6, first_greedy=True)
    for chains in (1, 2, 5):
        few = company(network, prompts, chains=chains, first_greedy=True)
        assert few == {key: chain for key, chain in many.items() if key[1] < chains}


def test_yields_prompt_after_prompt() -> None:
    order = [(chain.prompt, chain.number) for chain in generate(network_of(), prompts_of(5), **THOUGHT)]
    assert order == [(prompt, number) for prompt in range(5) for number in range(3)]


def test_seed_prompt_and_number_each_change_the_draws() -> None:
    network = network_of(scale=1.0)
    same = prompts_of(1)
    other_id = [same[0]._replace(id=1)]
    texts = [chain.tokens for chain in generate(network, same, **THOUGHT)]
    assert len(set(texts)) == 3
    assert texts != [chain.tokens for chain in generate(network, other_id, **THOUGHT)]
    assert texts != [chain.tokens for chain in generate(network, same, **{**THOUGHT, "seed": 6})]


def test_low_temperature_becomes_greedy() -> None:
    network, prompts = network_of(), prompts_of(5)
    greedy = company(network, prompts, chains=1, temperature=0.0)
    assert company(network, prompts, chains=1, temperature=1e-6) == greedy
    assert company(network, prompts, chains=1, temperature=1.0, first_greedy=True) == greedy
    assert company(network, prompts, chains=1, temperature=1.0) != greedy


def test_draws_follow_the_network() -> None:
    """One token from a known law: counts of 4,000 chains within five standard errors of the probabilities."""
    network = network_of(scale=6.0, quality=False)
    prompt = prompts_of(1)[0]
    settings = {
        **THOUGHT,
        "chains": 4000,
        "thought": False,
        "answer_length": 1,
        "answer_features": ANSWER[:1],
        "width": 500,
    }
    drawn = torch.tensor([chain.tokens[0] for chain in generate(network, [prompt], **settings)])
    with torch.inference_mode():
        logits = network(torch.tensor([prompt.tokens]), torch.tensor([prompt.features])).logits[0, -1]
    chance = logits.double().softmax(-1)
    share = torch.bincount(drawn, minlength=len(chance)).double() / len(drawn)
    assert chance.max() < 0.9
    assert ((share - chance).abs() <= 5 * (chance * (1 - chance) / len(drawn)).sqrt() + 1e-9).all()


def test_answer_begins_after_the_marker_and_its_features_with_it() -> None:
    text = [3, 4, MARKER, 1, MARKER, 2, EOS]
    chain, network = scripted(text, eos_id=EOS)
    assert chain.finished
    assert chain.tokens == tuple(text)
    assert chain.answer == (1, MARKER, 2, EOS), "in the answer, marker and end of text are symbols like any other"
    features = [(0, 0), (0, 0), (0, 0), *ANSWER]
    assert network.told[:7] == [(5 + place, text[place], features[place]) for place in range(7)]


def test_a_chain_that_runs_out_of_tokens_is_not_finished() -> None:
    text = [3, 4, 5, MARKER, 1, 2, 6, 7]
    for limit, answer in ((5, (1,)), (7, (1, 2, 6)), (8, (1, 2, 6, 7))):
        chain, _ = scripted(text, max_tokens=limit)
        assert chain.tokens == tuple(text[:limit])
        assert chain.answer == answer
        assert chain.finished == (limit == 8)
    chain, _ = scripted([3] * 40, max_tokens=9)
    assert (chain.generated, chain.answer, chain.finished) == (9, (), False)


def test_end_of_text_in_the_thought_ends_the_chain() -> None:
    chain, _ = scripted([3, EOS, MARKER, 1, 2, 3, 4], eos_id=EOS)
    assert (chain.tokens, chain.answer, chain.finished) == ((3, EOS), (), False)


@pytest.mark.parametrize("quality", [True, False])
@pytest.mark.parametrize("thought", [True, False])
def test_charged_and_wasted_are_all_that_was_sent(quality: bool, thought: bool) -> None:
    network = Watched(network_of(scale=1.0, quality=quality))
    prompts = prompts_of(5)
    batches: list[Batch] = []
    settings = {**THOUGHT, "thought": thought, "eos_id": EOS}
    chains = list(generate(network, prompts, **settings, on_batch=batches.append))
    charged, wasted = Work(), Work()
    for batch in batches:
        charged, wasted = charged.plus(batch.charged), wasted.plus(batch.wasted)
        assert min(batch.wasted) >= 0
    assert charged.plus(wasted) == network.sent
    # What is charged is the closed form of each chain's own length, prompts once.
    expected = sum(prefill_flops(shape_of(quality), len(prompt.tokens)) for prompt in prompts)
    expected += sum(
        chain_flops(shape_of(quality), len(prompts[chain.prompt].tokens), chain.generated) for chain in chains
    )
    assert forward_flops(shape_of(quality), *charged) == expected
    assert sum(batch.finished for batch in batches) == len(chains)


def shape_of(quality: bool) -> Shape:
    return replace(SHAPE, quality=quality)


def test_a_finished_row_is_taken_by_the_next_chain() -> None:
    """60 chains of 4 tokens through 4 rows: 15 rounds and not a call more."""
    batches: list[Batch] = []
    prompts = prompts_of(20, lengths=(5,))
    list(generate(network_of(), prompts, **{**THOUGHT, "thought": False}, on_batch=batches.append))
    assert sum(batch.calls for batch in batches) == 15 * 4 + 20 // 2
    assert [batch.charged.queries for batch in batches if batch.calls == 4] == [16] * 15


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"chains": 0}, "chains=0 must be 1 or more"),
        ({"width": 0}, "width=0"),
        ({"temperature": float("nan")}, "temperature=nan"),
        ({"temperature": -0.5}, "temperature=-0.5"),
        ({"temperature": 0.0}, "same chain 3 times"),
        ({"max_tokens": 4}, "below the 5 tokens of the answer and its marker"),
        ({"max_tokens": 60}, "lower max_tokens to 52 or less"),
        ({"answer_features": ANSWER[:2]}, "2 rows for answer_length=4"),
    ],
)
def test_bad_settings_are_refused_before_any_call(changes: dict[str, Any], says: str) -> None:
    network = Watched(network_of())
    with pytest.raises(ValueError, match=says):
        generate(network, prompts_of(5), **{**THOUGHT, **changes})
    with pytest.raises(ValueError, match="prompt 0 has 0 tokens"):
        generate(network, [Prompt(1, [], [])], **THOUGHT)
    assert network.sent == Work()
