"""An experiment that takes a second, conf/experiment/tiny.yaml beside this file, and ways to start and to stop it.

Run as a script it starts an entry point that dies by SIGKILL at the n-th call of a function of ours:
`python -m tests.entry_points.tiny dlmreason.experiment:report 1 experiment <overrides>`.
"""

import importlib
import itertools
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from dlmreason import launch

ROOT = Path(__file__).parents[2]
TINY = ("--config-dir", str(Path(__file__).with_name("conf")), "experiment=tiny")
ANY = (*TINY[:2], "experiment=any")
NETWORK = ("network=tiny", "network.num_layers=1", "network.width=16", "network.num_heads=2")
GRAPH = (
    "task=star_graph",
    "task.length=3",
    "task.train_examples=40",
    "task.validation_examples=3",
    "task.test_examples=5",
)
TRAINER = ("trainer.lr=0.002", "trainer.batch_size=8", "trainer.checkpoint_every=2", "trainer.log_every=2")
MACHINE = ("threads=1", "device=cpu")


def start(entry: str, *argv: str) -> int:
    """The exit code of an entry point, in this process; without W&B, unless it is asked for."""
    main = importlib.import_module(f"dlmreason.{entry}").main
    if entry in ("train", "evaluate") and not any(each.startswith("logger=") for each in argv):
        argv = (*argv, "logger=none")
    return launch.run(main, entry, argv=argv)


def experiment(folder: Path, *argv: str, of: tuple[str, ...] = TINY) -> int:
    return start("experiment", *of, f"output={folder}", *argv)


def process(*command: str, cwd: Path, **environment: str) -> subprocess.Popen[str]:
    """A module as a process of its own. environment: on top of ours."""
    return subprocess.Popen(
        [sys.executable, "-m", *command],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", **environment},
    )


def copy(folder: Path, to: Path) -> Path:
    shutil.copytree(folder, to)
    return to


def records(folder: Path) -> list[bytes]:
    """Every line, sorted: which arm came first is no part of a result."""
    return sorted((folder / "records.jsonl").read_bytes().splitlines())


def weights(folder: Path) -> dict[str, bytes]:
    return {path.parent.name: path.read_bytes() for path in sorted(folder.glob("models/*/model.safetensors"))}


def content(folder: Path) -> dict[str, bytes]:
    """Every file with its bytes; the lock is held by whoever looks."""
    files = (path for path in folder.rglob("*") if path.is_file() and path.name != ".lock")
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def at_call(
    place: str, number: int, action: Callable[[], Any], patch: Callable[[Any, str, Any], None] = setattr
) -> None:
    """Does `action` just before the `number`-th call of `module:name` or `module:class.name`."""
    module, _, dotted = place.partition(":")
    owner: Any = importlib.import_module(module)
    *outer, name = dotted.split(".")
    for part in outer:
        owner = getattr(owner, part)
    real, calls = getattr(owner, name), [0]

    def counted(*args: Any, **kwargs: Any) -> Any:
        calls[0] += 1
        if calls[0] == number:
            action()
        return real(*args, **kwargs)

    patch(owner, name, counted)


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    import torch

    torch.set_num_threads(1)
    if chunks := os.environ.get("SNAPSHOT_CHUNKS"):  # a snapshot once in so many chunks, not by the clock
        from dlmreason.evaluation.snapshot import Snapshot

        asked = itertools.count(1)
        Snapshot.due = property(lambda self: next(asked) % int(chunks) == 0)  # type: ignore[method-assign, assignment]
    at_call(sys.argv[1], int(sys.argv[2]), die)
    sys.exit(start(sys.argv[3], *sys.argv[4:]))
