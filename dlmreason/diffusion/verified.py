"""Labels by a judge of whole canvases, where comparing with the one known answer would call other right ones wrong.

This file decides what a token's label is where several answers are right. It knows no task: a batch brings the judge.
"""

from dataclasses import dataclass, field

import torch
from torch import Tensor

from dlmreason.diffusion.objectives import Batch, Guessing, Network, Objective, Staged
from dlmreason.diffusion.quality import judging_of
from dlmreason.diffusion.targets import OwnErrors, Question, Target


@dataclass(frozen=True)
class Verified:
    """Another target's question, in which every token of a canvas that is right as a whole is right.

    A canvas with a mask where it is judged, or that is not right as a whole, keeps the labels it had: it may be near
    another right answer, and which of its tokens are at fault is not to be told.

    Deviation: the judge is asked on the host, of every canvas, so an update waits for the device.
    """

    target: Target = field(default_factory=OwnErrors)

    @property
    def blanks(self) -> bool:
        return self.target.blanks

    @property
    def guesses(self) -> int:
        return self.target.guesses

    @property
    def repeats(self) -> int:
        return self.target.repeats

    def __call__(self, inner: Guessing, network: Network, batch: Batch, generator: torch.Generator) -> Question:
        """Raises: ValueError for a batch without a judge."""
        question = self.target(inner, network, batch, generator)
        whole = right_as_a_whole(question.canvas, batch.repeat(len(question.canvas) // len(batch.tokens)))
        yes = torch.ones_like(question.right)
        return question._replace(right=torch.where(whole[:, None], yes, question.right))


def right_as_a_whole(canvas: Tensor, batch: Batch) -> Tensor:
    """Which canvases [B, L] hold a right answer, and no mask where they are judged: [B] bool.

    Raises: ValueError for a batch without a judge.
    """
    if batch.right is None:
        raise ValueError(
            "labels are to be verified, and these batches bring no judge: give `Sheets` its `judge`, or choose a "
            "target that compares with the known answer, such as OwnErrors"
        )
    full = ~((canvas == batch.mask_id) & batch.judged).any(-1)
    return full & batch.right(canvas)


def verifies(objective: Objective | Staged) -> bool:
    """Whether a part of an objective wants batches with a judge."""
    stages = [stage for _, stage in objective.stages] if isinstance(objective, Staged) else [objective]
    judgings = [judging_of(stage) for stage in stages]
    return any(isinstance(each.target, Verified) for each in judgings if each is not None)
