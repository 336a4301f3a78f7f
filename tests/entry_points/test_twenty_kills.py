"""A long evaluation that is killed twenty times, in five ways, ends with the bytes of one that nothing disturbed."""

import errno
import itertools
import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from dlmreason.evaluation.snapshot import Snapshot
from dlmreason.networks.transformer import Transformer
from tests.entry_points.tiny import at_call, process, records, start

PASSES, KILLS = 20_000, 20
SETTINGS = (
    "policy=change_of_mind",
    "policy.certify=null",
    "budget=tiny",
    f"budget.passes={PASSES}",
    "budget.examples=4",
    "budget.chunk=32",
    "budget.counters=true",
    "budget.trace_events=2000",
    "threads=1",
    "device=cpu",
)
ADVANCE = "dlmreason.sampling.denoise:Sampler._walk"
WRITE = "dlmreason.disk:write"


class Killed(BaseException):
    """No failure that anyone handles."""


def fail() -> None:
    raise Killed


def fill() -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def signalled(number: signal.Signals) -> Callable[[], None]:
    return lambda: os.kill(os.getpid(), number)


WAYS: dict[str, tuple[str, Callable[[], None] | None, int | None]] = {
    "SIGKILL": (ADVANCE, None, -signal.SIGKILL),
    "SIGTERM": (ADVANCE, signalled(signal.SIGTERM), 143),
    "SIGINT": (ADVANCE, signalled(signal.SIGINT), 130),
    "an exception": (ADVANCE, fail, None),
    "a full disk": (WRITE, fill, 1),
}
"""Where it strikes, what it does in this process, and the exit code; None: the exception comes through."""


def once_in(chunks: int) -> property:
    """Snapshots by number of chunks, not by the clock."""
    asked = itertools.count(1)
    return property(lambda self: next(asked) % chunks == 0)


def killed(way: str, argv: tuple[str, ...], chunks: int, cwd: Path) -> int | None:
    place, action, _ = WAYS[way]
    if action is None:
        command = ("tests.entry_points.tiny", place, str(chunks), "evaluate", *argv)
        with process(*command, cwd=cwd, SNAPSHOT_CHUNKS="3") as run:
            run.communicate(timeout=280)
        return run.returncode
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Snapshot, "due", once_in(3))
        at_call(place, chunks if place == ADVANCE else 1 + chunks // 6, action, patch.setattr)
        try:
            return start("evaluate", *argv)
        except Killed:
            return None


def kept(folder: Path) -> dict[str, bytes]:
    """All that is a result: records, counters, the stories of puzzles."""
    names = ("counters.jsonl", "traces.jsonl")
    return {"records": b"".join(records(folder)), **{name: (folder / name).read_bytes() for name in names}}


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_twenty_kills_leave_no_mark(finished: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    model = finished / "models" / "diffusion"
    folders = {name: tmp_path / name for name in ("undisturbed", "killed")}
    argv = {name: (f"checkpoint={model}", *SETTINGS, f"output={folder}") for name, folder in folders.items()}
    assert start("evaluate", *argv["undisturbed"]) == 0
    for number, way in enumerate(itertools.islice(itertools.cycle(WAYS), KILLS)):
        code = killed(way, argv["killed"], 20 + 7 * number % 11, tmp_path)
        assert code == WAYS[way][2], f"kill {number} by {way}: {capfd.readouterr().err}"
        assert not (folders["killed"] / "report.html").exists(), f"kill {number} by {way} came after the end"
    assert start("evaluate", *argv["killed"]) == 0
    assert kept(folders["killed"]) == kept(folders["undisturbed"])
    with pytest.MonkeyPatch.context() as patch:

        def forward(*args: object, **kwargs: object) -> None:
            raise AssertionError("the network was called")

        patch.setattr(Transformer, "forward", forward)
        assert start("evaluate", *argv["killed"]) == 0
    assert kept(folders["killed"]) == kept(folders["undisturbed"])
