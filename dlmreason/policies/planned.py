"""Rank written tokens and blanks together on every pass, and keep as many as the schedule says.

One policy is a family: what is kept is the first part of an order over all editable positions, so a written token that
falls behind a blank is taken back. The samplers of the literature differ in the score alone; this file holds the policy
and the scores that treat written tokens and blanks apart. It does not know which sampler is whose: see `published`.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from dlmreason.canvas import Canvas, Clock, Memory, Move, Noise, Reading, place
from dlmreason.policies.counts import Kappa, linear, written_by
from dlmreason.policies.doubt import Select
from dlmreason.policies.facts import Facts, facts_of, needs_of
from dlmreason.policies.ordered import BEST, Rank, propose, proposed, require_temperature, token_stream
from dlmreason.policies.respond import level, moved, next_pass, opening, settled_where
from dlmreason.policies.scores import PositionScore, blank, quality_of

# Behind every score of a blank, and far enough apart that the noise of an order does not mix up qualities.
_BEHIND = 1e9


@dataclass(frozen=True)
class Planned:
    """Keep the first ceil(kappa N) of the N editable positions, blank the others [P2, arXiv:2502.03540, alg. 1].

    score: of all positions, on the canvas with a proposal everywhere.  kappa: the share written by each pass.
    temperature, rank: as in `Ordered`.  rewrite: a kept written token gives way to its proposal too [MGDM,
    arXiv:2410.14157]; False keeps it as it is. Settled when all are kept and nothing can change any more.

    A network trained on masked tokens alone was never taught what it says at a visible token; a score or a rewrite that
    reads it there is as good as that habit.

    Deviation: exactly ceil(kappa N) are kept, ties going to the lower position; the released code of both blanks those
    strictly below a cut, so that fewer are blanked where scores tie.
    """

    score: PositionScore
    kappa: Kappa = linear
    temperature: float = 0.0
    rank: Rank = BEST
    rewrite: bool = False

    def __post_init__(self) -> None:
        require_temperature(self.temperature)

    @property
    def anytime(self) -> bool:
        return False

    @property
    def facts(self) -> Facts:
        needs = needs_of(self.score) | {"masks"}
        return Facts(token_stream(self.temperature) + self.rank.streams, needs, revises=True)

    def init(self, canvas: Canvas, clock: Clock, noise: Noise) -> Move:
        return opening(canvas)

    def __call__(self, canvas: Canvas, reading: Reading, clock: Clock, memory: Memory, noise: Noise) -> Move:
        proposals = proposed(canvas, propose(canvas, reading, self.temperature, noise))
        score = torch.where(canvas.editable, self.score(proposals, reading), -torch.inf)
        kept = self.rank(score, clock, noise) < written_by(self.kappa, canvas, clock)[:, None]
        stays = kept | ~canvas.editable
        fresh = canvas.editable if self.rewrite else canvas.masked
        tokens = torch.where(stays, torch.where(fresh, proposals.tokens, canvas.tokens), canvas.mask_id)
        settled = stays.all(-1) & (not self.rewrite)
        return moved(canvas, reading, tokens, memory, wake=settled_where(settled))


@dataclass(frozen=True)
class Planner:
    """`masked` scores the blanks and `written` the tokens that stand: G_M and G_U of [P2, arXiv:2502.03540, eq. 7]."""

    masked: PositionScore
    written: PositionScore

    @property
    def needs(self) -> frozenset[str]:
        return needs_of(self.masked) | needs_of(self.written)

    def __call__(self, canvas: Canvas, reading: Reading) -> Tensor:
        return torch.where(blank(canvas, reading), self.masked(canvas, reading), self.written(canvas, reading))


@dataclass(frozen=True)
class Weighted:
    """A log-probability score whose probability is multiplied by `eta` > 0 [P2, arXiv:2502.03540, eq. 7].

    There it weighs the blanks: the larger, the more is taken back.
    """

    score: PositionScore
    eta: float

    def __post_init__(self) -> None:
        if not 0 < self.eta < math.inf:
            raise ValueError(
                f"eta={self.eta} multiplies a probability: give a finite number above 0, 1 changes nothing"
            )

    @property
    def needs(self) -> frozenset[str]:
        return needs_of(self.score)

    def __call__(self, canvas: Canvas, reading: Reading) -> Tensor:
        return self.score(canvas, reading) + math.log(self.eta)


@dataclass(frozen=True)
class Power:
    """A log-probability score whose probability is raised to `eta` >= 0 [P2, arXiv:2502.03540, as released].

    There it acts on written tokens: the larger, the more is taken back; at 0 none is. Sound for scores that are never
    above 0: it would turn others round.
    """

    score: PositionScore
    eta: float

    def __post_init__(self) -> None:
        if not 0 <= self.eta < math.inf:
            raise ValueError(f"eta={self.eta} is the power of a probability: give a finite number, 0 or more")

    @property
    def needs(self) -> frozenset[str]:
        return needs_of(self.score)

    def __call__(self, canvas: Canvas, reading: Reading) -> Tensor:
        score = self.score(canvas, reading)
        # p ** 0 is certain, also where p is 0, and comes before a blank of probability 1.
        return torch.full_like(score, torch.inf) if self.eta == 0 else score * self.eta


@dataclass(frozen=True)
class LastQuality:
    """Written tokens: infinity, but for the `count` of lowest quality, which come behind every blank [PRISM,
    arXiv:2510.01384, as released].

    count: 0 or more tokens taken back a pass; none where as few are written, or as few are blank.
    """

    count: int

    def __post_init__(self) -> None:
        if self.count < 0:
            raise ValueError(f"count={self.count}: the number of tokens to take back must be 0 or more")

    @property
    def needs(self) -> frozenset[str]:
        return frozenset({"quality"})

    def __call__(self, canvas: Canvas, reading: Reading) -> Tensor:
        quality = quality_of(reading).double()
        stands = canvas.editable & ~blank(canvas, reading)
        count, size = stands.sum(-1, keepdim=True), canvas.editable.sum(-1, keepdim=True)
        may = (self.count < count) & (count < size - self.count)
        last = place(torch.where(stands, -quality, -torch.inf)) < self.count
        return torch.where(last & may, (quality - 2) * _BEHIND, torch.inf)


@dataclass(frozen=True)
class Loop:
    """Holds the schedule of `inner` while tokens are taken back and written again [PRISM, arXiv:2510.01384, "loop"].

    select: which written tokens are taken back before each pass of the loop.  after: the share of the other passes made
    before it, in (0, 1].  share: the share of all passes that loop, in [0, 1).

    Deviation: both are shares of the budget, where the released code has numbers of passes, so that one setting serves
    every budget.
    """

    inner: Planned
    select: Select
    after: float = 1.0
    share: float = 0.5

    def __post_init__(self) -> None:
        if not 0 < self.after <= 1:
            raise ValueError(f"after={self.after} is the share of the schedule before the loop: above 0 and at most 1")
        if not 0 <= self.share < 1:
            raise ValueError(f"share={self.share} is the share of all passes that loop: give 0 or more and below 1")
        _ = self.facts  # refuses a stream drawn twice

    @property
    def anytime(self) -> bool:
        return False

    @property
    def facts(self) -> Facts:
        return facts_of(self.inner) + self.select.facts + Facts(revises=True)

    def init(self, canvas: Canvas, clock: Clock, noise: Noise) -> Move:
        return self.inner.init(canvas, self._held(clock), noise)

    def __call__(self, canvas: Canvas, reading: Reading, clock: Clock, memory: Memory, noise: Noise) -> Move:
        move = self.inner(canvas, reading, self._held(clock), memory, noise)
        first, past = self._window(clock)
        coming = clock.index + 1
        loops = (coming >= first) & (coming < past)
        doubted = self.select(canvas._replace(tokens=move.tokens), reading, noise) & loops[:, None]
        tokens = torch.where(doubted, canvas.mask_id, move.tokens)
        ask = move.ask._replace(tokens=tokens, level=level(tokens, canvas))
        # A schedule that is done before the loop must not end the row.
        ahead = (coming < past) & (first < past)
        return move._replace(tokens=tokens, ask=ask, wake=torch.where(ahead, next_pass(tokens), move.wake))

    def _window(self, clock: Clock) -> tuple[int, int]:
        """The first pass of the loop, and the first after it."""
        assert clock.total is not None, "a policy that is not anytime is given the total"
        loop = int(self.share * clock.total)
        first = math.ceil(self.after * (clock.total - loop))
        return first, first + loop

    def _held(self, clock: Clock) -> Clock:
        """The clock of the schedule: it stands while the loop runs."""
        assert clock.total is not None, "a policy that is not anytime is given the total"
        first, past = self._window(clock)
        behind = clock.index - (past - first)
        index = torch.where(clock.index < first, clock.index, torch.where(clock.index < past, first - 1, behind))
        return Clock(index, clock.total - (past - first))
