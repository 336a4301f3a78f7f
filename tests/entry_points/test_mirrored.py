"""A real run and its copy in W&B: every number is there, and the run is what it would be without."""

import json
from pathlib import Path
from typing import Any

import pytest

from dlmreason.mirroring import MACHINE
from dlmreason.reports.backfill import backfill
from dlmreason.reports.mirror import Mirror
from dlmreason.reports.shown import shown_of
from tests.entry_points.tiny import GRAPH, NETWORK, ROOT, TRAINER, content, experiment, records, start, weights
from tests.entry_points.tiny import MACHINE as MACHINES
from tests.reports.leet import inspect, rows_of


@pytest.mark.slow
def test_every_number_of_a_real_run_is_there_and_equal(finished: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    assert experiment(folder, "logger=wandb", "logger.tags=[mine]") == 0
    lines = inspect(folder)
    rows = rows_of(lines)
    assert rows == [row.values for row in shown_of(folder).rows]
    assert {f"{model}/mfu" for model in ("diffusion", "answer", "thought")} <= {name for row in rows for name in row}
    (run,) = [line["run"] for line in lines if line["type"] == "run"]
    assert (run["job_type"], run["run_group"]) == ("experiment", "tiny") and "mine" in run["tags"]
    assert records(folder) == records(finished) and weights(folder) == weights(finished)
    # What has no part in a result: where W&B is, and the yardstick of speed.
    new = content(folder).keys() - content(finished).keys()
    assert {name for name in new if not name.startswith("wandb/")} == {MACHINE}


SECRET = "0123456789abcdef" * 3
WANDB = ("logger=wandb", "logger.tags=[mine]", f"+logger.api_key={SECRET}")


def argv_of(entry: str, finished: Path) -> tuple[str, ...]:
    """A command of an entry point that is started by itself."""
    if entry == "train":
        return (*NETWORK, *GRAPH, *TRAINER, *MACHINES, "budget=tiny", "model.updates=8", "name=alone_0")
    checkpoint = f"checkpoint={finished / 'models' / 'diffusion'}"
    return (checkpoint, "budget=tiny", "policy=change_of_mind", "policy.doubt=2", *MACHINES, "name=alone_0")


def results(folder: Path) -> tuple[object, ...]:
    return weights(folder), records(folder) if (folder / "records.jsonl").exists() else None


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("entry", ["train", "evaluate"])
def test_what_is_started_by_itself_is_mirrored_as_an_experiment_is_and_rebuilt(
    entry: str, finished: Path, tmp_path: Path
) -> None:
    argv, folder = argv_of(entry, finished), tmp_path / "mirrored"
    assert start(entry, *argv, *WANDB, f"output={folder}") == 0
    assert start(entry, *argv, f"output={tmp_path / 'plain'}") == 0
    assert results(folder) == results(tmp_path / "plain")
    shown, before = shown_of(folder), inspect(folder)
    assert backfill(folder, pytest.fail) is not None
    for lines in (before, inspect(folder)):
        assert rows_of(lines) == [row.values for row in shown.rows] != []
        (run,) = [line["run"] for line in lines if line["type"] == "run"]
        assert (run["display_name"], run["job_type"], run["run_group"]) == ("alone_0", entry, "alone")
        assert {"mine", "alone", "seed-0"} <= set(run["tags"]) and any("star_graph" in tag for tag in run["tags"])
        said = json.dumps(lines)
        assert "trainer" in said or entry == "evaluate", "its config is there"
        assert SECRET not in said and "(redacted)" in said
        assert ("alone_0-records" in said or "mirrored-records" in said) == (entry == "evaluate")
    assert {table.name for table in shown.tables} == (
        {"accuracy_against_flops", "quality_calibration", "changed_minds"} if entry == "evaluate" else set()
    )


@pytest.mark.parametrize("entry", ["train", "evaluate"])
def test_what_is_started_by_itself_goes_on_without_wandb(
    entry: str, finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def no_more(*command: object, **options: object) -> None:
        raise OSError("no more processes")

    monkeypatch.setattr("dlmreason.reports.mirror.subprocess.Popen", no_more)
    argv = argv_of(entry, finished)
    assert start(entry, *argv, "logger=wandb", f"output={tmp_path / 'lost'}") == 0
    assert capsys.readouterr().err.count("W&B is lost (OSError: no more processes)") == 1
    monkeypatch.undo()
    assert start(entry, *argv, f"output={tmp_path / 'plain'}") == 0
    assert results(tmp_path / "lost") == results(tmp_path / "plain")


@pytest.mark.parametrize("entry", ["train", "evaluate"])
def test_by_itself_it_is_mirrored_unless_told_otherwise(
    entry: str, finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    modes = []

    class Told(Mirror):
        def __init__(self, mode: str, **named: Any) -> None:
            modes.append(mode)
            super().__init__("disabled", **named)

    monkeypatch.setattr("dlmreason.mirroring.Mirror", Told)
    for logger in ("logger=wandb", "logger=none"):
        assert start(entry, *argv_of(entry, finished), logger, f"output={tmp_path / 'out'}") == 0
    assert modes == ["offline", "disabled"]
    assert "logger: wandb" in (ROOT / "conf" / f"{entry}.yaml").read_text()


@pytest.mark.slow
def test_the_yardstick_is_measured_once(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    kept = []
    for _ in range(2):
        assert experiment(folder, "logger=wandb") == 0
        kept.append(json.loads((folder / MACHINE).read_text()))
    assert kept[0] == kept[1] and kept[0]["threads"] == 1 and kept[0]["matrix_product_flops_per_second"] > 1e8
