"""Where is the noise: what a network's passes over a full text say of each token, as suspicions.

A detector looks at a text of which some tokens are wrong and gives every position a number, higher where it suspects
more. One whose numbers are chances says so (`chance`). This file decides the detectors; which text they look at, and
how good they are, is others' business. Each costs one pass, but for those that say otherwise. Shape letters: B rows, L
positions, V outputs.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, NamedTuple, Protocol

import torch
from torch import Tensor

from dlmreason.canvas import Canvas, Noise, Reading
from dlmreason.diffusion.corruption import Shares
from dlmreason.diffusion.leave_one_out import noise_chance

NEEDS = {
    "quality": "with a quality head that is trained",
    "masks": "that was trained on canvases with masks",
    "leave_one_out": "of uniform or mixed noise whose objective has logits=leave_one_out",
}


class Look(NamedTuple):
    """What a detector may look at."""

    canvas: Canvas  # full
    features: Tensor  # [B, L, F] int64, the task's ids of each position
    read: Callable[[Tensor], Reading]  # a pass over tokens [B, L] int64 of these rows
    noise: Noise


class Detector(Protocol):
    """(look) -> [B, L] float64, a suspicion; at given positions it is ignored."""

    @property
    def chance(self) -> bool:
        """Whether a suspicion is the chance that the token is wrong."""
        ...

    @property
    def needs(self) -> str | None:
        """Of NEEDS, what its network must have been taught."""
        ...

    def __call__(self, look: Look) -> Tensor: ...


@dataclass(frozen=True)
class LowQuality:
    """1 - quality: what the head was trained to say of this token."""

    chance: ClassVar[bool] = True
    needs: ClassVar[str | None] = "quality"

    def __call__(self, look: Look) -> Tensor:
        quality = look.read(look.canvas.tokens).quality
        assert quality is not None, "a detector is given a network that has what it needs"
        return 1 - quality.double()


@dataclass(frozen=True)
class NoiseChance:
    """The chance that the token was drawn and not kept, in closed form, see `noise_chance`.

    For a network whose logits are the leave-one-out, as objectives of uniform noise train it. share: of tokens that are
    noise, as known before looking; it orders nothing and moves all chances alike. Raises: ValueError for no share.
    """

    share: float = 0.1

    chance: ClassVar[bool] = True
    needs: ClassVar[str | None] = "leave_one_out"

    def __post_init__(self) -> None:
        if not 0 < self.share < 1:
            raise ValueError(f"share={self.share} of the tokens are noise: give a number above 0 and below 1")

    def __call__(self, look: Look) -> Tensor:
        said = _said(look.read(look.canvas.tokens), look.canvas.mask_id)
        uniform = torch.full(said.shape[:1], self.share, dtype=torch.float64, device=said.device)
        shares = Shares(1 - uniform, torch.zeros_like(uniform), uniform)
        return noise_chance(said, _open(look.canvas), shares, look.canvas.mask_id)


@dataclass(frozen=True)
class Unlikely:
    """1 - p of the token that stands there, by the logits of a pass that sees it: what they mean is the objective's.

    A network that was trained on masks alone was never asked at a visible token.
    """

    chance: ClassVar[bool] = True
    needs: ClassVar[str | None] = None

    def __call__(self, look: Look) -> Tensor:
        return 1 - _there(_said(look.read(look.canvas.tokens), look.canvas.mask_id), look.canvas)


@dataclass(frozen=True)
class Unsure:
    """1 - the highest p at the position: a confidence that does not ask of which token."""

    chance: ClassVar[bool] = False
    needs: ClassVar[str | None] = None

    def __call__(self, look: Look) -> Tensor:
        return 1 - _said(look.read(look.canvas.tokens), look.canvas.mask_id).amax(-1).exp()


@dataclass(frozen=True)
class HiddenInTurn:
    """1 - p of the token given all others, each position masked in its turn: the leave-one-out of a network that knows
    masks, at a pass a position and not in closed form."""

    chance: ClassVar[bool] = True
    needs: ClassVar[str | None] = "masks"

    def __call__(self, look: Look) -> Tensor:
        tokens, suspicion = look.canvas.tokens, torch.zeros(look.canvas.tokens.shape, dtype=torch.float64)
        suspicion = suspicion.to(tokens.device)
        for place in look.canvas.editable.any(0).nonzero()[:, 0].tolist():
            hidden = tokens.clone()
            hidden[:, place] = look.canvas.mask_id
            said = _said(look.read(hidden), look.canvas.mask_id)
            suspicion[:, place] = 1 - _there(said, look.canvas)[:, place]
        return suspicion


@dataclass(frozen=True)
class Conflicts:
    """How many other positions hold the same token and share an id in one of the feature `columns`: with those of a
    Sudoku's row, column and box, the rule that a person checks first. No pass, no network."""

    columns: int = 3

    chance: ClassVar[bool] = False
    needs: ClassVar[str | None] = None

    def __call__(self, look: Look) -> Tensor:
        tokens, units = look.canvas.tokens, look.features[..., : self.columns]
        same = tokens[:, :, None] == tokens[:, None]
        shared = (units[:, :, None] == units[:, None]).any(-1)
        return (same & shared).sum(-1).double() - 1  # itself


@dataclass(frozen=True)
class AtRandom:
    """Any number: the control."""

    chance: ClassVar[bool] = False
    needs: ClassVar[str | None] = None

    def __call__(self, look: Look) -> Tensor:
        return look.noise.gumbel(look.canvas.tokens.double(), "doubt")


def _said(reading: Reading, mask_id: int) -> Tensor:
    """log p [B, L, V] float64 of the tokens that can be written."""
    return reading.logits[..., :mask_id].double().log_softmax(-1)


def _open(canvas: Canvas) -> Tensor:
    """[B, L]: the tokens, given ones hidden: they may be none that can be written."""
    return torch.where(canvas.editable, canvas.tokens, canvas.mask_id)


def _there(said: Tensor, canvas: Canvas) -> Tensor:
    """[B, L] float64: p of the token that stands there; any number at given positions."""
    return said.gather(-1, canvas.tokens.clamp(max=said.shape[-1] - 1)[..., None])[..., 0].exp()
