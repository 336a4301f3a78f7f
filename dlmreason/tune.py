"""The same number of tuning trials for every arm: `python -m dlmreason.tune experiment=<name> [overrides]`.

Trains what has no checkpoint, tries settings of each arm on the validation split, writes each trial down and the best
of each arm into tuning.yaml, which `experiment` takes as `tuned=<file>`. One idempotent, resumable job. This file
decides that the test split is not read, and when a trial was made before; what is tried is decided by `tuning`.
"""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from dlmreason import disk, launch, tuning
from dlmreason.evaluate import examples_of
from dlmreason.folder import describe, metrics_log
from dlmreason.launch_rules import shown
from dlmreason.own_tasks import items_of
from dlmreason.train import refuse_another, trained

SPLIT = "validation"


def main(settings: launch.Settings) -> int:
    """The entry point."""
    if not settings["models"] or not settings["arms"]:
        raise launch.BadInput("experiment: choose one, such as experiment=demo; `make experiments` lists them")
    refuse_settings(settings)
    import torch

    from dlmreason import assembly, assembly_arms, equal_compute

    torch.set_num_threads(settings["threads"])
    trials, seed = settings["tuning"]["trials"], settings["seed"]
    spaces = tuning.spaces_of(settings)
    choices = {arm: tuning.drawn(space, trials, seed) for arm, space in spaces.items()}
    task = assembly.task_of(settings)
    models = assembly.models_of(settings, task)
    rungs = {arm: assembly_arms.ladder_of(settings, arm)[-1] for arm in spaces}
    ways = {
        (arm, trial): tuning.with_choice(settings, arm, choice)
        for arm, given in choices.items()
        for trial, choice in enumerate(given)
    }
    policies = {way: assembly_arms.policies_of(each)[way[0]] for way, each in ways.items()}
    for each in ways.values():
        assembly_arms.check_arms(each, task, models)
    device = assembly.device_of(settings)
    examples = examples_of(task, settings)
    items = items_of(settings, models, examples)
    for bought in equal_compute.bought(settings, task, models, items).values():
        rung = rungs.get(bought.arm)
        if rung is not None and bought.cheapest > bought.flops(rung):
            raise launch.BadInput(
                f"budget.passes={rung}: {bought.flops(rung):,} FLOPs buy arm {bought.arm} no chain of any puzzle, the "
                f"cheapest takes {bought.cheapest:,}: all its trials would be wrong; give "
                f"{bought.first} passes or more, or leave it out with ~arms.{bought.arm}"
            )
    folder = Path(settings["output"])
    with launch.locked(folder):
        for model in models.values():
            refuse_another(model, settings, folder)
        describe(folder, settings, first=True)
        ready = {name: trained(model, task, settings, folder, metrics_log(folder)) for name, model in models.items()}
        keys = {
            way: assembly.digest(
                assembly_arms.run_key(assembly_arms.run_parts(way[0], each, task, ready, device)),
                rungs[way[0]],
                seed,
                [example.id for example in examples],
            )
            for way, each in ways.items()
        }
        made = _known(folder / "tuning.jsonl", keys)
        for (arm, trial), each in ways.items():
            if (arm, trial) in made:
                continue
            ready_arm = assembly_arms.arm_of(arm, each, task, ready, policies[arm, trial], device)
            label = f"{arm}, trial {trial + 1} of {trials}"
            with launch.refused(f"tuning.space.{arm}", *_bad_moves()):
                numbers = tried(ready_arm, task, items[arm], rungs[arm], seed, label)
            made[arm, trial] = _write(
                folder, arm, trial, choices[arm][trial], task, rungs[arm], seed, numbers, keys[arm, trial]
            )
        found = {arm: tuning.best([made[arm, trial] for trial in range(trials)]) for arm in spaces}
        _choose(folder / "tuning.yaml", found, settings, len(examples))
    return 0


