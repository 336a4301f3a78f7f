"""Laws of a run that is stopped, killed or damaged and started again: nobody can tell from its results."""

import logging
import signal
from pathlib import Path

import pytest

from dlmreason import launch
from dlmreason.evaluation.snapshot import Snapshot
from tests.entry_points.tiny import TINY, at_call, copy, experiment, process, records, start, weights

POINTS = {
    "training": ("dlmreason.training.fit:_Keeper._save", 6),  # the second model's, with two saves behind it
    "between models": ("dlmreason.train:_fit", 2),
    "within an arm": ("dlmreason.analysis.records:Writer.append_many", 9),
    "between arms": ("dlmreason.experiment:answered", 4),
    "before the report": ("dlmreason.experiment:report", 1),
}


class Killed(BaseException):
    """No failure that anyone handles."""


def kill() -> None:
    raise Killed


@pytest.mark.parametrize("point", POINTS)
def test_interrupted_at_any_point_it_ends_with_the_same_bytes(point: str, finished: Path, tmp_path: Path) -> None:
    folder = tmp_path / "killed"
    with pytest.MonkeyPatch.context() as patch, pytest.raises(Killed):
        at_call(*POINTS[point], kill, patch.setattr)
        experiment(folder)
    assert not (folder / "report.html").exists()
    assert experiment(folder) == 0
    assert records(folder) == records(finished)
    assert weights(folder) == weights(finished)
    assert (folder / "traces.jsonl").read_bytes() == (finished / "traces.jsonl").read_bytes()


@pytest.mark.parametrize("point", ["training", pytest.param("within an arm", marks=pytest.mark.slow)])
def test_killed_by_the_system_it_ends_with_the_same_bytes(point: str, finished: Path, tmp_path: Path) -> None:
    folder = tmp_path / "killed"
    place, number = POINTS[point]
    with process(
        "tests.entry_points.tiny", place, str(number), "experiment", *TINY, f"output={folder}", cwd=tmp_path
    ) as run:
        _, error = run.communicate(timeout=280)
    assert run.returncode == -signal.SIGKILL, error
    assert (folder / "training" / "answer" / "steps").exists()
    assert experiment(folder) == 0
    assert records(folder) == records(finished)
    assert weights(folder) == weights(finished)


@pytest.mark.parametrize(
    ("number", "code", "during"),
    [
        (signal.SIGTERM, 143, "training answer"),
        pytest.param(signal.SIGINT, 130, "change_of_mind", marks=pytest.mark.slow),
    ],
)
def test_a_signal_ends_it_with_its_code_and_a_sentence(
    number: signal.Signals, code: int, during: str, finished: Path, tmp_path: Path
) -> None:
    folder, log = tmp_path / "stopped", tmp_path / "log"
    stop = f"""
        import os, sys, torch
        torch.set_num_threads(1)
        from dlmreason.progress import Progress
        from tests.entry_points.tiny import experiment
        from pathlib import Path
        real = Progress.advance
        def advance(self, count=1, note=""):
            real(self, count, note)
            if self._name == {during!r} and self._done == 3:
                os.kill(os.getpid(), {int(number)})
        Progress.advance = advance
        sys.exit(experiment(Path({str(folder)!r})))
    """
    script = tmp_path / "stop.py"
    script.write_text("\n".join(line[8:] for line in stop.splitlines()))
    log.touch()
    with process("stop", cwd=tmp_path) as run:
        _, error = run.communicate(timeout=280)
    assert run.returncode == code, error
    assert error.rstrip().splitlines()[-1] == "interrupted; run the same command again to go on"
    assert "Traceback" not in error
    assert (folder / "records.jsonl").exists() == (during == "change_of_mind")
    if number == signal.SIGTERM:  # an update that was made is not lost
        assert (folder / "training" / "answer" / "steps" / "update-00000003.ckpt").exists()
    assert experiment(folder) == 0
    assert records(folder) == records(finished)
    assert weights(folder) == weights(finished)


