"""Laws of the window: what it has left stays, what is beyond waits, and over everything it is the policy inside."""

from itertools import pairwise
from typing import Any

import pytest
import torch

from dlmreason.canvas import NEVER, block_numbers
from dlmreason.policies.doubt import AtRandom, Doubt, LowestQuality
from dlmreason.policies.facts import check_keeps_blocks, check_sound, facts_of
from dlmreason.policies.ordered import Ordered
from dlmreason.policies.presets import change_of_mind, revising
from dlmreason.policies.scores import Blocks, confidence, mean_log_quality
from dlmreason.policies.window import Window
from dlmreason.policies.wrappers import Judged, KeepBest, Restart
from dlmreason.sampling.denoise import Rows, Sampler, State
from tests.policies.walk import Opinions, same_moves, walked
from tests.toys import GRID, ToySudoku, sudoku_rows

DOUBT = Doubt(AtRandom(4), Ordered(confidence, 2, 1.0))
LEARNED = Doubt(LowestQuality(3), Ordered(confidence, 1, 1.0))
BEST = KeepBest(Judged(DOUBT, mean_log_quality))
INNER = [DOUBT, LEARNED, BEST, revising("random", 4), change_of_mind(certify=None, doubt=4)]


def states(policy: Any, passes: int = 40, rows: Rows | None = None, **more: Any) -> list[State]:
    """Before the first pass and after each."""
    sampler = Sampler(policy, ToySudoku(), (passes,), width=4, **more)
    found = [sampler.init(sudoku_rows(4) if rows is None else rows)]
    for _ in range(passes):
        found.append(sampler.one_pass(found[-1]))
    return found


@pytest.mark.parametrize("inner", [*INNER, change_of_mind()])
@pytest.mark.parametrize("reopen", ["none", "one", "all"])
def test_a_window_over_the_whole_answer_is_the_inner_policy_token_for_token(inner: Any, reopen: Any) -> None:
    assert same_moves(Window(inner, 16, 10**6, reopen), inner, 60)


@pytest.mark.parametrize("size", [1, 3, 5, 16])
@pytest.mark.parametrize("by_position", [True, False])
def test_without_revising_it_is_the_order_that_waits_for_each_block(size: int, by_position: bool) -> None:
    whole = Ordered(Blocks(confidence, size, by_position), 1, 1.0)
    assert same_moves(Window(Ordered(confidence, 1, 1.0), size, 100, "none", by_position), whole, 16)


@pytest.mark.parametrize("inner", INNER)
@pytest.mark.parametrize(("reopen", "reach"), [("none", 0), ("one", 1), ("all", NEVER)])
@pytest.mark.parametrize("by_position", [True, False])
def test_nothing_is_written_but_in_the_window(inner: Any, reopen: Any, reach: int, by_position: bool) -> None:
    """The window is told here from the clock alone: each block takes as many passes."""
    walk = states(Window(inner, 5, 8, reopen, by_position), 32)
    again = 0
    for number, (before, after) in enumerate(pairwise(walk)):
        rows = before.rows
        back = number // 8 - block_numbers(rows.editable, 5, by_position)
        inside = (back >= 0) & (back <= reach) & rows.editable
        live = before.index < NEVER // 2
        changed = (after.tokens != before.tokens) & live[:, None]
        assert not bool((changed & ~inside).any())
        begun = (after.tokens != 4) & rows.editable & live[:, None]
        assert not bool((begun & (back < 0)).any())
        again += int((changed & (back > 0)).sum())
    assert (again > 20) == (reopen != "none"), "earlier blocks are edited where they may be, or these runs show nothing"


def test_a_block_that_was_left_is_as_its_answer_was() -> None:
    """The best one kept, not the canvas as it happened to be."""
    walk = states(Window(BEST, 6, 9), 27)
    held, differs = walk[9], 0
    for place in range(4):
        first = (block_numbers(held.rows.editable, 6, False)[place] == 0) & held.rows.editable[place]
        answered = walk[9].answer[place][first]
        assert torch.equal(walk[-1].tokens[place][first], answered)
        differs += int((walk[8].tokens[place][first] != answered).any())
    assert differs, "somewhere the canvas was another one"


