"""The published samplers, each a configuration of the parts in this folder. Decides compositions and the sources'
settings, no mechanism.

What a source left biased or untaught is kept as it is, and said.
"""

import math
from typing import Literal

from dlmreason.canvas import Policy
from dlmreason.policies import scores
from dlmreason.policies.counts import KAPPAS, EntropyBounded, Factor, Kappa, Scheduled, Threshold
from dlmreason.policies.doubt import AtRandom
from dlmreason.policies.editing import Edit
from dlmreason.policies.ordered import BEST, Ordered, PlackettLuce
from dlmreason.policies.planned import LastQuality, Loop, Planned, Planner, Power, Weighted
from dlmreason.policies.presets import ORDERS
from dlmreason.policies.reflecting import Reflecting


def entropy_bound(
    gamma: float = 0.1, order: str = "entropy", temperature: float = 0.0, block: int | None = None
) -> Policy:
    """As many blanks a pass as a bound on their joint uncertainty allows [EB-Sampler, arXiv:2505.24857]."""
    return Ordered(_score(order, block), EntropyBounded(gamma), temperature)


def threshold(
    threshold: float = 0.9, order: str = "confidence", temperature: float = 0.0, block: int | None = None
) -> Policy:
    """Every blank that is sure enough, at least one a pass [Fast-dLLM, arXiv:2505.22618]."""
    return Ordered(_score(order, block), Threshold(threshold), temperature)


def factor(
    factor: float = 1.0, order: str = "confidence", temperature: float = 0.0, block: int | None = None
) -> Policy:
    """As many sure blanks a pass as greedy decoding bears [Fast-dLLM, arXiv:2505.22618]."""
    return Ordered(_score(order, block), Factor(factor), temperature)


def maskgit(choice: float = 4.5, kappa: str = "cosine", temperature: float = 1.0) -> Policy:
    """By the drawn token's probability and annealed noise, few tokens first [MaskGIT, arXiv:2202.04200].

    choice: the noise of the order at the start, 0 for none. Biased, see `scores.sampled`.
    """
    rank = BEST if choice == 0 else PlackettLuce(choice, annealed=True)
    return Ordered(scores.sampled, Scheduled(_kappa(kappa)), temperature, rank)


def llada(count: int | None = None, temperature: float = 1.0, block: int | None = None) -> Policy:
    """ "Low-confidence remasking" as released: by the probability of the drawn token [LLaDA, arXiv:2502.09992].

    Biased even at one token a pass, see `scores.sampled`; the released default, temperature 0, is
    `presets.ordered("confidence")`.  block: the length of a semi-autoregressive block; None is the whole answer.
    """
    return Ordered(_blocked(scores.sampled, block), count, temperature)


def random_order(count: int | None = 1, temperature: float = 1.0) -> Policy:
    """Blanks in an order drawn evenly; one a pass is first-hitting sampling, the limit of ancestral sampling [BD3-LM,
    arXiv:2503.09573; Zheng et al. 2024, arXiv:2409.02908].

    With independent hitting times of one law the next blank to be written is any of them, evenly, whatever the
    schedule; so it needs none.

    Deviation: the hitting times themselves are not drawn, since they would only be told to a denoiser that reads the
    noise level; that one is told the share that is written.
    """
    return Ordered(scores.even, count, temperature, PlackettLuce(1.0))


def bd3(block: int = 4, order: str = "random", count: int | None = 1, temperature: float = 1.0) -> Policy:
    """Block after block, each when all before it is written [BD3-LM, arXiv:2503.09573].

    block: positions, counted from position 0 as a network trained with `BlockDiffusion` has them, of its block's length
    or a part of it.  order: within a block, "random" as released (first hitting, see `random_order`) or a key of
    ORDERS.  count: blanks a pass, at most to the end of the block.

    Deviation: blocks before are read anew on every pass, unless the arm keeps them, with block_cache=true.
    """
    score, rank = (scores.even, PlackettLuce(1.0)) if order == "random" else (_score(order, None), BEST)
    return Ordered(scores.Blocks(score, block, by_position=True), count, temperature, rank)


def p2(
    eta: float = 1.0,
    convention: Literal["code", "paper"] = "code",
    score_current: bool = False,
    kappa: str = "linear",
    temperature: float = 1.0,
) -> Policy:
    """Self-planning: blanks and written tokens compete by log-probability [P2, arXiv:2502.03540].

    eta: in both conventions the larger, the more is taken back; "code" raises a written token's probability to it, and
    0 takes nothing back; "paper" (eq. 7) multiplies a blank's by it.  score_current: judge a written token by its own
    probability; False, as released, by that of one freshly drawn in its place.
    """
    written = scores.standing if score_current else scores.sampled
    if convention == "code":
        return Planned(Planner(scores.sampled, Power(written, eta)), _kappa(kappa), temperature)
    if convention == "paper":
        return Planned(Planner(Weighted(scores.sampled, eta), written), _kappa(kappa), temperature)
    raise ValueError(f"convention={convention!r} is not known: choose code or paper")


