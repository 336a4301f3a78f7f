"""Laws of block diffusion: its two ends are masked diffusion and left to right, and its bound is exact on joints."""

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from dlmreason.diffusion.blocks import BlockDiffusion
from dlmreason.diffusion.objectives import MaskedDiffusion, Taught, token_nats
from dlmreason.diffusion.quality import Judging, Quality
from dlmreason.diffusion.schedules import Antithetic, Cosine, Linear, LowDiscrepancy, Schedule
from dlmreason.diffusion.weightings import PLAIN, Bound, Weighting
from dlmreason.networks.denoiser import Denoise
from dlmreason.networks.shape import Shape
from dlmreason.networks.transformer import Transformer
from dlmreason.policies.published import bd3
from tests.diffusion.exact import entropy, states
from tests.diffusion.fakes import Fake, Said, batch, generator, oracle, table
from tests.policies.laws import answer_law
from tests.toys import JOINT, random_joint

torch.set_num_threads(1)

NODES, WEIGHTS = (array.tolist() for array in np.polynomial.legendre.leggauss(12))
TRIPLE = random_joint(3, 2)
SHAPE = Shape(
    vocabulary_size=4,
    length=7,
    num_layers=2,
    width=16,
    num_heads=2,
    attention="block_causal",
    block=3,
    positions="rotary",
)
GOLD = torch.randint(0, 3, (6, 7), generator=generator(5))
PART = torch.rand(6, 7, generator=generator(6)) < 0.7


def network_of(shape: Shape = SHAPE, **changes: Any) -> Transformer:
    torch.manual_seed(0)
    made = Transformer(replace(shape, **changes)).eval()
    with torch.no_grad():
        for weight in made.parameters():
            weight.mul_(4 if weight.dim() > 1 else 1)
    return made


class InBlocks:
    """A network of whole canvases that is shown each block's own: clean before, noised in it, masked behind."""

    def __init__(self, network: Fake, mask_id: int) -> None:
        self.network, self.mask_id = network, mask_id
        self.read: list[Tensor] = []

    def __call__(self, tokens: Tensor, features: Tensor) -> Said:
        raise AssertionError("both copies are read at once")

    def paired(self, noised: Tensor, clean: Tensor, features: Tensor, block: int) -> Said:
        self.read.append(noised)
        place, parts = torch.arange(noised.shape[1]), []
        for start in range(0, noised.shape[1], block):
            open_ = torch.where(place < start + block, noised, self.mask_id)
            said = self.network(torch.where(place < start, clean, open_), features).logits
            parts.append(said[:, start : start + block])
        return Said(torch.cat(parts, 1), None)


def masks(length: int) -> Iterator[tuple[bool, ...]]:
    yield from itertools.product([False, True], repeat=length)


