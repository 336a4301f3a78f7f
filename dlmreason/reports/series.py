"""A run in numbers: rows along an axis, and tables, each under the name by which a dashboard asks for it.

This file decides what a training, an arm and a change of mind are worth logging of, and how it is named. W&B live, a
W&B run that is rebuilt, and the local dashboard are all handed these, so that none can show what the others do not. It
computes from records and summaries and knows neither W&B nor a page.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from dlmreason import disk
from dlmreason.analysis.calibration import reliability
from dlmreason.analysis.records import Record, Trace
from dlmreason.analysis.revisions import EVENTS

UPDATE, BUDGET = "update", "budget"
COSTS = {"flops": "flops", "passes": "nfe", "depth": "depth"}
"""What a row of an answer is also drawn along, by the field of a summary's point that holds it."""

ANSWERS = ("accuracy", "low", "high", "settled")
MIND = ("triggered", "alive", "precision", "harm")


class Row(NamedTuple):
    """Numbers that belong to one place on an axis."""

    axis: str  # the name of the value that says where
    values: dict[str, float]  # the axis among them


def names_of(rows: Iterable[Row]) -> list[str]:
    """What is logged, sorted, without the axes."""
    return sorted({name for row in rows for name in row.values} - {UPDATE, BUDGET, *COSTS})


class Table(NamedTuple):
    """Rows of plain values."""

    name: str
    columns: tuple[str, ...]
    rows: list[list[Any]]


class Work(NamedTuple):
    """What one update of a model is."""

    examples: int
    flops: float
    product: float | None = None  # FLOPs a second of a matrix product on the same device; None: not known


class Rates:
    """What a training does in a second, from what its entries say of updates and seconds.

    work: by model; of others the entries stay as they are. Stateful: an entry's seconds are counted from the one before
    it of the same model, in which validation has no part. Entries that a resumed training tells again change nothing.
    """

    def __init__(self, work: Mapping[str, Work]) -> None:
        self.work = work
        self._before: dict[str, tuple[float, float]] = {}  # (update, seconds) of a model's last entry

    def __call__(self, model: str, entry: Mapping[str, float]) -> dict[str, float]:
        """The entry, with `examples_per_second`, `flops_per_second` and `mfu` where it tells of updates.

        mfu: model FLOPs utilisation [PaLM, arXiv:2204.02311, appendix B], of what a matrix product reaches on this
        device.  Deviation: of a measured product, where the source takes the maker's number: no processor has one.
        """
        work = self.work.get(model)
        if work is None or "loss" not in entry:
            return dict(entry)
        updates, seconds = entry["update"], entry["seconds"]
        before = self._before.get(model, (0.0, 0.0))
        self._before[model] = (updates, seconds)
        made, took = updates - before[0], seconds - before[1]
        if made <= 0 or took <= 0:
            return dict(entry)
        flops = made * work.flops / took
        rates = {"examples_per_second": made * work.examples / took, "flops_per_second": flops}
        return dict(entry) | rates | ({} if work.product is None else {"mfu": flops / work.product})


def training(model: str, entry: Mapping[str, float]) -> Row:
    """An entry of a training, its values named `<model>/<metric>`."""
    named = {f"{model}/{key}": value for key, value in entry.items() if key not in ("step", "update")}
    return Row(UPDATE, named | {UPDATE: int(entry["update"])})


def trainings(folder: Path, rates: Rates) -> Iterator[Row]:
    """Every entry of `folder`/metrics/<model>.jsonl, a model after the other, as they were trained."""
    models = list(settings_of(folder).get("models") or {})
    order = {model: place for place, model in enumerate(models)}
    paths = sorted((folder / "metrics").glob("*.jsonl"), key=lambda path: (order.get(path.stem, len(order)), path.stem))
    for path in paths:
        for line in path.read_text(encoding="utf-8").splitlines():
            yield training(path.stem, rates(path.stem, json.loads(line)))


def settings_of(folder: Path) -> dict[str, Any]:
    """The settings in config.yaml; empty where there are none."""
    import yaml

    try:
        content = yaml.safe_load((folder / "config.yaml").read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError):
        return {}
    return content if isinstance(content, dict) else {}


def work_of(folder: Path) -> dict[str, Work]:
    """What an update of each trained model was, from the models' descriptions; of others nothing is known."""
    examples = (settings_of(folder).get("trainer") or {}).get("batch_size")
    product = disk.object_in(folder / "machine.json").get("matrix_product_flops_per_second")
    found = {}
    for path in sorted((folder / "models").glob("*/description.json")):
        extra = disk.object_in(path).get("extra", {})
        if examples and extra.get("updates") and extra.get("training_flops"):
            found[path.parent.name] = Work(examples, extra["training_flops"] / extra["updates"], product)
    return found


