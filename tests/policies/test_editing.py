"""Laws of editing: which written tokens give way, when it settles, and what a network must be for it to be sound."""

import itertools
import math
from typing import Any

import pytest
import torch

from dlmreason.canvas import NEVER, Canvas, Move
from dlmreason.policies import published
from dlmreason.policies.editing import Edit
from dlmreason.policies.facts import facts_of
from dlmreason.policies.ordered import Ordered
from dlmreason.policies.scores import confidence
from tests.policies.hand import MASK, Scripted, canvas, clock, reading
from tests.policies.laws import answer_law
from tests.toys import Oracle, random_joint

FILL = Ordered(confidence, 1)
# The most probable tokens are 0, 1, 1, 0, 2, of .70, .60, .90, .45, .98; 2 is given.
CHANCES = [[0.70, 0.20, 0.10], [0.35, 0.60, 0.05], [0.05, 0.9, 0.05], [0.45, 0.44, 0.11], [0.01, 0.01, 0.98]]
FULL = canvas([[1, 0, 2, 1, 2]], given=(2,))


def moved(policy: Any, now: Canvas = FULL, noise: Any = None, memory: Any = None) -> Move:
    start = policy.init(now, clock(-1), Scripted()).memory if memory is None else memory
    return policy(now, reading(now, CHANCES), clock(0), start, noise or Scripted())  # type: ignore[no-any-return]


@pytest.mark.parametrize(
    ("settings", "tokens"),
    [
        ({"count": None}, [0, 1, 2, 0, 2]),
        ({"count": 1}, [0, 0, 2, 1, 2]),
        ({"count": 2}, [0, 1, 2, 1, 2]),
        ({"count": None, "threshold": 0.6}, [0, 1, 2, 1, 2]),
        ({"count": None, "threshold": 0.65}, [0, 0, 2, 1, 2]),
        ({"count": None, "margin": 0.03}, [0, 1, 2, 1, 2]),  # log(.45 / .44) = .022
        ({"count": None, "margin": 0.6}, [0, 0, 2, 1, 2]),  # log(.60 / .35) = .539
        ({"count": None, "margin": 1.3}, [1, 0, 2, 1, 2]),  # log(.70 / .20) = 1.253
        ({"count": None, "threshold": 0.99}, [1, 0, 2, 1, 2]),
    ],
)
def test_a_token_gives_way_to_one_that_is_probable_and_better_enough(settings: Any, tokens: list[int]) -> None:
    move = moved(Edit(FILL, **settings))
    assert move.tokens.tolist() == move.answer.tolist() == [tokens]
    assert move.wake.tolist() == [NEVER if tokens == [1, 0, 2, 1, 2] else 1]


def test_blanks_are_filled_and_the_rest_is_edited_early_or_later() -> None:
    now = canvas([[1, 0, 2, MASK, MASK]], given=(2,))
    assert moved(Edit(FILL), now).tokens.tolist() == [[1, 0, 2, MASK, 2]]
    early = moved(Edit(FILL, count=None, early=True), now)
    assert early.tokens.tolist() == [[0, 1, 2, MASK, 2]]
    assert early.wake.tolist() == [1]


def test_the_last_blank_does_not_settle_a_canvas_that_is_still_to_be_edited() -> None:
    now = canvas([[0, 1, 2, MASK, 2]], given=(2,))
    assert moved(FILL, now, memory=()).wake.tolist() == [NEVER]
    assert moved(Edit(FILL), now).wake.tolist() == [1]


def test_a_drawn_token_need_not_be_better_where_there_is_no_margin() -> None:
    """GIDD's self-correction: drawn sharply, the likeliest of those that differ replaces."""
    noise = Scripted(drawn=[2, 1, 0, 0, 1])
    policy = Edit(FILL, margin=-math.inf, temperature=0.5)
    assert moved(policy, noise=noise).tokens.tolist() == [[1, 1, 2, 1, 2]]
    assert noise.asked == ["doubt"]
    squared = torch.tensor(CHANCES).double() ** 2
    assert torch.allclose(noise.chances[0], squared / squared.sum(-1, keepdim=True))


def test_drawn_tokens_are_ranked_by_what_they_were_drawn_from() -> None:
    """.42 of two is behind .40 of three once sharpened: .18 / .51 against .16 / .34."""
    now = canvas([[1, 1]])
    says = reading(now, [[0.42, 0.58, 1e-9], [0.40, 0.30, 0.30]])
    policy = Edit(FILL, margin=-math.inf, temperature=0.5)
    start = policy.init(now, clock(-1), Scripted()).memory
    assert policy(now, says, clock(0), start, Scripted(drawn=[0, 0])).tokens.tolist() == [[1, 0]]


