"""Let arms answer: `python -m dlmreason.evaluate checkpoint=<folder> policy=<name> [task.file=...] [overrides]`.

This file decides the order of work around an evaluation: what is recorded already, what is left, the snapshot, the
progress line, the timing. What an arm does belongs to `evaluation`.
"""

import json
import sys
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from dlmreason import disk, launch
from dlmreason.folder import changed, describe, keep_traces, note_read
from dlmreason.report import json_of, report


def answered(
    name: str, arm: Any, task: Any, settings: Mapping[str, Any], key: str, folder: Path, examples: Any
) -> None:
    """Lets an arm answer what it has not, and writes records and a timing into `folder`.

    Raises: BadInput where the folder's records of this arm are of another run, or its policy breaks a rule.
    """
    from dlmreason.analysis.records import Counted, Record, Timing, Writer, read
    from dlmreason.assembly_arms import ladder_of
    from dlmreason.compute.measure import meters_of
    from dlmreason.evaluation.counting import Counting
    from dlmreason.evaluation.diffusion import DiffusionArm
    from dlmreason.evaluation.evaluate import Plan, belongs, evaluate, unaffordable, unfinished
    from dlmreason.evaluation.snapshot import Snapshot
    from dlmreason.progress import Progress
    from dlmreason.sampling.guard import BadMove

    budget, seed, ladder = settings["budget"], settings["seed"], ladder_of(settings, name)
    device = next(arm.network.parameters()).device
    passing = isinstance(arm, DiffusionArm)
    plan = Plan(name, task, budget["split"], examples, ladder, seed, key, arm.variants, every_rung=passing)
    path, beyond_path = folder / "records.jsonl", folder / "snapshots" / f"{name}-{seed}.beyond.json"
    beyond = json_of(beyond_path).get(key, {})
    with ExitStack() as stack:
        writer = stack.enter_context(Writer(path, launch.say))
        known = [record for record in read(path, Record).items if belongs(record, name) and record.seed == seed]
        try:
            left = unfinished(plan, known, beyond)
        except ValueError as error:
            raise launch.BadInput(f"arms.{name}: {error} ({changed(folder, settings)})") from error
        counting = None
        if passing and arm.counters is not None:
            counted = stack.enter_context(Writer(folder / "counters.jsonl", launch.say))
            counting = Counting(arm, name, seed, key, counted, read(counted.path, Counted).items)
            wanted = {example.id for example in (*left, *counting.missing(examples, ladder))}
            left = [example for example in examples if example.id in wanted]
        note_read(folder, name, settings, key)
        if not left:
            launch.say(f"{name}: all {len(examples)} examples are answered")
            return
        with Progress(len(examples), name, "examples", len(examples) - len(left)) as progress:

            def shown(done: int, right: int) -> None:
                progress.advance(note=f"{right} of {done} right")

            if passing:
                snapshot = Snapshot(folder / "snapshots" / f"{name}-{seed}.pt", key, report=launch.say)
                attempts = arm.attempts(left, plan.ladder, seed, snapshot, on_walk=counting)
            else:
                attempts = arm.attempts(left, plan.ladder, seed)
            memory = meters_of(device).peak_bytes
            memory.begin()
            with launch.refused(f"arms.{name}.policy", BadMove):
                seconds = evaluate(plan, attempts, writer, known, shown)
    if out_of_reach := unaffordable(plan, read(path, Record).items):
        beyond_path.parent.mkdir(exist_ok=True)
        disk.write(beyond_path, json.dumps({key: beyond | dict.fromkeys(out_of_reach, plan.ladder[-1])}))
    passes = arm.meter.calls if passing else 0
    with Writer(folder / "timings.jsonl", launch.say) as timings:
        timings.append(
            Timing(
                arm=name,
                rung=None,
                seconds=seconds,
                rows=len(left),
                batch=arm.width,
                passes=passes,
                peak_bytes=int(memory.end().value or 0) or None,
                device=str(device),
                threads=settings["threads"],
                run_key=key,
            )
        )


TIMED_PASSES = 64
"""More passes than these take no other time each."""


def timed(name: str, arm: Any, settings: Mapping[str, Any], key: str, folder: Path, examples: Any) -> None:
    """With budget.time=true, what a pass or a token takes alone and in a full batch, into measurements.jsonl, once."""
    from dlmreason.analysis.records import Measurement, Writer, read
    from dlmreason.assembly_arms import ladder_of
    from dlmreason.evaluation import timing

    path = folder / "measurements.jsonl"
    if not settings["budget"].get("time"):
        return
    known = read(path, Measurement).items if path.exists() else []
    if any((each.arm, each.run_key) == (name, key) for each in known):
        return
    passes = min(ladder_of(settings, name)[-1], TIMED_PASSES)
    found = timing.timed(arm, examples, passes=passes, seed=settings["seed"], run_key=key)
    with Writer(path, launch.say) as writer:
        writer.append_many(found)
    for each in found:
        energy = each.missing.get("joules") or f"{(each.joules or 0.0) / each.calls:.3g} J"
        launch.say(
            f"{name}, batch {each.batch}: {1000 * each.seconds_per_call:.3g} ms a {each.what}, "
            f"{1000 * each.seconds_per_row:.3g} ms of one row; energy: {energy}"
        )


