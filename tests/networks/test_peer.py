"""The causal network and its decoding against Hugging Face's implementation of the same architecture, same weights."""

import pytest
import torch

from dlmreason.networks.shape import Shape
from dlmreason.networks.transformer import Transformer
from dlmreason.sampling.autoregress import generate
from dlmreason.sampling.chains import Prompt
from tests.peer import as_hugging_face

LENGTH = 48


@pytest.fixture(scope="module")
def made() -> Transformer:
    torch.manual_seed(0)
    shape = Shape(
        vocabulary_size=11,
        outputs=11,
        length=LENGTH,
        num_layers=2,
        width=32,
        num_heads=4,
        attention="causal",
        positions="rotary",
    )
    network = Transformer(shape).eval()
    with torch.no_grad():  # with the weights that it is born with, it says much the same of everything
        for weight in network.parameters():
            weight.mul_(3)
    return network


def test_logits_are_theirs(made: Transformer) -> None:
    tokens = torch.randint(0, 11, (5, LENGTH), generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        ours = made(tokens, tokens.new_zeros(5, LENGTH, 0)).logits
        theirs = as_hugging_face(made)(tokens).logits
    assert ours.std() > 0.5
    assert (ours - theirs).abs().max() < 1e-4


def test_greedy_texts_are_theirs(made: Transformer) -> None:
    tokens = torch.randint(0, 11, (16, 12), generator=torch.Generator().manual_seed(2))
    more = LENGTH - 12
    prompts = [Prompt(number, row.tolist(), [[]] * 12) for number, row in enumerate(tokens)]
    chains = generate(
        made,
        prompts,
        chains=1,
        answer_length=more,
        answer_features=[[]] * more,
        marker_id=10,
        eos_id=None,
        thought=False,
        max_tokens=more,
        temperature=0.0,
        first_greedy=True,
        seed=0,
        width=5,
    )
    with torch.inference_mode():
        theirs = as_hugging_face(made).generate(
            tokens, attention_mask=torch.ones_like(tokens), max_new_tokens=more, do_sample=False
        )
    texts = [list(chain.tokens) for chain in chains]
    assert len({tuple(text) for text in texts}) > 8
    assert texts == theirs[:, 12:].tolist()
