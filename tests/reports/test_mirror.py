"""W&B is a mirror: what we hand over arrives, and nothing that happens to it reaches the run."""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from dlmreason.reports import mirror, series, wandb_process
from dlmreason.reports.backfill import backfill
from dlmreason.reports.findable import findable
from dlmreason.reports.mirror import Mirror
from dlmreason.reports.series import Work
from dlmreason.reports.shown import found_in, shown_of
from tests.reports.leet import inspect, rows_of


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


def tables_of(folder: Path) -> dict[str, dict]:
    paths = (folder / "wandb").glob("offline-run-*/files/media/table/*.json")
    return {path.name.rsplit("_", 2)[0]: json.loads(path.read_text()) for path in paths}


@pytest.fixture(scope="session")
def recorded(build_run, tmp_path_factory):
    """A made-up run with two trainings, models and a machine."""
    folder = build_run(tmp_path_factory.mktemp("recorded") / "demo_0", puzzles=20)
    dice, secret = random.Random(0), "x" * 40
    (folder / "metrics").mkdir()
    for model in ("thought", "diffusion"):
        entries = [
            {"update": i, "loss": dice.random(), "lr": 0.1 + dice.random(), "seconds": i / 3} for i in range(1, 9)
        ]
        entries.insert(4, {"update": 4, "accuracy": dice.random(), "held_out_loss": 1 / 3, "seconds": 1.5})
        lines = (json.dumps({"step": entry["update"], **entry}) + "\n" for entry in entries)
        (folder / "metrics" / f"{model}.jsonl").write_text("".join(lines))
        (folder / "models" / model).mkdir(parents=True, exist_ok=True)
        about = {"extra": {"updates": 8, "training_flops": 8e9 / 3}}
        (folder / "models" / model / "description.json").write_text(json.dumps(about))
    (folder / "machine.json").write_text('{"matrix_product_flops_per_second": 7e9}')
    (folder / "report.html").write_text("<p>hello")
    (folder / "config.yaml").write_text(
        "name: demo_0\nseed: 0\nmodels: {thought: {}, diffusion: {}}\ntrainer: {batch_size: 32}\n"
        f"logger: {{project: p, group: null, tags: [mine], api_key: {secret}}}\n"
    )
    (folder / "run.json").write_text('{"name": "demo_0"}')
    return folder


def live(folder: Path) -> None:
    """Hands over as a run does: an entry when it is told, the results at the end."""
    settings = series.settings_of(folder)
    named = findable(settings, "sudoku6x6")
    out = Mirror("offline", project="p", **named, folder=folder, config=settings, work=series.work_of(folder))
    for model in ("thought", "diffusion"):
        for line in (folder / "metrics" / f"{model}.jsonl").read_text().splitlines():
            out.training(model, {name: value for name, value in json.loads(line).items() if name != "step"})
    out.found(lambda: found_in(folder), folder)
    out.finish()
    assert not out.failed, (folder / "wandb" / "mirror.log").read_text()


@pytest.fixture(scope="session")
def mirrored(recorded, tmp_path_factory):
    """The same run with W&B's copy of it."""
    folder = shutil.copytree(recorded, tmp_path_factory.mktemp("mirrored") / "demo_0")
    live(folder)
    return folder


@pytest.fixture(scope="session")
def held(mirrored):
    """What W&B's own reader finds in it."""
    return inspect(mirrored)


def test_every_number_of_ours_is_there_and_equal(mirrored, held):
    """To the bit, in order: what W&B holds is what the run's own files say."""
    lines = held
    shown = shown_of(mirrored)
    assert rows_of(lines) == [row.values for row in shown.rows]
    loss = [row["diffusion/loss"] for row in rows_of(lines) if "diffusion/loss" in row]
    written = (mirrored / "metrics" / "diffusion.jsonl").read_text().splitlines()
    assert loss == [json.loads(line)["loss"] for line in written if "loss" in json.loads(line)]
    assert {"thought/mfu", "thought/flops_per_second", "thought/examples_per_second"} <= set(rows_of(lines)[0])
    tables = tables_of(mirrored)
    assert {name: (table["columns"], table["data"]) for name, table in tables.items()} == {
        table.name: (list(table.columns), table.rows) for table in shown.tables
    }


def test_each_name_has_its_axis(held):
    told = [line["metric"] for line in held if line["type"] == "metric" and line["metric"].get("step_metric")]
    axes = {each["name"]: each["step_metric"] for each in told}
    assert len(told) == len(axes)  # each once
    assert axes.items() >= {
        "diffusion/loss": "update", "answers/confidence/accuracy": "budget", "mind/change_of_mind/doubted": "budget",
    }.items()  # fmt: skip


def test_verdict_figure_page_and_records_are_there(mirrored, held):
    everything = json.dumps(held)
    summary = json.loads((mirrored / "summary.json").read_text())
    assert summary["verdict"][:40] in everything
    assert "x" * 40 not in everything and "(redacted)" in everything
    media = list((mirrored / "wandb").glob("offline-run-*/files/media/*/*"))
    assert {path.parent.name for path in media} == {"table", "plotly", "html"}
    (artifact,) = [line["artifact"] for line in held if line["type"] == "artifact" and "demo_0-records" in str(line)]
    assert artifact["type"] == "records"


