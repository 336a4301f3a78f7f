"""A dashboard as one HTML file over a run's own files, that opens from disk with no network.

This file decides how the panels of a specification lie on a page. Look and curves are the report's: the same shell,
the same function that draws. What no panel shows is named, so nothing is logged unseen.
"""

import math
from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Any

from dlmreason.reports import sections as parts
from dlmreason.reports import shell
from dlmreason.reports.dashboard import CURVES, Panel, Section, unseen
from dlmreason.reports.gather import thinned
from dlmreason.reports.redaction import redact, redact_text
from dlmreason.reports.series import Row, names_of
from dlmreason.reports.shown import Shown, shown_of

SCRIPTS = ("chart.js", "dashboard.js")
MOST_ROWS = 5_000
"""Rows of a table: the file stays one that a browser opens."""
FOOT = "One file, no network: what the run has logged so far, in the panels of conf/dashboard.yaml."
FILES = {"figure": "figure.svg", "page": "report.html"}
"""Where, beside the dashboard, what is shown whole lies."""


def write(folder: Path, spec: Sequence[Section]) -> Path:
    """Writes the dashboard of an output folder, `dashboard.html` in it, and returns its path."""
    path = folder / "dashboard.html"
    shell.write(path, render(shown_of(folder), spec))
    return path


def render(shown: Shown, spec: Sequence[Section]) -> str:
    """The dashboard as text."""
    rows = list(shown.rows)
    drawn = [[each for panel in section.panels if (each := _drawn(panel, shown, rows))] for section in spec]
    places = [_place(number, spec[number].name) for number, each in enumerate(drawn) if each]
    if missed := unseen(spec, [*names_of(rows), *(table.name for table in shown.tables)]):
        names = escape(", ".join(missed))
        places.append(f'<section><h2>Logged, and in no panel</h2><p class="note">{names}</p></section>')
    if not places:
        places = ['<section><p class="note">Nothing is logged yet.</p></section>']
    verdict = parts.verdict(shown.summary) if shown.summary else ""
    said = parts.problems([redact_text(each) for each in shown.problems])
    return shell.filled(
        redact_text(shown.name),
        "dlmreason · dashboard",
        [verdict, said, parts.tiles(shown.summary)],
        places,
        FOOT,
        {"sections": redact(drawn)},
        SCRIPTS,
    )


def _place(number: int, name: str) -> str:
    """Where the script puts the panels of a section."""
    heading = f"section-{number}"
    title = f'<h2 id="{heading}">{escape(name)}</h2>'
    return f'<section aria-labelledby="{heading}">{title}<div data-panels="{number}"></div></section>'


def _drawn(panel: Panel, shown: Shown, rows: Sequence[Row]) -> dict[str, Any] | None:
    """What the script draws; None where the run has nothing of it."""
    if panel.kind in CURVES:
        names = [name for name in names_of(rows) if panel.finds(name)]
        curves = [
            {"name": name, "label": _label(name, panel), "points": _points(rows, name, panel.along)} for name in names
        ]
        curves = [curve for curve in curves if curve["points"]]
        return {"title": panel.title, "along": panel.along, "curves": curves} if curves else None
    (name,) = panel.names
    if panel.kind in FILES:
        return {"title": panel.title, "file": FILES[panel.kind]} if FILES[panel.kind] in shown.files else None
    table = next((each for each in shown.tables if each.name == name), None)
    return {"title": panel.title, "columns": table.columns, "rows": table.rows[:MOST_ROWS]} if table else None


def _label(name: str, panel: Panel) -> str:
    """A curve as its panel names it: the model or arm, and the metric where the panel has several."""
    *_, owner, metric = name.split("/")
    return owner if len(panel.names) == 1 else f"{owner} {metric}"


def _points(rows: Sequence[Row], name: str, along: str) -> list[tuple[float, float]]:
    """(where, value), in order, thinned to what can be seen; what no axis can hold is left out."""
    found = [(row.values[along], row.values[name]) for row in rows if name in row.values and along in row.values]
    return thinned(sorted(point for point in found if point[0] > 0 and all(map(math.isfinite, point))))
