"""How often at least one of k tries is right: what a perfect judge could make of them.

This file decides the estimate and reads the two numbers that it needs, tries and right ones, off an oracle's records.
It knows no arm, no rule and no task. Coverage is an upper bound of every choice among the same tries, never a result.
"""

import math
from collections.abc import Iterable

from dlmreason.analysis.records import Record


def pass_at_k(tries: int, right: int, k: int) -> float:
    """The chance that k of `tries` tries, drawn without replacement, hold a right one [Codex, arXiv:2107.03374, eq. 1].

    Unbiased for the chance that k fresh tries do: 1 - C(tries - right, k) / C(tries, k), from whole numbers, so that it
    is rounded once.
    Raises: ValueError where there are fewer tries than k, or more right ones than tries.
    """
    if not 0 <= right <= tries:
        raise ValueError(f"right={right} of tries={tries}: give 0 to {tries}")
    if not 1 <= k <= tries:
        raise ValueError(f"k={k} of tries={tries}: give 1 to {tries}, or make more tries")
    every = math.comb(tries, k)
    return (every - math.comb(tries - right, k)) / every


def coverage(records: Iterable[Record], k: int) -> dict[str, float]:
    """By example, pass@k from each seed's record with the most tries, the mean over seeds.

    records: of one arm that asked the judge, whose events say `chains` and `right`; an example with fewer than k tries
    under a seed is left out of it.  Deviation: an arm's first chain is greedy, so that its tries are not all drawn
    alike; with many it weighs little.
    Raises: ValueError for records that do not say how many tries were right, or of several arms.
    """
    most: dict[tuple[str, int], tuple[int, int]] = {}
    arms = set()
    for record in records:
        arms.add(record.arm)
        if not {"chains", "right"} <= record.events.keys():
            raise ValueError(
                f"the record of arm {record.arm!r} and example {record.example!r} does not say how many of its tries "
                "were right: give those of an arm with oracle=true, which end in .oracle"
            )
        counted, point = (record.events["chains"], record.events["right"]), (record.example, record.seed)
        if counted[0] >= most.get(point, (0, 0))[0]:
            most[point] = counted
    if len(arms) > 1:
        raise ValueError(f"records of {len(arms)} arms, {', '.join(sorted(arms))}: give those of one")
    shares: dict[str, list[float]] = {}
    for (example, _), (tries, right) in most.items():
        if tries >= k:
            shares.setdefault(example, []).append(pass_at_k(tries, right, k))
    return {example: math.fsum(share) / len(share) for example, share in shares.items()}
