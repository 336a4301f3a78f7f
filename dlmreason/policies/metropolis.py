"""A Metropolis-Hastings move: a block of sites is proposed from one reading and accepted by its exact odds.

Decides what is proposed and whether it is taken over; the canvas keeps its tokens while the row asks what it needs.
"""

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from dlmreason.canvas import Canvas, Clock, Move, Noise, Reading, choose, rows_like
from dlmreason.policies.facts import Facts
from dlmreason.policies.gibbs import blank, draw_one, erase, random_order, require_sites
from dlmreason.policies.respond import log_probs, moved, opening, settled_where


class _Trial(NamedTuple):
    """A proposal under test. The odds of a block are log p(block | rest)^power - log q(block)."""

    block: Tensor  # [B, L] bool, the sites that are proposed
    proposal: Tensor  # [B, L] int64, the canvas with the proposed block
    stage: Tensor  # [B] int64, readings of this trial so far
    ours: Tensor  # [B] float64, the odds of the canvas's own block, as far as read
    theirs: Tensor  # [B] float64, those of the proposed one


@dataclass(frozen=True)
class Metropolis:
    """Propose `sites` positions at once from the product of their conditionals, accept by Metropolis-Hastings (design
    of this project).

    The first pass reads the canvas with the block masked: the product q that is drawn from. The chain rule, lowest
    position first, gives p(block | rest): sites - 1 more passes for the proposal and as many for the block that stands,
    each with one more site of the block shown. So a trial takes 2 sites - 1 passes, each charged to the row, and leaves
    the joint law p^power invariant where the model's conditionals are those of one, p. A first canvas with blanks is
    filled first, one random site a pass. Every pass reads the first carry, as in `Gibbs`.

    power: above 1 prefers probable canvases, below 1 improbable ones; at 1 and sites = 1 every proposal is accepted,
    which is Gibbs.

    Raises: ValueError where sites < 1, or where power is not above 0 and finite.
    """

    sites: int = 2
    power: float = 1.0

    def __post_init__(self) -> None:
        require_sites(self.sites)
        if not 0 < self.power < float("inf"):
            raise ValueError(f"power={self.power} must be finite and above 0: 1 samples the model's own law")

    @property
    def anytime(self) -> bool:
        return True

    @property
    def facts(self) -> Facts:
        return Facts(streams=("token", "site", "accept"), needs=frozenset({"masks"}), revises=True)

    def init(self, canvas: Canvas, clock: Clock, noise: Noise) -> Move:
        trial = self._trial(canvas, canvas.tokens, random_order(canvas, noise))
        move = opening(canvas, trial)
        probe = torch.where(canvas.masked.any(-1, keepdim=True), canvas.tokens, _probe(canvas, canvas.tokens, trial))
        return move._replace(ask=move.ask._replace(tokens=probe), wake=settled_where(~canvas.editable.any(-1)))

    def __call__(self, canvas: Canvas, reading: Reading, clock: Clock, memory: _Trial, noise: Noise) -> Move:
        order, drawn = random_order(canvas, noise), noise.draw(log_probs(canvas, reading), "token")
        filling = canvas.masked.any(-1)
        trial = choose(filling, memory, self._read(canvas, reading, memory, drawn))

        over = ~filling & (trial.stage == 2 * trial.block.sum(-1) - 1)
        accept = noise.coin(torch.where(over, _acceptance(trial), 0.0)[:, None], "accept")[:, 0]
        shown = draw_one(canvas, reading, order, drawn)
        tokens = choose(filling, shown, choose(accept, trial.proposal, canvas.tokens))

        begin = over | (filling & ~blank(canvas, shown).any(-1))
        trial = choose(begin, self._trial(canvas, tokens, order), trial)
        probe = choose(filling & ~begin, tokens, _probe(canvas, tokens, trial))
        settled = settled_where(~canvas.editable.any(-1))
        return moved(canvas, reading, tokens, trial, wake=settled, carry=canvas.carry, probe=probe)

    def _trial(self, canvas: Canvas, tokens: Tensor, order: Tensor) -> _Trial:
        """A new block, nothing read of it."""
        block, rows = (order < self.sites) & canvas.editable, tokens.shape[:1]
        nothing = torch.zeros(rows, dtype=torch.float64, device=tokens.device)
        return _Trial(block, tokens, nothing.long(), nothing, nothing)

    def _read(self, canvas: Canvas, reading: Reading, trial: _Trial, drawn: Tensor) -> _Trial:
        """The trial after a reading of its probe."""
        first, sites = trial.stage == 0, trial.block.sum(-1)
        proposal = torch.where(trial.block & first[:, None], drawn, trial.proposal)
        log_p, site = log_probs(canvas, reading), _site(trial, _depth(trial))

        def odds(tokens: Tensor, before: Tensor, here: Tensor) -> Tensor:
            # A blank is no token of the model's; such rows are being filled, and the number is not used.
            chance = log_p.gather(-1, tokens.clamp(max=log_p.shape[-1] - 1)[..., None])[..., 0]
            factor = torch.where(site, self.power * chance, 0.0).sum(-1)
            drawn_from = torch.where(trial.block, chance, 0.0).sum(-1)
            return torch.where(first, factor - drawn_from, torch.where(here, before + factor, before))

        ours = odds(canvas.tokens, trial.ours, trial.stage >= sites)
        theirs = odds(proposal, trial.theirs, trial.stage < sites)
        return _Trial(trial.block, proposal, trial.stage + 1, ours, theirs)


def _depth(trial: _Trial) -> Tensor:
    """[B] int64: how many sites of the block the probe of this stage shows."""
    sites = trial.block.sum(-1)
    return torch.where(trial.stage < sites, trial.stage, trial.stage - sites + 1)


def _site(trial: _Trial, depth: Tensor) -> Tensor:
    """[B, L] bool: the site of the block whose factor of the chain rule comes after `depth` [B] others."""
    return trial.block & (trial.block.cumsum(-1) == rows_like(depth + 1, trial.block))


def _probe(canvas: Canvas, tokens: Tensor, trial: _Trial) -> Tensor:
    """[B, L] int64: what the trial reads next: the proposal's block or the canvas's own, its first sites shown."""
    shown = choose(trial.stage < trial.block.sum(-1), trial.proposal, tokens)
    return erase(canvas, shown, trial.block & (trial.block.cumsum(-1) > rows_like(_depth(trial), trial.block)))


def _acceptance(trial: _Trial) -> Tensor:
    """[B] float64: the chance that the proposal is taken over; 1 where the canvas itself is impossible."""
    impossible = (trial.ours == -torch.inf) | trial.ours.isnan()
    return torch.where(impossible, 1.0, (trial.theirs - trial.ours).clamp(max=0).exp())
