"""Laws of the early exits: when they are sure, what they fill, and that they never fire where nothing was asked."""

import math
from dataclasses import dataclass
from typing import Any

import pytest
import torch

from dlmreason.canvas import NEVER, Canvas, Clock, Memory, Move, Noise, Reading
from dlmreason.policies.doubt import Doubt, LowestQuality
from dlmreason.policies.exits import FixedPoint, Prophet
from dlmreason.policies.ordered import Ordered
from dlmreason.policies.respond import moved, opening
from dlmreason.policies.scores import confidence, mean_log_max
from dlmreason.policies.wrappers import Judged, KeepBest
from dlmreason.sampling.denoise import Sampler
from tests.policies.hand import MASK, Scripted, canvas, clock, reading
from tests.toys import ToySudoku, sudoku_rows


@dataclass(frozen=True)
class Waits:
    """Leaves the canvas as it is and scores what it would say -1."""

    anytime = True

    def init(self, canvas: Canvas, clock: Clock, noise: Noise) -> Move:
        return opening(canvas)

    def __call__(self, canvas: Canvas, reading: Reading, clock: Clock, memory: Memory, noise: Noise) -> Move:
        return moved(canvas, reading, canvas.tokens)._replace(score=torch.full((1,), -1.0).double())


def sure_of(token: int, chance: float = 0.998) -> list[float]:
    return [chance if each == token else (1 - chance) / 2 for each in range(3)]


def exits(policy: Any, tokens: list[int], said: list[list[list[float]]], read: list[int] | None = None) -> list[Move]:
    """Moves over a canvas that stays; `read`: a probe that was read instead of it."""
    now = canvas([tokens])
    move, moves = policy.init(now, clock(-1), Scripted()), []
    for index, chances in enumerate(said):
        of = now if read is None else now._replace(tokens=torch.tensor([read]))
        move = policy(now, reading(of, chances), clock(index), move.memory, Scripted())
        moves.append(move)
    return moves


def settled(moves: list[Move]) -> list[bool]:
    return [bool(move.wake == NEVER) for move in moves]


HALF = [MASK, 1, MASK]


def entropy_of(chances: list[float]) -> float:
    return -sum(chance * math.log(chance) for chance in chances)


@pytest.mark.parametrize("patience", [1, 2, 3])
def test_it_settles_after_so_many_further_readings_alike(patience: int) -> None:
    said = [[sure_of(0), sure_of(2), sure_of(0)]] + [[sure_of(0), sure_of(2), sure_of(2)]] * 5
    moves = exits(FixedPoint(Waits(), patience, 0.1), HALF, said)
    assert settled(moves) == [index > patience for index in range(6)]
    assert moves[-1].tokens.tolist() == moves[-1].answer.tolist() == [[0, 1, 2]]
    assert float(moves[-1].score) == -math.inf  # nobody has read it yet


def test_a_reading_of_something_else_begins_the_count_anew() -> None:
    a, b = [sure_of(0)] * 3, [sure_of(1)] * 3
    assert settled(exits(FixedPoint(Waits(), 2, 0.1), HALF, [a, a, b, b, a, a, a])) == [False] * 6 + [True]


def test_the_entropy_is_the_mean_over_the_blanks_and_the_bound_is_strict() -> None:
    said = [[sure_of(0, 0.9), sure_of(1, 0.4), sure_of(2, 0.99)]] * 2
    mean = (entropy_of(sure_of(0, 0.9)) + entropy_of(sure_of(2, 0.99))) / 2  # what stands was not asked
    assert settled(exits(FixedPoint(Waits(), 1, mean + 1e-9), HALF, said)) == [False, True]
    assert settled(exits(FixedPoint(Waits(), 1, mean - 1e-9), HALF, said)) == [False, False]


def test_a_full_canvas_gives_itself_back_and_that_says_nothing() -> None:
    said = [[sure_of(0)] * 3] * 4
    assert settled(exits(FixedPoint(Waits(), 1, 9.0), [0, 1, 2], said)) == [False] * 4
    assert settled(exits(Prophet(Waits(), (0.0,)), [0, 1, 2], said)) == [False] * 4


def test_the_reply_to_a_probe_is_another_question() -> None:
    said = [[sure_of(0)] * 3] * 4
    assert settled(exits(FixedPoint(Waits(), 1, 9.0), [0, 1, 2], said, read=HALF)) == [False] * 4
    assert settled(exits(Prophet(Waits(), (0.0,)), HALF, said, read=[MASK, MASK, MASK])) == [False] * 4


