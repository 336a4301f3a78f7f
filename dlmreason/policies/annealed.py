"""Show the network more and more of what it has just said, until it reads all of it.

Decides which tokens stand on the canvas of each pass, from none on the first to all on the last. That it begins again
is `wrappers.Episodes`; what is carried from pass to pass is the network's, and `carrying`'s.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from dlmreason.canvas import Canvas, Clock, Memory, Move, Noise, Reading
from dlmreason.policies.facts import Facts
from dlmreason.policies.ordered import propose, require_temperature, token_stream
from dlmreason.policies.respond import moved, opening, settled_where


@dataclass(frozen=True)
class Annealed:
    """Each position shows the token that was said of it last with a chance that rises from 0 to 1 over the passes, a
    coin of its own on every pass [timestep-free diffusion solver, arXiv:2609.01449].

    temperature: 0 says the most probable token, else one is drawn at it.  anew: False draws blanks alone, and says a
    token again that was shown, which any network of masks can do. True draws all, so that what is read may be taken
    back at sight; that wants a network taught at visible tokens, as one trained on its own errors is: another one ends
    nowhere near an answer.

    Pass j of T shows a share j / (T - 1) of the answer, so that the first reads blanks alone, and the last a whole
    canvas, which may be judged; it settles on that. Of one pass the one canvas is blank.
    Deviation: the source moves a continuous state; here the canvas is the network's own prediction, masked anew, and
    the state is the hidden one that a network with a carry hands itself.
    """

    temperature: float = 1.0
    anew: bool = False

    def __post_init__(self) -> None:
        require_temperature(self.temperature)

    @property
    def anytime(self) -> bool:
        return False

    @property
    def facts(self) -> Facts:
        return Facts((*token_stream(self.temperature), "show"), frozenset({"masks"}), revises=True)

    def init(self, canvas: Canvas, clock: Clock, noise: Noise) -> Move:
        return opening(canvas)

    def __call__(self, canvas: Canvas, reading: Reading, clock: Clock, memory: Memory, noise: Noise) -> Move:
        share = along(clock.index + 1, clock)
        over = clock.index + 1 >= _total(clock)
        # What stood there when it was read; on the last pass all of it, since that is what was judged.
        stands = canvas.written if not self.anew else canvas.written & over[:, None]
        said = torch.where(stands, canvas.tokens, propose(canvas, reading, self.temperature, noise))
        shown = noise.coin(torch.where(canvas.editable, share[:, None], 0.0), "show")
        tokens = torch.where(canvas.editable, torch.where(shown, said, canvas.mask_id), canvas.tokens)
        return moved(canvas, reading, tokens, memory, wake=settled_where(over))


def along(index: Tensor, clock: Clock) -> Tensor:
    """[B] float64: how far pass `index` [B] is from the first, 0, to the last, 1; that of a single pass is 1."""
    return (index.double() / max(_total(clock) - 1, 1)).clamp(max=1)


def _total(clock: Clock) -> int:
    assert clock.total is not None, "a policy that is not anytime is given the total"
    return clock.total
