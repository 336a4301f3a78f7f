"""What the quality head is asked: of which canvas, at which of its positions, and what would be right to say.

This file decides no loss and no weight. A target draws a canvas, from the network's own guesses or from noise, and
labels positions of it; `Quality` and `Judging` train on them. What the head then means is the target's doing: trained
to its best, the head says the chance of the label given the canvas. No gradient reaches a network through its own
samples.

"Full canvases with verified labels" are those that the model draws whole, each token labelled by comparison with the
right one: `OwnErrors(full=1, lowest=1, slope=0)` from nothing but what was given, `Filled(everywhere=True)` from a
masked text. The label is a verification where the answer is unique; where several are right, a token of another one
counts as wrong. Shape letters: B rows, L positions, V outputs (the mask is none of them).
"""

from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from dlmreason.diffusion.corruption import Absorbing, Corruption, Uniform, coins, corrupt, kinds
from dlmreason.diffusion.objectives import Batch, Guessing, Network, taught_by, token_nats
from dlmreason.diffusion.schedules import Linear, LowDiscrepancy, Schedule, Times


class Question(NamedTuple):
    """What the head reads, where it is asked, and the answer.

    The rows may be those of the batch several times over, the whole batch after the whole batch.
    """

    canvas: Tensor  # [B, L] int64
    asked: Tensor  # [B, L] bool
    right: Tensor  # [B, L] the label: bool, or float in [0, 1], a chance; of no meaning where it is not asked
    t: Tensor  # [B] float64, the time of the canvas, by which it may be weighed, and the schedule that it is a time of
    schedule: Schedule = Linear()


class Target(Protocol):
    """A law of questions."""

    @property
    def blanks(self) -> bool:
        """Whether its canvases hold masks whatever the network, so that it must know them."""
        ...

    @property
    def guesses(self) -> int:
        """How often the network is asked what it would have written: as many more passes, without gradient.

        More than once is to show it what it wrote, which an objective that hides that with masks would not do.
        """
        ...

    @property
    def repeats(self) -> int:
        """Canvases for each row of the batch, each of which costs a pass."""
        ...

    def __call__(self, inner: Guessing, network: Network, batch: Batch, generator: torch.Generator) -> Question: ...


@dataclass(frozen=True)
class OwnErrors:
    """Mostly full canvases with a few own errors, every judged position asked: is this token right?

    A share r = lowest + slope t^2 of the judged positions, t uniform, is written anew from the model's own
    distribution. A share `full` of the rows is full canvases. The others, where the inner objective knows a mask, hide
    a share t instead and fill only a part of it.
    """

    full: float = 0.75
    lowest: float = 0.03
    slope: float = 0.8

    def __post_init__(self) -> None:
        if not 0 <= self.full <= 1:
            raise ValueError(f"quality.full={self.full} is a share of the rows: give a number from 0 to 1")
        if not (self.lowest >= 0 and self.slope >= 0 and 0 < self.lowest + self.slope <= 1):
            raise ValueError(
                f"quality.lowest={self.lowest} and quality.slope={self.slope} give the share of positions written "
                "anew, lowest to lowest + slope; both must be at least 0, and their sum above 0 and at most 1"
            )

    @property
    def blanks(self) -> bool:
        """False: where the inner objective knows no mask, all canvases are full."""
        return False

    @property
    def guesses(self) -> int:
        return 1

    @property
    def repeats(self) -> int:
        return 1

    @torch.no_grad()
    def __call__(self, inner: Guessing, network: Network, batch: Batch, generator: torch.Generator) -> Question:
        rows = batch.tokens[:, :1]
        t = torch.rand(rows.shape, generator=generator, device=rows.device, dtype=torch.float64)
        full = coins(torch.full_like(t, self.full if taught_by(inner).masks else 1.0), rows, generator)
        hidden = coins(torch.where(full, self.lowest + self.slope * t**2, t), batch.tokens, generator) & batch.judged
        written = draw(inner.guess(network, batch, hidden, generator), generator)
        share = torch.rand(rows.shape, generator=generator, device=rows.device, dtype=torch.float64)
        blank = hidden & ~full & coins(share, batch.tokens, generator)
        canvas = torch.where(blank, batch.mask_id, torch.where(hidden, written, batch.tokens))
        return Question(canvas, batch.judged & (canvas != batch.mask_id), canvas == batch.tokens, t[:, 0])


