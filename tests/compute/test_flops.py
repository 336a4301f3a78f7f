"""The analytic FLOPs are those that torch counts, and the closed forms are sums of single tokens."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from dlmreason.compute.flops import (
    block_causal_exact,
    block_flops,
    cached_pass_flops,
    causal_dense,
    causal_exact,
    chain_flops,
    forward_flops,
    generation_flops,
    pair_flops,
    pass_flops,
    prefill_flops,
    prompt_exact,
    prompt_flops,
    read_out_flops,
    training_flops,
)
from dlmreason.networks.attention import block_causal, prompt_apart, two_copies
from dlmreason.networks.shape import Shape
from dlmreason.networks.transformer import Transformer

torch.set_num_threads(1)


@st.composite
def shapes(draw: st.DrawFn, attention: str) -> Shape:
    heads = draw(st.integers(1, 4))
    length = draw(st.integers(2, 24))
    return Shape(
        vocabulary_size=draw(st.integers(2, 40)),
        length=length,
        feature_sizes=tuple(draw(st.lists(st.integers(1, 5), max_size=3))),
        num_layers=draw(st.integers(1, 3)),
        width=heads * 2 * draw(st.integers(1, 8)),
        num_heads=heads,
        feedforward=draw(st.integers(1, 64)),
        attention=attention,
        block=draw(st.integers(1, 25)) if attention == "block_causal" else 0,
        prompt=draw(st.integers(1, length - 1)) if attention == "prompt" else 0,
        positions=draw(st.sampled_from(["learned", "rotary"])),
        quality=draw(st.booleans()),
        carry=attention == "bidirectional" and draw(st.booleans()),
        loops=draw(st.integers(1, 2)),
    )


def counted(call: Callable[..., Any], *arguments: Any, **named: Any) -> int:
    with torch.no_grad(), sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        call(*arguments, **named)
    return counter.get_total_flops()


def sheet(shape: Shape, rows: int, length: int) -> tuple[torch.Tensor, torch.Tensor]:
    tokens = torch.zeros(rows, length, dtype=torch.int64)
    return tokens, torch.zeros(rows, length, len(shape.feature_sizes), dtype=torch.int64)


@settings(max_examples=50, deadline=None)
@given(shape=shapes("bidirectional"), rows=st.integers(1, 3), data=st.data())
def test_a_pass_is_what_torch_counts(shape: Shape, rows: int, data: st.DataObject) -> None:
    length = data.draw(st.integers(1, shape.length))
    network = Transformer(shape)
    assert counted(network, *sheet(shape, rows, length)) == rows * pass_flops(shape, length)
    if shape.carry:
        carry = torch.ones(rows, length, shape.width)
        assert counted(network, *sheet(shape, rows, length), carry=carry) == rows * pass_flops(shape, length)


@settings(max_examples=50, deadline=None)
@given(shape=shapes("causal"), rows=st.integers(1, 3), data=st.data())
def test_a_causal_forward_is_what_torch_counts_dense(shape: Shape, rows: int, data: st.DataObject) -> None:
    length = data.draw(st.integers(1, shape.length))
    dense = forward_flops(shape, length, causal_dense(length, length), length)
    assert counted(Transformer(shape), *sheet(shape, rows, length)) == rows * dense
    assert forward_flops(shape, length, causal_exact(0, length), length) <= dense


@settings(max_examples=50, deadline=None)
@given(shape=shapes("causal"), rows=st.integers(1, 3), data=st.data())
def test_a_cached_forward_is_what_torch_counts_over_the_cache(shape: Shape, rows: int, data: st.DataObject) -> None:
    queries = data.draw(st.integers(1, shape.length))
    heads = data.draw(st.integers(1, queries))
    at = torch.full((rows,), data.draw(st.integers(0, shape.length - queries)))
    network = Transformer(shape)
    read = torch.zeros(rows, heads, dtype=torch.int64)
    found = counted(network, *sheet(shape, rows, queries), cache=network.cache(rows), at=at, read=read)
    assert found == rows * forward_flops(shape, queries, causal_dense(queries, shape.length), heads)


@given(shape=shapes("causal"), prompt=st.integers(1, 30), generated=st.integers(1, 30), chains=st.integers(0, 5))
def test_generation_is_the_sum_of_its_tokens(shape: Shape, prompt: int, generated: int, chains: int) -> None:
    """One by one: token i is read once and attends to i + 1 keys; a chain's last token only where it is judged."""
    read = generated if shape.quality else generated - 1
    whole = sum(forward_flops(shape, 1, place + 1, 0) for place in range(prompt)) + forward_flops(shape, 0, 0, 1)
    chain = sum(forward_flops(shape, 1, place + 1, 1) for place in range(prompt, prompt + read))
    assert prefill_flops(shape, prompt) == whole
    assert chain_flops(shape, prompt, generated) == chain
    assert generation_flops(shape, prompt, generated, chains) == whole + chains * chain


