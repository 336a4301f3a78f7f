"""Laws of choosing between two pytrees, row by row."""

import gc
from typing import Any, NamedTuple

import pytest
import torch
from torch import Tensor
from torch.utils._pytree import tree_leaves

from dlmreason import canvas
from dlmreason.canvas import choose, somewhere

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


@pytest.mark.parametrize("rows", [[0, 0, 0], [1, 1, 1], [0, 1, 0]])
def test_values_at_hand_change_nothing(rows: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    """Where all rows come from one tree it is given as it is; a device's are not looked at, to the same result."""
    where, yes, no = torch.tensor(rows) > 0, tree(1.0), tree(2.0)
    found = choose(where, yes, no)
    assert (found is yes, found is no) == (sum(rows) == 3, sum(rows) == 0)
    assert somewhere(where) == (sum(rows) > 0)
    monkeypatch.setattr(canvas, "at_hand", lambda tensor: False)
    for one, other in zip(tree_leaves(found), tree_leaves(choose(where, yes, no)), strict=True):
        assert torch.equal(one, other)
    assert somewhere(where)


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
