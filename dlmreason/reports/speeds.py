"""A claim that measures, as a table and one figure: how many times as fast each arm is, as measured and as foretold.

This file decides columns, panels and words. The same summary gives the same bytes. It takes the content of
`analysis.speeds.summary` and knows no row.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from dlmreason.analysis import words
from dlmreason.analysis.speeds import FORETOLD
from dlmreason.reports.figure import COLOURS, MARKS

SPEEDS = "speeds.jsonl"
"""Where the rows of such a claim lie in its folder."""

Summary = Mapping[str, Any]

TOLD = dict(zip(FORETOLD, ("by calls and FLOPs", "by FLOPs alone", "by calls alone"), strict=True))


def markdown(summary: Summary, title: str) -> str:
    """The table of each batch, the numbers of its formula, and where arms cross."""
    said = [
        f"# {title}",
        "",
        *_about(summary),
        *(line for each in summary["batches"] for line in _batch(summary, each)),
    ]
    return "\n".join(said) + "\n"


def _about(summary: Summary) -> Iterator[str]:
    threads = f"{summary['threads']} thread{'s' * (summary['threads'] > 1)}"
    yield (
        f"Times as fast as {summary['against']}: its seconds over an arm's, by the {summary['clock']} clock; medians "
        f"of {summary['rounds']} rounds in which the arms took turns, with the 95 % interval of the median. Foretold: "
        f"`calls * call + FLOPs / rate`. Device {summary['device']}, {threads}."
    )


def _batch(summary: Summary, batch: Mapping[str, Any]) -> Iterator[str]:
    against, arms = summary["against"], batch["arms"]
    call = ", ".join(f"a {name} {1e3 * seconds:.3g} ms" for name, seconds in sorted(batch["call"].items()))
    yield from ("", f"## {_rows(batch)}", "")
    yield f"Formula: rate {batch['rate'] / 1e9:.3g} GFLOP a second, of a product of matrices; the least call of {call}."
    yield ""
    yield from _grid(
        [
            summary["axis"],
            "arm",
            "calls",
            "FLOPs",
            "seconds",
            "foretold",
            f"times as fast as {against}",
            *TOLD.values(),
        ],
        [_row(point, arm, arm == against) for point_at in _places(arms) for arm, point in _of(arms, point_at)],
    )
    yield ""
    if apart := batch["apart"]:
        yield (
            f"* formula: what was foretold of ratios is off by a factor of {apart['median']:.2f} at the median, and of "
            f"{apart['most']:.2f} at most, {apart['arm']} at {apart['at']:,}"
        )
    for arm, content in arms.items():
        if "crossing" in content:
            yield f"* {crossing(arm, against, summary['axis'], content['crossing'])}"


def _rows(batch: Mapping[str, Any]) -> str:
    return f"{batch['batch']} row{'s' * (batch['batch'] > 1)} at a time"


def _places(arms: Mapping[str, Any]) -> list[int]:
    return sorted({point["at"] for content in arms.values() for point in content["points"]})


def _of(arms: Mapping[str, Any], at: int) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for arm, content in arms.items():
        yield from ((arm, point) for point in content["points"] if point["at"] == at)


def _row(point: Mapping[str, Any], arm: str, base: bool) -> list[str]:
    ratios = ["", "", "", ""] if base else [_interval(point["ratio"], point["ratio_interval"])]
    return [
        f"{point['at']:,}",
        arm,
        f"{point['calls']:,}",
        words.flops(point["flops"]),
        _interval(point["seconds"], point["seconds_interval"]),
        f"{point['foretold']:.3g}",
        *(ratios if base else [*ratios, *(f"{point[name]:.3g}" for name in TOLD)]),
    ]


def _interval(value: float | None, ends: Sequence[float] | None) -> str:
    if value is None:
        return "not measured"
    return f"{value:.3g}" if ends is None else f"{value:.3g} [{ends[0]:.3g}, {ends[1]:.3g}]"


def _grid(header: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    yield f"| {' | '.join(header)} |"
    yield "|" + "|".join("---:" if place != 1 else "---" for place in range(len(header))) + "|"
    yield from (f"| {' | '.join(row)} |" for row in rows)


def crossing(arm: str, against: str, axis: str, found: Mapping[str, Any]) -> str:
    """Which of the two is faster at the end of the axis, and from where on, measured and foretold, in one line."""
    if found["faster"] is None:
        measured = "not measured"
    else:
        between = found["interval"]
        measured = _since(arm, against, axis, found["faster"], found["since"])
        if found["since"] != "always" and between is not None:
            measured += f" [{', '.join(_place(end) for end in between)}]"
        measured += f", measured to {found['last']:,}"
    told = [
        f"{TOLD[name]} {_since(arm, against, axis, each['faster'], each['since'])}"
        for name, each in found["foretold"].items()
    ]
    return f"{arm}: {measured}; foretold {'; '.join(told)}"


def _since(arm: str, against: str, axis: str, above: bool, place: float | str) -> str:
    faster = arm if above else against
    return f"{faster} is faster " + ("throughout" if place == "always" else f"from {axis} {_place(place)} on")


def _place(place: float | str) -> str:
    if isinstance(place, str):
        return {"always": "below", "never": "beyond"}[place]
    return f"{place:.3g}" if place < 1000 else f"{float(f'{place:.3g}'):,.0f}"


def svg(summary: Summary, path: Path | str) -> Path:
    """Writes the figure: a panel for each batch; marks with intervals are measured, thin lines foretold."""
    import matplotlib

    matplotlib.use("svg")
    from matplotlib import pyplot
    from matplotlib.ticker import FuncFormatter, NullLocator

    style = {
        "svg.hashsalt": "dlmreason", "font.size": 10, "font.family": "DejaVu Sans", "text.parse_math": False,
        "axes.spines.top": False, "axes.spines.right": False, "axes.edgecolor": "#8a9099",
    }  # fmt: skip
    batches, against = summary["batches"], summary["against"]
    with matplotlib.rc_context(style):
        figure, panels = pyplot.subplots(
            1, len(batches), figsize=(1.2 + 4.4 * len(batches), 4.4), sharey=True, squeeze=False
        )
        for axes, batch in zip(panels[0], batches, strict=True):
            others = {arm: content for arm, content in batch["arms"].items() if arm != against}
            for (arm, content), colour, mark in zip(others.items(), COLOURS, MARKS, strict=False):
                points = content["points"]
                at = [point["at"] for point in points]
                axes.plot(at, [point["foretold_ratio"] for point in points], color=colour, lw=0.9, ls="--", zorder=2)
                met = [point for point in points if point["ratio"] is not None]
                if not met:
                    continue
                ends = [point["ratio_interval"] or [point["ratio"]] * 2 for point in met]
                spread = [
                    [point["ratio"] - low for point, (low, _) in zip(met, ends, strict=True)],
                    [high - point["ratio"] for point, (_, high) in zip(met, ends, strict=True)],
                ]
                axes.errorbar(
                    [point["at"] for point in met], [point["ratio"] for point in met], yerr=spread, color=colour,
                    marker=mark, ms=4.5, lw=1.6, elinewidth=1, label=arm, zorder=3,
                )  # fmt: skip
            axes.axhline(1, color="#525b68", lw=0.8)
            axes.set_xscale("log", base=2)
            axes.set_yscale("log")
            axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
            axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
            axes.xaxis.set_minor_locator(NullLocator())
            axes.grid(axis="y", color="#d9dce1", lw=0.6)
            axes.set_xlabel(f"tokens of the {summary['axis']}")
            axes.set_title(_rows(batch), fontsize=10.5)
        panels[0][0].set_ylabel(f"times as fast as {against}; dashed: foretold")
        panels[0][-1].legend(loc="upper left", bbox_to_anchor=(1.01, 1), frameon=False, fontsize=9)
        figure.savefig(path, format="svg", metadata={"Date": None}, bbox_inches="tight", facecolor="white")
        pyplot.close(figure)
    return Path(path)
