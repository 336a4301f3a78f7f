"""What lies in an output folder beside models and records: the description of the run, how often the test split was
read, training metrics, traces.

This file decides their form and when they are written anew. It is shared by the entry points that train or answer, and
knows none of them.
"""

import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from dlmreason import disk, launch
from dlmreason.launch_rules import shown, walk


def describe(folder: Path, settings: Mapping[str, Any], *, first: bool = False) -> None:
    """Writes what is run into the folder: config.yaml, and run.json with versions, commit and machine.

    first: only where nothing is written yet. A folder keeps its description until it is known that these settings may
    add to it, and for as long as they add nothing.
    """
    import yaml

    from dlmreason.reports.redaction import redact

    config, path = yaml.safe_dump(redact(dict(settings)), sort_keys=False, allow_unicode=True), folder / "config.yaml"
    if path.exists() and (first or path.read_text(encoding="utf-8") == config):
        return
    run = {
        "name": settings["name"],
        "title": settings.get("title") or settings["name"],
        "primary": settings.get("primary"),
        "family": settings.get("family"),
        "tolerance": settings.get("tolerance"),
        "bounds": [name for name, arm in settings.get("arms", {}).items() if arm.get("oracle")],
        "seed": settings["seed"],
        "task": settings["task"],
        "test_reads": reads_of_test(folder),
        **launch.provenance(),
    }
    _write_run(folder, run)
    disk.write(path, config)


def _write_run(folder: Path, run: Mapping[str, Any]) -> None:
    from dlmreason.reports.redaction import redact

    disk.write(folder / "run.json", json.dumps(redact(run), indent=1, default=str) + "\n")


def note_read(folder: Path, arm: str, settings: Mapping[str, Any], key: str) -> None:
    """Notes in reads.jsonl that an arm reads the test split under this run key, and in run.json how often it did.

    Reading on under the same key, over more puzzles or passes, is the same reading. What is noted outlives the records.
    """
    from dlmreason.analysis.records import SplitRead, Writer, read

    split = settings["budget"]["split"]
    if split != "test":
        return
    line, path = SplitRead(arm, split, settings["seed"], key), folder / "reads.jsonl"
    if not (path.exists() and line in read(path, SplitRead).items):
        with Writer(path, launch.say) as writer:
            writer.append(line)
    run, counts = disk.object_in(folder / "run.json"), reads_of_test(folder)
    if run and run.get("test_reads") != counts:
        _write_run(folder, run | {"test_reads": counts})
    if counts[arm] > 1:
        launch.say(f"{arm}: has read the test split {counts[arm]} times in this folder, and a claim reads it once")


def reads_of_test(folder: Path) -> dict[str, int]:
    """How often each arm has read the test split: run keys, each seed by itself, of which the most is told."""
    from dlmreason.analysis.records import SplitRead, read

    path = folder / "reads.jsonl"
    keys: dict[str, dict[int, set[str]]] = {}
    for each in read(path, SplitRead).items if path.exists() else ():
        keys.setdefault(each.arm, {}).setdefault(each.seed, set()).add(each.run_key)
    return {arm: max(map(len, seeds.values())) for arm, seeds in keys.items()}


def metrics_log(folder: Path, mirror: Any = None) -> Callable[[str, dict[str, float]], None]:
    """A log of training entries: a JSON line each in metrics/<model>.jsonl, and W&B.

    After a resume the training tells again what lay behind its checkpoint: an entry for an update that is there
    replaces it.
    """

    def log(model: str, entry: dict[str, float]) -> None:
        path = folder / "metrics" / f"{model}.jsonl"
        path.parent.mkdir(parents=True, exist_ok=True)
        before = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
        kept = [line for line in before if _stays(json.loads(line), entry)]
        lines = [*kept, json.dumps({"step": entry["update"], **entry})]
        disk.write(path, "\n".join(lines) + "\n")
        if mirror is not None:
            mirror.training(model, entry)

    return log


def measured(folder: Path, model: str, name: str) -> float | None:
    """The last value of a measure in metrics/<model>.jsonl; None where none was taken."""
    path = folder / "metrics" / f"{model}.jsonl"
    entries = map(json.loads, path.read_text(encoding="utf-8").splitlines()) if path.exists() else ()
    return next((entry[name] for entry in reversed(list(entries)) if name in entry), None)


def _stays(old: Mapping[str, float], entry: Mapping[str, float]) -> bool:
    """Whether an entry is of an earlier update, or tells of something else, as validation does beside the losses."""
    if old["update"] == entry["update"]:
        return old.keys() - {"step"} != set(entry)
    return old["update"] < entry["update"]


