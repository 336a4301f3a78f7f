"""The turns: each work once a round and once before, whoever was interrupted; what would take too long is not begun."""

import time
from collections import Counter
from typing import Any

import pytest
import torch

from dlmreason.analysis.records import Speed
from dlmreason.measuring.rounds import Plan, measured
from dlmreason.measuring.works import Sizes, Work

torch.set_num_threads(1)
CPU = torch.device("cpu")


class Told:
    """An arm that keeps a list of what was done, in order."""

    def __init__(self, name: str, done: list[Any], flops: int = 1) -> None:
        self.name, self.done, self.flops = name, done, flops

    def work(self, sizes: Sizes, context: int, answer: int, batch: int, device: torch.device) -> Work:
        told = self.name, context, answer, batch
        return Work("pass", answer, self.flops, lambda: lambda: self.done.append(told))


def plan_of(done: list[Any], rounds: int = 3, **arms: Any) -> Plan:
    own = {name: Told(name, done) for name in ("one", "two", "three")} | arms
    return Plan(own, "answer", [2, 5], 7, [1, 4], rounds, 1.0, Sizes(4, 1, 8, 1))


def rows_of(plan: Plan, known: list[Speed] | None = None) -> list[list[Speed]]:
    return list(measured(plan, known or [], CPU, "key", lambda line: None))


def test_a_round_has_every_place_once_and_arms_take_turns() -> None:
    done: list[Any] = []
    groups = rows_of(plan_of(done))
    rows = [row for group in groups for row in group]
    points = Counter((row.arm, row.at, row.batch, row.round) for row in rows)
    assert set(points.values()) == {1} and len(points) == 3 * (2 * 3 + 3 * 2 * 2)
    assert [row.round for row in rows] == sorted(row.round for row in rows)
    assert set(Counter(done).values()) == {4}, "three rounds, and once before"
    assert {told[1:] for told in done} == {(7, at, batch) for at in (2, 5) for batch in (1, 4)}
    first = [group[0].arm for group in groups if group[0].at]
    assert set(first) == {"one", "two", "three"}
    assert all({row.at for row in group} == {0} for group in groups[:2]), "yardsticks first, of both batches"
    assert all(row.seconds is not None and row.seconds >= 0 for row in rows)


@pytest.mark.parametrize("kept", [0, 1, 5, 17, 25, 53])
def test_an_interrupted_run_does_what_is_missing_and_no_more(kept: int) -> None:
    whole = [row for group in rows_of(plan_of([])) for row in group]
    done: list[Any] = []
    rest = [row for group in rows_of(plan_of(done), whole[:kept]) for row in group]

    def point(row: Speed) -> tuple[Any, ...]:
        return row.arm, row.at, row.batch, row.round

    assert sorted(map(point, whole[:kept] + rest)) == sorted(map(point, whole))
    again = sum(row.at > 0 for row in rest)
    assert len(done) == again + len({point(row)[:3] for row in rest if row.at})
    assert rows_of(plan_of([]), whole) == []


def test_more_rounds_are_added_to_those_that_are_there() -> None:
    few = [row for group in rows_of(plan_of([], rounds=1)) for row in group]
    more = [row for group in rows_of(plan_of([], rounds=2), few) for row in group]
    assert {row.round for row in more} == {1} and len(more) == len(few)


def test_what_is_foretold_to_take_too_long_is_never_begun_and_said_once() -> None:
    done: list[Any] = []
    endless = Told("endless", done, flops=10**18)
    groups = rows_of(plan_of(done, endless=endless))
    left = [row for group in groups for row in group if row.arm == "endless"]
    assert {(row.seconds, row.round) for row in left} == {(None, 0)} and len(left) == 4
    assert not [told for told in done if told[0] == "endless"]
    known = [row for group in groups for row in group]
    assert rows_of(plan_of(done, endless=endless), known) == []


def test_the_processor_clock_stands_still_while_nobody_works() -> None:
    class Sleeper:
        def work(self, *args: Any) -> Work:
            return Work("pass", 1, 1, lambda: lambda: time.sleep(0.05))

    for clock, least, most in (("wall", 0.05, 9.0), ("processor", 0.0, 0.04)):
        plan = Plan({"sleeper": Sleeper()}, "answer", [1], 1, [1], 1, 9.0, Sizes(4, 1, 8, 1), clock)
        (row,) = [row for group in rows_of(plan) for row in group if row.arm == "sleeper"]
        assert row.seconds is not None and least <= row.seconds < most and row.clock == clock
    two = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        with pytest.raises(ValueError, match="processor is for one thread of a CPU: this is cpu, 2 threads"):
            plan.works(CPU)
    finally:
        torch.set_num_threads(two)


def test_an_axis_that_is_none_is_refused() -> None:
    with pytest.raises(ValueError, match="axis=width must be one of answer, context"):
        Plan({}, "width", [1], 1, [1], 1, 1.0, Sizes(4, 1, 8, 1)).works(CPU)
