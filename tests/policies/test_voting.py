"""Laws of the vote: plurality when all count alike, the last answer when only it counts, constant memory between."""

from collections import Counter, defaultdict
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dlmreason.canvas import Canvas, Clock, Memory, Move, Noise, Policy, Reading
from dlmreason.policies.doubt import AtRandom, Doubt, LowestQuality
from dlmreason.policies.ordered import Ordered
from dlmreason.policies.respond import moved, opening
from dlmreason.policies.scores import confidence, whole
from dlmreason.policies.voting import Vote
from dlmreason.policies.wrappers import Judged, Restart
from dlmreason.sampling.denoise import Sampler
from tests.policies.hand import Scripted, canvas, clock, reading
from tests.toys import ToySudoku, sudoku_rows

SPREAD = (0, 1, 2, 1, 0, 0, 2, 2, 1, 2, 2, 0, 1)


@dataclass(frozen=True)
class Says:
    """Answers with numbers given by pass, in base 3 over three cells."""

    numbers: tuple[int, ...]
    anytime = True

    def init(self, canvas: Canvas, clock: Clock, noise: Noise) -> Move:
        return opening(canvas)

    def __call__(self, canvas: Canvas, reading: Reading, clock: Clock, memory: Memory, noise: Noise) -> Move:
        return moved(canvas, reading, torch.tensor([digits(self.numbers[int(index)]) for index in clock.index]))


