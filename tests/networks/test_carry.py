"""Laws of the carry: zeros are none, it is bounded whatever the number of passes, and it shows no seat."""

import gc
import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._pytree import tree_leaves

from dlmreason.canvas import Ask
from dlmreason.networks import checkpoint
from dlmreason.networks.denoiser import Denoise
from dlmreason.networks.shape import Shape
from dlmreason.networks.transformer import Transformer
from dlmreason.policies.doubt import AtRandom, Doubt
from dlmreason.policies.ordered import Ordered
from dlmreason.policies.scores import confidence
from dlmreason.sampling.denoise import Rows, Sampler

torch.set_num_threads(1)

MASK, LENGTH, WIDTH = 8, 12, 32
SHAPE = Shape(
    vocabulary_size=MASK + 1,
    length=LENGTH,
    feature_sizes=(4,),
    num_layers=2,
    width=WIDTH,
    num_heads=4,
    quality=True,
    carry=True,
)
PLAIN = [
    "positions",
    "tokens.weight",
    "features.weight",
    *(
        f"blocks.{number}.{part}.weight"
        for number in range(2)
        for part in ("attention_norm", "qkv", "out", "mlp_norm", "up", "down")
    ),
    "norm.weight",
    "head.weight",
]


def network_of(scale: float = 1.0, **changes: Any) -> Transformer:
    torch.manual_seed(0)
    network = Transformer(replace(SHAPE, **changes)).eval()
    with torch.no_grad():
        for weight in network.parameters():
            weight.mul_(scale if weight.dim() > 1 else 1)
    return network


def sheets(rows: int, seed: int = 1) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    tokens = torch.randint(0, MASK + 1, (rows, LENGTH), generator=generator)
    return tokens, torch.randint(0, 4, (rows, LENGTH, 1), generator=generator)


def carry_of(rows: int, seed: int = 2) -> Tensor:
    return torch.randn(rows, LENGTH, WIDTH, generator=torch.Generator().manual_seed(seed))


def test_a_network_without_is_what_it_was_before_there_were_any() -> None:
    """Its weights by name, in their order; those of a network with a carry begin with the same, drawn alike."""
    plain, carrying = (dict(network_of(carry=carry).named_parameters()) for carry in (False, True))
    assert list(plain) == PLAIN
    assert list(carrying) == [*PLAIN, "recall.weight", "recall.norm.weight"]
    assert all(torch.equal(weight, carrying[name]) for name, weight in plain.items())


def test_zeros_are_no_carry() -> None:
    plain, carrying = network_of(4.0, carry=False), network_of(4.0)
    tokens, features = sheets(3)
    with torch.no_grad():
        without = plain(tokens, features)
        for carry in (None, torch.zeros(3, LENGTH, WIDTH)):
            for one, other in zip(without, carrying(tokens, features, carry=carry), strict=True):
                assert torch.equal(one, other)
        assert not torch.equal(without.logits, carrying(tokens, features, carry=carry_of(3)).logits)


def test_a_carry_at_one_place_is_heard_at_all() -> None:
    network, (tokens, features) = network_of(4.0), sheets(1)
    carry = torch.zeros(1, LENGTH, WIDTH)
    carry[:, 5] = carry_of(1)[:, 5]
    with torch.no_grad():
        before, after = network(tokens, features), network(tokens, features, carry=carry)
    assert (before.logits != after.logits).any(-1).all()


def test_the_size_of_a_carry_says_nothing() -> None:
    """It is normed before it is read: a carry that grew could not take the stream over."""
    network, (tokens, features) = network_of(4.0).double(), sheets(2)
    with torch.no_grad():
        one, other = (network(tokens, features, carry=size * carry_of(2)).logits for size in (1.0, 1e4))
    assert (one - other).abs().max() < 1e-4 < (one - network(tokens, features).logits).abs().max()


def test_an_older_checkpoint_has_none(tmp_path: Path) -> None:
    network = network_of(carry=False)
    folder = checkpoint.save(tmp_path, network, vocabulary={}, task={}, extra={})
    description = json.loads((folder / checkpoint.DESCRIPTION).read_text())
    del description["shape"]["carry"]
    contents = {checkpoint.WEIGHTS: (folder / checkpoint.WEIGHTS).read_bytes()}
    contents[checkpoint.DESCRIPTION] = json.dumps(description).encode()
    (folder / checkpoint.DESCRIPTION).write_bytes(contents[checkpoint.DESCRIPTION])
    (folder / checkpoint.MANIFEST).write_text(checkpoint._manifest(contents))
    again, _ = checkpoint.load(folder)
    assert again.shape == network.shape and not again.carries
    assert all(torch.equal(a, b) for a, b in zip(again.parameters(), network.parameters(), strict=True))
    assert Shape(**json.loads(json.dumps(asdict(SHAPE)))) == SHAPE


