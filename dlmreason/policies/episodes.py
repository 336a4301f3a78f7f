"""Policies for a network that carries: annealed episodes, with and without noise and memory, and the carry alone.

Decides compositions, no mechanism. The numbers are starting points, which no search has confirmed.
"""

from dlmreason.canvas import Policy
from dlmreason.policies.annealed import Annealed
from dlmreason.policies.carrying import Forgetful, NoisyCarry, Reread
from dlmreason.policies.exits import FixedPoint
from dlmreason.policies.scores import mean_log_max, mean_log_quality
from dlmreason.policies.wrappers import Certify, Episodes, Judged, KeepBest


def annealed_episodes(
    passes: int = 16,
    temperature: float = 1.0,
    anew: bool = False,
    certify: float | None = -0.005,
    tests: int = 3,
    hidden: float = 0.15,
) -> Policy:
    """Episodes of `Annealed`, each judged by its last canvas; the best one is kept [timestep-free diffusion solver,
    arXiv:2609.01449].

    passes: of an episode, at least 2.  temperature, anew: see `Annealed`.  certify, tests, hidden: see `Certify`; None
    never settles. A network without a carry is shown the same canvases: annealed re-masking alone.

    Deviation: the canvas is the network's own prediction, masked anew, and the carry its hidden state, where the source
    has one continuous state; no noise is put on it, see noisy_episodes; the quality head chooses among episodes.
    """
    return _kept(Annealed(temperature, anew), passes, certify, tests, hidden)


def noisy_episodes(
    passes: int = 16,
    temperature: float = 1.0,
    anew: bool = False,
    scale: float = 1.0,
    until: float = 0.6,
    certify: float | None = -0.005,
    tests: int = 3,
    hidden: float = 0.15,
) -> Policy:
    """`annealed_episodes` with fresh noise on the carry of every pass [timestep-free diffusion solver,
    arXiv:2609.01449].

    scale, until: see `NoisyCarry`.  The rest as in `annealed_episodes`.

    Deviation: the noise is Gaussian and on the network's hidden state, where the source has one continuous state; the
    canvas is the network's own prediction, masked anew; the quality head chooses among episodes.
    """
    return _kept(NoisyCarry(Annealed(temperature, anew), scale, until), passes, certify, tests, hidden)


def forgetful_episodes(
    passes: int = 16,
    temperature: float = 1.0,
    anew: bool = False,
    certify: float | None = -0.005,
    tests: int = 3,
    hidden: float = 0.15,
) -> Policy:
    """`annealed_episodes` of which no pass remembers the last: the control for the carry, settings as there."""
    return _kept(Forgetful(Annealed(temperature, anew)), passes, certify, tests, hidden)


def carry_only(patience: int = 8) -> Policy:
    """Blanks read with the carry alone, until what is said of them is the same `patience` times more: the control for
    every canvas that changes (design of this project).

    Its score is the mean of the highest log-probability, since no quality head judges blanks.
    """
    return Judged(FixedPoint(Reread(), patience, float("inf")), mean_log_max)


def _kept(episode: Policy, passes: int, certify: float | None, tests: int, hidden: float) -> Policy:
    if passes < 2:
        raise ValueError(
            f"passes={passes}: an annealed episode begins with blanks and ends with a whole canvas: give 2 or more"
        )
    best = KeepBest(Judged(Episodes(episode, passes), mean_log_quality))
    # Outside KeepBest, so that what is tested and settled on is the answer that would be given.
    return best if certify is None else Certify(best, certify, tests, hidden)
