"""How a training is run: batch, optimiser, learning rate, averaging, device, and when to save.

Plain values that a config gives; none of them says what is learned, for how long or from what. Imports neither torch
nor Lightning, so that a wrong value is found at once.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Settings:
    """Everything about a training that is neither the network, the objective nor the data."""

    batch_size: int = 64
    optimizer: Literal["adamw", "muon"] = "adamw"  # muon: for the matrices inside the blocks; AdamW for the rest
    lr: float = 2e-3  # the highest learning rate, of AdamW
    muon_lr: float = 5e-3  # of Muon, on AdamW's scale
    muon_momentum: float = 0.95
    weight_decay: float = 0.01
    betas: tuple[float, float] = (0.9, 0.98)
    warmup: float = 0.05  # share of the updates in which the learning rate rises linearly
    floor: float = 0.1  # what the learning rate falls to by a cosine, as a share of the highest
    clip: float = 1.0  # longest gradient (L2 norm over all weights)
    ema: float = 0.995  # decay of the averaged weights; 0 keeps no average
    snapshots: tuple[float, ...] = (0.5,)  # shares of the training at which the averaged weights are kept
    ladders: int = 4  # times, evenly apart, that answers are looked at after few and many passes; 0: never
    ladder_examples: int = 64  # of the validation split, for such a look
    checkpoint_every: int = 500  # updates
    keep: int = 2  # checkpoints
    log_every: int = 50  # updates
    accelerator: Literal["auto", "cpu", "cuda"] = "auto"
    precision: Literal["32-true", "bf16-mixed"] = "32-true"
    threads: int | None = None  # of the processor; None leaves it as it is

    def __post_init__(self) -> None:
        object.__setattr__(self, "betas", tuple(self.betas))
        object.__setattr__(self, "snapshots", tuple(sorted(self.snapshots)))
        for name in ("batch_size", "checkpoint_every", "keep", "log_every", "ladder_examples"):
            _check(name, getattr(self, name), "a whole number, 1 or more", _whole(getattr(self, name)))
        _check("ladders", self.ladders, "a whole number, 0 or more", self.ladders == 0 or _whole(self.ladders))
        _check("optimizer", self.optimizer, "adamw or muon", self.optimizer in ("adamw", "muon"))
        _check("muon_lr", self.muon_lr, "above 0", _finite(self.muon_lr) and self.muon_lr > 0)
        _check("muon_momentum", self.muon_momentum, "at least 0 and below 1", 0 <= self.muon_momentum < 1)
        _check("lr", self.lr, "above 0", _finite(self.lr) and self.lr > 0)
        _check("weight_decay", self.weight_decay, "0 or more", _finite(self.weight_decay) and self.weight_decay >= 0)
        betas_hold = len(self.betas) == 2 and all(0 <= beta < 1 for beta in self.betas)
        _check("betas", self.betas, "two numbers, each at least 0 and below 1", betas_hold)
        _check("warmup", self.warmup, "a share from 0 to 1", 0 <= self.warmup <= 1)
        _check("floor", self.floor, "a share from 0 to 1", 0 <= self.floor <= 1)
        _check("clip", self.clip, "above 0", _finite(self.clip) and self.clip > 0)
        _check("ema", self.ema, "at least 0 and below 1", 0 <= self.ema < 1)
        _check(
            "snapshots", self.snapshots, "shares above 0 and below 1", all(0 < share < 1 for share in self.snapshots)
        )
        _check("accelerator", self.accelerator, "auto, cpu or cuda", self.accelerator in ("auto", "cpu", "cuda"))
        _check("precision", self.precision, "32-true or bf16-mixed", self.precision in ("32-true", "bf16-mixed"))
        _check("threads", self.threads, "null or 1 and more", self.threads is None or _whole(self.threads))

    def rate(self, update: int, updates: int) -> float:
        """The learning rate of update `update` (0 is the first): linear warm-up, then a cosine down to `floor`."""
        rising = round(self.warmup * updates)
        if update < rising:
            return self.lr * (update + 1) / rising
        done = (update - rising) / max(updates - rising - 1, 1)
        return self.lr * (self.floor + (1 - self.floor) * (1 + math.cos(math.pi * done)) / 2)

    def snapshots_at(self, done: int, updates: int) -> list[float]:
        """The shares whose snapshot is due after `done` of `updates` updates."""
        return [share for share in self.snapshots if done == max(1, round(share * updates))]

    def ladder_at(self, done: int, updates: int) -> bool:
        """Whether a ladder is due after `done` of `updates` updates; the last of several is at the end."""
        return any(done == max(1, round(n * updates / self.ladders)) for n in range(1, self.ladders + 1))


def _whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1


def _finite(value: float) -> bool:
    return isinstance(value, int | float) and math.isfinite(value)


def _check(name: str, value: float | str | Sequence[float] | None, allowed: str, holds: bool) -> None:
    if not holds:
        raise ValueError(f"trainer.{name}={value} is not allowed: give {allowed}")