def test_what_comes_out_is_what_goes_in() -> None:
    network, (tokens, features) = network_of(4.0), sheets(2)
    denoise = Denoise(network, MASK, LENGTH)
    ask = Ask(tokens, torch.zeros(2, dtype=torch.float64), denoise.first_carry(2))
    with torch.no_grad():
        first = denoise(ask, features)
        second = denoise(ask._replace(carry=first.carry), features)
        by_hand = network(tokens, features, carry=network(tokens, features).hidden)
    assert torch.equal(first.logits, network(tokens, features).logits)
    assert torch.equal(second.logits, by_hand.logits) and torch.equal(second.carry, by_hand.hidden)
    assert not torch.equal(first.logits, second.logits)
    bare = Denoise(network_of(carry=False), MASK)
    assert (bare.first_carry(2), bare(ask._replace(carry=()), features).carry) == ((), ())


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_a_carry_is_held_in_float32(dtype: torch.dtype) -> None:
    network, (tokens, features) = network_of(), sheets(2)
    network = network.double() if dtype == torch.float64 else network
    denoise = Denoise(network, MASK, LENGTH)
    ask = Ask(tokens, torch.zeros(2, dtype=torch.float64), denoise.first_carry(2))
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16, enabled=dtype == torch.bfloat16):
        carry = denoise(ask, features).carry
        again = denoise(ask._replace(carry=carry), features).carry
    assert {ask.carry.dtype, carry.dtype, again.dtype} == {torch.float32}
    assert ask.carry.shape == carry.shape == again.shape == (2, LENGTH, WIDTH)


@pytest.mark.parametrize("rows", [3, 5, 8])
def test_a_row_is_the_same_bytes_in_any_seat(rows: int) -> None:
    network, (tokens, features) = network_of(4.0), sheets(rows)
    denoise, carry = Denoise(network, MASK), carry_of(rows)
    level = torch.zeros(rows, dtype=torch.float64)
    with torch.no_grad():
        here = denoise(Ask(tokens, level, carry), features)
        for turn in range(1, rows):
            order = torch.arange(rows).roll(turn)
            there = denoise(Ask(tokens[order], level, carry[order]), features[order])
            assert torch.equal(there.carry, here.carry[order]) and torch.equal(there.logits, here.logits[order])


def test_a_thousand_passes_neither_grow_it_nor_the_memory() -> None:
    """Of an untrained network, over a canvas that never comes to rest."""
    network = network_of(feedforward=WIDTH, num_layers=1, feature_sizes=())
    tokens, _ = sheets(2)
    rows = Rows(
        torch.arange(2), tokens, torch.ones_like(tokens, dtype=torch.bool), torch.zeros(2, LENGTH, 0).long(), tokens
    )
    policy = Doubt(AtRandom(4), Ordered(confidence, 2, 1.0))
    sampler = Sampler(policy, Denoise(network, MASK, LENGTH), (1000,), width=2)
    bound = float(network.norm.weight.abs().max()) * WIDTH**0.5
    state = sampler.advance(sampler.init(rows), 1)
    sizes, alive, bytes_held, carries = [], [], [], set()
    for _ in range(10):
        state = sampler.advance(state, 100 - (not sizes))
        carry = state.ask.carry
        sizes.append(float(carry.norm(dim=-1).max()))
        bytes_held.append(sum(leaf.untyped_storage().nbytes() for leaf in tree_leaves(state)))
        alive.append(sum(1 for each in gc.get_objects() if isinstance(each, Tensor)))
        carries.add(carry.numpy().tobytes())
    assert state.nfe.tolist() == [1000, 1000]
    assert max(sizes) <= bound * (1 + 1e-6) and min(sizes) > 0.9 * bound
    assert len(set(bytes_held)) == 1 and len(set(alive[1:])) == 1
    assert len(carries) == 10  # it never stands still


def test_calls_that_make_no_sense_are_refused() -> None:
    tokens, features = sheets(2)
    with pytest.raises(ValueError, match="a carry for a network that takes none"):
        network_of(carry=False)(tokens, features, carry=carry_of(2))
    with pytest.raises(ValueError, match=r"a carry of shape \(2, 12, 32\) for a stream of shape \(2, 10, 32\).*length"):
        denoise = Denoise(network_of(), MASK)
        denoise(Ask(tokens[:, :10], torch.zeros(2), denoise.first_carry(2)), features[:, :10])
    with pytest.raises(ValueError, match=r"carry=true hands a state .* attention=bidirectional"):
        replace(SHAPE, attention="causal")
