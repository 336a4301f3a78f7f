"""Exact moves on a canvas that stays full: a block of sites is erased in a probe and read anew, site by site.

Decides which sites are read anew and when the canvas takes them over; it keeps its tokens meanwhile. `metropolis.py`
has the move that reads a whole block at once.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from dlmreason.canvas import Canvas, Clock, Memory, Move, Noise, Reading, choose, rows_like
from dlmreason.policies.facts import Facts
from dlmreason.policies.respond import log_probs, moved, opening, settled_where


@dataclass(frozen=True)
class Gibbs:
    """Random-scan Gibbs over blocks of `sites` positions: leaves the model's joint law invariant where its conditionals
    are those of one.

    Each pass reads a probe, the canvas with the sites that are still to be drawn masked, and draws one of them, at
    random; so a block takes `sites` passes, and the canvas changes when it is complete. sites = 1 is single-site Gibbs.
    A first canvas with blanks begins with these as its block, each written at once: a sample in a random order. All
    sites drawn in one pass would not be exact; see `Metropolis`. Every pass reads the first carry: any other remembers
    what was erased, and would make of the model's conditionals none.

    Raises: ValueError where sites < 1.
    """

    sites: int = 1

    def __post_init__(self) -> None:
        require_sites(self.sites)

    @property
    def anytime(self) -> bool:
        return True

    @property
    def facts(self) -> Facts:
        return Facts(streams=("token", "site"), needs=frozenset({"masks"}), revises=True)

    def init(self, canvas: Canvas, clock: Clock, noise: Noise) -> Move:
        move = opening(canvas)
        erased = erase(canvas, canvas.tokens, random_order(canvas, noise) < self.sites)
        probe = torch.where(canvas.masked.any(-1, keepdim=True), canvas.tokens, erased)
        return move._replace(ask=move.ask._replace(tokens=probe), wake=settled_where(~canvas.editable.any(-1)))

    def __call__(self, canvas: Canvas, reading: Reading, clock: Clock, memory: Memory, noise: Noise) -> Move:
        # One order serves twice: it picks a site while several are left, a block when only one was.
        order = random_order(canvas, noise)
        probe = draw_one(canvas, reading, order, noise.draw(log_probs(canvas, reading), "token"))
        complete = ~blank(canvas, probe).any(-1)
        tokens = choose(complete | canvas.masked.any(-1), probe, canvas.tokens)
        following = torch.where(complete[:, None], erase(canvas, tokens, order < self.sites), probe)
        settled = settled_where(~canvas.editable.any(-1))
        return moved(canvas, reading, tokens, wake=settled, carry=canvas.carry, probe=following)


def require_sites(sites: int) -> None:
    """Raises: ValueError for a block of nothing."""
    if sites < 1:
        raise ValueError(f"sites={sites}: a block has at least 1 position")


def blank(canvas: Canvas, tokens: Tensor) -> Tensor:
    """[B, L] bool: editable positions that `tokens` [B, L] leaves masked."""
    return (tokens == canvas.mask_id) & canvas.editable


def erase(canvas: Canvas, tokens: Tensor, sites: Tensor) -> Tensor:
    """`tokens` [B, L] with its editable positions in `sites` [B, L] bool masked."""
    return torch.where(sites & canvas.editable, canvas.mask_id, tokens)


def random_order(canvas: Canvas, noise: Noise) -> Tensor:
    """[B, L] int64: each editable position's place in an order drawn evenly, the others behind them."""
    return noise.rank(torch.where(canvas.editable, 0.0, -torch.inf).double(), "site")


def draw_one(canvas: Canvas, reading: Reading, order: Tensor, drawn: Tensor) -> Tensor:
    """[B, L] int64: what was read, with the blank that is first in `order` [B, L] taken from `drawn` [B, L]."""
    read = reading.of.tokens
    left = blank(canvas, read)
    first = torch.where(left, order, order.shape[-1]).amin(-1)
    return torch.where(left & (order == rows_like(first, order)), drawn, read)
