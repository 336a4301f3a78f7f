"""How an autoregressive arm turns prompts and budgets into chains, and what it states to have spent.

This file decides the contract of a decoding, and the plain one: independent chains, as many as fit. A decoding is
handed what all chains have in common and says, for each budget in FLOPs, what it bought; which chain is believed is
decided elsewhere. It knows no task.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Any, NamedTuple, Protocol

from dlmreason.compute.flops import chain_flops, chain_queries, prefill_flops
from dlmreason.compute.ledger import Cost
from dlmreason.compute.matching import chains_within, first_within
from dlmreason.sampling.autoregress import check_forcing, generate
from dlmreason.sampling.chains import Batch, Chain, Prompt
from dlmreason.sampling.writer import Forcing, Plan


class Writing(NamedTuple):
    """What all chains of an arm have in common."""

    network: Any
    plan: Plan  # its temperature, seed and forcing are a decoding's own
    wait_id: int | None  # the symbol with which a thought goes on; None: there is none
    varies: bool  # how long a chain is, is seen when it is written
    most: int  # never more chains of one prompt than this
    width: int  # rows of a call
    prefill_width: int  # of a call that reads prompts


class Question(NamedTuple):
    """A prompt, and how long the known thought and answer are."""

    prompt: Prompt
    expected: int


class Bought(NamedTuple):
    """What a budget bought for one prompt: the first `size` of `chains`, which larger budgets may go on with."""

    chains: Sequence[Chain]
    size: int
    cost: Cost  # of these, the prompt's reading included
    events: dict[str, int]


Tally = Callable[[Batch], None]


class Decoding(Protocol):
    """Turns prompts and budgets into chains with their costs."""

    def check(self, writing: Writing) -> None:
        """Raises: ValueError for what cannot be written, before any call."""
        ...

    def decode(
        self, writing: Writing, questions: Sequence[Question], budgets: Sequence[int], seed: int, tally: Tally
    ) -> Iterator[tuple[int, list[Bought | None]]]:
        """(which question, what each budget bought of it, None where not one chain), in the order of finishing.

        budgets: FLOPs a question, rising; each covers all that led to its chains.  tally: told of every call.
        """
        ...


def read_cost(writing: Writing, prompt: int) -> Cost:
    """Of reading a prompt of `prompt` tokens, by which a chain's first token is known."""
    return Cost(1, 1, 0, 0, prefill_flops(writing.network.shape, prompt))


def chain_cost(writing: Writing, prompt: int, generated: int) -> Cost:
    """Of one chain of `generated` tokens behind a prompt that was read."""
    shape = writing.network.shape
    calls = chain_queries(shape, generated)
    return Cost(calls, calls, calls, generated, chain_flops(shape, prompt, generated))


