"""Laws of the gate: each row belongs to one policy at a time, as if the other were not there."""

import math
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from torch import Tensor

from dlmreason.canvas import NEVER, Canvas, Clock, Memory, Move, Noise, Reading
from dlmreason.diffusion.schedules import Linear
from dlmreason.policies.doubt import Doubt, LowestQuality
from dlmreason.policies.facts import check_sound, facts_of
from dlmreason.policies.gating import Gate
from dlmreason.policies.ordered import Ordered
from dlmreason.policies.posterior import Posterior
from dlmreason.policies.respond import moved, opening
from dlmreason.policies.scores import confidence, left_to_right, mean_log_max, mean_log_quality
from dlmreason.policies.wrappers import Episodes, KeepBest
from dlmreason.sampling.denoise import Sampler, State
from tests.policies.laws import answer_law, total_variation
from tests.toys import JOINT, Oracle, ToySudoku, is_valid, sudoku_rows

GREEDY = Ordered(confidence, 4, 1.0)
SLOW = Doubt(LowestQuality(4), Ordered(confidence, 2, 1.0))
ALL_GOOD = math.log(0.97)  # the score of a grid without a conflict


def ends(policy: Any, passes: int = 60, clues: int = 4, rows: int = 8) -> list[State]:
    rungs = tuple(range(1, passes + 1)) if policy.anytime else (passes,)
    found = Sampler(policy, ToySudoku(), rungs, width=4).run(sudoku_rows(rows, clues))
    return sorted(found, key=lambda state: int(state.rows.id))


@pytest.mark.parametrize("first", [GREEDY, Ordered(confidence, 1), Posterior(Linear())], ids=["four", "one", "planned"])
def test_below_every_bar_it_is_the_first_policy_and_one_reading(first: Any) -> None:
    for bare, gated in zip(ends(first, 12), ends(Gate(first, SLOW, mean_log_quality, -math.inf, 12)), strict=True):
        assert torch.equal(bare.answer, gated.answer) and torch.equal(bare.committed, gated.tokens)
        assert int(gated.nfe) == int(bare.nfe) + 1 and int(gated.index) >= NEVER // 2


def test_above_every_bar_it_is_the_second_policy_from_blanks() -> None:
    """Without noise the second writes what it writes alone, later by the passes of the first and one."""
    second, first = Ordered(left_to_right, 3), Ordered(confidence, 16)
    for alone, gated in zip(ends(second, 20), ends(Gate(first, second, mean_log_quality, math.inf, 9)), strict=True):
        assert torch.equal(alone.answers[:, :18], gated.answers[:, 2:20])
        assert int(gated.nfe) == int(alone.nfe) + 2