def remedi(learned: bool = True, kappa: str = "linear", temperature: float = 0.0, noise: float = 0.0) -> Policy:
    """Every pass ranks all positions anew and keeps the top [RemeDi, arXiv:2509.23653].

    learned: a written token is judged by the quality head; False, as in the released code, by the network's own
    confidence in it.  noise: of the order; 1 is the Plackett-Luce policy of its reinforcement learning.

    Deviation: the paper's head ranks blanks too, and is trained there to say the proposed token's probability, which is
    what ranks them here; the released code ranks by raw logits, here they are normalised.
    """
    score = Planner(scores.sampled, scores.log_quality) if learned else scores.standing
    return Planned(score, _kappa(kappa), temperature, PlackettLuce(noise) if noise else BEST)


def mgdm(noise: float = 0.5, kappa: str = "linear") -> Policy:
    """All positions are predicted anew on every pass, the surest stay, with annealed noise [MGDM, arXiv:2410.14157].

    noise: of the order at the start, 0 for none.
    """
    rank = BEST if noise == 0 else PlackettLuce(noise, annealed=True)
    return Planned(scores.confidence, _kappa(kappa), rank=rank, rewrite=True)


def prism(
    remask: int = 4,
    order: str = "random",
    temperature: float = 1.0,
    kappa: str = "linear",
    loop: float = 0.0,
    after: float = 1.0,
    loop_remask: int = 4,
) -> Policy:
    """On every pass the tokens of lowest quality are taken back, and blanks written to a schedule [PRISM,
    arXiv:2510.01384].

    remask: tokens taken back a pass.  order: of the blanks, "random" as released or a key of ORDERS.  loop, after,
    loop_remask: share of the passes at which the schedule stands while tokens drawn at random are written anew, the
    share before, and how many a pass; see `Loop`.

    Deviation: a fixed number is taken back; the released code can draw it (its eta), and loops a number of passes.
    """
    rank = PlackettLuce(1.0) if order == "random" else BEST
    blanks = scores.even if order == "random" else _score(order, None)
    planned = Planned(Planner(blanks, LastQuality(remask)), _kappa(kappa), temperature, rank)
    return planned if loop == 0 else Loop(planned, AtRandom(loop_remask), after, loop)


def token_edit(
    threshold: float = 0.9,
    margin: float = 0.0,
    count: int | None = None,
    early: bool = True,
    order: str = "confidence",
    fill: float = 0.9,
    patience: int | None = 32,
) -> Policy:
    """Blanks and written tokens alike take a token that is probable enough [LLaDA2.1, arXiv:2602.08676].

    threshold, margin, count, early, patience: see `Edit`.  order, fill: blanks are written by `threshold(fill, order)`.
    Wants a network that was taught at visible tokens, see `editing`.
    """
    return Edit(Ordered(_score(order, None), Threshold(fill)), count, threshold, margin, 0.0, early, patience)


def self_correction(temperature: float = 0.1, count: int = 1, patience: int | None = 32, fill: int = 1) -> Policy:
    """Full canvases are resampled a token at a time, to a fixed point [GIDD, arXiv:2503.04482, self-correction].

    temperature: of the new token.  count: replacements a pass.  fill: blanks a pass at first, drawn in the order of
    confidence. Wants a network that was taught at visible tokens, see `editing`.

    Deviation: GIDD starts from its own samples and reads at noise level .01; here the canvas is filled first, and read
    as what it is, a text without blanks.
    """
    refill = Ordered(scores.confidence, fill, 1.0)
    return Edit(refill, count, margin=-math.inf, temperature=temperature, patience=patience)


def reflecting(
    count: int | None = None, order: str = "confidence", temperature: float = 0.0, rewrite: bool = False
) -> Policy:
    """A token is taken back where the network emits the mask [Reflective Masking, arXiv:2606.16700].

    count: blanks a pass; None writes all at once.  rewrite: see `Reflecting`.

    Deviation: the network is shown the canvas as it is, without its earlier states.
    """
    return Reflecting(Ordered(_score(order, None), Threshold(0.0) if count is None else count, temperature), rewrite)


def _score(order: str, block: int | None) -> scores.PositionScore:
    if order not in ORDERS:
        raise ValueError(f"order={order!r} is not known: choose one of {', '.join(ORDERS)}")
    return _blocked(ORDERS[order], block)


def _blocked(score: scores.PositionScore, block: int | None) -> scores.PositionScore:
    return score if block is None else scores.Blocks(score, block)


def _kappa(name: str) -> Kappa:
    if name not in KAPPAS:
        raise ValueError(f"kappa={name!r} is not known: choose one of {', '.join(KAPPAS)}")
    return KAPPAS[name]
