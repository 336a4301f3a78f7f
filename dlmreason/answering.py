"""An arm answers what it has not: from a plan to records, a snapshot and a timing in one folder.

This file decides what is left of a plan and what is noted beside its records. It knows neither how many processes there
are nor who is told of the progress.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

from dlmreason import disk, launch
from dlmreason.analysis.records import Counted, Record, Timing, Writer, read
from dlmreason.assembly_arms import ladder_of
from dlmreason.compute.measure import meters_of
from dlmreason.evaluation.counting import Counting, uncounted
from dlmreason.evaluation.diffusion import DiffusionArm, Walking
from dlmreason.evaluation.evaluate import Plan, belongs, evaluate, unaffordable, unfinished
from dlmreason.evaluation.snapshot import ForeignSnapshot, Snapshot
from dlmreason.folder import changed
from dlmreason.sampling.guard import BadMove


class Asked(NamedTuple):
    """An arm and what it is asked."""

    name: str
    arm: Any
    task: Any
    key: str  # of the run
    examples: Sequence[Any]
    facts: Mapping[str, str]  # what the key is made of, for a person


def plan_of(asked: Asked, settings: Mapping[str, Any]) -> Plan:
    """What the evaluation of this arm is of."""
    name, arm, task, key, examples, _ = asked
    split, seed, ladder = settings["budget"]["split"], settings["seed"], ladder_of(settings, name)
    return Plan(name, task, split, examples, ladder, seed, key, arm.variants, every_rung=isinstance(arm, DiffusionArm))


def records_of(plan: Plan, path: Path) -> list[Record]:
    """The records of a plan's arm and seed in a file; none where there is no file."""
    found = read(path, Record).items if path.exists() else []
    return [record for record in found if belongs(record, plan.arm) and record.seed == plan.seed]


def beyond_of(plan: Plan, folder: Path) -> dict[str, int]:
    """By example, the highest rung that is known in `folder` not to buy the arm an answer."""
    return disk.object_in(_beyond(plan, folder)).get(plan.run_key, {})


def note_beyond(plan: Plan, folder: Path) -> None:
    """Notes of a plan whose examples were all attempted to which of them no rung bought an answer."""
    out_of_reach = unaffordable(plan, records_of(plan, folder / "records.jsonl"))
    if out_of_reach:
        path = _beyond(plan, folder)
        path.parent.mkdir(exist_ok=True)
        known = beyond_of(plan, folder) | dict.fromkeys(out_of_reach, plan.ladder[-1])
        disk.write(path, json.dumps({plan.run_key: known}))


def _beyond(plan: Plan, folder: Path) -> Path:
    return folder / "snapshots" / f"{plan.arm}-{plan.seed}.beyond.json"


def unanswered(plan: Plan, folder: Path, settings: Mapping[str, Any]) -> list[Any]:
    """The examples of which `folder` has no answer. Raises: BadInput where its records are of another run."""
    try:
        return unfinished(plan, records_of(plan, folder / "records.jsonl"), beyond_of(plan, folder))
    except ValueError as error:
        raise launch.BadInput(f"arms.{plan.arm}: {error} ({changed(folder, settings)})") from error


def counted_of(plan: Plan, folder: Path) -> list[Counted]:
    """The counters of a plan's arm, seed and run in a folder."""
    path, of = folder / "counters.jsonl", (plan.arm, plan.seed, plan.run_key)
    found = read(path, Counted).items if path.exists() else []
    return [line for line in found if (line.arm, line.seed, line.run_key) == of]


@contextmanager
def counting_of(plan: Plan, arm: Any, folder: Path) -> Iterator[Counting | None]:
    """What writes an arm's counters beside its records; None for an arm that counts nothing."""
    if not isinstance(arm, DiffusionArm) or arm.counters is None:
        yield None
        return
    with Writer(folder / "counters.jsonl", launch.say) as writer:
        yield Counting(arm, plan.arm, plan.seed, plan.run_key, writer, counted_of(plan, folder))


def due(plan: Plan, arm: Any, folder: Path, settings: Mapping[str, Any]) -> list[Any]:
    """The examples, in the plan's order, of which `folder` lacks an answer, or the counters of a walk where the arm
    counts. Raises: as `unanswered`."""
    left = unanswered(plan, folder, settings)
    if not isinstance(arm, DiffusionArm) or arm.counters is None:
        return left
    return either(plan.examples, left, uncounted(arm, plan.examples, plan.ladder, counted_of(plan, folder)))


def either(examples: Sequence[Any], *parts: Sequence[Any]) -> list[Any]:
    """The examples, in their order, that are in any part."""
    wanted = {each.id for each in chain.from_iterable(parts)}
    return [each for each in examples if each.id in wanted]


def answer(
    plan: Plan,
    left: Sequence[Any],
    asked: Asked,
    settings: Mapping[str, Any],
    writer: Writer,
    shown: Callable[[int, int], None] | None = None,
    counting: Counting | None = None,
    walking: Callable[[Walking], None] | None = None,
) -> None:
    """The arm answers the examples that are `left`: records by `writer`, the rest into the folder beside them.

    shown: as `on_example` of `evaluate`.  counting: told of each walk.  walking: told of passes as
    they are made.

    Raises: BadInput where its policy breaks a rule, or the snapshot in the folder is of another run.
    """
    folder, arm = writer.path.parent, asked.arm
    device = next(arm.network.parameters()).device
    passing = isinstance(arm, DiffusionArm)
    known = records_of(plan, writer.path)
    if passing:
        path = folder / "snapshots" / f"{plan.arm}-{plan.seed}.pt"
        snapshot = Snapshot(path, plan.run_key, report=launch.say, facts=asked.facts)
        attempts = arm.attempts(left, plan.ladder, plan.seed, snapshot, walking, on_walk=counting)
    else:
        attempts = arm.attempts(left, plan.ladder, plan.seed)
    memory = meters_of(device).peak_bytes
    memory.begin()
    with launch.refused(f"arms.{plan.arm}.policy", BadMove), launch.refused(f"arms.{plan.arm}", ForeignSnapshot):
        seconds = evaluate(plan, attempts, writer, known, shown)
    note_beyond(plan, folder)
    passes = arm.meter.calls if passing else 0
    with Writer(folder / "timings.jsonl", launch.say) as timings:
        timings.append(
            Timing(
                arm=plan.arm,
                rung=None,
                seconds=seconds,
                rows=len(left),
                batch=arm.width,
                passes=passes,
                peak_bytes=int(memory.end().value or 0) or None,
                device=str(device),
                threads=settings["threads"],
                run_key=plan.run_key,
            )
        )
