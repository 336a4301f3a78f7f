"""The types that a denoiser, a policy and the sampler share.

This file decides what one denoising pass reads, what it says, and what a policy answers. It knows no network, no task,
no schedule and no sampler; everything of ours may import it, and it imports torch only. Shape letters: B rows, L
positions, V tokens of the vocabulary, F feature columns.
"""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple, Protocol, TypeVar, cast

import torch
from torch import Tensor
from torch.utils._pytree import tree_map

Memory = Any
"""What a policy remembers of its rows: a pytree of tensors whose first axis is the rows; `()` where it needs none."""

Tree = TypeVar("Tree")

NEVER = 2**62
"""A wake that never comes: the row is settled. Clamp before adding anything to it."""


class Ask(NamedTuple):
    """What the next pass reads: the canvas as a rule, or a probe that a policy wants answered."""

    tokens: Tensor  # [B, L] int64
    level: Tensor  # [B] float64, alpha_t: the share of the answer that is not noise
    carry: Any  # a pytree of [B, ...] tensors handed from pass to pass; () where the network carries nothing


class Call(NamedTuple):
    """What a call was to each row, where a pass may take several."""

    ready: Tensor  # [B] bool, the pass that was asked for. False: it read what comes before, and says nothing; the
    # row asks the same again, with the carry that came
    charged: Tensor  # [B] bool. False: it read again what the row had paid for when it was stopped


class Reading(NamedTuple):
    """What one pass said, and of what."""

    of: Ask
    logits: Tensor  # [B, L, V]
    quality: (
        Tensor | None
    )  # [B, L] in (0, 1), the chance that the token now there is right; None without a quality head
    carry: Any  # as in Ask
    call: Call | None = None  # None: the pass that was asked for, of every row


class Canvas(NamedTuple):
    """What a policy may look at of its rows and must not change."""

    tokens: Tensor  # [B, L] int64, the working canvas
    editable: Tensor  # [B, L] bool, False where the task gave the token
    carry: Any  # the first carry: zeros, or ()
    mask_id: int
    end_id: int | None = None  # the token with which a text ends, what comes after it being padding; None: all are of
    # one length

    @property
    def masked(self) -> Tensor:
        """[B, L] bool: positions that wait to be written."""
        return (self.tokens == self.mask_id) & self.editable

    @property
    def written(self) -> Tensor:
        """[B, L] bool: editable positions that hold a token."""
        return (self.tokens != self.mask_id) & self.editable


class Clock(NamedTuple):
    """A row's own pass, and how many it will have. A policy that is anytime is handed `total=None`."""

    # A design name; that it hides tuple.index hurts nobody.
    index: Tensor  # type: ignore[assignment]  # [B] int64, the pass that was just made; -1 before the first
    total: int | None


class Move(NamedTuple):
    """A policy's answer to one reading."""

    tokens: Tensor  # [B, L] int64, the working canvas from now on
    answer: Tensor  # [B, L] int64, what it would say if stopped here; costs no further call
    score: Tensor  # [B] float64, how good that answer is, higher is better; -inf where nobody judged it
    ask: Ask  # what the next pass reads
    wake: Tensor  # [B] int64, passes until then: 1 as a rule, more to skip, NEVER when settled
    memory: Memory


class Hazard:
    """For each kind of position the chance of an event at every pass, given none before it.

    A table by kind, not by position, so that 100,000 passes cost 2 x 100,000 numbers; its sums are made once, since
    over so many passes they take as long as a pass of a small network.
    """

    def __init__(self, chance: Tensor) -> None:
        self.chance = chance  # [K, T] float64 in [0, 1]

    @functools.cached_property
    def risk(self) -> Tensor:
        """[K, T + 1] float64: minus the log of the chance that nothing has happened before each pass, and in the
        end."""
        # -log1p(-1) is infinite, and sums of infinities cannot be searched. No exponential draw of 52 bits exceeds
        # -log(2**-53) < 37, so this much in one pass is certainty.
        sums = (-torch.log1p(-self.chance)).clamp(max=64.0).cumsum(-1)
        return torch.cat([torch.zeros_like(sums[:, :1]), sums], -1)


class Noise(Protocol):
    """Random verbs, each a pure function of (seed, example id, pass, stream, position).

    The streams are the closed list `dlmreason.sampling.noise.STREAMS`; two draws of one policy on one pass must not
    share one.
    """

    def coin(self, chance: Tensor, stream: str) -> Tensor:
        """True with `chance` [B, ...] float64 at each place. Returns bool of the same shape."""
        ...

    def draw(self, log_probs: Tensor, stream: str) -> Tensor:
        """One category at each place. log_probs: [B, ..., V], normalised. Returns [B, ...] int64."""
        ...

    def rank(self, score: Tensor, stream: str) -> Tensor:
        """A Plackett-Luce order by `score` [B, L]. Returns [B, L] int64, each position's place, 0 first; -inf comes
        last."""
        ...

    def first(self, hazard: Hazard, kind: Tensor, since: Tensor, stream: str) -> Tensor:
        """The pass of each position's next event.

        kind: [B, L] int64 in -1..K-1, -1 has no events.  since: [B, L] int64, the first pass at which it may come.
        Returns [B, L] int64 in since..T, T where it never comes.
        """
        ...

    def gumbel(self, like: Tensor, stream: str) -> Tensor:
        """Standard Gumbel noise, float64, of the shape of `like`."""
        ...

    def normal(self, like: Tensor, stream: str) -> Tensor:
        """Standard Gaussian noise, float64, of the shape of `like`."""
        ...


