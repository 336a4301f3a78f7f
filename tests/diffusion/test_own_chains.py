"""Laws of the canvases that a verifier of chains is taught on: whole texts of the model's own, drawn at once."""

import pytest
import torch
from torch import Tensor

from dlmreason.diffusion.objectives import Batch, Forwards, MaskedDiffusion, NextToken
from dlmreason.diffusion.quality import Judging
from dlmreason.diffusion.targets import OwnChains, thought_ends
from tests.diffusion.fakes import Fake, batch, generator

ROWS, LENGTH, MASK = 32, 12, 5
PROMPT, END = 2, 7  # positions 0, 1 are given, 2 .. 6 are the thought, 7 its end, 8 .. 11 the answer
END_ID = 4
PLACES = torch.arange(LENGTH)


def causal(outputs: int = MASK, seed: int = 0, heat: float = 3.0) -> Fake:
    """What it says at a position depends on all tokens up to there, and on nothing later."""
    source = generator(seed)
    told = torch.randn(LENGTH, outputs, 16, generator=source, dtype=torch.float64)
    out = torch.randn(16, outputs, generator=source, dtype=torch.float64)
    return Fake(lambda tokens: (told[PLACES, tokens].cumsum(1).sin() @ out) * heat)


def chains(rows: int = ROWS) -> Batch:
    tokens = torch.randint(0, END_ID, (rows, LENGTH), generator=generator(1))
    tokens[:, END] = END_ID
    editable = (PLACES >= PROMPT).expand(rows, LENGTH)
    return batch(tokens, MASK, editable, (PLACES > END).expand(rows, LENGTH))


def one_after_another(target: OwnChains, network: Fake, data: Batch, seed: int) -> Tensor:
    """The same draws by the same noise, the plain way."""
    source = generator(seed)
    heat = 1 + (target.hottest - 1) * torch.rand(len(data.tokens), generator=source, dtype=torch.float64)
    noise = torch.empty(*data.tokens.shape, MASK, dtype=torch.float64).exponential_(generator=source)
    tokens = data.tokens.clone()
    for place in range(PROMPT, LENGTH):
        if place != END:
            chances = (network(tokens, data.features).logits[:, place - 1] / heat[:, None]).softmax(-1)
            race = chances / noise[:, place]
            if place < END:
                race[:, END_ID] = 0
            tokens[:, place] = race.argmax(-1)
    return tokens


def drawn(rounds: int, seed: int = 3, hottest: float = 1.5) -> Tensor:
    return OwnChains(rounds, hottest)(NextToken(), causal(), chains(), generator(seed)).canvas


@pytest.mark.parametrize("seed", range(5))
def test_as_many_rounds_as_tokens_are_a_draw_of_one_after_another(seed: int) -> None:
    slow = one_after_another(OwnChains(1, 1.5), causal(), chains(), seed)
    assert torch.equal(drawn(LENGTH - PROMPT, seed), slow)
    assert (slow != chains().tokens).any(0)[PLACES > END].all()  # errors in every answer position: it is no copy


@pytest.mark.parametrize("rounds", range(1, LENGTH - PROMPT + 1))
def test_each_round_makes_one_more_token_right(rounds: int) -> None:
    slow = one_after_another(OwnChains(1, 1.5), causal(), chains(), 3)
    assert torch.equal(drawn(rounds)[:, : PROMPT + rounds], slow[:, : PROMPT + rounds])


def test_one_round_alone_is_something_else() -> None:
    assert not torch.equal(drawn(1), drawn(2))


def test_a_token_at_a_time_has_the_law_of_the_network() -> None:
    """Frequencies of the first token of an answer without a thought, against the softmax, by a chi-squared bound."""
    rows, network = 20_000, causal()
    tokens = chains(1).tokens.expand(rows, LENGTH).clone()
    answer = (PLACES >= PROMPT).expand(rows, LENGTH)
    data = batch(tokens, MASK, answer, answer)
    canvas = OwnChains(1, 1.0)(NextToken(), network, data, generator(0)).canvas
    law = network(tokens[:1], data.features).logits[0, PROMPT - 1].softmax(-1) * rows
    counts = torch.bincount(canvas[:, PROMPT], minlength=MASK)
    assert ((counts - law) ** 2 / law).sum() < 23.5  # p = 1e-4 of 4 degrees of freedom


