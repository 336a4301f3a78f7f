"""Laws of the wrappers on a policy written by hand: who is kept, when it begins again, what a certificate costs."""

import math
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from torch import Tensor

from dlmreason.canvas import NEVER, Canvas, Clock, Move, Noise, Reading
from dlmreason.policies.facts import Facts
from dlmreason.policies.ordered import Ordered
from dlmreason.policies.respond import moved, opening
from dlmreason.policies.scores import confidence, mean_log_quality
from dlmreason.policies.wrappers import Certify, Episodes, Judged, KeepBest, Restart
from tests.policies.hand import MASK, Scripted, canvas, clock, reading

EVEN = [[1 / 3] * 3] * 4
FULL = canvas([[0, 1, 2, 0]], given=(3,))


@dataclass(frozen=True)
class Told:
    """Writes its pass into the first cell, and scores it as it is told to. Memory: how often it was called."""

    scores: tuple[float, ...]

    @property
    def anytime(self) -> bool:
        return True

    @property
    def facts(self) -> Facts:
        return Facts(judged=True)

    def init(self, canvas: Canvas, clock: Clock, noise: Noise) -> Move:
        return opening(canvas, torch.zeros(len(canvas.tokens), dtype=torch.int64))

    def __call__(self, canvas: Canvas, reading: Reading, clock: Clock, memory: Tensor, noise: Noise) -> Move:
        tokens = canvas.tokens.clone()
        tokens[:, 0] = clock.index % 3
        score = torch.tensor([self.scores[int(index)] for index in clock.index], dtype=torch.float64)
        return moved(canvas, reading, tokens, memory + 1)._replace(score=score)


def walked(policy: Any, passes: int, noise: Any = None) -> list[Move]:
    """The moves of one row from `FULL`."""
    noise, now = noise or Scripted(coins=[True]), FULL
    move = policy.init(now, clock(-1), noise)
    moves = []
    for index in range(passes):
        read = reading(now._replace(tokens=move.ask.tokens), EVEN)
        now = now._replace(tokens=torch.where(now.editable, move.tokens, now.tokens))
        move = policy(now, read, clock(index), move.memory, noise)
        moves.append(move)
    return moves


def test_the_best_is_kept_the_first_of_equals_and_anything_before_it_is_judged() -> None:
    scores = (-math.inf, -math.inf, -3.0, -4.0, -3.0, -math.inf, -1.0, -2.0)
    moves = walked(KeepBest(Told(scores)), 8)
    assert [float(move.score) for move in moves] == [-math.inf, -math.inf, -3, -3, -3, -3, -1, -1]
    assert [int(move.answer[0, 0]) for move in moves] == [0, 1, 2, 2, 2, 2, 0, 0]
    assert [int(move.tokens[0, 0]) for move in moves] == [index % 3 for index in range(8)]  # the walk goes on as it was


@pytest.mark.parametrize(
    ("patience", "restarts"),
    [(0, [1, 2, 4, 5, 6, 7]), (1, [2, 5, 7]), (2, [4, 7]), (3, [5]), (4, [6]), (5, [7]), (6, [])],
)
def test_it_begins_again_after_so_many_judged_answers_without_a_better_one(patience: int, restarts: list[int]) -> None:
    """Unjudged answers do not count, an equal one is not better, and the best is that since the last beginning."""
    scores = (-math.inf, -3.0, -4.0, -math.inf, -3.0, -5.0, -6.0, -7.0)
    moves = walked(Restart(Told(scores), patience), 8)
    erased = [index for index, move in enumerate(moves) if bool((move.tokens[:, :3] == MASK).all())]
    assert erased == restarts
    for index in erased:
        assert moves[index].tokens[0, 3] == 0  # what is given is not erased
        assert moves[index].memory.inner.tolist() == [0]  # the inner policy begins anew
        assert int(moves[index].answer[0, 0]) == index % 3  # and what it said last still stands
        assert float(moves[index].score) == scores[index]


def test_a_restart_erases_each_token_with_its_share() -> None:
    noise = Scripted(coins=[True, False, True, True])
    (move,) = walked(Restart(Told((-1.0,)), 0, share=0.3), 1, noise)
    assert noise.asked == ["restart"]
    assert noise.chances.tolist() == [[0.3] * 4]
    assert move.tokens.tolist() == [[MASK, 1, MASK, 0]]


