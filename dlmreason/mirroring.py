"""The W&B mirror of a run, with what it has to know of the run's models and machine.

This file decides what an update is worth, and that the yardstick of its speed is measured once for each output folder,
where it is kept: what is logged later is held against the same.
"""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from dlmreason import disk, launch
from dlmreason.reports.findable import findable
from dlmreason.reports.mirror import Mirror
from dlmreason.reports.series import Work

MACHINE = "machine.json"
PRODUCT = "matrix_product_flops_per_second"


@contextmanager
def mirrored(settings: Mapping[str, Any], task: Any, models: Mapping[str, Any], folder: Path) -> Iterator[Mirror]:
    """The mirror that the settings ask for; its run ends with the block, well where that did.

    models: of `assembly.Model`, those to be trained, by which their speed is told.
    """
    logger, product = settings["logger"], None
    if models and logger["mode"] != "disabled":
        try:
            product = _product(settings, folder)
        except (OSError, RuntimeError) as error:  # no memory, no disk: what is not known is not logged
            launch.say(f"how fast a matrix product is here could not be measured, so no mfu is logged ({error})")
    work = {name: Work(each.trainer.batch_size, each.flops() / each.updates, product) for name, each in models.items()}
    named = findable(settings, task.name)
    mirror = Mirror(logger["mode"], project=logger["project"], **named, folder=folder, config=settings, work=work)
    code = 1
    try:
        yield mirror
        code = 0
    finally:
        mirror.finish(code)


def _product(settings: Mapping[str, Any], folder: Path) -> float:
    """Of the device, threads and precision of these settings, measured now where the folder holds none of them."""
    import torch

    from dlmreason import assembly
    from dlmreason.compute.product import product_flops

    device, path = assembly.device_of(settings), folder / MACHINE
    precision = str(settings["trainer"]["precision"])
    known, asked = (
        disk.object_in(path),
        {"device": device.type, "threads": torch.get_num_threads(), "precision": precision},
    )
    if asked.items() <= known.items() and PRODUCT in known:
        return float(known[PRODUCT])
    flops = product_flops(device, torch.bfloat16 if precision.startswith("bf16") else torch.float32)
    disk.write(path, json.dumps(asked | {PRODUCT: flops}, indent=1) + "\n")
    return flops