def test_a_thought_ends_where_the_right_one_ends_and_nowhere_before() -> None:
    canvas, data = drawn(6), chains()
    assert (canvas[:, END] == END_ID).all() and (canvas[:, PROMPT:END] != END_ID).all()
    assert (canvas[:, END + 1 :] == END_ID).any()  # in the answer it is a token like any other
    assert torch.equal(canvas[:, :PROMPT], data.tokens[:, :PROMPT])
    ends, ids = thought_ends(data)
    assert torch.equal(ends, (PLACES == END).expand(ROWS, LENGTH)) and (ids == END_ID).all()


def test_an_answer_without_a_thought_has_no_end_to_keep() -> None:
    tokens = torch.zeros(4, LENGTH, dtype=torch.int64)
    answer = (PLACES >= PROMPT).expand(4, LENGTH)
    ends, ids = thought_ends(batch(tokens, MASK, answer, answer))
    assert not ends.any() and (ids == -1).all()


def test_a_given_end_is_none_that_is_written() -> None:
    """A marker of the prompt before an answer at once."""
    tokens = chains(4).tokens
    answer = (PLACES > END).expand(4, LENGTH)
    ends, ids = thought_ends(batch(tokens, MASK, answer, answer))
    assert not ends.any() and (ids == -1).all()


def test_rows_of_several_lengths_each_keep_their_own_end() -> None:
    """Padding at the end of a short row changes nothing."""
    data = chains(3)
    judged, editable = data.judged.clone(), data.editable.clone()
    judged[1], editable[1] = (PLACES > 4) & (PLACES < 9), (PLACES >= PROMPT) & (PLACES < 9)
    data = data._replace(judged=judged, editable=editable)
    ends, ids = thought_ends(data)
    assert ends.nonzero().tolist() == [[0, END], [1, 4], [2, END]]
    assert ids.tolist() == [END_ID, int(data.tokens[1, 4]), END_ID]
    canvas = OwnChains(4)(NextToken(), causal(), data, generator()).canvas
    assert torch.equal(canvas[~editable], data.tokens[~editable]) and torch.equal(canvas[ends], data.tokens[ends])


def test_the_head_is_asked_of_every_token_of_the_answer_whether_it_is_the_right_one() -> None:
    data = chains()
    question = OwnChains()(NextToken(), causal(), data, generator())
    assert torch.equal(question.asked, data.judged)
    assert torch.equal(question.right, question.canvas == data.tokens)


def test_heat_brings_errors() -> None:
    """Where the right texts are those that the network thinks likeliest, all errors are the noise's."""
    data, network = chains(512), causal(heat=6.0)
    likeliest = data.tokens.clone()
    for place in set(range(PROMPT, LENGTH)) - {END}:
        likeliest[:, place] = network(likeliest, data.features).logits[:, place - 1, :END_ID].argmax(-1)
    data = data._replace(tokens=likeliest)

    def errors(hottest: float) -> float:
        question = OwnChains(LENGTH, hottest)(NextToken(), network, data, generator())
        return float((~question.right)[data.judged].double().mean())

    assert 0 < errors(1.0) < errors(2.0) < errors(8.0)


@pytest.mark.parametrize("rounds", [1, 3])
def test_the_passes_stated_are_the_passes_made(rounds: int) -> None:
    said = causal()
    network = Fake(said.logits, lambda tokens: torch.zeros(tokens.shape, requires_grad=True))
    objective = Judging(NextToken(), OwnChains(rounds))
    assert objective(network, chains(), generator()).total.isfinite()
    assert objective.forwards == Forwards(2, rounds)
    assert sorted(network.trained) == [False] * rounds + [True] * 2


def test_what_makes_no_sense_is_refused() -> None:
    with pytest.raises(ValueError, match=r"target\.rounds=0 .*give 1 or more"):
        OwnChains(0)
    for hottest in (0.5, float("inf"), float("nan")):
        with pytest.raises(ValueError, match=rf"target\.hottest={hottest} .*give 1 or more"):
            OwnChains(hottest=hottest)
    with pytest.raises(ValueError, match=r"written token after token, .*choose OwnErrors or Filled"):
        Judging(MaskedDiffusion(), OwnChains())
    assert Judging(MaskedDiffusion(), OwnChains(1)).target.guesses == 1
