"""Laws of caches that are stale: exact where nothing can be stale, not where it can; and a pass costs what torch
counts."""

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
from dlmreason.compute.flops import forward_flops, pass_flops, stale_flops
from dlmreason.networks.denoiser import Denoise
from dlmreason.networks.shape import Shape
from dlmreason.networks.stale_denoiser import DenoiseStale, StaleCache
from dlmreason.policies.published import bd3
from dlmreason.sampling.denoise import Rows, Sampler
from tests.nets import opinionated

torch.set_num_threads(1)

LENGTH, MASK, BLOCK = 14, 8, 4
SHAPE = Shape(
    vocabulary_size=MASK + 1, length=LENGTH, feature_sizes=(4,), num_layers=2, width=32, num_heads=4, quality=True
)
LEVEL = torch.zeros(3, dtype=torch.float64)


def network_of(**changes: Any) -> Any:
    return opinionated(replace(SHAPE, **changes), torch.float64, 2.0)


def stale(network: Any, block: int, refresh: int, suffix: bool = False) -> DenoiseStale:
    return DenoiseStale(network, MASK, StaleCache(block, refresh, suffix))


def rows_of(count: int, first: list[int], seed: int = 1) -> Rows:
    """Texts of which all from `first` on is to be written."""
    generator = torch.Generator().manual_seed(seed)
    tokens = torch.randint(0, MASK, (count, LENGTH), generator=generator)
    features = torch.randint(0, 4, (count, LENGTH, 1), generator=generator)
    editable = torch.arange(LENGTH) >= torch.tensor(first)[:, None]
    return Rows(torch.arange(count), tokens, editable, features, tokens.clone())


def walked(denoise: DenoiseStale, rows: Rows, passes: int, per_pass: int, forget: int = -1) -> list[Reading]:
    """What passes say of canvases in which each writes the next `per_pass` blanks; the cache is lost before pass
    `forget`."""
    held = denoise.seat(rows.tokens, rows.editable, rows.features)
    canvas, carry = torch.where(rows.editable, MASK, rows.tokens), denoise.first_carry(len(rows.id))
    said = []
    with torch.no_grad():
        for number in range(passes):
            if number == forget:
                held = denoise.seat(rows.tokens, rows.editable, rows.features)
            said.append(reading := denoise(Ask(canvas, LEVEL[: len(canvas)], carry), held))
            blank = canvas == MASK
            canvas, carry = torch.where(blank & (blank.cumsum(-1) <= per_pass), rows.tokens, canvas), reading.carry
    return said


def read(said: list[Reading], start: int = 0) -> list[list[int]]:
    """Positions that each pass read, of each row."""
    totals = torch.stack([torch.full_like(said[0].carry.age, start), *(each.carry.positions for each in said)])
    return totals.diff(dim=0).tolist()


def apart(one: Reading, other: Reading, where: Tensor) -> float:
    assert one.quality is not None and other.quality is not None
    return float(max((one.logits - other.logits)[where].abs().max(), (one.quality - other.quality)[where].abs().max()))


def under_way(reading: Reading, block: int) -> Tensor:
    """[B, L] bool: of the block under way of the canvas that a pass read."""
    number = torch.arange(LENGTH) // block
    first = torch.where(reading.of.tokens == MASK, number, number[-1]).amin(-1)
    return number == first[:, None]


def exact(network: Any, said: Reading, rows: Rows) -> Reading:
    with torch.no_grad():
        return Denoise(network, MASK)(Ask(said.of.tokens, said.of.level, ()), rows.features)


@pytest.mark.parametrize("suffix", [False, True])
def test_refreshed_with_every_pass_it_is_no_cache(suffix: bool) -> None:
    network, rows = network_of(), rows_of(3, [3, 5, 8])
    said = walked(stale(network, BLOCK, 1, suffix), rows, 6, 2)
    assert all(apart(each, exact(network, each, rows), torch.ones_like(rows.editable)) < 1e-12 for each in said)
    assert read(said) == [[LENGTH] * 3] * 6


@settings(max_examples=25, deadline=None)
@given(block=st.integers(1, 16), refresh=st.integers(1, 9), suffix=st.booleans())
def test_with_one_layer_nothing_is_stale(block: int, refresh: int, suffix: bool) -> None:
    """There keys are of a position's own token, and what is kept has not changed since: any block, any refresh."""
    network, rows = network_of(num_layers=1), rows_of(3, [3, 5, 8])
    for each in walked(stale(network, block, refresh, suffix), rows, 9, 1):
        assert apart(each, exact(network, each, rows), under_way(each, block)) < 1e-12


@pytest.mark.parametrize("suffix", [False, True])
def test_a_block_of_the_whole_sheet_is_no_cache(suffix: bool) -> None:
    network, rows = network_of(), rows_of(3, [0, 0, 0])
    said = walked(stale(network, LENGTH, 99, suffix), rows, 5, 2)
    assert all(apart(each, exact(network, each, rows), torch.ones_like(rows.editable)) < 1e-12 for each in said)


