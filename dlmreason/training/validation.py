"""What a network in training is worth on examples that it is not trained on.

This file decides what is measured on held-out sheets: the objective's own losses, under noise that is the same at every
look, and whether the quality head tells a right canvas from a wrong one. It writes no answers: that is evaluation.
"""

import math
from dataclasses import dataclass, replace

import torch
from torch import nn

from dlmreason.diffusion.carried import SelfConditioned
from dlmreason.diffusion.objectives import Objective
from dlmreason.diffusion.quality import Quality, asked, auroc, mean_log_quality
from dlmreason.training.sheets import Sheets, seed_of


@dataclass(frozen=True)
class HeldOut:
    """A `validate` for `fit`: the means of the objective's metrics, named `held_out_<metric>`.

    With a `Quality` objective also `held_out_state_auroc`, over full canvases with own errors: the chance that one with
    every token right scores above one with an error; left out where all or none are right. Below .98 a long search
    finds canvases that fool the head. Right means equal to the one answer given: it says nothing of puzzles with
    several. A network that carries is asked for it in a first pass.
    """

    objective: Objective
    sheets: Sheets
    batch_size: int = 256
    seed: int = 0

    def __call__(self, network: nn.Module, update: int) -> dict[str, float]:
        device = next(network.parameters()).device
        generator = torch.Generator(device)
        sums: dict[str, float] = {}
        scores, rights = [], []
        judge = self.objective.inner if isinstance(self.objective, SelfConditioned) else self.objective
        for number, rows in enumerate(torch.arange(len(self.sheets)).split(self.batch_size)):
            generator.manual_seed(seed_of("held out", self.seed, number))
            batch = self.sheets.take(rows).to(device)
            loss = self.objective(network, batch, generator)
            for name, value in ({"loss": loss.total} | loss.metrics).items():
                sums[name] = sums.get(name, 0.0) + float(value.detach()) * len(rows)
            if isinstance(judge, Quality):
                canvas = replace(judge, full=1.0).canvas(network, batch, generator)
                scores.append(mean_log_quality(asked(network, canvas, batch.features), batch.judged))
                rights.append(((canvas == batch.tokens) | ~batch.judged).all(-1))
        measured = {f"held_out_{name}": total / len(self.sheets) for name, total in sums.items()}
        if scores and not math.isnan(area := auroc(torch.cat(scores), torch.cat(rights))):
            measured["held_out_state_auroc"] = area
        return measured
