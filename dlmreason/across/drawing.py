"""Panels of curves side by side, one legend for all, as one SVG.

This file decides layout, and that an arm has one colour and mark in every panel. The same series give the same SVG,
byte for byte. It knows nothing of what is drawn.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from dlmreason.reports.figure import COLOURS, MARKS

STYLE = {
    "svg.hashsalt": "dlmreason",
    "font.size": 9.5,
    "font.family": "DejaVu Sans",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": "#8a9099",
    "text.parse_math": False,
}
WIDE = 2
"""Panels beside each other."""


class Series(NamedTuple):
    """A curve; with bounds, a band around it."""

    name: str
    x: Sequence[float]
    y: Sequence[float]
    bounds: Sequence[tuple[float, float]] = ()
    dashed: bool = False
    colour: int | None = None  # of COLOURS; None: its name's own


class Panel(NamedTuple):
    title: str
    series: Sequence[Series]


class Across(NamedTuple):
    """The x axis."""

    about: str
    base: int | None = None  # of its logarithm; None: linear
    shown: Callable[[float], str] = "{:g}".format


def panels(shown: Sequence[Panel], path: Path, x: Across, y: str) -> Path:
    """Writes the figure. y: what the other axis is, a share."""
    import matplotlib

    matplotlib.use("svg")
    from matplotlib import pyplot
    from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator, PercentFormatter

    names = list(dict.fromkeys(each.name for panel in shown for each in panel.series))
    rows = -(-len(shown) // WIDE)
    handles: dict[str, Any] = {}
    with matplotlib.rc_context(STYLE):
        figure, grid = pyplot.subplots(
            rows, min(WIDE, len(shown)), figsize=(4.7 * min(WIDE, len(shown)), 3.2 * rows), squeeze=False
        )
        for axes, panel in zip(grid.flat, shown, strict=False):
            for each in panel.series:
                number = names.index(each.name)
                colour = COLOURS[(number if each.colour is None else each.colour) % len(COLOURS)]
                (handles[each.name],) = axes.plot(
                    each.x, each.y, color=colour, lw=1.2 if each.dashed else 1.7, ls="--" if each.dashed else "-",
                    marker=MARKS[number % len(MARKS)], ms=3.8, label=each.name,
                )  # fmt: skip
                if each.bounds:
                    low, high = zip(*each.bounds, strict=True)
                    axes.fill_between(each.x, low, high, color=colour, alpha=0.12, lw=0)
            if x.base:
                axes.set_xscale("log", base=x.base)
                axes.xaxis.set_major_locator(LogLocator(x.base, subs=(1.0, 3.0) if x.base > 3 else (1.0,)))
                axes.xaxis.set_minor_locator(NullLocator())
            axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: x.shown(value)))
            axes.set_ylim(-0.02, 1.02)
            axes.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
            axes.grid(axis="y", color="#d9dce1", lw=0.6)
            axes.tick_params(color="#8a9099")
            axes.set_title(panel.title, loc="left", fontsize=10)
        for axes in list(grid.flat)[len(shown) :]:
            axes.set_visible(False)
        figure.supxlabel(x.about, fontsize=9.5)
        figure.supylabel(y, fontsize=9.5)
        figure.tight_layout()
        figure.legend(
            [handles[name] for name in names], names, loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False
        )
        figure.savefig(path, format="svg", metadata={"Date": None}, bbox_inches="tight", facecolor="white")
        pyplot.close(figure)
    return path
