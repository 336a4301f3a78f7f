"""A budget buys whole chains: what it buys fits, and one more would not."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dlmreason.compute.flops import generation_flops, pass_flops
from dlmreason.compute.matching import chains_within, first_within, mismatch, passes_within
from dlmreason.networks.shape import Shape

AR = Shape(vocabulary_size=12, length=99, num_layers=3, width=32, num_heads=4, attention="causal", quality=True)
PLAIN = Shape(vocabulary_size=12, length=99, num_layers=3, width=32, num_heads=4, attention="causal")
BOTH = Shape(vocabulary_size=12, length=99, num_layers=3, width=32, num_heads=4)

budgets = st.integers(0, 10**10)


@given(budget=budgets, prompt=st.integers(1, 50), generated=st.integers(2, 50))
def test_chains_fit_and_one_more_does_not(budget: int, prompt: int, generated: int) -> None:
    chains = chains_within(budget, AR, prompt, generated)
    assert chains == 0 or generation_flops(AR, prompt, generated, chains) <= budget
    assert generation_flops(AR, prompt, generated, chains + 1) > budget
    assert chains_within(budget, AR, prompt, generated, most=3) == min(chains, 3)


@given(prompt=st.integers(1, 50), generated=st.integers(2, 50), chains=st.integers(1, 99))
def test_the_price_of_n_chains_buys_n(prompt: int, generated: int, chains: int) -> None:
    price = generation_flops(PLAIN, prompt, generated, chains)
    assert chains_within(price, PLAIN, prompt, generated) == chains
    assert chains_within(price - 1, PLAIN, prompt, generated) == chains - 1


@given(budget=budgets, length=st.integers(1, 99))
def test_passes_fit_and_one_more_does_not(budget: int, length: int) -> None:
    passes = passes_within(budget, BOTH, length)
    assert passes * pass_flops(BOTH, length) <= budget < (passes + 1) * pass_flops(BOTH, length)


@given(budget=budgets, more=budgets, lengths=st.lists(st.integers(1, 40), max_size=12))
def test_chains_of_unequal_length_are_nested(budget: int, more: int, lengths: list[int]) -> None:
    bought = first_within(budget, AR, 20, lengths)
    assert bought <= first_within(budget + more, AR, 20, lengths)
    if len(set(lengths)) == 1:
        assert bought == min(chains_within(budget, AR, 20, lengths[0]), len(lengths))


def test_chains_that_cost_nothing_need_a_bound() -> None:
    """Without a quality head the only token of a chain is never read: its law was known from the prompt."""
    with pytest.raises(ValueError, match="cost nothing beyond the prompt: 1000000000 FLOPs buy any number of them"):
        chains_within(10**9, PLAIN, 20, 1)
    assert chains_within(10**9, PLAIN, 20, 1, most=64) == 64
    assert chains_within(10, PLAIN, 20, 1) == 0


def test_mismatch_is_a_share() -> None:
    assert mismatch(98, 100) == mismatch(100, 98) == pytest.approx(0.02)
    assert mismatch(0, 0) == 0