@dataclass(frozen=True)
class OwnChains:
    """Whole texts of a causal network's own, thought and answer, every judged token asked: is it right?

    What a verifier of chains has to be taught on [arXiv:2110.14168, section 4]: where a step goes wrong, what follows
    is written on top of it, which single errors in a right text never show. All tokens of a text are drawn at once, in
    rounds, by noise that stays [Jacobi iteration; arXiv:2002.03629]: after k rounds the first k tokens are those that
    would have been drawn one after another, and so is all the rest as soon as a round changes nothing. A round begins
    from what the last one wrote, the first one from the right text; each is one pass of the whole batch.

    rounds: 1 or more; one is a text of errors of which none follows from another.  hottest: a row is drawn at a
    temperature between 1 and that, evenly, so that a network that errs seldom has errors to learn from.

    A thought is as long as the right one: its end is written where that ends and nowhere before.
    """

    rounds: int = 4
    hottest: float = 2.0

    def __post_init__(self) -> None:
        if self.rounds < 1:
            raise ValueError(f"target.rounds={self.rounds} is how often a text is drawn anew: give 1 or more")
        if not 1 <= self.hottest < float("inf"):
            raise ValueError(f"target.hottest={self.hottest} is the highest temperature of a row: give 1 or more")

    @property
    def blanks(self) -> bool:
        return False

    @property
    def guesses(self) -> int:
        return self.rounds

    @property
    def repeats(self) -> int:
        return 1

    @torch.no_grad()
    def __call__(self, inner: Guessing, network: Network, batch: Batch, generator: torch.Generator) -> Question:
        tokens = batch.tokens
        rows = torch.rand(tokens.shape[0], generator=generator, device=tokens.device, dtype=torch.float64)
        heat = (1 + (self.hottest - 1) * rows)[:, None, None]
        shape = (*tokens.shape, batch.mask_id)
        # -log of an exponential time is a Gumbel variable, and the highest of logits with such noise is a draw.
        arrivals = torch.empty(shape, dtype=torch.float64, device=tokens.device).exponential_(generator=generator)
        for _ in range(self.rounds):
            logits = inner.guess(network, batch._replace(tokens=tokens), batch.editable, generator)
            tokens = self.written(batch, logits.double() / heat - arrivals.log())
        return Question(tokens, batch.judged, tokens == batch.tokens, torch.ones_like(rows))

    def written(self, batch: Batch, scores: Tensor) -> Tensor:
        """The highest of scores [B, L, V] at each editable position, but for the end of a thought: [B, L] int64."""
        ends, end_id = thought_ends(batch)
        # What begins with its answer has no thought to end, and no token is out of bounds to it.
        ending = torch.arange(scores.shape[-1], device=scores.device) == end_id[:, None, None]
        scores = torch.where(ending & ~batch.judged[..., None], -torch.inf, scores)
        return torch.where(batch.editable & ~ends, scores.argmax(-1), batch.tokens)


def thought_ends(batch: Batch) -> tuple[Tensor, Tensor]:
    """Where a row's thought ends, [B, L] bool, and the token there, [B] int64, -1 in a row without a thought.

    It is the token that is written right before the first one that is judged.
    """
    answer = (batch.judged.cumsum(-1) == 1) & batch.judged
    ends = answer.roll(-1, -1) & batch.editable
    ends[:, -1] = False  # nothing is judged after the last
    return ends, torch.where(ends.any(-1), (batch.tokens * ends).sum(-1), -1)


