"""Whatever happens to W&B while a model is trained: no update and no row of ours is lost, and its run is made anew from
ours, row by row."""

import json
import os
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from dlmreason.reports.backfill import backfill
from dlmreason.reports.mirror import Mirror
from dlmreason.reports.shown import shown_of
from tests.entry_points.tiny import GRAPH, MACHINE, NETWORK, TRAINER, process, start, weights
from tests.reports.leet import inspect, rows_of
from tests.reports.test_mirror import helper_of

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(900),
    pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="no /proc: W&B's processes cannot be found"),
]

ARGV = (*NETWORK, *GRAPH, *TRAINER, *MACHINE, "budget=tiny", "model.updates=12", "trainer.log_every=1")
Act = Callable[[Mirror], None]


def rows(folder: Path) -> list[dict[str, Any]]:
    """Ours, without the seconds."""
    told = map(json.loads, (folder / "metrics" / "diffusion.jsonl").read_text().splitlines())
    return [{name: value for name, value in row.items() if name != "seconds"} for row in told]


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same training without W&B."""
    folder = tmp_path_factory.mktemp("plain")
    assert start("train", *ARGV, f"output={folder}") == 0
    return folder


@pytest.fixture(autouse=True)
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """No key of the person's, and less patience with W&B at the end of the run."""
    for name in [name for name in os.environ if name.startswith("WANDB_")]:
        monkeypatch.delenv(name)
    monkeypatch.setattr(Mirror.finish, "__defaults__", (0, 20.0))


@contextmanager
def nothing(folder: Path) -> Iterator[None]:
    yield


@contextmanager
def full_disk(folder: Path) -> Iterator[None]:
    """W&B's folder has room for a few pages, which are taken."""
    place = folder / "wandb"
    place.mkdir(parents=True)
    command = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(place)]
    if shutil.which("mount") is None or subprocess.run(command, check=False, capture_output=True).returncode:
        pytest.skip("no right to mount a small disk here")
    try:
        (place / "ballast").write_bytes(bytes(40 << 10))
        yield
        assert shutil.disk_usage(place).free < 8 << 10, "the disk was full"
    finally:
        subprocess.run(["umount", "-l", str(place)], check=True)


@contextmanager
def served(answer: Callable[[BaseHTTPRequestHandler], None] | None) -> Iterator[None]:
    """W&B is online, and its server answers so; None: nobody does."""
    asked = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked.append(self.path)
            if answer is not None:
                answer(self)

        do_GET = do_POST  # noqa: N815

        def log_message(self, *_: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    address = f"http://127.0.0.1:{server.server_address[1]}"
    if answer is None:
        server.server_close()  # connections are refused there now
    else:
        threading.Thread(target=server.serve_forever, daemon=True).start()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WANDB_API_KEY", "0123456789abcdef" * 2 + "01234567")
        patch.setenv("WANDB_BASE_URL", address)
        yield
    if answer is not None:
        server.shutdown()
        assert asked, "W&B came to the server"


def fail(request: BaseHTTPRequestHandler) -> None:
    request.send_error(500)


def wait(request: BaseHTTPRequestHandler) -> None:
    time.sleep(30)


def helper(out: Mirror) -> int:
    assert out._process is not None
    deadline = time.monotonic() + 120
    while (found := helper_of(out._process.pid)) is None:
        assert time.monotonic() < deadline, "W&B started no helper"
        time.sleep(0.05)
    return found


def kill_helper(out: Mirror) -> None:
    os.kill(helper(out), signal.SIGKILL)


def kill_process(out: Mirror) -> None:
    helper(out)
    assert out._process is not None
    out._process.kill()


def hang(out: Mirror) -> None:
    os.kill(helper(out), signal.SIGSTOP)


def take_folder(out: Mirror) -> None:
    helper(out)
    shutil.rmtree(out._folder / "wandb", ignore_errors=True)


def no_act(out: Mirror) -> None: ...


ONLINE = ("logger.mode=online",)
FAULTS: dict[str, tuple[tuple[str, ...], Callable[[Path], Any], Act]] = {
    "its helper is killed": ((), nothing, kill_helper),
    "its process is killed": ((), nothing, kill_process),
    "its helper hangs": ((), nothing, hang),
    "its folder is taken away": ((), nothing, take_folder),
    "a full disk": ((), full_disk, no_act),
    "no network": (ONLINE, lambda _: served(None), no_act),
    "a failing server": (ONLINE, lambda _: served(fail), no_act),
    "a server that does not answer": (ONLINE, lambda _: served(wait), no_act),
}


def rebuilt(folder: Path) -> None:
    """W&B's run is made anew, and says what ours says."""
    deadline = time.monotonic() + 300
    while backfill(folder, pytest.fail) is None:  # a W&B whose run was killed may still be ending its own
        assert time.monotonic() < deadline, (folder / "wandb" / "mirror.log").read_text()
    assert rows_of(inspect(folder)) == [row.values for row in shown_of(folder).rows] != []


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_of_wandb_costs_the_training_nothing(
    fault: str, plain: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    argv, around, act = FAULTS[fault]
    folder, told, real = tmp_path / "run", [0], Mirror.training

    def training(self: Mirror, model: str, entry: Any) -> None:
        told[0] += 1
        if told[0] == 4:
            act(self)
        real(self, model, entry)

    monkeypatch.setattr(Mirror, "training", training)
    with around(folder):
        assert start("train", *ARGV, "logger=wandb", *argv, f"output={folder}") == 0
    assert weights(folder) == weights(plain) and rows(folder) == rows(plain)
    assert told[0] == len(rows(plain)) > 12
    said = capsys.readouterr().err
    assert said.count("W&B is lost") == 1 and "own files hold everything" in said
    rebuilt(folder)


def test_killed_itself_and_gone_on_with(plain: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    argv = (*ARGV, "logger=wandb", f"output={folder}")
    with process(
        "tests.entry_points.tiny", "dlmreason.reports.mirror:Mirror.training", "7", "train", *argv, cwd=tmp_path
    ) as run:
        _, error = run.communicate(timeout=280)
    assert run.returncode == -signal.SIGKILL, error
    assert not (folder / "models").exists()
    assert start("train", *argv) == 0
    assert weights(folder) == weights(plain) and rows(folder) == rows(plain)
    rebuilt(folder)
