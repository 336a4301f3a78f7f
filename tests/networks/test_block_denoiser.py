"""Laws of reading one block a call: what is said of the block under way is what a pass over the whole sheet says of it,
and a call costs what torch counts."""

from dataclasses import replace
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from dlmreason.canvas import Ask, Reading
from dlmreason.compute.flops import block_call_flops, block_flops, pass_flops
from dlmreason.networks.block_denoiser import DenoiseBlocks, InBlocks
from dlmreason.networks.denoiser import Denoise
from dlmreason.networks.shape import Shape
from dlmreason.networks.transformer import Transformer
from tests.nets import opinionated

torch.set_num_threads(1)

LENGTH, MASK = 14, 8
SHAPE = Shape(
    vocabulary_size=MASK + 1,
    length=LENGTH,
    feature_sizes=(4, 3),
    num_layers=2,
    width=32,
    num_heads=4,
    attention="block_causal",
    block=4,
    quality=True,
)
LEVEL = torch.zeros(3, dtype=torch.float64)


def network_of(block: int, **changes: Any) -> Transformer:
    return opinionated(replace(SHAPE, block=block, **changes), torch.float64, 2.0)


def texts(rows: int, length: int, seed: int = 1) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    tokens = torch.randint(0, MASK, (rows, length), generator=generator)
    columns = [torch.randint(0, size, (rows, length), generator=generator) for size in SHAPE.feature_sizes]
    return tokens, torch.stack(columns, -1)


def passed(denoise: DenoiseBlocks, canvas: Tensor, held: InBlocks, paid: Tensor) -> tuple[Reading, int]:
    """The pass over `canvas`, when all rows are ready for it, and how many calls it took."""
    for calls in range(1, 99):
        reading = denoise(Ask(canvas, LEVEL[: len(canvas)], paid), held)
        assert reading.call is not None
        if bool(reading.call.ready.all()):
            return reading, calls
        paid = reading.carry
    raise AssertionError("never ready")


def apart(one: Reading, other: Reading, where: Tensor) -> float:
    """The largest difference of what is said at `where` [B, L]."""
    assert one.quality is not None and other.quality is not None
    return float(max((one.logits - other.logits)[where].abs().max(), (one.quality - other.quality)[where].abs().max()))


@pytest.mark.parametrize("positions", ["learned", "rotary"])
@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_of_the_block_under_way_a_pass_says_what_a_whole_one_does(data: st.DataObject, positions: str) -> None:
    """Any blocks, any sheet; rows in different blocks, that go on to any later one, and back to any before."""
    block, length = data.draw(st.integers(1, 9)), data.draw(st.integers(1, LENGTH))
    network = network_of(block, positions=positions)
    denoise, whole = DenoiseBlocks(network, MASK), Denoise(network, MASK)
    tokens, features = texts(3, length)
    number = torch.arange(length) // block
    editable = torch.ones(3, length, dtype=torch.bool)
    held, paid = denoise.seat(tokens, editable, features), denoise.first_carry(3)
    with torch.no_grad():
        for step in range(4):
            first = torch.tensor(data.draw(st.lists(st.integers(0, length - 1), min_size=3, max_size=3)))
            # What is masked may be written anew: of blocks before the first mask, and of those alone, tokens stand.
            here = number >= number[first][:, None]
            tokens = torch.where(here, texts(3, length, step)[0], tokens)
            canvas = torch.where(torch.arange(length) >= first[:, None], MASK, tokens)
            reading, _ = passed(denoise, canvas, held, paid)
            paid, under_way = reading.carry, number == number[first][:, None]
            assert torch.equal(paid, number[first])
            assert apart(reading, whole(Ask(canvas, LEVEL, ()), features), under_way) < 1e-12
            assert reading.logits.shape == (3, length, MASK)
            beyond = number > number[first][:, None]
            assert (reading.logits[beyond] == 0).all() and (reading.quality[beyond] == 0.5).all()  # type: ignore[index]


