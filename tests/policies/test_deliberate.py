"""Laws of the deeper onions: layers in the order that is meant, and one that thinks for longer solves more."""

from typing import Any

import pytest
import torch

from dlmreason.canvas import NEVER
from dlmreason.policies import deliberate, presets
from dlmreason.sampling.denoise import Sampler, State
from tests.toys import ToySudoku, is_valid, sudoku_rows


def layers(policy: Any) -> list[str]:
    """The names of the layers, from outside in."""
    inner = getattr(policy, "second", getattr(policy, "inner", None))
    return [type(policy).__name__, *(layers(inner) if inner is not None else [])]


def test_the_layers_lie_as_they_are_meant_to() -> None:
    mind = ["Certify", "KeepBest", "Restart", "Accept", "Judged", "Doubt"]
    assert layers(deliberate.deliberate()) == ["Gate", *mind]
    assert layers(deliberate.accepting()) == mind
    assert layers(deliberate.accepting(certify=None)) == mind[1:]
    assert layers(deliberate.gated()) == ["Gate", *layers(presets.change_of_mind())]


def ends(policy: Any, passes: int) -> list[State]:
    return list(Sampler(policy, ToySudoku(), (passes,), width=8).run(sudoku_rows(16)))


@pytest.mark.parametrize("name", ["gated", "accepting", "deliberate"])
def test_thinking_for_longer_solves_what_one_decode_does_not(name: str) -> None:
    """0.97 is the quality of a cell without a conflict, so that just the valid grids are trusted."""
    settings = {"bar": -0.031} if name != "accepting" else {}
    policy = getattr(deliberate, name)(doubt=4, certify=None, **settings)
    once = int(is_valid(torch.cat([state.answer for state in ends(presets.ordered(count=2), 30)])).sum())
    states = ends(policy, 250)
    assert int(is_valid(torch.cat([state.answer for state in states])).sum()) == 16 > once
    if name != "accepting":  # and a decode that was right costs no more than the decode and a reading
        assert sorted(int(state.nfe) for state in states if int(state.index) >= NEVER // 2) == [7] * once
