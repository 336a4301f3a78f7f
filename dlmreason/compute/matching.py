"""Equal compute across arms: what a budget buys of passes and of chains, and which settings of one arm spend what the
other spent.

This file decides that a chain is bought whole or not at all, that chains share one reading of their prompt, and when
two costs are equal: within a tolerance, in FLOPs, in sequential depth or in seconds, as the price says that a search is
handed. It knows sizes and prices, no arm.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Any, Generic, NamedTuple, Protocol, TypeVar

from dlmreason.compute.flops import Sizes, chain_flops, chain_queries, generation_flops, pass_flops, prefill_flops

TOLERANCE = 0.02
"""Costs are equal where they are no further apart than this share of the larger."""

MOST = 1 << 40
"""Passes, chains or tokens beyond which no search goes."""

T = TypeVar("T")


def passes_within(flops_budget: int, shape: Sizes, length: int) -> int:
    """Uncached denoising passes over one row of `length` positions that `flops_budget` buys."""
    return flops_budget // pass_flops(shape, length)


def chains_within(flops_budget: int, shape: Sizes, prompt: int, generated: int, most: int | None = None) -> int:
    """Chains of `generated` tokens that `flops_budget` buys after reading their prompt once; 0 where not even one.

    most: never more than this many.
    Raises: ValueError where a chain costs nothing and `most` is missing.
    """
    if generation_flops(shape, prompt, generated, 1) > flops_budget:
        return 0
    price = chain_flops(shape, prompt, generated)
    if price == 0:
        if most is None:
            raise ValueError(
                f"chains of generated={generated} token cost nothing beyond the prompt: {flops_budget} FLOPs buy any "
                f"number of them, give most"
            )
        return most
    bought = (flops_budget - prefill_flops(shape, prompt)) // price
    return bought if most is None else min(bought, most)


def first_within(flops_budget: int, shape: Sizes, prompt: int, generated: Sequence[int]) -> int:
    """How many of a prompt's chains, in their order, fit `flops_budget` at the lengths that they really have.

    generated: tokens of each chain.  Stops at the first that does not fit, so a larger budget never loses a chain.
    """
    spent = prefill_flops(shape, prompt)
    for number, tokens in enumerate(generated):
        spent += chain_flops(shape, prompt, tokens)
        if spent > flops_budget:
            return number
    return len(generated)


def mismatch(cost: float, other: float) -> float:
    """How far two costs are apart, as a share of the larger: 0 for equal ones."""
    return abs(cost - other) / max(cost, other) if max(cost, other) else 0.0


class PassPrice(Protocol):
    """What `passes` denoising passes over one row of `length` positions cost; falls nowhere as passes grow."""

    def __call__(self, shape: Any, length: int, passes: int) -> float: ...


class ChainPrice(Protocol):
    """What chains of `generated` tokens after one prompt cost; falls nowhere as tokens or chains grow."""

    def __call__(self, shape: Any, prompt: int, generated: int, chains: int) -> float: ...


def passes_flops(shape: Sizes, length: int, passes: int) -> int:
    """FLOPs of uncached passes; the price of chains in FLOPs is `flops.generation_flops`."""
    return passes * pass_flops(shape, length)


def passes_depth(shape: Sizes, length: int, passes: int) -> int:
    """Calls of the network that wait for one another: all of them."""
    return passes


def chains_depth(shape: Sizes, prompt: int, generated: int, chains: int) -> int:
    """Calls that wait for one another: the prompt's, which gives the first token, and one for each further token of the
    longest chain. Chains run side by side, so their number is free.

    With a quality head the last token is read as well, to be judged: one call more.
    """
    return 1 + chain_queries(shape, generated)


@dataclass(frozen=True)
class Setting(Generic[T]):
    """A setting and what it spends."""

    value: T
    spent: float
    mismatch: float  # of what it spends and the target


class UnmatchedError(ValueError):
    """No setting spends what the other arm spent."""


@dataclass(frozen=True)
class Match(Generic[T]):
    """The settings nearest to a target, and whether one of them spends as much."""

    target: float
    tolerance: float
    below: Setting[T] | None  # of those that spend no more the dearest; None: all spend more
    above: Setting[T] | None  # of those that spend more the cheapest; None: none does

    @property
    def nearest(self) -> Setting[T]:
        """Of two that are equally near the cheaper."""
        return min((each for each in (self.below, self.above) if each), key=lambda each: each.mismatch)

    @property
    def found(self) -> Setting[T] | None:
        """The nearest setting where it is within the tolerance, else None."""
        return self.nearest if self.nearest.mismatch <= self.tolerance else None

    def chosen(self, what: str) -> T:
        """The setting found. what: of what it is a number, for the message.

        Raises: UnmatchedError, with the nearest settings on both sides in numbers.
        """
        if self.found is None:
            raise UnmatchedError(f"{what}: {self}")
        return self.found.value

    def __str__(self) -> str:
        if found := self.found:
            return f"{found.value} spends {found.spent:.6g} for {self.target:.6g}, {found.mismatch:.2%} apart"
        sides = [
            f"{side} it {each.value} spends {each.spent:.6g}, {each.mismatch:.2%} apart"
            for side, each in (("below", self.below), ("above", self.above))
            if each
        ]
        return (
            f"nothing spends {self.target:.6g} within {self.tolerance:.2%}: {'; '.join(sides)}; choose one of these as "
            f"the claim's budget, or allow a larger mismatch"
        )


def match_passes(
    target: float,
    shape: Sizes,
    length: int,
    *,
    price: PassPrice = passes_flops,
    tolerance: float = TOLERANCE,
    most: int = MOST,
) -> Match[int]:
    """Denoising passes over one row of `length` positions, 1 to `most`, that cost `target`. Raises: ValueError."""
    _counts(length=length, most=most)
    return _search(target, lambda passes: price(shape, length, passes), 1, most, tolerance)


def match_chains(
    target: float,
    shape: Sizes,
    prompt: int,
    generated: int,
    *,
    price: ChainPrice = generation_flops,
    tolerance: float = TOLERANCE,
    most: int = MOST,
) -> Match[int]:
    """Chains of `generated` tokens, 1 to `most`, that cost `target`; where their number is free, the fewest.

    Raises: ValueError.
    """
    _counts(prompt=prompt, generated=generated, most=most)
    return _search(target, lambda chains: price(shape, prompt, generated, chains), 1, most, tolerance)


def match_thought(
    target: float,
    shape: Sizes,
    prompt: int,
    answer: int,
    chains: int,
    *,
    price: ChainPrice = generation_flops,
    tolerance: float = TOLERANCE,
    most: int = MOST,
) -> Match[int]:
    """Tokens of a thought, 0 to `most`, its marker included, with which `chains` chains that end in an answer of
    `answer` tokens cost `target`. Raises: ValueError."""
    _counts(prompt=prompt, answer=answer, chains=chains, most=most)
    return _search(target, lambda thought: price(shape, prompt, thought + answer, chains), 0, most, tolerance)


def match_size(
    target: float, family: Iterable[T], price: Callable[[T], float], *, tolerance: float = TOLERANCE
) -> Match[T]:
    """A network of `family` that costs `target` at the settings that `price` holds; of equals the first in the family.

    Raises: ValueError, for an empty family also.
    """
    _check(target, tolerance)
    settings = [Setting(each, spent, mismatch(spent, target)) for each in family for spent in (price(each),)]
    if not settings:
        raise ValueError("the family of networks is empty: give at least one shape")
    below = max((each for each in settings if each.spent <= target), key=lambda each: each.spent, default=None)
    above = min((each for each in settings if each.spent > target), key=lambda each: each.spent, default=None)
    return Match(target, tolerance, below, above)


def match_ladder(
    ladder: Iterable[int], spent: Callable[[int], float], match: Callable[[float], Match[T]]
) -> dict[int, Match[T]]:
    """For each rung of one arm, which spends `spent(rung)` there, the other arm's setting that spends as much."""
    return {rung: match(spent(rung)) for rung in ladder}


