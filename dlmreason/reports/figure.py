"""Accuracy against FLOPs for all arms, as one SVG for a README and as a Plotly figure for W&B.

This file decides colours, marks and labels. The same summary gives the same SVG, byte for byte. It takes the content of
`summary.json`; a companion arm (`x.last`) is dashed, in the colour of its arm.
"""

import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from dlmreason.analysis import words

Summary = Mapping[str, Any]

# Told apart with any kind of colour blindness by lightness and by the mark beside it; the page uses the same.
COLOURS = ("#c2410c", "#1d5fa8", "#0f766e", "#7e3fa8", "#a16207", "#be185d", "#0e86b4", "#525b68")
MARKS = ("o", "s", "^", "D", "v", "P", "X")
"""One fewer than colours: past the last colour a pair of colour and mark is still new."""
GAP = 0.052
"""Least distance between two labels at the right edge, as a share of the height."""
FACE = 100
"""Characters of a line below the figure."""
MOST_LABELS = 20
"""With more curves the figure grows, and companions, told by their dashes and colour, have no label."""


class NoCommonAxis(ValueError):
    """The claim's points are not matched as it says that they are, so they are not drawn on one axis."""


def places(summary: Summary) -> dict[str, int]:
    """Each arm's number, from which it has its colour and mark; a companion has that of its arm."""
    own = [arm for arm, content in summary["arms"].items() if content["companion_of"] is None]
    number = {arm: i for i, arm in enumerate(own)}
    return {arm: number[content["companion_of"] or arm] for arm, content in summary["arms"].items()}


def shown(arm: str, content: Mapping[str, Any]) -> str:
    """An arm as a curve is named."""
    return f"{arm} (upper bound)" if content["bound"] else arm


def svg(summary: Summary, path: Path | str) -> Path:
    """Writes the figure: log FLOPs by accuracy, Wilson bands, every curve named at its right end; below it, which
    models were still learning.

    Raises: NoCommonAxis with the two costs that are not matched within the claim's tolerance.
    """
    _refuse_unmatched(summary)
    import matplotlib

    matplotlib.use("svg")
    from matplotlib import pyplot
    from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator, PercentFormatter

    number = places(summary)
    style = {
        "svg.hashsalt": "dlmreason",
        "font.size": 10,
        "font.family": "DejaVu Sans",
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.edgecolor": "#8a9099",
        "text.parse_math": False,
    }
    with matplotlib.rc_context(style):
        curves = summary["arms"].items()
        crowded = len(curves) > MOST_LABELS
        labelled = {arm for arm, content in curves if not crowded or content["companion_of"] is None}
        stretch = max(1.0, GAP * len(labelled))
        figure, axes = pyplot.subplots(figsize=(8.4, 4.6 * stretch))
        ends = []
        for arm, content in curves:
            points = [point for point in content["points"] if point["flops"] > 0]
            if not points:
                continue
            colour, mark, last = (
                COLOURS[number[arm] % len(COLOURS)],
                MARKS[number[arm] % len(MARKS)],
                content["companion_of"] is not None or content["bound"],
            )
            points = sorted(points, key=lambda point: (point["flops"], point["rung"]))
            flops = [point["flops"] for point in points]
            axes.plot(
                flops, [point["accuracy"] for point in points], color=colour, lw=1.2 if last else 1.8,
                ls="--" if last else "-", marker=None if last else mark, ms=4.5, zorder=2 if last else 3,
            )  # fmt: skip
            if not last:
                axes.fill_between(
                    flops, [p["low"] for p in points], [p["high"] for p in points], color=colour, alpha=0.12, lw=0
                )
            if arm in labelled:
                ends.append((points[-1]["accuracy"], flops[-1], shown(arm, content), colour))
        axes.set_xscale("log")
        axes.set_ylim(-0.02, 1.02)
        axes.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
        low, high = axes.get_xlim()
        axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 3.0) if high < 3000 * low else (1.0,)))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: words.flops(value)))
        axes.xaxis.set_minor_locator(NullLocator())
        axes.grid(axis="y", color="#d9dce1", lw=0.6)
        axes.tick_params(color="#8a9099")
        axes.set_xlabel("FLOPs spent on a puzzle (a multiply-add is 2)")
        axes.set_title(
            f"Right answers, {summary['task']}, {summary['puzzles']:,} puzzles, 95 % intervals",
            loc="left",
            fontsize=10.5,
        )
        if summary.get("still_learning"):
            axes.annotate(
                textwrap.fill(summary["still_learning"], FACE), xy=(0, 0), xytext=(0, -42), va="top", fontsize=9,
                xycoords="axes fraction", textcoords="offset points", color="#b42318",
            )  # fmt: skip
        heights = apart([end[0] for end in ends], GAP / stretch)
        for height, (end, flops_at_end, arm, colour) in zip(heights, ends, strict=True):
            axes.annotate(
                arm, xy=(flops_at_end, end), xytext=(1.02, (height + 0.02) / 1.04), textcoords="axes fraction",
                color=colour, va="center", fontsize=9.5,
                arrowprops={"arrowstyle": "-", "color": colour, "lw": 0.5, "alpha": 0.5, "shrinkB": 3},
            )  # fmt: skip
        figure.savefig(path, format="svg", metadata={"Date": None}, bbox_inches="tight", facecolor="white")
        pyplot.close(figure)
    return Path(path)


