"""Several runs on one page: every run is there under its own name, and what does not belong together is said."""

import json
import re
import shutil
from html import unescape
from pathlib import Path

import pytest

from dlmreason.analysis.packed import FILES
from dlmreason.reports import side_by_side
from dlmreason.reports.gather import runs_in


@pytest.fixture(scope="module")
def runs(run_folder: Path, build_run, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    root = tmp_path_factory.mktemp("runs")
    shutil.copytree(run_folder, root / "first")
    return [root / "first", build_run(root / "second", puzzles=12)]


def embedded(text: str) -> dict:
    return json.loads(re.search(r'<script type="application/json" id="data">(.*?)</script>', text, re.S)[1])


def test_every_arm_of_every_run_has_a_curve_under_the_name_of_its_run(runs, tmp_path):
    text = side_by_side.write(runs, tmp_path / "page.html").read_text()
    data, shown = embedded(text), unescape(text)
    expected = {}
    for folder in runs:
        summary = json.loads((folder / "summary.json").read_text())
        expected |= {f"{folder.name}: {arm}": content["points"] for arm, content in summary["arms"].items()}
        assert summary["sentences"][0] in shown
    assert [arm["name"] for arm in data["arms"]] == list(expected)
    for arm in data["arms"]:
        assert all(point == point | known for point, known in zip(arm["points"], expected[arm["name"]], strict=True))
    assert len({arm["colour"] for arm in data["arms"]}) == 2 * 6, "no two arms look alike, but companions and theirs"
    drawn = expected.keys() - set(data["hidden"])
    assert {name.partition(":")[0] for name in drawn} == {"first", "second"} and not any(
        ".last" in each for each in drawn
    )
    assert "different tasks" not in text and "Not everything could be read" not in text


def test_a_run_of_another_task_and_one_without_result_are_said(runs, tmp_path):
    other, empty = tmp_path / "other", tmp_path / "empty"
    shutil.copytree(runs[0], other)
    empty.mkdir()
    summary = json.loads((other / "summary.json").read_text())
    (other / "summary.json").write_text(json.dumps(summary | {"task": "zebra"}))
    text = side_by_side.write([runs[0], other, empty], tmp_path / "page.html").read_text()
    assert "these runs are of different tasks" in text and "There is no result." in text
    assert "empty: records.jsonl: not there" in text


def test_two_folders_of_one_name_are_told_apart(tmp_path):
    paths = [tmp_path / "a" / "run", tmp_path / "b" / "run", tmp_path / "other"]
    assert list(side_by_side.named(paths)) == [str(paths[0]), str(paths[1]), "other"]


def test_what_a_claim_compares_is_drawn_first(run_folder, tmp_path):
    folder = tmp_path / "run"
    shutil.copytree(run_folder, folder)
    run = json.loads((folder / "run.json").read_text())
    (folder / "run.json").write_text(
        json.dumps(run | {"primary": "ar_answer", "family": [["random_doubt@4", "ar_answer@4"]]})
    )
    found = side_by_side.gather(folder)
    assert side_by_side._first(found)[:2] == ["ar_answer", "random_doubt"]
    accuracy = {arm: found.summary["arms"][arm]["points"][-1]["accuracy"] for arm in found.summary["arms"]}
    others = [accuracy[arm] for arm in side_by_side._first(found)[2:]]
    assert others == sorted(others, reverse=True) and len(others) == 4


CLAIMS = Path(__file__).parents[2] / "experiments"


def test_a_claim_in_parts_is_as_many_runs_in_one_folder_or_below_it(tmp_path):
    folders = [CLAIMS / name for name in ("passes_vs_accuracy", "compute_matched_cot", "several_answers")]
    found = {folder.name: list(runs_in(folder)) for folder in folders}
    assert found == {
        "passes_vs_accuracy": ["real_4x4", "real_9x9", "hard_9x9"],
        "compute_matched_cot": ["addition4", "sat5", "star_graph", "sudoku6x6"],
        "several_answers": ["", "confirmed"],
    }
    text = side_by_side.write(folders[:1], tmp_path / "page.html").read_text()
    runs_of = {arm["name"].partition(":")[0] for arm in embedded(text)["arms"]}
    assert runs_of == {f"passes_vs_accuracy/{part}" for part in found["passes_vs_accuracy"]}
    assert "not there, so no answers" not in text and "different tasks" in text


def test_every_claim_of_this_repository_is_read():
    for folder in sorted(path.parent for path in CLAIMS.glob("*/README.md")):
        held = [path for path in folder.rglob("*") if path.name.endswith(FILES)]
        assert len(held) == len({place.records for place in runs_in(folder).values()} - {None}), folder.name


def test_of_a_run_without_answers_what_there_is_is_shown(run_folder, tmp_path):
    folder = tmp_path / "latency"
    folder.mkdir()
    shutil.copy(run_folder / "measurements.jsonl", folder)
    (folder / "table.md").write_text("| length | <b>ms |\n")
    (folder / "figure.svg").write_text("<svg/>")
    text = side_by_side.write([folder], tmp_path / "page.html").read_text()
    assert "There is no result." in text and "ms a call" in text and "change_of_mind" in text
    assert "| length | &lt;b&gt;ms |" in text
    assert "What lies there: figure.svg, measurements.jsonl, table.md." in text
    empty = tmp_path / "empty"
    empty.mkdir()
    assert "There is no result." in side_by_side.write([empty], tmp_path / "empty.html").read_text()


def test_a_run_of_this_repository_has_no_parts_in_its_working_folders(runs, tmp_path):
    """What shards wrote is the run's own, and no run beside it."""
    folder = tmp_path / "run"
    shutil.copytree(runs[1], folder)
    shard = folder / "shards" / "arm-0-key" / "1-of-2"
    shard.mkdir(parents=True)
    shutil.copy(folder / "records.jsonl", shard)
    assert list(runs_in(folder)) == [""]