@given(first=st.integers(0, 40), queries=st.integers(0, 40))
def test_attended_keys_by_counting(first: int, queries: int) -> None:
    seen = sum(1 for query in range(first, first + queries) for key in range(first + queries) if key <= query)
    assert causal_exact(first, queries) == seen
    assert causal_dense(queries, first + queries) >= seen


def test_one_pass_costs_about_one_whole_generation() -> None:
    """The fact that shapes every figure, with the numbers of the design: 8 layers, width 256, 81 + 81 positions."""
    sizes: dict[str, Any] = {"vocabulary_size": 12, "length": 162, "num_layers": 8, "width": 256, "num_heads": 8}
    diffusion, chain = Shape(**sizes), Shape(**sizes, attention="causal")
    heads_on_prompt = forward_flops(diffusion, 0, 0, 81)
    one_pass = pass_flops(diffusion, 162) - heads_on_prompt
    assert round(one_pass / 1e9, 3) == 2.254
    assert round(one_pass / generation_flops(chain, 81, 81, 1), 2) == 1.06
    apart = Shape(**sizes, attention="prompt", prompt=81)
    assert round(cached_pass_flops(apart, 162) / 1e9, 3) == 1.127


def test_training_is_three_forwards_and_what_the_objective_adds() -> None:
    sizes: dict[str, Any] = {"vocabulary_size": 7, "length": 10, "num_layers": 2, "width": 16, "num_heads": 2}
    diffusion, causal = Shape(**sizes), Shape(**sizes, attention="causal")
    assert training_flops(diffusion, 10, 5) == 15 * pass_flops(diffusion, 10)
    assert training_flops(diffusion, 10, 5, extra_forwards=2) == 25 * pass_flops(diffusion, 10)
    assert training_flops(causal, 10, 1) == 3 * forward_flops(causal, 10, 55, 10)


@settings(max_examples=50, deadline=None)
@given(shape=shapes("causal"), loops=st.integers(1, 9), queries=st.integers(0, 40), heads=st.integers(0, 40))
def test_a_loop_costs_the_layers_once_more(shape: Shape, loops: int, queries: int, heads: int) -> None:
    """And no more: heads and what enters are paid for once, whoever reads, a pass or a token of a chain."""
    alone = forward_flops(replace(shape, loops=1), queries, 7 * queries, 0)
    once = forward_flops(replace(shape, loops=1), queries, 7 * queries, heads)
    assert forward_flops(replace(shape, loops=loops), queries, 7 * queries, heads) == once + (loops - 1) * alone


@settings(max_examples=20, deadline=None)
@given(shape=shapes("bidirectional"), rows=st.integers(1, 3))
def test_reading_each_loop_out_is_what_torch_counts(shape: Shape, rows: int) -> None:
    network, given_ = Transformer(shape), sheet(shape, rows, shape.length)
    more = counted(network.at_each_loop, *given_) - counted(network, *given_)
    assert more == rows * read_out_flops(shape, shape.length)
    assert (more > 0) == (shape.loops > 1)


@pytest.mark.parametrize("loops", [1, 3])
@pytest.mark.parametrize("carry", [False, True])
def test_training_counts_what_torch_counts(carry: bool, loops: int) -> None:
    """A backward costs two forwards: each product of a layer has two gradients, those of the first inputs included."""
    sizes: dict[str, Any] = {"vocabulary_size": 7, "length": 10, "num_layers": 2, "width": 16, "num_heads": 2}
    shape = Shape(**sizes, quality=True, carry=carry, loops=loops)
    network = Transformer(shape)
    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        output = network(*sheet(shape, 3, 10), carry=torch.ones(3, 10, 16) if carry else None)
        (output.logits.sum() + output.quality.sum()).backward()
    assert counter.get_total_flops() == training_flops(shape, 10, 3)


@settings(max_examples=50, deadline=None)
@given(shape=shapes("block_causal"), rows=st.integers(1, 3), data=st.data())
def test_blocks_are_what_torch_counts_dense_and_what_their_masks_allow(
    shape: Shape, rows: int, data: st.DataObject
) -> None:
    """A plain pass, and one over two copies of which one has heads."""
    length = data.draw(st.integers(1, shape.length))
    network, (tokens, features) = Transformer(shape), sheet(shape, rows, length)
    dense = forward_flops(shape, length, causal_dense(length, length), length)
    both = forward_flops(shape, 2 * length, causal_dense(2 * length, 2 * length), length)
    assert counted(network, tokens, features) == rows * dense
    assert counted(network.paired, tokens, tokens, features, shape.block) == rows * both
    here = torch.device("cpu")
    allowed = int(block_causal(length, shape.block, here).sum()), int(two_copies(length, shape.block, here).sum())
    assert pass_flops(shape, length) == forward_flops(shape, length, allowed[0], length)
    assert pair_flops(shape, length) == forward_flops(shape, 2 * length, allowed[1], length)
    assert training_flops(shape, length, rows, extra_forwards=2) == rows * (
        3 * pair_flops(shape, length) + 2 * pass_flops(shape, length)
    )


