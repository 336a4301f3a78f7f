"""Laws of the autoregressive arm: equal FLOPs to the last chain, and nobody's company shows."""

from typing import Any

import pytest

from dlmreason.compute.flops import generation_flops
from dlmreason.compute.matching import first_within
from dlmreason.evaluation.autoregressive import AutoregressiveArm, cheapest_rung
from tests.evaluation.tiny import LADDER, autoregressive, graphs, lines, network, sudoku, words

ARMS = [
    *(("graphs", False, 1), ("graphs", True, 2), ("sudoku", False, 4), ("sudoku", True, 8)),
    *(("words", False, 2), ("words", True, 3)),
]
TASKS = {"graphs": graphs, "sudoku": sudoku, "words": words}


@pytest.mark.parametrize(("name", "thought", "passes"), ARMS)
def test_an_examples_records_are_the_same_bytes_in_any_company(name: str, thought: bool, passes: int) -> None:
    task = TASKS[name](5)
    examples = list(task.examples("test"))
    arm = autoregressive(task, thought, passes)
    whole = lines(task, arm.attempts(examples, LADDER, 3))
    assert whole.keys() == {example.id for example in examples}
    assert lines(task, arm.attempts([examples[place] for place in (4, 1, 3, 0, 2)], LADDER, 3)) == whole
    for example in (examples[0], examples[3]):
        assert lines(task, arm.attempts([example], LADDER, 3)) == {example.id: whole[example.id]}
    assert lines(task, arm.attempts(examples, LADDER, 4)) != whole


@pytest.mark.parametrize(("name", "thought", "passes"), ARMS)
def test_a_longer_ladder_begins_as_the_shorter_one(name: str, thought: bool, passes: int) -> None:
    task = TASKS[name](4)
    examples = list(task.examples("test"))
    long = lines(task, autoregressive(task, thought, passes).attempts(examples, LADDER, 3))
    for ladder in (LADDER[:1], LADDER[:4]):
        short = lines(task, autoregressive(task, thought, passes).attempts(examples, ladder, 3))
        assert all(long[example].startswith(short[example]) for example in short)
        assert short or ladder == LADDER[:1]


def chains(arm: AutoregressiveArm, example: Any, count: int, seed: int) -> list[int]:
    """How long an example's first chains are, seen by themselves."""
    return [chain.generated for chain in arm._generate([arm._prompt(example)], 0, count, seed, None)]


@pytest.mark.parametrize("most", [40, 5])
@pytest.mark.parametrize(("name", "thought", "passes"), ARMS)
def test_it_spends_what_it_may_and_one_more_chain_would_exceed_it(
    name: str, thought: bool, passes: int, most: int
) -> None:
    task = TASKS[name](5)
    arm = autoregressive(task, thought, passes, most=most)
    shape = arm.network.shape
    lengths_seen = set()
    for group in arm.attempts(list(task.examples("test")), LADDER, 3):
        example = group[0].example
        lengths = chains(arm, example, most, 3)
        lengths_seen |= set(lengths)
        prompt = len(arm._prompt(example).tokens)
        told = {attempt.rung: attempt for attempt in group}
        for rung in LADDER:
            budget, spent = rung * arm.flops_per_pass, 0
            bought = first_within(budget, shape, prompt, lengths)
            assert (rung in told) == (bought > 0)
            for number in range(1, most + 1):
                alone = [generation_flops(shape, prompt, length, 1) for length in lengths[:number]]
                shared = generation_flops(shape, prompt, 0, 0) * (number - 1)
                cost = sum(alone) - shared
                if cost > budget:
                    break
                spent, count = cost, number
            if rung in told:
                assert told[rung].flops == spent <= budget
                assert told[rung].events == {"chains": count}
                assert count == most or cost > budget
                assert told[rung].sequential_depth <= 1 + max(lengths)
                assert not told[rung].settled
    assert (len(lengths_seen) > 1) == (thought or task.answers_end)  # else the law says less than it seems to


@pytest.mark.parametrize("guess", [0, 1, 3, 40])
def test_how_many_chains_are_asked_for_changes_nothing(guess: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Thoughts may be longer or shorter than the known one, from which the number is guessed."""
    task = graphs(4)
    examples = list(task.examples("test"))
    known = lines(task, autoregressive(task, True, 3).attempts(examples, LADDER, 3))
    monkeypatch.setattr("dlmreason.evaluation.autoregressive.chains_within", lambda *unused: guess)
    assert lines(task, autoregressive(task, True, 3).attempts(examples, LADDER, 3)) == known


def test_rules_are_read_off_the_same_chains_at_the_same_price() -> None:
    task = sudoku(4)
    arm = autoregressive(task, False, 4)
    assert arm.variants == ("vote", "log_prob", "quality")
    differ = 0
    for group in arm.attempts(list(task.examples("test")), LADDER, 3):
        rungs = sorted({attempt.rung for attempt in group})
        assert [(a.rung, a.variant) for a in group] == [(rung, rule) for rung in rungs for rule in arm.variants]
        for rung in rungs:
            here = [attempt for attempt in group if attempt.rung == rung]
            assert len({(a.flops, a.nfe, a.sequential_depth) for a in here}) == 1
            if here[0].events["chains"] == 1:
                assert len({a.answer for a in here}) == 1
            differ += len({a.answer for a in here}) > 1
    assert differ


def test_the_first_chain_is_greedy_whatever_the_temperature_and_seed() -> None:
    task = sudoku(3)
    examples = list(task.examples("test"))
    first = {}
    for temperature, seed in [(1.0, 3), (0.2, 3), (1.0, 4)]:
        arm = autoregressive(task, False, 4, temperature=temperature, most=1)
        first[temperature, seed] = {g[0].example.id: g[0].answer for g in arm.attempts(examples, LADDER, seed)}
    assert len({tuple(answers.items()) for answers in first.values()}) == 1


@pytest.mark.parametrize("thought", [False, True])
def test_the_cheapest_rung_is_the_first_with_a_record(thought: bool) -> None:
    task = sudoku(4)
    arm = autoregressive(task, thought, 1)
    ladder = tuple(range(1, 40))
    for group in arm.attempts(list(task.examples("test")), ladder, 3):
        prompt, (first,) = len(arm._prompt(group[0].example).tokens), chains(arm, group[0].example, 1, 3)
        assert group[0].rung == cheapest_rung(arm, prompt, first)


def test_what_cannot_be_afforded_costs_nothing_where_answers_are_of_one_length(monkeypatch: pytest.MonkeyPatch) -> None:
    task = sudoku(3)
    arm = autoregressive(task, False, 1)
    monkeypatch.setattr(arm, "network", None)
    monkeypatch.setattr(arm, "_by_chains", lambda examples, held, top: {(0, 0): list(examples)})
    assert list(arm.attempts(list(task.examples("test")), (1,), 0)) == [[], [], []]


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"rules": ["vote", "luck"]}, r"rules=.*vote, log_prob, quality"),
        ({"rules": []}, r"rules=\[\]"),
        ({"temperature": 0.0}, "temperature=0.0 must be above 0"),
        ({"temperature": float("inf")}, "temperature=inf"),
    ],
)
def test_settings_that_make_no_arm_are_refused(changes: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        autoregressive(graphs(), False, **changes)


def test_choosing_by_quality_without_a_judge_is_refused() -> None:
    task = graphs()
    mute = network(task, "causal", quality=False)
    with pytest.raises(ValueError, match="no quality head"):
        AutoregressiveArm("it", task, mute, False, 1)
    assert AutoregressiveArm("it", task, mute, False, 1, rules=["vote"]).variants == ("vote",)
