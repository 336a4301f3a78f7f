"""What a run owes the machine it runs on: one run per folder, an orderly stop on a signal, and where the numbers come
from.

This file decides how a folder is held, when a signal takes effect and what is noted of the machine. It knows nothing of
what the run does.
"""

import fcntl
import importlib.metadata
import os
import platform
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType
from typing import Any

from dlmreason.launch_rules import BadInput
from dlmreason.reports.redaction import redact

GRACE = 1.0
"""Seconds within which a repeated signal is the same one: `timeout` and `make` both pass one signal on to a whole
group."""

NOTED = (
    "torch",
    "lightning",
    "hydra-core",
    "omegaconf",
    "numpy",
    "scipy",
    "safetensors",
    "wandb",
    "datasets",
    "python-sat",
)


class Interrupted(BaseException):
    """A signal asks the run to stop. No Exception, so that nothing on the way takes it for a failure and goes on."""

    def __init__(self, number: int):
        super().__init__(signal.Signals(number).name)
        self.code = 128 + number
        """The exit code that says so: 130 after Ctrl-C, 143 after SIGTERM."""


@dataclass
class _Signal:
    """The signal that has arrived in this process, if one has, and how many `deferred` blocks hold it back."""

    number: int | None = None
    at: float = 0.0
    held: int = 0


_signal = _Signal()


@contextmanager
def stopping() -> Iterator[None]:
    """Within the block SIGINT and SIGTERM raise `Interrupted` in the main thread; a second one ends the process at
    once."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    _signal.number, _signal.at, _signal.held = None, 0.0, 0
    owner = os.getpid()

    def receive(number: int, frame: FrameType | None) -> None:
        now = time.monotonic()
        if os.getpid() != owner or (_signal.number is not None and now - _signal.at > GRACE):
            signal.signal(number, signal.SIG_DFL)  # a forked worker, or a person who will not wait
            os.kill(os.getpid(), number)
        elif _signal.number is None:
            _signal.number, _signal.at = number, now
            if not _signal.held:
                raise Interrupted(number)
            os.write(2, b"stopping at the next safe point; signal again to stop at once\n")  # print is not reentrant

    before = {number: signal.signal(number, receive) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def deferred() -> Iterator[Callable[[], bool]]:
    """Holds a signal back while the block runs, and raises `Interrupted` at its end if one came.

    For work that must not be left halfway, an optimiser's update for one. Yields `asked`: the work calls it at its safe
    points and ends early when it says True.
    """
    _signal.held += 1
    try:
        yield lambda: _signal.number is not None
    finally:
        _signal.held -= 1
    if _signal.number is not None and not _signal.held:
        raise Interrupted(_signal.number)


@contextmanager
def locked(folder: str | Path) -> Iterator[Path]:
    """Holds `folder` for this run alone, creating it; yields it.

    The lock is the kernel's and ends with the process that took it, however that ends: a `.lock` left behind is
    harmless.

    Raises: BadInput at once when another run holds the folder, or when it cannot be created or written.
    """
    place = Path(folder)
    try:
        place.mkdir(parents=True, exist_ok=True)
        file = open(place / ".lock", "a+", encoding="ascii")  # closed by the with below
    except OSError as error:
        raise BadInput(f"output={place}: cannot be written ({error.strerror}); choose another with output=") from error
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            holder = file.read().strip() or "unknown"
            raise BadInput(
                f"output={place}: another run (process {holder}) is writing there; "
                "wait for it, stop it, or choose another folder with name= or output="
            ) from None
        file.truncate(0)
        file.write(f"{os.getpid()}\n")
        file.flush()
        try:
            yield place
        finally:
            file.truncate(0)


def provenance(argv: Sequence[str] | None = None) -> dict[str, Any]:
    """Where a run's numbers come from, as plain values: versions, commit, machine, command and time; secrets are left
    out."""
    return {
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": redact(sys.orig_argv if argv is None else list(argv)),
        "python": platform.python_version(),
        "packages": {name: version for name in ("dlmreason", *NOTED) if (version := _version(name))},
        "git": _checkout(Path(__file__).parent),
        "machine": {
            "system": platform.platform(),
            "processor": _processor(),
            "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
            **_accelerators(),
        },
    }


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def _checkout(folder: Path) -> dict[str, Any] | None:
    """The commit that the code is at and whether files differ from it; None outside a checkout."""
    commit = _git(folder, "rev-parse", "HEAD")
    if commit is None:
        return None
    return {"commit": commit, "dirty": bool(_git(folder, "status", "--porcelain", "--untracked-files=no"))}


def _git(folder: Path, *arguments: str) -> str | None:
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), *arguments], capture_output=True, text=True, timeout=10, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def _accelerators() -> dict[str, Any]:
    """Threads and devices as torch sees them; nothing when torch is not in use."""
    torch = sys.modules.get("torch")
    if torch is None:
        return {}
    devices = [torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())]
    return {"threads": torch.get_num_threads(), "accelerators": devices}