def exact_bound(network: Fake, joint: Tensor, block: int, schedule: Schedule) -> float:
    """The objective's expectation: masks enumerated, time integrated (one for all blocks, whose terms add up)."""
    length, mask_id = joint.dim(), joint.shape[0]
    objective, count = BlockDiffusion(block, schedule=schedule), -(-length // block)
    read, total = InBlocks(network, mask_id), 0.0
    for node, weight in zip(NODES, WEIGHTS, strict=True):
        t = torch.full((1, count), (node + 1) / 2, dtype=torch.float64)
        clean = schedule.alpha(t)[0, 0].item()
        for mask in masks(length):
            chance = math.prod(1 - clean if hidden else clean for hidden in mask)
            for tokens, p in states(joint):
                data = batch(torch.tensor([tokens]), mask_id)
                canvas = torch.where(torch.tensor([mask]), mask_id, data.tokens)
                total += weight / 2 * chance * p * objective.loss_at(read, data, t, canvas).total.item() * length
    return total


@pytest.mark.parametrize("schedule", [Linear(), Cosine()], ids=repr)
@pytest.mark.parametrize(
    ("joint", "nats", "block"),
    [
        (JOINT, 1.1611208, 1),
        (JOINT, 1.1611208, 2),
        (TRIPLE, entropy(TRIPLE), 1),
        (TRIPLE, entropy(TRIPLE), 2),
        (TRIPLE, entropy(TRIPLE), 3),
    ],
    ids=["J in 1", "J in 2", "three in 1", "three in 2 and 1", "three in 3"],
)
def test_an_oracle_reaches_the_entropy_in_any_blocks(
    joint: Tensor, nats: float, block: int, schedule: Schedule
) -> None:
    assert exact_bound(oracle(joint), joint, block, schedule) == pytest.approx(nats, abs=1e-6)


@pytest.mark.parametrize("seed", range(3))
def test_it_is_a_bound_and_smaller_blocks_ask_other_questions(seed: int) -> None:
    joint, network = random_joint(2, 2, seed), table(2, 2, seed)
    one, two = (exact_bound(network, joint, block, Linear()) for block in (1, 2))
    assert min(one, two) > entropy(joint)
    assert abs(one - two) > 1e-3


def test_one_block_of_all_is_masked_diffusion_to_the_same_times() -> None:
    network = network_of(block=7)
    plain = Transformer(replace(SHAPE, attention="bidirectional", block=0)).eval()
    plain.load_state_dict(network.state_dict())
    data, t = batch(GOLD, 3, PART), torch.linspace(0.1, 1, 6, dtype=torch.float64)
    corrupted = torch.where((torch.rand(6, 7, generator=generator(9)) < t[:, None]) & PART, 3, GOLD)
    for weighting in ("nelbo", "none", Weighting((Bound(),), "rows")):
        blocks, masked = BlockDiffusion(7, weighting=weighting), MaskedDiffusion(weighting=weighting)  # type: ignore[arg-type]
        ours, theirs = blocks.loss_at(network, data, t[:, None], corrupted), masked.loss_at(plain, data, t, corrupted)
        assert ours.total.item() == pytest.approx(theirs.total.item(), abs=1e-5)
        assert ours.metrics.keys() == theirs.metrics.keys()
        for name in ours.metrics:
            assert ours.metrics[name].item() == pytest.approx(theirs.metrics[name].item(), abs=1e-5)


def left_to_right_nats(network: Transformer, tokens: Tensor, mask_id: int) -> Tensor:
    """[B]: -log p of each text, one plain pass a token: what is before it clean, the rest masked."""
    nats = torch.zeros(len(tokens), dtype=torch.float64)
    none = torch.zeros(*tokens.shape, 0, dtype=torch.int64)
    place = torch.arange(tokens.shape[1])
    for site in range(tokens.shape[1]):
        with torch.no_grad():
            said = network(torch.where(place < site, tokens, mask_id), none).logits[:, site]
        nats -= said.double().log_softmax(-1).gather(1, tokens[:, site : site + 1])[:, 0]
    return nats


def test_blocks_of_one_all_masked_are_the_likelihood_from_left_to_right() -> None:
    network = network_of(block=1)
    loss = BlockDiffusion(1, lowest=1.0)(network, batch(GOLD, 3), generator())
    assert loss.total.item() == pytest.approx(left_to_right_nats(network, GOLD, 3).mean().item() / 7, abs=1e-5)


def test_written_block_by_block_the_law_is_that_which_the_loss_measures() -> None:
    """Blocks of one under `bd3`: the chance of every answer, by enumeration, is e to the minus its loss."""
    network = network_of(length=3, block=1)
    denoise = Denoise(network, 3)
    denoise.length = 3  # type: ignore[attr-defined]
    with torch.no_grad():
        law = answer_law(bd3(1), denoise, 3)
        for tokens in itertools.product(range(3), repeat=3):
            loss = BlockDiffusion(1, lowest=1.0)(network, batch(torch.tensor([tokens]), 3), generator())
            assert math.exp(-3 * loss.total.item()) == pytest.approx(law[tokens], rel=1e-5)
    assert sum(law.values()) == pytest.approx(1, abs=1e-8)  # the logits are float32


@pytest.mark.parametrize("block", [1, 2, 3, 7])
def test_both_copies_at_once_are_the_loss_block_by_block(block: int) -> None:
    """Each block alone: a plain pass over clean before, noised in it; its own time; only what is masked and asked."""
    network, data = network_of(block=block), batch(GOLD, 3, PART)
    t = torch.rand(6, -(-7 // block), generator=generator(2), dtype=torch.float64) * 0.9 + 0.1
    corrupted = torch.where((torch.rand(6, 7, generator=generator(3)) < 0.6) & PART, 3, GOLD)
    total = 0.0
    for number, start in enumerate(range(0, 7, block)):
        here = slice(start, start + block)
        canvas = torch.cat((GOLD[:, :start], corrupted[:, here]), 1)
        with torch.no_grad():
            said = network(canvas, data.features[:, : canvas.shape[1]]).logits[:, start:]
        nats = token_nats(said, GOLD[:, here], (corrupted[:, here] == 3) & PART[:, here])
        total += (nats.sum(1) / t[:, number]).sum().item()
    loss = BlockDiffusion(block).loss_at(network, data, t, corrupted)
    assert loss.total.item() == pytest.approx(total / PART.sum().item(), rel=1e-5)
    assert loss.metrics["nelbo"].item() == loss.total.item()


def seen(objective: BlockDiffusion, rows: int, length: int, seed: int = 1) -> Tensor:
    """[rows, length] bool: what is masked of one batch."""
    read = InBlocks(Fake(lambda tokens: torch.zeros(*tokens.shape, 2)), 2)
    objective(read, batch(torch.zeros(rows, length, dtype=torch.int64), 2), generator(seed))
    return read.read[0] == 2


@pytest.mark.parametrize(("lowest", "highest"), [(0.0, 1.0), (0.3, 0.8)])
@pytest.mark.parametrize("times", [Antithetic(1e-6), LowDiscrepancy(1e-6)], ids=repr)
def test_a_block_has_one_time_within_the_range_and_its_neighbour_another(
    times: Any, lowest: float, highest: float
) -> None:
    hidden = seen(BlockDiffusion(2, lowest, highest, times=times), 4000, 4).double()
    mean, square = (lowest + highest) / 2, (highest**3 - lowest**3) / 3 / (highest - lowest)
    assert hidden.mean(0).tolist() == pytest.approx([mean] * 4, abs=0.03)
    within, across = (hidden[:, 0] * hidden[:, 1]).mean().item(), (hidden[:, 1] * hidden[:, 2]).mean().item()
    assert within == pytest.approx(square, abs=0.03)
    assert across == pytest.approx(mean**2, abs=0.03)


@dataclass(frozen=True)
class Halves:
    """Nothing for one half of what is asked for, and all for the other."""

    asked: list[int] = field(default_factory=list)

    def __call__(self, rows: int, generator: torch.Generator) -> Tensor:
        self.asked.append(rows)
        return torch.where(torch.arange(rows) < rows // 2, 1e-12, 1.0).double()


def test_times_are_those_of_all_blocks_of_the_batch_each_taken_once() -> None:
    times = Halves()
    hidden = seen(BlockDiffusion(3, times=times), 40, 7)
    assert times.asked == [40 * 3]
    blocks = torch.stack([part[:, 0] for part in hidden.split(3, 1)], 1)
    assert torch.equal(blocks.repeat_interleave(3, 1)[:, :7], hidden)
    assert blocks.sum() == 60 and len(blocks.sum(1).unique()) > 2


def test_no_block_of_a_row_alone_sees_a_part_of_the_times() -> None:
    """With one row, strata in order would give the first block the first third of the range."""
    hidden = torch.cat([seen(BlockDiffusion(1, times=Antithetic(1e-6)), 1, 3, seed) for seed in range(600)])
    assert hidden.double().mean(0).tolist() == pytest.approx([0.5] * 3, abs=0.07)


def test_above_a_half_masks_weigh_one_and_no_bound_is_reported() -> None:
    network, data = network_of(), batch(GOLD, 3, PART)
    t = torch.full((6, 3), 0.8, dtype=torch.float64)
    corrupted = torch.where(PART, 3, GOLD)
    bound, clipped, precise = (
        BlockDiffusion(3, lowest).loss_at(network, data, t, corrupted) for lowest in (0.0, 0.5, 0.6)
    )
    assert clipped.total.item() == pytest.approx(bound.total.item(), rel=1e-6)
    assert precise.total.item() == pytest.approx(bound.total.item() * 0.8, rel=1e-6)
    assert "nelbo" in bound.metrics and "nelbo" not in clipped.metrics | precise.metrics
    plain = BlockDiffusion(3, weighting=PLAIN).loss_at(network, data, t, corrupted)
    assert plain.total.item() == plain.metrics["cross_entropy"].item() == pytest.approx(precise.total.item(), rel=1e-6)


def test_only_what_is_editable_is_masked_and_asked() -> None:
    read = InBlocks(Fake(lambda tokens: torch.zeros(*tokens.shape, 3)), 3)
    loss = BlockDiffusion(3, lowest=1.0)(read, batch(GOLD, 3, PART), generator())
    assert torch.equal(read.read[0] == 3, PART)
    assert loss.total.item() == pytest.approx(math.log(3), rel=1e-6)
    given = torch.where(PART, GOLD, 3)  # what is given may be any token, the mask too
    same = BlockDiffusion(3, lowest=1.0)(read, batch(given, 3, PART), generator())
    assert same.total.item() == loss.total.item() and same.metrics == loss.metrics
    nothing = BlockDiffusion(3)(read, batch(GOLD, 3, PART & False), generator())
    assert nothing.total.item() == 0


def test_one_pass_over_both_copies_is_stated() -> None:
    read = InBlocks(Fake(lambda tokens: torch.zeros(*tokens.shape, 3)), 3)
    objective = BlockDiffusion(7)
    objective(read, batch(GOLD, 3), generator())
    assert objective.forwards == (1, 0) == (len(read.read), 0)
    assert objective.teaches == Taught(masks=True, block=objective.block)


def test_a_network_without_such_blocks_is_refused() -> None:
    data = batch(GOLD, 3)
    with pytest.raises(ValueError, match=r"Fake cannot: give it a network with attention=block_causal and block=3"):
        BlockDiffusion(3)(Fake(lambda tokens: torch.zeros(*tokens.shape, 3)), data, generator())
    with pytest.raises(ValueError, match=r"blocks of 2 are to be read, and this network has attention=block_causal"):
        BlockDiffusion(2)(network_of(), data, generator())
    plain = network_of(attention="bidirectional", block=0)
    with pytest.raises(ValueError, match=r"blocks of 3 are to be read, and this network has attention=bidirectional"):
        BlockDiffusion(3)(plain, data, generator())
    for judging in (Judging, Quality):
        with pytest.raises(ValueError, match="cannot be asked what its network would have written"):
            judging(BlockDiffusion(3))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"block": 0}, "objective.block=0 must be a whole number"),
        ({"block": 2.0}, "objective.block=2.0 must be"),
        ({"block": True}, "objective.block=True must be"),
        ({"lowest": 0.6, "highest": 0.5}, "objective.lowest=0.6 and objective.highest=0.5"),
        ({"lowest": -0.1}, "objective.lowest=-0.1"),
        ({"highest": 1.1}, "objective.highest=1.1"),
        ({"highest": 0.0}, "objective.highest=0.0"),
        ({"weighting": "elbo"}, "choose nelbo or none"),
    ],
)
def test_settings_that_make_no_sense_are_refused(given: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        BlockDiffusion(**{"block": 3} | given)
