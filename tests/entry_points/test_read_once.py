"""Laws of what stands beside the records: how often the test split was read, and how long a pass or a token takes."""

import json
from pathlib import Path
from typing import Any

import pytest

from dlmreason.analysis.records import Measurement, SplitRead, read
from dlmreason.folder import note_read
from dlmreason.networks.transformer import Transformer
from tests.entry_points.tiny import content, copy, experiment, records

ARMS = ("confidence", "change_of_mind", "random_doubt", "restarts", "answer", "thought")


def counted(folder: Path) -> Any:
    return json.loads((folder / "run.json").read_text())["test_reads"]


def test_a_run_reads_the_test_split_once_however_often_it_is_started(finished: Path, tmp_path: Path) -> None:
    assert counted(finished) == dict.fromkeys(ARMS, 1)
    folder = copy(finished, tmp_path / "out")
    assert experiment(folder, "budget.passes=16") == 0, "more passes of the same arms"
    assert counted(folder) == dict.fromkeys(ARMS, 1)
    assert (folder / "reads.jsonl").read_bytes() == (finished / "reads.jsonl").read_bytes()


def test_another_setting_reads_it_again_and_removing_the_records_hides_nothing(
    finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = copy(finished, tmp_path / "out")
    assert experiment(folder, "arms.restarts.policy.temperature=0.5") == 2  # refused: nothing was read
    assert counted(folder) == dict.fromkeys(ARMS, 1)
    (folder / "records.jsonl").unlink()
    capsys.readouterr()
    assert experiment(folder, "arms.restarts.policy.temperature=0.5") == 0
    assert counted(folder) == dict.fromkeys(ARMS, 1) | {"restarts": 2}
    assert "restarts: has read the test split 2 times in this folder" in capsys.readouterr().err
    assert len(read(folder / "reads.jsonl", SplitRead).items) == len(ARMS) + 1


def test_another_split_is_not_counted_and_another_seed_is_no_second_reading(finished: Path, tmp_path: Path) -> None:
    folder = tmp_path / "out"
    for part in ("models", "training"):
        copy(finished / part, folder / part)
    assert experiment(folder, "budget.split=validation") == 0
    assert counted(folder) == {} and not (folder / "reads.jsonl").exists()
    for seed, key, times in ((0, "a", 1), (1, "b", 1), (1, "b", 1), (1, "c", 2), (0, "c", 2)):
        note_read(folder, "answer", {"budget": {"split": "test"}, "seed": seed}, key)
        assert counted(folder) == {"answer": times}


def test_a_folder_from_before_readings_were_counted_is_counted(finished: Path, tmp_path: Path) -> None:
    folder = copy(finished, tmp_path / "old")
    (folder / "reads.jsonl").unlink()
    run = json.loads((folder / "run.json").read_text())
    del run["test_reads"]
    (folder / "run.json").write_text(json.dumps(run))
    assert experiment(folder) == 0
    assert counted(folder) == dict.fromkeys(ARMS, 1)


def test_timing_adds_measurements_once_and_changes_nothing_else(
    finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert not (finished / "measurements.jsonl").exists()
    folder = copy(finished, tmp_path / "timed")
    assert experiment(folder, "budget.time=true") == 0
    assert records(folder) == records(finished)
    found = read(folder / "measurements.jsonl", Measurement).items
    widths = {"answer": 8, "thought": 8}
    assert [(each.arm, each.batch) for each in found] == [
        (arm, batch) for arm in ARMS for batch in (1, widths.get(arm, 2))
    ]
    assert all(each.seconds > 0 and each.calls > 0 and (each.peak_bytes or 0) > 2**20 for each in found)
    before = content(folder)
    monkeypatch.setattr(Transformer, "forward", None)
    assert experiment(folder, "budget.time=true") == 0
    assert content(folder) == before
