"""W&B is a mirror: what we hand over arrives, and nothing that happens to it reaches the run."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from dlmreason.reports import mirror
from dlmreason.reports.mirror import Mirror


@pytest.fixture(autouse=True)
def no_key(monkeypatch):
    for name in list(os.environ):
        if name.startswith("WANDB_"):
            monkeypatch.delenv(name)


def stand_in(monkeypatch, tmp_path, script: str) -> None:
    """Another program in W&B's place."""
    path = tmp_path / "stand_in.py"
    path.write_text(script)
    really = subprocess.Popen
    monkeypatch.setattr(
        mirror.subprocess, "Popen", lambda command, **options: really([sys.executable, str(path)], **options)
    )


def inspect(folder: Path) -> list[dict]:
    (run,) = (folder / "wandb").glob("offline-run-*")
    command = [str(Path(sys.executable).with_name("wandb")), "leet", "inspect", "--json", str(run)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_everything_arrives_offline(run_folder, tmp_path, capsys):
    summary = json.loads((run_folder / "summary.json").read_text())
    page = tmp_path / "report.html"
    page.write_text("<p>hello")
    out = Mirror(
        "offline", name="demo", group="g", tags=["t"], folder=tmp_path, config={"seed": 3, "api_key": "x" * 40}
    )
    for step in (10, 20, 5, 15):  # a second model counts its updates from the start again
        out.log({"loss": step / 7}, step)
    out.report(summary, page)
    out.artifact("records", "records", [run_folder / "records.jsonl"])
    out.finish()
    assert capsys.readouterr().err == "", (tmp_path / "wandb" / "mirror.log").read_text()
    lines = inspect(tmp_path)
    items = [line["history"]["item"] for line in lines if line["type"] == "history"]
    assert [(item["update"], item["loss"]) for item in items if "loss" in item] == [
        (step, step / 7) for step in (10, 20, 5, 15)
    ]
    everything = json.dumps(lines)
    assert "x" * 40 not in everything and "(redacted)" in everything and summary["verdict"][:40] in everything
    assert any(line["type"] == "artifact" for line in lines)
    media = list((tmp_path / "wandb").glob("offline-run-*/files/media/*/*"))
    assert {path.parent.name for path in media} == {"table", "plotly", "html"}
    (table,) = (path for path in media if path.parent.name == "table")
    assert len(json.loads(table.read_text())["data"]) == sum(len(arm["points"]) for arm in summary["arms"].values())
    assert "wandb" not in sys.modules


def test_online_without_a_key_is_offline_and_says_so(monkeypatch, tmp_path, capsys):
    stand_in(monkeypatch, tmp_path, "import sys; sys.stdin.read()")
    out = Mirror("online", folder=tmp_path)
    assert out.mode == "offline" and "WANDB_API_KEY" in capsys.readouterr().err
    out.finish()


def test_disabled_starts_nothing(monkeypatch, tmp_path):
    monkeypatch.setattr(mirror.subprocess, "Popen", lambda *a, **k: pytest.fail("started"))
    out = Mirror("disabled", folder=tmp_path)
    out.log({"a": 1})
    out.finish()
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_mode_is_refused():
    with pytest.raises(ValueError, match="'onlin' is none of offline, online, disabled"):
        Mirror("onlin")


def use(out: Mirror, tmp_path: Path) -> None:
    """Every method once."""
    out.log({"a": 1.0}, 1)
    out.table("t", ["a"], [[1]])
    out.figure("f", object())
    out.page("p", tmp_path / "missing.html")
    out.artifact("r", "records", [tmp_path / "missing"])
    out.summary({"a": object()})
    out.report({"arms": {}, "task": "t", "puzzles": 1, "verdict": "v"})


FAULTS = {
    "dies at once": "import sys; sys.exit(3)",
    "dies after a call": "import sys; sys.stdin.readline(); sys.exit(3)",
    "closes its ears": "import os, time; os.close(0); time.sleep(1)",
    "never reads": "import time; time.sleep(60)",
    "never ends": "import sys, time; sys.stdin.read(); time.sleep(60)",
}


@pytest.mark.parametrize("fault", FAULTS)
def test_no_fault_reaches_the_run(fault, monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(mirror, "ROOM", 50)
    stand_in(monkeypatch, tmp_path, FAULTS[fault])
    out = Mirror(folder=tmp_path)
    start = time.perf_counter()
    for i in range(300):
        out.log({"values " * 100: float(i)}, i)
    assert time.perf_counter() - start < 10  # milliseconds; a call that waited for the fault would take a minute
    use(out, tmp_path)
    out.finish(patience=1)
    use(out, tmp_path)
    out.finish()
    assert time.perf_counter() - start < 20  # a second of patience
    said = capsys.readouterr().err
    assert said.count("W&B is lost") == 1 and "own files hold everything" in said


def test_a_missing_program_or_folder_does_not_stop_the_run(monkeypatch, tmp_path, capsys):
    (tmp_path / "file").write_text("")
    use(Mirror(folder=tmp_path / "file"), tmp_path)
    monkeypatch.setattr(mirror.sys, "executable", str(tmp_path / "nothing"))
    use(Mirror(folder=tmp_path), tmp_path)
    assert capsys.readouterr().err.count("W&B is lost") == 2


def helper_of(parent: int) -> int | None:
    """The process that W&B starts beside itself."""
    for children in Path(f"/proc/{parent}/task").glob("*/children"):
        for pid in children.read_text().split():
            try:
                if "wandb-core" in Path(f"/proc/{pid}/cmdline").read_text():
                    return int(pid)
            except OSError:  # it ended meanwhile
                continue
    return None


@pytest.mark.skipif(
    not Path("/proc/self/task").exists(), reason="no /proc: the process that W&B starts cannot be found"
)
@pytest.mark.parametrize("victim", ["ours", "its helper"])
def test_wandb_killed_under_way(victim, tmp_path, capsys):
    out = Mirror(folder=tmp_path)
    out.log({"a": 1.0}, 1)
    deadline = time.monotonic() + 30
    while (helper := helper_of(out._process.pid)) is None:
        assert time.monotonic() < deadline, "W&B started no helper"
        time.sleep(0.02)
    os.kill(out._process.pid if victim == "ours" else helper, signal.SIGKILL)
    for i in range(20):
        out.log({"a": float(i)}, i)
        time.sleep(0.01)
    out.finish(patience=20)
    assert capsys.readouterr().err.count("W&B is lost") == 1
