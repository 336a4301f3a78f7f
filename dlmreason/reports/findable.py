"""What a run is called in W&B, so that the runs of a claim are found together.

This file decides names, groups, job types and tags. It knows settings, and neither W&B nor what a run does.
"""

import re
from collections.abc import Mapping
from typing import Any

LONGEST_TAG = 64
"""Characters of a tag that W&B takes."""


def findable(settings: Mapping[str, Any], task: str | None = None) -> dict[str, Any]:
    """`name`, `group`, `job_type` and `tags` of a run.

    task: the task's own name.  The job is what it did, by `job_of`.  The group is `logger.group`, or
    the claim: all seeds of `demo` and of `demo_1`, `demo-1` and so on are its runs. Tags are the person's own, the
    claim, the task and the seed.
    """
    logger, name = settings.get("logger") or {}, str(settings["name"])
    claim = claim_of(name, settings.get("seed"))
    own = [str(tag) for tag in logger.get("tags") or ()]
    found = [*own, claim, task, f"seed-{settings['seed']}" if "seed" in settings else None]
    tags = list(dict.fromkeys(tag[:LONGEST_TAG] for tag in found if tag))
    return {"name": name, "group": logger.get("group") or claim, "job_type": job_of(settings), "tags": tags}


def job_of(settings: Mapping[str, Any]) -> str:
    """The entry point that settings are of: one that trains is given a model, one that asks a checkpoint."""
    return "evaluate" if "checkpoint" in settings else "train" if "model" in settings else "experiment"


def claim_of(name: str, seed: int | None) -> str:
    """The name without the seed at its end: `demo_1` and `demo-seed1` of seed 1 are runs of `demo`."""
    return re.sub(rf"[-_.](?:seed)?[-_.]?{seed}$", "", name) or name