@dataclass(frozen=True)
class Chains:
    """Independent chains, greedy first, then sampled: as many as a budget buys at the lengths that they really have.

    temperature: of every chain but the first.
    """

    temperature: float = 1.0

    def __post_init__(self) -> None:
        if not 0 < self.temperature < math.inf:
            raise ValueError(
                f"temperature={self.temperature} must be above 0 and finite: the first chain is greedy anyway"
            )

    def check(self, writing: Writing) -> None:
        if writing.plan.forcing is not None:
            check_forcing(writing.plan, writing.plan.forcing)

    def decode(
        self, writing: Writing, questions: Sequence[Question], budgets: Sequence[int], seed: int, tally: Tally
    ) -> Iterator[tuple[int, list[Bought | None]]]:
        held: list[list[Chain]] = [[] for _ in questions]
        waiting = list(range(len(questions)))
        while waiting:
            later: list[int] = []
            for (first, count), group in self._by_chains(writing, questions, waiting, held, budgets[-1]).items():
                if count == 0:
                    nothing: list[Bought | None] = [None] * len(budgets)
                    yield from ((place, nothing) for place in group)
                    continue
                prompts = [questions[place].prompt for place in group]
                for chain in self._generate(writing, prompts, first, count, seed, tally):
                    place = group[chain.prompt]
                    held[place].append(chain)
                    if len(held[place]) < first + count:
                        continue
                    if self._buys_more(writing, questions[place], held[place], budgets[-1]):
                        later.append(place)
                    else:
                        yield place, _within(writing, questions[place], held[place], budgets)
                        held[place] = []
            waiting = later

    def _by_chains(
        self,
        writing: Writing,
        questions: Sequence[Question],
        waiting: Sequence[int],
        held: Sequence[Sequence[Chain]],
        top: int,
    ) -> dict[tuple[int, int], list[int]]:
        """Questions by (chains they have, chains to ask for now), so that each group is one call of the engine.

        Where chains are of one length, the number is what `top` FLOPs buy. Else the known thought's and answer's length
        says how many the first time, and what the chains so far have cost how many more after that.
        """
        shape, groups = writing.network.shape, dict[tuple[int, int], list[int]]()
        for place in waiting:
            chains, prompt = held[place], len(questions[place].prompt.tokens)
            if chains:
                spent = sum(chain_flops(shape, prompt, chain.generated) for chain in chains)
                left = top - prefill_flops(shape, prompt) - spent
                wanted = max(left, 0) * len(chains) // spent + 1
            else:
                wanted = chains_within(top, shape, prompt, questions[place].expected, writing.most)
                # A few more where lengths vary, so that as a rule the last is seen not to fit.
                wanted += wanted // 32 + 1 if writing.varies else 0
            groups.setdefault((len(chains), min(wanted, writing.most - len(chains))), []).append(place)
        return dict(sorted(groups.items()))

    def _buys_more(self, writing: Writing, question: Question, chains: Sequence[Chain], top: int) -> bool:
        """Whether all chains fit `top` FLOPs, so that more might: they were shorter than the known one."""
        lengths = [chain.generated for chain in chains]
        fit = first_within(top, writing.network.shape, len(question.prompt.tokens), lengths)
        return writing.varies and fit == len(chains) < writing.most

    def _generate(
        self, writing: Writing, prompts: Sequence[Prompt], first: int, count: int, seed: int, tally: Tally
    ) -> Iterator[Chain]:
        plan = writing.plan
        return generate(
            writing.network,
            prompts,
            chains=count,
            answer_length=plan.answer_length,
            answer_features=plan.answer_features,
            marker_id=plan.marker_id,
            eos_id=plan.eos_id,
            thought=plan.thought,
            max_tokens=plan.limit,
            temperature=self.temperature if first + count > 1 else 0.0,
            first_greedy=True,
            seed=seed,
            width=writing.width,
            prefill_width=writing.prefill_width,
            first=first,
            answers_end=plan.ends,
            forcing=plan.forcing,
            on_batch=tally,
        )


def _within(
    writing: Writing, question: Question, chains: Sequence[Chain], budgets: Sequence[int]
) -> list[Bought | None]:
    """What each budget buys of independent chains, which are written at the same time."""
    prompt, lengths = len(question.prompt.tokens), [chain.generated for chain in chains]
    each = (chain_cost(writing, prompt, length) for length in lengths)
    costs = list(accumulate(each, Cost.beside, initial=read_cost(writing, prompt)))
    bought: list[Bought | None] = []
    for budget in budgets:
        count = first_within(budget, writing.network.shape, prompt, lengths)
        cost = costs[count]._replace(sequential_depth=costs[count].sequential_depth + 1)
        bought.append(Bought(chains, count, cost, {"chains": count}) if count else None)
    return bought


@dataclass(frozen=True)
class BudgetForcing:
    """The inner decoding, its thoughts forced to a length [s1, arXiv:2501.19393, section 3.1].

    least: tokens of thought before which no end is taken; `wait` is written in its place, which the vocabulary must
    have.  most: tokens after which the thought is ended; None: as many as there is room for. Forced tokens are read and
    charged like any other.  Deviation: lengths are per arm and not per budget, and what is left of a budget buys more
    chains.
    """

    least: int = 0
    most: int | None = None
    inner: Decoding = field(default_factory=Chains)

    def check(self, writing: Writing) -> None:
        self.inner.check(self._forced(writing))

    def decode(
        self, writing: Writing, questions: Sequence[Question], budgets: Sequence[int], seed: int, tally: Tally
    ) -> Iterator[tuple[int, list[Bought | None]]]:
        return self.inner.decode(self._forced(writing), questions, budgets, seed, tally)

    def _forced(self, writing: Writing) -> Writing:
        forcing = Forcing(self.least, self.most, writing.wait_id)
        return writing._replace(plan=writing.plan._replace(forcing=forcing))
