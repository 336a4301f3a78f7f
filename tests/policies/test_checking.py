"""Laws of cross-checking: the score is a block pseudo-likelihood counted by hand, and each copy costs a pass."""

import itertools
import math
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from torch import Tensor

from dlmreason.canvas import NEVER, Canvas, Clock, Denoiser, Memory, Move, Noise, Policy, Reading
from dlmreason.policies.checking import CrossChecked
from dlmreason.policies.doubt import AtRandom, Doubt
from dlmreason.policies.gibbs import Gibbs
from dlmreason.policies.ordered import Ordered
from dlmreason.policies.respond import moved, opening
from dlmreason.policies.scores import confidence, left_to_right, mean_log_max
from dlmreason.policies.wrappers import Episodes, Judged, KeepBest, Restart
from dlmreason.sampling.denoise import Sampler
from tests.policies.hand import MASK, Scripted, canvas, reading
from tests.policies.laws import answer_law, total_variation
from tests.toys import JOINT, Oracle, ToySudoku, blank_rows, random_joint, sudoku_rows

JOINTS = {"two": JOINT, "three": random_joint(3, 3)}


@dataclass(frozen=True)
class Stays:
    """Leaves the canvas as it is, for ever."""

    anytime = True

    def init(self, canvas: Canvas, clock: Clock, noise: Noise) -> Move:
        return opening(canvas)

    def __call__(self, canvas: Canvas, reading: Reading, clock: Clock, memory: Memory, noise: Noise) -> Move:
        return moved(canvas, reading, canvas.tokens)


def by_hand(joint: Tensor, cell: tuple[int, ...], groups: list[list[int]]) -> float:
    """Sum over groups of log p(each token of the group | the tokens outside it), from the table alone."""
    total = 0.0
    for group in groups:
        outside = [site for site in range(len(cell)) if site not in group]
        agree = [
            other
            for other in itertools.product(range(joint.shape[0]), repeat=len(cell))
            if all(other[site] == cell[site] for site in outside)
        ]
        mass = sum(float(joint[other]) for other in agree)
        for site in group:
            total += math.log(sum(float(joint[other]) for other in agree if other[site] == cell[site]) / mass)
    return total


def walked(policy: Policy, denoiser: Denoiser, start: Canvas, passes: int) -> list[Move]:
    """Moves over a canvas of one's own, each question answered by the denoiser."""
    nothing = torch.zeros(len(start.tokens), start.tokens.shape[1], 0)
    now, moves = start, [policy.init(start, Clock(torch.tensor([-1]), None), Scripted())]
    for index in range(passes):
        said = denoiser(moves[-1].ask, nothing)
        moves.append(policy(now, said, Clock(torch.tensor([index]), None), moves[-1].memory, Scripted()))
        now = now._replace(tokens=torch.where(now.editable, moves[-1].tokens, now.tokens))
    return moves[1:]


@pytest.mark.parametrize("name", JOINTS)
@pytest.mark.parametrize("copies", [1, 2, 3, 50])
def test_the_score_is_the_block_pseudo_likelihood(name: str, copies: int) -> None:
    """Of one group, of every second position, of one group a position, and of more than there are."""
    joint = JOINTS[name]
    count = min(copies, joint.dim())
    groups = [list(range(first, joint.dim(), count)) for first in range(count)]
    for cell in itertools.product(range(joint.shape[0]), repeat=joint.dim()):
        full = Canvas(torch.tensor([cell]), torch.ones(1, len(cell), dtype=torch.bool), (), joint.shape[0])
        moves = walked(CrossChecked(Stays(), copies), Oracle(joint), full, 1 + count)
        assert [float(move.score) for move in moves[:-1]] == [-math.inf] * count
        assert float(moves[-1].score) == pytest.approx(by_hand(joint, cell, groups), abs=1e-12)


def test_on_the_two_token_joint_by_ones_own_hand() -> None:
    """P(00)=.45, P(01)=.15, P(10)=.05, P(11)=.35: at 00, conditionals .45/.50 and .45/.60, marginals .60 and .50."""
    full = Canvas(torch.tensor([[0, 0]]), torch.ones(1, 2, dtype=torch.bool), (), 2)
    pseudo = walked(CrossChecked(Stays(), 2), Oracle(JOINT), full, 3)[-1]
    assert float(pseudo.score) == pytest.approx(math.log(0.45 / 0.50) + math.log(0.45 / 0.60), abs=1e-12)
    at_once = walked(CrossChecked(Stays(), 1), Oracle(JOINT), full, 2)[-1]
    assert float(at_once.score) == pytest.approx(math.log(0.60) + math.log(0.50), abs=1e-12)


@pytest.mark.parametrize(("copies", "cost"), [(1, 1), (2, 2), (3, 3), (4, 3), (9, 3)])
def test_a_judgement_costs_its_copies(copies: int, cost: int) -> None:
    joint = JOINTS["three"]
    decode = Ordered(confidence, count=1)
    sampler = Sampler(CrossChecked(decode, copies), Oracle(joint), (64,), width=1)
    (state,) = sampler.run(blank_rows(1, 3, 3))
    assert int(state.nfe) == 3 + cost and int(state.index) >= NEVER // 2
    groups = [list(range(first, 3, cost)) for first in range(cost)]
    assert float(state.score) == pytest.approx(by_hand(joint, tuple(state.answer[0].tolist()), groups), abs=1e-12)


