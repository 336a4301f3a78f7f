"""Chains of a causal network: prompts are read once, then tokens are written one after another through a static cache.

This file decides how many chains share a fixed number of rows: between chunks a finished chain's row goes to the next
one that waits. It knows no task and no checkpoint; what the tokens mean, and which chain is believed, is decided
elsewhere.
"""

import math
from collections import deque
from collections.abc import Callable, Iterator, Sequence

import torch

from dlmreason.sampling.chains import Batch, Chain, Prompt
from dlmreason.sampling.prefill import Prefixes, Reader
from dlmreason.sampling.writer import Forcing, Plan, Writer


def generate(
    network: Reader,
    prompts: Sequence[Prompt],
    *,
    chains: int,
    answer_length: int,
    answer_features: Sequence[Sequence[int]],
    marker_id: int,
    eos_id: int | None,
    thought: bool,
    max_tokens: int,
    temperature: float,
    first_greedy: bool,
    seed: int,
    width: int,
    prefill_width: int = 8,
    first: int = 0,
    answers_end: bool = False,
    forcing: Forcing | None = None,
    on_batch: Callable[[Batch], None] | None = None,
) -> Iterator[Chain]:
    """`chains` chains of each prompt, prompt after prompt, each the same bytes whatever else is generated with it.

    With a thought the network writes until it writes `marker_id`, then exactly `answer_length` tokens; `eos_id` in the
    thought, or `max_tokens` in all, ends a chain unfinished. Without one the answer begins at once. answers_end: an
    answer is over at its `eos_id`, which belongs to it, and has `answer_length` tokens at most. A token's features
    are its own: `answer_features` [A, F] within the answer, 0 before it. temperature 0, or `first_greedy` for chain 0,
    takes the likeliest token. The network is called with `width` rows, and with `prefill_width` to read prompts; float
    sums depend on both. Chains are nested: the first n of N are what `chains=n` gives. first: the number of the first
    chain, where those before it were written by an earlier call.
    Raises: ValueError where the settings contradict each other or a chain cannot fit the cache, before any call.
    """
    counts = {"chains": chains, "answer_length": answer_length, "width": width, "prefill_width": prefill_width}
    for name, count in counts.items():
        if count < 1:
            raise ValueError(f"{name}={count} must be 1 or more")
    limit = max_tokens if thought else answer_length
    eos = -1 if eos_id is None else eos_id
    ends = answers_end and eos_id is not None
    plan = Plan(answer_features, answer_length, marker_id, eos, ends, thought, limit, temperature, seed, forcing)
    if first < 0:
        raise ValueError(f"first={first} is the number of a chain: give 0 or more")
    if temperature == 0 and chains > 1:
        raise ValueError(f"temperature=0 would write the same chain {chains} times: ask for chains=1, or raise it")
    check(network, prompts, plan, max_tokens)
    numbers = range(first, first + chains)
    return _run(network, prompts, plan, numbers, first_greedy, width, prefill_width, on_batch)


def check(network: Reader, prompts: Sequence[Prompt], plan: Plan, max_tokens: int) -> None:
    """Refuses what cannot be written, before any call.

    Raises: ValueError where the plan contradicts itself or a chain cannot fit the cache.
    """
    if len(plan.answer_features) != plan.answer_length:
        raise ValueError(
            f"answer_features has {len(plan.answer_features)} rows for answer_length={plan.answer_length}: one each"
        )
    if not 0 <= plan.temperature < math.inf:
        raise ValueError(f"temperature={plan.temperature} must be finite, and 0 (the likeliest token) or more")
    least = plan.answer_length + plan.thought
    if max_tokens < least:
        raise ValueError(
            f"max_tokens={max_tokens} is below the {least} tokens of the answer{' and its marker' * plan.thought}: "
            f"no chain could finish, raise it"
        )
    if plan.forcing is not None:
        check_forcing(plan, plan.forcing)
    length = network.shape.length
    for number, prompt in enumerate(prompts):
        given = len(prompt.tokens)
        if not given or given != len(prompt.features):
            raise ValueError(
                f"prompt {number} has {given} tokens and {len(prompt.features)} rows of features: "
                f"give as many of both, and at least one"
            )
    longest = max((len(prompt.tokens) for prompt in prompts), default=0)
    if longest + plan.limit > length:
        raise ValueError(
            f"the longest prompt has {longest} tokens and its chains may have {plan.limit}, but the network reads "
            f"{length} positions: lower max_tokens to {length - longest} or less, or take a longer network"
        )


def check_forcing(plan: Plan, forcing: Forcing) -> None:
    """Raises: ValueError for thoughts that cannot be forced to this length."""
    least, most, wait_id = forcing
    if not plan.thought:
        raise ValueError("forcing is of thoughts, and these chains have none: train a model with thought=true")
    if least < 0 or (most is not None and most < least):
        raise ValueError(f"forcing least={least} and most={most} tokens: give 0 <= least <= most, or most=null")
    if least > 0 and wait_id is None:
        raise ValueError(
            f"forcing least={least} writes the symbol `wait` where a thought would end early, and this vocabulary has "
            "none: set least=0, or take a task whose thoughts have one"
        )
    room = plan.limit - 1 - plan.answer_length
    for name, tokens in (("least", least), ("most", most or 0)):
        if tokens > room:
            raise ValueError(
                f"forcing {name}={tokens} tokens of thought, a marker and {plan.answer_length} tokens of answer are "
                f"{tokens + 1 + plan.answer_length}, and a chain may have {plan.limit}: lower {name} to {room} or "
                "less, or take a longer network"
            )


def _run(
    network: Reader,
    prompts: Sequence[Prompt],
    plan: Plan,
    numbers: range,
    first_greedy: bool,
    width: int,
    prefill_width: int,
    on_batch: Callable[[Batch], None] | None,
) -> Iterator[Chain]:
    waiting = deque((prompt, number) for prompt in range(len(prompts)) for number in numbers)
    order = deque(waiting)
    seats: dict[int, tuple[int, int]] = {}
    ready: dict[tuple[int, int], Chain] = {}
    # Not around the yield: the caller's own code is not to run in inference mode.
    with torch.inference_mode():
        writer = Writer(network, plan, width)
        prefixes = Prefixes(network, prompts, prefill_width, writer.device, on_batch)
    while order:
        with torch.inference_mode():
            free = [seat for seat in range(width) if seat not in seats][: len(waiting)]
            if free:
                taken = [waiting.popleft() for _ in free]
                starts = [prefixes.start(prompt, number, number == numbers[-1]) for prompt, number in taken]
                writer.seat(free, starts, [first_greedy and number == 0 for _, number in taken])
                seats.update(zip(free, taken, strict=True))
            batch, ended = writer.chunk(seats)
        for seat, chain in ended.items():
            ready[seats.pop(seat)] = chain
        if on_batch is not None:
            on_batch(batch)
        while order and order[0] in ready:
            yield ready.pop(order.popleft())
