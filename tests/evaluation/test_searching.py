"""Laws of the searching decodings: within budget, to the FLOP; a larger budget goes on where a smaller one stopped."""

from typing import Any

import pytest
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from dlmreason.compute.flops import chain_flops, forward_flops, prefill_flops
from dlmreason.evaluation.decoding import Bought, BudgetForcing, Chains, Decoding
from dlmreason.evaluation.searching import BeamSearch, PowerSampling
from tests.evaluation.tiny import LADDER, autoregressive, graphs, lines, network, sudoku, words

TASKS = {"graphs": graphs, "sudoku": sudoku, "words": words}
CASES = [("graphs", False, 2), ("graphs", True, 3), ("sudoku", False, 6), ("words", True, 4)]
DECODINGS: list[tuple[Decoding, list[str]]] = [
    (BeamSearch(0.5, 4), ["first", "quality"]),
    (PowerSampling(2.0), ["last", "vote"]),
]


@pytest.mark.parametrize(("name", "thought", "passes"), CASES)
@pytest.mark.parametrize(("decoding", "rules"), DECODINGS, ids=["beam", "power"])
def test_records_are_the_same_bytes_in_any_company_and_under_any_longer_ladder(
    decoding: Decoding, rules: list[str], name: str, thought: bool, passes: int
) -> None:
    task = TASKS[name](4)
    examples = list(task.examples("test"))
    arm = autoregressive(task, thought, passes, decoding=decoding, rules=rules, most=12)
    whole = lines(task, arm.attempts(examples, LADDER, 3))
    assert whole.keys() == {example.id for example in examples}
    assert lines(task, arm.attempts(examples[::-1], LADDER, 3)) == whole
    assert lines(task, arm.attempts(examples[2:3], LADDER, 3)) == {examples[2].id: whole[examples[2].id]}
    short = lines(task, arm.attempts(examples, LADDER[:3], 3))
    assert all(whole[example].startswith(short[example]) for example in short)


