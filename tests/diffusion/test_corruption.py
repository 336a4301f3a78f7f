"""Laws of the absorbing corruption."""

import math

import pytest
import torch

from dlmreason.diffusion.corruption import Absorbing
from tests.diffusion.fakes import generator

MASK = 9
TOKENS = torch.arange(8).expand(5000, 8)
EDITABLE = torch.tensor([True, False] * 4).expand(5000, 8)


@pytest.mark.parametrize("alpha", [0.0, 0.3, 0.5, 0.99, 1.0])
def test_the_share_hidden_follows_alpha_and_what_is_given_stays(alpha: float) -> None:
    alpha_t = torch.full((5000,), alpha, dtype=torch.float64)
    corrupted = Absorbing(MASK)(TOKENS, EDITABLE, alpha_t, generator())
    hidden = corrupted == MASK
    assert not hidden[~EDITABLE].any()
    assert (corrupted[~hidden] == TOKENS[~hidden]).all()
    spread = math.sqrt(alpha * (1 - alpha) / EDITABLE.sum().item())
    assert hidden[EDITABLE].double().mean().item() == pytest.approx(1 - alpha, abs=5 * spread)


def test_each_row_has_its_own_level() -> None:
    alpha_t = torch.tensor([1.0, 0.0], dtype=torch.float64)
    corrupted = Absorbing(MASK)(TOKENS[:2], torch.ones(2, 8, dtype=torch.bool), alpha_t, generator())
    assert corrupted.tolist() == [list(range(8)), [MASK] * 8]


def test_positions_are_hidden_by_themselves() -> None:
    everywhere = torch.ones(5000, 8, dtype=torch.bool)
    corrupted = Absorbing(MASK)(TOKENS, everywhere, torch.full((5000,), 0.5, dtype=torch.float64), generator())
    hidden = (corrupted == MASK).double()
    together = torch.corrcoef(hidden.T) - torch.eye(8)
    assert together.abs().max() < 5 / math.sqrt(5000)


def test_a_mask_that_is_no_token_is_refused() -> None:
    with pytest.raises(ValueError, match="mask_id=-1"):
        Absorbing(-1)
