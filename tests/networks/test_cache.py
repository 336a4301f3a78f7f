"""Laws of the caches: in any parts that a kind of attention allows, a sheet reads as it does whole; others are
refused."""

from dataclasses import replace
from itertools import chain
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from dlmreason.networks.attention import prompt_apart
from dlmreason.networks.shape import Shape
from dlmreason.networks.transformer import Output, Transformer
from tests.nets import opinionated

torch.set_num_threads(1)

LENGTH = 20
SHAPE = Shape(
    vocabulary_size=9,
    length=LENGTH,
    feature_sizes=(4, 3),
    num_layers=2,
    width=32,
    num_heads=4,
    attention="prompt",
    prompt=7,
    quality=True,
)
POSITIONS = pytest.mark.parametrize("positions", ["learned", "rotary"])
PRECISION = pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-5), (torch.float64, 1e-12)])


def network_of(dtype: torch.dtype = torch.float64, scale: float = 2.0, **changes: Any) -> Transformer:
    return opinionated(replace(SHAPE, **changes), dtype, scale)


def in_blocks(block: int, dtype: torch.dtype = torch.float64, **changes: Any) -> Transformer:
    return network_of(dtype, attention="block_causal", block=block, prompt=0, **changes)


def sheets(rows: int, length: int, seed: int = 1) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    tokens = torch.randint(0, SHAPE.vocabulary_size, (rows, length), generator=generator)
    columns = [torch.randint(0, size, (rows, length), generator=generator) for size in SHAPE.feature_sizes]
    return tokens, torch.stack(columns, -1)


def apart(one: Output, other: Output) -> float:
    """The largest difference of anything that is said."""
    pairs = zip(one, other, strict=True)
    return max(float((a - b).abs().max()) for a, b in pairs if a is not None and b is not None)


def part(said: Output, *where: Any) -> Output:
    return Output(said.logits[where], None if said.quality is None else said.quality[where], said.hidden[where])


@POSITIONS
@PRECISION
@settings(max_examples=15, deadline=None)
@given(data=st.data())
def test_behind_a_read_prompt_a_pass_says_what_a_whole_one_does(
    data: st.DataObject, positions: str, dtype: torch.dtype, tolerance: float
) -> None:
    """Any length of prompt and sheet, any split of the rows, pass after pass from one reading."""
    length = data.draw(st.integers(2, LENGTH))
    prompt, rows = data.draw(st.integers(1, length - 1)), data.draw(st.integers(1, 4))
    network = network_of(dtype, prompt=prompt, positions=positions)
    tokens, features = sheets(rows, length)
    cut = data.draw(st.integers(0, rows))
    with torch.no_grad():
        for here in (slice(0, cut), slice(cut, rows)):
            given, held = tokens[here].clone(), features[here]
            if not len(given):
                continue
            cache = network.cache(len(given))
            read = network(given[:, :prompt], held[:, :prompt], cache=cache, at=0)
            assert apart(read, part(network(given, held), slice(None), slice(0, prompt))) < tolerance
            before = [kept.clone() for kept in chain(*cache.layers)]
            for seed in (2, 3):
                given[:, prompt:] = sheets(len(given), length - prompt, seed)[0]
                said = network(given[:, prompt:], held[:, prompt:], cache=cache, at=prompt)
                assert apart(said, part(network(given, held), slice(None), slice(prompt, None))) < tolerance
            assert all(map(torch.equal, before, chain(*cache.layers))), "what is behind the prompt is not kept"


@POSITIONS
@PRECISION
@settings(max_examples=15, deadline=None)
@given(data=st.data())
def test_blocks_say_one_after_another_what_they_say_at_once(
    data: st.DataObject, positions: str, dtype: torch.dtype, tolerance: float
) -> None:
    """Any block, each row at its own one, any number of them in a call, whatever stood in the cache before."""
    block = data.draw(st.integers(1, 9))
    network = in_blocks(block, dtype, positions=positions)
    length = data.draw(st.integers(1, LENGTH))
    tokens, features = sheets(2, length)
    cache = network.cache(2)
    for kept in chain(*cache.layers):
        kept.fill_(7.0)
    with torch.no_grad():
        whole = network(tokens, features)
        at = 0
        while at < length:
            end = min(at + block * data.draw(st.integers(1, 3)), length)
            said = network(tokens[:, at:end], features[:, at:end], cache=cache, at=at)
            assert apart(said, part(whole, slice(None), slice(at, end))) < tolerance
            at = end
        blocks = length // block
        if blocks:  # each row where it wants; a block that is read anew finds what was before it
            starts = torch.tensor([block * data.draw(st.integers(0, blocks - 1)) for _ in range(2)])
            row, places = torch.arange(2)[:, None], starts[:, None] + torch.arange(block)
            said = network(tokens[row, places], features[row, places], cache=cache, at=starts)
            assert apart(said, part(whole, row, places)) < tolerance


def test_one_number_for_all_rows_is_as_good_as_one_each() -> None:
    network = network_of(attention="causal", prompt=0)
    tokens, features = sheets(3, 9)
    with torch.no_grad():
        one, other = network.cache(3), network.cache(3)
        for start, end in ((0, 4), (4, 9)):
            here = tokens[:, start:end], features[:, start:end]
            said = network(*here, cache=one, at=start)
            assert apart(said, network(*here, cache=other, at=torch.full((3,), start))) == 0
        assert apart(said, part(network(tokens, features), slice(None), slice(4, 9))) < 1e-12


