"""Laws of drafts: as many errors as said, the same for everybody, and every one of them is accounted for."""

from dataclasses import replace
from typing import Any

import pytest
import torch

from dlmreason.canvas import block_numbers
from dlmreason.evaluation.planting import Draft
from dlmreason.policies import presets
from dlmreason.policies.window import Window
from dlmreason.sampling.state import Rows
from tests.evaluation.tiny import LADDER, diffusion, lines, sudoku

MASK = 7
FATE = ("planted", "taken_back", "given_right", "harmed")


def rows(count: int = 50, length: int = 20) -> Rows:
    generator = torch.Generator().manual_seed(1)
    gold = torch.randint(0, MASK, (count, length), generator=generator)
    editable = torch.rand(count, length, generator=generator) < 0.8
    features = torch.zeros(count, length, 0, dtype=torch.int64)
    return Rows(torch.arange(count) * 104_729 + 5, gold, editable, features, gold.clone())


@pytest.mark.parametrize("wrong", [0, 1, 3])
@pytest.mark.parametrize("by_position", [True, False])
def test_the_first_block_is_the_known_answer_but_for_the_errors(wrong: int, by_position: bool) -> None:
    given, draft = rows(), Draft(8, wrong, by_position)
    begun = draft(given, MASK)
    numbers = block_numbers(given.editable, 8, by_position)
    least = torch.where(given.editable, numbers, 99).amin(-1, keepdim=True)
    first = (numbers == least) & given.editable
    assert torch.equal(begun != MASK, first)
    differs = first & (begun != given.gold)
    assert bool((differs.sum(-1) == wrong).all()) and torch.equal(differs, draft.planted(given))
    for row, at in differs.nonzero().tolist():
        assert int(begun[row, at]) in given.gold[row][given.editable[row]].tolist()


def test_a_plant_is_a_function_of_the_example_and_of_the_seed_of_plants() -> None:
    given, draft = rows(), Draft(8)
    order = torch.tensor([7, 3, 31])
    some = Rows(*(leaf[order] for leaf in given))
    assert torch.equal(draft(some, MASK), draft(given, MASK)[order])
    assert not torch.equal(Draft(8, seed=1)(given, MASK), draft(given, MASK))
    # Places are drawn evenly: 50 rows of 8 tokens.
    at = [int(each.nonzero()[0, 0]) for each in draft.planted(given)]
    assert len(set(at)) > 6


def test_every_token_of_the_draft_is_accounted_for() -> None:
    given, draft = rows(1), Draft(8, 2)
    begun, wrong = draft(given, MASK), draft.planted(given)
    told = lambda answer: list(draft.became(given, answer).values())  # noqa: E731
    assert list(draft.became(given, begun)) == list(FATE)
    assert told(begun) == [2, 0, 6, 0] and told(given.gold) == [2, 2, 6, 0]
    assert told(torch.where(wrong, given.gold, (given.gold + 1) % MASK)) == [2, 2, 6, 6]


def arms(reopen: Any, wrong: int) -> Any:
    task = sudoku(7)
    inner = presets.revising("random", 2, 1)
    policy = inner if reopen is None else Window(inner, 4, 6, reopen)
    return task, replace(diffusion(task, policy), start=Draft(4, wrong))


@pytest.mark.parametrize("reopen", ["none", "one", "all", None])
def test_records_tell_what_became_of_the_draft(reopen: Any) -> None:
    task, arm = arms(reopen, 1)
    touched = 0
    for group in arm.attempts(list(task.examples("test")), LADDER, 3):
        for each in group:
            planted, back, right, harmed = (each.events[name] for name in FATE)
            assert planted == 1 and right == 3 and 0 <= back <= 1 and 0 <= harmed <= 3
            touched += back + harmed
    assert (touched == 0) == (reopen == "none"), "a frozen block keeps its error and its right tokens"


def test_a_row_with_a_draft_is_byte_equal_in_other_company() -> None:
    task, arm = arms("all", 1)
    examples = list(task.examples("test"))
    whole = lines(task, arm.attempts(examples, LADDER, 3))
    _, other = arms("all", 1)
    assert lines(task, replace(other, width=2).attempts(examples[3:5], LADDER, 3)).keys() < whole.keys()
    again = lines(task, other.attempts(examples[::-1], LADDER, 3))
    assert again == whole
    alone = lines(task, other.attempts(examples[2:3], LADDER, 3))
    assert alone.items() <= whole.items()


def test_what_cannot_be_planted_is_refused() -> None:
    given = rows(3)
    with pytest.raises(ValueError, match=r"draft\.wrong=9: 3 of 3 examples have fewer"):
        Draft(8, 9)(given, MASK)
    alike = given._replace(gold=torch.ones_like(given.gold))
    with pytest.raises(ValueError, match="another one of the answer could stand for"):
        Draft(8)(alike, MASK)
    unknown = given._replace(gold=torch.full_like(given.gold, MASK))
    with pytest.raises(ValueError, match="3 of 3 examples have none"):
        Draft(8)(unknown, MASK)
    for make, says in ((lambda: Draft(0), "block=0"), (lambda: Draft(3, -1), "wrong=-1")):
        with pytest.raises(ValueError, match=says):
            make()
