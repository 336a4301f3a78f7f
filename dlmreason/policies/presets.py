"""The policies that experiments name, each an onion of the parts in this folder. Decides compositions, no mechanism."""

from collections.abc import Callable

from dlmreason.canvas import Policy
from dlmreason.policies import scores
from dlmreason.policies.accepting import Accept
from dlmreason.policies.doubt import AtRandom, Doubt, LowestConfidence, LowestQuality, Select
from dlmreason.policies.ordered import Ordered
from dlmreason.policies.posterior import Posterior, Schedule
from dlmreason.policies.voting import Vote
from dlmreason.policies.window import Window
from dlmreason.policies.wrappers import Certify, Judged, KeepBest, Restart

ORDERS: dict[str, scores.PositionScore] = {
    "confidence": scores.confidence,
    "margin": scores.margin,
    "entropy": scores.entropy,
    "left_to_right": scores.left_to_right,
    "sampled": scores.sampled,
}


def ordered(order: str = "confidence", count: int | None = None, temperature: float = 0.0) -> Policy:
    """Write the best-scored blanks first and never revise; see `Ordered`. order: a key of ORDERS."""
    if order not in ORDERS:
        raise ValueError(f"order={order!r} is not known: choose one of {', '.join(ORDERS)}")
    return Ordered(ORDERS[order], count, temperature)


def in_blocks(
    size: int = 8,
    passes: int = 8,
    order: str = "confidence",
    count: int | None = None,
    temperature: float = 0.0,
    by_position: bool = True,
) -> Policy:
    """`ordered` in one block of `size` positions after another, `passes` in each; see `Window`."""
    return Window(ordered(order, count, temperature), size, passes, by_position=by_position)


def ancestral(schedule: Schedule) -> Policy:
    """MDLM's own sampler, event-driven [arXiv:2406.07524]."""
    return Posterior(schedule)


def change_of_mind(
    doubt: int = 12,
    count: int = 2,
    temperature: float = 1.0,
    patience: int = 1,
    share: float = 1.0,
    certify: float | None = -0.005,
    tests: int = 3,
    hidden: float = 0.15,
    learned: bool = True,
) -> Policy:
    """Decode, then doubt what the quality head thinks wrong, write it anew, and keep the best canvas (design of this
    project).

    doubt: tokens taken back from a full canvas.  count, temperature: how blanks are filled, see `Ordered`.  patience,
    share: see `Restart`.  certify: settle on answers scored at least this that survive `tests` re-noisings, see
    `Certify`; None never settles.  learned: False doubts at random, with everything else as it was: the control.
    """
    select: Select = LowestQuality(doubt) if learned else AtRandom(doubt)
    return _kept(select, count, temperature, patience, share, certify, tests, hidden)


def random_doubt(
    doubt: int = 12,
    count: int = 2,
    temperature: float = 1.0,
    patience: int = 1,
    share: float = 1.0,
    certify: float | None = -0.005,
    tests: int = 3,
    hidden: float = 0.15,
) -> Policy:
    """`change_of_mind` with the doubted tokens drawn at random: the same wrappers and the same number of resamples."""
    return change_of_mind(doubt, count, temperature, patience, share, certify, tests, hidden, learned=False)


def restarts(
    count: int = 2, temperature: float = 1.0, certify: float | None = -0.005, tests: int = 3, hidden: float = 0.15
) -> Policy:
    """Independent sampled decodes, each judged once when full; the best by the same quality is kept: the baseline to
    beat."""
    return _kept(AtRandom(0), count, temperature, 0, 1.0, certify, tests, hidden)


def voted_restarts(count: int = 2, temperature: float = 1.0, enough: int | None = None) -> Policy:
    """Independent sampled decodes, of which the answer given most often is believed [self-consistency,
    arXiv:2203.11171]: the control that needs no judge to choose.

    count, temperature: how blanks are filled, see `Ordered`.  enough: it settles on an answer given so often; None
    never settles.
    """
    decode = Ordered(scores.confidence, count, temperature)
    return Vote(Restart(Judged(Doubt(AtRandom(0), decode), scores.whole), 0), judged=True, enough=enough)


POSITIONS: dict[str, Callable[[int], Select]] = {
    "learned": LowestQuality,
    "confidence": LowestConfidence,
    "random": AtRandom,
    "none": lambda doubt: AtRandom(0),
}
"""Where a full canvas is doubted, from how many tokens."""


def revising(
    position: str, doubt: int = 12, count: int = 2, temperature: float = 1.0, accept: float | None = None
) -> Policy:
    """Decode once, then doubt and refill for ever, no restart and no certificate: revising alone (design of this
    project). The best judged canvas is its answer; the last canvas is what revising without that guard would say.

    position: a key of POSITIONS.  doubt, count, temperature: as in `change_of_mind`, and so are the resamples of each
    pass, wherever tokens are doubted.  accept: a second guard, `Accept` of this temperature in nats of mean log
    quality, which goes back where a canvas came out worse; None never does.
    """
    if position not in POSITIONS:
        raise ValueError(f"position={position!r} is not known: choose one of {', '.join(POSITIONS)}")
    decode = Ordered(scores.confidence, count, temperature)
    judged = Judged(Doubt(POSITIONS[position](doubt), decode), scores.mean_log_quality)
    return KeepBest(judged if accept is None else Accept(judged, accept))


def _kept(
    select: Select,
    count: int,
    temperature: float,
    patience: int,
    share: float,
    certify: float | None,
    tests: int,
    hidden: float,
) -> Policy:
    decode = Ordered(scores.confidence, count, temperature)
    best = KeepBest(Restart(Judged(Doubt(select, decode), scores.mean_log_quality), patience, share))
    # Outside KeepBest, so that what is tested and settled on is the answer that would be given.
    return best if certify is None else Certify(best, certify, tests, hidden)
