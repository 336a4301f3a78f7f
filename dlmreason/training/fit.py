"""Train a network: one call, resumable to the bit.

This file decides what happens around the updates: where a training goes on, what is averaged, kept, saved and logged,
and how it ends. It knows neither the task nor the arm, and shows nothing itself. In `folder` it keeps `steps/`, the
checkpoints to resume from, and averaged weights from on the way, `snapshot-<share>.safetensors`. Who else uses the
folder is not its business: the entry point locks it.
"""

import logging
import re
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol, Self

import torch
from lightning.pytorch import Callback, Trainer
from lightning.pytorch.plugins.environments import LightningEnvironment
from safetensors.torch import load as weights_of
from safetensors.torch import save as bytes_of
from torch import Tensor, nn

from dlmreason.diffusion.objectives import Objective, Staged
from dlmreason.training.average import Average
from dlmreason.training.durable import Checkpoints, read, write
from dlmreason.training.interrupts import Interrupted, Watch, watching
from dlmreason.training.learner import Learner
from dlmreason.training.settings import Settings
from dlmreason.training.sheets import Sheets

Entry = dict[str, float]
"""What is known after some update: "update" (how many were made), the mean metrics since the last entry, "seconds"."""

Log = Callable[[Entry], None]
Validate = Callable[[nn.Module, int], Entry]
"""(network in evaluation mode, holding the averaged weights, updates made) -> what was measured."""


class Progress(Protocol):
    """Shows a person how far the training is; `dlmreason.progress.Progress` is one."""

    def __enter__(self) -> Self: ...

    def advance(self, count: int = 1, note: str = "") -> None: ...

    def __exit__(self, *error: Any) -> None: ...


CHANGEABLE = {
    "snapshots", "ladders", "ladder_examples", "checkpoint_every", "keep", "log_every", "accelerator", "threads",
}  # fmt: skip
"""Settings that may differ when a training goes on; the others would make it another training."""


@dataclass(frozen=True)
class Fitted:
    """A finished training."""

    network: nn.Module  # with the averaged weights, in evaluation mode
    updates: int
    seconds: float  # spent on updates, over all sittings; without validation
    history: list[Entry]
    snapshots: dict[float, Path]  # of averaged weights, by share of the training; see `weights_from`


def fit(
    network: nn.Module,
    objective: Objective | Staged,
    sheets: Sheets,
    settings: Settings,
    *,
    updates: int,
    seed: int,
    folder: Path,
    log: Log | None = None,
    validate: Validate | None = None,
    ladder: Validate | None = None,
    progress: Callable[[int, int], Progress] | None = None,
) -> Fitted:
    """Make `updates` updates of `network`, going on from the newest whole checkpoint in `folder` if there is one.

    validate: asked at each snapshot and at the end.  ladder: asked `settings.ladders` times; `log` is told what it
    says, and neither the history nor a checkpoint holds it.  progress: makes what shows progress, from (updates in all,
    updates made before).

    Trains on one device. After a resume, `log` is told again what lay behind the checkpoint; the entries are the same
    but for the seconds. An objective is recognised by its repr: make it a frozen dataclass.

    Raises: ValueError for a folder of another training or a device that is not there; DivergedError; Interrupted,
    saved, on Ctrl-C or SIGTERM.
    """
    if updates < 1:
        raise ValueError(f"updates={updates}: a training makes at least 1 update")
    device = _device(settings)
    stages = objective if isinstance(objective, Staged) else Staged([(1.0, objective)])
    identity = _identity(network, stages, sheets, settings, updates, seed)
    folder.mkdir(parents=True, exist_ok=True)
    checkpoints = Checkpoints(folder / "steps", settings.keep)
    state = checkpoints.newest()
    if state is not None:
        _check_same(state["identity"], identity, folder)
    start = 0 if state is None else int(state["update"])
    keeper = _Keeper(folder, checkpoints, identity, network.to(device), settings, updates, log, validate, ladder)
    learner = Learner(network, stages, sheets, settings, updates, seed, start, keeper.made)
    if state is not None:
        keeper.restore(learner, state)
    if start < updates:
        shown: AbstractContextManager[Any] = progress(updates, start) if progress else nullcontext()
        with watching() as keeper.watch, shown as keeper.progress, _quiet(), _undisturbed(settings, device):
            network.train()
            _trainer(settings, device, folder, keeper).fit(learner)
            keeper.stop_if_told(updates)  # a signal may have come since the last update
    keeper.average.publish()
    paths = {share: _snapshot_path(folder, share) for share in settings.snapshots}
    kept = {share: path for share, path in paths.items() if path.exists()}
    return Fitted(network.eval(), updates, keeper.seconds, keeper.history, kept)


