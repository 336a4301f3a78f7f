"""What a network in training is worth on examples that it is not trained on.

This file decides what is measured on held-out sheets: the objective's own losses, under noise that is the same at every
look, and whether the quality head tells a right canvas from a wrong one. It writes no answers: that is evaluation.
"""

import math
from dataclasses import dataclass

import torch
from torch import nn

from dlmreason.diffusion.objectives import Objective
from dlmreason.diffusion.quality import asked, auroc, judging_of, mean_log_quality
from dlmreason.diffusion.verified import right_as_a_whole
from dlmreason.training.sheets import Sheets, seed_of


@dataclass(frozen=True)
class HeldOut:
    """A `validate` for `fit`: the means of the objective's metrics, named `held_out_<metric>`.

    With an objective that trains a quality head also `held_out_state_auroc`, over full canvases with own errors,
    whatever the head is asked in training: the chance that one with every token right scores above one with an error;
    left out where all or none are right, or where the objective cannot be asked what it would write. Below .98 a long
    search finds canvases that fool the head. Right means right by the sheets' judge, and without one equal to the one
    answer given, which says nothing of puzzles with several. A network that carries is asked for it in a first pass.
    """

    objective: Objective
    sheets: Sheets
    batch_size: int = 256
    seed: int = 0

    def __call__(self, network: nn.Module, update: int) -> dict[str, float]:
        device = next(network.parameters()).device
        judging = judging_of(self.objective)
        generator = torch.Generator(device)
        sums: dict[str, float] = {}
        scores, rights = [], []
        for number, rows in enumerate(torch.arange(len(self.sheets)).split(self.batch_size)):
            generator.manual_seed(seed_of("held out", self.seed, number))
            batch = self.sheets.take(rows).to(device)
            loss = self.objective(network, batch, generator)
            for name, value in ({"loss": loss.total} | loss.metrics).items():
                sums[name] = sums.get(name, 0.0) + float(value.detach()) * len(rows)
            if judging is not None and (canvas := judging.state(network, batch, generator)) is not None:
                scores.append(mean_log_quality(asked(network, canvas, batch.features), batch.judged))
                same = ((canvas == batch.tokens) | ~batch.judged).all(-1)
                rights.append(same if batch.right is None else right_as_a_whole(canvas, batch))
        measured = {f"held_out_{name}": total / len(self.sheets) for name, total in sums.items()}
        if scores and not math.isnan(area := auroc(torch.cat(scores), torch.cat(rights))):
            measured["held_out_state_auroc"] = area
        return measured
