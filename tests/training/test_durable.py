"""Laws of the files: whole or refused, and never lost by a failed write."""

import errno
import os
from pathlib import Path
from typing import Any

import pytest
import torch

from dlmreason.training.durable import Checkpoints, DamagedError, read, write


def test_what_is_written_is_read(tmp_path: Path) -> None:
    write(tmp_path / "a", b"first")
    write(tmp_path / "a", b"second")
    assert read(tmp_path / "a") == b"second"
    assert {path.name for path in tmp_path.iterdir()} == {"a", "a.sha256"}


def test_every_flipped_bit_and_every_truncation_is_noticed(tmp_path: Path) -> None:
    path, content = tmp_path / "a", b"weights"
    write(path, content)
    for bit in range(8 * len(content)):
        flipped = bytearray(content)
        flipped[bit // 8] ^= 1 << bit % 8
        path.write_bytes(flipped)
        with pytest.raises(DamagedError, match=f"{path} is damaged"):
            read(path)
    for length in range(len(content)):
        path.write_bytes(content[:length])
        with pytest.raises(DamagedError):
            read(path)


@pytest.mark.parametrize("gone", ["a", "a.sha256"])
def test_an_unfinished_file_is_noticed(gone: str, tmp_path: Path) -> None:
    write(tmp_path / "a", b"content")
    (tmp_path / gone).unlink()
    with pytest.raises(DamagedError, match=f"{gone} is missing"):
        read(tmp_path / "a")


def test_a_full_disk_loses_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "a", b"old")

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "no space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="no space"):
        write(tmp_path / "a", b"new")
    assert read(tmp_path / "a") == b"old"
    assert {path.name for path in tmp_path.iterdir()} == {"a", "a.sha256"}


def state(update: int) -> dict[str, Any]:
    return {"update": update, "weights": {"w": torch.full((3,), float(update))}, "history": [{"loss": 0.5}]}


def test_the_last_few_checkpoints_are_kept_and_what_a_kill_left_is_cleared(tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path, keep=2)
    assert checkpoints.newest() is None
    (tmp_path / ".update-00000001.ckpt.99.part").write_bytes(b"half")
    for update in (900, 1000, 10_000):
        checkpoints.save(update, state(update))
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "update-00001000.ckpt",
        "update-00001000.ckpt.sha256",
        "update-00010000.ckpt",
        "update-00010000.ckpt.sha256",
    ]
    newest = checkpoints.newest()
    assert newest is not None and newest["update"] == 10_000 and newest["weights"]["w"].tolist() == [10_000.0] * 3


def test_without_a_whole_one_it_says_that_it_starts_anew(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    checkpoints = Checkpoints(tmp_path, keep=2)
    path = checkpoints.save(5, state(5))
    path.write_bytes(b"")
    assert checkpoints.newest() is None
    assert "update-00000005.ckpt is damaged" in caplog.text
    assert "the training starts anew" in caplog.text
