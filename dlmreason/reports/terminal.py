"""The result in the terminal: budgets by arms, accuracy with its interval and what was spent, then the verdict.

This file decides colours and boxes. Where the output is no terminal it is plain text, one line per arm and budget.
"""

import sys
from collections.abc import Mapping
from typing import Any, TextIO

from dlmreason.analysis import words
from dlmreason.reports import tables


def show(summary: Mapping[str, Any], file: TextIO | None = None) -> None:
    """Prints the table of a summary and its verdict."""
    file = file or sys.stdout
    if not file.isatty():
        file.write(tables.plain(summary))
        return
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console(file=file)
    best = {winner["rung"]: [winner["arm"], *winner["tied"]] for winner in summary["winners"]}
    arms = list(summary["arms"])
    # A column needs about 18 characters; more arms than fit go into a second table rather than into broken words.
    fit = max(1, (console.width - 10) // 20)
    for start in range(0, len(arms), fit):
        table = Table(
            title=f"{summary['task']}, {summary['puzzles']:,} puzzles: right, % [95 %], and FLOPs each"
            if start == 0
            else None
        )
        table.add_column("passes", justify="right", style="bold")
        for arm in arms[start : start + fit]:
            table.add_column(Text(arm), justify="right")
        for rung in tables.rungs(summary):
            cells = [
                _cell(tables.at(summary, arm, rung), arm in best.get(rung, [])) for arm in arms[start : start + fit]
            ]
            table.add_row(f"{rung:,}", *(Text.assemble(*cell) for cell in cells))
        console.print(table)
    console.print(Text("* the winner at a budget, or not to be told from it", style="dim"))
    for sentence in summary["sentences"]:
        console.print(Text(sentence))


def _cell(point: Mapping[str, Any] | None, best: bool) -> list[tuple[str, str]]:
    if point is None:
        return [("-", "dim")]
    mark = "*" if best else " "
    return [(f"{tables.accuracy(point)}{mark}\n", "green" if best else ""), (words.flops(point["flops"]) + " ", "dim")]