def digits(number: int) -> list[int]:
    return [number // 9, number // 3 % 3, number % 3]


def elected(policy: Vote) -> list[tuple[int, float]]:
    """(the number elected, its score) after each pass."""
    assert isinstance(policy.inner, Says)
    now = canvas([[3, 3, 3]])
    move, found = policy.init(now, clock(-1), Scripted()), []
    for index in range(len(policy.inner.numbers)):
        said = reading(now._replace(tokens=move.ask.tokens), [[1 / 3] * 3] * 3)
        move = policy(now, said, clock(index), move.memory, Scripted())
        first, second, third = move.answer[0].tolist()
        found.append((9 * first + 3 * second + third, float(move.score)))
    return found


def counted(numbers: tuple[int, ...], decay: float) -> list[tuple[int, float]]:
    """The same by a table without a bound: most weight, the earliest of equals, and its share."""
    found, weight = [], defaultdict[int, float](float)
    for number in numbers:
        for other in weight:
            weight[other] *= decay
        weight[number] += 1
        best = max(weight, key=lambda each: weight[each])
        found.append((best, weight[best] / sum(weight.values())))
    return found


ANSWERS = st.lists(st.integers(0, 7), min_size=1, max_size=40).map(tuple)


@given(ANSWERS)
@settings(max_examples=40, deadline=None)
def test_equal_votes_elect_the_plurality(numbers: tuple[int, ...]) -> None:
    said = elected(Vote(Says(numbers), decay=1.0, places=8))
    assert said == counted(numbers, 1.0)
    votes = Counter(numbers)
    assert votes[said[-1][0]] == max(votes.values())
    assert said[-1][1] == max(votes.values()) / len(numbers)


@pytest.mark.parametrize("decay", [0.3, 0.5, 0.9])
def test_a_vote_fades_with_each_reading(decay: float) -> None:
    numbers = SPREAD * 3
    said, right = elected(Vote(Says(numbers), decay, 3)), counted(numbers, decay)
    assert [number for number, _ in said] == [number for number, _ in right]
    assert [share for _, share in said] == pytest.approx([share for _, share in right], abs=1e-12)
    assert [number for number, _ in said] != [number for number, _ in counted(numbers, 1.0)]


@given(ANSWERS)
@settings(max_examples=20, deadline=None)
def test_all_weight_on_the_last_pass_is_the_last_answer(numbers: tuple[int, ...]) -> None:
    for places in (1, 2, 8):
        assert elected(Vote(Says(numbers), decay=0.0, places=places)) == [(number, 1.0) for number in numbers]


def test_all_weight_on_the_last_pass_is_the_inner_policy_token_for_token() -> None:
    doubt = Doubt(LowestQuality(4), Ordered(confidence, 2, 1.0))
    rungs = tuple(range(1, 80))
    ends = [Sampler(policy, ToySudoku(), rungs, width=4).run(sudoku_rows(4)) for policy in (doubt, Vote(doubt, 0.0))]
    for bare, voted in zip(*ends, strict=True):
        assert torch.equal(bare.answers, voted.answers) and torch.equal(bare.canvases, voted.canvases)


@given(ANSWERS, st.integers(2, 4))
@settings(max_examples=60, deadline=None)
def test_an_answer_with_more_than_its_place_in_the_votes_is_never_lost(numbers: tuple[int, ...], places: int) -> None:
    policy = Vote(Says(numbers), 1.0, places)
    now = canvas([[3, 3, 3]])
    move = policy.init(now, clock(-1), Scripted())
    for index in range(len(numbers)):
        move = policy(now, reading(now, [[1 / 3] * 3] * 3), clock(index), move.memory, Scripted())
        kept = {tuple(row) for row in move.memory.answers[0].tolist()}
        frequent = [each for each, votes in Counter(numbers[: index + 1]).items() if votes > (index + 1) / places]
        assert all(tuple(digits(each)) in kept for each in frequent)
        assert float(move.memory.weight.sum()) == index + 1


def test_memory_does_not_grow_with_the_passes() -> None:
    policy = Vote(Says(SPREAD * 8), 1.0, 5)
    now = canvas([[3, 3, 3]])
    move = policy.init(now, clock(-1), Scripted())
    for index in range(100):
        move = policy(now, reading(now, [[1 / 3] * 3] * 3), clock(index), move.memory, Scripted())
        assert move.memory.answers.shape == (1, 5, 3) and move.memory.weight.shape == (1, 5)


def decodes(enough: int | None, places: int = 64) -> Policy:
    decode = Doubt(AtRandom(0), Ordered(confidence, 2, 1.0))
    return Vote(Restart(Judged(decode, whole), 0), places=places, judged=True, enough=enough)


def test_decodes_vote_once_each_when_they_are_whole() -> None:
    """Against the answers counted in the trace of the restarts themselves, which draw the same."""
    rungs = tuple(range(1, 120))
    alone = Restart(Judged(Doubt(AtRandom(0), Ordered(confidence, 2, 1.0)), whole), 0)
    ends = [Sampler(policy, ToySudoku(), rungs, width=3).run(sudoku_rows(3)) for policy in (alone, decodes(None))]
    for bare, voted in zip(*ends, strict=True):
        assert torch.equal(bare.canvases, voted.canvases)
        votes, earlier = Counter[tuple[int, ...]](), False
        for said, score, elected_now in zip(bare.answers[0], bare.scores[0], voted.answers[0], strict=True):
            if score == 0:
                votes[tuple(said.tolist())] += 1
            if votes:
                earlier = True
                assert votes[tuple(elected_now.tolist())] == max(votes.values())
        assert earlier and len(votes) > 1


def test_a_vote_settles_when_an_answer_has_enough() -> None:
    rungs = tuple(range(1, 400))
    for state in Sampler(decodes(2), ToySudoku(), rungs, width=3).run(sudoku_rows(3)):
        assert int(state.nfe) < 399
        assert torch.equal(state.answers[0, -1], state.canvases[0, -1])


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: Vote(Says(()), enough=0), "enough=0 is the weight"),
        (lambda: Vote(Says(()), judged=True), "Vote"),
        (lambda: Vote(Says(()), decay=1.01), r"decay=1\.01: .* from 0"),
        (lambda: Vote(Says(()), decay=float("nan")), "decay=nan"),
        (lambda: Vote(Says(()), places=0), "places=0: .* at least 1 answer"),
    ],
)
def test_settings_that_mean_nothing_are_refused(make: Any, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        make()
    assert not Vote(Ordered(confidence)).anytime and Vote(Ordered(confidence, 2)).anytime