def test_the_copies_hide_each_open_position_once_and_no_given_one() -> None:
    full = canvas([[0, 1, 2, 0, 1]], given=(0, 3))
    now, policy = full, CrossChecked(Stays(), 2)
    move = policy.init(full, Clock(torch.tensor([-1]), None), Scripted())
    hidden = []
    for index in range(3):
        said = reading(full._replace(tokens=move.ask.tokens), [[0.5, 0.25, 0.25]] * 5)
        move = policy(now, said, Clock(torch.tensor([index]), None), move.memory, Scripted())
        assert torch.equal(move.tokens, full.tokens) and move.wake.tolist() == [1]
        hidden.append((move.ask.tokens[0] == MASK).nonzero()[:, 0].tolist())
    assert hidden == [[2], [1, 4], []]
    assert float(move.score) == pytest.approx(math.log(0.25) * 3, abs=1e-12)


def test_every_row_is_asked_about_its_own_open_positions() -> None:
    """Rows with 1 and with 3 open positions end at different passes."""
    tokens = torch.tensor([[0, 1, 2], [2, 1, 0]])
    editable = torch.tensor([[False, True, False], [True, True, True]])
    rows = Canvas(tokens, editable, (), 3)
    policy, oracle = CrossChecked(Stays(), 3), Oracle(JOINTS["three"])
    move, judged = policy.init(rows, Clock(torch.tensor([-1, -1]), None), Scripted()), []
    for index in range(4):
        said = oracle(move.ask, torch.zeros(2, 3, 0))
        move = policy(rows, said, Clock(torch.tensor([index] * 2), None), move.memory, Scripted())
        judged.append((move.score > -torch.inf).tolist())
    assert judged == [[False, False], [True, False], [False, False], [True, True]]


@pytest.mark.parametrize("inner", [Stays(), Judged(Stays(), mean_log_max)], ids=["unjudged", "judged by another"])
def test_outside_each_judgement_is_heard_once(inner: Policy) -> None:
    moves = walked(CrossChecked(inner, 3), Oracle(JOINTS["three"]), canvas([[0, 1, 2]]), 16)
    assert [index for index, move in enumerate(moves) if move.score > -math.inf] == [3, 7, 11, 15]


@dataclass(frozen=True)
class SaysWhatStands(Stays):
    """Its answer is the canvas, blanks and all."""

    def __call__(self, canvas: Canvas, reading: Reading, clock: Clock, memory: Memory, noise: Noise) -> Move:
        return super().__call__(canvas, reading, clock, memory, noise)._replace(answer=canvas.tokens)


@pytest.mark.parametrize("inner", [Stays(), SaysWhatStands()])
def test_only_an_answer_that_stands_whole_is_asked_about(inner: Policy) -> None:
    moves = walked(CrossChecked(inner, 3), Oracle(JOINTS["three"]), canvas([[0, MASK, 2]]), 5)
    assert all(move.ask.tokens.tolist() == [[0, MASK, 2]] and move.score == -math.inf for move in moves)


def test_what_is_written_greedily_is_the_same_with_its_judge() -> None:
    decode = Ordered(left_to_right, count=3)
    for bare, judged in zip(
        Sampler(decode, ToySudoku(), (99,), width=4).run(sudoku_rows(4)),
        Sampler(CrossChecked(decode, 5), ToySudoku(), (99,), width=4).run(sudoku_rows(4)),
        strict=True,
    ):
        assert torch.equal(bare.answer, judged.answer) and torch.equal(bare.events, judged.events)
        assert int(judged.nfe) == int(bare.nfe) + 5


def test_a_judge_leaves_the_law_of_what_is_drawn() -> None:
    law = answer_law(CrossChecked(Ordered(confidence, 1, 1.0), 2), Oracle(JOINT), 4)
    assert total_variation(law, JOINT) == pytest.approx(0, abs=1e-12)


def test_restarts_and_the_best_by_pseudo_likelihood_find_its_mode() -> None:
    """With no quality head at all."""
    joint = JOINTS["three"]
    cells = list(itertools.product(range(3), repeat=3))
    scores = {cell: by_hand(joint, cell, [[0], [1], [2]]) for cell in cells}
    decode = Doubt(AtRandom(2), Ordered(confidence, 1, 1.0))
    onion = KeepBest(Restart(CrossChecked(decode, 3), 2))
    for state in Sampler(onion, Oracle(joint), (400,), seed=1, width=2).run(blank_rows(2, 3, 3)):
        answer = tuple(state.answer[0].tolist())
        assert answer == max(cells, key=lambda cell: scores[cell])
        assert float(state.score) == pytest.approx(scores[answer], abs=1e-12)


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: CrossChecked(Stays(), 0), "copies=0: .* at least 1 copy"),
        (lambda: CrossChecked(Ordered(confidence), 3), "CrossChecked holds its row .*put it in Episodes"),
    ],
)
def test_what_cannot_be_sound_is_refused(make: Any, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        make()
    assert CrossChecked(Episodes(Ordered(confidence), 4), 3).facts.judged
    assert CrossChecked(Gibbs(), 3).facts.streams == Gibbs().facts.streams
