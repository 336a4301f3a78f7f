"""A summary as plain text: for a terminal that is none, for a file, for a README.

This file decides rows and columns. It takes the content of `summary.json` and knows no record.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from dlmreason.analysis import words
from dlmreason.analysis.state_auc import LONG

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
    """For `table.md`: budgets by arms, the longer side going down; changes of mind; then the verdict."""
    arms, budgets = list(summary["arms"]), rungs(summary)
    names = [f"{_cell(arm)} (upper bound)" if summary["arms"][arm]["bound"] else _cell(arm) for arm in arms]
    cells = [[accuracy(at(summary, arm, rung)) for rung in budgets] for arm in arms]
    if len(arms) > len(budgets):
        head = ["arm, passes", *(f"{rung:,}" for rung in budgets)]
        rows = [[name, *row] for name, row in zip(names, cells, strict=True)]
    else:
        head = ["passes", *names]
        rows = [[f"{rung:,}", *column] for rung, column in zip(budgets, zip(*cells, strict=True), strict=True)]
    about = (
        f"Right answers in per cent with 95 % Wilson intervals; {summary['task']}, {summary['split']}, "
        f"{summary['puzzles']:,} puzzles, {words.listed([f'seed {seed}' for seed in summary['seeds']])}. "
        "A budget of n passes is, for an arm that makes none, what their FLOPs buy."
    )
    sentences = "\n".join(f"* {sentence}" for sentence in summary["sentences"])
    face = [f"{summary[key]}." for key in ("still_learning", "no_common_axis") if summary.get(key)]
    parts = [about, grid(head, rows), *face, *_family(summary), *_changes(summary), *_areas(summary), sentences]
    return "\n\n".join(parts) + "\n"


SPECIAL = {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"}
"""What TeX reads as something else and no backslash makes plain."""


def latex(summary: Summary) -> str:
    """For `table.tex`: arms by budgets as a `tabular`, to be put into a `table`; it needs no package.

    The verdict stands in comments.
    """
    arms, budgets = list(summary["arms"]), rungs(summary)
    rows = []
    for arm in arms:
        bound = " (upper bound)" if summary["arms"][arm]["bound"] else ""
        cells = [_tex_accuracy(at(summary, arm, rung)) for rung in budgets]
        rows.append(" & ".join([tex(arm) + bound, *cells]) + r" \\")
    head = " & ".join(["arm, passes", *(f"{rung:,}" for rung in budgets)]) + r" \\"
    comments = [f"% {line}" for sentence in summary["sentences"] for line in sentence.splitlines()]
    about = f"% Right answers in per cent, 95 % Wilson intervals; {summary['task']}, {summary['puzzles']:,} puzzles."
    columns = "l" + "r" * len(budgets)
    body = [rf"\begin{{tabular}}{{{columns}}}", r"\hline", head, r"\hline", *rows, r"\hline", r"\end{tabular}"]
    return "\n".join([" ".join(about.splitlines()), *comments, *body]) + "\n"


def tex(text: str) -> str:
    """Text that TeX sets as it is; line ends and other control characters become spaces."""
    plain = "".join(each if each.isprintable() else " " for each in text)
    return "".join(SPECIAL.get(each, f"\\{each}" if each in "#$%&_{}" else each) for each in plain)


def _tex_accuracy(point: Mapping[str, Any] | None) -> str:
    if point is None:
        return "--"
    low, high = (f"{100 * point[end]:.1f}" for end in ("low", "high"))
    return rf"{100 * point['accuracy']:.1f} {{\small [{low}, {high}]}}"


def _family(summary: Summary) -> Iterator[str]:
    """What was declared before the run."""
    if summary.get("family"):
        yield "Declared before the run; p is corrected over these comparisons alone, and all others are exploratory."
        yield grid(
            ["it, passes", "against, passes", "gain, points", "p", "n"],
            [
                [
                    *(f"{_cell(each[which]['arm'])}, {each[which]['rung']:,}" for which in ("second", "first")),
                    words.points_of_gain(each["gain"], each["low"], each["high"]).replace(" points", ""),
                    words.p_value(each["p_corrected"]).removeprefix("p = ").removeprefix("p "),
                    f"{each['puzzles']:,}",
                ]
                for each in summary["family"]
            ],
        )


def _changes(summary: Summary) -> Iterator[str]:
    """How often each arm changed its mind by its highest budget, and whether it was right to."""
    head = ["arm", "passes", "made", "revised, %", "doubted", "set right", "set wrong", "lateral"]
    rows = []
    for arm, ladder in summary["revisions"].items():
        top = ladder[-1]
        rates = [top["per_1000"][name] for name in ("doubted", "wrong_to_right", "right_to_wrong", "lateral")]
        made, revised = words.number(top["nfe"]), f"{100 * top['triggered']:.1f}"
        rows.append([_cell(arm), f"{top['rung']:,}", made, revised, *(f"{rate:,.1f}" for rate in rates)])
    if rows:
        yield (
            "Changes of mind by the highest budget: the share of puzzles in which a committed token was taken back or "
            "changed, and tokens per 1,000 passes made, counted against the known answer."
        )
        yield grid(head, rows)


def _areas(summary: Summary) -> Iterator[str]:
    """Whether the scores of arms that search long tell right from wrong."""
    rows = [
        [
            _cell(arm),
            f"{each['rung']:,}",
            words.area(each["auc"], each["low"], each["high"]),
            f"{each['right']:,}",
            f"{each['wrong']:,}",
        ]
        for arm, areas in summary.get("state_auc", {}).items()
        for each in areas
        if each["rung"] > LONG
    ]
    if rows:
        yield (
            f"Budgets above {LONG:,} passes: the chance that a right answer scores above a wrong one, a tie counting "
            "half, with its 95 % score interval; an arm keeps its best answer by that score."
        )
        yield grid(["arm", "passes", "area", "right", "wrong"], rows)


def grid(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    return "\n".join("| " + " | ".join(row) + " |" for row in [head, ["---:"] * len(head), *rows])


def _cell(arm: str) -> str:
    return arm.replace("|", "\\|")