def test_with_two_layers_it_is_stale_and_the_dual_one_more() -> None:
    """The negative control: what the laws above find equal is equal for a reason."""
    network, rows = network_of(), rows_of(3, [4, 4, 4])
    error = {}
    for suffix in (False, True):
        said = walked(stale(network, BLOCK, 9, suffix), rows, 4, 1)
        error[suffix] = [apart(each, exact(network, each, rows), under_way(each, BLOCK)) for each in said]
        assert error[suffix][0] < 1e-12 < 1e-4 < min(error[suffix][1:])
    assert sum(error[True]) > sum(error[False])


def test_what_a_pass_reads() -> None:
    """A refresh at first, after so many passes and where a block is finished; else the block, or all from it on."""
    rows, (first, second) = rows_of(1, [4]), (8, 12)
    prefix = read(walked(stale(network_of(), BLOCK, 3), rows, 10, 1))
    dual = read(walked(stale(network_of(), BLOCK, 3, True), rows, 10, 1))
    assert [each[0] for each in dual] == [14, 4, 4, 14, 14, 4, 4, 14, 14, 2]
    behind = [LENGTH - 4] * 2 + [LENGTH - first] * 2 + [LENGTH - second]
    assert [each[0] for each in prefix if each[0] < LENGTH] == behind


@pytest.mark.parametrize("forget", [1, 2, 5, 7])
def test_a_row_that_lost_its_cache_says_the_same_and_pays_no_more(forget: int) -> None:
    denoise, rows = stale(network_of(), BLOCK, 3), rows_of(3, [3, 5, 8])
    for one, other in zip(walked(denoise, rows, 9, 1), walked(denoise, rows, 9, 1, forget), strict=True):
        assert torch.equal(one.logits, other.logits) and torch.equal(one.carry.positions, other.carry.positions)
    never = walked(stale(network_of(), BLOCK, 3), rows, 9, 1)[forget].logits
    assert not torch.equal(never, walked(stale(network_of(), BLOCK, 1), rows, 9, 1)[forget].logits)


@pytest.mark.parametrize("suffix", [False, True])
def test_a_row_says_the_same_alone_and_in_company(suffix: bool) -> None:
    """Rows in several blocks take calls of their own, all of one width."""
    network = opinionated(SHAPE)
    rows = rows_of(5, [3, 5, 8, 0, 12])

    def answers(chosen: list[int]) -> dict[int, tuple[Any, ...]]:
        some = Rows(*(leaf[chosen] for leaf in rows))
        denoise = stale(network, BLOCK, 3, suffix)
        states = Sampler(bd3(BLOCK, "confidence"), denoise, (LENGTH,), 0, 3, 2).run(some)
        kept = ((int(each.rows.id), each.answer.tolist(), each.ask.carry.positions.tolist()) for each in states)
        return {number: tuple(told) for number, *told in kept}

    together, alone = answers([0, 1, 2, 3, 4]), [answers([number]) for number in range(5)]
    assert together == {number: each[number] for number, each in enumerate(alone)}


@pytest.mark.parametrize("suffix", [False, True])
@pytest.mark.parametrize("loops", [1, 2])
def test_flops_are_those_that_torch_counts(suffix: bool, loops: int) -> None:
    network, rows, passes = network_of(loops=loops), rows_of(2, [3, 3]), 9
    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        said = walked(stale(network, BLOCK, 3, suffix), rows, passes, 1)
    positions = int(said[-1].carry.positions[0])
    assert counter.get_total_flops() == 2 * stale_flops(network.shape, LENGTH, positions)
    assert stale_flops(network.shape, LENGTH, positions) < passes * pass_flops(network.shape, LENGTH)
    assert stale_flops(network.shape, LENGTH, LENGTH) == pass_flops(network.shape, LENGTH)
    assert stale_flops(network.shape, LENGTH, 0) == forward_flops(network.shape, 0, 0, 0) == 0


def test_other_networks_and_parts_are_refused() -> None:
    for changes, why in (
        ({"attention": "causal"}, "exact cache"),
        ({"carry": True}, "hands a state on"),
        ({"mixing": "mlp"}, "mixes whole sheets"),
    ):
        with pytest.raises(ValueError, match=why):
            stale(network_of(**changes), BLOCK, 3)
    for block, refresh in ((0, 1), (4, 0)):
        with pytest.raises(ValueError, match=f"block={block} positions and refresh={refresh}"):
            StaleCache(block, refresh)
    network, rows = network_of(), rows_of(2, [3, 3])
    cache = network.cache(2, LENGTH)
    for part, at, refresh in ((slice(0, 4), 0, True), (slice(0, 14), 1, True), (slice(0, 4), 12, False)):
        if part == slice(0, 4) and not refresh:
            cache = network.cache(2, LENGTH - 4)
        with pytest.raises(ValueError, match="with refresh=true a whole sheet"):
            network(rows.tokens[:, part], rows.features[:, part], cache=cache, at=at, refresh=refresh)
    with pytest.raises(ValueError, match="leave it out"):
        network_of(attention="causal")(rows.tokens, rows.features, cache=network.cache(2, LENGTH), at=0, refresh=True)
    with pytest.raises(ValueError, match="a cache keeps keys and values, and mixing=mlp has none"):
        network_of(mixing="mlp")(rows.tokens, rows.features, cache=network.cache(2, LENGTH), at=0, refresh=True)
