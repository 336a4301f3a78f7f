"""Laws of choosing between two pytrees, row by row."""

import gc
from typing import Any, NamedTuple

import pytest
import torch
from torch import Tensor
from torch.utils._pytree import tree_leaves

from dlmreason.canvas import choose

WHERE = torch.tensor([True, False, True])


class Pair(NamedTuple):
    left: Any
    right: Any


def tree(value: float) -> Any:
    """Of every kind of node, and tensors of one, two and three axes."""
    one, two, three = (torch.full((3, *(2,) * axes), value) for axes in range(3))
    return Pair((one, ()), {"list": [two, Pair(three, one)], "tuple": (two,)})


def test_a_row_comes_whole_from_one_of_the_two() -> None:
    yes, no = tree(1.0), tree(torch.nan)  # a product with a mask would be NaN everywhere
    chosen = choose(WHERE, yes, no)
    for found, a, b in zip(tree_leaves(chosen), tree_leaves(yes), tree_leaves(no), strict=True):
        assert torch.equal(found[WHERE], a[WHERE]) and found[~WHERE].isnan().all() and found.shape == b.shape
    assert type(chosen) is Pair and type(chosen.right["list"][1]) is Pair and type(chosen.left) is tuple


def test_what_both_share_is_left_as_it_is() -> None:
    shared, other = torch.zeros(3, 2), torch.ones(3)
    chosen = choose(WHERE, Pair(shared, other), Pair(shared, -other))
    assert chosen.left is shared and chosen.right.tolist() == [1, -1, 1]


@pytest.mark.parametrize("other", [(torch.zeros(3),), [torch.zeros(3)] * 2, Pair(torch.zeros(3), torch.zeros(3))])
def test_trees_of_two_structures_are_refused(other: Any) -> None:
    with pytest.raises(ValueError):
        choose(WHERE, (torch.zeros(3), torch.zeros(3)), other)


def test_nothing_of_it_outlives_it() -> None:
    """What waits for the garbage collector would fill a device."""

    def alive() -> int:
        return sum(1 for each in gc.get_objects() if type(each) is Tensor)

    yes, no = tree(1.0), tree(2.0)
    gc.collect()
    gc.disable()
    try:
        before = alive()
        choose(WHERE, yes, no)
        assert alive() == before
    finally:
        gc.enable()
