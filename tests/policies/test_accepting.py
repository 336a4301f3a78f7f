"""Laws of going back: the exact Metropolis law, and a return to the very state of before, carry and memory too."""

import math
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._pytree import tree_leaves

from dlmreason.canvas import Ask, Canvas, Clock, Memory, Move, Noise, Policy, Reading
from dlmreason.policies.accepting import Accept
from dlmreason.policies.doubt import Doubt, LowestQuality
from dlmreason.policies.facts import Facts
from dlmreason.policies.ordered import Ordered
from dlmreason.policies.respond import moved, opening
from dlmreason.policies.scores import confidence, mean_log_max, mean_log_quality
from dlmreason.policies.wrappers import Episodes, Judged, Restart
from dlmreason.sampling.denoise import Sampler
from tests.policies.hand import MASK, Scripted
from tests.policies.laws import answer_law, from_joint, total_variation
from tests.policies.test_wrappers import Told, walked
from tests.toys import JOINT, Oracle, ToySudoku, random_joint, sudoku_rows


@dataclass(frozen=True)
class Shift:
    """Proposes the canvas with one random site one token up or down: a symmetric walk over whole canvases."""

    values: int

    @property
    def anytime(self) -> bool:
        return True

    @property
    def facts(self) -> Facts:
        return Facts(streams=("site", "order"), revises=True)

    def init(self, canvas: Canvas, clock: Clock, noise: Noise) -> Move:
        return opening(canvas)

    def __call__(self, canvas: Canvas, reading: Reading, clock: Clock, memory: Memory, noise: Noise) -> Move:
        even = torch.zeros(canvas.tokens.shape, dtype=torch.float64)
        up = noise.coin(torch.full((len(even), 1), 0.5, dtype=torch.float64), "order")
        other = (canvas.tokens + torch.where(up, 1, -1)) % self.values
        shifted = torch.where(noise.rank(even, "site") == 0, other, canvas.tokens)
        return moved(canvas, reading, shifted)._replace(answer=canvas.tokens)


def walk(joint: Tensor, temperature: float) -> Policy:
    """A walk over the cells of `joint`, scored by their log-probability."""

    def log_joint(canvas: Canvas, reading: Reading, answer: Tensor) -> Tensor:
        return torch.stack([joint[tuple(row)].log() for row in answer.tolist()])

    return Accept(Judged(Shift(joint.shape[0]), log_joint), temperature)


@pytest.mark.parametrize(
    ("joint", "temperature"),
    [(JOINT, 1.0), (JOINT, 0.5), (JOINT, 2.0), (random_joint(3, 3), 0.5)],
    ids=["two", "two cold", "two hot", "three cold"],
)
def test_one_proposal_leaves_the_tempered_law_invariant(joint: Tensor, temperature: float) -> None:
    """The first pass reads a canvas of the law, the second what was proposed: the answer is the kept one."""
    law = joint ** (1 / temperature)
    law = law / law.sum()
    stays = from_joint(walk(joint, temperature), Oracle(joint), 2, law)
    assert sum(stays.values()) == pytest.approx(1, abs=1e-12)
    assert total_variation(stays, law) == pytest.approx(0, abs=1e-12)


def test_the_law_is_of_proposals_and_of_its_temperature() -> None:
    """The controls: at another temperature, and pass by pass, it is another law."""
    assert total_variation(from_joint(walk(JOINT, 2.0), Oracle(JOINT), 2, JOINT), JOINT) > 0.01
    assert total_variation(from_joint(walk(JOINT, math.inf), Oracle(JOINT), 2, JOINT), JOINT) > 0.05
    assert total_variation(from_joint(walk(JOINT, 1.0), Oracle(JOINT), 3, JOINT), JOINT) > 0.01


def test_a_proposal_is_accepted_with_the_metropolis_chance() -> None:
    law = answer_law(walk(JOINT, 1.0), Oracle(JOINT), 2, torch.tensor([[0, 0]]))
    assert law[0, 1] == pytest.approx(0.5 * 0.15 / 0.45, abs=1e-12)
    assert law[1, 0] == pytest.approx(0.5 * 0.05 / 0.45, abs=1e-12)
    assert law[0, 0] == pytest.approx(1 - 0.5 * 0.20 / 0.45, abs=1e-12)
    assert answer_law(walk(JOINT, 0.0), Oracle(JOINT), 2, torch.tensor([[0, 0]])) == {(0, 0): pytest.approx(1)}
    better = answer_law(walk(JOINT, 0.0), Oracle(JOINT), 2, torch.tensor([[0, 1]]))
    assert better == {(0, 0): pytest.approx(0.5), (1, 1): pytest.approx(0.5)}


