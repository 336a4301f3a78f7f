"""What of a claim is kept says all that its runs said, and nothing of the machine."""

import json
from pathlib import Path

import pytest

from dlmreason.analysis.packed import load
from dlmreason.analysis.records import Record, encode, read
from dlmreason.report import report
from tests.entry_points.tiny import ROOT, copy, experiment, start

PACKED = sorted((ROOT / "experiments").rglob("records.parquet"))


@pytest.fixture
def two(finished: Path, tmp_path: Path) -> list[Path]:
    """Two seeds of one claim."""
    second = tmp_path / "second"
    assert experiment(second, "seed=1") == 0
    return [copy(finished, tmp_path / "first"), second]


def claim(folders: list[Path], to: Path) -> int:
    return start("claim", f"from=[{','.join(map(str, folders))}]", f"to={to}")


def test_a_claim_keeps_every_record_and_makes_its_table_again(two: list[Path], tmp_path: Path) -> None:
    kept = tmp_path / "experiments" / "x"
    assert claim(two, kept) == 0
    lines = sorted(encode(each) for folder in two for each in read(folder / "records.jsonl", Record).items)
    assert sorted(map(encode, load(kept / "records.parquet").items)) == lines
    made = {name: (kept / name).read_bytes() for name in ("table.md", "figure.svg", "records.parquet", "run.json")}
    assert b"seed 0 and seed 1" in made["table.md"]
    for name in ("table.md", "figure.svg", "summary.json"):
        (kept / name).unlink()
    assert start("report", f"output={kept}") == 0
    assert {name: (kept / name).read_bytes() for name in made} == made
    assert claim(two, kept) == 0  # a second time nothing changes
    assert {name: (kept / name).read_bytes() for name in made} == made


def test_a_claim_and_a_further_seed_are_what_both_runs_are(two: list[Path], tmp_path: Path) -> None:
    at_once, step_by_step = tmp_path / "at once", tmp_path / "step by step"
    assert claim(two, at_once) == claim(two[:1], step_by_step) == claim([step_by_step, two[1]], step_by_step) == 0
    kept = {path.name for path in at_once.iterdir() if path.is_file()} - {"report.html"}  # which names its folder
    assert {"records.parquet", "timings.jsonl", "run.json", "table.md", "figure.svg"} <= kept
    assert {name: (step_by_step / name).read_bytes() for name in kept} == {
        name: (at_once / name).read_bytes() for name in kept
    }
    assert claim([step_by_step, two[1]], tmp_path / "x") == 2, "a seed that is there already"


def test_what_is_told_of_the_runs_names_no_place_of_the_machine(two: list[Path], tmp_path: Path) -> None:
    kept = tmp_path / "x"
    for folder in two:
        run = json.loads((folder / "run.json").read_text())
        run["command"] += ["task.file=/far/away/data/it.csv", "output=/far/away/out", "budget.rungs=[1, 2]"]
        run["task"] = {"file": "/far/away/data/it.csv", "name": "a/b"}
        (folder / "run.json").write_text(json.dumps(run))
    assert claim(two, kept) == 0
    text = (kept / "run.json").read_text()
    told = json.loads(text)
    assert told["seeds"] == [0, 1] and len(told["test_reads"]) == 2 and set(told["learning"]) >= {"diffusion"}
    assert not any(word in text for word in ("hostname", "machine", "user", "/far", "away"))
    assert told["task"] == {"file": "<path>/it.csv", "name": "a/b"}
    assert told["commands"][0][-3:] == ["task.file=<path>/it.csv", "output=<path>/out", "budget.rungs=[1, 2]"]


def test_one_run_is_a_claim_too(finished: Path, tmp_path: Path) -> None:
    assert claim([finished], tmp_path / "x") == 0
    assert (tmp_path / "x" / "table.md").read_bytes() == (finished / "table.md").read_bytes()


def test_runs_that_do_not_belong_together_are_refused(
    two: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first, second = two
    assert claim([first, first], tmp_path / "x") == 2
    assert "two records of" in capsys.readouterr().err
    run = json.loads((second / "run.json").read_text())
    (second / "run.json").write_text(json.dumps(run | {"tolerance": 0.5}))
    assert claim([first, second], tmp_path / "y") == 2
    assert "differ in tolerance" in capsys.readouterr().err
    assert claim([first, tmp_path / "nowhere"], tmp_path / "y") == 2
    assert "nowhere has no records.jsonl" in capsys.readouterr().err
    (first / "records.jsonl").write_bytes(b"torn")
    assert claim([first], tmp_path / "y") == 2
    assert "torn" in capsys.readouterr().err
    assert not (tmp_path / "y").exists()


@pytest.mark.slow
@pytest.mark.parametrize("path", PACKED, ids=lambda path: path.parent.name)
def test_tables_and_figures_of_claims_are_made_again_to_the_byte(path: Path, tmp_path: Path) -> None:
    folder = copy(path.parent, tmp_path / path.parent.name)
    report(folder, show=False)
    for name in ("table.md", "figure.svg"):
        if (path.parent / name).exists():
            assert (folder / name).read_bytes() == (path.parent / name).read_bytes(), f"{path.parent.name}/{name}"
