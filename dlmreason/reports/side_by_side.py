"""One page over several runs: their curves on one axis, their costs in one table, what each of them found.

This file decides how runs stand beside each other and what is said where they do not belong on one axis. Nothing is
tested between runs: they may have answered other puzzles, and a paired comparison is of arms of one run.
"""

from collections.abc import Iterator, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

from dlmreason.analysis import words
from dlmreason.reports import costs, page, sections, shell, tables
from dlmreason.reports.gather import Found, gather, runs_in
from dlmreason.reports.markup import NONE, fold, section, table
from dlmreason.reports.redaction import redact, redact_text

MOST_SHOWN = 12
"""Curves that are drawn at first, as many of each run; the others wait behind their buttons."""
FOOT = "One file, no network. Numbers come from the records of each run; intervals are 95 %."

Runs = Mapping[str, Found]


def write(folders: Sequence[Path], to: Path) -> Path:
    """Writes the page of several output folders, or claims with all of their parts, and returns its path."""
    runs = {
        "/".join(filter(None, (name, part))): gather(*place)
        for name, folder in named(folders).items()
        for part, place in runs_in(folder).items()
    }
    shell.write(to, render(runs))
    return to


def named(folders: Sequence[Path]) -> dict[str, Path]:
    """Each folder by its name, or by its path where two are called the same."""
    names = [folder.resolve().name for folder in folders]
    return {
        name if names.count(name) == 1 else str(folder): folder for name, folder in zip(names, folders, strict=True)
    }


def render(runs: Runs) -> str:
    """The page as text."""
    points = {name: costs.points(found) for name, found in runs.items()}
    arms = _curves(runs, points)
    each = max(1, MOST_SHOWN // max(1, len(runs)))
    drawn = [f"{run}: {arm}" for run, found in runs.items() for arm in _first(found)[:each]]
    data = {
        "arms": arms,
        "hidden": [arm["name"] for arm in arms if arm["name"] not in drawn],
        "axes": costs.SECONDS,
    }
    names, asked = list(runs), {(found.summary or {}).get("task") for found in runs.values() if found.summary}
    told = [f"{name}: {redact_text(each)}" for name, found in runs.items() for each in found.problems]
    head = [f'<p class="lead">{escape(words.listed(names))}, side by side.</p>', sections.problems(told)]
    about = f"dlmreason · {len(names)} runs · {words.listed(sorted(map(str, asked))) or 'no result'}"
    return shell.filled(words.listed(names), about, head, _sections(runs, points, len(asked) > 1), FOOT, data)


def _curves(runs: Runs, points: Mapping[str, costs.Points]) -> list[dict[str, Any]]:
    curves, first = [], 0
    for run, found in runs.items():
        own = page.curves(found.summary, points[run]) if found.summary else []
        curves += [arm | {"name": f"{run}: {arm['name']}", "colour": first + arm["colour"]} for arm in own]
        first += 1 + max((arm["colour"] for arm in own), default=-1)
    return curves


def _first(found: Found) -> list[str]:
    """A run's arms, those of its claim first, then the most accurate; no companions and no bounds."""
    if not found.summary:
        return []
    run = found.run if isinstance(found.run, dict) else {}
    declared = [place.partition("@")[0] for pair in run.get("family") or [] for place in pair]
    claimed = list(dict.fromkeys([run.get("primary"), *declared]))

    def rank(arm: str) -> tuple[int, float]:
        last = found.summary["arms"][arm]["points"][-1] if found.summary else {"accuracy": 0.0}
        return claimed.index(arm) if arm in claimed else len(claimed), -last["accuracy"]

    own = [
        arm for arm, content in found.summary["arms"].items() if not content["companion_of"] and not content["bound"]
    ]
    return sorted(own, key=rank)


def _sections(runs: Runs, points: Mapping[str, costs.Points], apart: bool) -> Iterator[str]:
    yield _accuracy(runs, apart)
    if rows := [row for run, found in runs.items() for row in costs.rows(found, points[run], f"{run}: ")]:
        yield section("costs", "What it cost", costs.NOTE, table(costs.HEADER, rows, "Costs of an answer"))
    yield section("found", "What each run found", "", "".join(_found(run, found) for run, found in runs.items()))
    yield section("run", "What was run", "", "".join(_run(run, found) for run, found in runs.items()))


def _accuracy(runs: Runs, apart: bool) -> str:
    shown = {run: found.summary for run, found in runs.items() if found.summary}
    budgets = sorted({rung for summary in shown.values() for rung in tables.rungs(summary)})
    rows = [
        [escape(f"{run}: {arm}"), *(_cell(tables.at(summary, arm, rung)) for rung in budgets)]
        for run, summary in shown.items()
        for arm in summary["arms"]
    ]
    faces = [f"{run}: {summary['no_common_axis']}" for run, summary in shown.items() if summary.get("no_common_axis")]
    if apart:
        faces.append("these runs are of different tasks: on one axis stand answers to different puzzles")
    warned = "".join(f'<p class="face" role="note">{escape(each)}.</p>' for each in faces)
    numbers = table(["run and arm", *(f"{rung:,}" for rung in budgets)], rows, "Accuracy at every budget, per cent")
    note = "A point is one budget, the band its 95 % Wilson interval. Buttons below the figure show and hide curves."
    return section("accuracy", "Accuracy against compute", note, warned + fold("The numbers", numbers), fill="accuracy")


def _cell(point: Mapping[str, Any] | None) -> str:
    return NONE if point is None else tables.accuracy(point)


def _found(run: str, found: Found) -> str:
    if not found.summary:
        return f"<h3>{escape(run)}</h3>{''.join(_instead(run, found))}"
    family = found.summary.get("family") or []
    label = f"Declared differences of {run}"
    declared = sections.differences(family, declared=True, label=label) if family else ""
    said = "".join(f"<li>{escape(each)}</li>" for each in found.summary["sentences"])
    told = fold(f"All findings of {run}", f'<ul class="findings">{said}</ul>')
    first = "".join(f"<p>{escape(each)}</p>" for each in found.summary["sentences"][:1])
    return f"<h3>{escape(run)}</h3>{first}{declared}{told}"


def _instead(run: str, found: Found) -> Iterator[str]:
    """What there is of a run without answers."""
    yield "<p>There is no result.</p>"
    if found.measurements:
        yield table(costs.MEASURED, costs.measured(found), f"What {run} measured")
    if found.text:
        yield fold("Its table", f"<pre>{escape(redact_text(found.text))}</pre>")
    if found.files:
        yield f'<p class="note">What lies there: {escape(", ".join(found.files))}.</p>'


def _run(run: str, found: Found) -> str:
    body = sections.tree(redact(found.run)) if found.run else "<p>No run.json.</p>"
    return fold(run, body)
