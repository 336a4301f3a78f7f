"""Laws of loops: a pass of k goes through the layers k times, with the same weights and what entered added again; what
a row, a seat, a cache and a checkpoint are without them, they are with them."""

import json
from collections.abc import Callable
from dataclasses import replace
from itertools import chain, pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from dlmreason.canvas import Ask
from dlmreason.networks import checkpoint
from dlmreason.networks.block_denoiser import DenoiseBlocks
from dlmreason.networks.denoiser import Denoise
from dlmreason.networks.shape import Shape
from dlmreason.networks.transformer import Output, Transformer, _again, _Reach
from dlmreason.sampling.autoregress import generate
from dlmreason.sampling.chains import Prompt
from tests.nets import opinionated

torch.set_num_threads(1)

LENGTH, MASK, LAYERS = 12, 8, 2
SHAPE = Shape(
    vocabulary_size=MASK + 1,
    length=LENGTH,
    feature_sizes=(4, 3),
    num_layers=LAYERS,
    width=32,
    num_heads=4,
    quality=True,
    loops=3,
)
KINDS: dict[str, dict[str, Any]] = {
    "bidirectional": {},
    "carry": {"carry": True},
    "rotary": {"positions": "rotary"},
    "causal": {"attention": "causal"},
    "blocks": {"attention": "block_causal", "block": 5},
    "prompt": {"attention": "prompt", "prompt": 4},
}
EACH = pytest.mark.parametrize("kind", KINDS)


def network_of(kind: str, dtype: torch.dtype = torch.float64, **changes: Any) -> Transformer:
    return opinionated(replace(SHAPE, **KINDS[kind] | changes), dtype, 3.0)


def sheets(rows: int, length: int = LENGTH, seed: int = 1) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    tokens = torch.randint(0, MASK + 1, (rows, length), generator=generator)
    columns = [torch.randint(0, size, (rows, length), generator=generator) for size in SHAPE.feature_sizes]
    return tokens, torch.stack(columns, -1)


