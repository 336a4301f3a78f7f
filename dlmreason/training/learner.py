"""One update of the weights, as Lightning wants it told.

This file decides how an objective's loss becomes an update: what the batch is, which seed its noise has, the learning
rate, the clipped gradient, the step. It makes the step itself, and several of them for each "batch" of Lightning's, for
the hooks that Lightning calls around each of these cost a small network a part of its time, and no precision offered
here scales gradients. It only trains: it knows no task, no policy, no file and no screen. Everything that an update
depends on beside the weights is a function of (seed, update), so that a resumed training repeats the undisturbed one
bit by bit; the "data loader" is therefore just numbers, those of the first update of each `AT_ONCE`. An objective whose
rows go on from update to update adds its state and who sits where, which are kept here and saved with the weights.
"""

from collections.abc import Callable
from typing import Self

import torch
from lightning.pytorch import LightningModule
from torch import Tensor, nn
from torch.nn.utils import clip_grad_norm_
from torch.optim import Optimizer

from dlmreason.diffusion.objectives import Loss, Staged, State, continues
from dlmreason.training.optimizers import RELATIVE, optimizer_of
from dlmreason.training.settings import Settings
from dlmreason.training.sheets import Order, Sheets, seed_of


class DivergedError(RuntimeError):
    """A loss or gradient is not finite; the update was not made. `ids` names the examples of its rows."""

    def __init__(self, message: str, ids: list[str]) -> None:
        super().__init__(message)
        self.ids = ids


AT_ONCE = 16
"""Updates for which Lightning is asked once."""


class Learner(LightningModule):
    """Trains `network` from update `start` to `updates`.

    made: told (this, the number of the update, from 0) of every update when it is made. What it raises ends the
    training.
    """

    def __init__(
        self,
        network: nn.Module,
        objective: Staged,
        sheets: Sheets,
        settings: Settings,
        updates: int,
        seed: int,
        start: int,
        made: Callable[[Self, int], None],
    ) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.network, self.objective, self.sheets, self.settings = network, objective, sheets, settings
        self.updates, self.seed, self.start, self.made = updates, seed, start, made
        self.order = Order(len(sheets), settings.batch_size, seed)
        self.sums: dict[str, tuple[Tensor, int]] = {}  # of the metrics since they were last taken: sum and count
        self.seated = torch.empty(0, dtype=torch.int64)  # [B], the examples of the rows
        self.state: State | None = None  # of an objective that goes on from update to update

    def train_dataloader(self) -> range:
        return range(self.start, self.updates, AT_ONCE)

    def configure_optimizers(self) -> Optimizer:
        return optimizer_of(self.network, self.settings)

    def on_fit_start(self) -> None:
        self.sheets = self.sheets.to(self.device)
        self._generator = torch.Generator(self.device)

    def training_step(self, first: int, batch_idx: int) -> None:
        for update in range(first, min(first + AT_ONCE, self.updates)):
            self._make(update, self.trainer.optimizers[0])
            self.made(self, update)

    def _make(self, update: int, optimizer: Optimizer) -> None:
        # Set, not scheduled: the rate is a function of the update's number, so there is no state to resume.
        for group in optimizer.param_groups:
            group["lr"] = group[RELATIVE] * self.settings.rate(update, self.updates)
        seed = seed_of("batch", self.seed, update, self.global_rank)
        self._generator.manual_seed(seed)
        # Dropout draws from the global generators. Not by `torch.manual_seed`, which writes down a traceback each time
        # for devices that are not there: a tenth of a small network's update.
        torch.default_generator.manual_seed(seed)
        if self.device.type == "cuda":
            torch.cuda.manual_seed(seed)
        loss = self._loss_of(update)
        with torch.autocast(self.device.type, enabled=False):  # the forward pass alone is in a lower precision
            optimizer.zero_grad()
            loss.total.backward()
            norm = clip_grad_norm_(self.network.parameters(), self.settings.clip)
            measured = {"loss": loss.total.detach()} | loss.metrics | {"gradient_norm": norm}
            # Asked here, between the gradient and the update, and once for both: it waits for the device.
            if not torch.isfinite(norm + measured["loss"]):
                self._refuse(update, measured)
            optimizer.step()
        self._add(measured)

    def _loss_of(self, update: int) -> Loss:
        objective, fresh = self.objective.at(update, self.updates), self.order(update).to(self.device)
        if self.objective.begins(update, self.updates):
            self.state = None  # what a stage had in mind is none of the next one's business
        if not continues(objective):
            self.seated = fresh
            return objective(self.network, self.sheets.take(fresh), self._generator)
        self.seated = fresh if self.state is None else torch.where(objective.vacant(self.state), fresh, self.seated)
        batch = self.sheets.take(self.seated)
        loss, self.state = objective.proceed(self.network, batch, self.state, self._generator)
        return loss

    def taken_means(self) -> dict[str, float]:
        """The mean of every metric since this was last asked; waits for the device."""
        means = {name: float(total) / count for name, (total, count) in self.sums.items()}
        self.sums = {}
        return means

    def _add(self, metrics: dict[str, Tensor]) -> None:
        for name, value in metrics.items():
            total, count = self.sums.get(name, (0.0, 0))
            self.sums[name] = (value.detach().double() + total, count + 1)

    def _refuse(self, update: int, measured: dict[str, Tensor]) -> None:
        ids = [self.sheets.name(row) for row in self.seated.tolist()]
        seen = ", ".join(f"{name}={float(value):.3g}" for name, value in measured.items())
        few = ", ".join(ids[:4]) + (f" and {len(ids) - 4} more" if len(ids) > 4 else "")
        raise DivergedError(
            f"update {update + 1} of {self.updates} was not made: {seen}. The last checkpoint is kept. The batch "
            f"was {few}: look at these, or lower trainer.lr={self.settings.lr}",
            ids,
        )
