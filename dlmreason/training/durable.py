"""Files that are whole or not there, and checkpoints of a training in a folder.

This file decides what is on disk after a crash, a kill or a full disk: every file is written beside its target, flushed
to the disk, put in place, and has its SHA-256 beside it. It knows no trainer: what a checkpoint holds is a dict of
plain values and tensors.
"""

import hashlib
import io
import logging
from pathlib import Path
from typing import Any

import torch

from dlmreason import disk

logger = logging.getLogger(__name__)


def write(path: Path, content: bytes) -> None:
    """Put `content` at `path` whole, and then its SHA-256 at `path`.sha256: without one, it was not finished."""
    disk.write(path, content)
    disk.write(_digest_of(path), f"{hashlib.sha256(content).hexdigest()}\n")


def read(path: Path) -> bytes:
    """The content that `write` put at `path`.

    Raises: DamagedError where it is missing, unfinished or not what was written.
    """
    try:
        content, digest = path.read_bytes(), _digest_of(path).read_text(encoding="ascii", errors="replace").strip()
    except FileNotFoundError as error:
        raise DamagedError(f"{error.filename} is missing: the file was not finished") from error
    if hashlib.sha256(content).hexdigest() != digest:
        raise DamagedError(f"{path} is damaged: its {len(content)} bytes do not have the SHA-256 noted beside it")
    return content


class DamagedError(RuntimeError):
    """A file is not what was written; the message names it and says why."""


class Checkpoints:
    """The last few checkpoints of one training, `update-<n>.ckpt` in `folder`."""

    def __init__(self, folder: Path, keep: int) -> None:
        self.folder, self.keep = folder, keep

    def save(self, update: int, state: dict[str, Any]) -> Path:
        """Write a checkpoint, then remove the oldest beyond `keep`. `state` holds plain values and tensors only."""
        self.folder.mkdir(parents=True, exist_ok=True)
        path = self.folder / f"update-{update:08d}.ckpt"
        buffer = io.BytesIO()
        torch.save(state, buffer)
        write(path, buffer.getvalue())
        for old in [*self._newest_first()[self.keep :], *self.folder.glob(".*.part")]:
            old.unlink(missing_ok=True)
            _digest_of(old).unlink(missing_ok=True)
        return path

    def newest(self) -> dict[str, Any] | None:
        """The newest whole checkpoint, on the CPU; None where there is none. Damaged ones are named and passed over."""
        for path in self._newest_first():
            try:
                state: dict[str, Any] = torch.load(io.BytesIO(read(path)), map_location="cpu", weights_only=True)
            except DamagedError as error:
                logger.warning("%s; it is passed over, and the checkpoint before it is tried", error)
                continue
            return state
        if self._newest_first():
            logger.warning("%s holds no whole checkpoint: the training starts anew", self.folder)
        return None

    def _newest_first(self) -> list[Path]:
        return sorted(self.folder.glob("update-*.ckpt"), reverse=True)


def _digest_of(path: Path) -> Path:
    return path.with_name(path.name + ".sha256")