def weights_from(path: Path) -> dict[str, Tensor]:
    """The weights of a snapshot, for `network.load_state_dict`. Raises: DamagedError."""
    return weights_of(read(path))


class _Keeper(Callback):
    """After each update: average, snapshot, log, show, save, and stop if told to."""

    def __init__(
        self,
        folder: Path,
        checkpoints: Checkpoints,
        identity: dict[str, str],
        network: nn.Module,
        settings: Settings,
        updates: int,
        log: Log | None,
        validate: Validate | None,
        ladder: Validate | None,
    ) -> None:
        self.folder, self.checkpoints, self.identity = folder, checkpoints, identity
        self.network, self.settings, self.updates = network, settings, updates
        self.tell, self.validate, self.ladder = log, validate, ladder  # not `log`: Lightning writes its own over it
        self.average = Average(network, settings.ema)
        self.watch = Watch()
        self.progress: Progress | None = None
        self.history: list[Entry] = []
        self.seconds = 0.0
        self._note = ""
        self._optimizer: dict[str, Any] | None = None
        self._since = time.monotonic()

    def restore(self, learner: Learner, state: dict[str, Any]) -> None:
        """Put everything back as it was when `state` was saved."""
        self.network.load_state_dict(state["network"])
        self.average.restore(state["average"], state["update"])
        self._optimizer, self.history, self.seconds = state["optimizer"], state["history"], state["seconds"]
        device = next(self.network.parameters()).device
        learner.sums = {name: (total.to(device), count) for name, (total, count) in state["sums"].items()}
        if "continued" in state:
            learner.seated = state["continued"]["seated"].to(device)
            learner.state = {name: part.to(device) for name, part in state["continued"]["state"].items()}

    def on_train_start(self, trainer: Trainer, pl_module: Any) -> None:
        self.watch.arm()  # again: Lightning has put its own handler for SIGTERM in place since
        if self._optimizer is not None:
            trainer.optimizers[0].load_state_dict(self._optimizer)
        self._since = time.monotonic()

    def made(self, learner: Learner, update: int) -> None:
        done = update + 1
        self.average.update()
        shares = self.settings.snapshots_at(done, self.updates)
        last = done == self.updates
        if last or done % self.settings.log_every == 0:
            means = learner.taken_means()
            self._note = f"loss {means['loss']:.3f}"
            self._tell({"update": done} | means | {"lr": self.settings.rate(update, self.updates)})
        if last or shares:
            self._look(shares, done)
        if self.ladder is not None and self.settings.ladder_at(done, self.updates):
            self._pause()
            with self.average.swapped():
                self._tell(self._asked(self.ladder, done), kept=False)
        if self.progress is not None:
            self.progress.advance(note=self._note)
        if last or self.watch.received is not None or done % self.settings.checkpoint_every == 0:
            self._save(learner, done)
        self.stop_if_told(done)

    def stop_if_told(self, done: int) -> None:
        """Raises: Interrupted where a signal came; `done` updates are saved."""
        stopped = self.watch.received
        if stopped is not None:
            raise Interrupted(
                f"{stopped.name}: {done:,} of {self.updates:,} updates are made and saved in {self.folder}; run the "
                "same command again to go on from there",
                stopped,
            )

    def _look(self, shares: list[float], done: int) -> None:
        """Validate the averaged weights, and keep them as the snapshots of `shares`."""
        self._pause()
        with self.average.swapped():
            weights = {name: weight.detach().cpu().clone() for name, weight in self.network.state_dict().items()}
            for share in shares:
                write(_snapshot_path(self.folder, share), bytes_of(weights))
            if self.validate is not None:
                self._tell(self._asked(self.validate, done))
        self._since = time.monotonic()

    @torch.no_grad()
    def _asked(self, look: Validate, done: int) -> Entry:
        """What a look at the network finds, whose time is none of the updates'."""
        self.network.eval()
        measured = look(self.network, done)
        self.network.train()
        self._since = time.monotonic()
        return {"update": done} | measured

    def _save(self, learner: Learner, done: int) -> None:
        self._pause()
        state = {
            "identity": self.identity,
            "update": done,
            "network": self.network.state_dict(),
            "average": self.average.state(),
            "optimizer": learner.trainer.optimizers[0].state_dict(),
            "sums": learner.sums,
            "history": self.history,
            "seconds": self.seconds,
        }
        if learner.state is not None:  # only there where an objective goes on from update to update
            state["continued"] = {"seated": learner.seated, "state": learner.state}
        self.checkpoints.save(done, state)
        self._since = time.monotonic()

    def _tell(self, entry: Entry, kept: bool = True) -> None:
        self._pause()
        entry = entry | {"seconds": self.seconds}
        if kept:
            self.history.append(entry)
        if self.tell is not None:
            self.tell(entry)

    def _pause(self) -> None:
        """Add the time since the clock last ran."""
        now = time.monotonic()
        self.seconds += now - self._since
        self._since = now


