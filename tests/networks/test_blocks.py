"""Laws of attention in blocks: who reads whom, what two copies say at once, and what a plain pass makes of it."""

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from dlmreason.canvas import Ask
from dlmreason.networks.attention import block_causal, two_copies
from dlmreason.networks.denoiser import Denoise
from dlmreason.networks.shape import Shape
from dlmreason.networks.transformer import Transformer
from tests.nets import opinionated

torch.set_num_threads(1)

SHAPE = Shape(
    vocabulary_size=9,
    length=10,
    feature_sizes=(4, 3),
    num_layers=2,
    width=32,
    num_heads=4,
    attention="block_causal",
    block=4,
    quality=True,
)
CPU = torch.device("cpu")
MASK = 8


def network_of(block: int, positions: str = "learned", **changes: Any) -> Transformer:
    return opinionated(replace(SHAPE, block=block, positions=positions, **changes))


def texts(rows: int, length: int = 10, seed: int = 1) -> tuple[Tensor, Tensor, Tensor]:
    """Noised, clean, features."""
    generator = torch.Generator().manual_seed(seed)
    clean = torch.randint(0, MASK, (rows, length), generator=generator)
    noised = torch.where(torch.rand(rows, length, generator=generator) < 0.5, MASK, clean)
    columns = [torch.randint(0, size, (rows, length), generator=generator) for size in SHAPE.feature_sizes]
    return noised, clean, torch.stack(columns, -1)


@pytest.mark.parametrize("block", [1, 3, 4, 7])
@pytest.mark.parametrize("length", [4, 7])
def test_the_masks_by_their_definition(length: int, block: int) -> None:
    """The three parts of the published mask, pair by pair."""
    both = two_copies(length, block, CPU)
    for query in range(2 * length):
        for key in range(2 * length):
            mine, its = query % length // block, key % length // block
            noised, clean = query < length, key >= length
            same_copy = mine == its and noised != clean
            to_what_came = mine > its and clean and noised
            among_clean = mine >= its and clean and not noised
            assert bool(both[query, key]) == (same_copy or to_what_came or among_clean)
    assert torch.equal(block_causal(length, block, CPU), both[length:, length:])


@pytest.mark.parametrize("positions", ["learned", "rotary"])
def test_one_block_of_all_is_bidirectional(positions: str) -> None:
    network = network_of(10, positions)
    plain = Transformer(replace(network.shape, attention="bidirectional", block=0))
    plain.load_state_dict(network.state_dict())
    noised, clean, features = texts(3)
    with torch.no_grad():
        whole, pairs, alone = (
            plain(noised, features),
            network.paired(noised, clean, features, 10),
            network(noised, features),
        )
    for said in (pairs, alone):
        assert (said.logits - whole.logits).abs().max() < 1e-5
        assert (said.quality - whole.quality).abs().max() < 1e-5


def test_blocks_of_one_are_causal() -> None:
    network = network_of(1)
    plain = Transformer(replace(network.shape, attention="causal", block=0))
    plain.load_state_dict(network.state_dict())
    noised, _, features = texts(3)
    with torch.no_grad():
        assert (network(noised, features).logits - plain(noised, features).logits).abs().max() < 1e-5


@pytest.mark.parametrize("positions", ["learned", "rotary"])
@pytest.mark.parametrize("block", [1, 3, 4, 10])
def test_both_copies_at_once_are_a_plain_pass_for_each_block(block: int, positions: str) -> None:
    """Clean before the block, noised in it, cut off behind it or with anything there: what a policy's canvas is."""
    network = network_of(block, positions)
    noised, clean, features = texts(3)
    with torch.no_grad():
        pairs = network.paired(noised, clean, features, block)
        for start in range(0, 10, block):
            end = min(start + block, 10)
            canvas = torch.cat((clean[:, :start], noised[:, start:end]), 1)
            cut = network(canvas, features[:, :end])
            anything = torch.cat((canvas, 8 - clean[:, end:]), 1)
            uncut = network(anything, features)
            for said in (cut, uncut):
                assert (said.logits[:, start:end] - pairs.logits[:, start:end]).abs().max() < 1e-5
                assert (said.quality[:, start:end] - pairs.quality[:, start:end]).abs().max() < 1e-5
            if start:  # the control: a noised context says something else
                other = network(noised, features).logits[:, start:end]
                assert (other - pairs.logits[:, start:end]).abs().max() > 1e-2


