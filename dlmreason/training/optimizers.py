"""Which optimiser moves which weights.

This file decides that matrices inside the blocks may be moved by Muon and everything else by AdamW; rates and their
schedule belong to the settings.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import AdamW, Muon, Optimizer

from dlmreason.training.settings import Settings

RELATIVE = "relative_lr"
"""Key of a parameter group: its rate as a multiple of the schedule's."""


def optimizer_of(network: nn.Module, settings: Settings) -> Optimizer:
    """AdamW over all weights, or Muon over the matrices of `network.blocks` and AdamW over the rest.

    Muon [Jordan et al. 2024; torch.optim.Muon], its updates scaled to AdamW's root mean square
    [Moonlight, arXiv:2502.16982].
    """
    matrices: list[nn.Parameter] = []
    if settings.optimizer == "muon":
        matrices = [weight for weight in getattr(network, "blocks", nn.Module()).parameters() if weight.dim() == 2]
    moved = {id(weight) for weight in matrices}
    others = [weight for weight in network.parameters() if id(weight) not in moved]
    adam = AdamW(
        [{"params": others, RELATIVE: 1.0}], settings.lr, settings.betas, weight_decay=settings.weight_decay, fused=True
    )
    if not matrices:
        return adam
    groups: list[dict[str, Any]] = [{"params": matrices, RELATIVE: settings.muon_lr / settings.lr}]
    muon = Muon(
        groups, settings.muon_lr, settings.weight_decay, momentum=settings.muon_momentum, adjust_lr_fn="match_rms_adamw"
    )
    return Together(muon, adam)


class Together(Optimizer):
    """Several optimisers over disjoint weights as one: Lightning's automatic optimisation takes one."""

    def __init__(self, *parts: Optimizer) -> None:
        # Not the base class's own: the parts hold the groups and the state, and there must be no second copy of them.
        self.parts = parts
        self.defaults: dict[str, Any] = {}

    @property
    def param_groups(self) -> list[dict[str, Any]]:  # type: ignore[override]
        return [group for part in self.parts for group in part.param_groups]

    @property
    def state(self) -> dict[Tensor, Any]:  # type: ignore[override]
        return {weight: state for part in self.parts for weight, state in part.state.items()}

    def zero_grad(self, set_to_none: bool = True) -> None:
        for part in self.parts:
            part.zero_grad(set_to_none)

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for part in self.parts:
            part.step()
        return loss

    def state_dict(self) -> dict[str, Any]:
        return {"parts": [part.state_dict() for part in self.parts]}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        for part, state in zip(self.parts, state_dict["parts"], strict=True):
            part.load_state_dict(state)

    def __repr__(self) -> str:
        return " and ".join(map(repr, self.parts))
