"""Laws of a run as a process: signals, speed, locks, provenance."""

import ast
import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from dlmreason import launch

ROOT = Path(__file__).parent.parent


def script(tmp_path: Path, body: str) -> Path:
    """A process of its own that runs `body` as main."""
    path = tmp_path / "entry.py"
    path.write_text(
        "import pathlib, sys, time\nfrom dlmreason import launch\ndef main(settings):\n"
        + textwrap.indent(textwrap.dedent(body), "    ")
        + f"\nsys.exit(launch.run(main, 'go', rules={{}}, conf=pathlib.Path({str(tmp_path / 'conf')!r})))\n"
    )
    return path


def start(path: Path, *argv: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, str(path), *argv],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=path.parent,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )


SAVES = """
    try:
        print("ready", flush=True)
        time.sleep(30)
    finally:
        print("saved", flush=True)
"""


@pytest.mark.usefixtures("conf")
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
@pytest.mark.parametrize("argv", [(), ("-m", "seed=1,2", "name='s-${seed}'")], ids=["run", "sweep"])
def test_a_signal_lets_work_save_and_says_how_to_go_on(
    tmp_path: Path, number: signal.Signals, code: int, argv: tuple[str, ...]
) -> None:
    process = start(script(tmp_path, SAVES), *argv)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    process.send_signal(number)
    out, err = process.communicate(timeout=120)
    assert (process.returncode, out) == (code, "saved\n")  # once: the rest of a sweep is not started
    assert "run the same command again" in err
    assert "Traceback" not in err


@pytest.mark.usefixtures("conf")
def test_a_deferred_signal_waits_for_the_safe_point(tmp_path: Path) -> None:
    body = """
        with launch.deferred() as asked:
            print("ready", flush=True)
            while not asked():
                time.sleep(.01)
            print("whole", flush=True)
        print("never", flush=True)
        """
    process = start(script(tmp_path, body))
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    process.send_signal(signal.SIGTERM)
    out, _ = process.communicate(timeout=120)
    assert (process.returncode, out) == (143, "whole\n")


@pytest.mark.usefixtures("conf")
def test_a_second_signal_ends_at_once(tmp_path: Path) -> None:
    body = """
        with launch.deferred():
            print("ready", flush=True)
            time.sleep(30)
        """
    process = start(script(tmp_path, body))
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    process.send_signal(signal.SIGTERM)
    time.sleep(0.3)
    process.send_signal(signal.SIGTERM)  # the same one, passed on by a parent
    time.sleep(1.0)
    assert process.poll() is None
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=60) == -signal.SIGTERM


@pytest.mark.usefixtures("conf")
def test_help_and_refusals_are_quick_and_import_nothing_heavy(tmp_path: Path) -> None:
    path = script(tmp_path, "return 0")
    heavy = "print(sorted({'torch', 'lightning', 'wandb', 'transformers', 'datasets', 'scipy'} & set(sys.modules)))"
    path.write_text(
        path.read_text().replace("sys.exit(", "code = ").replace("))\n", ")\n" + heavy + "\nsys.exit(code)\n")
    )
    for argv, code in (("--help",), 0), (("experiment=quik", "seed=-1"), 2):
        began = time.monotonic()
        process = start(path, *argv)
        out, err = process.communicate(timeout=120)
        assert process.returncode == code, err
        assert ast.literal_eval(out.splitlines()[-1]) == []
        assert time.monotonic() - began < 5  # 0.4 s on an idle machine; the bound is for one that is not


@pytest.mark.usefixtures("conf")
def test_a_folder_in_use_is_refused_and_a_dead_holder_is_none(tmp_path: Path) -> None:
    body = """
        with launch.locked("out"):
            print("ready", flush=True)
            time.sleep(30)
        """
    first = start(script(tmp_path, body))
    assert first.stdout is not None
    assert first.stdout.readline() == "ready\n"
    with pytest.raises(launch.BadInput, match=rf"another run \(process {first.pid}\)"):
        with launch.locked(tmp_path / "out"):
            pytest.fail("entered a folder that another run holds")
    first.kill()
    first.communicate()
    assert (tmp_path / "out" / ".lock").read_text() == f"{first.pid}\n"  # stale, and harmless
    with launch.locked(tmp_path / "out") as folder:
        assert (folder / ".lock").read_text() == f"{os.getpid()}\n"


def test_a_folder_can_be_locked_again_and_a_file_is_no_folder(tmp_path: Path) -> None:
    for _ in range(2):
        with launch.locked(tmp_path / "a" / "b"):
            pass
    (tmp_path / "file").touch()
    with pytest.raises(launch.BadInput, match="cannot be written"):
        with launch.locked(tmp_path / "file"):
            pass


def test_provenance_says_where_and_hides_secrets() -> None:
    found = launch.provenance(["experiment", "logger.api_key=0123456789abcdef", "seed=1"])
    assert found["packages"]["torch"]
    assert found["machine"]["cores"] >= 1
    assert found["command"][2] == "seed=1"
    assert "0123456789abcdef" not in str(found)


def test_provenance_tells_a_clean_checkout_from_a_changed_one(tmp_path: Path) -> None:
    from dlmreason.launch_process import _checkout

    assert _checkout(tmp_path) is None
    identity = ["-c", "user.name=a", "-c", "user.email=a@b"]
    (tmp_path / "file").write_text("1")
    for arguments in (["init", "-q"], ["add", "."], [*identity, "commit", "-qm", "one"]):
        subprocess.run(["git", "-C", str(tmp_path), *arguments], check=True)
    clean = _checkout(tmp_path)
    (tmp_path / "file").write_text("2")
    changed = _checkout(tmp_path)
    assert clean is not None
    assert changed == {"commit": clean["commit"], "dirty": True}
    assert not clean["dirty"]
