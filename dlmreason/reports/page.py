"""`report.html`: what a run found, in one file that opens from disk with no network.

This file decides what is on the page and in which order, and what happens when a file is missing, torn or foreign: the
page says so and shows the rest. Everything that a model, a task or a person wrote is escaped here, or set as text by
the scripts; a content policy lets no script run but ours. It reads the output folder only and computes nothing that
`analysis` does not.
"""

import base64
import hashlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from html import escape
from importlib import resources
from pathlib import Path
from typing import Any

from dlmreason import disk
from dlmreason.analysis import revisions, words
from dlmreason.analysis.packed import FILES, load, records_in
from dlmreason.analysis.records import Record, RecordsError, Timing, Trace, read
from dlmreason.analysis.summary import summary as summarise
from dlmreason.reports import sections
from dlmreason.reports.figure import places, shown
from dlmreason.reports.redaction import redact, redact_text

SCRIPTS = ("chart.js", "replay.js", "player.js", "page.js")
MOST_POINTS = 300
"""Points of a training curve: more cannot be seen."""


@dataclass
class Found:
    """What an output folder holds, and what of it could not be used."""

    summary: dict[str, Any] | None = None
    records: list[Record] = field(default_factory=list)
    timings: list[Timing] = field(default_factory=list)
    traces: list[Trace] = field(default_factory=list)
    run: Any = None
    config: str = ""
    training: dict[str, list[tuple[float, float]]] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)


def write(folder: Path | str, to: Path | str | None = None, summary: dict[str, Any] | None = None) -> Path:
    """Writes the page of an output folder and returns its path: `to`, or `report.html` in the folder.

    Reads what there is of records.jsonl (or another of packed.FILES), timings.jsonl, traces.jsonl, summary.json,
    run.json, config.yaml and metrics/*.jsonl.  summary: used in place of summary.json.
    """
    folder = Path(folder)
    target = Path(to) if to else folder / "report.html"
    found = gather(folder)
    if summary is not None:
        found.summary = summary
    text = render(found, title=folder.resolve().name)
    disk.write(target, text.encode("utf-8", "replace"))  # half a character, as a model may write one, is shown as "?"
    return target


def gather(folder: Path) -> Found:
    """Everything usable in the folder."""
    found = Found()
    path = records_in(folder) or folder / FILES[0]
    name = path.name
    found.records = _lines(path, Record, found.problems, wanted=True)
    found.timings = _lines(folder / "timings.jsonl", Timing, found.problems)
    found.traces = _lines(folder / "traces.jsonl", Trace, found.problems)
    found.run = _json(folder / "run.json", found.problems)
    found.summary = _json(folder / "summary.json", found.problems)
    if found.summary is not None and not _usable(found.summary):
        found.problems.append("summary.json: not a summary of this version; computed again from the records")
        found.summary = None
    if found.summary is None and found.records:
        try:
            found.summary = summarise(found.records)
        except RecordsError as error:
            found.problems.append(f"{name}: {error}")
    if (folder / "config.yaml").exists():
        found.config = (folder / "config.yaml").read_text(encoding="utf-8", errors="replace")
    for path in sorted(folder.glob("metrics/*.jsonl")):
        if curve := _losses(path):
            found.training[path.stem] = curve
    return found


def _lines(path: Path, kind: Any, problems: list[str], wanted: bool = False) -> list[Any]:
    try:
        items, bad = load(path) if kind is Record else read(path, kind)
    except FileNotFoundError:
        if wanted:
            problems.append(f"{path.name}: not there, so no answers can be shown")
        return []
    # A damaged file can have a problem on every line; the first few and their number say as much.
    problems.extend(str(each) for each in bad[:5])
    if len(bad) > 5:
        problems.append(f"{path.name}: {len(bad) - 5:,} more lines could not be used")
    return list(items)


def _json(path: Path, problems: list[str]) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except ValueError as error:
        problems.append(f"{path.name}: not JSON ({error})")
        return None


def _usable(summary: Any) -> bool:
    keys = {
        "task",
        "split",
        "puzzles",
        "seeds",
        "arms",
        "sentences",
        "winners",
        "comparisons",
        "difficulty",
        "revisions",
    }
    return isinstance(summary, dict) and keys <= summary.keys()


