"""The result as text: complete, aligned, and the same numbers everywhere."""

import io
import json
from pathlib import Path

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


def test_markdown_is_one_rectangular_table(run_folder):
    summary = load(run_folder)
    rows = [line for line in tables.markdown(summary).splitlines() if line.startswith("|")]
    assert len(rows) == 2 + len(tables.rungs(summary))
    assert {row.count("|") for row in rows} == {len(summary["arms"]) + 2}


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