class Sent:
    """A network that counts the FLOPs of all that it was sent."""

    def __init__(self, inner: Any) -> None:
        self.inner, self.shape, self.cache, self.flops = inner, inner.shape, inner.cache, 0
        self.dense = 0  # as masked products have it, which multiply all places of a cache

    def __call__(self, tokens: Any, features: Any, *, cache: Any, at: Any, read: Any = None) -> Any:
        length = tokens.shape[1]
        keys = sum(length * first + length * (length + 1) // 2 for first in at.tolist())
        heads = (tokens if read is None else read).numel()
        self.flops += forward_flops(self.shape, tokens.numel(), keys, heads)
        self.dense += forward_flops(self.shape, tokens.numel(), tokens.numel() * cache.length, heads)
        return self.inner(tokens, features, cache=cache, at=at, read=read)


@pytest.mark.parametrize(("name", "thought", "passes"), CASES)
@pytest.mark.parametrize("decoding", [Chains(), BeamSearch(0.0, 4), PowerSampling(3.0)])
def test_what_is_bought_fits_and_charged_and_wasted_are_all_that_was_sent(
    decoding: Decoding, name: str, thought: bool, passes: int
) -> None:
    task = TASKS[name](3)
    arm = autoregressive(task, thought, passes, decoding=decoding, rules=["vote"], most=12)
    sent = Sent(arm.network)
    arm._writing = arm._writing._replace(network=sent)
    for group in arm.attempts(list(task.examples("test")), LADDER, 3):
        for attempt in group:
            assert attempt.flops <= attempt.rung * arm.flops_per_pass
            assert attempt.sequential_depth <= attempt.nfe
        assert [attempt.flops for attempt in group] == sorted(attempt.flops for attempt in group)
    shape = arm.network.shape
    assert forward_flops(shape, *arm.charged.plus(arm.wasted)) == sent.flops > 0


@pytest.mark.parametrize("decoding", [Chains(), BudgetForcing(0, 2), BeamSearch(0.0, 4), PowerSampling(3.0)])
def test_charged_and_wasted_are_what_torch_counts(decoding: Decoding) -> None:
    """Keys that are hidden by a mask are multiplied all the same: counted beside, from the same calls."""
    task = graphs(2)
    arm = autoregressive(task, True, 3, decoding=decoding, rules=["vote"], most=4)
    sent = Sent(arm.network)
    arm._writing = arm._writing._replace(network=sent)
    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        assert all(arm.attempts(list(task.examples("test")), (1, 16), 3))
    assert counter.get_total_flops() == sent.dense > sent.flops
    assert forward_flops(arm.network.shape, *arm.charged.plus(arm.wasted)) == sent.flops


@pytest.mark.parametrize(("name", "thought", "passes"), CASES)
@pytest.mark.parametrize("decoding", [BeamSearch(0.0, 4), PowerSampling(3.0)])
def test_what_is_stated_is_what_was_charged(decoding: Decoding, name: str, thought: bool, passes: int) -> None:
    """A walk's last step may not fit any budget, and was made all the same; so budgets end where it ends."""
    task = TASKS[name](3)
    arm = autoregressive(task, thought, passes, decoding=decoding, rules=["vote"], most=5)
    questions = [arm._question(example) for example in task.examples("test")]
    shape, charged, stated = arm.network.shape, [], 0
    top = 2**62 if isinstance(decoding, PowerSampling) else 16 * arm.flops_per_pass
    for _, bought in decoding.decode(arm._writing, questions, [1, top], 3, charged.append):
        assert bought[0] is None and bought[1] is not None
        stated += bought[1].cost.flops
    assert stated == sum(forward_flops(shape, *batch.charged) for batch in charged)


def test_a_beam_is_as_wide_as_the_budget_is_sure_to_buy() -> None:
    task = graphs(2)
    arm = autoregressive(task, True, decoding=BeamSearch(0.0, 16), rules=["first"], most=9)
    question = arm._question(next(iter(task.examples("test"))))
    prompt, shape, room = len(question.prompt.tokens), arm.network.shape, arm._writing.plan.limit
    read, each = prefill_flops(shape, prompt), chain_flops(shape, prompt, room)
    prices = [
        read + count * each + more for count, more in ((1, -1), (1, 0), (2, -1), (2, 0), (4, -1), (4, 0), (99, 0))
    ]
    assert [arm.decoding.beams(arm._writing, question, price) for price in prices] == [0, 1, 1, 2, 2, 4, 8]


def test_a_walk_stops_at_the_first_step_that_no_budget_buys() -> None:
    task = sudoku(2)
    arm = autoregressive(task, False, 3, decoding=PowerSampling(2.0), rules=["last"], most=1000)
    questions = [arm._question(example) for example in task.examples("test")]
    budgets = [rung * arm.flops_per_pass for rung in LADDER]
    for _, bought in arm.decoding.decode(arm._writing, questions, budgets, 3, lambda batch: None):
        last: Bought | None = bought[-1]
        assert last is not None and last.size == len(last.chains) - 1
        sizes = [0 if one is None else one.size for one in bought]
        assert sizes == sorted(sizes) and sizes[-1] > 10
        assert all(one.events["accepted"] < one.size for one in bought if one is not None)


def test_a_budget_buys_what_costs_exactly_as_much() -> None:
    task = sudoku(1)
    arm = autoregressive(task, False, 3, decoding=PowerSampling(2.0), rules=["last"], most=6)
    (question,) = (arm._question(example) for example in task.examples("test"))
    ((_, (known,)),) = arm.decoding.decode(arm._writing, [question], [2**62], 3, lambda batch: None)
    assert known is not None and known.size == 6
    exact = known.cost.flops
    ((_, bought),) = arm.decoding.decode(arm._writing, [question], [exact - 1, exact], 3, lambda batch: None)
    assert [one.size for one in bought if one is not None] == [5, 6]


def test_a_beams_depth_is_its_prompt_and_its_tokens() -> None:
    task = sudoku(2)
    arm = autoregressive(task, False, 6, decoding=BeamSearch(0.0, 4), rules=["first"])
    for group in arm.attempts(list(task.examples("test")), LADDER, 3):
        assert {attempt.sequential_depth for attempt in group} == {task.answer_length + 1}
        for attempt in group:
            assert attempt.nfe == 1 + attempt.events["beams"] * task.answer_length


def test_searches_that_cannot_be_are_refused_when_the_arm_is_made() -> None:
    cases: list[tuple[Any, str]] = [(PowerSampling(0.0), "alpha"), (BeamSearch(-1.0), "penalty")]
    for decoding, says in cases:
        with pytest.raises(ValueError, match=says):
            autoregressive(graphs(), True, decoding=decoding)
    with pytest.raises(ValueError, match="widest=0"):
        BeamSearch(0.0, 0)


def test_what_one_chain_exceeds_is_not_begun() -> None:
    task = sudoku(2)
    for decoding in (BeamSearch(), PowerSampling()):
        arm = autoregressive(task, False, decoding=decoding, rules=["last"])
        arm.flops_per_pass = 1
        assert list(arm.attempts(list(task.examples("test")), (1, 2), 3)) == [[], []]
        assert arm.charged.queries == arm.wasted.queries == 0
    assert network(task, "causal").shape.quality
