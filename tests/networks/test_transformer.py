"""Laws of the network: what it may see, what its cache must equal, and that nobody's seat shows in a row's numbers."""

import json
from dataclasses import asdict, replace
from itertools import chain
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from dlmreason.canvas import Ask, take
from dlmreason.networks.cache import Cache
from dlmreason.networks.denoiser import Denoise
from dlmreason.networks.shape import Shape
from dlmreason.networks.transformer import Transformer, _turn
from tests.nets import opinionated

torch.set_num_threads(1)

SHAPE = Shape(vocabulary_size=9, length=40, feature_sizes=(4, 3), num_layers=2, width=32, num_heads=4, quality=True)


def network_of(dtype: torch.dtype = torch.float32, scale: float = 4.0, **changes: Any) -> Transformer:
    return opinionated(replace(SHAPE, **changes), dtype, scale)


def sheets(rows: int, length: int, seed: int = 1) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    tokens = torch.randint(0, SHAPE.vocabulary_size, (rows, length), generator=generator)
    columns = [torch.randint(0, size, (rows, length), generator=generator) for size in SHAPE.feature_sizes]
    return tokens, torch.stack(columns, -1)


@pytest.mark.parametrize("positions", ["learned", "rotary"])
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-5), (torch.float64, 1e-12)])
@settings(max_examples=15, deadline=None)
@given(data=st.data())
def test_cached_equals_uncached(data: st.DataObject, positions: str, dtype: torch.dtype, tolerance: float) -> None:
    """Any prompt length, any split into calls, each row at its own position, whatever stood in the cache before."""
    network = network_of(dtype, scale=2.0, attention="causal", positions=positions)
    lengths = data.draw(st.lists(st.integers(1, 30), min_size=2, max_size=3))
    rows = len(lengths)
    tokens, features = sheets(rows, 40)
    cache = network.cache(rows)
    for kept in chain(*cache.layers):
        kept.fill_(7.0)
    at = torch.zeros(rows, dtype=torch.int64)
    with torch.no_grad():
        whole = network(tokens, features)
        network(tokens[:, : max(lengths)], features[:, : max(lengths)], cache=cache, at=at)
        at = torch.tensor(lengths)  # shorter rows overwrite what they read beyond their own length
        while at.max() < 40:
            count = data.draw(st.integers(1, min(4, 40 - int(at.max()))))
            places = at[:, None] + torch.arange(count)
            here = torch.arange(rows)[:, None]
            output = network(tokens[here, places], features[here, places], cache=cache, at=at)
            assert (output.logits - whole.logits[here, places]).abs().max() < tolerance
            assert (output.quality - whole.quality[here, places]).abs().max() < tolerance
            at = at + count


def test_a_causal_network_never_sees_what_comes_after() -> None:
    network = network_of(attention="causal")
    tokens, features = sheets(2, 20)
    with torch.no_grad():
        before = network(tokens, features)
        after = network(torch.cat((tokens[:, :11], 8 - tokens[:, 11:]), 1), features)
    assert torch.equal(before.logits[:, :11], after.logits[:, :11])
    assert torch.equal(before.quality[:, :11], after.quality[:, :11])
    assert (before.logits[:, 11:] != after.logits[:, 11:]).any(-1).all()


def test_a_bidirectional_network_sees_the_whole_canvas() -> None:
    network = network_of()
    tokens, features = sheets(1, 20)
    changed = tokens.clone()
    changed[0, 19] = (changed[0, 19] + 1) % 8
    with torch.no_grad():
        before, after = network(tokens, features), network(changed, features)
    assert (before.logits != after.logits).any(-1).all()
    assert (before.quality != after.quality).all()


@pytest.mark.parametrize("positions", ["learned", "rotary"])
def test_places_matter(positions: str) -> None:
    """Two like tokens at two places read differently, and the places of the others matter too: a negative control."""
    network = network_of(positions=positions)
    tokens = torch.tensor([[1, 2, 3, 1, 2, 4]])
    features = torch.zeros(1, 6, 2, dtype=torch.int64)
    with torch.no_grad():
        one = network(tokens, features).logits[0]
        other = network(tokens.flip(1), features).logits[0].flip(0)
    assert not torch.allclose(one[0], one[3], atol=1e-3)
    assert not torch.allclose(one, other, atol=1e-3)