def changed(folder: Path, settings: Mapping[str, Any]) -> str:
    """What differs between the settings that an output folder was made with and these, in words, for a refusal."""
    import yaml

    from dlmreason.reports.redaction import redact

    try:
        before = yaml.safe_load((folder / "config.yaml").read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError):
        before = None
    if not isinstance(before, dict):
        return "its config.yaml cannot be read"
    old, new = (dict(walk(each)) for each in (before, redact(dict(settings))))
    keys = [key for key in old | new if not any(fnmatchcase(key, pattern) for pattern in _SAYS_NOTHING)]
    pairs = [(key, shown(old.get(key)), shown(new.get(key))) for key in keys if not isinstance((old | new)[key], dict)]
    words = [f"{key}={was} there and {now} here" for key, was, now in pairs if was != now]
    return ", ".join(words) or "its settings are the same, so its data or weights are not"


_SAYS_NOTHING = (
    "name",
    "output",
    "title",
    "primary",
    "family",
    "tolerance",
    "logger.*",
    "budget.passes",
    "budget.rungs",
    "budget.examples",
    "budget.traces",
    "budget.trace_events",
    "arms.*.passes",
    "budget.time",
    "budget.counters",
    "budget.shards",
    "budget.mismatch",
    "tuning.*",
    "tuned",
)
"""Settings that may change between two runs into one folder."""


def keep_traces(
    folder: Path, settings: Mapping[str, Any], arms: Mapping[str, Any], examples: Mapping[str, Sequence[Any]]
) -> None:
    """Walks a few telling puzzles of the primary arm again, with every pass kept, into traces.jsonl.

    examples: of each arm.  The same noise gives the same passes, so what is played back is what was recorded.
    """
    from dlmreason.analysis.records import Record, Trace, Writer, read
    from dlmreason.analysis.revisions import choose
    from dlmreason.assembly import digest
    from dlmreason.assembly_arms import ladder_of
    from dlmreason.evaluation.diffusion import DiffusionArm

    diffusion = {name: arm for name, arm in arms.items() if isinstance(arm, DiffusionArm)}
    revising = [name for name, arm in diffusion.items() if arm.revises]
    name = settings.get("primary") or next(iter(revising or diffusion), None)
    if name not in diffusion or settings["budget"]["traces"] == 0:
        return
    arm, seed = diffusion[name], settings["seed"]
    by_id, passes = {example.id: example for example in examples[name]}, ladder_of(settings, name)[-1]
    known = [record for record in read(folder / "records.jsonl", Record).items if record.seed == seed]
    records = [record for record in known if record.example in by_id and record.rung <= passes]
    chosen = choose(records, name).choices[: settings["budget"]["traces"]]
    path, done = folder / "traces.jsonl", folder / "snapshots" / "traces.json"
    wanted = sorted(choice.example for choice in chosen)
    asked = (name, wanted, passes, sorted({record.run_key for record in records if record.arm == name}), seed)
    events = settings["budget"].get("trace_events")
    key = digest(*asked) if events is None else digest(*asked, events)
    if path.exists() and disk.object_in(done).get("key") == key:
        return
    launch.say(f"{name}: walking {len(wanted)} puzzles again for the trace player")
    stories = _stories(folder, key, arm, [by_id[example] for example in wanted], passes, settings)
    task: Any = arm.task
    vocabulary, layout = task.vocabulary(arm.thought), task.layout
    path.unlink(missing_ok=True)
    with Writer(path, launch.say) as writer:
        for choice in chosen:
            example, story = by_id[choice.example], stories[choice.example]
            sheet = arm.sheet(example)
            gold = sheet.tokens.tolist()
            writer.append(
                Trace(
                    arm=name,
                    example=example.id,
                    seed=seed,
                    length=len(story.start),
                    layout={key: getattr(layout, key) for key in ("rows", "columns", "box_rows", "box_columns")}
                    | {"first": sheet.answer_at},
                    given=[not editable for editable in sheet.editable.tolist()],
                    start=story.start,
                    # Where several answers are right, another than the known one is not wrong.
                    gold=gold if vocabulary.mask_id not in gold and task.unique else None,
                    symbols=list(vocabulary.symbols),
                    mask_id=vocabulary.mask_id,
                    frames=story.frames,
                    answers=story.answers,
                )
            )
    done.parent.mkdir(exist_ok=True)
    disk.write(done, json.dumps({"key": key}))


def _stories(
    folder: Path, key: str, arm: Any, examples: Sequence[Any], passes: int, settings: Mapping[str, Any]
) -> Mapping[str, Any]:
    """{example: its story}; with budget.trace_events told to files while it is walked, and gone on with after a stop.

    The files of other rows, weights or settings than `key` names are removed.
    """
    from dlmreason.evaluation.snapshot import Snapshot

    seed, events = settings["seed"], settings["budget"].get("trace_events")
    told = folder / "traces"
    for other in told.iterdir() if told.exists() else ():
        if other.name != key:
            shutil.rmtree(other)
    if events is None:
        stories: Mapping[str, Any] = arm.traces(examples, passes, seed)
        return stories
    snapshot = Snapshot(told / key / "snapshot.pt", key, report=launch.say)
    streamed: Mapping[str, Any] = arm.streamed(examples, passes, seed, told / key, events, snapshot)
    return streamed