def unmatched(matches: Mapping[int, Match[Any]]) -> list[str]:
    """One line for each rung that no setting matches, with the numbers."""
    return [f"rung {rung}: {match}" for rung, match in matches.items() if match.found is None]


class Training(NamedTuple):
    """What a training spends; each is something by which two can be matched."""

    flops: float
    examples: int
    updates: int


MATCHED_BY = Training._fields


def match_training(by: str, other: Training, thousand: Training) -> int:
    """Updates, at least 1, with which a training spends as much as `other` did.

    by: of MATCHED_BY, as the claim says.  thousand: what 1000 updates of this training spend.
    """
    return max(1, round(getattr(other, by) / getattr(thousand, by) * 1000))


def _search(target: float, spends: Callable[[int], float], least: int, most: int, tolerance: float) -> Match[int]:
    """The nearest of `least` to `most` on both sides, the smallest number of equals; `spends` falls nowhere."""
    _check(target, tolerance)

    def setting(number: int) -> Setting[int]:
        return Setting(number, spends(number), mismatch(spends(number), target))

    def first(reached: Callable[[float], bool]) -> int:
        """The smallest number whose cost `reached` tells of, `most + 1` where there is none."""
        low, high = least, most + 1
        while low < high:
            middle = (low + high) // 2
            low, high = (low, middle) if reached(spends(middle)) else (middle + 1, high)
        return low

    dearer = first(lambda cost: cost > target)
    above = setting(dearer) if dearer <= most else None
    if dearer == least:
        return Match(target, tolerance, None, above)
    dearest = spends(dearer - 1)
    return Match(target, tolerance, setting(first(lambda cost: cost >= dearest)), above)


def _check(target: float, tolerance: float) -> None:
    _positive("target", target, "of FLOPs, calls or seconds")
    if not 0 <= tolerance < 1:
        raise ValueError(f"tolerance={tolerance} must be a share of 0 or more and below 1: 0.02 is two percent")


def _positive(name: str, value: float, unit: str) -> None:
    if not (isfinite(value) and value > 0):
        raise ValueError(f"{name}={value} {unit} must be finite and above 0: give what the other arm really spent")


def _counts(**given: int) -> None:
    for name, value in given.items():
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            raise ValueError(f"{name}={value} must be a whole number of 1 or more")
