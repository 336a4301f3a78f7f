"""`make tasks`: what a person sees before choosing a task."""

import pytest

from dlmreason import catalogue


def test_a_task_is_shown_whole(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(catalogue, "SECONDS", 0.02)
    assert catalogue.main(["running_sum", "sudoku4x4"]) == 0
    said = capsys.readouterr().out
    for what in ("prompt", "thought", "answer", "difficulty", "alphabet", "lengths", "items a second", "one problem"):
        assert said.count(f"\n  {what} ") >= 1, what
    assert "running_sum: Running sums" in said and "sudoku4x4: Sudoku 4x4" in said


def test_a_task_that_needs_a_file_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    assert catalogue.main(["gsm8k"]) == 0
    assert "task.train_file" in capsys.readouterr().out


def test_an_unknown_task_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert catalogue.main(["sudoku5x5"]) == 2
    assert "task=sudoku5x5 is unknown: use addition4" in capsys.readouterr().err
