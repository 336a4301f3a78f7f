"""How an arm's walks went, of what was counted on each: when tokens became what they stayed, and whether they swing.

This file decides which shares are quoted of the counts. It knows no canvas and no policy.
"""

from collections.abc import Iterable
from typing import Any

import numpy as np

from dlmreason.analysis.records import Counted

SHARES = (0.1, 0.25, 0.5, 0.75, 0.9, 1.0)
"""Of the tokens that were written: by which pass so many had become what they stayed."""
SWINGS = 2
"""A token that was changed so often went to and fro, or on and on."""


def walks(counted: Iterable[Counted]) -> dict[str, dict[str, Any]]:
    """By arm, of its walks to their highest budget, in the order of the lines.

    commits: {share of the tokens written: the pass after which they changed no more}.  swung: share of editable tokens
    changed twice or more.  cycling: share of walks in a cycle.  ended: shares by how they ended.
    """
    found: dict[str, list[Counted]] = {}
    for each in counted:
        found.setdefault(each.arm, []).append(each)
    return {arm: _of([each for each in own if each.rung == max(one.rung for one in own)]) for arm, own in found.items()}


def _of(own: list[Counted]) -> dict[str, Any]:
    def every(name: str) -> Any:
        return np.concatenate([np.asarray(getattr(each, name), dtype=np.int64) for each in own])

    commit, changed = every("commit"), every("flipped")
    written = np.sort(commit[commit >= 0])
    ended = [each.ended for each in own]
    return {
        "rung": own[0].rung,
        "n": len(own),
        "tokens": len(commit),
        "commits": {
            share: int(written[max(0, int(np.ceil(share * len(written))) - 1)]) for share in SHARES if len(written)
        },
        "swung": float((changed >= SWINGS).mean()) if len(changed) else 0.0,
        "cycling": sum(each.period is not None for each in own) / len(own),
        "ended": {how: ended.count(how) / len(own) for how in dict.fromkeys(sorted(ended))},
    }
