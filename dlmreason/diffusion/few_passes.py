"""Training a network to say in one pass what it would come to in many.

This file decides who teaches it, what is learnt of that, and how much of the right answer stays in the loss. What is
hidden is the inner objective's, and so is what the right answer costs; a policy that then writes in few passes is any
policy. It knows none, and no shape of network. Shape letters: B rows, L positions, V tokens that can be written.
"""

import math
from dataclasses import dataclass, replace
from typing import cast

import torch
from torch import Tensor

from dlmreason.canvas import place
from dlmreason.diffusion.generators import apart
from dlmreason.diffusion.objectives import (
    Batch,
    Forwards,
    Hiding,
    Loss,
    Network,
    Objective,
    Said,
    Staged,
    Taught,
    taught_by,
)
from dlmreason.diffusion.quality import judging_of, later
from dlmreason.diffusion.targets import draw
from dlmreason.diffusion.weightings import count


@dataclass(frozen=True)
class FewPasses:
    """Forward KL from what a teacher of many passes says of each hidden token in the pass that writes it, to what one
    pass says, plus `weight` times the inner loss of that pass [SDTT, arXiv:2410.21035].

    The teacher is the network itself, without gradient. It fills what the inner objective hides and asks: in each pass
    the tokens of which it is surest, the likeliest first and a tie to the lower position, as many in each of `passes`
    as in any other, the first ones taking what does not divide. Its first pass is that of the student, so that it costs
    `passes` - 1; one pass teaches what is said already. The mean is over the asked positions of the batch.

    temperature: of what the teacher writes; 0 the likeliest token. What is learnt are its chances as they are.  weight:
    from 0, for which right answers only make canvases, to 1. The teacher changes with the network, and what holds both
    to the data is the inner loss.

    At 0 the best student says of each token what the decode of the teacher said when it wrote it, so its likeliest
    tokens are that decode. At 1 an exact teacher that writes one token a pass teaches nothing: over all that it may
    have written in between, its chances average to those that one pass has already. What one pass writes is a product
    over positions either way: this makes one good answer likely in one pass, never several, each right as a whole.

    Deviation: the source distils two ancestral passes into one with a frozen teacher, which the student then replaces,
    round after round; here all passes to a full canvas at once, by confidence, under the weights of the moment. It has
    no loss of right answers. Better supported for text in very few passes is a match of distributions [DiDi-Instruct,
    arXiv:2509.25035], which wants a second network that judges, and, for what is right only as a whole, a mixture of
    products [Di4C, arXiv:2410.08709].
    """

    inner: Hiding
    passes: int = 8
    temperature: float = 0.0
    weight: float = 0.5

    def __post_init__(self) -> None:
        if not (hasattr(self.inner, "hide") and hasattr(self.inner, "loss_at")):
            raise ValueError(
                f"objective.inner={self.inner!r} does not say what it hides: choose MaskedDiffusion, or "
                "ThoughtByThought around it, and wrap what comes out in what is to come on top, such as a quality head "
                "or a carry"
            )
        if not isinstance(self.passes, int) or isinstance(self.passes, bool) or self.passes < 1:
            raise ValueError(
                f"objective.passes={self.passes} is how many passes the teacher makes: give a whole number such as 8; "
                "1 teaches nothing"
            )
        if not 0 <= self.temperature < math.inf:
            raise ValueError(
                f"objective.temperature={self.temperature} must be finite and not negative: with 0 the teacher writes "
                "the likeliest token"
            )
        if not 0 <= self.weight <= 1:
            raise ValueError(
                f"objective.weight={self.weight} is what the loss of the right answer counts beside the teacher's: "
                "give a number from 0 to 1"
            )

    @property
    def teaches(self) -> Taught:
        return taught_by(self.inner)

    @property
    def forwards(self) -> Forwards:
        trained, untrained = self.inner.forwards
        return Forwards(trained, untrained + self.passes - 1)

    def __call__(self, network: Network, batch: Batch, generator: torch.Generator) -> Loss:
        beside = apart(generator, "teacher")
        t, canvas, counts = self.inner.hide(batch, generator)
        heard: list[Said] = []

        def overheard(tokens: Tensor, features: Tensor) -> Said:
            heard.append(network(tokens, features))
            return heard[-1]

        inner = self.inner.loss_at(overheard, batch, t, canvas, counts)
        # A network that can emit the mask has a column for it, and a mask is no token.
        student = heard[-1].logits[..., : batch.mask_id]
        asked = (canvas == batch.mask_id) & batch.editable & (counts > 0)
        teacher, written = self.taught(network, batch, canvas, asked, student, beside)
        loss = torch.where(asked, divergence(teacher, student), 0.0).sum() / count(asked)
        metrics = {
            "few_passes_loss": loss.detach(),
            "teacher_errors": (asked & (written != batch.tokens)).sum() / count(asked),
        }
        return Loss(loss + self.weight * inner.total, inner.metrics | metrics)

    @torch.no_grad()
    def taught(
        self,
        network: Network,
        batch: Batch,
        canvas: Tensor,
        asked: Tensor,
        first: Tensor,
        generator: torch.Generator,
    ) -> tuple[Tensor, Tensor]:
        """The logits [B, L, V] with which the teacher writes each `asked` [B, L] mask of a canvas [B, L] int64, and the
        canvas that comes out.

        first: [B, L, V], what the network says of the canvas.
        """
        said = now = first
        for left in range(self.passes, 0, -1):
            blank = asked & (canvas == batch.mask_id)
            if left < self.passes:
                now = network(canvas, batch.features).logits[..., : batch.mask_id]
                said = torch.where(blank[..., None], now, said)
            token = now.argmax(-1) if self.temperature == 0 else draw(now / self.temperature, generator)
            surest = place(torch.where(blank, now.double().log_softmax(-1).amax(-1), -torch.inf))
            due = (blank.sum(-1, keepdim=True) + left - 1) // left
            canvas = torch.where(blank & (surest < due), token, canvas)
        return said, canvas

    def guess(self, network: Network, batch: Batch, hidden: Tensor, generator: torch.Generator) -> Tensor:
        return self.inner.guess(network, batch, hidden, generator)


def divergence(teacher: Tensor, student: Tensor) -> Tensor:
    """KL(teacher || student) at each position, in nats, from logits [B, L, V]: [B, L] float32, whatever their
    precision. Gradient goes to the student alone."""
    log_p, log_q = teacher.detach().float().log_softmax(-1), student.float().log_softmax(-1)
    p = log_p.exp()
    return torch.where(p > 0, p * (log_p - log_q), 0.0).sum(-1)


def few_passes(
    first: Objective | Staged,
    *,
    start: float,
    passes: int = 8,
    temperature: float = 0.0,
    weight: float = 0.5,
) -> Staged:
    """`first` for a share `start` of the training, its stages keeping their parts of it, then `FewPasses` of what its
    last stage hides; 0 is from the beginning, 1 never.

    The quality head, where the last stage of `first` trains one, is trained to the end and asked the same. For a carry,
    put `self_conditioned` or `fixed_point` around all of it.
    """
    last = first.stages[-1][1] if isinstance(first, Staged) else first
    judging = judging_of(last)
    distilled = FewPasses(cast(Hiding, judging.inner if judging else last), passes, temperature, weight)
    return later(first, replace(judging, inner=distilled) if judging else distilled, start)