class Policy(Protocol):
    """Decides what happens to the canvas; sees readings, never the network."""

    @property
    def anytime(self) -> bool:
        """True: it is handed `total=None`, and one trajectory serves every budget."""
        ...

    def init(self, canvas: Canvas, clock: Clock, noise: Noise) -> Move:
        """A move made after pass `clock.index`, before this policy's first reading; -1 at the start."""
        ...

    def __call__(self, canvas: Canvas, reading: Reading, clock: Clock, memory: Memory, noise: Noise) -> Move:
        """The move after pass `clock.index`, which said `reading`."""
        ...


class Denoiser(Protocol):
    """One pass over a batch of rows. The only thing that costs a call.

    `features` [B, L, F] are the task's given ids per position; they belong to the row, no policy sees or changes them.
    One that can work out what no pass changes, such as how a prompt reads, has a `seat` too, see `Seat`. One that needs
    calls of its own before a pass says so in `Reading.call`; how far it is with a row is a part of the carry.
    """

    @property
    def mask_id(self) -> int: ...

    @property
    def uses_level(self) -> bool:
        """False: the noise level of an Ask is not read."""
        ...

    def first_carry(self, rows: int) -> Any:
        """The carry before the first pass: zeros, or ()."""
        ...

    def __call__(self, ask: Ask, features: Any) -> Reading: ...


Seat = Callable[[Tensor, Tensor, Tensor], Any]
"""(tokens [B, L], editable [B, L], features [B, L, F]) -> what is handed to the passes of these rows in place of their
features: a pytree whose first axis is the rows, each row's a function of that row alone. Asked for once, when a row
sits down, so that it may cost what the passes then save; it is made anew from the row, and never written down."""


def seat_of(denoiser: Denoiser) -> Seat | None:
    """The `seat` of a denoiser that has one."""
    seat: Seat | None = getattr(denoiser, "seat", None)
    return seat


Score = Callable[[Canvas, Reading, Tensor], Tensor]
"""(canvas, reading, answer [B, L]) -> [B] float64; -inf where this reading does not judge this answer. Costs
nothing."""


def rows_like(where: Tensor, other: Tensor) -> Tensor:
    """`where` [B] with trailing axes of length one, so that it broadcasts over `other` [B, ...]."""
    return where.reshape(where.shape + (1,) * (other.dim() - where.dim()))


def choose(where: Tensor, yes: Tree, no: Tree) -> Tree:
    """Row by row `yes` or `no`, for any two pytrees of one structure. Selects, never multiplies: padding may hold
    NaN."""
    # A row alone is one or the other: then nothing is copied, which at batch 1 is a large part of what a pass costs.
    if isinstance(yes, tuple) and at_hand(where):
        chosen = int(where.sum())
        if chosen in (0, where.numel()):
            return yes if chosen else no
    shaped: dict[int, Tensor] = {}  # `where` as it broadcasts over tensors of so many axes, as far as it was needed

    def chosen_of(a: Tensor, b: Tensor) -> Tensor:
        if a is b:
            return a
        axes = a.dim()
        if axes not in shaped:
            shaped[axes] = rows_like(where, a)
        return torch.where(shaped[axes], a, b)

    return cast(Tree, _mapped(chosen_of, yes, no))


def at_hand(tensor: Tensor) -> bool:
    """Whether its values can be looked at without waiting for a device. What is found may save work, and change
    nothing."""
    return tensor.device.type == "cpu"


def somewhere(where: Tensor) -> bool:
    """False where it is at hand that `where` holds nowhere, so that what it would change may be left out."""
    return not at_hand(where) or bool(where.any())


def _mapped(work: Callable[..., Any], *trees: Any) -> Any:
    """`work` of every tensor, for pytrees of one structure."""
    # Ours are nested tuples of tensors, many times a pass; torch's walk over any pytree takes as long as the work.
    first = trees[0]
    if isinstance(first, Tensor):
        return work(*trees)
    if not isinstance(first, tuple) or any(type(other) is not type(first) for other in trees):
        return tree_map(work, *trees)
    parts = [_mapped(work, *each) for each in zip(*trees, strict=True)]
    return type(first)(*parts) if hasattr(first, "_fields") else tuple(parts)


def take(tree: Tree, index: Tensor) -> Tree:
    """The rows `index` [N] int64 of every tensor of a pytree."""
    return cast(Tree, _mapped(lambda a: a.index_select(0, index), tree))


def put(tree: Tree, index: Tensor, part: Tree) -> Tree:
    """A pytree with its rows `index` [N] int64 replaced by those of `part`."""
    return cast(Tree, _mapped(lambda a, b: a.index_copy(0, index, b), tree, part))


def join(parts: list[Tree]) -> Tree:
    """Pytrees of one structure, one below the other."""
    return cast(Tree, _mapped(lambda *leaves: torch.cat(leaves), *parts))


def place(score: Tensor) -> Tensor:
    """Each position's place when sorted by `score` [B, L] from high to low, 0 first; ties go to the lower position."""
    order = score.argsort(dim=-1, descending=True, stable=True)
    places = _places(score.shape[-1], score.device).expand_as(order)
    return torch.empty_like(order).scatter_(-1, order, places)


def block_numbers(editable: Tensor, size: int, by_position: bool) -> Tensor:
    """[B, L] int64: the block of each position, of `size` editable ones, or of `size` from position 0."""
    counted = torch.ones_like(editable) if by_position else editable
    return (counted.cumsum(-1) - 1) // size


@functools.lru_cache(maxsize=16)
def _places(count: int, device: torch.device) -> Tensor:
    return torch.arange(count, device=device)
