"""Equal compute has a definition: an exhaustive search finds the same settings, and they spend what the ledger says."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dlmreason.compute.flops import generation_flops, pass_flops
from dlmreason.compute.matching import (
    Match,
    Training,
    UnmatchedError,
    chains_depth,
    match_chains,
    match_ladder,
    match_passes,
    match_size,
    match_thought,
    match_training,
    mismatch,
    passes_depth,
    passes_flops,
    unmatched,
)
from dlmreason.networks.shape import Shape

AR = Shape(vocabulary_size=12, length=99, num_layers=3, width=32, num_heads=4, attention="causal", quality=True)
PLAIN = replace(AR, quality=False)
BOTH = Shape(vocabulary_size=12, length=99, num_layers=3, width=32, num_heads=4)


def rounds(shape: Shape, prompt: int, generated: int, chains: int) -> float:
    """A price with steps: seconds of eight chains at a time."""
    return 0.011 + -(-chains // 8) * generated * 0.004


CHAIN_PRICES = {"flops": generation_flops, "depth": chains_depth, "seconds": rounds}
PASS_PRICES = {"flops": passes_flops, "depth": passes_depth, "seconds": lambda shape, length, passes: 0.004 * passes}
FEW = 60

prices = st.sampled_from(sorted(CHAIN_PRICES))
shares = st.floats(0.01, 1.5)
sizes = st.integers(1, 40)


def exhausted(target: float, spends: Callable[[int], float], numbers: range) -> tuple[int | None, int | None]:
    """The nearest numbers below and above the target, found by looking at all."""
    below = [number for number in numbers if spends(number) <= target]
    above = [number for number in numbers if spends(number) > target]
    dearest = max((spends(number) for number in below), default=None)
    cheapest = min((spends(number) for number in above), default=None)
    return (
        next((number for number in below if spends(number) == dearest), None),
        next((number for number in above if spends(number) == cheapest), None),
    )


def agrees(match: Match[int], spends: Callable[[int], float], numbers: range) -> None:
    sides = tuple(each and each.value for each in (match.below, match.above))
    assert sides == exhausted(match.target, spends, numbers)
    best = min(mismatch(spends(number), match.target) for number in numbers)
    assert match.nearest.mismatch == best == mismatch(match.nearest.spent, match.target)
    assert (match.found is not None) == (best <= match.tolerance)
    for each in (match.below, match.above):
        assert each is None or each.spent == spends(each.value)


@given(unit=prices, shape=st.sampled_from([AR, PLAIN]), prompt=sizes, generated=sizes, share=shares)
def test_chains_are_those_of_an_exhaustive_search(
    unit: str, shape: Shape, prompt: int, generated: int, share: float
) -> None:
    spends = partial(CHAIN_PRICES[unit], shape, prompt, generated)
    target = share * spends(FEW) or 1.0
    match = match_chains(target, shape, prompt, generated, price=CHAIN_PRICES[unit], most=FEW)
    agrees(match, spends, range(1, FEW + 1))


@given(unit=prices, shape=st.sampled_from([AR, PLAIN]), prompt=sizes, answer=sizes, chains=sizes, share=shares)
def test_thoughts_are_those_of_an_exhaustive_search(
    unit: str, shape: Shape, prompt: int, answer: int, chains: int, share: float
) -> None:
    def spends(thought: int) -> float:
        return CHAIN_PRICES[unit](shape, prompt, thought + answer, chains)

    target = share * spends(FEW)
    match = match_thought(target, shape, prompt, answer, chains, price=CHAIN_PRICES[unit], most=FEW)
    agrees(match, spends, range(FEW + 1))


@given(unit=prices, length=sizes, share=shares)
def test_passes_are_those_of_an_exhaustive_search(unit: str, length: int, share: float) -> None:
    spends = partial(PASS_PRICES[unit], BOTH, length)
    match = match_passes(share * spends(FEW), BOTH, length, price=PASS_PRICES[unit], most=FEW)
    agrees(match, spends, range(1, FEW + 1))


@given(shares)
def test_sizes_are_those_of_an_exhaustive_search(share: float) -> None:
    family = [
        replace(AR, num_layers=layers, width=width, feedforward=4 * width)
        for layers in (1, 2, 3)
        for width in (8, 16, 32)
    ]
    price = partial(generation_flops, prompt=20, generated=30, chains=5)
    match = match_size(share * price(AR), family, price)
    costs = [price(shape) for shape in family]
    agrees_with = exhausted(match.target, costs.__getitem__, range(len(family)))
    assert tuple(each and family.index(each.value) for each in (match.below, match.above)) == agrees_with
    assert match_size(price(family[4]), family, price).chosen("width") == family[4]


@given(prompt=sizes, generated=sizes, chains=st.integers(1, 10**6), shape=st.sampled_from([AR, PLAIN]))
def test_what_n_chains_spend_is_matched_by_n(prompt: int, generated: int, chains: int, shape: Shape) -> None:
    spent = generation_flops(shape, prompt, generated, chains)
    match = match_chains(spent, shape, prompt, generated, tolerance=0)
    assert match.found is not None and match.found.spent == spent
    free = generated == 1 and not shape.quality  # a token that is never read
    assert match.found.value == (1 if free else chains)


@given(unit=prices, passes=st.integers(1, 10**6), prompt=sizes, generated=sizes, tolerance=st.floats(0, 0.2))
def test_swapped_the_two_arms_match_as_well(
    unit: str, passes: int, prompt: int, generated: int, tolerance: float
) -> None:
    """Where chains spend what passes spent, passes spend what those chains do, at least as nearly."""
    spent = PASS_PRICES[unit](BOTH, 30, passes)
    there = match_chains(spent, AR, prompt, generated, price=CHAIN_PRICES[unit], tolerance=tolerance)
    if there.found is None:
        return
    back = match_passes(there.found.spent, BOTH, 30, price=PASS_PRICES[unit], tolerance=tolerance)
    assert back.found is not None and back.found.mismatch <= there.found.mismatch


@given(budget=st.integers(1, 10**10), more=st.integers(0, 10**10), prompt=sizes, generated=st.integers(2, 40))
def test_more_to_spend_never_matches_fewer(budget: int, more: int, prompt: int, generated: int) -> None:
    one, other = (match_chains(target, AR, prompt, generated) for target in (budget, budget + more))
    assert one.nearest.value <= other.nearest.value


def test_what_is_not_matched_is_said_with_both_neighbours() -> None:
    one, two = (generation_flops(AR, 10, 20, chains) for chains in (1, 2))
    match = match_chains((one + two) // 2, AR, 10, 20)
    assert match.found is None
    with pytest.raises(UnmatchedError) as raised:
        match.chosen("arms.thought")
    said = str(raised.value)
    assert f"below it 1 spends {one:.6g}" in said and f"above it 2 spends {two:.6g}" in said
    assert said.startswith("arms.thought: nothing spends") and "within 2.00%" in said
    assert match_chains(one - 1, AR, 10, 20).below is None and "above it 1" in str(match_chains(one // 2, AR, 10, 20))
    assert match_chains(one, AR, 10, 20, most=1).above is None
    assert str(match_chains(two, AR, 10, 20)) == f"2 spends {two:.6g} for {two:.6g}, 0.00% apart"


def test_two_percent_is_the_edge() -> None:
    length = 30
    spent = 100 * pass_flops(BOTH, length)
    assert match_passes(spent, BOTH, length, most=98).found is not None
    assert match_passes(spent, BOTH, length, most=97).found is None
    assert match_passes(spent, BOTH, length, most=97, tolerance=0.03).chosen("passes") == 97


def test_a_ladder_is_matched_rung_by_rung() -> None:
    """The fact behind every figure: a pass over a canvas costs about one chain of its length. One rung has no equal."""
    ladder = (1, 2, 4, 1024)
    matches = match_ladder(
        ladder, lambda rung: rung * pass_flops(BOTH, 40), lambda spent: match_chains(spent, AR, 20, 20)
    )
    assert list(matches) == list(ladder)
    for rung, match in matches.items():
        assert match == match_chains(passes_flops(BOTH, 40, rung), AR, 20, 20)
    said = unmatched(matches)
    assert said and len(said) < len(ladder) and all(line.startswith("rung ") for line in said)
    assert matches[1024].found is not None


def test_depth_is_what_the_ledger_counts() -> None:
    """One call for the prompt, which gives the first token; a quality head reads the last one too."""
    assert chains_depth(PLAIN, 10, 20, 1) == chains_depth(PLAIN, 10, 20, 99) == 20
    assert chains_depth(AR, 10, 20, 1) == 21
    assert match_chains(20, PLAIN, 10, 20, price=chains_depth).chosen("chains") == 1
    assert match_thought(64, PLAIN, 10, 20, 5, price=chains_depth).chosen("thought") == 44
    assert passes_depth(BOTH, 40, 7) == 7


@pytest.mark.parametrize("by", Training._fields)
def test_a_training_is_matched_by_one_of_its_sums(by: str) -> None:
    """At another batch size and price an update, the three say three things."""
    other, thousand = Training(6e9, 6400, 100), Training(30e9, 16000, 1000)
    assert match_training(by, other, thousand) == {"flops": 200, "examples": 400, "updates": 100}[by]
    assert match_training(by, Training(1, 1, 1), Training(1e9, 16000, 1000)) == 1


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: match_chains(0, AR, 10, 20), "target=0 of FLOPs, calls or seconds must be finite and above 0"),
        (lambda: match_passes(float("nan"), BOTH, 10), "target=nan"),
        (lambda: match_chains(1e9, AR, 0, 20), "prompt=0 must be a whole number of 1 or more"),
        (lambda: match_chains(1e9, AR, 10, 20, most=0), "most=0"),
        (lambda: match_thought(1e9, AR, 10, 5, 0), "chains=0"),
        (lambda: match_passes(1e9, BOTH, 10, tolerance=2), "tolerance=2 must be a share"),
        (lambda: match_size(1e9, [], lambda shape: 1), "family of networks is empty"),
    ],
)
def test_bad_input_is_refused_with_the_number(call: Callable[[], Any], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        call()
