"""Single-site moves on a canvas that stays full. Decides which site is read anew; the canvas keeps its token
meanwhile."""

from dataclasses import dataclass

import torch
from torch import Tensor

from dlmreason.canvas import Canvas, Clock, Memory, Move, Noise, Reading
from dlmreason.policies.facts import Facts
from dlmreason.policies.respond import log_probs, moved, opening


@dataclass(frozen=True)
class Gibbs:
    """Random-scan single-site Gibbs: leaves the model's joint law invariant where its conditionals are those of one.

    Each pass reads a probe, the canvas with one random site masked, and draws that site. The first canvas may hold
    blanks: they are sites like any other, and the answer fills them by argmax until they are drawn.
    """

    @property
    def anytime(self) -> bool:
        return True

    @property
    def facts(self) -> Facts:
        return Facts(streams=("token", "site"), revises=True)

    def init(self, canvas: Canvas, clock: Clock, noise: Noise) -> Move:
        move = opening(canvas)
        return move._replace(ask=move.ask._replace(tokens=self._probe(canvas, canvas.tokens, noise)))

    def __call__(self, canvas: Canvas, reading: Reading, clock: Clock, memory: Memory, noise: Noise) -> Move:
        site = (reading.of.tokens == canvas.mask_id) & canvas.editable
        tokens = torch.where(site, noise.draw(log_probs(canvas, reading), "token"), canvas.tokens)
        return moved(canvas, reading, tokens, probe=self._probe(canvas, tokens, noise))

    def _probe(self, canvas: Canvas, tokens: Tensor, noise: Noise) -> Tensor:
        even = torch.where(canvas.editable, 0.0, -torch.inf).double()
        return torch.where((noise.rank(even, "site") == 0) & canvas.editable, canvas.mask_id, tokens)
