"""Counter-based noise: every draw is a pure function of (seed, example id, pass, stream, position).

So a row draws the same numbers alone or in company, after a restart of the process, and whether or not another feature
draws beside it. This file decides the bits and the verbs; which verb is asked when belongs to the policies.
"""

import functools
import math
import zlib
from dataclasses import dataclass, field

import torch
from torch import Tensor

from dlmreason.canvas import Hazard, place

STREAMS = (
    "start",  # the first canvas, where it is pure noise
    "token",  # the token written at a position
    "due",  # the pass of a position's first event
    "due_again",  # the pass of its next event, drawn when one has happened
    "change",  # whether a position changes in this very pass, where nothing is drawn ahead
    "doubt",  # which tokens are taken back
    "order",  # which blanks are written first, where that is random
    "restart",  # which tokens a restart erases
    "restart_outer",  # the same for a bigger restart around it
    "accept",  # whether a worse answer is accepted
    "renoise",  # which tokens a certificate hides
    "site",  # which position a Gibbs move visits
    "soft",  # noise on a carried state
    "show",  # which tokens of its own a pass is shown
)
_PLACES = {stream: place for place, stream in enumerate(STREAMS)}


def _signed(word: int) -> int:
    return word - 2**64 if word >= 2**63 else word


# The increments and multipliers of SplitMix64 [Steele, Lea, Flood 2014], as signed 64-bit words.
_GAMMA = _signed(0x9E3779B97F4A7C15)
_FIRST = _signed(0xBF58476D1CE4E5B9)
_SECOND = _signed(0x94D049BB133111EB)

# Draws of up to so many numbers are made for all streams at once: below, a call of torch costs more than its numbers.
_FEW = 256


def _shift_right(word: Tensor, bits: int) -> Tensor:
    """Logical shift: torch shifts int64 arithmetically, so the copied sign bits are masked off."""
    return (word >> bits).bitwise_and_((1 << (64 - bits)) - 1)


def _xor_shift(word: Tensor, bits: int) -> Tensor:
    return _shift_right(word, bits).bitwise_xor_(word)


def mix(word: Tensor) -> Tensor:
    """SplitMix64's finaliser, a bijection of int64 words."""
    word = _xor_shift(word, 30) * _FIRST
    word = _xor_shift(word, 27) * _SECOND
    return _xor_shift(word, 31)


def _inside(bits: Tensor) -> Tensor:
    """float64 in (0, 1) from 64 random bits each."""
    return (_shift_right(bits, 12).double() + 0.5) * 2.0**-52


def fold(ids: Tensor, branch: Tensor | int) -> Tensor:
    """Ids [B] int64 of the branch (an AR chain, a copy) of each example. Branch 0 is another id than the example's
    own."""
    return mix(ids + (torch.as_tensor(branch, device=ids.device) + 1) * _GAMMA)


@functools.cache
def _starts(seed: int, device: torch.device) -> Tensor:
    """[S] int64: the word that each stream begins with; made once, for it waits for the device."""
    return mix(torch.tensor([seed * 2**32 + zlib.crc32(stream.encode()) for stream in STREAMS], device=device))


@functools.lru_cache(maxsize=16)
def _steps(count: int, device: torch.device) -> Tensor:
    """[count] int64: what each position adds to its row's word."""
    return torch.arange(1, count + 1, device=device) * _GAMMA


def words(seed: int, ids: Tensor) -> Tensor:
    """[S, B, 1] int64: each row's word in each stream, which no pass changes; ids as in `Counter`."""
    return mix(_starts(seed, ids.device)[:, None, None] + ids[:, None] * _GAMMA)


@dataclass(frozen=True)
class Counter:
    """The noise of a batch of rows at their own passes.

    seed: 0 <= seed < 2**31.  ids: [B] int64, example ids.  index: [B] int64, each row's true pass.  words: those of
    this seed and these ids, where they are at hand.
    """

    seed: int
    ids: Tensor
    index: Tensor
    words: Tensor | None = field(default=None, repr=False)

    @functools.cached_property
    def _keys(self) -> Tensor:
        """[S, B, 1] int64: `words` of this pass. Of all streams at once: a call of torch costs more than the words."""
        rows = words(self.seed, self.ids) if self.words is None else self.words
        return mix(rows + self.index[:, None] * _GAMMA)

    @functools.cached_property
    def _uniforms(self) -> dict[int, Tensor]:
        """[S, B, count] float64 of all streams, by count."""
        return {}

    def bits(self, count: int, stream: str) -> Tensor:
        """[B, count] int64 of 64 random bits each."""
        return mix(self._keys[_PLACES[stream]] + _steps(count, self.ids.device))

    def uniform(self, shape: torch.Size, stream: str) -> Tensor:
        """float64 strictly inside (0, 1): 52 bits and a half, so that neither end can be reached by rounding."""
        count = math.prod(shape[1:])
        if len(self.ids) * count > _FEW:
            return _inside(self.bits(count, stream)).reshape(shape)
        if count not in self._uniforms:
            self._uniforms[count] = _inside(mix(self._keys + _steps(count, self.ids.device)))
        return self._uniforms[count][_PLACES[stream]].reshape(shape)

    def coin(self, chance: Tensor, stream: str) -> Tensor:
        return self.uniform(chance.shape, stream) < chance

    def draw(self, log_probs: Tensor, stream: str) -> Tensor:
        """By inverse CDF from one uniform a place: at large vocabularies float64 Gumbel noise would be slow."""
        mass = log_probs.double().exp().cumsum(-1)
        total = mass[..., -1]
        # Strictly below the total, so that rounding cannot choose past the last category of positive chance.
        below = torch.nextafter(total, torch.zeros_like(total))
        point = torch.minimum(self.uniform(total.shape, stream) * total, below)
        return torch.searchsorted(mass, point[..., None], right=True)[..., 0].clamp(max=log_probs.shape[-1] - 1)

    def rank(self, score: Tensor, stream: str) -> Tensor:
        return place(score.double() + self.gumbel(score, stream))

    def first(self, hazard: Hazard, kind: Tensor, since: Tensor, stream: str) -> Tensor:
        risk, passes = hazard.risk, hazard.chance.shape[-1]
        waited = -self.uniform(since.shape, stream).log()
        # As if every position were of each kind, then its own. What is waited is above 0, so place 0 is never reached.
        until = risk[:, since.clamp(max=passes)] + waited
        reached = torch.searchsorted(risk, until.flatten(1)).reshape(until.shape) - 1
        own = reached.gather(0, kind.clamp(min=0)[None])[0]
        return torch.where(kind < 0, passes, torch.maximum(own, since)).clamp(max=passes)

    def gumbel(self, like: Tensor, stream: str) -> Tensor:
        return -(-self.uniform(like.shape, stream).log()).log()

    def normal(self, like: Tensor, stream: str) -> Tensor:
        """By the inverse of its distribution, so that each number takes one uniform; none is beyond 8.3."""
        return torch.special.ndtri(self.uniform(like.shape, stream))
