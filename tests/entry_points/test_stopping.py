"""Where rules would have stopped: the numbers are those of the analysis, and what is not there is refused."""

from pathlib import Path

import pytest

from dlmreason.analysis.records import Writer
from tests.entry_points.test_compare import answers
from tests.entry_points.tiny import start


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Forty puzzles: ten right at 1 pass already, thirty at 4; nobody judges."""
    with Writer(tmp_path / "records.jsonl") as out:
        for rung, share in ((1, 10), (4, 30)):
            out.append_many(answers("a", rung, [i < share for i in range(40)]))
    return tmp_path


def test_a_line_for_each_rule(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert start("stopping", f"records={folder}", "of=a", "bar=0.5") == 0
    head, *lines = capsys.readouterr().out.splitlines()
    assert head.startswith("40 rows")
    assert [line.split("  ")[0] for line in lines] == [
        "oracle",
        "budget of 1",
        "budget of 2",
        "budget of 4",
        "certified at 0.5",
    ]
    assert "75.0 % right at 2.5 passes; lost 0.0 % [0.0, 0.0], beyond 0.0 [0.0, 0.0] passes" in lines[0]
    assert "25.0 % right at 1.0 passes; lost 50.0 % [" in lines[1]
    assert "75.0 % right at 4.0 passes; lost 0.0 % [0.0, 0.0], beyond 1.5 [" in lines[3]


@pytest.mark.parametrize(
    ("argv", "words"),
    [(("of=b",), "no row has all of its rungs"), ((), "of: needs a value"), (("of=a", "bar=x"), "bar=x")],
)
def test_what_is_not_there_is_refused(
    argv: tuple[str, ...], words: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert start("stopping", f"records={folder}", *argv) == 2
    assert words in capsys.readouterr().err