def test_wandb_is_imported_by_its_own_process_alone(tmp_path):
    program = """if True:
        import sys
        from pathlib import Path
        from dlmreason.reports import mirror
        mirror.sys.executable = "true"
        out = mirror.Mirror(folder=sys.argv[1])
        out.training("m", {"update": 1, "loss": 1.0, "seconds": 1.0})
        out.finish()
        print(*sys.modules)"""
    done = subprocess.run([sys.executable, "-c", program, str(tmp_path)], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())
    assert "dlmreason.reports.mirror" in loaded and loaded & {"wandb", "plotly", "torch", "hydra"} == set()


def test_a_claims_runs_are_found_together(held):
    (run,) = [line["run"] for line in held if line["type"] == "run"]
    said = json.dumps(run)
    for word in ('"demo_0"', '"demo"', '"experiment"', '"mine"', '"sudoku6x6"', '"seed-0"'):
        assert word in said


def test_a_file_that_is_not_there_costs_nothing_but_itself(monkeypatch, tmp_path, capsys):
    stand_in(monkeypatch, tmp_path, "import sys; sys.stdin.read()")
    out = Mirror(folder=tmp_path)
    out.page("p", tmp_path / "missing.html")
    out.artifact("r", "records", [tmp_path / "missing.jsonl"])
    out.finish()
    assert not out.failed and capsys.readouterr().err.count("is not handed to W&B") == 2


def test_an_entry_that_is_none_is_not_the_runs_trouble(monkeypatch, tmp_path, capsys):
    stand_in(monkeypatch, tmp_path, "import sys; sys.stdin.read()")
    out = Mirror(folder=tmp_path, work={"m": Work(1, 1.0)})
    out.training("m", {"loss": 1.0})  # of no update
    out.finish()
    assert "W&B is lost (KeyError" in capsys.readouterr().err


def test_what_wandb_kept_is_counted_as_its_own_reader_does(mirrored, held, tmp_path):
    (path,) = (mirrored / "wandb").glob("offline-run-*/*.wandb")
    content, cut = path.read_bytes(), tmp_path / "cut.wandb"
    assert len(content) > wandb_process.BLOCK, "a record lies across the end of a block"
    history = [line for line in held if line["type"] == "history"]
    assert wandb_process.rows_in(path) == len(history) > 20
    counts = []
    for size in range(0, len(content), len(content) // 40):
        cut.write_bytes(content[:size])
        counts.append(wandb_process.rows_in(cut))
    assert counts == sorted(counts) and counts[0] == 0 and counts[-2] < len(history)


@pytest.mark.slow
@pytest.mark.parametrize("damage", ["cut", "gone", "none"])
def test_a_lost_or_damaged_run_is_rebuilt_row_by_row(damage, mirrored, held, tmp_path):
    folder = shutil.copytree(mirrored, tmp_path / "demo_0", symlinks=True)
    (old,) = (folder / "wandb").glob("offline-run-*")
    if damage == "gone":
        shutil.rmtree(folder / "wandb")
    if damage == "cut":
        (log,) = old.glob("*.wandb")
        log.write_bytes(log.read_bytes()[: log.stat().st_size // 3])
        assert len(rows_of(inspect(folder))) < len(rows_of(held))
    new = backfill(folder, pytest.fail)
    assert new is not None and new.name != old.name
    lines = inspect(folder)  # the only one there
    assert rows_of(lines) == rows_of(held)
    assert tables_of(folder) == tables_of(mirrored)
    assert damage == "gone" or (folder / "wandb" / "replaced" / old.name).is_dir()
    run, before = (next(line["run"] for line in each if line["type"] == "run") for each in (lines, held))
    same = ("display_name", "run_group", "job_type", "tags", "project")
    assert {name: run.get(name) for name in same} == {name: before.get(name) for name in same}
    assert run["display_name"] == "demo_0" and run["run_group"] == "demo"


def test_a_rebuilding_that_fails_moves_nothing(mirrored, tmp_path, monkeypatch):
    folder = shutil.copytree(mirrored, tmp_path / "demo_0", symlinks=True)
    before = sorted(path.name for path in (folder / "wandb").iterdir())
    stand_in(monkeypatch, tmp_path, FAULTS["dies at once"])
    assert backfill(folder, lambda _: None) is None
    assert sorted(path.name for path in (folder / "wandb").iterdir()) == before


def test_nothing_logged_is_nothing_to_rebuild(tmp_path):
    with pytest.raises(ValueError, match="neither metrics nor results"):
        backfill(tmp_path, lambda _: None)


def test_a_call_costs_a_training_nothing(monkeypatch, tmp_path):
    """Fifty updates of a small network, an entry's worth, take 150 ms and more: of that a call may take 2 %."""
    stand_in(monkeypatch, tmp_path, "import sys; sys.stdin.read()")
    out = Mirror(folder=tmp_path, work={"m": Work(32, 1e9, 1e9)})
    entry = {f"metric_{number}": number / 7 for number in range(12)} | {"loss": 1.0}
    took = []
    for update in range(1, 1000):
        began = time.perf_counter()
        out.training("m", entry | {"update": update, "seconds": float(update)})
        took.append(time.perf_counter() - began)
    out.finish()
    assert sorted(took)[len(took) // 2] < 0.02 * 0.150


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
    out.training("m", {"update": 1, "loss": 1.0, "seconds": 1.0})
    out.found(lambda: found_in(tmp_path), tmp_path)
    out.found(lambda: 1 / 0, tmp_path)


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