def test_rotary_positions_are_relative() -> None:
    """Shifted in the cache by some places, a text that begins there reads the same."""
    network = network_of(torch.float64, attention="causal", positions="rotary")
    query = torch.randn(8, dtype=torch.float64)
    key = torch.randn(8, dtype=torch.float64)

    def parts(x: Tensor, place: int) -> Tensor:
        """x as query, as key and as value of that place."""
        cos, sin = network.positions[place][:, :, None].double()
        return _turn(x.expand(3, 1, 8), cos, sin)[:, 0]

    def turned(x: Tensor, place: int) -> Tensor:
        as_query, as_key, as_value = parts(x, place)
        assert torch.equal(as_query, as_key)
        assert torch.equal(as_value, x)
        return as_query

    one, other = turned(query, 9) @ turned(key, 4), turned(query, 25) @ turned(key, 20)
    assert one == pytest.approx(float(other), abs=1e-5)
    assert abs(float(one - turned(query, 9) @ turned(key, 5))) > 1e-3


def test_feature_columns_do_not_mix_and_none_adds_nothing() -> None:
    network = network_of()
    assert network.features is not None
    table = network.features.weight
    tokens = torch.zeros(1, 1, dtype=torch.int64)
    seen = {}
    for first in range(4):
        for second in range(3):
            x, _ = network._enter(tokens, torch.tensor([[[first, second]]]))
            seen[first, second] = x
    added = {pair: x - seen[0, 0] for pair, x in seen.items()}
    assert len({tuple(x.flatten().tolist()) for x in seen.values()}) == 12
    for first, second in seen:
        assert torch.allclose(added[first, second], added[first, 0] + added[0, second], atol=1e-6)
    assert torch.equal(table[0], torch.zeros(32))
    assert torch.equal(seen[0, 0], network.tokens(tokens) + network.positions[:1])


def test_the_row_of_no_feature_is_never_trained() -> None:
    network = network_of()
    assert network.features is not None
    network(*sheets(4, 20)).logits.square().sum().backward()
    gradient = network.features.weight.grad
    assert gradient is not None
    assert (gradient[0] == 0).all()
    assert (gradient[1:] != 0).any(1).all()


@pytest.mark.parametrize(("rows", "length"), [(5, 7), (3, 16), (8, 36)])
@pytest.mark.parametrize("width", [32, 36])
def test_a_row_is_the_same_bytes_in_any_seat(rows: int, length: int, width: int) -> None:
    network = network_of(width=width)
    tokens, features = sheets(rows, length)
    denoise = Denoise(network, mask_id=8)
    level = torch.zeros(rows, dtype=torch.float64)
    with torch.no_grad():
        here = denoise(Ask(tokens, level, ()), features)
        for turn in range(1, rows):
            order = torch.arange(rows).roll(turn)
            there = denoise(Ask(tokens[order], level, ()), features[order])
            assert torch.equal(there.logits, here.logits[order])
            assert there.quality is not None
            assert here.quality is not None
            assert torch.equal(there.quality, here.quality[order])


def test_heads_where_asked_are_those_of_the_whole_sheet() -> None:
    network = network_of(torch.float64)
    tokens, features = sheets(3, 12)
    read = torch.tensor([[0, 5], [11, 11], [3, 2]])
    with torch.no_grad():
        whole, some = network(tokens, features), network(tokens, features, read=read)
    here = torch.arange(3)[:, None]
    assert (some.logits - whole.logits[here, read]).abs().max() < 1e-12
    assert (some.quality - whole.quality[here, read]).abs().max() < 1e-12
    assert some.logits.shape == (3, 2, SHAPE.outputs)


@pytest.mark.parametrize("attention", ["causal", "bidirectional"])
def test_bf16_autocast_stays_near_and_heads_stay_exact(attention: str) -> None:
    network = network_of(attention=attention, scale=1.0)
    tokens, features = sheets(2, 12)
    with torch.no_grad():
        exact = network(tokens, features)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            rough = network(tokens, features)
            assert network.cache(1).layers[0].keys.dtype == torch.bfloat16
    assert rough.logits.dtype == torch.float32
    assert 0 < (rough.logits - exact.logits).abs().max() < 0.05 * exact.logits.abs().max() + 0.01


@pytest.mark.slow
@pytest.mark.parametrize("positions", ["learned", "rotary"])
def test_compiles_without_a_break(positions: str) -> None:
    network = network_of(attention="causal", positions=positions)
    compiled = torch.compile(network, fullgraph=True)
    tokens, features = sheets(2, 8)
    at = torch.tensor([0, 3])
    with torch.no_grad():
        assert (compiled(tokens, features).logits - network(tokens, features).logits).abs().max() < 1e-4
        one, other = network.cache(2), network.cache(2)
        plain = network(tokens, features, cache=one, at=at).logits
        assert (compiled(tokens, features, cache=other, at=at).logits - plain).abs().max() < 1e-4
    assert all(torch.allclose(a, b, atol=1e-4) for a, b in zip(chain(*one.layers), chain(*other.layers), strict=True))


