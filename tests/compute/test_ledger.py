"""Costs add up, and the meter counts what was sent."""

import torch

from dlmreason.canvas import Ask
from dlmreason.compute.flops import pass_flops
from dlmreason.compute.ledger import Cost, Metered
from dlmreason.networks.denoiser import Denoise
from dlmreason.networks.shape import Shape
from dlmreason.networks.transformer import Transformer


def test_costs_add_field_by_field() -> None:
    one, other = Cost(1, 2, 3, 4, 5, 6), Cost(10, 20, 30, 40, 50, 60)
    assert one + other == Cost(11, 22, 33, 44, 55, 66)
    assert sum([one, other, one], Cost()) == Cost(12, 24, 36, 48, 60, 72)
    assert isinstance(one + other, Cost)


def test_side_by_side_only_the_longer_depth_counts() -> None:
    assert Cost(1, 2, 3, 4, 5, 6).beside(Cost(1, 1, 9, 1, 1, 1)) == Cost(2, 3, 9, 5, 6, 7)


def test_the_meter_counts_rows_as_sent_and_changes_nothing() -> None:
    shape = Shape(vocabulary_size=5, length=6, num_layers=1, width=8, num_heads=2)
    denoise = Denoise(Transformer(shape), mask_id=4)
    metered = Metered(denoise, pass_flops(shape, 6))
    features = torch.zeros(3, 6, 0, dtype=torch.int64)
    with torch.no_grad():
        for rows in (3, 3, 2):
            ask = Ask(torch.full((rows, 6), 4), torch.zeros(rows, dtype=torch.float64), ())
            assert torch.equal(metered(ask, features[:rows]).logits, denoise(ask, features[:rows]).logits)
    assert (metered.calls, metered.rows, metered.flops) == (3, 8, 8 * pass_flops(shape, 6))
    assert (metered.mask_id, metered.uses_level, metered.first_carry(2)) == (4, False, ())