def test_a_row_settles_just_where_its_first_answer_is_not_doubted() -> None:
    bare = ends(GREEDY, 20, clues=8)
    gated = ends(Gate(GREEDY, SLOW, mean_log_quality, ALL_GOOD - 1e-6, 20), clues=8)
    settled = [int(state.index) >= NEVER // 2 for state in gated]
    assert settled == is_valid(torch.cat([state.answer for state in bare])).tolist()
    assert 0 < sum(settled) < len(settled)
    for stopped, one, both in zip(settled, bare, gated, strict=True):
        assert int(both.nfe) == (int(one.nfe) + 1 if stopped else 60)
        if stopped:
            assert float(both.score) == pytest.approx(ALL_GOOD, abs=1e-6)


def test_the_answer_weighed_is_heard_once_and_stands_until_the_second_speaks() -> None:
    (state,) = ends(Gate(Ordered(confidence, 16, 1.0), SLOW, mean_log_quality, math.inf, 9), rows=1)
    heard = (state.scores[0] > -math.inf).nonzero()[:, 0].tolist()
    assert heard == [1]
    assert torch.equal(state.answers[0, 1], state.answers[0, 0])
    (kept,) = ends(KeepBest(Gate(Ordered(confidence, 16, 1.0), SLOW, mean_log_quality, math.inf, 9)), rows=1)
    assert torch.equal(kept.answers[0, 5], state.answers[0, 0])


@pytest.mark.parametrize("bar", [-math.inf, math.log(0.2), float(JOINT[1, 1].log()), math.inf])
def test_the_law_is_that_of_the_first_where_it_is_trusted_and_of_the_second_elsewhere(bar: float) -> None:
    """Both draw one token a pass, so both have the law of the joint itself; the score is what the joint says."""

    def log_joint(canvas: Canvas, reading: Reading, answer: Tensor) -> Tensor:
        return torch.stack([JOINT[tuple(row)].log() for row in answer.tolist()])

    drawn = Ordered(confidence, 1, 1.0)
    law = answer_law(Gate(drawn, drawn, log_joint, bar, 2), Oracle(JOINT), 5)
    trusted = JOINT.log() >= bar
    mixed = torch.where(trusted, JOINT, 0.0) + (1 - JOINT[trusted].sum()) * JOINT
    assert total_variation(law, mixed) == pytest.approx(0, abs=1e-12)
    assert (total_variation(law, JOINT) > 0.01) == (0 < int(trusted.sum()) < 4)


@dataclass(frozen=True)
class Noted:
    """Writes nothing and notes its clock."""

    seen: list[tuple[int, int | None]]
    anytime: bool
    longest: int = 1

    def init(self, canvas: Canvas, clock: Clock, noise: Noise) -> Move:
        return opening(canvas)._replace(wake=torch.full_like(clock.index, self.longest))

    def __call__(self, canvas: Canvas, reading: Reading, clock: Clock, memory: Memory, noise: Noise) -> Move:
        self.seen.append((int(clock.index[0]), clock.total))
        return moved(canvas, reading, canvas.tokens)._replace(wake=torch.full_like(clock.index, self.longest))


def test_each_policy_counts_its_own_passes() -> None:
    first, second = Noted([], anytime=False), Noted([], anytime=True, longest=3)
    sampler = Sampler(Gate(first, second, mean_log_quality, math.inf, 4), ToySudoku(), (20,), width=1, chunk=1)
    state, marks = sampler.init(sudoku_rows(1)), []
    while int(state.index) < 20:
        index = int(state.index)
        state = sampler.one_pass(state)
        marks.append((index, first.seen[-1], second.seen[-1], int(state.memory.stage)))
    assert [(index, told) for index, told, _, _ in marks[:4]] == [(0, (0, 4)), (1, (1, 4)), (2, (2, 4)), (3, (3, 4))]
    assert [stage for *_, stage in marks[:6]] == [0, 0, 0, 1, 2, 2]
    assert [(index, told) for index, _, told, _ in marks[5:]] == [
        (7, (2, None)), (10, (5, None)), (13, (8, None)), (16, (11, None)), (19, (14, None)),
    ]  # fmt: skip


def test_what_they_need_is_needed_and_streams_may_be_shared() -> None:
    gate = Gate(GREEDY, SLOW, mean_log_max, 0.0, 4)
    assert sorted(facts_of(gate).streams) == ["doubt", "token"]
    with pytest.raises(ValueError, match="network with a quality head"):
        check_sound(gate, quality=False)
    with pytest.raises(ValueError, match="network with a quality head"):
        check_sound(Gate(GREEDY, GREEDY, mean_log_quality, 0.0, 4), quality=False)
    check_sound(Gate(GREEDY, GREEDY, mean_log_max, 0.0, 4), quality=False)
    assert gate.anytime and facts_of(gate).judged and facts_of(gate).revises


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda score: Gate(GREEDY, SLOW, score, 0.0, 0), "passes=0: the first policy has at least 1 pass"),
        (lambda score: Gate(GREEDY, SLOW, score, math.nan, 4), "bar=nan"),
        (lambda score: Gate(GREEDY, Ordered(confidence), score, 0.0, 4), "Gate hands .*put it in Episodes"),
    ],
)
def test_what_cannot_be_sound_is_refused(make: Any, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        make(mean_log_quality)
    assert Gate(GREEDY, Episodes(Ordered(confidence), 4), mean_log_quality, 0.0, 4).anytime
