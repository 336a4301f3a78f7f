"""What stayed offline is uploaded when there is a key, and a lost W&B run is rebuilt from the run's own folder."""

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from dlmreason import launch, sync
from tests.entry_points.tiny import start


def call(*argv: str) -> int:
    return launch.run(sync.main, "sync", rules=sync.RULES, argv=argv)


@pytest.fixture
def outputs(tmp_path: Path) -> Path:
    """Two runs: the first has a W&B run that was uploaded and one that was not."""
    root = tmp_path / "outputs"
    for place in ("a/wandb/offline-run-1-x", "a/wandb/offline-run-2-y", "b/wandb/offline-run-3-z", "c/wandb/replaced"):
        (root / place).mkdir(parents=True)
    (root / "a/wandb/offline-run-1-x/run-x.wandb.synced").touch()
    return root


@pytest.fixture
def uploads(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """What `wandb sync` would be called with; it ends with 7."""
    calls: list[list[str]] = []

    def stand_in(command: Sequence[str], **_: Any) -> subprocess.CompletedProcess[str]:
        calls.append(list(command))
        return subprocess.CompletedProcess(command, 7)

    monkeypatch.setattr(sync.subprocess, "run", stand_in)
    monkeypatch.setenv("WANDB_API_KEY", "k" * 40)
    return calls


def test_without_a_key_one_sentence_says_how_to_get_one(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], outputs: Path, uploads: list[list[str]]
) -> None:
    monkeypatch.delenv("WANDB_API_KEY")
    assert call(f"outputs={outputs}") == 2
    said = capsys.readouterr().err.strip()
    assert "\n" not in said and "https://wandb.ai/authorize" in said and not uploads


def test_what_waits_is_handed_to_wandbs_own_sync(outputs: Path, uploads: list[list[str]]) -> None:
    assert call(f"outputs={outputs}") == 7  # its own word is the last
    (command,) = uploads
    assert command[:6] == [sys.executable, "-P", "-m", "wandb", "sync", "--yes"]
    assert command[6:] == [str(outputs / "a/wandb/offline-run-2-y"), str(outputs / "b/wandb/offline-run-3-z")]


def test_one_run_alone(outputs: Path, uploads: list[list[str]], capsys: pytest.CaptureFixture[str]) -> None:
    assert call("name=b", f"output={outputs / 'b'}") == 7
    assert uploads[0][6:] == [str(outputs / "b/wandb/offline-run-3-z")]
    assert call("name=c", f"output={outputs / 'c'}") == 0
    assert len(uploads) == 1 and "no W&B run is waiting" in capsys.readouterr().err
    assert call("name=d", f"output={outputs / 'd'}") == 2


def test_a_run_under_way_is_left_alone(
    outputs: Path, uploads: list[list[str]], capsys: pytest.CaptureFixture[str]
) -> None:
    with launch.locked(outputs / "b"):
        assert call(f"outputs={outputs}") == 7
        assert start("backfill", "name=b", f"output={outputs / 'b'}") == 2
    assert uploads[0][6:] == [str(outputs / "a/wandb/offline-run-2-y")]
    assert "b is being written" in capsys.readouterr().err


def test_the_sync_that_is_called_is_there() -> None:
    """W&B's own command takes what it is handed; without a folder to upload it does nothing."""
    command = [sys.executable, "-P", "-m", "wandb", "sync", "--help"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "--yes" in done.stdout and "PATHS" in done.stdout


def test_nothing_to_rebuild_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "empty").mkdir()
    assert start("backfill", "name=empty", f"output={tmp_path / 'empty'}") == 2
    assert "neither metrics nor results" in capsys.readouterr().err
    assert start("backfill", "name=gone", f"output={tmp_path / 'gone'}") == 2