@pytest.mark.parametrize("block", [1, 3, 5])
def test_nothing_leaks(block: int) -> None:
    """The gradient of a block's logits: none from the clean copy of itself or what follows, nor from others' noise."""
    network = network_of(block)
    noised, clean, features = texts(2)
    read: list[Tensor] = []

    def keep(module: Any, given: Any, said: Tensor) -> None:
        said.retain_grad()
        read.append(said)

    handle = network.tokens.register_forward_hook(keep)
    for start in range(0, 10, block):
        here = slice(start, start + block)
        logits = network.paired(noised, clean, features, block).logits[:, here]
        logits.mul(torch.randn(logits.shape, generator=torch.Generator().manual_seed(2))).sum().backward()
        gradient = read.pop().grad
        assert gradient is not None
        of_noised, of_clean = (part.abs().amax((0, 2)) for part in gradient.chunk(2))
        own = torch.zeros(10, dtype=torch.bool)
        own[here] = True
        before = torch.arange(10) < start
        assert (of_noised[~own] == 0).all() and (of_noised[own] > 0).all()
        assert (of_clean[~before] == 0).all() and (of_clean[before] > 0).all()
    handle.remove()


@pytest.mark.parametrize("block", [1, 3, 4])
@pytest.mark.parametrize(("rows", "length"), [(5, 7), (3, 10), (8, 10)])
def test_a_row_is_the_same_bytes_in_any_seat(rows: int, length: int, block: int) -> None:
    network = network_of(block)
    noised, _, features = texts(rows, length)
    denoise, level = Denoise(network, mask_id=MASK), torch.zeros(rows, dtype=torch.float64)
    with torch.no_grad():
        here = denoise(Ask(noised, level, ()), features)
        for turn in range(1, rows):
            order = torch.arange(rows).roll(turn)
            there = denoise(Ask(noised[order], level, ()), features[order])
            assert torch.equal(there.logits, here.logits[order])
            assert there.quality is not None and here.quality is not None
            assert torch.equal(there.quality, here.quality[order])


def test_bf16_autocast_stays_near_in_both_passes() -> None:
    network, (noised, clean, features) = network_of(3), texts(2)
    with torch.no_grad():
        for call in (lambda: network(noised, features), lambda: network.paired(noised, clean, features, 3)):
            exact = call().logits
            with torch.autocast("cpu", dtype=torch.bfloat16):
                rough = call().logits
            assert rough.dtype == torch.float32
            assert 0 < (rough - exact).abs().max() < 0.1 * exact.abs().max()


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"block": 0}, "attention=block_causal and block=0 do not fit: .*a block of 1 position or more"),
        ({"attention": "bidirectional"}, "attention=bidirectional and block=4 do not fit"),
        ({"attention": "causal"}, "attention=causal and block=4 do not fit"),
        ({"block": -1}, "block=-1 must be a whole number"),
        ({"block": 2.0}, "block=2.0 must be a whole number"),
        ({"block": True}, "block=True must be a whole number"),
    ],
)
def test_a_shape_whose_blocks_make_no_sense_is_refused(changes: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        replace(SHAPE, **changes)


def test_other_blocks_than_the_networks_are_refused() -> None:
    network = network_of(4)
    noised, clean, features = texts(1)
    with pytest.raises(ValueError, match=r"blocks of 2 are to be read.*block_causal, block=4: give its Shape"):
        network.paired(noised, clean, features, 2)
    plain = Transformer(replace(SHAPE, attention="bidirectional", block=0))
    with pytest.raises(ValueError, match=r"attention=bidirectional, block=0: give its Shape attention=block_causal"):
        plain.paired(noised, clean, features, 2)
