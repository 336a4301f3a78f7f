"""What README.md shows of a task of one's own works as it stands there."""

import re
import shutil
from pathlib import Path

import pytest

from dlmreason.tasks.written import Written
from tests.entry_points.tiny import ROOT, start
from tests.tasks import laws

README = (ROOT / "README.md").read_text(encoding="utf-8")


def shown(first_line: str) -> str:
    """The indented block that begins with a line."""
    block = re.search(rf"^    {re.escape(first_line)}\n(?:(?:    .*)?\n)*", README, re.MULTILINE)
    assert block, first_line
    return re.sub("^    ", "", block[0], flags=re.MULTILINE)


@pytest.fixture
def mine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of config files with the task of README.md, its class being importable."""
    code, conf = tmp_path / "code", tmp_path / "conf"
    code.mkdir()
    (code / "mytask.py").write_text(shown("import random"))
    monkeypatch.syspath_prepend(str(code))
    shutil.copytree(Path(__file__).with_name("conf"), conf)
    (conf / "task").mkdir()
    written = shown("_target_: dlmreason.tasks.written.Written").partition("\n\n")[0]
    (conf / "task" / "reverse.yaml").write_text(written)
    return conf


FEW = ("task.train_examples=24", "task.validation_examples=3", "task.test_examples=4", "models.diffusion.updates=4")
ARGV = ("experiment=any", "task=reverse", "~models.thought", "~arms.thought", *FEW)


def test_a_task_of_ones_own_goes_the_whole_way(mine: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert start("experiment", "--config-dir", str(mine), *ARGV, "trusted=[mytask]", f"output={out}") == 0
    assert (out / "report.html").exists()


def test_its_code_is_not_followed_untold(mine: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert start("experiment", "--config-dir", str(mine), *ARGV, f"output={tmp_path / 'out'}") == 2
    assert "trusted=[mytask]" in capsys.readouterr().err


def test_it_keeps_the_laws(mine: Path) -> None:
    from mytask import Reverse  # type: ignore[import-not-found]  # written by the fixture

    laws.gold_holds(Reverse(), 100, lambda problem: True)
    laws.never_raises(Reverse(), 500)
    task = Written(Reverse(), train_examples=50, validation_examples=5, test_examples=5)
    assert task.verify(task.example("abc"), "cba").correct


def test_the_jsonl_task_needs_no_code(tmp_path: Path) -> None:
    path = tmp_path / "mine.jsonl"
    rows = [f'{{"prompt": "{n} and {n + 1}", "thought": "{n}+{n + 1}", "answer": "{2 * n + 1}"}}' for n in range(60)]
    path.write_text("\n".join(rows))
    argv = (*ARGV[:1], "task=jsonl", f"task.train_file={path}", *FEW)
    conf = str(Path(__file__).with_name("conf"))
    assert start("experiment", "--config-dir", conf, *argv, f"output={tmp_path / 'out'}") == 0
