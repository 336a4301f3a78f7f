"""Sample by taking noise back pass by pass, whatever the noise: masks, uniform tokens, or both.

Decides the times of the passes and what may change in each. No position shows that it is noise, so any token may change
on any pass, every pass is a call, and nothing is drawn ahead; `posterior.py` is the cheaper way where noise is masks
alone. What is true of a token is a law of `diffusion.reversal`; which law acts is a `Step`, and one draw follows it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, get_args

import torch
from torch import Tensor

from dlmreason.canvas import Canvas, Clock, Memory, Move, Noise, Reading, place
from dlmreason.diffusion.corruption import Corruption, Shares, kinds
from dlmreason.diffusion.leave_one_out import Logits, leave_one_out, noise_chance, posterior_of
from dlmreason.diffusion.reversal import noise_law, noised_law, reverse_law
from dlmreason.policies.facts import Facts
from dlmreason.policies.gibbs import random_order, require_sites
from dlmreason.policies.respond import log_probs, moved, opening, settled_where

Step = Callable[[Canvas, Tensor, Shares, Shares, Noise], Tensor]
"""(canvas, alone [B, L, V], shares now, shares after, noise) -> [B, L, V + 1] float64: the log-chances of each next
token, the mask last. The canvas holds the mask at given positions, where what is said is ignored; `alone` is log p(x_i
| z without z_i). One that draws has `streams`."""


def ancestral(canvas: Canvas, alone: Tensor, now: Shares, after: Shares, noise: Noise) -> Tensor:
    """The reverse of the noise, each position by itself [UDLM, arXiv:2412.10193; GIDD, arXiv:2503.04482]."""
    return reverse_law(alone, canvas.tokens, now, after, canvas.mask_id)


def resample(canvas: Canvas, alone: Tensor, now: Shares, after: Shares, noise: Noise) -> Tensor:
    """The surest positions take a token of p(x | z), all others noise anew (design of this project, after the samplers
    of masked diffusion that write the surest first).

    ceil(alpha N) of the N editable positions are sure, by the highest posterior probability, which does not look at
    what is drawn. Not the reverse of any noise: it differs from the joint in the limit of many passes too.
    """
    seen = posterior_of(alone, canvas.tokens, now, canvas.mask_id)
    # No number where the token cannot have come about, which stands then.
    seen = torch.where(seen.isnan(), standing(canvas)[..., :-1], seen)
    confidence = torch.where(canvas.editable, seen.amax(-1), -torch.inf)
    # The rounding of a product must not lift a whole number to the next one.
    sure = place(confidence) < (after.clean * canvas.editable.sum(-1) - 1e-9).ceil()[:, None]
    law = torch.cat([seen, torch.full_like(seen[..., :1], -torch.inf)], -1)
    return torch.where(sure[..., None], law, noise_law(after, canvas.mask_id))


@dataclass(frozen=True)
class Corrector:
    """`sites` positions are drawn anew from p(z_i | z without z_i) ["Uniform Diffusion Models Revisited",
    arXiv:2605.22765].

    pick "even": any of the editable ones; one site leaves the noisy law at that time invariant, several drawn at once
    do not quite.  "noise": those most probably noise, by `noise_chance`; the choice looks at the token that is there,
    so not even one leaves it invariant.

    Raises: ValueError where sites < 1 or for another pick.
    """

    sites: int = 1
    pick: Literal["even", "noise"] = "even"

    def __post_init__(self) -> None:
        require_sites(self.sites)
        if self.pick not in ("even", "noise"):
            raise ValueError(f"pick={self.pick!r} is not known: choose even or noise")

    @property
    def streams(self) -> tuple[str, ...]:
        return ("site",) if self.pick == "even" else ()

    def __call__(self, canvas: Canvas, alone: Tensor, now: Shares, after: Shares, noise: Noise) -> Tensor:
        if self.pick == "even":
            order = random_order(canvas, noise)
        else:
            suspicion = noise_chance(alone, canvas.tokens, now, canvas.mask_id)
            order = place(torch.where(canvas.editable, suspicion, -torch.inf))
        return torch.where((order < self.sites)[..., None], noised_law(alone, now), standing(canvas))


def standing(canvas: Canvas) -> Tensor:
    """[B, L, V + 1]: the law of every token as it is."""
    places = torch.arange(canvas.mask_id + 1, device=canvas.tokens.device)
    return (canvas.tokens[..., None] == places).double().log()


@dataclass(frozen=True)
class Reversal:
    """Walk from pure noise at t = 1 to a clean text at t = 0 [UDLM, arXiv:2412.10193; GIDD, arXiv:2503.04482].

    corruption: the noise that the network was trained on.  logits: what its logits are, as its objective says; the
    posterior is turned into the leave-one-out, exactly, at the level of each pass.  predictor: what takes noise back.
    corrector, corrections: what acts so many times, at one level, between two passes of the predictor.

    All passes count alike. The first and the last are the predictor's, since at t = 1 and t = 0 there is nothing to
    correct; where the total leaves some over, they are the predictor's too, at the start. The last pass writes clean
    tokens whatever the schedule. Not anytime: the times depend on the total. Blanks that are there at the start take
    pure noise first, so that under uniform noise the network never reads a mask.

    begin: the time of the first pass, in (0, 1]. Below 1 tokens that are there at the start are taken for a text with
    that much noise in it, of which little is changed [SDEdit, arXiv:2108.01073].

    Raises: ValueError for unknown logits, corrections without a corrector or below 0, or no time to begin at.
    """

    corruption: Corruption
    logits: Logits = "leave_one_out"
    predictor: Step = ancestral
    corrector: Step | None = None
    corrections: int = 0
    begin: float = 1.0

    def __post_init__(self) -> None:
        if self.logits not in get_args(Logits):
            raise ValueError(f"logits={self.logits!r} is unknown: choose {' or '.join(get_args(Logits))}")
        if self.corrections < 0 or (self.corrections > 0) != (self.corrector is not None):
            raise ValueError(
                f"corrections={self.corrections} with corrector={self.corrector}: give a corrector and 1 or more "
                "passes of it between two others, or neither"
            )
        if not 0 < self.begin <= 1:
            raise ValueError(f"begin={self.begin} is the time of the first pass: give a number above 0 and at most 1")
        _ = self.facts  # refuses a stream drawn twice

    @property
    def anytime(self) -> bool:
        return False

    @property
    def facts(self) -> Facts:
        masks, noise = kinds(self.corruption)
        needs = ["masks"] * masks + ["noise", self.logits] * noise
        steps = (self.predictor,) if self.corrector is None else (self.predictor, self.corrector)
        drawn = tuple(stream for step in steps for stream in getattr(step, "streams", ()))
        return Facts(("start", "token", *drawn), frozenset(needs), revises=noise)

    def time(self, index: Tensor, total: int) -> Tensor:
        """t before pass `index` [...] int64 of `total`, float64: `begin` before the first, 0 after the last. It stands
        still over the passes of the corrector."""
        cycle = 1 + self.corrections
        first, cycles = (total - 1) % cycle + 1, (total - 1) // cycle
        made = index.clamp(max=first) + (index - first).clamp(min=0) // cycle
        return self.begin * ((first + cycles - made).double() / (first + cycles))

    def shares(self, t: Tensor) -> Shares:
        """What a token is at times [B] float64; at 0 it is clean, also where the schedule stops short of that."""
        end = t <= 0
        clean, mask, uniform = self.corruption.shares(t)
        return Shares(torch.where(end, 1.0, clean), torch.where(end, 0.0, mask), torch.where(end, 0.0, uniform))

    def init(self, canvas: Canvas, clock: Clock, noise: Noise) -> Move:
        begin = torch.full((len(canvas.tokens),), self.begin, dtype=torch.float64, device=canvas.tokens.device)
        start = self.shares(begin)
        law = noise_law(start, canvas.mask_id).expand(*canvas.tokens.shape, -1)
        tokens = torch.where(canvas.masked, noise.draw(law, "start"), canvas.tokens)
        move = opening(canvas._replace(tokens=tokens))
        return move._replace(ask=move.ask._replace(level=start.clean), wake=settled_where(~canvas.editable.any(-1)))

    def __call__(self, canvas: Canvas, reading: Reading, clock: Clock, memory: Memory, noise: Noise) -> Move:
        assert clock.total is not None, "a policy that is not anytime is given the total"
        t, s = self.time(clock.index, clock.total), self.time(clock.index + 1, clock.total)
        now, after = self.shares(t), self.shares(s)
        # What is given may be no token that can be written.
        open_ = canvas._replace(tokens=torch.where(canvas.editable, canvas.tokens, canvas.mask_id))
        alone = self._alone(open_, reading, now)
        law = self.predictor(open_, alone, now, after, noise)
        if self.corrector is not None:
            law = torch.where((s == t)[:, None, None], self.corrector(open_, alone, now, after, noise), law)
        # What is given has no law of its own here, and what is drawn must have one.
        law = torch.where(canvas.editable[..., None], law, standing(open_))
        tokens = torch.where(canvas.editable, noise.draw(law, "token"), canvas.tokens)
        move = moved(canvas, reading, tokens, wake=settled_where(~canvas.editable.any(-1)))
        return move._replace(ask=move.ask._replace(level=after.clean))

    def _alone(self, canvas: Canvas, reading: Reading, now: Shares) -> Tensor:
        said = log_probs(canvas, reading)[..., : canvas.mask_id]
        return leave_one_out(said, canvas.tokens, now, canvas.mask_id) if self.logits == "posterior" else said


def corrected(
    corruption: Corruption,
    logits: Logits = "leave_one_out",
    corrections: int = 1,
    sites: int = 1,
    pick: Literal["even", "noise"] = "even",
    begin: float = 1.0,
) -> Reversal:
    """Ancestral passes with `corrections` leave-one-out Gibbs passes between two of them ["Uniform Diffusion Models
    Revisited", arXiv:2605.22765].

    0 is the ancestral sampler.  sites, pick: see `Corrector`.  begin: see `Reversal`.
    """
    corrector = Corrector(sites, pick)
    step = corrector if corrections else None
    return Reversal(corruption, logits, corrector=step, corrections=corrections, begin=begin)


def resampled(corruption: Corruption, logits: Logits = "leave_one_out") -> Reversal:
    """The surest tokens stand and the rest is noise anew, on every pass; see `resample`."""
    return Reversal(corruption, logits, resample)
