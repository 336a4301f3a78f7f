"""Run an arm over examples and a ladder, judge what it answers, and write it down.

This file decides what is still to do, and that a line is on the disk before the next example's; it knows no kind of arm. What
is recorded is deterministic; seconds go into timings.
"""

import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

from dlmreason.analysis.records import Record, Writer
from dlmreason.evaluation.attempt import ANSWER, Attempt, Example, Task


class Plan(NamedTuple):
    """What one evaluation is of."""

    arm: str
    task: Task
    split: str
    examples: Sequence[Example]
    ladder: tuple[int, ...]
    seed: int
    run_key: str


class Point(NamedTuple):
    """Where a record stands."""

    example: str
    rung: int


def record_name(arm: str, variant: str) -> str:
    """The arm's name in the records: a variant of an answer is an arm beside it."""
    return arm if variant == ANSWER else f"{arm}.{variant}"


def belongs(record: Record, arm: str) -> bool:
    """Whether a record is of this arm or of one of its variants."""
    return record.arm == arm or record.arm.startswith(f"{arm}.")


def unfinished(plan: Plan, records: Iterable[Record]) -> list[Example]:
    """The examples of which a rung is missing.

    An arm leaves out rungs that it cannot afford, so a rung is missing where another example has it or where nobody has the
    ladder's last.

    Raises: ValueError where a record of this arm and seed has another run key: it is of another model or setting.
    """
    have: dict[str, set[int]] = {}
    for record in records:
        if belongs(record, plan.arm) and record.seed == plan.seed:
            if record.run_key != plan.run_key:
                raise ValueError(
                    f"the records of arm {plan.arm!r} are of run {record.run_key}, and this is run {plan.run_key}: its "
                    "weights, policy or settings have changed; give another name= or output=, or remove the records"
                )
            have.setdefault(record.example, set()).add(record.rung)
    top = plan.ladder[-1]
    return [example for example in plan.examples if top not in have.get(example.id, set())]


def to_records(plan: Plan, attempts: Iterable[Attempt]) -> list[Record]:
    """Attempts at one example, judged."""
    verdicts: dict[str, Any] = {}
    records = []
    for attempt in attempts:
        verdict = verdicts.get(attempt.answer)
        if verdict is None:
            verdict = verdicts[attempt.answer] = plan.task.verify(attempt.example, attempt.answer)
        records.append(
            Record(
                arm=record_name(plan.arm, attempt.variant),
                task=plan.task.name,
                split=plan.split,
                example=attempt.example.id,
                difficulty=attempt.example.difficulty,
                rung=attempt.rung,
                seed=plan.seed,
                answer=attempt.answer,
                correct=verdict.correct,
                reason=verdict.reason,
                nfe=attempt.nfe,
                scheduled_passes=attempt.scheduled_passes,
                sequential_depth=attempt.sequential_depth,
                flops=attempt.flops,
                events=attempt.events,
                run_key=plan.run_key,
                score=attempt.score,
                settled=attempt.settled,
            )
        )
    return records


def evaluate(
    plan: Plan,
    attempts: Iterable[list[Attempt]],
    writer: Writer,
    known: Iterable[Record] = (),
    on_example: Callable[[int, int], None] | None = None,
) -> float:
    """Judge and write every attempt that is not known already. Returns the seconds that the arm took.

    on_example: told (examples done, right at their last rung) after each.
    """
    have = {record.point for record in known}
    done = right = 0
    started = time.monotonic()
    for group in attempts:
        records = to_records(plan, group)
        writer.append_many(record for record in records if record.point not in have)
        done += 1
        right += bool(records) and records[-1].correct
        if on_example is not None:
            on_example(done, right)
    return time.monotonic() - started