def test_the_mask_by_its_definition() -> None:
    mask = prompt_apart(5, 2, torch.device("cpu"))
    assert mask.tolist() == [[query >= 2 or key < 2 for key in range(5)] for query in range(5)]


@POSITIONS
def test_a_prompt_reads_nothing_behind_it_and_everything_else_reads_all(positions: str) -> None:
    network, (tokens, features) = network_of(positions=positions), sheets(2, 20)
    changed = tokens.clone()
    changed[:, 19] = (changed[:, 19] + 1) % 8
    with torch.no_grad():
        before, after = network(tokens, features), network(changed, features)
        assert torch.equal(before.logits[:, :7], after.logits[:, :7])
        assert (before.logits[:, 7:] != after.logits[:, 7:]).any(-1).all()
        changed = tokens.clone()
        changed[:, 6] = (changed[:, 6] + 1) % 8
        assert (network(changed, features).logits != before.logits).any(-1).all(), "all read the prompt's end"


def test_a_cache_of_what_reads_the_answer_is_not_exact() -> None:
    """The control: the same weights, bidirectional, say something else of the answer than behind a prompt apart."""
    network, (tokens, features) = network_of(scale=4.0), sheets(2, 20)
    plain = Transformer(replace(SHAPE, attention="bidirectional", prompt=0)).double()
    plain.load_state_dict(network.state_dict())
    with torch.no_grad():
        assert (plain(tokens, features).logits - network(tokens, features).logits)[:, 7:].abs().max() > 1e-2


def test_bf16_autocast_stays_near_in_both_parts() -> None:
    network, (tokens, features) = network_of(torch.float32), sheets(2, 20)

    def said() -> Tensor:
        cache = network.cache(2)
        network(tokens[:, :7], features[:, :7], cache=cache, at=0)
        return network(tokens[:, 7:], features[:, 7:], cache=cache, at=7).logits

    with torch.no_grad():
        exact = said()
        with torch.autocast("cpu", dtype=torch.bfloat16):
            rough = said()
    assert 0 < (rough - exact).abs().max() < 0.1 * exact.abs().max()


@pytest.mark.parametrize("rows", [3, 5, 8])
@pytest.mark.parametrize("length", [12, 20])
def test_a_row_is_the_same_bytes_in_any_seat(rows: int, length: int) -> None:
    network, (tokens, features) = network_of(torch.float32, 4.0), sheets(rows, length)

    def said(order: Tensor) -> Output:
        given, held, cache = tokens[order], features[order], network.cache(rows)
        network(given[:, :7], held[:, :7], cache=cache, at=0)
        return network(given[:, 7:], held[:, 7:], cache=cache, at=7)

    with torch.no_grad():
        here = said(torch.arange(rows))
        for turn in range(1, rows):
            order = torch.arange(rows).roll(turn)
            assert apart(said(order), part(here, order)) == 0


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"prompt": 0}, "attention=prompt, prompt=0 and length=20 do not fit: .*a prompt of 1 position or more"),
        ({"prompt": 20}, "prompt=20 and length=20 do not fit: .*leaves 1 or more behind it"),
        ({"attention": "bidirectional"}, "attention=bidirectional, prompt=7 .*any other attention prompt=0"),
        ({"attention": "causal"}, "attention=causal, prompt=7"),
        ({"prompt": -1}, "prompt=-1 must be a whole number"),
        ({"prompt": 2.0}, "prompt=2.0 must be a whole number"),
        ({"prompt": True}, "prompt=True must be a whole number"),
        ({"block": 4}, "attention=prompt and block=4 do not fit"),
        ({"carry": True}, "a prompt that is read once is handed none: set attention=bidirectional"),
    ],
)
def test_a_shape_whose_prompt_makes_no_sense_is_refused(changes: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        replace(SHAPE, **changes)


@pytest.mark.parametrize(
    ("first", "end", "length"), [(0, 6, 0), (0, 8, 0), (7, 8, 20), (8, 10, 0), (3, 10, 0), (7, 21, 0)]
)
def test_other_parts_than_prompt_and_rest_are_refused(first: int, end: int, length: int) -> None:
    network, (tokens, features) = network_of(), sheets(1, 25)
    with pytest.raises(ValueError, match=r"read in two parts, the prompt at=0, of 7 tokens, .* of 13 at most"):
        network(tokens[:, first:end], features[:, first:end], cache=network.cache(1, length), at=first)


def test_a_prompt_apart_has_one_place_for_all_rows() -> None:
    network, (tokens, features) = network_of(), sheets(1, 7)
    with pytest.raises(ValueError, match="read in two parts"):
        network(tokens, features, cache=network.cache(1), at=torch.tensor([0]))


@pytest.mark.parametrize("at", [2, torch.tensor([4, 2])])
def test_parts_of_blocks_are_refused(at: Any) -> None:
    network, (tokens, features) = in_blocks(4), sheets(2, 4)
    with pytest.raises(ValueError, match=r"tokens at 2 begin within a block of 4, .*: read whole blocks"):
        network(tokens, features, cache=network.cache(2), at=at)


@pytest.mark.parametrize("at", [-1, 17])
def test_tokens_beyond_a_cache_are_refused(at: int) -> None:
    network, (tokens, features) = network_of(attention="causal", prompt=0), sheets(1, 4)
    with pytest.raises(ValueError, match=f"4 tokens at {at} do not fit the 20 positions"):
        network(tokens, features, cache=network.cache(1), at=at)
