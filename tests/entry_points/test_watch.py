"""Laws of `watch`: it shows the passes of `solve`, and answers as `solve` does."""

import re
from pathlib import Path

import pytest
from rich.console import Console

import dlmreason
from dlmreason.watch import Screen, board_of
from tests.entry_points.tiny import start

PUZZLE = "0340000000000210"
ARGV = (f"puzzle='{PUZZLE}'", "budget.passes=12")


def test_a_pipe_gets_what_solve_says(sudoku: Path, capsys: pytest.CaptureFixture[str]) -> None:
    said = {}
    for entry in ("solve", "watch"):
        assert start(entry, f"checkpoint={sudoku}", *ARGV) == 0
        said[entry] = capsys.readouterr().out
    assert said["watch"] == said["solve"] and "pass      1" in said["watch"]


def test_a_terminal_gets_pictures_and_the_same_answer(
    sudoku: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(Console, "is_terminal", True)
    assert start("watch", f"checkpoint={sudoku}", *ARGV, "pace=1000000") == 0
    out = capsys.readouterr().out
    answer = str(dlmreason.load(sudoku).solve(PUZZLE, passes=12))
    assert out.endswith(f"{answer}\n") and "change_of_mind on sudoku" in out
    shown = [int(number) for number in re.findall(r"(\d+) of 12 passes", out)]
    assert shown[0] == 1 and shown == sorted(shown)


def test_every_frame_is_drawn_once_and_in_order(sudoku: Path) -> None:
    solver, drawn = dlmreason.load(sudoku), []
    board = board_of(solver, solver.task.example(PUZZLE))
    assert sum(board.given) == sum(each != "0" for each in PUZZLE)
    screen = Screen(board, "t", 12, None, drawn.append)
    for chunk in (1, 5):
        solution = solver.solve(PUZZLE, 12, watch=screen, chunk=chunk)
        assert len(drawn) == len(solution.frames)
        drawn.clear()


@pytest.mark.parametrize(
    ("argv", "says"),
    [
        (("puzzle='12'",), "puzzle"),
        ((*ARGV, "pace=0"), "pace=0"),
        ((*ARGV, "policy=ancestral", "policy.corrector=x"), "corrector"),
    ],
)
def test_bad_input(sudoku: Path, argv: tuple[str, ...], says: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert start("watch", f"checkpoint={sudoku}", *argv) == 2
    assert says in capsys.readouterr().err