def test_a_restart_undoes_the_doubt_of_its_own_pass() -> None:
    @dataclass(frozen=True)
    class Doubting(Told):
        def __call__(self, canvas: Canvas, reading: Reading, clock: Clock, memory: Tensor, noise: Noise) -> Move:
            taken = torch.where(torch.arange(4) == 1, MASK, canvas.tokens)
            return moved(canvas, reading, taken, memory)._replace(score=torch.zeros(1).double())

    (move,) = walked(Restart(Doubting((0.0,)), 0, share=0.5), 1, Scripted(coins=[True, False, False, False]))
    assert move.tokens.tolist() == [[MASK, 1, 2, 0]]


def test_episodes_have_a_clock_of_their_own_and_begin_from_blanks() -> None:
    seen: list[int] = []

    @dataclass(frozen=True)
    class Noted(Told):
        def __call__(self, canvas: Canvas, reading: Reading, clock: Clock, memory: Tensor, noise: Noise) -> Move:
            seen.append(int(clock.index))
            return moved(canvas, reading, torch.where(canvas.masked, 0, canvas.tokens), memory)

    moves = walked(Episodes(Noted((0.0,)), 3), 7)
    assert seen == [0, 1, 2, 0, 1, 2, 0]
    blank = [bool(move.tokens[0, :3].eq(MASK).all()) for move in moves]
    assert blank == [False, False, True, False, False, True, False]
    assert all(MASK not in move.answer[0].tolist() for move in moves)


def test_an_episode_that_settles_early_makes_room_at_once() -> None:
    moves = walked(Episodes(Ordered(confidence, count=9), 5), 4)
    assert [move.wake.item() for move in moves] == [1] * 4
    assert all(bool(move.tokens[0, :3].eq(MASK).all()) for move in moves)


def test_a_judge_speaks_only_of_the_answer_that_was_read() -> None:
    quality = [0.5, 0.25, 0.125, 0.001]  # the last is given
    judged = Judged(Told((0.0, 0.0)), mean_log_quality)
    same = judged(FULL, reading(FULL, EVEN, quality), clock(0), torch.zeros(1).long(), Scripted())
    assert float(same.score) == pytest.approx(math.log(0.25))  # the mean of log 1/2, 1/4 and 1/8
    other = judged(FULL, reading(FULL, EVEN, quality), clock(1), torch.zeros(1).long(), Scripted())
    assert float(other.score) == -math.inf


@dataclass(frozen=True)
class Still(Told):
    """Never moves, and scores itself -1."""

    def __call__(self, canvas: Canvas, reading: Reading, clock: Clock, memory: Tensor, noise: Noise) -> Move:
        return moved(canvas, reading, canvas.tokens, memory + 1)._replace(score=torch.full((1,), -1.0).double())


def certified(bar: float, back: list[int], passes: int, tests: int = 2) -> list[Move]:
    """The moves of a certificate over a canvas that stays, the network writing `back` wherever something is hidden."""
    policy, noise, now = Certify(Still((-1.0,)), bar, tests), Scripted(coins=[True, False, True, True]), FULL
    chances = torch.nn.functional.one_hot(torch.tensor(back), 3).double() * 0.97 + 0.01
    move, moves = policy.init(canvas([[MASK] * 3 + [0]], given=(3,)), clock(-1), noise), []
    for index in range(passes):
        read = reading(now._replace(tokens=move.ask.tokens if index else now.tokens), chances)
        move = policy(now, read, clock(index), move.memory, noise)
        moves.append(move)
    return moves


def test_an_answer_that_comes_back_from_every_test_settles() -> None:
    moves = certified(-2.0, [0, 1, 2, 0], 3)
    assert [move.wake.item() for move in moves] == [1, 1, NEVER]
    for test in moves[:2]:
        assert test.ask.tokens.tolist() == [[MASK, 1, MASK, 0]]  # a question, asked of a copy
        assert test.tokens.tolist() == FULL.tokens.tolist()
    assert moves[-1].answer.tolist() == FULL.tokens.tolist()


def test_an_answer_that_does_not_come_back_is_not_tested_twice() -> None:
    moves = certified(-2.0, [1, 1, 2, 0], 6)
    assert all(move.wake.item() == 1 for move in moves)
    asked = [bool((move.ask.tokens == MASK).any()) for move in moves]
    assert asked == [True] + [False] * 5


def test_an_answer_below_the_bar_is_not_tested() -> None:
    for move in certified(-0.5, [0, 1, 2, 0], 3):
        assert move.wake.item() == 1
        assert move.ask.tokens.tolist() == FULL.tokens.tolist()
