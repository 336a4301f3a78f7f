"""Run an arm over examples and a ladder, judge what it answers, and write it down.

This file decides what is still to do, and that a line is on the disk before the next example's; it knows no kind of
arm. What is recorded is deterministic; seconds go into timings.
"""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import product
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
    variants: Sequence[str]  # of each answer, see `attempt`
    every_rung: bool  # False: the arm leaves out the lowest rungs, where they do not buy it an answer


def record_name(arm: str, variant: str) -> str:
    """The arm's name in the records: a variant of an answer is an arm beside it."""
    return arm if variant == ANSWER else f"{arm}.{variant}"


def belongs(record: Record, arm: str) -> bool:
    """Whether a record is of this arm or of one of its variants."""
    return record.arm == arm or record.arm.startswith(f"{arm}.")


def unfinished(plan: Plan, records: Iterable[Record], beyond: Mapping[str, int]) -> list[Example]:
    """The examples of which a record is missing, be it one in the middle.

    beyond: by example, the highest rung that is known not to buy the arm an answer.

    Raises: ValueError where a record of this arm and seed has another run key: it is of another model or setting.
    """
    have: dict[str, set[tuple[str, int]]] = {}
    for record in records:
        if belongs(record, plan.arm) and record.seed == plan.seed:
            if record.run_key != plan.run_key:
                raise ValueError(
                    f"the records of arm {plan.arm!r} are of run {record.run_key}, and this is run {plan.run_key}: its "
                    "weights, policy or settings have changed; give another name= or output=, or remove the records"
                )
            have.setdefault(record.example, set()).add((record.arm, record.rung))
    names = [record_name(plan.arm, variant) for variant in plan.variants]

    def missing(example: Example) -> bool:
        there = have.get(example.id, set())
        lowest = min((rung for _, rung in there), default=plan.ladder[-1])
        wanted = [rung for rung in plan.ladder if plan.every_rung or rung >= lowest]
        return beyond.get(example.id, 0) < plan.ladder[-1] and not there.issuperset(product(names, wanted))

    return [example for example in plan.examples if missing(example)]


def unaffordable(plan: Plan, records: Iterable[Record]) -> list[str]:
    """Of examples that were all attempted, those whose highest rung did not buy an answer."""
    mine = [record for record in records if belongs(record, plan.arm) and record.seed == plan.seed]
    have = {record.example for record in mine if record.rung == plan.ladder[-1]}
    return [example.id for example in plan.examples if example.id not in have]


def to_records(plan: Plan, attempts: Iterable[Attempt]) -> list[Record]:
    """Attempts at one example, judged."""
    verdicts: dict[str, tuple[Any, Any]] = {}
    paper_judge = getattr(plan.task, "paper_compat", lambda example, answer: None)
    records = []
    for attempt in attempts:
        asked = attempt.example, attempt.answer
        if attempt.answer not in verdicts:
            verdicts[attempt.answer] = plan.task.verify(*asked), paper_judge(*asked)
        verdict, paper = verdicts[attempt.answer]
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
                paper_correct=None if paper is None else paper.correct,
                thought=attempt.thought,
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
    right = 0
    started = time.monotonic()
    for done, group in enumerate(attempts, 1):
        records = to_records(plan, group)
        writer.append_many(record for record in records if record.point not in have)
        # Of several rules an arm's first; of an answer and its companion the answer.
        right += next((record.correct for record in records if record.rung == plan.ladder[-1]), False)
        if on_example is not None:
            on_example(done, right)
    return time.monotonic() - started
