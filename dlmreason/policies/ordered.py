"""Write the first blanks of an order, and never take one back.

Three parts decide: a score ranks the blanks, a rank makes an order of it, with or without noise, and a count says how
many are written now. This file joins them and draws the tokens; it knows nothing of doubt.
"""

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from dlmreason.canvas import Canvas, Clock, Memory, Move, Noise, Reading, place
from dlmreason.policies.counts import Count, count_of
from dlmreason.policies.facts import Facts, needs_of
from dlmreason.policies.respond import log_probs, moved, opening, settled_where
from dlmreason.policies.scores import PositionScore

# What is certain to come first takes part in a draw as a finite number that no noise makes up for.
_SURE = 1e12


class Rank(Protocol):
    """(score [B, L] float64, clock, noise) -> [B, L] int64: each position's place, 0 first; -inf comes last."""

    @property
    def anytime(self) -> bool: ...

    @property
    def streams(self) -> tuple[str, ...]: ...

    def __call__(self, score: Tensor, clock: Clock, noise: Noise) -> Tensor: ...


@dataclass(frozen=True)
class Best:
    """The highest score first; a tie goes to the lower position."""

    @property
    def anytime(self) -> bool:
        return True

    @property
    def streams(self) -> tuple[str, ...]:
        return ()

    def __call__(self, score: Tensor, clock: Clock, noise: Noise) -> Tensor:
        return place(score)


BEST = Best()


@dataclass(frozen=True)
class PlackettLuce:
    """By score plus `temperature` times Gumbel noise: the next place goes with a chance in proportion to
    exp(score / temperature).

    temperature: above 0.  annealed: it falls linearly over the passes, to 0 on the last [MaskGIT, arXiv:2202.04200,
    "choice temperature"; MGDM, arXiv:2410.14157].
    """

    temperature: float = 1.0
    annealed: bool = False

    def __post_init__(self) -> None:
        if not 0 < self.temperature < float("inf"):
            raise ValueError(
                f"temperature={self.temperature} of an order must be finite and above 0: without noise it is `BEST`"
            )

    @property
    def anytime(self) -> bool:
        return not self.annealed

    @property
    def streams(self) -> tuple[str, ...]:
        return ("order",)

    def __call__(self, score: Tensor, clock: Clock, noise: Noise) -> Tensor:
        left = torch.ones_like(clock.index, dtype=torch.float64)
        if self.annealed:
            assert clock.total is not None, "a policy that is not anytime is given the total"
            left = (1 - (clock.index + 1).double() / clock.total).clamp(min=0)
        # So cold that no noise decides, and no division by 0.
        scaled = score / (self.temperature * left).clamp(min=1e-9)[:, None]
        return noise.rank(torch.where(scaled == torch.inf, _SURE, scaled), "order")


@dataclass(frozen=True)
class Ordered:
    """Write the first blanks of each pass [MaskGIT, arXiv:2202.04200; LLaDA, arXiv:2502.09992]; settled when full.

    score: which blanks come first; one at -inf waits.  count: a number of blanks a pass, at least 1; None shares them
    evenly over the passes of the budget; or a `Count`.  temperature: 0 writes the most probable token, else one is
    drawn at it.  rank: how the score becomes an order.

    With one drawn token a pass at temperature 1, a perfect network's law is the model's own joint, whatever the order,
    as long as score and rank do not look at what was drawn (`sampled` does).
    """

    score: PositionScore
    count: int | Count | None = None
    temperature: float = 0.0
    rank: Rank = BEST

    def __post_init__(self) -> None:
        _ = count_of(self.count)  # refuses a number that is none
        require_temperature(self.temperature)

    @property
    def anytime(self) -> bool:
        return count_of(self.count).anytime and self.rank.anytime

    @property
    def facts(self) -> Facts:
        streams = token_stream(self.temperature) + self.rank.streams
        return Facts(streams, needs_of(self.score) | {"masks"}, block=getattr(self.score, "keeps", 0))

    def init(self, canvas: Canvas, clock: Clock, noise: Noise) -> Move:
        return opening(canvas)._replace(wake=settled_where(~canvas.masked.any(-1)))

    def __call__(self, canvas: Canvas, reading: Reading, clock: Clock, memory: Memory, noise: Noise) -> Move:
        tokens = self.write(canvas, reading, clock, noise)
        blank_left = ((tokens == canvas.mask_id) & canvas.editable).any(-1)
        return moved(canvas, reading, tokens, memory, wake=settled_where(~blank_left))

    def write(self, canvas: Canvas, reading: Reading, clock: Clock, noise: Noise) -> Tensor:
        """[B, L] int64: the canvas with its first blanks written."""
        token = propose(canvas, reading, self.temperature, noise)
        masked = canvas.masked
        score = torch.where(masked, self.score(proposed(canvas, token), reading), -torch.inf)
        places = self.rank(score, clock, noise)
        count = count_of(self.count)(canvas, reading, places, clock)
        return torch.where(masked & (score > -torch.inf) & (places < count[:, None]), token, canvas.tokens)


def propose(canvas: Canvas, reading: Reading, temperature: float, noise: Noise, stream: str = "token") -> Tensor:
    """[B, L] int64: at every position the most probable token, or one drawn at a `temperature` above 0."""
    log_p = tempered(log_probs(canvas, reading), temperature)
    return log_p.argmax(-1) if temperature == 0 else noise.draw(log_p, stream)


def tempered(log_p: Tensor, temperature: float) -> Tensor:
    """Log-probabilities [..., V] at a temperature; at 0, whose draw is the most probable token, as they are."""
    return log_p if temperature == 0 else (log_p / temperature).log_softmax(-1)


def proposed(canvas: Canvas, token: Tensor) -> Canvas:
    """The canvas as position scores see it: `token` [B, L] at every editable position."""
    return canvas._replace(tokens=torch.where(canvas.editable, token, canvas.tokens))


def token_stream(temperature: float) -> tuple[str, ...]:
    """The stream that `propose` draws from."""
    return ("token",) if temperature > 0 else ()


def require_temperature(temperature: float) -> None:
    """Raises: ValueError for a temperature of tokens that is negative or not finite."""
    if not 0 <= temperature < float("inf"):
        raise ValueError(f"temperature={temperature} must be finite and not negative: 0 writes the most probable token")