def told(network: Transformer, rows: int) -> dict[str, Tensor]:
    """A carry for a network that takes one."""
    carry = torch.randn(rows, LENGTH, 32, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    return {"carry": carry} if network.carries else {}


def apart(one: Output, other: Output) -> float:
    return max(float((a - b).abs().max()) for a, b in zip(one, other, strict=True))


def same(one: Output, other: Output) -> bool:
    return all(map(torch.equal, one, other))


def by_hand(network: Transformer, entered: Tensor, reach: _Reach, loops: int) -> Tensor:
    """The layers applied `loops` times, what each but the last left normed to the length of what entered."""
    x = entered
    for loop in range(loops):
        if loop:
            size = entered.norm(dim=-1, keepdim=True)
            x = entered + size * torch.nn.functional.normalize(x, dim=-1)
        for block in network.blocks:
            x = block(x, reach, None)
    return x


@EACH
def test_a_pass_is_its_layers_applied_again_and_again(kind: str) -> None:
    network, (tokens, features) = network_of(kind), sheets(3)
    given = told(network, 3)
    with torch.no_grad():
        x, reach = network._enter(tokens, features)
        if network.recall is not None:
            x = network.recall(x, given["carry"])
        for loops in (1, 2, 4):
            again = network_of(kind, loops=loops)
            expected = again._say(by_hand(network, x, reach, loops))
            assert apart(again(tokens, features, **given), expected) < 1e-4  # the layers add 1e-6 to mean squares
        once = network_of(kind, loops=1)(tokens, features, **given)
        assert same(once, network._say(by_hand(network, x, reach, 1))), "one is a pass as it was"
        assert apart(once, network(tokens, features, **given)) > 0.1


@EACH
def test_a_loop_says_what_a_network_with_no_more_says(kind: str) -> None:
    network, (tokens, features) = network_of(kind), sheets(3)
    given = told(network, 3)
    with torch.no_grad():
        each = network.at_each_loop(tokens, features, **given)
        fewer = [network_of(kind, loops=loops)(tokens, features, **given) for loops in (1, 2, 3)]
    assert len(each) == network.loops == 3
    assert all(map(same, each, fewer))
    assert not torch.equal(each[1].logits, each[2].logits)


def test_two_copies_go_through_the_layers_as_often() -> None:
    """What the pairs say of a block, after any loop, is what a plain pass says when all before it is clean."""
    network, (clean, features) = network_of("blocks"), sheets(3)
    noised = torch.where(torch.rand(3, LENGTH, generator=torch.Generator().manual_seed(3)) < 0.5, MASK, clean)
    with torch.no_grad():
        pairs = network.paired_at_each_loop(noised, clean, features, 5)
        assert same(pairs[-1], network.paired(noised, clean, features, 5)) and len(pairs) == 3
        for start in range(0, LENGTH, 5):
            end = min(start + 5, LENGTH)
            canvas = torch.cat((clean[:, :start], noised[:, start:end]), 1)
            for pair, plain in zip(pairs, network.at_each_loop(canvas, features[:, :end]), strict=True):
                assert (plain.logits[:, start:end] - pair.logits[:, start:end]).abs().max() < 1e-12


def test_weights_do_not_grow_and_are_drawn_alike() -> None:
    """Their names, order and numbers are those of a network without loops."""
    torch.manual_seed(0)
    once = Transformer(replace(SHAPE, loops=1, carry=True))
    torch.manual_seed(0)
    often = Transformer(replace(SHAPE, loops=7, carry=True))
    one, other = once.state_dict(), often.state_dict()
    assert list(one) == list(other) and all(torch.equal(one[name], other[name]) for name in one)
    assert once.num_parameters == often.num_parameters


def test_what_is_left_is_added_at_the_size_of_what_entered() -> None:
    generator = torch.Generator().manual_seed(0)
    entered, left = (torch.randn(2, 5, 32, generator=generator, dtype=torch.float64) for _ in range(2))
    for size in (0.03, 1.0, 1e4):  # of embeddings, and of what layers have added
        added = _again(size * entered, left) - size * entered
        assert torch.allclose(added.norm(dim=-1), size * entered.norm(dim=-1), rtol=1e-2)
        assert torch.allclose(_again(entered, size * left) - entered, _again(entered, left) - entered, rtol=1e-2)
    nothing = torch.zeros(1, 1, 32, dtype=torch.float64, requires_grad=True)
    _again(nothing, nothing).sum().backward()
    assert nothing.grad is not None and torch.isfinite(nothing.grad).all()


def test_many_loops_neither_grow_nor_vanish() -> None:
    """Where what is left is added as it is, they grow: the control."""
    network, (tokens, features) = network_of("bidirectional", loops=60), sheets(2)
    with torch.no_grad():
        entered, reach = network._enter(tokens, features)
        sizes = [float(x.norm()) for x in network._loop(entered, reach)]
        left = torch.zeros_like(entered)
        for _ in range(60):
            left = by_hand(network, entered + left, reach, 1)
    assert max(sizes) < 3 * sizes[0] and min(sizes) > sizes[0] / 3
    assert float(left.norm()) > 10 * sizes[0]


@pytest.mark.parametrize(
    ("kind", "cuts"),
    [("causal", [0, 5, 6, LENGTH]), ("blocks", [0, 5, 10, LENGTH]), ("prompt", [0, 4, LENGTH])],
)
@pytest.mark.parametrize("positions", ["learned", "rotary"])
def test_in_parts_a_sheet_reads_as_it_does_whole(kind: str, cuts: list[int], positions: str) -> None:
    network, (tokens, features) = network_of(kind, positions=positions), sheets(3)
    cache = network.cache(3)
    assert len(cache.layers) == 3 * LAYERS, "each loop has keys of its own"
    with torch.no_grad():
        whole = network(tokens, features)
        for start, end in pairwise(cuts):
            said = network(tokens[:, start:end], features[:, start:end], cache=cache, at=start)
            assert apart(said, Output(*(part[:, start:end] for part in whole))) < 1e-12
    keys = [layer.keys for layer in cache.layers]
    assert min(float((keys[0] - keys[loop * LAYERS]).abs().max()) for loop in (1, 2)) > 1e-2
    assert all(bool(kept.any()) for kept in chain(*cache.layers))


def test_right_padding_is_invisible_to_a_causal_network() -> None:
    network, (tokens, features) = network_of("causal"), sheets(2)
    other = torch.cat((tokens[:, :7], MASK - tokens[:, 7:]), 1)
    with torch.no_grad():
        one, two = network(tokens, features), network(other, features)
    assert torch.equal(one.logits[:, :7], two.logits[:, :7])
    assert (one.logits[:, 7:] != two.logits[:, 7:]).any(-1).all()


@pytest.mark.parametrize("rows", [3, 8])
@EACH
def test_a_row_is_the_same_bytes_in_any_seat(kind: str, rows: int) -> None:
    network, (tokens, features) = network_of(kind, torch.float32), sheets(rows)
    denoise = Denoise(network, MASK, LENGTH)
    level, carry = torch.zeros(rows, dtype=torch.float64), told(network, rows).get("carry", torch.zeros(rows))
    with torch.no_grad():
        here = denoise(Ask(tokens, level, carry), features)
        for turn in range(1, rows):
            order = torch.arange(rows).roll(turn)
            there = denoise(Ask(tokens[order], level, carry[order]), features[order])
            assert torch.equal(there.logits, here.logits[order])
            assert here.quality is not None and there.quality is not None
            assert torch.equal(there.quality, here.quality[order])


def test_a_row_says_in_any_company_what_it_says_alone() -> None:
    network, (tokens, features) = network_of("bidirectional"), sheets(5)
    with torch.no_grad():
        together = network(tokens, features).logits
        for row in range(5):
            alone = network(tokens[row : row + 1], features[row : row + 1]).logits[0]
            assert (alone - together[row]).abs().max() < 1e-12


@pytest.mark.parametrize(
    ("kind", "made"),
    [("prompt", Denoise), ("blocks", DenoiseBlocks)],
)
def test_what_has_been_read_is_not_read_again(kind: str, made: Callable[..., Any]) -> None:
    """A seated row's passes say of what waits to be written what passes over the whole sheet say of it."""
    network, (tokens, features) = network_of(kind), sheets(3)
    tokens = tokens.clamp(max=MASK - 1)
    editable = (torch.arange(LENGTH) >= 5).expand(3, -1)
    canvas = torch.where(editable, MASK, tokens)
    denoise, level = made(network, MASK), torch.zeros(3, dtype=torch.float64)
    with torch.no_grad():
        held, carry = denoise.seat(canvas, editable, features), denoise.first_carry(3)
        for _ in range(2):  # the prompt's block, and then the first that waits
            said = denoise(Ask(canvas, level, carry), held)
            carry = said.carry
        end = 10 if kind == "blocks" else LENGTH
        whole = network(canvas[:, :end], features[:, :end]).logits
    assert (said.logits[:, 5:end] - whole[:, 5:]).abs().max() < 1e-12


def test_greedy_chains_are_those_of_reading_all_again() -> None:
    network = network_of("causal", feature_sizes=(), outputs=MASK + 1)
    given, more = 4, LENGTH - 4
    tokens = torch.randint(0, MASK, (6, given), generator=torch.Generator().manual_seed(2))
    prompts = [Prompt(number, row.tolist(), [[]] * given) for number, row in enumerate(tokens)]
    chains = generate(
        network,
        prompts,
        chains=1,
        answer_length=more,
        answer_features=[[]] * more,
        marker_id=MASK,
        eos_id=None,
        thought=False,
        max_tokens=more,
        temperature=0.0,
        first_greedy=True,
        seed=0,
        width=4,
    )
    texts = [list(each.tokens) for each in chains]
    with torch.no_grad():
        for _ in range(more):
            following = network(tokens, tokens.new_zeros(*tokens.shape, 0)).logits[:, -1].argmax(-1)
            tokens = torch.cat((tokens, following[:, None]), 1)
    assert len({tuple(text) for text in texts}) > 3
    assert texts == tokens[:, given:].tolist()


def test_a_checkpoint_without_is_what_it_was_and_one_with_comes_back(tmp_path: Path) -> None:
    facts: dict[str, Any] = {"vocabulary": {}, "task": {}, "extra": {}}
    for loops in (1, 3):
        network = network_of("bidirectional", loops=loops)
        folder = checkpoint.save(tmp_path / str(loops), network, **facts)
        described = json.loads((folder / checkpoint.DESCRIPTION).read_text())["shape"]
        assert described.get("loops", "none") == (3 if loops == 3 else "none")
        again, _ = checkpoint.load(folder)
        assert again.shape == network.shape
        assert same(again(*sheets(2)), network(*sheets(2)))


@pytest.mark.parametrize("loops", [0, -1, 1.5, True, None])
def test_what_is_no_number_of_loops_is_refused(loops: Any) -> None:
    with pytest.raises(ValueError, match=rf"network loops={loops} must be a whole number of 1 or more"):
        replace(SHAPE, loops=loops)