@pytest.mark.parametrize(("size", "blocks"), [(4, 3), (5, 3), (12, 1), (1, 12)])
def test_each_block_takes_its_passes_and_the_row_then_settles(size: int, blocks: int) -> None:
    sampler = Sampler(Window(DOUBT, size, 7), ToySudoku(), (200,), width=4)
    for state in sampler.run(sudoku_rows(4)):  # of 12 blanks
        assert int(state.nfe) == 7 * blocks and int(state.index) >= NEVER // 2
        assert not bool((state.answers[0, 0] == 4).any())


def test_an_inner_policy_that_settles_moves_on_at_once() -> None:
    sampler = Sampler(Window(Ordered(confidence, 2), 4, 50), ToySudoku(), (200,), width=4)
    assert [int(state.nfe) for state in sampler.run(sudoku_rows(4))] == [6] * 4
    planning = Window(Ordered(confidence), 4, 2)  # shares its blanks over the passes of its block
    assert [int(state.nfe) for state in Sampler(planning, ToySudoku(), (9,), width=4).run(sudoku_rows(4))] == [6] * 4


def drafted(rows: Rows) -> Rows:
    """The first five blanks written as known."""
    first = block_numbers(rows.editable, 5, False) == 0
    return rows._replace(tokens=torch.where(rows.editable, torch.where(first, rows.gold, 4), rows.tokens))


@pytest.mark.parametrize("reopen", ["none", "one", "all"])
def test_it_begins_at_the_first_block_with_a_blank(reopen: Any) -> None:
    walk = states(Window(DOUBT, 5, 8, reopen), 16, drafted(sudoku_rows(4)), begun=True)
    first = (block_numbers(walk[0].rows.editable, 5, False) == 0) & walk[0].rows.editable
    known = GRID.expand(4, -1)[first]
    assert torch.equal(walk[0].tokens[first], known)
    kept = all(torch.equal(each.tokens[first], known) for each in walk)
    assert kept == (reopen == "none")
    assert bool((walk[-1].index >= NEVER // 2).all()), "two blocks were left"


def test_a_row_ends_with_the_block_that_holds_the_end_of_its_text() -> None:
    def with_end(policy: Any) -> list[int]:
        sampler = Sampler(policy, Opinions(), (100,), width=8, end_id=2)
        return [int(state.nfe) for state in sampler.run(sudoku_rows(8))]

    window = Window(Ordered(confidence, 1), 3, 9)
    sampler = Sampler(window, Opinions(), (100,), width=8)
    whole = {int(state.rows.id): state for state in sampler.run(sudoku_rows(8))}
    assert {int(state.nfe) for state in whole.values()} == {12}
    spent, expected = with_end(window), []
    for state in whole.values():
        said = state.tokens[0][state.rows.editable[0]].tolist()
        block = next((at // 3 for at, token in enumerate(said) if token == 2), 3)
        expected.append(3 * (block + 1))
    assert sorted(expected) == sorted(spent) and min(spent) < 12


def test_no_score_is_handed_out() -> None:
    moves, _ = walked(Window(BEST, 5, 6, "all"), 18)
    assert all(bool((move.score == -torch.inf).all()) for move in moves)
    with pytest.raises(ValueError, match="nothing inside it gives any"):
        Restart(Window(BEST, 5, 6), 3)
    Restart(Judged(Window(BEST, 5, 6), mean_log_quality), 3)


def test_what_it_says_of_itself() -> None:
    assert facts_of(Window(DOUBT, 5, 6)).revises and not facts_of(Window(Ordered(confidence, 1), 5, 6)).revises
    with pytest.raises(ValueError, match="network with a quality head"):
        check_sound(Window(BEST, 5, 6), quality=False)
    kept = Window(Ordered(confidence, 1), 4, 4, by_position=True)
    check_sound(kept, quality=False, block=4)
    check_keeps_blocks(kept, 4)
    for other in (Window(DOUBT, 4, 4, by_position=True), Window(Ordered(confidence, 1), 4, 4, "one", True)):
        with pytest.raises(ValueError, match="read once when it is finished"):
            check_keeps_blocks(other, 4)


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: Window(DOUBT, 0, 2), "size=0: a block has 1 position or more"),
        (lambda: Window(DOUBT, 4, 0), "passes=0: a block takes 1 pass or more"),
        (lambda: Window(DOUBT, 4, 2, "two"), "reopen='two': .* one of none, one, all"),  # type: ignore[arg-type]
    ],
)
def test_what_cannot_be_is_refused(make: Any, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        make()