def test_an_equally_probable_token_is_no_better() -> None:
    now = canvas([[1]])
    policy = Edit(FILL)
    start = policy.init(now, clock(-1), Scripted()).memory
    move = policy(now, reading(now, [[0.45, 0.45, 0.1]]), clock(0), start, Scripted())
    assert move.tokens.tolist() == [[1]] and move.wake.tolist() == [NEVER]


def test_patience_ends_a_walk_that_agrees_no_better() -> None:
    """Unable to edit by its threshold it would settle; here two tokens swap for ever."""
    swapped = [[0.9, 0.1, 1e-9], [0.1, 0.9, 1e-9]]
    policy, now, wakes = Edit(FILL, count=None, patience=3), canvas([[1, 1]]), []
    memory = policy.init(now, clock(-1), Scripted()).memory
    for index in range(6):
        says = reading(now, swapped if index % 2 else swapped[::-1])
        move = policy(now, says, clock(index), memory, Scripted())
        now, memory = now._replace(tokens=move.tokens), move.memory
        wakes.append(int(move.wake))
    assert wakes == [1, 1, 1, NEVER, NEVER, NEVER]


def test_canvases_with_blanks_try_no_patience() -> None:
    policy, now = Edit(FILL, patience=1), canvas([[MASK] * 5])
    memory = policy.init(now, clock(-1), Scripted()).memory
    for index in range(5):
        move = policy(now, reading(now, CHANCES), clock(index), memory, Scripted())
        now, memory = now._replace(tokens=move.tokens), move.memory
        assert move.wake.tolist() == [1]
    assert (int(memory.stall), float(memory.best)) == (0, -1.0)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_edits_one_at_a_time_climb_to_a_local_mode_of_a_leave_one_out_network(seed: int) -> None:
    joint = random_joint(3, 3, seed)
    climbed = 0
    for start in itertools.product(range(3), repeat=3):
        ends = [
            next(iter(answer_law(Edit(FILL), Oracle(joint), passes, torch.tensor([start])))) for passes in (1, 2, 3, 30)
        ]
        heights = [float(joint[end]) for end in (start, *ends)]
        assert heights == sorted(heights)
        end = ends[-1]
        neighbours = [(*end[:site], token, *end[site + 1 :]) for site in range(3) for token in range(3)]
        assert all(float(joint[each]) <= float(joint[end]) for each in neighbours)
        climbed += end != start
    assert climbed > 15


def test_edits_all_at_once_may_swap_for_ever() -> None:
    """The control: 01 and 10 are each other's edits where 00 and 11 are likely."""
    oracle = Oracle(torch.tensor([[0.45, 0.05], [0.05, 0.45]], dtype=torch.float64))
    at_once = [set(answer_law(Edit(FILL, count=None), oracle, n, torch.tensor([[0, 1]]))) for n in (1, 2, 3, 20)]
    assert at_once == [{(1, 0)}, {(0, 1)}, {(1, 0)}, {(0, 1)}]
    assert set(answer_law(Edit(FILL, count=1), oracle, 20, torch.tensor([[0, 1]]))) == {(1, 1)}


def test_a_network_that_copies_edits_nothing() -> None:
    """What training on masked tokens alone may leave: at a visible token, that token."""
    copied = torch.nn.functional.one_hot(FULL.tokens[0], 3).double() * 0.9 + 0.03
    policy = Edit(FILL, count=None)
    move = policy(FULL, reading(FULL, copied), clock(0), policy.init(FULL, clock(-1), Scripted()).memory, Scripted())
    assert move.tokens.tolist() == FULL.tokens.tolist() and move.wake.tolist() == [NEVER]


def test_what_it_declares() -> None:
    assert facts_of(Edit(FILL)).revises and Edit(FILL).anytime and not Edit(Ordered(confidence)).anytime
    assert facts_of(published.self_correction()).streams == ("token", "doubt")
    assert facts_of(published.token_edit()).streams == ()


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: Edit(FILL, count=0), "count=0: give 1 or more"),
        (lambda: Edit(FILL, threshold=1.1), r"threshold=1\.1 .* 0 to 1"),
        (lambda: Edit(FILL, threshold=math.nan), "threshold=nan"),
        (lambda: Edit(FILL, margin=math.inf), "margin=inf"),
        (lambda: Edit(FILL, margin=math.nan), "margin=nan"),
        (lambda: Edit(FILL, temperature=-1.0), r"temperature=-1\.0"),
        (lambda: Edit(FILL, patience=0), "patience=0: give 1 or more"),
        (lambda: published.token_edit(fill=-1.0), r"threshold=-1\.0"),
        (lambda: published.token_edit(order="luck"), "order='luck'"),
    ],
)
def test_settings_that_mean_nothing_are_refused(make: Any, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        make()
