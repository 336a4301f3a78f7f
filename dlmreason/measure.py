"""A claim that measures instead of answering: what `python -m dlmreason.experiment experiment=<name>` does where the
experiment has a `measure`.

Times whole answers of both arms in turns and writes a row of each into speeds.jsonl, which is all that its table and
figure are made of. A row that is there is not measured again, so an interrupted run goes on, and a finished one does
nothing. This file decides what is refused and what names a run; it times nothing.
"""

import json
from pathlib import Path
from typing import TYPE_CHECKING

from dlmreason import disk, launch
from dlmreason.speed_report import speeds_of, tell

if TYPE_CHECKING:
    from dlmreason.measuring.rounds import Plan


def measure(settings: launch.Settings) -> int:
    """The rest of the entry point.  Raises: BadInput."""
    import torch

    from dlmreason import assembly
    from dlmreason.analysis.records import Speed, Writer, read
    from dlmreason.folder import changed, describe
    from dlmreason.measuring.rounds import measured

    settings = settings | {"task": None}  # none is asked
    torch.set_num_threads(settings["threads"])
    plan, device = plan_of(settings), assembly.device_of(settings)
    with launch.refused("measure", ValueError):
        plan.works(device)
    asked = {name: value for name, value in settings["measure"].items() if name != "rounds"}  # more may be added
    key = assembly.digest(asked, settings["network"], settings["threads"], device.type, torch.__version__)
    folder = Path(settings["output"])
    path = speeds_of(folder)
    with launch.locked(folder):
        known = read(path, Speed).items if path.exists() else []
        if any(row.run_key != key for row in known):
            raise launch.BadInput(
                f"output={folder}: holds speeds of other settings or another torch, and seconds are compared within "
                f"one run ({changed(folder, settings)}): choose another with name= or output="
            )
        describe(folder, settings, first=True)
        run = disk.object_in(folder / "run.json") | {"against": settings["measure"]["against"]}
        disk.write(folder / "run.json", json.dumps(run, indent=1) + "\n")
        with Writer(path, launch.say) as writer:
            for rows in measured(plan, known, device, key, launch.say):
                writer.append_many(rows)
        tell(folder)
    launch.say(f"table: {folder / 'table.md'}")
    return 0


def plan_of(settings: launch.Settings) -> "Plan":
    """What the settings have measured.  Raises: BadInput."""
    from dlmreason.measuring.rounds import Plan
    from dlmreason.measuring.works import Sizes

    given, network = settings["measure"], settings["network"]
    arms = launch.instantiate(given["arms"], "measure.arms", settings["trusted"])
    if given["against"] not in arms:
        raise launch.BadInput(f"measure.against={given['against']}: must be one of measure.arms: {', '.join(arms)}")
    sizes = Sizes(given["symbols"], *(network[name] for name in Sizes._fields[1:]))
    numbers = {name: given[name] for name in ("axis", "values", "other", "batches", "rounds", "longest", "clock")}
    return Plan(arms=arms, sizes=sizes, **numbers)