def test_a_block_that_was_kept_while_it_held_masks_says_something_else() -> None:
    """The control: the cache as the last pass over a block left it, taken for the block as it then was written."""
    network = network_of(4)
    denoise, whole = DenoiseBlocks(network, MASK), Denoise(network, MASK)
    tokens, features = texts(3, LENGTH)
    number, editable = torch.arange(LENGTH) // 4, torch.ones(3, LENGTH, dtype=torch.bool)
    before, after = (torch.where(number >= first, MASK, tokens) for first in (1, 2))
    with torch.no_grad():
        said = whole(Ask(after, LEVEL, ()), features)
        for kept, far in ((0, False), (1, True)):
            held = denoise.seat(tokens, editable, features)
            first, _ = passed(denoise, before, held, denoise.first_carry(3))
            held.read.add_(kept)
            reading, calls = passed(denoise, after, held, first.carry + kept)
            difference = apart(reading, said, (number == 2).expand(3, -1))
            assert (calls, difference > 1e-2, difference < 1e-12) == (2 - kept, far, not far)


def test_what_a_row_has_paid_for_and_what_it_reads_again() -> None:
    """Call by call: given blocks and finished ones are paid for once, each before the pass that needs it."""
    denoise = DenoiseBlocks(network_of(4), MASK)
    tokens, features = texts(3, LENGTH)
    editable = torch.arange(LENGTH) >= torch.tensor([[2], [9], [13]])
    canvas = torch.where(editable, MASK, tokens)

    def walked(paid: Tensor) -> tuple[list[list[bool]], list[list[bool]], list[int]]:
        held, calls = denoise.seat(tokens, editable, features), []
        with torch.no_grad():
            for _ in range(4):
                reading = denoise(Ask(canvas, LEVEL, paid), held)
                calls.append(reading.call)
                paid = reading.carry
        ready, charged = ([call[place].tolist() for call in calls] for place in (0, 1))
        return ready, charged, paid.tolist()

    sooner_or_later = [[number >= first for first in (0, 2, 3)] for number in range(4)]
    assert walked(torch.tensor([0, 0, 0])) == (sooner_or_later, [[True] * 3] * 4, [0, 2, 3])
    paid = [[True, False, False], [True, True, False], [True, True, True], [True, True, True]]
    assert walked(torch.tensor([0, 1, 2])) == (sooner_or_later, paid, [0, 2, 3])


def test_one_that_has_not_sat_down_is_read_whole() -> None:
    network = network_of(4)
    tokens, features = texts(3, LENGTH)
    ask = Ask(tokens, LEVEL, torch.tensor([1, 2, 0]))
    with torch.no_grad():
        said = DenoiseBlocks(network, MASK)(ask, features)
        whole = Denoise(network, MASK)(ask, features)
    assert torch.equal(said.logits, whole.logits) and said.carry is ask.carry and said.call is None


def test_without_a_quality_head_nothing_is_judged() -> None:
    denoise = DenoiseBlocks(network_of(4, quality=False), MASK)
    tokens, features = texts(3, LENGTH)
    with torch.no_grad():
        held = denoise.seat(tokens, torch.ones_like(tokens, dtype=torch.bool), features)
        assert denoise(Ask(tokens, LEVEL, denoise.first_carry(3)), held).quality is None


@pytest.mark.parametrize("length", [2, 4, 7, 8, 14])
@pytest.mark.parametrize("block", [1, 4, 9])
def test_a_call_is_what_torch_counts(length: int, block: int) -> None:
    """Wherever the row is; and less than a bound more than what its masks allow."""
    network, shape = network_of(block), replace(SHAPE, block=block)
    denoise, (tokens, features) = DenoiseBlocks(network, MASK), texts(3, length)
    held = denoise.seat(tokens, torch.ones_like(tokens, dtype=torch.bool), features)
    carry, price = denoise.first_carry(3), block_call_flops(shape, length)
    for number in range(-(-length // block)):
        with torch.no_grad(), sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
            carry = denoise(Ask(tokens, LEVEL, carry), held).carry
        assert counter.get_total_flops() == 3 * price
        if (number + 1) * block <= length:
            hidden = price - block_flops(shape, number * block, block)
            assert 0 <= hidden == 4 * SHAPE.num_layers * SHAPE.width * block * (length - (number + 1) * block)
    whole = pass_flops(shape, length)
    assert price < whole if length > block else price == whole


@pytest.mark.parametrize(("attention", "prompt"), [("bidirectional", 0), ("prompt", 5)])
def test_a_network_without_blocks_is_refused(attention: str, prompt: int) -> None:
    network = Transformer(replace(SHAPE, attention=attention, block=0, prompt=prompt))
    with pytest.raises(ValueError, match=rf"attention={attention}, which has none: train it with objective=block_diff"):
        DenoiseBlocks(network, MASK)
