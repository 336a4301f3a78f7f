"""What the trace player is given of a puzzle: its canvases, what they cost, and what other arms said at that cost.

This file decides which puzzles are told in which order, from which pass on a story has gaps, and what of an arm that
makes no passes can be shown beside one that does. Of its chains a record keeps the answer that was chosen and what had
been spent; the player brings that text forward as the FLOPs between two budgets are spent, and says so.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields
from typing import Any

from dlmreason.analysis import revisions
from dlmreason.analysis.records import Record, Trace


def traces(records: Sequence[Record], found: Sequence[Trace], events: int | None = None) -> Iterator[dict[str, Any]]:
    """Each trace with the rule that chose its puzzle, in the order of the rules. events: `budget.trace_events`."""
    order = list(revisions.RULES)
    named = []
    for trace in found:
        choices = revisions.choose(records, trace.arm).choices
        rule = next((each.rule for each in choices if (each.example, each.seed) == (trace.example, trace.seed)), None)
        reason = f"{revisions.RULES[rule]}: " if rule else ""
        named.append((order.index(rule) if rule else len(order), rule or "puzzle", reason, trace))
    for _, rule, reason, trace in sorted(named, key=lambda each: each[0]):
        alone = rule != "puzzle" and sum(each[1] == rule for each in named) == 1
        name = rule if alone else f"{rule} · {trace.arm} · {trace.example}"
        about = f"{reason}puzzle {trace.example}, seed {trace.seed}, arm {trace.arm}."
        own = [each for each in records if (each.example, each.seed) == (trace.example, trace.seed)]
        plain = {each.name: getattr(trace, each.name) for each in fields(trace)}
        yield plain | {
            "frames": [_packed(frame) for frame in trace.frames],
            "answers": [_packed(answer) for answer in trace.answers],
            "name": name,
            "about": about[0].upper() + about[1:],
            "thinned": None if events is None else thinned(trace, events),
            "clock": clock(own, trace.arm),
            "chains": chains(own),
        }


def thinned(trace: Trace, events: int) -> int | None:
    """The pass after which a story of so many changes leaves out passes; None where it tells every one.

    Up to half of its changes every pass is told, later ones at ever lower rates; answers count as changes too.
    """
    changes: dict[int, int] = {}
    for each in (*trace.frames, *trace.answers):
        changes[each["pass"]] = changes.get(each["pass"], 0) + len(each["changes"])
    had = 0
    for passes in sorted(changes):
        had += changes[passes]
        if had >= events // 2:
            return passes
    return None


def clock(own: Sequence[Record], arm: str) -> list[list[int]]:
    """What an arm's passes on a puzzle had cost: `[passes made, FLOPs]` by budget, ascending. own: of one puzzle."""
    spent = {each.nfe: each.flops for each in own if each.arm == arm}
    return [[passes, flops] for passes, flops in sorted(spent.items())]


def chains(own: Sequence[Record]) -> dict[str, list[list[Any]]]:
    """Of each arm that writes chains: `[FLOPs, answer, right, chains, tokens]` by budget, ascending."""
    found: dict[str, list[list[Any]]] = {}
    for each in sorted((each for each in own if "chains" in each.events), key=lambda each: each.flops):
        step = [each.flops, each.answer, each.correct, each.events["chains"], each.nfe]
        found.setdefault(each.arm, []).append(step)
    return found


def _packed(frame: Mapping[str, Any]) -> list[Any]:
    """`[pass, [position, token, ...], quality, score]` without the nulls at its end: most frames have nothing more."""
    packed = [
        frame["pass"],
        [each for change in frame["changes"] for each in change],
        frame.get("quality"),
        frame.get("score"),
    ]
    while packed[-1] is None:
        packed.pop()
    return packed