def _refuse_unmatched(summary: Summary) -> None:
    if summary.get("no_common_axis"):
        raise NoCommonAxis(summary["no_common_axis"])


def apart(heights: Sequence[float], gap: float = GAP) -> list[float]:
    """Heights of labels in 0..1, near the given ones and in their order, `gap` apart where there is room."""
    gap = min(gap, 1 / max(1, len(heights) - 1))
    order = sorted(range(len(heights)), key=lambda i: (heights[i], i))
    placed = [0.0] * len(heights)
    below = -gap
    for i in order:
        below = placed[i] = max(heights[i], below + gap)
    above = 1.0 + gap
    for i in reversed(order):
        above = placed[i] = min(placed[i], above - gap)
    return placed


def plotly(summary: Summary) -> Any:
    """The same figure for W&B: a `plotly.graph_objects.Figure`.  Raises: NoCommonAxis, as `svg` does."""
    _refuse_unmatched(summary)
    import plotly.graph_objects as graph

    number = places(summary)
    figure = graph.Figure()
    for arm, content in summary["arms"].items():
        points = [point for point in content["points"] if point["flops"] > 0]
        last = content["companion_of"] is not None or content["bound"]
        figure.add_trace(
            graph.Scatter(
                x=[point["flops"] for point in points],
                y=[point["accuracy"] for point in points],
                error_y={
                    "type": "data",
                    "array": [point["high"] - point["accuracy"] for point in points],
                    "arrayminus": [point["accuracy"] - point["low"] for point in points],
                    "visible": not last,
                    "thickness": 1,
                },
                name=_escaped(shown(arm, content)),
                mode="lines" if last else "lines+markers",
                line={"color": COLOURS[number[arm] % len(COLOURS)], "dash": "dash" if last else "solid"},
                customdata=[[point["rung"], point["n"], point["nfe"]] for point in points],
                hovertemplate="%{y:.1%} at %{x:.3s} FLOPs<br>"
                "budget %{customdata[0]} passes, %{customdata[2]:.1f} made, n = %{customdata[1]}",
            )
        )
    face = f"<br><sub>{_escaped(summary['still_learning'])}</sub>" if summary.get("still_learning") else ""
    figure.update_layout(
        template="plotly_white",
        title=_escaped(f"Right answers, {summary['task']}, {summary['puzzles']:,} puzzles") + face,
        xaxis={"type": "log", "title": "FLOPs spent on a puzzle"},
        yaxis={"range": [-0.02, 1.02], "tickformat": ".0%", "title": "right"},
    )
    return figure


def _escaped(text: str) -> str:
    """Plotly renders a subset of HTML in its texts."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
