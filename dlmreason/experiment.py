"""The whole way: `python -m dlmreason.experiment experiment=<name> [overrides]`.

Trains what has no checkpoint, lets every arm answer over its ladder, compares, reports. One idempotent, resumable job:
run again it does nothing twice, interrupted it goes on. This file decides the order; each part is in the entry point of
its name. A claim that only measures is handed to `measure`.
"""

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dlmreason import disk, launch
from dlmreason.analysis.state_auc import ENOUGH, LONG
from dlmreason.evaluate import answered, examples_of, timed
from dlmreason.folder import describe, keep_traces, measured, metrics_log
from dlmreason.own_tasks import items_of
from dlmreason.report import report
from dlmreason.train import refuse_another, trained, trained_before
from dlmreason.tuning import tuned

if TYPE_CHECKING:
    from dlmreason.answering import Asked


def main(settings: launch.Settings) -> int:
    """The entry point."""
    if settings["measure"]:
        from dlmreason.measure import measure

        return measure(settings)
    if not settings["models"] or not settings["arms"]:
        raise launch.BadInput("experiment: choose one, such as experiment=demo; `make experiments` lists them")
    import torch

    from dlmreason import assembly, assembly_arms, detecting, equal_compute, sharding
    from dlmreason.mirroring import mirrored
    from dlmreason.reports.shown import found_in

    settings = _one_policy(tuned(settings))
    shards = sharding.shards_of(settings)
    if shards.follows:
        return sharding.take_part(shards, settings, asked_of)
    torch.set_num_threads(settings["threads"])
    task = assembly.task_of(settings)
    models = assembly.models_of(settings, task)
    assembly_arms.policies_of(settings)
    assembly_arms.check_arms(settings, task, models)
    _check_family(settings, {name: assembly_arms.ladder_of(settings, name) for name in settings["arms"]})
    assembly.device_of(settings)
    examples = examples_of(task, settings)
    shards.check(len(examples))
    items = items_of(settings, models, examples)
    detecting.check(settings, task, models, items)
    affordable = equal_compute.bought(settings, task, models, items)
    equal_compute.refuse_unmatched(affordable, settings["budget"].get("mismatch"))
    folder = Path(settings["output"])
    with launch.locked(folder):
        for model in models.values():
            (refuse_another if shards.rank is None else trained_before)(model, settings, folder)
        describe(folder, settings, first=True)
        equal_compute.tell(affordable)
        disk.write(folder / "matching.json", json.dumps(equal_compute.plain(affordable), indent=1) + "\n")
        with mirrored(settings, task, models, folder) as mirror:
            log = metrics_log(folder, mirror)
            ready = {name: trained(model, task, settings, folder, log) for name, model in models.items()}
            asked = _asked(settings, task, ready, items)
            _tell_of_judges(settings, asked, folder)
            detecting.detected(settings, task, ready, asked, examples, folder, assembly.device_of(settings))
            with sharding.at_work(shards, asked, settings, asked_of) as others:
                for each in asked:
                    answered(each, settings, folder, others)
            for each in asked:
                timed(each, settings, folder)
            describe(folder, settings)
            keep_traces(folder, settings, {each.name: each.arm for each in asked}, items)
            report(folder)
            mirror.found(lambda: found_in(folder), folder)
    launch.say(f"report: {folder / 'report.html'}")
    return 0


def asked_of(settings: launch.Settings) -> tuple[launch.Settings, list["Asked"]]:
    """Every arm of an experiment whose models are trained.  Raises: BadInput where one is not."""
    from dlmreason import assembly

    task = assembly.task_of(settings)
    models = assembly.models_of(settings, task)
    ready = {name: trained_before(model, settings, Path(settings["output"])) for name, model in models.items()}
    return settings, _asked(settings, task, ready, items_of(settings, models, examples_of(task, settings)))


def _asked(
    settings: launch.Settings, task: Any, ready: Mapping[str, Any], items: Mapping[str, Sequence[Any]]
) -> list["Asked"]:
    from dlmreason import assembly
    from dlmreason.answering import Asked
    from dlmreason.assembly_arms import arm_of, policies_of, run_facts, run_key, run_parts

    policies, device = policies_of(settings), assembly.device_of(settings)
    asked = []
    for name in settings["arms"]:
        arm = arm_of(name, settings, task, ready, policies[name], device)
        parts = run_parts(name, settings, task, ready, device)
        asked.append(Asked(name, arm, task, run_key(parts), items[name], run_facts(parts, settings["seed"])))
    return asked


def _tell_of_judges(settings: launch.Settings, asked: Sequence["Asked"], folder: Path) -> None:
    """Says, before a large budget is spent on what a learned judge believes, how well that judge tells right from
    wrong."""
    from dlmreason.assembly_arms import ladder_of
    from dlmreason.evaluation.diffusion import DiffusionArm
    from dlmreason.policies.facts import facts_of

    for name, arm, *_ in asked:
        passes = ladder_of(settings, name)[-1]
        if passes <= LONG or not isinstance(arm, DiffusionArm) or "quality" not in facts_of(arm.policy).needs:
            continue
        area = measured(folder, settings["arms"][name]["model"], "held_out_state_auroc")
        if area is None:
            continue
        told = f"{name}: {passes:,} passes; its judge tells right held-out canvases from wrong with an area {area:.3f}"
        launch.say(told if area >= ENOUGH else f"{told}, and a long search finds what fools one below {ENOUGH}")


def _one_policy(settings: launch.Settings) -> launch.Settings:
    """With `policy=<name>` the diffusion model answers under that policy alone; the autoregressive arms stay."""
    policy = settings.get("policy")
    if not policy:
        return settings
    arms = settings["arms"]
    first = next((arm for arm in arms.values() if arm["kind"] == "diffusion"), None)
    if first is None:
        raise launch.BadInput(f"policy={policy['name']}: this experiment has no diffusion arm")
    kept = {name: arm for name, arm in arms.items() if arm["kind"] != "diffusion"}
    return settings | {
        "arms": {policy["name"]: first | {"policy": policy}} | kept,
        "primary": policy["name"],
        "family": None,
    }


def _check_family(settings: launch.Settings, ladders: Mapping[str, tuple[int, ...]]) -> None:
    """Refuses, before any compute, declared comparisons that these arms and budgets cannot make.

    An arm may report as several, `thought.vote` and others, whose names begin with its own.
    """
    for name in (name for pair in settings["family"] or () for name in pair):
        arm, _, rung = name.partition("@")
        ladder = next((each for own, each in ladders.items() if arm == own or arm.startswith(f"{own}.")), None)
        if ladder is None:
            raise launch.BadInput(
                f"family: {name}: no arm of this experiment, which has {', '.join(ladders)}; "
                "family=null declares nothing"
            )
        if rung and rung not in map(str, ladder):
            raise launch.BadInput(
                f"family: {name}: no budget of this ladder, {', '.join(map(str, ladder))}; family=null declares nothing"
            )


if __name__ == "__main__":
    sys.exit(launch.run(main, "experiment"))
