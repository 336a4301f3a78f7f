"""Training a network to take back its own tokens: it says the mask where what stands is wrong.

This file decides on what canvas it is taught and what is right to say of each token there. The mask is one more output
of the network, V + 1 in all, where elsewhere it is none. It trains no quality head and knows no policy. Shape letters:
B rows, L positions, V tokens that can be written, of which the mask, the V-th, is none.
"""

from dataclasses import dataclass, field

import torch
from torch import Tensor

from dlmreason.diffusion.corruption import Absorbing, coins, corrupt
from dlmreason.diffusion.objectives import Batch, Forwards, Loss, MaskedDiffusion, Network, Staged, Taught, token_nats
from dlmreason.diffusion.quality import later
from dlmreason.diffusion.schedules import Linear, LowDiscrepancy, Schedule, Times
from dlmreason.diffusion.targets import draw
from dlmreason.diffusion.weightings import count


@dataclass(frozen=True)
class Reflective:
    """Cross-entropy over tokens and mask at every editable position: reveal a mask, keep what is right, take back what
    is wrong [Reflective Masking, arXiv:2606.16700].

    At time t a share 1 - alpha is masked, and a share `wrong` of the rest holds a wrong token: one of the `top` that
    the network thinks likeliest there but for the right one, drawn by what it says of them, without gradient.

    wrong: from 0, which teaches nothing to be taken back, to below 1.  top: 1 or more, all of them where more than
    there are.

    Deviation: wrong tokens are those of the network in training, not of a frozen one; and the earlier states of a
    canvas, which the source feeds back ("history reference"), are not.
    """

    wrong: float = 0.2
    top: int = 4
    schedule: Schedule = field(default_factory=Linear)
    times: Times = field(default_factory=LowDiscrepancy)

    def __post_init__(self) -> None:
        if not 0 <= self.wrong < 1:
            raise ValueError(
                f"objective.wrong={self.wrong} is the share of wrong tokens among those that stand: give a number from "
                "0 to below 1, such as 0.2"
            )
        if self.top < 1:
            raise ValueError(f"objective.top={self.top} is how many likely wrong tokens there are: give 1 or more")

    @property
    def teaches(self) -> Taught:
        return Taught(masks=True, emits_mask=True)

    @property
    def forwards(self) -> Forwards:
        return Forwards(trained=1, untrained=self.wrong > 0)

    def __call__(self, network: Network, batch: Batch, generator: torch.Generator) -> Loss:
        t = self.times(batch.tokens.shape[0], generator)
        corrupted = corrupt(batch.tokens, batch.editable, Absorbing(self.schedule).shares(t), batch.mask_id, generator)
        return self.loss_at(network, batch, self.mistaken(network, batch, corrupted, generator))

    @torch.no_grad()
    def mistaken(self, network: Network, batch: Batch, corrupted: Tensor, generator: torch.Generator) -> Tensor:
        """A masked text [B, L] int64 with wrong tokens among those that stand.

        They are what the network would write there, had the wrong ones been masked too.
        """
        if self.wrong == 0:
            return corrupted
        stands = batch.editable & (corrupted != batch.mask_id)
        wrong = coins(torch.full_like(corrupted[:, :1], self.wrong, dtype=torch.float64), corrupted, generator) & stands
        hidden = wrong | (batch.editable & ~stands)
        written = mistake(self.guess(network, batch, hidden, generator), batch.tokens, self.top, generator)
        return torch.where(wrong, written, corrupted)

    def loss_at(self, network: Network, batch: Batch, canvas: Tensor) -> Loss:
        """The loss of given canvases [B, L] int64: nothing is drawn.

        Raises: ValueError where the network cannot emit the mask.
        """
        logits = network(canvas, batch.features).logits
        if logits.shape[-1] != batch.mask_id + 1:
            raise ValueError(
                f"the network has {logits.shape[-1]} outputs, and is to say one of {batch.mask_id} tokens or the mask "
                f"after them: let network.outputs be {batch.mask_id + 1}"
            )
        said = action(canvas, batch.tokens, batch.mask_id)
        nats = token_nats(logits, said, batch.editable)

        def mean(where: Tensor) -> Tensor:
            return torch.where(where, nats, 0.0).sum() / count(where)

        masked, wrong = batch.editable & (canvas == batch.mask_id), batch.editable & (said == batch.mask_id)
        metrics = {
            "cross_entropy": mean(masked).detach(),
            "keep_loss": mean(batch.editable & ~masked & ~wrong).detach(),
            "take_back_loss": mean(wrong).detach(),
        }
        return Loss(mean(batch.editable), metrics)

    def guess(self, network: Network, batch: Batch, hidden: Tensor, generator: torch.Generator) -> Tensor:
        return network(torch.where(hidden, batch.mask_id, batch.tokens), batch.features).logits[..., : batch.mask_id]


def action(canvas: Tensor, right: Tensor, mask_id: int) -> Tensor:
    """What is right to say of each token: the mask of a wrong one, else the right token. All [B, L] int64."""
    wrong = (canvas != mask_id) & (canvas != right)
    return torch.where(wrong, mask_id, right)


def mistake(logits: Tensor, right: Tensor, top: int, generator: torch.Generator) -> Tensor:
    """A wrong token at each position, from softmax(logits) [B, L, V] over the `top` likeliest: [B, L] int64.

    right: [B, L] int64, which is never drawn.
    """
    outputs = logits.shape[-1]
    same = torch.arange(outputs, device=logits.device) == right[..., None]
    likely, tokens = logits.masked_fill(same, -torch.inf).topk(min(top, outputs - 1), dim=-1)
    return tokens.gather(-1, draw(likely, generator)[..., None])[..., 0]


def reflective_later(inner: MaskedDiffusion, *, start: float, wrong: float = 0.2, top: int = 4) -> Staged:
    """The inner loss alone for a share `start` of the training, then `Reflective` with its schedule and times.

    A network has to err less before its errors teach. 0 is from the beginning, 1 never.
    """
    return later(inner, Reflective(wrong, top, inner.schedule, inner.times), start)