@dataclass(frozen=True)
class Filled:
    """A masked canvas of which masks were filled by the model's own tokens, and only those are asked: is it right?

    fill: how many judged masks of a row are filled, drawn alike; the other masks stay. None fills all.  everywhere:
    what was not masked is drawn from the model too, and asked; with all masks filled only.

    With `fill` 1 it is the target of PRISM [arXiv:2510.01384, prop. 3.1]: whatever wrote the token, as long as it can
    write any, the best head says p(the token there | the canvas without it). A larger `fill` asks more questions of a
    pass, 4 for Sudoku in the source, and moves the target, for the other fills are not the right tokens; more `repeats`
    do not. With None it is what the released code of PRISM calls its token critic, and, weighed by `NELBO`, the loss of
    a planner [P2, arXiv:2502.03540, prop. 2], whose best value, were it told what was masked, is p(the token there |
    what was not masked); told the canvas alone, it averages that over what may have been masked.

    repeats: fills of each masked canvas, of one guess; in the released code of PRISM 4 for text and 1 for Sudoku.

    Positions that were given are never asked: the label would be 1 for all, and the head would learn what was given.

    Deviation: a repeat draws its tokens anew too; the released code can also fill other masks with the same.
    """

    fill: int | None = None
    everywhere: bool = False
    schedule: Schedule = field(default_factory=Linear)
    times: Times = field(default_factory=LowDiscrepancy)
    repeats: int = 1

    def __post_init__(self) -> None:
        if self.repeats < 1:
            raise ValueError(f"target.repeats={self.repeats} is how often each canvas is filled: give 1 or more")
        if self.fill is not None and self.fill < 1:
            raise ValueError(
                f"target.fill={self.fill} is how many masks of a row are filled: give 1 or more, or null for all"
            )
        if self.everywhere and self.fill is not None:
            raise ValueError(
                f"target.everywhere=true draws the whole canvas, and target.fill={self.fill} leaves masks in it: set "
                "target.fill=null, or target.everywhere=false"
            )

    @property
    def blanks(self) -> bool:
        return self.fill is not None

    @property
    def guesses(self) -> int:
        return 1

    @torch.no_grad()
    def __call__(self, inner: Guessing, network: Network, batch: Batch, generator: torch.Generator) -> Question:
        t = self.times(batch.tokens.shape[0], generator)
        corrupted = corrupt(batch.tokens, batch.editable, Absorbing(self.schedule).shares(t), batch.mask_id, generator)
        hidden = (corrupted == batch.mask_id) & batch.editable
        logits = inner.guess(network, batch, hidden, generator)
        hidden, batch, t = hidden.repeat(self.repeats, 1), batch.repeat(self.repeats), t.repeat(self.repeats)
        written = draw(logits.repeat(self.repeats, 1, 1), generator)
        order = torch.rand(hidden.shape, generator=generator, device=hidden.device, dtype=torch.float64)
        return self.question(batch, t, hidden, written, order)

    def question(self, batch: Batch, t: Tensor, hidden: Tensor, written: Tensor, order: Tensor) -> Question:
        """Of given times [B], masks [B, L] bool, fills [B, L] int64 and their order [B, L]: nothing is drawn."""
        if self.fill is None:
            filled = batch.editable if self.everywhere else hidden
            canvas = torch.where(filled, written, batch.tokens)
        else:
            open_ = hidden & batch.judged
            rank = torch.where(open_, order, torch.inf).argsort(-1).argsort(-1)
            filled = open_ & (rank < self.fill)
            canvas = torch.where(filled, written, torch.where(hidden, batch.mask_id, batch.tokens))
        return Question(canvas, filled & batch.judged, canvas == batch.tokens, t, self.schedule)