def test_a_cache_begins_from_a_read_prompt() -> None:
    network = network_of(torch.float64, attention="causal")
    tokens, features = sheets(2, 12)
    short, long = network.cache(2, 12), network.cache(3)
    index = torch.tensor([1, 0, 1])
    with torch.no_grad():
        network(tokens, features, cache=short, at=torch.zeros(2, dtype=torch.int64))
        long.begin(torch.tensor([2, 0, 1]), short.take(index))
        following = sheets(3, 1, seed=4)
        cached = network(*following, cache=long, at=torch.full((3,), 12))
        order = torch.tensor([0, 1, 1])  # row 2 took prompt 1, row 0 prompt 0, row 1 prompt 1
        whole = network(*(torch.cat((a[order], b), 1) for a, b in zip((tokens, features), following, strict=True)))
    assert (cached.logits[:, 0] - whole.logits[:, -1]).abs().max() < 1e-12
    assert isinstance(take(short, index), Cache)


def test_reading_is_a_chance_strictly_inside_zero_and_one() -> None:
    network = network_of(scale=1.0)
    with torch.no_grad():
        network.head.weight[-1] *= 1e3
    tokens, features = sheets(2, 12)
    ask = Ask(tokens, torch.zeros(2, dtype=torch.float64), ())
    with torch.no_grad():
        reading = Denoise(network, mask_id=8)(ask, features)
        logit = network(tokens, features).quality
    assert reading.of is ask
    assert reading.quality is not None
    assert logit.abs().max() > 37  # where a float64 sigmoid would be 1
    assert ((reading.quality > 0) & (reading.quality < 1)).all()
    assert torch.allclose(reading.quality.logit(), logit.double().clamp(-30, 30), rtol=1e-3)
    assert Denoise(network_of(quality=False), mask_id=8)(ask, features).quality is None


def test_parameters_are_counted_and_start_as_gpt2() -> None:
    network = Transformer(replace(SHAPE, width=64, num_layers=8, feedforward=0))
    per_layer = 12 * 64 * 64 + 2 * 64
    outside = (9 + 40 + 6 + SHAPE.outputs + 1) * 64 + 64
    assert network.num_parameters == 8 * per_layer + outside
    assert network.blocks[0].up.weight.std().item() == pytest.approx(0.02, rel=0.05)
    assert network.blocks[0].down.weight.std().item() == pytest.approx(0.02 / 4, rel=0.05)


def test_shape_survives_json_and_fills_what_was_left_out() -> None:
    assert Shape(**json.loads(json.dumps(asdict(SHAPE)))) == SHAPE
    assert (SHAPE.outputs, SHAPE.feedforward) == (8, 128)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"width": 30}, r"width=30 must be divisible by num_heads=4: try one of \[1, 2, 3, 5, 6, 10, 15\]"),
        ({"width": 12, "positions": "rotary"}, "gives 3 per head"),
        ({"num_layers": 0}, "num_layers=0 must be a whole number of 1 or more"),
        ({"length": 2.5}, "length=2.5"),
        ({"outputs": 10}, "outputs=10 is above vocabulary_size=9"),
        ({"attention": "sideways"}, "'sideways' is none of causal, bidirectional"),
        ({"positions": "none"}, "'none' is none of learned, rotary"),
        ({"feature_sizes": (4, 0)}, "must each be 1 or more"),
    ],
)
def test_a_shape_that_makes_no_network_is_refused(changes: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        replace(SHAPE, **{"feedforward": 0, **changes})


def test_calls_that_make_no_sense_are_refused() -> None:
    network = network_of()
    tokens, features = sheets(1, 12)
    with pytest.raises(ValueError, match="takes 2 ids per position"):
        network(tokens, features[..., :1])
    with pytest.raises(ValueError, match="41 tokens do not fit the 40 positions"):
        network(*sheets(1, 41))
    with pytest.raises(ValueError, match="come together"):
        network(tokens, features, at=torch.tensor([0]))
    with pytest.raises(ValueError, match="needs attention=causal"):
        network(tokens, features, cache=network.cache(1), at=torch.tensor([0]))
