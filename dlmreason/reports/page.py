"""`report.html`: what a run found, in one file that opens from disk with no network.

This file decides what is on the page and in which order. Everything that a model, a task or a person wrote is escaped
on the way, or set as text by the scripts. It reads the output folder only, and computes nothing that `analysis` does
not.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from dlmreason.analysis import revisions, words
from dlmreason.analysis.calibration import calibration
from dlmreason.analysis.walks import walks
from dlmreason.reports import costs, panels, sections, shell, tables, told
from dlmreason.reports.figure import places, shown
from dlmreason.reports.gather import Found, gather
from dlmreason.reports.redaction import redact, redact_text

FOOT = "One file, no network. Numbers come from the records beside it; intervals are 95 %."


def write(folder: Path | str, to: Path | str | None = None, summary: dict[str, Any] | None = None) -> Path:
    """Writes the page of an output folder and returns its path: `to`, or `report.html` in the folder.

    Reads what there is of records.jsonl (or another of packed.FILES), timings.jsonl, measurements.jsonl,
    counters.jsonl, traces.jsonl, summary.json, run.json, config.yaml, metrics/*.jsonl and models/*/description.json.
    summary: used in place of summary.json.
    """
    folder = Path(folder)
    target = Path(to) if to else folder / "report.html"
    found = gather(folder)
    if summary is not None:
        found.summary = summary
    shell.write(target, render(found, title=folder.resolve().name))
    return target


def render(found: Found, title: str) -> str:
    """The page as text."""
    run = redact(found.run)
    if isinstance(run, dict) and isinstance(run.get("name"), str):
        title = run["name"]
    head = [
        sections.verdict(found.summary),
        sections.problems([redact_text(each) for each in found.problems]),
        sections.tiles(found.summary),
    ]
    points = costs.points(found)
    data = drawn(found, points)
    return shell.filled(title, about(found.summary), head, _sections(found, run, points, data), FOOT, data)


def about(summary: Mapping[str, Any] | None) -> str:
    """The line above the title."""
    if summary is None:
        return "dlmreason"
    seeds = words.listed([str(seed) for seed in summary["seeds"]])
    puzzles, seed = (
        ("puzzle" if summary["puzzles"] == 1 else "puzzles"),
        ("seed" if len(summary["seeds"]) == 1 else "seeds"),
    )
    return f"dlmreason · {summary['task']} · {summary['split']} · {summary['puzzles']:,} {puzzles} · {seed} {seeds}"


def _sections(found: Found, run: Any, points: costs.Points, data: Mapping[str, Any]) -> Iterator[str]:
    summary = found.summary
    if summary is not None:
        yield sections.accuracy(summary)
        yield sections.winners(summary)
        yield sections.difficulty(summary)
        if summary["revisions"]:
            yield sections.mind(summary)
        if data["walks"]:
            yield panels.walked(data["walks"])
    if found.traces:
        missing = revisions.choose(found.records, found.traces[0].arm).missing if found.records else []
        yield sections.player(missing)
    if data["calibration"]:
        yield panels.calibrated(data["calibration"])
    if summary is not None:
        yield costs.costs(found, points)
    if found.training:
        yield sections.training()
    yield sections.what_was_run(run, redact_text(found.config), found.timings, *panels.identity(found))


def drawn(found: Found, points: costs.Points) -> dict[str, Any]:
    """What the scripts draw. points: as `costs.points` gives."""
    summary, table = found.summary, found.table
    judged = {arm: calibration(table, arm) for arm in table.competitors} if table else {}
    return {
        "arms": curves(summary, points) if summary else [],
        "axes": costs.SECONDS,
        "revisions": summary["revisions"] if summary else {},
        "walks": walks(found.counted),
        "calibration": {arm: content for arm, content in judged.items() if content},
        "traces": list(told.traces(found.records, found.traces, found.trace_events)),
        "training": [{"name": name, "points": curve} for name, curve in found.training.items()],
        "tables": {"md": tables.markdown(summary), "tex": tables.latex(summary)} if summary else {},
    }


def curves(summary: Mapping[str, Any], points: costs.Points) -> list[dict[str, Any]]:
    """The arms of a summary as the figure draws them."""
    number = places(summary)
    return [
        {
            "name": shown(arm, content),
            "arm": arm,
            "colour": number[arm],
            "companion": content["companion_of"] is not None or content["bound"],
            "points": points[arm],
        }
        for arm, content in summary["arms"].items()
    ]