def test_records_that_are_torn_or_lost_are_made_again(
    finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The last line is torn, and one is gone from anywhere: a lowest rung, a top one, one variant of two, one rule of
    three."""
    folder = copy(finished, tmp_path / "torn")
    path = folder / "records.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    lost = [
        next(line for line in lines if arm in line and f'"rung":{rung},'.encode() in line)
        for arm, rung in [
            (b'"arm":"confidence"', 1),
            (b'"arm":"change_of_mind.last"', 8),
            (b'"arm":"random_doubt"', 4),
            (b'"arm":"answer.quality"', 8),
            (b'"arm":"thought.vote"', 4),
        ]
    ]
    path.write_bytes(b"".join(line for line in lines[:-1] if line not in lost) + lines[-1][:-7])
    assert experiment(folder) == 0
    assert "torn" in capsys.readouterr().err
    assert records(folder) == records(finished)


def test_a_damaged_line_is_named_and_its_record_made_again(
    finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = copy(finished, tmp_path / "damaged")
    path = folder / "records.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    lines[7] = lines[7].replace(b'"correct":', b'"corrupt":')
    path.write_bytes(b"".join(lines))
    assert experiment(folder) == 0
    assert f"{path}:8: damaged" in capsys.readouterr().err
    assert set(records(finished)) < set(records(folder))


def flip(path: Path) -> None:
    """One bit of one byte."""
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


@pytest.mark.parametrize("steps", ["whole", "newest damaged", "none"])
def test_a_damaged_model_is_named_and_trained_on(
    steps: str, finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    folder = copy(finished, tmp_path / "damaged")
    flip(folder / "models" / "answer" / "model.safetensors")
    kept = sorted((folder / "training" / "answer" / "steps").glob("*.ckpt"))
    assert len(kept) == 2
    for path in {"whole": [], "newest damaged": kept[1:], "none": kept}[steps]:
        flip(path)
    with caplog.at_level(logging.WARNING):
        assert experiment(folder) == 0
    said = capsys.readouterr().err
    assert f"{folder / 'models' / 'answer' / 'model.safetensors'}: does not match" in said
    if steps != "whole":
        assert kept[-1].name in caplog.text
    assert weights(folder) == weights(finished)
    assert records(folder) == records(finished)
    assert said.count("all 5 examples are answered") == 6


@pytest.mark.parametrize("harm", ["flipped", "cut short", "missing"])
@pytest.mark.parametrize("entry", ["evaluate", "solve"])
def test_a_damaged_checkpoint_is_refused_by_name(
    harm: str, entry: str, finished: Path, elsewhere: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = copy(finished / "models" / "diffusion", tmp_path / "model")
    path = model / "model.safetensors"
    {"flipped": flip, "cut short": lambda path: path.write_bytes(path.read_bytes()[:-9]), "missing": Path.unlink}[harm](
        path
    )
    more = ("puzzle=1",) if entry == "solve" else ("threads=1",)
    assert start(entry, f"checkpoint={model}", *more) == 2
    said = capsys.readouterr().err
    assert said.startswith(f"error: checkpoint: {path}: ") and said.count("\n") == 1
    assert not list(elsewhere.iterdir())


def test_a_folder_in_use_is_refused_at_once(finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = copy(finished, tmp_path / "used")
    with launch.locked(folder):
        before = records(folder)
        assert experiment(folder, "budget.passes=16") == 2
        said = capsys.readouterr().err
        assert said.startswith(f"error: output={folder}: another run (process ") and said.count("\n") == 1
        assert records(folder) == before


def test_rows_under_way_are_never_written_over_by_another_run(
    finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Before the first answer a setting is changed: refused, with what differs, and nothing is lost."""
    folder, model = tmp_path / "killed", finished / "models" / "diffusion"
    budget = ("budget=tiny", "budget.passes=64", "budget.traces=0", "threads=1", "device=cpu")
    argv = (f"checkpoint={model}", "policy=change_of_mind", "policy.certify=null", *budget)
    with pytest.MonkeyPatch.context() as patch, pytest.raises(Killed):
        patch.setattr(Snapshot, "due", True)
        at_call("dlmreason.evaluation.snapshot:Snapshot.save", 3, kill, patch.setattr)
        start("evaluate", *argv, f"output={folder}")
    (snapshot,) = (folder / "snapshots").glob("*.pt")
    before = snapshot.read_bytes()
    capsys.readouterr()
    assert start("evaluate", *argv, f"output={folder}", "policy.temperature=0.25", "budget.width=3") == 2
    said = capsys.readouterr().err
    assert "holds rows under way of another run" in said and "budget.width=4 there and 3 here" in said
    assert "policy.temperature=" in said and "0.25 here" in said
    assert snapshot.read_bytes() == before
    for place in (folder, tmp_path / "undisturbed"):
        assert start("evaluate", *argv, f"output={place}") == 0
    assert records(folder) == records(tmp_path / "undisturbed")
