"""Laws of the autoregressive arm: equal FLOPs to the last chain, and nobody's company shows."""

from types import SimpleNamespace
from typing import Any
from zlib import crc32

import pytest

from dlmreason.compute.flops import generation_flops
from dlmreason.compute.matching import first_within
from dlmreason.evaluation.attempt import answer_text
from dlmreason.evaluation.autoregressive import AutoregressiveArm, cheapest_rung
from dlmreason.evaluation.decoding import BudgetForcing, Chains
from dlmreason.evaluation.evaluate import Plan, to_records
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
    prompts = [arm._question(example).prompt]
    written = Chains(arm.temperature)._generate(arm._writing, prompts, 0, count, seed, lambda batch: None)
    return [chain.generated for chain in written]


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
        prompt = len(arm._question(example).prompt.tokens)
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
    monkeypatch.setattr("dlmreason.evaluation.decoding.chains_within", lambda *unused: guess)
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
        prompt, (first,) = len(arm._question(group[0].example).prompt.tokens), chains(arm, group[0].example, 1, 3)
        assert group[0].rung == cheapest_rung(arm, prompt, first)


def test_what_cannot_be_afforded_costs_nothing_where_answers_are_of_one_length() -> None:
    task = sudoku(3)
    arm = autoregressive(task, False, 1)
    arm.flops_per_pass = 1
    arm._writing = arm._writing._replace(network=SimpleNamespace(shape=arm.network.shape))  # which cannot be called
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


def with_wait(task: Any) -> Any:
    """The task, one of whose symbols is said to be `wait`."""
    vocabulary = task.vocabulary(True)
    vocabulary.wait_id = 0
    task.vocabulary = lambda thought: vocabulary
    return task


def test_a_named_decoding_is_the_one_that_an_arm_has_without_it() -> None:
    task = graphs(4)
    examples = list(task.examples("test"))
    for temperature in (1.0, 0.4):
        plain = autoregressive(task, True, 3, temperature=temperature)
        named = autoregressive(task, True, 3, decoding=Chains(temperature))
        forced = autoregressive(task, True, 3, decoding=BudgetForcing(0, None, Chains(temperature)))
        known = lines(task, plain.attempts(examples, LADDER, 3))
        assert lines(task, named.attempts(examples, LADDER, 3)) == known
        assert lines(task, forced.attempts(examples, LADDER, 3)) == known, "forcing nothing"


def test_forced_thoughts_cost_what_they_are_long() -> None:
    task = with_wait(graphs(4))
    arm = autoregressive(task, True, 3, decoding=BudgetForcing(3, 3))
    answer = task.answer_length
    for group in arm.attempts(list(task.examples("test")), LADDER, 3):
        prompt = len(arm._question(group[0].example).prompt.tokens)
        for attempt in group:
            assert attempt.flops == generation_flops(
                arm.network.shape, prompt, 3 + 1 + answer, attempt.events["chains"]
            )
            assert attempt.flops <= attempt.rung * arm.flops_per_pass


def test_thoughts_that_cannot_be_forced_are_refused_when_the_arm_is_made() -> None:
    with pytest.raises(ValueError, match="this vocabulary has none"):
        autoregressive(graphs(), True, decoding=BudgetForcing(1))
    with pytest.raises(ValueError, match=r"most=900 tokens.*lower most to"):
        autoregressive(graphs(), True, decoding=BudgetForcing(0, 900))
    with pytest.raises(ValueError, match="thought=true"):
        autoregressive(graphs(), False, decoding=BudgetForcing())


def test_the_judges_choice_is_coverage_and_says_how_many_were_right() -> None:
    """The judge is replaced by one that accepts every eighth answer or so, for an untrained network is never right."""
    task = sudoku(5)

    def verify(example: Any, answer: str) -> Any:
        return SimpleNamespace(correct=crc32(f"{example.id}/{answer}".encode()) % 8 == 0, reason="")

    task.verify = verify  # type: ignore[method-assign]
    arm = autoregressive(task, False, 4, rules=["vote", "oracle"], oracle=True)
    found, beaten = [], 0
    for group in arm.attempts(list(task.examples("test")), LADDER, 3):
        example, prompts = group[0].example, [arm._question(group[0].example).prompt]
        written = Chains()._generate(arm._writing, prompts, 0, 40, 3, lambda batch: None)
        verdicts = [verify(example, answer_text(task.vocabulary(False), chain.answer)).correct for chain in written]
        for vote, oracle in zip(group[::2], group[1::2], strict=True):
            count = oracle.events["chains"]
            found.append(verify(example, oracle.answer).correct)
            assert found[-1] == any(verdicts[:count]) and oracle.events["right"] == sum(verdicts[:count])
            assert (oracle.flops, oracle.rung, oracle.score) == (vote.flops, vote.rung, float(found[-1]))
            assert "right" not in vote.events
            beaten += found[-1] > verify(example, vote.answer).correct
            assert found[-1] or not verify(example, vote.answer).correct
        assert to_records(Plan("it", task, "test", (), LADDER, 3, "k", (), True), group)[1].arm == "it.oracle"
    assert 0 < sum(found) < len(found) and beaten


@pytest.mark.parametrize("changes", [{"rules": ["vote", "oracle"]}, {"rules": ["vote"], "oracle": True}])
def test_a_judge_is_asked_only_where_the_arm_says_so(changes: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="set oracle=true with it, and only with it"):
        autoregressive(graphs(), False, **changes)
