"""Times at which remasking begins and ends: combinators over a schedule and a sigma.

Decides nothing about passes; `Posterior` lays its grid through the times at which a phase changes.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from dlmreason.policies.remask import Schedule, Sigma, Span


@dataclass(frozen=True)
class During:
    """`sigma` in passes that lie wholly between the times `start` and `end`, and none elsewhere. 1 >= start > end >= 0.

    end = 0 is the switch: plain ancestral sampling until t = start [ReMDM, arXiv:2503.00307, "switch"].
    """

    sigma: Sigma
    start: float
    end: float = 0.0

    def __post_init__(self) -> None:
        if not 1 >= self.start > self.end >= 0:
            raise ValueError(
                f"start={self.start} and end={self.end}: time runs from 1 down to 0, so give 1 >= start > end >= 0"
            )

    def __call__(self, span: Span) -> Tensor:
        inside = (span.t <= self.start) & (span.s >= self.end)
        return torch.where(inside, self.sigma(span), 0.0)


@dataclass(frozen=True)
class Held:
    """A schedule that climbs to `alpha_on` by t_on, stands still until t_off, then climbs to 1.

    [ReMDM, arXiv:2503.00307, "loop"]. Both climbs have the shape of `schedule`; the published ones are linear.
    1 > t_on > t_off > 0 and 0 < alpha_on < 1.
    """

    schedule: Schedule
    alpha_on: float
    t_on: float
    t_off: float

    def __post_init__(self) -> None:
        if not 1 > self.t_on > self.t_off > 0:
            raise ValueError(
                f"t_on={self.t_on} and t_off={self.t_off}: time runs from 1 down to 0, so give 1 > t_on > t_off > 0"
            )
        if not 0 < self.alpha_on < 1:
            raise ValueError(
                f"alpha_on={self.alpha_on} is the share that stays written: give a number between 0 and 1, such as 0.9"
            )

    def alpha(self, t: Tensor) -> Tensor:
        on = torch.full_like(t, self.alpha_on, dtype=torch.float64)
        first = on * self.schedule.alpha((t - self.t_on) / (1 - self.t_on))
        last = on + (1 - on) * self.schedule.alpha(t / self.t_off)
        return torch.where(t > self.t_on, first, torch.where(t < self.t_off, last, on))
