"""The answer given most often over a trajectory.

Decides how answers of many passes are counted in constant memory. Whole answers vote: a vote cell by cell could elect
an answer that was never given.
"""

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from dlmreason.canvas import NEVER, Canvas, Clock, Memory, Move, Noise, Policy, Reading
from dlmreason.policies.facts import Facts, facts_of, require_judge


class _Ballot(NamedTuple):
    inner: Memory
    answers: Tensor  # [B, places, L]
    weight: Tensor  # [B, places] float64, votes for each


@dataclass(frozen=True)
class Vote:
    """Answers with the answer of most weight so far; each reading gives one vote [temporal voting, arXiv:2508.09138].

    decay: what a vote is worth a reading later, in [0, 1]: 1 counts all alike, 0 only the last.  places: different
    answers that are kept. While there were no more the count is exact, ties to the answer that came first; after that
    a new answer takes the place and the weight of the weakest, so that one with more than 1 in `places` of all weight
    is never lost [Space-Saving, Metwally et al. 2005].  The score is the winner's share of all weight, in (0, 1];
    -inf before the first vote.

    judged: only answers with a score vote, and no weight fades between them; under `Restart` these are the whole
    canvases, once each, and the vote is self-consistency over decodes [arXiv:2203.11171].  enough: it settles on an
    answer of this weight, at least 1; None never settles.

    Deviation: there the weights grow with the share of the passes, exp(5 t / T), in the last half; `decay` =
    exp(-5 / T) is the same growth for a total of T, from the first pass and without a T. Every answer votes, since a
    policy cannot know which can be read by the task.
    """

    inner: Policy
    decay: float = 1.0
    places: int = 16
    judged: bool = False
    enough: int | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.decay <= 1:
            raise ValueError(f"decay={self.decay}: give a number from 0, only the last vote, to 1, all votes alike")
        if self.places < 1:
            raise ValueError(f"places={self.places}: a vote keeps at least 1 answer, and 2 to compare any")
        if self.enough is not None and self.enough < 1:
            raise ValueError(f"enough={self.enough} is the weight that settles it: give 1 or more, or None for never")
        if self.judged:
            require_judge(self.inner, "Vote")

    @property
    def anytime(self) -> bool:
        return self.inner.anytime

    @property
    def facts(self) -> Facts:
        return facts_of(self.inner) + Facts(judged=True)

    def init(self, canvas: Canvas, clock: Clock, noise: Noise) -> Move:
        move = self.inner.init(canvas, clock, noise)
        answers = move.answer[:, None].repeat(1, self.places, 1)
        weight = torch.zeros(answers.shape[:2], dtype=torch.float64, device=answers.device)
        return move._replace(memory=_Ballot(move.memory, answers, weight))

    def __call__(self, canvas: Canvas, reading: Reading, clock: Clock, memory: _Ballot, noise: Noise) -> Move:
        move = self.inner(canvas, reading, clock, memory.inner, noise)
        # A free place has no weight, so it is the weakest; that it holds some answer already does no harm.
        known = (memory.answers == move.answer[:, None]).all(-1)
        place = torch.where(known.any(-1), known.long().argmax(-1), memory.weight.argmin(-1))
        here = torch.arange(self.places, device=place.device) == place[:, None]
        answers = torch.where(here[..., None], move.answer[:, None], memory.answers)
        weight = self.decay * memory.weight + here.double()
        if self.judged:
            votes = (move.score > -torch.inf)[:, None]
            answers = torch.where(votes[..., None], answers, memory.answers)
            weight = torch.where(votes, weight, memory.weight)

        best = weight.argmax(-1)
        answer = answers.gather(1, best[:, None, None].expand(-1, 1, answers.shape[-1]))[:, 0]
        most = weight.gather(1, best[:, None])[:, 0]
        none = most == 0  # nobody has voted yet
        answer = torch.where(none[:, None], move.answer, answer)
        share = torch.where(none, -torch.inf, most / weight.sum(-1))
        after = move._replace(answer=answer, score=share, memory=_Ballot(move.memory, answers, weight))
        if self.enough is None:
            return after
        over = most >= self.enough
        tokens = torch.where(over[:, None], answer, move.tokens)
        return after._replace(tokens=tokens, wake=torch.where(over, NEVER, move.wake))