def test_at_zero_only_what_is_no_worse_is_kept() -> None:
    scores = (-math.inf, -3.0, -4.0, -math.inf, -3.0, -5.0, -2.0, -2.5)
    noise = Scripted(coins=[True])
    moves = walked(Accept(Told(scores), 0.0), 8, _Fair(noise))
    kept = [float(move.memory.kept.score) for move in moves]
    assert kept == [-math.inf, -3, -3, -3, -3, -3, -2, -2]
    assert [float(move.score) for move in moves] == [-math.inf, -3, -math.inf, -math.inf, -3, -math.inf, -2, -math.inf]
    for back in (2, 5, 7):
        assert moves[back].wake.tolist() == [1]
        assert torch.equal(moves[back].answer, moves[back].memory.kept.answer)
    assert moves[7].answer[0, 0] == 6 % 3  # the answer of the pass that was kept


class _Fair(Scripted):
    """A coin that lands on the side that is certain, and on "no" where none is."""

    def __init__(self, noise: Scripted) -> None:
        super().__init__()
        self.seen = noise

    def coin(self, chance: Tensor, stream: str) -> Tensor:
        self.seen.asked.append(stream)
        self.seen.chances = chance
        return chance >= 1


@pytest.mark.parametrize("temperature", [0.25, 1.0, 3.0])
def test_the_chance_is_that_of_the_loss_in_units_of_the_temperature(temperature: float) -> None:
    noise = Scripted()
    walked(Accept(Told((-1.0, -1.75)), temperature), 2, _Fair(noise))
    assert noise.asked == ["accept", "accept"]
    assert float(noise.chances) == pytest.approx(math.exp(-0.75 / temperature), abs=1e-15)


def test_nothing_is_decided_where_nothing_was_judged() -> None:
    for scores in ((-1.0, -math.inf), (-math.inf,)):
        noise = Scripted()
        walked(Accept(Told(scores), 1.0), len(scores), _Fair(noise))
        assert float(noise.chances) == 0


class Carrying(ToySudoku):
    """Hands on a state that depends on all it read."""

    def first_carry(self, rows: int) -> Any:
        return torch.zeros(rows, 16, dtype=torch.float64)

    def __call__(self, ask: Ask, features: Tensor) -> Reading:
        reading = super().__call__(ask, features)
        return reading._replace(carry=0.9 * ask.carry + ask.tokens.double() + 0.1)


@dataclass(frozen=True)
class Counting:
    """Remembers how often it was called, and what it read last."""

    inner: Doubt
    anytime = True

    @property
    def facts(self) -> Facts:
        return self.inner.facts

    def init(self, canvas: Canvas, clock: Clock, noise: Noise) -> Move:
        move = self.inner.init(canvas, clock, noise)
        return move._replace(memory=(torch.zeros_like(clock.index), canvas.tokens))

    def __call__(self, canvas: Canvas, reading: Reading, clock: Clock, memory: Any, noise: Noise) -> Move:
        move = self.inner(canvas, reading, clock, (), noise)
        return move._replace(memory=(memory[0] + 1, reading.of.tokens))


def test_going_back_is_to_the_state_of_before_byte_for_byte() -> None:
    heard: list[float] = []

    def spied(canvas: Canvas, reading: Reading, answer: Tensor) -> Tensor:
        score = mean_log_quality(canvas, reading, answer)
        heard.append(float(score))
        return score

    policy = Accept(Judged(Counting(Doubt(LowestQuality(4), Ordered(confidence, 2, 1.0))), spied), 0.0)
    sampler = Sampler(policy, Carrying(), (400,), seed=5, width=1)
    state = sampler.init(sudoku_rows(1))
    best, there, returns = -math.inf, b"", 0
    for _ in range(400):
        here = b"|".join(leaf.numpy().tobytes() for leaf in tree_leaves((state.tokens, state.ask, state.memory.inner)))
        state = sampler.one_pass(state)
        now = b"|".join(leaf.numpy().tobytes() for leaf in tree_leaves((state.tokens, state.ask, state.memory.inner)))
        if heard[-1] >= best and heard[-1] > -math.inf:
            best, there = heard[-1], here
            assert now != here
        elif heard[-1] > -math.inf:
            returns += 1
            assert now == there
            assert float(state.ask.carry.abs().sum()) > 0
    assert returns > 10
    assert int(state.nfe) == 400


def test_a_restart_forgets_what_was_kept() -> None:
    moves = walked(Restart(Accept(Told((-1.0, -2.0, -3.0, -4.0)), math.inf), 1), 4, Scripted(coins=[True]))
    assert bool((moves[1].tokens[:, :3] == MASK).all())
    assert moves[1].memory.inner.kept.score.item() == -math.inf


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: Accept(Told((0.0,)), -0.1), r"temperature=-0\.1 must be 0 or more"),
        (lambda: Accept(Told((0.0,)), math.nan), "temperature=nan"),
        (lambda: Accept(Doubt(LowestQuality(3), Ordered(confidence, 1)), 1.0), "Accept reads scores"),
        (lambda: Accept(Judged(Ordered(confidence), mean_log_max), 1.0), "put it in Episodes"),
        (lambda: Accept(Accept(Told((0.0,)), 1.0), 1.0), "'accept' is drawn twice"),
    ],
)
def test_what_cannot_be_sound_is_refused(make: Any, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        make()
    assert Accept(Judged(Episodes(Ordered(confidence), 4), mean_log_max), 1.0).anytime
