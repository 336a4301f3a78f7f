"""Equal compute across arms: what a budget of FLOPs buys of passes and of chains.

This file decides that a chain is bought whole or not at all, and that chains share one reading of their prompt. It
knows FLOPs, no arm.
"""

from collections.abc import Sequence

from dlmreason.compute.flops import Sizes, chain_flops, generation_flops, pass_flops, prefill_flops


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


def mismatch(flops: int, other: int) -> float:
    """How far two costs are apart, as a share of the larger: 0 for equal ones."""
    return abs(flops - other) / max(flops, other, 1)
