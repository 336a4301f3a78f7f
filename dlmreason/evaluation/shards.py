"""Which examples of an evaluation belong to which shard, and how what the shards recorded becomes one.

This file decides that an example belongs to one shard by its id alone, in what order records of several shards are
written, and what is refused on the way. It knows no process, no file and no kind of arm.
"""

from collections.abc import Iterable, Mapping, Sequence

from dlmreason.analysis.records import Record
from dlmreason.evaluation.attempt import noise_id
from dlmreason.evaluation.evaluate import Plan, record_name, unfinished


def shard_of(task: str, example: str, count: int) -> int:
    """Which of `count` shards, from 0, an example is of. More examples, or other ones, move none."""
    return noise_id(task, example) % count


def share(plan: Plan, number: int, count: int) -> Plan:
    """The part of a plan that is shard `number`'s of `count`, examples in the plan's order; it may have none."""
    own = [example for example in plan.examples if shard_of(plan.task.name, example.id, count) == number]
    return plan._replace(examples=own)


def merged(
    plan: Plan, known: Iterable[Record], shares: Sequence[Iterable[Record]], beyond: Mapping[str, int]
) -> list[Record]:
    """What the shards recorded and is not `known`: examples in the plan's order, then rungs, then variants.

    So the order tells neither how many shards there were nor which was first. shares: all that each shard has, what
    was known before it began included.  beyond: as in `unfinished`.

    Examples that are not of the plan, of an earlier and larger one, come last.

    Raises: ValueError that names an example which is lost, recorded twice or in two ways, or in a share that is not its
    own.
    """
    before = {record.point: record for record in known}
    places = {example.id: place for place, example in enumerate(plan.examples)}
    variants = {record_name(plan.arm, variant): place for place, variant in enumerate(plan.variants)}
    found: dict[tuple[str, int, str, int], Record] = {}
    for number, records in enumerate(shares):
        for record in records:
            own = shard_of(plan.task.name, record.example, len(shares))
            if own != number:
                raise ValueError(
                    f"example {record.example} is recorded by shard {number + 1}, and belongs to shard {own + 1}"
                )
            if record.point in found:
                raise ValueError(f"example {record.example} is recorded twice at rung {record.rung}")
            if before.get(record.point, record) != record:
                raise ValueError(f"example {record.example} is recorded in two ways at rung {record.rung}")
            found[record.point] = record
    lost = unfinished(plan, [*before.values(), *found.values()], beyond)
    if lost:
        raise ValueError(f"no shard has answered example {', '.join(example.id for example in lost)}")

    def place(record: Record) -> tuple[int, str, int, int]:
        return places.get(record.example, len(places)), record.example, record.rung, variants[record.arm]

    return sorted((record for point, record in found.items() if point not in before), key=place)
