"""Let arms answer: `python -m dlmreason.evaluate checkpoint=<folder> policy=<name> [task.file=...] [overrides]`.

This file decides the order of work around an evaluation: what one checkpoint is asked, when it is noted that it is, the
progress line, the timing. What is left to answer belongs to `answering`, other processes to `sharding`.
"""

import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dlmreason import launch
from dlmreason.folder import describe, keep_traces, note_read
from dlmreason.report import report

if TYPE_CHECKING:
    from dlmreason.answering import Asked
    from dlmreason.evaluation.diffusion import Walking
    from dlmreason.sharding import Gathering


def answered(asked: "Asked", settings: Mapping[str, Any], folder: Path, others: "Gathering | None" = None) -> None:
    """Lets an arm answer what it has not, and writes records and a timing into `folder`.

    others: of the processes that answer in place of this one.
    Raises: BadInput where the folder's records of this arm are of another run, or its policy breaks a rule.
    """
    from dlmreason.analysis.records import Writer
    from dlmreason.answering import answer, counting_of, due, plan_of
    from dlmreason.progress import Progress, duration
    from dlmreason.sharding import adopt, tell_of_stale

    plan, total = plan_of(asked, settings), len(asked.examples)
    with Writer(folder / "records.jsonl", launch.say) as writer, counting_of(plan, asked.arm, folder) as counting:
        if others is None:
            adopt(plan, writer, counting)
        left = due(plan, asked.arm, folder, settings)
        if others is None:  # else it was, before they began
            note_read(folder, asked.name, settings, asked.key)
        if not left:
            launch.say(f"{asked.name}: all {total} examples are answered")
            return
        with Progress(total, asked.name, "examples", total - len(left)) as progress:
            if others is not None:
                others.gather(plan, asked.arm, left, writer, counting, progress)
                return
            tell_of_stale(plan, folder, 1)

            def shown(done: int, right: int) -> None:
                progress.advance(note=f"{right} of {done} right")

            total_passes, waiting, started = plan.ladder[-1], len(left), time.monotonic()

            def walked(at: "Walking") -> None:
                # What comes on top of `before`: rows that have not sat down.
                unseated = max(0, waiting - progress.done_now - at.alive) * total_passes
                rate = at.counts.charged / max(time.monotonic() - started, 1e-9)
                progress.tell(
                    f"{at.alive:,} under way, the last at pass {at.at:,} of {total_passes:,}, {rate:,.0f} passes/s, "
                    f"{duration((at.before + unseated) / rate) if rate else 'some time'} left at most"
                )

            answer(plan, left, asked, settings, writer, shown, counting, walked)


TIMED_PASSES = 64
"""More passes than these take no other time each."""


def timed(asked: "Asked", settings: Mapping[str, Any], folder: Path) -> None:
    """With budget.time=true, what a pass or a token takes alone and in a full batch, into measurements.jsonl, once."""
    from dlmreason.analysis.records import Measurement, Writer, read
    from dlmreason.assembly_arms import ladder_of
    from dlmreason.evaluation import timing

    name, arm, _, key, examples, _ = asked
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


def asked_of(settings: launch.Settings) -> tuple[launch.Settings, list["Asked"]]:
    """One checkpoint as an arm and what it is asked, and the settings with what the checkpoint says.

    Raises: BadInput.
    """
    import torch

    from dlmreason import assembly, assembly_arms
    from dlmreason.answering import Asked
    from dlmreason.networks.checkpoint import CheckpointError

    with launch.refused("checkpoint", CheckpointError):
        made, about = assembly.loaded(Path(settings["checkpoint"]))
    torch.set_num_threads(settings["threads"])
    asked = {key: value for key, value in settings["task"].items() if value is not None}
    diffusion = made.kind == "diffusion"
    name = settings["as_arm"] or (settings["policy"]["name"] if diffusion else made.name)
    arm = {"kind": made.kind, "model": made.name}
    decoding = settings.get("decoding")
    if diffusion and decoding:
        raise launch.BadInput(
            f"decoding: {made.name} is a diffusion model, which a policy lets write: leave decoding out, or give an "
            "autoregressive checkpoint"
        )
    own = ("rules", "decoding" if decoding else "temperature")
    arm |= {key: settings[key] for key in (("policy", "block_cache", "stale_cache", "draft") if diffusion else own)}
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
    parts = assembly_arms.run_parts(name, settings, task, ready, device)
    key, facts = assembly_arms.run_key(parts), assembly_arms.run_facts(parts, settings["seed"])
    made_arm = assembly_arms.arm_of(name, settings, task, ready, policies[name], device)
    return settings, [Asked(name, made_arm, task, key, examples, facts)]


def main(settings: launch.Settings) -> int:
    """The entry point: one checkpoint, under one policy or by the rules of an autoregressive arm, over one task."""
    from dlmreason import sharding
    from dlmreason.answering import due, plan_of
    from dlmreason.mirroring import mirrored
    from dlmreason.reports.shown import found_in

    shards = sharding.shards_of(settings)
    if shards.follows:
        return sharding.take_part(shards, settings, asked_of)
    given, (settings, asked) = settings, asked_of(settings)
    (each,) = asked
    shards.check(len(each.examples))
    folder = Path(settings["output"])
    with launch.locked(folder):
        due(
            plan_of(each, settings), each.arm, folder, settings
        )  # refuses a folder of another run before W&B begins one
        describe(folder, settings, first=True)
        with mirrored(settings, each.task, {}, folder) as mirror:
            with sharding.at_work(shards, asked, settings, asked_of, given) as others:
                answered(each, settings, folder, others)
            timed(each, settings, folder)
            describe(folder, settings)
            keep_traces(folder, settings, {each.name: each.arm}, {each.name: each.examples})
            report(folder)
            mirror.found(lambda: found_in(folder), folder)
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