@dataclass(frozen=True)
class Corrupted:
    """A text with noise in it, every judged token asked: was it kept? The model's own tokens play no part.

    The best head says 1 - `noise_chance`, which a denoiser of uniform noise contains already; a network of another
    training is taught it here. A token that was drawn and happens to be right counts as noise, as it does there.
    """

    corruption: Corruption = field(default_factory=Uniform)
    times: Times = field(default_factory=LowDiscrepancy)

    @property
    def blanks(self) -> bool:
        return kinds(self.corruption)[0]

    @property
    def guesses(self) -> int:
        return 0

    @property
    def repeats(self) -> int:
        return 1

    def __call__(self, inner: Guessing, network: Network, batch: Batch, generator: torch.Generator) -> Question:
        t = self.times(batch.tokens.shape[0], generator)
        # A text of a symbol that noise never draws, corrupted, shows what was drawn, also where it is the right token.
        nothing = torch.full_like(batch.tokens, -1)
        noise = corrupt(nothing, batch.editable, self.corruption.shares(t), batch.mask_id, generator)
        return self.question(batch, t, noise)

    def question(self, batch: Batch, t: Tensor, noise: Tensor) -> Question:
        """Of given times [B] and noise [B, L] int64, -1 where there is none: nothing is drawn."""
        kept = noise == -1
        canvas = torch.where(kept, batch.tokens, noise)
        return Question(canvas, batch.judged & (canvas != batch.mask_id), kept, t)


@dataclass(frozen=True)
class Replaced:
    """A masked text with random wrong tokens in it, every judged position asked, masks too [RemeDi, arXiv:2509.23653].

    At time t a share t is masked, and of what is left a share 4 wrong t (1 - t) is another token, drawn evenly. A right
    token is labelled 1 and a wrong one 0. A mask is labelled with the chance that the network gives the right token
    there: what the best head says is how often what the network would draw is right.

    wrong: the share of wrong tokens at t = 1/2, .1 in the source; at most 1/4, for then masks are more than wrong
    tokens at every time, as the source asks.

    Deviation: positions are masked and replaced each by itself, so that this holds on average; and tokens are trained
    by the inner loss, on canvases of its own, which in the source are these.
    """

    wrong: float = 0.1
    times: Times = field(default_factory=LowDiscrepancy)

    def __post_init__(self) -> None:
        if not 0 < self.wrong <= 0.25:
            raise ValueError(
                f"target.wrong={self.wrong} is the share of wrong tokens among those not masked at t = 1/2: give a "
                "number above 0 and at most 0.25, beyond which wrong tokens could outnumber masks"
            )

    @property
    def blanks(self) -> bool:
        return True

    @property
    def guesses(self) -> int:
        return 1

    @property
    def repeats(self) -> int:
        return 1

    @torch.no_grad()
    def __call__(self, inner: Guessing, network: Network, batch: Batch, generator: torch.Generator) -> Question:
        t = self.times(batch.tokens.shape[0], generator)
        hidden = coins(t[:, None], batch.tokens, generator) & batch.editable
        wrong = coins(self.share(t)[:, None], batch.tokens, generator) & batch.editable & ~hidden
        further = torch.randint(batch.mask_id - 1, wrong.shape, generator=generator, device=wrong.device) + 1
        noisy = torch.where(wrong, (batch.tokens + further) % batch.mask_id, batch.tokens)
        logits = inner.guess(network, batch._replace(tokens=noisy), hidden, generator)
        return self.question(batch, t, hidden, noisy, logits)

    def share(self, t: Tensor) -> Tensor:
        """The share of wrong tokens among those that are not masked: [B] float64 in 0 .. wrong."""
        return 4 * self.wrong * t * (1 - t)

    def question(self, batch: Batch, t: Tensor, hidden: Tensor, noisy: Tensor, logits: Tensor) -> Question:
        """Of given times [B], masks [B, L] bool, tokens [B, L] int64 where they are not, and what the network says of
        it, [B, L, V]: nothing is drawn."""
        canvas = torch.where(hidden, batch.mask_id, noisy)
        chance = (-token_nats(logits, batch.tokens, hidden)).exp()
        right = torch.where(hidden, chance, (noisy == batch.tokens).to(chance.dtype))
        return Question(canvas, batch.judged, right, t)


def draw(logits: Tensor, generator: torch.Generator) -> Tensor:
    """One token at each position from softmax(logits) [B, L, V], by a race of exponentials. Returns [B, L] int64."""
    probabilities = logits.float().softmax(-1)
    arrivals = torch.empty_like(probabilities).exponential_(generator=generator)
    return (probabilities / arrivals).argmax(-1)
