"""A summary as plain text: for a terminal that is none, for a file, for a README.

This file decides rows and columns. It takes the content of `summary.json` and knows no record.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from dlmreason.analysis import words

Summary = Mapping[str, Any]


def rungs(summary: Summary) -> list[int]:
    """Every budget that some arm has, ascending."""
    return sorted({point["rung"] for arm in summary["arms"].values() for point in arm["points"]})


def at(summary: Summary, arm: str, rung: int) -> Mapping[str, Any] | None:
    return next((point for point in summary["arms"][arm]["points"] if point["rung"] == rung), None)


def accuracy(point: Mapping[str, Any] | None) -> str:
    """`83.0 [77.2, 87.6]`, in per cent."""
    if point is None:
        return "-"
    return f"{100 * point['accuracy']:.1f} {words.percent_interval(point['low'], point['high'])}"


def lines(header: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Columns side by side, the first to the left and the others to the right."""
    widths = [max(len(row[i]) for row in [header, *rows]) for i in range(len(header))]
    for row in [header, *rows]:
        first, *others = (
            cell.rjust(width) if i else cell.ljust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        yield "  ".join([first, *others]).rstrip()


def plain(summary: Summary) -> str:
    """One line per arm and budget: easy to grep and to paste."""
    rows = [
        [
            arm,
            f"{point['rung']:,}",
            accuracy(point),
            f"{point['n']:,}",
            words.number(point["nfe"]),
            words.flops(point["flops"]),
        ]
        for arm, content in summary["arms"].items()
        for point in content["points"]
    ]
    table = "\n".join(lines(["arm", "passes", "right, %", "n", "passes made", "spent each"], rows))
    return f"{table}\n\n{verdict(summary)}\n"


def verdict(summary: Summary) -> str:
    return "\n".join(summary["sentences"])


def markdown(summary: Summary) -> str:
    """Budgets by arms, for `table.md`, then the verdict."""
    arms = list(summary["arms"])
    head = ["passes", *(arm.replace("|", "\\|") for arm in arms)]
    rows = [[f"{rung:,}", *(accuracy(at(summary, arm, rung)) for arm in arms)] for rung in rungs(summary)]
    body = [head, ["---:"] * len(head), *rows]
    table = "\n".join("| " + " | ".join(row) + " |" for row in body)
    about = (
        f"Right answers in per cent with 95 % Wilson intervals; {summary['task']}, {summary['split']}, "
        f"{summary['puzzles']:,} puzzles, {words.listed([f'seed {seed}' for seed in summary['seeds']])}. "
        "A budget of n passes is, for an arm that makes none, what their FLOPs buy."
    )
    sentences = "\n".join(f"* {sentence}" for sentence in summary["sentences"])
    return f"{about}\n\n{table}\n\n{sentences}\n"