def _snapshot_path(folder: Path, share: float) -> Path:
    return folder / f"snapshot-{share:g}.safetensors"


def _device(settings: Settings) -> torch.device:
    there = torch.cuda.is_available()
    if settings.accelerator == "cuda" and not there:
        raise ValueError(
            "trainer.accelerator=cuda, and torch sees no CUDA device: choose cpu or auto, or install a "
            "torch built for CUDA"
        )
    return torch.device("cuda" if there and settings.accelerator != "cpu" else "cpu")


def _trainer(settings: Settings, device: torch.device, folder: Path, keeper: Callback) -> Trainer:
    return Trainer(
        accelerator=device.type,
        devices=1,
        plugins=[LightningEnvironment()],  # one process, also inside a cluster's job
        precision=settings.precision,
        max_epochs=1,  # the numbers of the updates are the only epoch; shuffles are the order's business
        callbacks=[keeper],
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        limit_val_batches=0,
        use_distributed_sampler=False,
        default_root_dir=folder,
    )


def _identity(
    network: nn.Module, objective: Staged, sheets: Sheets, settings: Settings, updates: int, seed: int
) -> dict[str, str]:
    """What must be the same for a training to be the same, in words."""
    shapes = {name: tuple(weight.shape) for name, weight in network.named_parameters()}
    loops = getattr(network, "loops", 1)  # which no weight shows
    plain = {name: str(value) for name, value in asdict(settings).items() if name not in CHANGEABLE}
    return plain | {
        "updates": str(updates),
        "seed": str(seed),
        "examples": sheets.digest(),
        "objective": re.sub(r" at 0x[0-9a-f]+", "", repr(objective)),
        "network": f"{loops} loops of {shapes}" if loops > 1 else str(shapes),
    }


def _check_same(saved: dict[str, str], identity: dict[str, str], folder: Path) -> None:
    for key, value in identity.items():
        if saved.get(key) != value:
            raise ValueError(
                f"{folder} holds a training with {key}={saved.get(key)}, and this one has {key}={value}: use "
                "another folder, or remove that one to train anew"
            )


@contextmanager
def _quiet() -> Iterator[None]:
    """Without Lightning's tips and its warnings about things that are as they should be."""
    loggers = [logging.getLogger("lightning.pytorch"), logging.getLogger("lightning.fabric")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", module=r"lightning\.")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


@contextmanager
def _undisturbed(settings: Settings, device: torch.device) -> Iterator[None]:
    """With the threads asked for; the global generators and the threads of before are put back afterwards."""
    threads = torch.get_num_threads()
    torch.set_num_threads(settings.threads or threads)
    try:
        with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
            yield
    finally:
        torch.set_num_threads(threads)
