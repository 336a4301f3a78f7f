"""Laws of planted errors, and of arms that begin from them."""

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dlmreason.evaluation.attempt import rows_of
from dlmreason.evaluation.diffusion import DiffusionArm
from dlmreason.evaluation.known_errors import Planted, planted
from dlmreason.networks.denoiser import Denoise
from dlmreason.policies import presets
from dlmreason.policies.published import self_correction
from dlmreason.sampling.events import KINDS
from dlmreason.sampling.state import Rows
from tests.evaluation.tiny import LADDER, lines, network, sudoku

CPU = torch.device("cpu")
MASK = 9


def rows(gold: list[list[int]], given: int = 0) -> Rows:
    """The first `given` tokens of each are the task's."""
    tokens = torch.tensor(gold)
    editable = torch.ones_like(tokens, dtype=torch.bool)
    editable[:, :given] = False
    ids = torch.arange(len(gold)) * 7 + 1
    return Rows(ids, tokens, editable, torch.zeros(*tokens.shape, 0, dtype=torch.int64), tokens.clone())


texts = st.lists(st.lists(st.integers(0, 4), min_size=6, max_size=6), min_size=1, max_size=5).filter(
    lambda gold: all(len(set(text[2:])) > 1 for text in gold)
)


@given(gold=texts, count=st.integers(1, 3))
@settings(max_examples=60, deadline=None)
def test_so_many_tokens_are_wrong_none_of_them_given_and_each_stands_elsewhere_in_its_answer(
    gold: list[list[int]], count: int
) -> None:
    right = rows(gold, given=2)
    found = planted(right, count, MASK)
    wrong = found != right.gold
    assert (wrong.sum(-1) == count).all() and not wrong[:, :2].any()
    assert all(set(text) <= set(own[2:]) for text, own in zip(found[:, 2:].tolist(), gold, strict=True))
    fewer = planted(right, count - 1, MASK) if count > 1 else right.gold
    assert (found == fewer).logical_or(fewer == right.gold).all(), "the wrong ones of fewer are among those of more"


def test_company_changes_nothing_and_the_example_does() -> None:
    right = rows([[0, 1, 2, 3, 4, 5]] * 40)
    together = planted(right, 2, MASK)
    alone = [planted(Rows(*(leaf[row : row + 1] for leaf in right)), 2, MASK) for row in range(40)]
    assert together.equal(torch.cat(alone))
    share = (together != right.gold).double().mean(0)
    assert (share > 0.1).all() and (share < 0.6).all(), "every place, about alike"


@pytest.mark.parametrize(
    ("gold", "count", "says"),
    [
        ([[0, 1, 2]], 3, "give 1 to 2"),
        ([[0, 1, 2]], 0, "give 1 to 2"),
        ([[0, 1, 2], [4, 4, 4]], 1, "one token all over"),
        ([[0, MASK, 2]], 1, "is not known"),
    ],
)
def test_what_cannot_be_planted_is_refused(gold: list[list[int]], count: int, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        planted(rows(gold), count, MASK)


def arm(policy: Any, count: int, oracle: bool = False) -> DiffusionArm:
    task = sudoku(5)
    reads = network(task, "bidirectional")
    denoiser = Denoise(reads, task.vocabulary(False).mask_id)
    return DiffusionArm(
        "it", task, reads, denoiser, policy, 3, 4, oracle=oracle, start=Planted(count) if count else None
    )


def examples() -> list[Any]:
    return list(sudoku(5).examples("test"))


POLICIES = [
    presets.revising("confidence", doubt=2, count=1),
    presets.change_of_mind(doubt=2, count=1),
    self_correction(),
]


@pytest.mark.parametrize("policy", POLICIES, ids=["revising", "change_of_mind", "self_correction"])
def test_rows_begin_where_they_are_told_and_every_change_is_counted(policy: Any) -> None:
    begins = arm(policy, 2)
    task, said = begins.task, examples()
    start = planted(rows_of(task, said, CPU), 2, task.vocabulary(False).mask_id)
    states: dict[str, Any] = {}
    kept = {
        group[0].example.id: group
        for group in begins.attempts(said, LADDER, 3, on_walk=lambda each, _, state: states.update({each.id: state}))
    }
    for row, each in enumerate(said):
        state = states[each.id]
        editable = state.rows.editable[0]
        right = (state.canvases[0] == state.rows.gold[0]) & editable
        changes = state.changes[0][:, [KINDS.index("wrong_to_right"), KINDS.index("right_to_wrong")]]
        expected = int(editable.sum()) - 2 + changes[:, 0] - changes[:, 1]
        assert right.sum(-1).equal(expected), "right now: those at the start, and the changes since"
        assert int(state.changes[0, -1, KINDS.index("written")]) == 0, "nothing is written for the first time"
        assert state.rows.tokens[0].equal(start[row])
    assert len(kept) == len(said)
    by_one = {}
    for each in said:
        by_one |= lines(task, arm(policy, 2).attempts([each], LADDER, 3))
    assert by_one == lines(task, arm(policy, 2).attempts(said, LADDER, 3)), "alone as in company"


def test_a_policy_that_only_writes_blanks_has_nothing_to_do() -> None:
    begins = arm(presets.ordered(count=1), 2)
    task, said = begins.task, examples()
    start = planted(rows_of(task, said, CPU), 2, task.vocabulary(False).mask_id)
    for group in begins.attempts(said, (4,), 0):
        row = [each.id for each in said].index(group[0].example.id)
        assert group[0].nfe == 0 and group[0].settled
        assert group[0].answer == task.vocabulary(False).decode(start[row].tolist())


def test_who_knows_where_the_errors_are_harms_nothing() -> None:
    """Told which tokens are wrong, and doubting so many, a network that guesses sets right what it can, and never a
    right token wrong; one that doubts at random does."""
    knows = arm(presets.revising("learned", doubt=1, count=1), 1, oracle=True)
    random = arm(presets.revising("random", doubt=1, count=1), 1, oracle=True)
    harmed = [
        sum(group[-1].events["right_to_wrong"] for group in each.attempts(examples(), (8,), 0))
        for each in (knows, random)
    ]
    assert harmed[0] < harmed[1]


def test_the_trace_of_such_a_row_begins_with_its_tokens() -> None:
    begins = arm(POLICIES[0], 2)
    attempt, trace = begins.watched(examples()[0], 4, 0)
    assert begins._vocabulary.mask_id not in trace.start
    assert attempt.nfe == 4
