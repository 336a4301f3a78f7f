"""A claim that measures goes the whole way by the one command: refused before it measures, resumed, told to the byte,
packed, shown."""

import json
from pathlib import Path

import pytest

from dlmreason.analysis.records import Speed, read
from dlmreason.report import report
from dlmreason.reports import claims
from dlmreason.reports.speeds import SPEEDS
from tests.entry_points.tiny import NETWORK, ROOT, content, copy, start

SMALL = (*NETWORK, "threads=1", "device=cpu", "measure.batches=[1]", "measure.rounds=1")
RECIPES = {
    "short_answers": ("measure.values=[1,300]", "measure.other=2"),
    "long_context": ("measure.values=[64,128]",),
}
BLOCKS = (
    "{_target_:dlmreason.measuring.works.Diffusion,pace:${measure.arms.fixed.pace},"
    "kept:{_target_:dlmreason.measuring.caches.BlockCache,block:64}}"
)
COMMITTED = sorted((ROOT / "experiments").rglob(SPEEDS))


def run(recipe: str, folder: Path, *argv: str) -> int:
    return start("experiment", f"experiment={recipe}", *SMALL, *RECIPES[recipe], f"output={folder}", *argv)


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("measured") / "short"
    assert run("short_answers", folder) == 0
    return folder


@pytest.mark.parametrize("recipe", RECIPES)
def test_every_recipe_runs_and_says_what_was_done(recipe: str, tmp_path: Path) -> None:
    assert run(recipe, tmp_path / "it") == 0
    rows = read(tmp_path / "it" / SPEEDS, Speed).items
    arms = {row.arm for row in rows if row.at}
    assert "ar" in arms and len(rows) == 3 + 2 * len(arms)
    assert all(row.seconds > 0 and row.flops > 0 and row.calls > 0 for row in rows)
    text = (tmp_path / "it" / "table.md").read_text()
    assert all(f"| {arm} |" in text and (arm == "ar" or f"* {arm}: " in text) for arm in arms)


def test_a_second_run_measures_nothing_and_a_torn_line_is_measured_again(measured: Path, tmp_path: Path) -> None:
    folder = copy(measured, tmp_path / "it")
    whole = (folder / SPEEDS).read_bytes()
    before = content(folder)
    assert run("short_answers", folder) == 0
    assert content(folder) == before
    (folder / SPEEDS).write_bytes(whole[:-20])
    assert run("short_answers", folder) == 0
    lines, again = whole.splitlines(), (folder / SPEEDS).read_bytes().splitlines()
    assert again[:-1] == lines[:-1] and len(again) == len(lines)
    one, other = (read(path / SPEEDS, Speed).items[-1] for path in (measured, folder))
    assert (one.arm, one.at, one.flops) == (other.arm, other.at, other.flops) and one.seconds != other.seconds


def test_rounds_may_be_added_and_other_settings_may_not(
    measured: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = copy(measured, tmp_path / "it")
    assert run("short_answers", folder, "measure.symbols=5") == 2
    assert "measure.symbols=64 there and 5 here" in capsys.readouterr().err
    assert (folder / SPEEDS).read_bytes() == (measured / SPEEDS).read_bytes()
    assert run("short_answers", folder, "measure.rounds=2") == 0
    assert (folder / SPEEDS).read_bytes().startswith((measured / SPEEDS).read_bytes())
    assert {row.round for row in read(folder / SPEEDS, Speed).items} == {0, 1}


@pytest.mark.parametrize(
    ("override", "why"),
    [
        ("measure.against=nobody", "must be one of measure.arms: ar, fixed"),
        ("measure.axis=width", "must be one of answer, context"),
        ("measure.values=[4,2]", "each number is above the one before"),
        ("measure.values=[]", "a list of at least 1"),
        ("measure.rounds=0", "whole number of 1 or more"),
        ("measure.longest=0", "above 0"),
        ("measure.clock=sun", "must be one of wall, processor"),
        ("threads=2", "processor is for one thread"),
        ("measure.arms.fixed.pace.passes=300", "passes=300 of a block of 256"),
        ("+measure.arms.fixed.within=7", "as many tokens"),
        ("+measure.arms.fixed.width=7", "no such argument"),
        ("measure.arms.fixed._target_=os.system", "a target can run any code"),
        (f"+measure.arms.kept={BLOCKS}", "no whole number of blocks of 64"),
    ],
)
def test_bad_settings_are_refused_before_anything_is_measured(
    override: str, why: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("short_answers", tmp_path / "it", override) == 2
    assert why in capsys.readouterr().err
    assert not (tmp_path / "it").exists()


def test_what_is_kept_of_a_claim_makes_its_table_and_figure_again(
    measured: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    kept = tmp_path / "experiments" / "x"
    assert start("claim", f"from=[{measured}]", f"to={kept}") == 0
    made = content(kept)
    assert made.keys() == {SPEEDS, "run.json", "summary.json", "table.md", "figure.svg"}
    assert made["table.md"] == (measured / "table.md").read_bytes()
    assert made["figure.svg"] == (measured / "figure.svg").read_bytes()
    for name in ("table.md", "figure.svg", "summary.json"):
        (kept / name).unlink()
    assert start("report", f"output={kept}") == 0
    assert content(kept) == made
    told = json.loads(made["run.json"])
    assert told["against"] == "ar" and "machine" not in told and str(tmp_path) not in made["run.json"].decode()
    assert start("claim", f"from=[{measured},{measured}]", f"to={tmp_path / 'y'}") == 2
    assert "speeds of one run" in capsys.readouterr().err


def test_a_folder_without_a_usable_row_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / SPEEDS).write_bytes(b"torn")
    assert start("report", f"output={tmp_path}") == 2
    assert "holds no usable row" in capsys.readouterr().err


def test_the_page_of_claims_shows_it(measured: Path, tmp_path: Path) -> None:
    root = tmp_path / "experiments"
    assert start("claim", f"from=[{measured}]", f"to={root / 'short_answers'}") == 0
    (root / "README.md").write_text("| [short_answers](short_answers/README.md) | crossed | | `make` | |\n")
    (root / "short_answers" / "README.md").write_text("**Question.** How fast?\n\n**Verdict.** So fast.\n")
    page = claims.write(root, tmp_path / "claims.html").read_text()
    assert "data:image/svg+xml" in page and "short_answers/table.md" in page


@pytest.mark.parametrize("path", COMMITTED, ids=lambda path: path.parent.name)
def test_tables_and_figures_of_claims_that_measured_are_made_again_to_the_byte(path: Path, tmp_path: Path) -> None:
    folder = copy(path.parent, tmp_path / path.parent.name)
    report(folder, show=False)
    for name in ("table.md", "figure.svg"):
        assert (folder / name).read_bytes() == (path.parent / name).read_bytes()
