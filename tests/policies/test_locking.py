"""Laws of the locks: what stood well for long stays until a restart, and nothing else is touched."""

import math
from dataclasses import dataclass
from typing import Any

import pytest
import torch

from dlmreason.canvas import Canvas, Clock, Memory, Move, Noise, Reading
from dlmreason.diffusion.schedules import Linear
from dlmreason.policies.doubt import AtRandom, Doubt, LowestQuality
from dlmreason.policies.facts import check_sound
from dlmreason.policies.gibbs import Gibbs
from dlmreason.policies.locking import Locked
from dlmreason.policies.ordered import Ordered
from dlmreason.policies.posterior import Cap, Posterior
from dlmreason.policies.respond import level, moved, opening
from dlmreason.policies.scores import confidence, mean_log_quality
from dlmreason.policies.wrappers import Episodes, Judged, KeepBest, Restart
from dlmreason.sampling.denoise import Sampler, State
from tests.policies.hand import MASK, Scripted, canvas, clock, reading
from tests.toys import ToySudoku, sudoku_rows

DOUBT = Doubt(AtRandom(4), Ordered(confidence, 2, 1.0))
EVEN = [[1 / 3] * 3] * 5


def states(policy: Any, passes: int = 60, rows: int = 4) -> list[State]:
    sampler = Sampler(policy, ToySudoku(), (passes,), width=rows)
    found = [sampler.init(sudoku_rows(rows))]
    for _ in range(passes):
        found.append(sampler.one_pass(found[-1]))
    return found


@pytest.mark.parametrize("inner", [DOUBT, Gibbs(), Doubt(LowestQuality(4), Ordered(confidence, 1, 1.0))])
def test_a_lock_that_never_closes_is_the_inner_policy_token_for_token(inner: Any) -> None:
    for bare, locked in zip(states(inner), states(Locked(inner, 0.5, 10**6)), strict=True):
        assert torch.equal(bare.answer, locked.answer) and torch.equal(bare.tokens, locked.tokens)
        assert torch.equal(bare.ask.tokens, locked.ask.tokens) and torch.equal(bare.ask.level, locked.ask.level)


@pytest.mark.parametrize(
    "inner", [DOUBT, Gibbs(), Episodes(Posterior(Linear(), Cap(0.3)), 12)], ids=["doubt", "gibbs", "remasking"]
)
def test_what_stood_well_for_long_is_never_rewritten(inner: Any) -> None:
    """Counted here from the readings alone: 0.97 is the quality of a cell without a conflict."""
    sampler = Sampler(Locked(inner, 0.9, 3), ToySudoku(), (80,), width=4)
    state = sampler.init(sudoku_rows(4))
    good = torch.zeros_like(state.tokens)
    seen = 0
    for _ in range(80):
        before, asked = state.tokens, state.ask
        shown = (asked.tokens == before) & (before != 4)
        quality = sampler.denoiser(asked, state.rows.features).quality
        assert quality is not None
        good = torch.where(shown, torch.where(quality >= 0.9, good + 1, 0), good)
        locked = (good >= 3) & state.rows.editable
        state = sampler.one_pass(state)
        assert torch.equal(state.tokens[locked], before[locked])
        assert torch.equal(state.ask.tokens[locked], before[locked])
        good = torch.where(state.tokens == before, good, 0)
        seen += int(locked.sum())
    assert seen > 100


@dataclass(frozen=True)
class RewritesAll:
    """Leaves the canvas as it is but at the passes `at`, where it rewrites whatever it may."""

    at: tuple[int, ...]
    anytime = True

    def init(self, canvas: Canvas, clock: Clock, noise: Noise) -> Move:
        return opening(canvas)

    def __call__(self, canvas: Canvas, reading: Reading, clock: Clock, memory: Memory, noise: Noise) -> Move:
        now = canvas.editable & (int(clock.index) in self.at)
        return moved(canvas, reading, torch.where(now, (canvas.tokens + 1) % 3, canvas.tokens))


@pytest.mark.parametrize(("passes", "rewritten"), [(1, [0]), (2, [0, 2]), (3, [0, 1, 2]), (4, [0, 1, 2, 3])])
def test_a_lock_closes_after_good_readings_in_a_row(passes: int, rewritten: list[int]) -> None:
    """At the fourth reading four cells were good for 0, 2, 1 and 3 in a row, and what is given stays anyway."""
    full = canvas([[0, 1, 2, 0, 1]], given=(4,))
    policy, noise = Locked(RewritesAll((3,)), 0.8, passes), Scripted()
    move = policy.init(full, clock(-1), noise)
    qualities = ([0.9, 0.1, 0.9, 0.1], [0.9, 0.7, 0.9, 0.8], [0.9, 0.8, 0.1, 0.9], [0.79, 0.9, 0.8, 0.9])
    for index, quality in enumerate(qualities):
        move = policy(full, reading(full, EVEN, [*quality, 0.99]), clock(index), move.memory, noise)
    assert (move.tokens != full.tokens)[0].nonzero()[:, 0].tolist() == rewritten
    assert int(policy.init(full, clock(-1), noise).memory.sure.sum()) == 0  # a restart outside unlocks all


def test_a_token_written_anew_has_to_stand_anew() -> None:
    policy, noise, now = Locked(RewritesAll((1, 3, 6)), 0.8, 3), Scripted(), canvas([[0, 1, 2, 0, 1]])
    memory, written = policy.init(now, clock(-1), noise).memory, []
    for index in range(7):
        move = policy(now, reading(now, EVEN, [0.9] * 5), clock(index), memory, noise)
        written.append(bool((move.tokens != now.tokens).all()))
        now, memory = now._replace(tokens=move.tokens), move.memory
    assert written == [False, True, False, True, False, False, False]


def test_a_locked_token_counts_as_written_in_the_level() -> None:
    full = canvas([[0, 1, 2, 0, 1]], given=(3, 4))
    policy = Locked(Doubt(AtRandom(4), Ordered(confidence, 4)), 0.8, 1)
    memory = policy.init(full, clock(-1), Scripted()).memory
    move = policy(full, reading(full, EVEN, [0.9, 0.1, 0.1, 0.1, 0.1]), clock(0), memory, Scripted())
    assert move.tokens.tolist() == [[0, MASK, MASK, 0, 1]]
    assert float(move.ask.level) == float(level(move.tokens, full)) == pytest.approx(1 / 3)


def test_the_judge_stands_outside_and_a_restart_unlocks() -> None:
    onion = KeepBest(Restart(Judged(Locked(DOUBT, 0.9, 2), mean_log_quality), 2))
    closed = [(state.memory.inner.inner.sure >= 2) & state.rows.editable for state in states(onion, 120)[1:]]
    counts = torch.stack([each.sum(-1) for each in closed])  # [T, B]
    assert (counts > 4).any() and ((counts[:-1] > 4) & (counts[1:] == 0)).any()


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: Locked(DOUBT, 0.0, 2), r"quality=0\.0: .* above 0 and at most 1"),
        (lambda: Locked(DOUBT, math.nan, 2), "quality=nan"),
        (lambda: Locked(DOUBT, 0.9, 0), "passes=0: .* 1 reading or more"),
        (lambda: Locked(Judged(DOUBT, mean_log_quality), 0.9, 2), "Locked hides .*put the judge outside it"),
    ],
)
def test_what_cannot_be_sound_is_refused(make: Any, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        make()
    with pytest.raises(ValueError, match="network with a quality head"):
        check_sound(Locked(DOUBT, 0.9, 2), quality=False)