def refuse_settings(settings: Mapping[str, Any]) -> None:
    """Raises: BadInput where a test puzzle would be read, or the arms are not the experiment's own."""
    split = settings["budget"]["split"]
    if split != SPLIT:
        raise launch.BadInput(f"budget.split={split}: tuning reads the validation split and no other: leave it out")
    for key in ("policy", "tuned"):
        if settings.get(key):
            raise launch.BadInput(f"{key}: tuning tries settings of the experiment's own arms: leave {key} out")
    shards = settings["budget"].get("shards", 1)
    if shards > 1:
        raise launch.BadInput(f"budget.shards={shards}: tuning is done by one process: leave it out")


def tried(arm: Any, task: Any, examples: Sequence[Any], rung: int, seed: int, label: str) -> tuple[int, int, float]:
    """(examples, right answers, mean FLOPs of an example) of an arm at one budget, its first rule where it has several.

    An example that the budget buys no answer to is wrong.
    """
    from dlmreason.progress import Progress

    right, flops = 0, 0
    with Progress(len(examples), label, "examples") as progress:
        for done, group in enumerate(arm.attempts(examples, (rung,), seed), 1):
            attempt = next((each for each in group if each.variant == arm.variants[0]), None)
            if attempt is not None:
                right += task.verify(attempt.example, attempt.answer).correct
                flops += attempt.flops
            progress.advance(note=f"{right} of {done} right")
    return len(examples), right, flops / len(examples)


def _bad_moves() -> tuple[type[Exception], ...]:
    from dlmreason.sampling.guard import BadMove

    return (BadMove,)


def _known(path: Path, keys: Mapping[tuple[str, int], str]) -> dict[tuple[str, int], Any]:
    """The trials that were made before. Raises: BadInput where one of them was of another tuning."""
    from dlmreason.analysis.records import Trial, read

    found = {(each.arm, each.trial): each for each in read(path, Trial).items} if path.exists() else {}
    for way, each in found.items():
        if way in keys and each.run_key != keys[way]:
            raise launch.BadInput(
                f"{path}: trial {each.trial} of arm {each.arm} was of other settings, weights, puzzles or budget: give "
                "another name= or output=, or remove the file"
            )
    return {way: each for way, each in found.items() if way in keys}


def _write(
    folder: Path,
    arm: str,
    trial: int,
    choice: Mapping[str, Any],
    task: Any,
    rung: int,
    seed: int,
    numbers: tuple[int, int, float],
    key: str,
) -> Any:
    from dlmreason.analysis.records import Trial, Writer
    from dlmreason.analysis.statistics import wilson

    examples, right, flops = numbers
    low, high = wilson(right, examples)
    line = Trial(
        arm=arm,
        trial=trial,
        settings=dict(choice),
        task=task.name,
        split=SPLIT,
        examples=examples,
        rung=rung,
        seed=seed,
        correct=right,
        accuracy=right / examples,
        low=low,
        high=high,
        flops=flops,
        run_key=key,
    )
    with Writer(folder / "tuning.jsonl", launch.say) as writer:
        writer.append(line)
    return line


def _choose(path: Path, found: Mapping[str, Any], settings: Mapping[str, Any], examples: int) -> None:
    """Writes the best of each arm as settings, and prints them as overrides."""
    import yaml

    content = {
        "rule": tuning.RULE,
        "split": SPLIT,
        "examples": examples,
        "rungs": {arm: each.rung for arm, each in found.items()},
        "trials": settings["tuning"]["trials"],
        "seed": settings["seed"],
        "accuracy": {arm: each.accuracy for arm, each in found.items()},
        "arms": {arm: tuning.nested(found[arm].settings) if arm in found else {} for arm in settings["arms"]},
    }
    disk.write(path, yaml.safe_dump(content, sort_keys=False, allow_unicode=True))
    for arm, each in found.items():
        launch.say(
            f"{arm}: trial {each.trial + 1} of {content['trials']}, {each.correct} of {each.examples} right, "
            f"{each.flops:.2e} FLOPs each"
        )
        for key, value in each.settings.items():
            print(f"arms.{arm}.{key}={shown(value)}")
    launch.say(f"take them over with: tuned={path}")


if __name__ == "__main__":
    sys.exit(launch.run(main, "tune"))
