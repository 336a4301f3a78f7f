"""The result as text: complete, aligned, and the same numbers everywhere."""

import io
import json
from pathlib import Path

from dlmreason.analysis.records import Record, read
from dlmreason.analysis.summary import summary as summarise
from dlmreason.reports import tables, terminal


class Screen(io.StringIO):
    def isatty(self) -> bool:
        return True


def load(folder: Path) -> dict:
    return json.loads((folder / "summary.json").read_text())


def test_every_point_has_a_line_with_its_numbers(run_folder):
    summary = load(run_folder)
    text = tables.plain(summary)
    for arm, content in summary["arms"].items():
        for point in content["points"]:
            assert any(
                line.split()[0] == arm
                and line.split()[1] == f"{point['rung']:,}"
                and f"{100 * point['accuracy']:.1f} [" in line
                for line in text.splitlines()
            )
    assert text.rstrip().endswith(summary["sentences"][-1])


def grids(text: str) -> list[list[list[str]]]:
    """The tables of a markdown text, each as rows of cells."""
    found = [part.splitlines() for part in text.split("\n\n") if part.startswith("|")]
    return [[[cell.strip() for cell in row.split(" | ")] for row in rows] for rows in found]


def test_markdown_tables_are_rectangular_and_the_longer_side_goes_down(run_folder):
    summary = load(run_folder)
    many = [*summary["arms"]] + [f"more_{i}" for i in range(len(tables.rungs(summary)))]
    for arms in ([*summary["arms"]][:1], many):
        content = {arm: summary["arms"].get(arm, summary["arms"]["restarts"]) for arm in arms}
        accuracies, changes = grids(tables.markdown(summary | {"arms": content}))
        rungs = tables.rungs(summary | {"arms": content})
        assert len(accuracies) == 2 + max(len(arms), len(rungs))
        for grid in (accuracies, changes):
            assert {len(row) for row in grid} == {len(grid[0])}
        below = [row[0].strip("| ") for row in accuracies[2:]]
        assert below == ([f"{rung:,}" for rung in rungs] if len(arms) == 1 else arms)


def test_markdown_says_how_often_each_arm_changed_its_mind(run_folder):
    summary = load(run_folder)
    _, changes = grids(tables.markdown(summary))
    assert [row[0].strip("| ") for row in changes[2:]] == list(summary["revisions"])
    for row, ladder in zip(changes[2:], summary["revisions"].values(), strict=True):
        assert row[3] == f"{100 * ladder[-1]['triggered']:.1f}"
    assert len(grids(tables.markdown(summary | {"revisions": {}}))) == 1


def test_a_budget_that_an_arm_lacks_is_a_dash(run_folder):
    summary = load(run_folder)
    summary["arms"]["restarts"]["points"].pop(0)
    assert "| - |" in tables.markdown(summary)


def test_no_terminal_gets_plain_text_and_a_terminal_a_table(run_folder):
    summary = load(run_folder)
    flat, screen = io.StringIO(), Screen()
    terminal.show(summary, flat)
    terminal.show(summary, screen)
    assert flat.getvalue() == tables.plain(summary) and "\x1b" not in flat.getvalue()
    for arm in summary["arms"]:
        assert arm in screen.getvalue()
    assert "━" in screen.getvalue()


def test_names_are_no_markup(run_folder):
    summary = load(run_folder)
    summary["arms"]["[red]x[/red]"] = summary["arms"].pop("restarts")
    summary["sentences"].append("[bold]not bold[/bold]")
    screen = Screen()
    terminal.show(summary, screen)
    assert "[red]x[/red]" in screen.getvalue() and "[bold]not bold[/bold]" in screen.getvalue()


def test_declared_comparisons_have_a_table_and_others_do_not(run_folder):
    summary = load(run_folder)
    assert "Declared" not in tables.markdown(summary)
    records = read(run_folder / "records.jsonl", Record).items
    family = [["restarts@64", "change_of_mind@64"], ["ar_thought@256", "change_of_mind@256"]]
    text = tables.markdown(summarise(records, family=family, tolerance=0.02))
    (declared,) = [grid for grid in grids(text) if grid[0][0].startswith("| it")]
    assert [row[0].removeprefix("| ") for row in declared[2:]] == ["change_of_mind, 64", "change_of_mind, 256"]
    assert "all others are exploratory" in text and "no common axis: " in text


def test_latex_has_every_point_and_sets_every_name_as_it_is(run_folder):
    summary = load(run_folder)
    name = r"50%_of #1 & $x^2~\{}"
    summary["arms"][name] = summary["arms"].pop("restarts")
    summary["sentences"].append("two\nlines")
    text = tables.latex(summary)
    rows = [line for line in text.splitlines() if line.endswith(r"\\")]
    assert len(rows) == 1 + len(summary["arms"]) and {row.count(" & ") for row in rows[:-1]} == {
        len(tables.rungs(summary))
    }
    assert rows[-1].startswith(r"50\%\_of \#1 \& \$x\textasciicircum{}2\textasciitilde{}\textbackslash{}\{\} & ")
    best = summary["arms"]["change_of_mind"]["points"][-1]
    assert f"{100 * best['accuracy']:.1f} {{\\small [{100 * best['low']:.1f}, {100 * best['high']:.1f}]}}" in text
    comments = text[: text.index(r"\begin{tabular}")].splitlines()
    assert all(line.startswith("% ") for line in comments) and text.count(r"\end{tabular}") == 1
