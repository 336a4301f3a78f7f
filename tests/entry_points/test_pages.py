"""Pages over several runs and over all claims, from the command line."""

from pathlib import Path

import pytest

from tests.entry_points.tiny import ROOT, copy, start


def test_runs_stand_side_by_side_with_their_tables(finished: Path, tmp_path: Path) -> None:
    folders = [copy(finished, tmp_path / name) for name in ("a", "b")]
    to = tmp_path / "pages" / "compare.html"
    assert start("compare_page", f"from=[{','.join(map(str, folders))}]", f"to={to}") == 0
    text = to.read_text()
    assert "a: confidence" in text and "b: confidence" in text
    assert (finished / "table.tex").read_text().count(r"\begin{tabular}") == 1


def test_what_is_no_run_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert start("compare_page", f"from=[{tmp_path / 'nowhere'}]", f"to={tmp_path / 'x.html'}") == 2
    assert "nowhere is no folder" in capsys.readouterr().err
    assert start("compare_page", "from=[]", f"to={tmp_path / 'x.html'}") == 2
    assert "name the folders of one run or more" in capsys.readouterr().err
    assert not (tmp_path / "x.html").exists()


def test_all_claims_stand_on_one_page(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    to = tmp_path / "pages" / "claims.html"
    assert start("claims", f"from={ROOT / 'experiments'}", f"to={to}") == 0
    assert "remask_vs_no_remask" in to.read_text()
    assert start("claims", f"from={tmp_path}", f"to={to}") == 2
    assert "README.md" in capsys.readouterr().err
