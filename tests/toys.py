"""Denoisers small enough to be exact: oracles of an enumerated joint, and a hand-made one for 4x4 Sudoku."""

import torch
from torch import Tensor

from dlmreason.canvas import Ask, Reading
from dlmreason.sampling.denoise import Rows

# The joint J of two binary tokens: P(00)=.45, P(01)=.15, P(10)=.05, P(11)=.35.
JOINT = torch.tensor([[0.45, 0.15], [0.05, 0.35]], dtype=torch.float64)


def random_joint(length: int, values: int, seed: int = 0) -> Tensor:
    """A joint over `length` tokens with full support."""
    joint = torch.rand((values,) * length, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return joint / joint.sum()


class Oracle:
    """p(x_i | the tokens that are not masked), exactly, for every position."""

    uses_level = False

    def __init__(self, joint: Tensor) -> None:
        self.joint, self.length, self.mask_id = joint, joint.dim(), joint.shape[0]
        self.calls = 0

    def first_carry(self, rows: int) -> tuple[()]:
        return ()

    def __call__(self, ask: Ask, features: Tensor) -> Reading:
        self.calls += len(ask.tokens)
        logits = torch.stack([self._row(row) for row in ask.tokens.tolist()])
        return Reading(ask, logits, logits.exp().amax(-1), ())

    def _row(self, row: list[int]) -> Tensor:
        columns = []
        for site in range(self.length):
            known = self.joint
            for other, token in enumerate(row):
                if other != site and token != self.mask_id:
                    known = known.index_select(other, torch.tensor([token]))
            marginal = known.sum([axis for axis in range(self.length) if axis != site]).flatten()
            columns.append((marginal / marginal.sum()).log())
        return torch.stack(columns)


def peers() -> Tensor:
    """[16, 16]: 1 where two cells of a 4x4 Sudoku may not hold the same digit."""
    cells = [(cell // 4, cell % 4, cell // 8 * 2 + cell % 4 // 2) for cell in range(16)]
    return torch.tensor([[float(a != b and any(map(int.__eq__, a, b))) for b in cells] for a in cells])


class ToySudoku:
    """Candidates by elimination; quality says whether a cell conflicts. Wrong often enough to need a change of mind."""

    uses_level = False
    mask_id = 4

    def __init__(self) -> None:
        self.peers = peers()
        self.calls = 0

    def first_carry(self, rows: int) -> tuple[()]:
        return ()

    def __call__(self, ask: Ask, features: Tensor) -> Reading:
        self.calls += len(ask.tokens)
        one_hot = torch.nn.functional.one_hot(ask.tokens, 5)[..., :4].float()
        seen = torch.einsum("ij,bjv->biv", self.peers, one_hot)
        quality = torch.where((seen * one_hot).sum(-1) > 0, 0.2, 0.97)
        return Reading(ask, -8.0 * seen.clamp(max=1), quality, ())


GRID = torch.tensor([[0, 1, 2, 3, 2, 3, 0, 1, 1, 0, 3, 2, 3, 2, 1, 0]])


def is_valid(tokens: Tensor) -> Tensor:
    """[B] bool: complete 4x4 grids without a conflict."""
    one_hot = torch.nn.functional.one_hot(tokens.clamp(max=4), 5)[..., :4].float()
    conflicts = (torch.einsum("ij,bjv->biv", peers(), one_hot) * one_hot).sum((1, 2))
    return (conflicts == 0) & (tokens < 4).all(-1)


def blank_rows(count: int, length: int, mask_id: int, gold: Tensor | None = None) -> Rows:
    """Rows with every position editable."""
    tokens = torch.full((count, length), mask_id)
    features = torch.zeros(count, length, 0, dtype=torch.int64)
    known = tokens if gold is None else gold.expand(count, -1).clone()
    return Rows(torch.arange(count) * 7919 + 13, tokens, torch.ones_like(tokens, dtype=torch.bool), features, known)


def sudoku_rows(count: int, clues: int = 4) -> Rows:
    """4x4 puzzles with `clues` clues of one grid, each with its own clues."""
    rows = blank_rows(count, 16, ToySudoku.mask_id, GRID)
    editable = rows.editable.clone()
    for row in range(count):
        given = torch.randperm(16, generator=torch.Generator().manual_seed(row))[:clues]
        editable[row, given] = False
    return rows._replace(tokens=rows.gold.clone(), editable=editable)
