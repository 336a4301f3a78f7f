"""Laws of a divided evaluation: each example is of one shard, and what shards record is what one process records."""

from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dlmreason.analysis.records import Record, Writer, encode, read
from dlmreason.diffusion.schedules import Linear
from dlmreason.evaluation.diffusion import DiffusionArm
from dlmreason.evaluation.evaluate import Plan, evaluate, unaffordable
from dlmreason.evaluation.searching import BeamSearch, PowerSampling
from dlmreason.evaluation.shards import merged, shard_of, share
from dlmreason.policies.posterior import Cap, Posterior
from dlmreason.policies.presets import change_of_mind, ordered
from tests.evaluation.tiny import LADDER, autoregressive, diffusion, graphs, sudoku, words

ARMS = {
    "one trajectory": lambda: diffusion(sudoku(), change_of_mind(doubt=2, patience=2)),
    "settles early": lambda: diffusion(sudoku(), change_of_mind(doubt=3, patience=1, certify=-3.0)),
    "writes once": lambda: diffusion(graphs(), ordered()),
    "a run for each rung": lambda: diffusion(graphs(), Posterior(Linear(), Cap(0.2))),
    "answers": lambda: autoregressive(words(), thought=False),
    "thoughts": lambda: autoregressive(words(5), thought=True),
    "beams": lambda: autoregressive(words(5), thought=False, decoding=BeamSearch(), rules=["first"], most=4),
    "walks": lambda: autoregressive(words(5), thought=False, decoding=PowerSampling(), rules=["last"], most=4),
}


def plan_of(arm: Any) -> Plan:
    examples = list(arm.task.examples("test"))
    return Plan("it", arm.task, "test", examples, LADDER, 3, "key", arm.variants, isinstance(arm, DiffusionArm))


PLAN = plan_of(ARMS["writes once"]())


def recorded(plan: Plan, arm: Any, path: Path) -> list[Record]:
    with Writer(path) as writer:
        evaluate(plan, arm.attempts(plan.examples, plan.ladder, plan.seed), writer)
    return read(path, Record).items


@given(st.lists(st.text(max_size=9), unique=True), st.integers(1, 9))
def test_each_example_is_of_one_shard_and_others_move_none(ids: list[str], count: int) -> None:
    task = graphs(1)
    of = {each: shard_of(task.name, each, count) for each in ids}
    assert all(0 <= number < count for number in of.values())
    examples = [replace(task.examples("test")[0], id=each) for each in ids]
    plan = PLAN._replace(examples=examples)
    shares = [[example.id for example in share(plan, number, count).examples] for number in range(count)]
    assert sorted(chain.from_iterable(shares)) == sorted(ids)
    for number, own in enumerate(shares):
        assert own == [each for each in ids if of[each] == number]  # alone as in company, and in order
    assert share(plan, 0, 1) == plan


def test_shards_are_about_even() -> None:
    counts = [sum(shard_of("task", f"test/0/{each}", 4) == number for each in range(4000)) for number in range(4)]
    assert all(abs(count - 1000) < 4 * 27.4 for count in counts), "four standard deviations of a fair division"


@pytest.mark.parametrize("name", ARMS)
def test_any_number_of_shards_records_what_one_process_does(name: str, tmp_path: Path) -> None:
    arm = ARMS[name]()
    plan = plan_of(arm)
    alone = recorded(plan, arm, tmp_path / "alone")
    beyond = dict.fromkeys(unaffordable(plan, alone), plan.ladder[-1])
    files = []
    for count in (1, 2, 3):
        shares = [
            recorded(share(plan, number, count), ARMS[name](), tmp_path / f"{number}-of-{count}")
            for number in range(count)
        ]
        files.append(b"".join(map(encode, merged(plan, [], shares, beyond))))
    assert files[0] == files[1] == files[2]
    assert sorted(files[0].splitlines()) == sorted(map(bytes.strip, map(encode, alone)))
    assert len({record.example for record in alone}) > 3


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> tuple[Plan, list[list[Record]]]:
    arm, folder = ARMS["one trajectory"](), tmp_path_factory.mktemp("pair")
    plan = plan_of(arm)
    shares = [recorded(share(plan, number, 2), arm, folder / str(number)) for number in range(2)]
    assert all(shares)
    return plan, shares


def test_the_order_is_that_of_the_examples_whatever_was_known(pair: tuple[Plan, list[list[Record]]]) -> None:
    plan, shares = pair
    whole = merged(plan, [], shares, {})
    assert [each.id for each in plan.examples] == list(dict.fromkeys(record.example for record in whole))
    for size in range(0, len(whole) + 1, 9):  # as far as a merge may have come that was stopped
        assert merged(plan, whole[:size], shares, {}) == whole[size:]
    assert merged(plan, [], [share[::-1] for share in shares], {}) == whole


def test_what_a_larger_plan_recorded_is_kept_behind(pair: tuple[Plan, list[list[Record]]]) -> None:
    plan, shares = pair
    whole = merged(plan, [], shares, {})
    first = plan.examples[0].id
    fewer = plan._replace(examples=plan.examples[1:])
    rest = [[record for record in whole if (record.example == first) == last] for last in (False, True)]
    assert merged(fewer, [], shares, {}) == rest[0] + rest[1]


def test_a_merge_that_loses_doubles_or_mixes_up_an_example_is_refused_by_its_id(
    pair: tuple[Plan, list[list[Record]]],
) -> None:
    plan, (one, two) = pair
    example = one[0].example
    without = [record for record in one if record.example != example]
    with pytest.raises(ValueError, match=f"no shard has answered example {example}$"):
        merged(plan, [], [without, two], {})
    with pytest.raises(ValueError, match=f"no shard has answered example {example}$"):
        merged(plan, [], [one[1:], two], {})
    with pytest.raises(ValueError, match=f"example {example} is recorded twice at rung {one[0].rung}"):
        merged(plan, [], [[*one, one[0]], two], {})
    with pytest.raises(ValueError, match=f"example {example} is recorded by shard 2, and belongs to shard 1"):
        merged(plan, [], [one, [*two, one[0]]], {})
    with pytest.raises(ValueError, match=f"example {example} is recorded in two ways at rung {one[0].rung}"):
        merged(plan, [replace(one[0], answer="another")], [one, two], {})
    assert merged(plan, [], [without, two], {example: plan.ladder[-1]})  # no rung buys it an answer
