"""Draw the next canvas from the posterior of the corruption: ancestral sampling, with or without remasking.

Decides at which pass a position changes, and which published sampler is which schedule and sigma. The passes are drawn
ahead, so that a pass without an event costs no network call.
"""

from dataclasses import dataclass, field
from itertools import pairwise

import torch
from torch import Tensor

from dlmreason.canvas import NEVER, Canvas, Clock, Hazard, Memory, Move, Noise, Reading
from dlmreason.policies.facts import Facts
from dlmreason.policies.phases import During, Held
from dlmreason.policies.remask import Cap, CapInAll, Corrector, Rescale, Schedule, Sigma, Span, never
from dlmreason.policies.respond import log_probs, moved, opening

ROUNDING = 1e-9
"""How far outside [0, 1] a chance may lie by float64 rounding, at up to 100,000 passes and more."""


@dataclass(frozen=True)
class Posterior:
    """Sample q(x_s | x_t, x0) with x0 from the model [MDLM, arXiv:2406.07524; ReMDM, arXiv:2503.00307, eq. 7].

    stops: times in (0, 1), falling, at which a phase changes. Each is given to the pass boundary nearest to it and the
    passes of a phase share its time evenly; a stop whose boundary is taken, as when there are fewer passes than phases,
    is left out. Event-driven: a position's next event is drawn from the hazards of the remaining passes, which is the
    same law as a coin every pass. Memory: [B, L] int64, the pass of each position's next event. Not anytime: the times
    of the passes depend on how many there are.
    """

    schedule: Schedule
    sigma: Sigma = never
    stops: tuple[float, ...] = ()
    # At 100,000 passes a table takes as long as a pass of a small network, so each is made once.
    _tables: dict[tuple[int, torch.device], Hazard] = field(default_factory=dict, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if any(not a > b for a, b in pairwise((1.0, *self.stops, 0.0))):
            raise ValueError(f"stops={self.stops}: give times strictly between 0 and 1, from high to low")

    @property
    def anytime(self) -> bool:
        return False

    @property
    def facts(self) -> Facts:
        return Facts(streams=("token", "due", "due_again"), needs=frozenset({"masks"}), revises=self.sigma is not never)

    def time(self, index: Tensor, total: int) -> Tensor:
        """t before pass `index` [...] int64 of `total`, float64: 1 before the first, 0 after the last."""
        knots = {0: 1.0, total: 0.0}
        for stop in self.stops:
            knots.setdefault(round((1 - stop) * total), stop)
        t = torch.ones_like(index, dtype=torch.float64)
        for (i, before), (j, after) in pairwise(sorted(knots.items())):
            # Written so that a knot is met exactly: phases compare times with `<=`.
            t = torch.where((index > i) & (index <= j), after + (before - after) * ((j - index).double() / (j - i)), t)
        return t

    def chances(self, index: Tensor, total: int) -> Tensor:
        """[2, ...] float64 at passes `index` [...] int64: that a blank is written, that a written token is taken
        back."""
        t, s = self.time(index, total), self.time(index + 1, total)
        span = Span(t, s, self.schedule.alpha(t), self.schedule.alpha(s))
        sigma, blank = self.sigma(span), 1 - span.alpha_t
        # Where no blank should be left, one that is there is overdue.
        write = torch.where(blank > 0, (span.alpha_s - (1 - sigma) * span.alpha_t) / blank.clamp(min=1e-300), 1.0)
        return torch.stack([write, sigma])

    def hazards(self, total: int) -> Tensor:
        """[2, T] float64 within [0, 1]: `chances` at every pass, on the CPU.

        Raises: ValueError where one is outside by more than rounding: the sigma is too large for the schedule.
        """
        chances = self.chances(torch.arange(total), total)
        if bool(((chances < -ROUNDING) | (chances > 1 + ROUNDING) | chances.isnan()).any()):
            raise ValueError(
                f"schedule={self.schedule} and sigma={self.sigma} over {total} passes give chances from "
                f"{float(chances.min()):.4g} to {float(chances.max()):.4g}, outside 0 to 1: keep sigma at most "
                "sigma_max, and let alpha not rise with t"
            )
        return chances.clamp(0, 1)

    def init(self, canvas: Canvas, clock: Clock, noise: Noise) -> Move:
        since = (clock.index[:, None] + 1).expand_as(canvas.tokens)
        due = self._due(canvas, canvas.tokens, since, clock, noise, "due")
        return opening(canvas, due)._replace(wake=_wake(due, clock))

    def __call__(self, canvas: Canvas, reading: Reading, clock: Clock, memory: Memory, noise: Noise) -> Move:
        assert clock.total is not None, "a policy that is not anytime is given the total"
        now = memory == clock.index[:, None]
        written = noise.draw(log_probs(canvas, reading), "token")
        tokens = torch.where(now, torch.where(canvas.masked, written, canvas.mask_id), canvas.tokens)
        since = (clock.index[:, None] + 1).clamp(max=clock.total).expand_as(tokens)
        due = torch.where(now, self._due(canvas, tokens, since, clock, noise, "due_again"), memory)
        return moved(canvas, reading, tokens, due, wake=_wake(due, clock))

    def _due(self, canvas: Canvas, tokens: Tensor, since: Tensor, clock: Clock, noise: Noise, stream: str) -> Tensor:
        assert clock.total is not None, "a policy that is not anytime is given the total"
        kind = torch.where(canvas.editable, (tokens != canvas.mask_id).long(), -1)
        key = (clock.total, tokens.device)
        if key not in self._tables:
            self._tables[key] = Hazard(self.hazards(clock.total).to(tokens.device))
        return noise.first(self._tables[key], kind, since, stream)


def _wake(due: Tensor, clock: Clock) -> Tensor:
    """[B] int64: passes until the first event, NEVER where none is left."""
    assert clock.total is not None, "a policy that is not anytime is given the total"
    first = due.amin(-1)
    return torch.where(first >= clock.total, NEVER, first - clock.index)


def cap(schedule: Schedule, eta: float = 0.008) -> Posterior:
    """ReMDM-cap [arXiv:2503.00307]. eta: the highest chance a pass that a committed token is taken back."""
    return Posterior(schedule, Cap(eta))


def cap_in_all(schedule: Schedule, times: float = 5.0) -> Posterior:
    """ReMDM-cap [arXiv:2503.00307] with eta = times / T over T passes; see `CapInAll`."""
    return Posterior(schedule, CapInAll(times))


def rescale(schedule: Schedule, eta: float = 0.015) -> Posterior:
    """ReMDM-rescale [arXiv:2503.00307]. eta: the share of the largest chance of remasking that is used."""
    return Posterior(schedule, Rescale(eta))


def forward_backward(schedule: Schedule) -> Posterior:
    """The forward-backward corrector in every pass [Campbell et al., arXiv:2205.14987], as ReMDM compares it."""
    return Posterior(schedule, Corrector())


def flow_matching(schedule: Schedule, scale: float = 10.0, power: float = 0.25) -> Posterior:
    """The corrector of discrete flow matching in every pass [DFM, arXiv:2407.15595, app. D]; see `Corrector`."""
    return Posterior(schedule, Corrector(scale, power))


def switch(schedule: Schedule, sigma: Sigma, t_switch: float) -> Posterior:
    """ReMDM-switch [arXiv:2503.00307]: no remasking until t_switch, `sigma` from there on. 0 < t_switch < 1."""
    return Posterior(schedule, During(sigma, t_switch), (t_switch,))


def loop(schedule: Schedule, sigma: Sigma, t_on: float = 0.55, t_off: float = 0.05, alpha_on: float = 0.9) -> Posterior:
    """ReMDM-loop [arXiv:2503.00307]: alpha stands at `alpha_on` from t_on to t_off, and `sigma` acts meanwhile.

    Deviation: the published code evaluates both ends of a pass by the phase of its beginning, which gives chances below
    0 where a phase changes within a pass; here the passes are laid out so that phases change between them.
    """
    return Posterior(Held(schedule, alpha_on, t_on, t_off), During(sigma, t_on, t_off), (t_on, t_off))