@given(length=st.integers(0, 60))
def test_blocks_of_one_are_causal_and_one_block_is_everything(length: int) -> None:
    assert block_causal_exact(length, 1) == causal_exact(0, length)
    assert block_causal_exact(length, max(length, 1)) == block_causal_exact(length, 99) == length * length


@settings(max_examples=50, deadline=None)
@given(shape=shapes("prompt"), rows=st.integers(1, 3), data=st.data())
def test_a_prompt_apart_is_what_torch_counts(shape: Shape, rows: int, data: st.DataObject) -> None:
    """Read once and then behind it exactly; at once dense, with what the mask hides, which nobody is charged."""
    length = data.draw(st.integers(shape.prompt + 1, shape.length))
    network, (tokens, features) = Transformer(shape), sheet(shape, rows, length)
    cut, cache = shape.prompt, network.cache(rows)
    none = torch.zeros(rows, 0, dtype=torch.int64)
    prompt = counted(network, tokens[:, :cut], features[:, :cut], cache=cache, at=0, read=none)
    behind = counted(network, tokens[:, cut:], features[:, cut:], cache=cache, at=cut)
    assert (prompt, behind) == (rows * prompt_flops(shape), rows * cached_pass_flops(shape, length))
    dense = forward_flops(shape, length, causal_dense(length, length), length)
    assert counted(network, tokens, features) == rows * dense
    allowed = int(prompt_apart(length, cut, torch.device("cpu")).sum())
    assert pass_flops(shape, length) == forward_flops(shape, length, allowed, length)
    heads_on_prompt = forward_flops(shape, 0, 0, cut)
    assert pass_flops(shape, length) == prompt_flops(shape) + cached_pass_flops(shape, length) + heads_on_prompt
    assert training_flops(shape, length, rows, extra_forwards=2) == 5 * rows * pass_flops(shape, length)


@settings(max_examples=50, deadline=None)
@given(shape=shapes("block_causal"), rows=st.integers(1, 3), data=st.data())
def test_cached_blocks_are_what_torch_counts_over_the_cache(shape: Shape, rows: int, data: st.DataObject) -> None:
    """Dense; and without what the mask hides, all blocks one after another are a whole pass."""
    first = shape.block * data.draw(st.integers(0, (shape.length - 1) // shape.block))
    queries = data.draw(st.integers(1, shape.length - first))
    network = Transformer(shape)
    found = counted(network, *sheet(shape, rows, queries), cache=network.cache(rows), at=first)
    assert found == rows * forward_flops(shape, queries, causal_dense(queries, shape.length), queries)
    assert block_flops(shape, first, queries) <= found // rows
    cuts = range(0, shape.length, shape.block)
    each = [block_flops(shape, cut, min(shape.block, shape.length - cut)) for cut in cuts]
    assert sum(each) == pass_flops(shape, shape.length)


@given(length=st.integers(0, 60), prompt=st.integers(0, 60))
def test_keys_of_a_prompt_apart_by_counting(length: int, prompt: int) -> None:
    seen = [query >= prompt or key < prompt for query in range(length) for key in range(length)]
    assert prompt_exact(length, prompt) == sum(seen)


@pytest.mark.parametrize("attention", ["bidirectional", "block_causal"])
def test_who_keeps_no_prompt_pays_a_whole_pass_and_nothing_before(attention: str) -> None:
    block = 4 * (attention == "block_causal")
    sizes: dict[str, Any] = {"vocabulary_size": 7, "length": 10, "num_layers": 2, "width": 16, "num_heads": 2}
    shape = Shape(**sizes, attention=attention, block=block)
    assert (prompt_flops(shape), cached_pass_flops(shape, 10)) == (0, pass_flops(shape, 10))


def test_training_in_pairs_counts_what_torch_counts() -> None:
    """Torch multiplies what the masks hide too; that is all it adds."""
    shape = Shape(vocabulary_size=7, length=10, num_layers=2, width=16, num_heads=2, attention="block_causal", block=4)
    network, (tokens, features) = Transformer(shape), sheet(shape, 3, 10)
    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        network.paired(tokens, tokens, features, 4).logits.sum().backward()
    hidden = causal_dense(20, 20) - 2 * block_causal_exact(10, 4)
    assert counter.get_total_flops() == training_flops(shape, 10, 3) + 9 * forward_flops(shape, 0, hidden, 0)


def test_training_with_a_prompt_apart_counts_what_torch_counts() -> None:
    """Torch multiplies what the mask hides too; that is all it adds."""
    shape = Shape(vocabulary_size=7, length=10, num_layers=2, width=16, num_heads=2, attention="prompt", prompt=4)
    network = Transformer(shape)
    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        network(*sheet(shape, 3, 10)).logits.sum().backward()
    hidden = causal_dense(10, 10) - prompt_exact(10, 4)
    assert counter.get_total_flops() == training_flops(shape, 10, 3) + 9 * forward_flops(shape, 0, hidden, 0)