def answers(summary: Mapping[str, Any]) -> Iterator[Row]:
    """Each point of each arm's curve, named `answers/<arm>/<metric>`, with what it cost."""
    for arm, content in summary["arms"].items():
        for point in content["points"]:
            named = {f"answers/{arm}/{metric}": point[metric] for metric in ANSWERS}
            costs = {name: point[field] for name, field in COSTS.items()}
            yield Row(BUDGET, named | costs | {BUDGET: point["rung"]})


def mind(summary: Mapping[str, Any]) -> Iterator[Row]:
    """What each revising arm's passes did to its canvas, named `mind/<arm>/<metric>`; events are per 1,000 passes."""
    areas = {(arm, row["rung"]): row["auc"] for arm, rows in (summary.get("state_auc") or {}).items() for row in rows}
    for arm, rows in summary["revisions"].items():
        for row in rows:
            values = {metric: row[metric] for metric in MIND} | {name: row["per_1000"][name] for name in EVENTS}
            values["last_accuracy"] = row["last"]["accuracy"] if row["last"] else None
            values["state_auroc"] = areas.get((arm, row["rung"]))
            named = {f"mind/{arm}/{metric}": value for metric, value in values.items() if value is not None}
            yield Row(BUDGET, named | {BUDGET: row["rung"]})


def last_word(summary: Mapping[str, Any]) -> dict[str, Any]:
    """The verdict, and each arm's accuracy at its highest budget."""
    best = {
        f"accuracy/{arm}": content["points"][-1]["accuracy"]
        for arm, content in summary["arms"].items()
        if content["points"]
    }
    return {"verdict": summary["verdict"], **best}


def accuracy_against_flops(summary: Mapping[str, Any]) -> Table:
    """Every point of every arm."""
    columns = ("arm", "rung", "accuracy", "low", "high", "n", "flops", "nfe", "depth")
    points = [{"arm": arm, **point} for arm, content in summary["arms"].items() for point in content["points"]]
    return Table("accuracy_against_flops", columns, [[point[name] for name in columns] for point in points])


def quality_calibration(records: Iterable[Record]) -> Table:
    """Of the answers of each arm and budget that were scored alike, the share that is right; see
    `analysis.calibration`."""
    cells: dict[tuple[str, int], list[Record]] = {}
    for record in records:
        cells.setdefault((record.arm, record.rung), []).append(record)
    rows = [
        [arm, rung, each.low_score, each.high_score, each.n, each.score, each.accuracy, each.low, each.high]
        for (arm, rung), cell in sorted(cells.items())
        for each in reliability(cell)
    ]
    columns = ("arm", "rung", "from", "to", "answers", "said", "right", "low", "high")
    return Table("quality_calibration", columns, rows)


def changed_minds(traces: Sequence[Trace]) -> Table:
    """Every committed token that became another, in the walks that were kept: a line each.

    quality: the percent that the judge gave the old token when it last saw it, in the pass that took it back; None
    where it was not asked.  outcome: set right | set wrong | wrong either way | unknown, where nobody knows the answer.
    """
    rows = [list(row) for trace in traces for row in _changes(trace)]
    columns = ("arm", "puzzle", "seed", "pass", "cell", "old", "new", "quality", "outcome", "right")
    return Table("changed_minds", columns, rows)


def _changes(trace: Trace) -> Iterator[tuple[Any, ...]]:
    committed = [None if token == trace.mask_id else token for token in trace.start]
    doubted: dict[int, int | None] = {}  # the quality with which a token was taken back
    for frame in trace.frames:
        quality = frame.get("quality")
        for place, token in frame["changes"]:
            seen = None if quality is None else quality[place]
            if token == trace.mask_id:
                doubted[place] = seen
                continue
            old, committed[place] = committed[place], token
            judged = doubted.pop(place, seen)
            if old is not None and old != token:
                gold = None if trace.gold is None else trace.gold[place]
                outcome = _outcome(old, token, gold)
                right = None if gold is None else token == gold
                names = trace.symbols[old], trace.symbols[token]
                at = _cell(trace.layout, place)
                yield (trace.arm, trace.example, trace.seed, frame["pass"], at, *names, judged, outcome, right)


def _outcome(old: int, new: int, gold: int | None) -> str:
    if gold is None:
        return "unknown"
    return "set right" if new == gold else "set wrong" if old == gold else "wrong either way"


def _cell(layout: Mapping[str, int], place: int) -> str:
    """Where a position lies, as a person counts: a row and a column where there are rows."""
    number = place - layout["first"]
    if layout["rows"] <= 1 or number < 0:
        return f"position {place + 1}"
    row, column = divmod(number, layout["columns"])
    return f"row {row + 1}, column {column + 1}"
