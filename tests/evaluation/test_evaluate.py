"""Laws of the bookkeeping: what is still to be answered, what is judged, what is written once."""

from pathlib import Path

import pytest

from dlmreason.analysis.records import Record, Writer, read
from dlmreason.evaluation.attempt import ANSWER, LAST, Attempt
from dlmreason.evaluation.evaluate import Plan, belongs, evaluate, to_records, unaffordable, unfinished
from tests.evaluation.tiny import graphs

TASK = graphs(3)
EXAMPLES = list(TASK.examples("test"))
PLAN = Plan("arm", TASK, "test", EXAMPLES, (1, 2, 4), 0, "key", (ANSWER, LAST), every_rung=True)
CHAINS = PLAN._replace(variants=("vote", "quality"), every_rung=False)


def attempt(number: int, rung: int, variant: str = ANSWER, answer: str | None = None) -> Attempt:
    example = EXAMPLES[number]
    said = example.answer if answer is None else answer
    return Attempt(example, variant, rung, said, rung, rung, rung, 10 * rung, {}, None, False)


def all_of(plan: Plan, lowest: int = 1) -> list[Record]:
    groups = [
        [attempt(number, rung, variant) for rung in plan.ladder if rung >= lowest for variant in plan.variants]
        for number in range(3)
    ]
    return [record for group in groups for record in to_records(plan, group)]


@pytest.mark.parametrize(("plan", "lowest"), [(PLAN, 1), (CHAINS, 1), (CHAINS, 2), (CHAINS, 4)])
def test_nothing_is_left_when_every_affordable_point_is_there(plan: Plan, lowest: int) -> None:
    records = all_of(plan, lowest)
    assert unfinished(plan, records, {}) == []
    assert unaffordable(plan, records) == []


@pytest.mark.parametrize(("plan", "lowest"), [(PLAN, 1), (CHAINS, 2)])
def test_one_missing_line_anywhere_makes_its_example_unfinished(plan: Plan, lowest: int) -> None:
    records = all_of(plan, lowest)
    for lost in records:
        rest = [record for record in records if record is not lost]
        assert [example.id for example in unfinished(plan, rest, {})] == [lost.example]


def test_where_rungs_may_be_left_out_only_the_top_tells() -> None:
    records = [record for record in all_of(CHAINS) if record.example != EXAMPLES[1].id]
    assert unfinished(CHAINS, records, {}) == [EXAMPLES[1]]
    assert unaffordable(CHAINS, records) == [EXAMPLES[1].id]
    assert unfinished(CHAINS, records, {EXAMPLES[1].id: 4}) == []
    assert unfinished(CHAINS, records, {EXAMPLES[1].id: 2}) == [EXAMPLES[1]]
    longer = CHAINS._replace(ladder=(1, 2, 4, 8))
    assert unfinished(longer, records, {EXAMPLES[1].id: 4}) == EXAMPLES


def test_records_of_others_do_not_count() -> None:
    records = all_of(PLAN)
    for other in (PLAN._replace(arm="ar"), PLAN._replace(arm="arms"), PLAN._replace(seed=1)):
        assert unfinished(other, records, {}) == EXAMPLES
    assert [belongs(record, "arm") for record in records] == [True] * len(records)
    assert {record.arm for record in records} == {"arm", "arm.last"}


def test_records_of_another_run_are_refused() -> None:
    with pytest.raises(ValueError, match=r"records of arm 'arm' are of run key, and this is run other"):
        unfinished(PLAN._replace(run_key="other"), all_of(PLAN), {})


def test_the_task_alone_judges() -> None:
    right, wrong = to_records(PLAN, [attempt(0, 1), attempt(0, 2, answer="1 1 1")])
    assert (right.correct, right.reason) == (True, "")
    assert not wrong.correct and wrong.reason
    assert (right.arm, right.task, right.split, right.difficulty) == ("arm", "star_graph_2x3", "test", 203)


def test_what_is_known_is_not_written_again(tmp_path: Path) -> None:
    path, told = tmp_path / "records.jsonl", []
    groups = [[attempt(number, rung) for rung in (1, 4)] for number in range(3)]
    with Writer(path) as writer:
        known = to_records(PLAN, groups[1][:1])
        writer.append_many(known)
        evaluate(PLAN, iter([*groups, []]), writer, known, lambda done, right: told.append((done, right)))
    found = read(path, Record).items
    assert sorted(record.point for record in found) == sorted({record.point for record in found})
    assert len(found) == 6
    assert told == [(1, 1), (2, 2), (3, 3), (4, 3)]


def test_an_example_is_on_the_disk_before_the_next_is_begun(tmp_path: Path) -> None:
    path = tmp_path / "records.jsonl"

    def groups():  # type: ignore[no-untyped-def]
        for number in range(3):
            assert len(read(path, Record).items) == number
            yield [attempt(number, 1)]

    with Writer(path) as writer:
        evaluate(PLAN, groups(), writer)
