"""Variants of `change_of_mind` with more layers: think only where in doubt, go back where a change made it worse.

Decides compositions, no mechanism. The numbers are starting points, which no search has confirmed.
"""

from dlmreason.canvas import Policy
from dlmreason.policies import presets
from dlmreason.policies.accepting import Accept
from dlmreason.policies.doubt import Doubt, LowestQuality
from dlmreason.policies.gating import Gate
from dlmreason.policies.ordered import Ordered
from dlmreason.policies.patience import Luby
from dlmreason.policies.scores import confidence, mean_log_quality
from dlmreason.policies.wrappers import Certify, Judged, KeepBest, Restart


def gated(
    bar: float = -0.005,
    passes: int = 64,
    doubt: int = 12,
    count: int = 2,
    temperature: float = 1.0,
    patience: int = 1,
    share: float = 1.0,
    certify: float | None = -0.005,
    tests: int = 3,
    hidden: float = 0.15,
) -> Policy:
    """A greedy decode, and `presets.change_of_mind` where its mean log quality is below `bar`.

    passes: the most that the greedy decode takes, `count` blanks in each.  The rest as in `change_of_mind`.
    """
    mind = presets.change_of_mind(doubt, count, temperature, patience, share, certify, tests, hidden)
    return Gate(Ordered(confidence, count), mind, mean_log_quality, bar, passes)


def accepting(
    doubt: int = 12,
    count: int = 2,
    temperature: float = 1.0,
    loss: float = 0.02,
    unit: int = 4,
    share: float = 1.0,
    certify: float | None = -0.005,
    tests: int = 3,
    hidden: float = 0.15,
) -> Policy:
    """`presets.change_of_mind` that goes back from what its quality head thinks worse, with Luby's restarts.

    loss: the mean log quality that is lost with chance 1/e, the temperature of `Accept`.  unit: of `Luby`.  The rest as
    in `change_of_mind`.
    """
    decode = Ordered(confidence, count, temperature)
    walk = Accept(Judged(Doubt(LowestQuality(doubt), decode), mean_log_quality), loss)
    best = KeepBest(Restart(walk, Luby(unit), share))
    return best if certify is None else Certify(best, certify, tests, hidden)


def deliberate(
    bar: float = -0.005,
    passes: int = 64,
    doubt: int = 12,
    count: int = 2,
    temperature: float = 1.0,
    loss: float = 0.02,
    unit: int = 4,
    share: float = 1.0,
    certify: float | None = -0.005,
    tests: int = 3,
    hidden: float = 0.15,
) -> Policy:
    """All layers: a greedy decode, then `accepting` where it is in doubt; settings as in `gated` and `accepting`."""
    mind = accepting(doubt, count, temperature, loss, unit, share, certify, tests, hidden)
    return Gate(Ordered(confidence, count), mind, mean_log_quality, bar, passes)