@pytest.mark.parametrize(("chance", "last"), [(0.998, True), (0.5, False)])
def test_between_two_readings_that_count_others_change_nothing(chance: float, last: bool) -> None:
    """Neither is the count lost, nor does a reading without a blank, which is never unsure, end an unsure row."""
    policy, now = FixedPoint(Waits(), 2, 0.1), canvas([HALF])
    moves, memory = [], policy.init(now, clock(-1), Scripted()).memory
    for index, read in enumerate((HALF, HALF, [0, 1, 2], HALF, [0, 1, 2])):
        said = reading(now._replace(tokens=torch.tensor([read])), [sure_of(0, chance)] * 3)
        move = policy(now, said, clock(index), memory, Scripted())
        memory = move.memory
        moves.append(move)
    assert settled(moves) == [False, False, False, last, False]


def gap(size: float) -> list[float]:
    """Chances whose two highest logits are `size` apart."""
    weights = [1.0, math.exp(-size), math.exp(-size - 1)]
    return [weight / sum(weights) for weight in weights]


@pytest.mark.parametrize(
    ("written", "bar"), [(0, 7.5), (1, 7.5), (2, 7.5), (3, 5.0), (4, 5.0), (5, 5.0), (6, 2.5), (8, 2.5)]
)
def test_the_further_the_smaller_a_gap_is_enough(written: int, bar: float) -> None:
    """Of nine positions: thirds of the way."""
    tokens = [1] * written + [MASK] * (9 - written)
    for size, over in ((bar + 1e-6, True), (bar - 1e-6, False)):
        moves = exits(Prophet(Waits()), tokens, [[gap(0.01)] * written + [gap(size)] * (9 - written)])
        assert settled(moves) == [over]
    assert moves[0].answer.tolist() == [[1] * written + [0] * (9 - written)]


def test_the_gap_is_the_mean_over_the_blanks() -> None:
    said = [[gap(1.0), gap(50.0), gap(9.0)]]
    assert settled(exits(Prophet(Waits(), (5.0 - 1e-9,)), HALF, said)) == [True]
    assert settled(exits(Prophet(Waits(), (5.0 + 1e-9,)), HALF, said)) == [False]


@pytest.mark.parametrize("off", [lambda inner: FixedPoint(inner, 1, 0.0), lambda inner: Prophet(inner, (math.inf,))])
@pytest.mark.parametrize("inner", [Ordered(confidence, 2, 1.0), Doubt(LowestQuality(4), Ordered(confidence, 2, 1.0))])
def test_what_never_exits_is_the_inner_policy_token_for_token(off: Any, inner: Any) -> None:
    rungs = tuple(range(1, 60))
    both = [Sampler(policy, ToySudoku(), rungs, width=4).run(sudoku_rows(4)) for policy in (inner, off(inner))]
    for bare, wrapped in zip(*both, strict=True):
        assert torch.equal(bare.answers, wrapped.answers) and torch.equal(bare.canvases, wrapped.canvases)
        assert int(bare.nfe) == int(wrapped.nfe)


@pytest.mark.parametrize(
    "wrap", [lambda inner: FixedPoint(inner, 1, 0.3), lambda inner: Prophet(inner, (7.0,))], ids=["fixed", "prophet"]
)
def test_an_exit_costs_fewer_passes_and_leaves_no_blank(wrap: Any) -> None:
    inner = Ordered(confidence, 1)
    both = [list(Sampler(each, ToySudoku(), (99,), width=4).run(sudoku_rows(6, 6))) for each in (inner, wrap(inner))]
    spent = [sum(int(state.nfe) for state in states) for states in both]
    assert spent[1] < spent[0]
    for state in both[1]:
        assert int(state.index) >= NEVER // 2
        assert not (state.answer == ToySudoku.mask_id).any() and torch.equal(state.answer, state.tokens)
        assert torch.equal(state.answer[~state.rows.editable], state.rows.tokens[~state.rows.editable])


BEST = KeepBest(Judged(Ordered(confidence, 1), mean_log_max))


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: FixedPoint(Waits(), 0), "patience=0: .* 1 further reading"),
        (lambda: FixedPoint(Waits(), 1, -0.1), r"entropy=-0\.1 .* in nats"),
        (lambda: FixedPoint(Waits(), 1, math.nan), "entropy=nan"),
        (lambda: Prophet(Waits(), ()), r"bars=\(\): .* at least one"),
        (lambda: Prophet(Waits(), (1.0, -1.0)), "a gap of 0 or more"),
        (lambda: Prophet(BEST), r"Prophet settles .*put the judge outside it, Judged\(Prophet\(policy\), score\)"),
        (lambda: FixedPoint(BEST), "FixedPoint settles .*put the judge outside it"),
    ],
)
def test_settings_that_mean_nothing_are_refused(make: Any, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        make()
    assert KeepBest(Judged(Prophet(Ordered(confidence, 1)), mean_log_max)).anytime
    assert not FixedPoint(Ordered(confidence)).anytime and Prophet(Ordered(confidence, 1)).anytime


def test_left_alone_they_are_as_published() -> None:
    assert FixedPoint(Waits()) == FixedPoint(Waits(), 1, 0.005)
    assert Prophet(Waits()) == Prophet(Waits(), (7.5, 5.0, 2.5))
