"""The yardstick is the fastest of several products, by a clock."""

import itertools

import torch

from dlmreason.compute import product
from dlmreason.compute.product import product_flops


def test_the_fastest_product_counts(monkeypatch):
    """Of products that take 3 (which warms up), 2, 1 and 2 ticks, 8 x 8 matrices: 2 * 512 FLOPs in 1 tick."""
    monkeypatch.setitem(product.SIDES, "cpu", 8)
    times = itertools.accumulate([0, 3, 0, 2, 0, 1, 0, 2, 0, 9])
    assert product_flops(torch.device("cpu"), seconds=5, clock=lambda: next(times)) == 1024


def test_a_real_one_is_within_reason():
    assert 1e8 < product_flops(torch.device("cpu"), seconds=0.05) < 1e16