def examples_of(task: Any, settings: Mapping[str, Any]) -> list[Any]:
    """The examples of the split that are answered. Raises: BadInput where there are none, or a file cannot be used."""
    from dlmreason.tasks.example import FileError, PuzzleError

    budget = settings["budget"]
    with launch.refused("task.file", FileError, PuzzleError, OSError):
        split = task.examples(budget["split"])
        examples = [split[place] for place in range(min(budget["examples"], len(split)))]
    if not examples:
        raise launch.BadInput(f"budget.split={budget['split']}: the task {task.name} has no examples there")
    for line in getattr(task, "skipped", ()):
        launch.say(f"left out: {line}")
    if getattr(task, "skipped", ()):
        launch.say(f"left out in all: {len(task.skipped)}")
    return examples


def main(settings: launch.Settings) -> int:
    """The entry point: one checkpoint, under one policy or by the rules of an autoregressive arm, over one task."""
    import torch

    from dlmreason import assembly, assembly_arms
    from dlmreason.networks.checkpoint import CheckpointError

    with launch.refused("checkpoint", CheckpointError):
        made, about = assembly.loaded(Path(settings["checkpoint"]))
    torch.set_num_threads(settings["threads"])
    asked = {key: value for key, value in settings["task"].items() if value is not None}
    diffusion = made.kind == "diffusion"
    name = settings["arm"] or (settings["policy"]["name"] if diffusion else made.name)
    arm = {"kind": made.kind, "model": made.name}
    decoding = settings.get("decoding")
    if diffusion and decoding:
        raise launch.BadInput(
            f"decoding: {made.name} is a diffusion model, which a policy lets write: leave decoding out, or give an "
            "autoregressive checkpoint"
        )
    own = ("rules", "decoding" if decoding else "temperature")
    arm |= {"policy": settings["policy"]} if diffusion else {key: settings[key] for key in own}
    settings = settings | {
        "task": asked if "_target_" in asked else about["task"]["settings"] | asked,
        "models": {made.name: {"kind": made.kind, "taught": made.taught._asdict()}},
        "arms": {name: arm},
        "primary": name if diffusion else None,
    }
    policies = assembly_arms.policies_of(settings)
    task = assembly.task_of(settings)
    _fits(task, made, about["vocabulary"]["symbols"])
    examples = examples_of(task, settings)
    device = assembly.device_of(settings)
    ready = {made.name: made}
    arms = {name: assembly_arms.arm_of(name, settings, task, ready, policies[name], device)}
    folder = Path(settings["output"])
    with launch.locked(folder):
        describe(folder, settings, first=True)
        key = assembly_arms.run_key(name, settings, task, ready, device)
        answered(name, arms[name], task, settings, key, folder, examples)
        timed(name, arms[name], settings, key, folder, examples)
        describe(folder, settings)
        keep_traces(folder, settings, arms, {name: examples})
        report(folder)
    launch.say(f"report: {folder / 'report.html'}")
    return 0


def _fits(task: Any, made: Any, symbols: list[str]) -> None:
    """Raises: BadInput where the network cannot read the task's sheets, or its ids meant other symbols."""
    shape, diffusion = made.network.shape, made.kind == "diffusion"
    length = task.length(in_place=task.in_place and diffusion and not made.thought, thought=made.thought)
    size = task.vocabulary(made.thought).size
    if size != shape.vocabulary_size or tuple(task.feature_sizes) != shape.feature_sizes or length > shape.length:
        raise launch.BadInput(
            f"task={task.name}: {size} symbols, {length} positions and features {tuple(task.feature_sizes)}, but "
            f"the checkpoint reads {shape.vocabulary_size}, {shape.length} and {shape.feature_sizes}: it was trained "
            "on another task"
        )
    if list(task.vocabulary(made.thought).symbols) != symbols:
        raise launch.BadInput(
            f"task={task.name}: its {size} symbols are not those that the checkpoint was trained with: give it the "
            f"training file of then (task.train_file=), of which its vocabulary is made"
        )


if __name__ == "__main__":
    sys.exit(launch.run(main, "evaluate"))