def _losses(path: Path) -> list[tuple[float, float]]:
    """(update, loss) of a training file: JSON lines with `step` and `loss`, with or without a CRC; others are left."""
    curve = []
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            row = json.loads(re.sub(r"^[0-9a-f]{8} ", "", line))
        except ValueError:
            continue
        loss = (
            next((row[key] for key in ("loss", "train/loss", "train_loss") if key in row), None)
            if isinstance(row, dict)
            else None
        )
        if isinstance(loss, int | float) and isinstance(row.get("step"), int) and row["step"] > 0:
            curve.append((row["step"], loss))
    return curve[:: max(1, len(curve) // MOST_POINTS)]


def render(found: Found, title: str) -> str:
    """The page as text."""
    package = resources.files("dlmreason.reports")
    script = "".join(package.joinpath(name).read_text(encoding="utf-8") for name in SCRIPTS)
    style = package.joinpath("page.css").read_text(encoding="utf-8")
    run = redact(found.run)
    if isinstance(run, dict) and isinstance(run.get("name"), str):
        title = run["name"]
    parts = {
        "title": escape(title),
        "about": escape(_about(found.summary)),
        "verdict": sections.verdict(found.summary),
        "tiles": sections.tiles(found.summary),
        "problems": sections.problems([redact_text(each) for each in found.problems]),
        "sections": "\n".join(_sections(found, run)),
        "style": style,
        "script": script,
        "style_hash": _hash(style),
        "script_hash": _hash(script),
        "data": _embedded(_data(found)),
    }
    template = package.joinpath("page.html").read_text(encoding="utf-8")
    # One walk over the template: what is put in is never searched for places again.
    return re.sub(r"\{\{(\w+)\}\}", lambda place: parts[place[1]], template)


def _about(summary: Mapping[str, Any] | None) -> str:
    if summary is None:
        return "dlmreason"
    seeds = words.listed([str(seed) for seed in summary["seeds"]])
    puzzles, seed = (
        ("puzzle" if summary["puzzles"] == 1 else "puzzles"),
        ("seed" if len(summary["seeds"]) == 1 else "seeds"),
    )
    return f"dlmreason · {summary['task']} · {summary['split']} · {summary['puzzles']:,} {puzzles} · {seed} {seeds}"


def _sections(found: Found, run: Any) -> Iterator[str]:
    summary = found.summary
    if summary is not None:
        yield sections.accuracy(summary)
        yield sections.winners(summary)
        yield sections.difficulty(summary)
        if summary["revisions"]:
            yield sections.mind(summary)
    if found.traces:
        missing = revisions.choose(found.records, found.traces[0].arm).missing if found.records else []
        yield sections.player(missing)
    if found.training:
        yield sections.training()
    yield sections.what_was_run(run, redact_text(found.config), found.timings)


def _data(found: Found) -> dict[str, Any]:
    """What the scripts draw."""
    summary = found.summary
    number = places(summary) if summary else {}
    return {
        "arms": [
            {
                "name": shown(arm, content),
                "colour": number[arm],
                "companion": content["companion_of"] is not None or content["bound"],
                "points": content["points"],
            }
            for arm, content in (summary["arms"] if summary else {}).items()
        ],
        "revisions": summary["revisions"] if summary else {},
        "traces": list(_traces(found.records, found.traces)),
        "training": [{"name": name, "points": curve} for name, curve in found.training.items()],
    }


def _traces(records: Sequence[Record], traces: Sequence[Trace]) -> Iterator[dict[str, Any]]:
    """Each trace with the rule that chose its puzzle, in the order of the rules."""
    order = list(revisions.RULES)
    named = []
    for trace in traces:
        choices = revisions.choose(records, trace.arm).choices
        rule = next((each.rule for each in choices if (each.example, each.seed) == (trace.example, trace.seed)), None)
        reason = f"{revisions.RULES[rule]}: " if rule else ""
        named.append((order.index(rule) if rule else len(order), rule or "puzzle", reason, trace))
    for _, rule, reason, trace in sorted(named, key=lambda each: each[0]):
        alone = rule != "puzzle" and sum(each[1] == rule for each in named) == 1
        name = rule if alone else f"{rule} · {trace.arm} · {trace.example}"
        about = f"{reason}puzzle {trace.example}, seed {trace.seed}, arm {trace.arm}."
        packed = {
            "frames": [_packed(frame) for frame in trace.frames],
            "answers": [_packed(answer) for answer in trace.answers],
        }
        plain = {each.name: getattr(trace, each.name) for each in fields(trace)}
        yield plain | packed | {"name": name, "about": about[0].upper() + about[1:]}


def _packed(frame: Mapping[str, Any]) -> list[Any]:
    """`[pass, [position, token, ...], quality, score]` without the nulls at its end: most frames have nothing more."""
    packed = [
        frame["pass"],
        [each for change in frame["changes"] for each in change],
        frame.get("quality"),
        frame.get("score"),
    ]
    while packed[-1] is None:
        packed.pop()
    return packed


def _hash(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _embedded(content: Any) -> str:
    """JSON that may stand inside a script element: nothing in it can end the element or open another."""
    text = json.dumps(content, separators=(",", ":"), allow_nan=False)
    return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")
