"""Decodings that search: beams as wide as a budget buys, and walks towards the powers of the network's own law.

This file decides how a budget becomes beams and steps, and states what they cost. It knows no task.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from dlmreason.compute.flops import Sizes, forward_flops
from dlmreason.compute.ledger import Cost
from dlmreason.compute.matching import chains_within
from dlmreason.evaluation.decoding import Bought, Question, Tally, Writing, read_cost
from dlmreason.sampling.beam import Found, beam, check_beam
from dlmreason.sampling.chains import Chain
from dlmreason.sampling.power import Power, Step, Walks, check_power


@dataclass(frozen=True)
class BeamSearch:
    """One beam search a budget: the widest beam, a power of two, that it is sure to buy; see `sampling.beam`.

    Sure: if every text in the beam were as long as there is room for, so that shorter thoughts leave some of it. Each
    search is charged alone, the prompt's reading included.  penalty: the power of a text's length in its score.
    widest: never wider than this; None: than the arm's most chains.
    """

    penalty: float = 0.0
    widest: int | None = None

    def __post_init__(self) -> None:
        if self.widest is not None and self.widest < 1:
            raise ValueError(f"widest={self.widest} must be 1 beam or more, or null")

    def check(self, writing: Writing) -> None:
        check_beam(writing.plan, 1, self.penalty)

    def _most(self, writing: Writing) -> int:
        return writing.most if self.widest is None else min(self.widest, writing.most)

    def beams(self, writing: Writing, question: Question, budget: int) -> int:
        """How wide a beam the budget buys; 0 where none."""
        prompt, room = len(question.prompt.tokens), writing.plan.limit
        bought = chains_within(budget, writing.network.shape, prompt, room, self._most(writing))
        return 1 << (bought.bit_length() - 1) if bought else 0

    def decode(
        self, writing: Writing, questions: Sequence[Question], budgets: Sequence[int], seed: int, tally: Tally
    ) -> Iterator[tuple[int, list[Bought | None]]]:
        together = max(writing.width // self._most(writing), 1)
        for first in range(0, len(questions), together):
            group = range(first, min(first + together, len(questions)))
            wanted = {place: [self.beams(writing, questions[place], budget) for budget in budgets] for place in group}
            found: dict[tuple[int, int], Bought] = {}
            for beams in sorted({beams for each in wanted.values() for beams in each if beams}):
                places = [place for place in group if beams in wanted[place]]
                searches = beam(
                    writing.network,
                    [questions[place].prompt for place in places],
                    writing.plan,
                    beams=beams,
                    penalty=self.penalty,
                    width=together * beams,
                    prefill_width=writing.prefill_width,
                    on_batch=tally,
                )
                for place, one in zip(places, searches, strict=True):
                    found[place, beams] = self._bought(writing, questions[place], beams, one)
            for place in group:
                yield place, [found.get((place, beams)) for beams in wanted[place]]

    def _bought(self, writing: Writing, question: Question, beams: int, found: Found) -> Bought:
        read, calls = read_cost(writing, len(question.prompt.tokens)), found.work.queries
        flops = forward_flops(writing.network.shape, *found.work)
        cost = (read + Cost(calls, calls, 0, calls, flops))._replace(sequential_depth=found.depth + 1)
        return Bought(found.chains, len(found.chains), cost, {"chains": len(found.chains), "beams": beams})


@dataclass(frozen=True)
class PowerSampling:
    """One walk a prompt, as many steps as a budget buys, each charged what it wrote anew; see `sampling.power`.

    The chains are where the walk stood after each step, so that the rule `last` is the sampler itself.  alpha: power of
    the network's law.  proposal_temperature: of what is proposed; None: 1 / alpha.
    """

    alpha: float = 4.0
    proposal_temperature: float | None = None

    def check(self, writing: Writing) -> None:
        check_power(writing.plan, self._power)

    @property
    def _power(self) -> Power:
        return Power(self.alpha, self.proposal_temperature)

    def decode(
        self, writing: Writing, questions: Sequence[Question], budgets: Sequence[int], seed: int, tally: Tally
    ) -> Iterator[tuple[int, list[Bought | None]]]:
        walking = []
        for place, question in enumerate(questions):
            least = chains_within(
                budgets[-1], writing.network.shape, len(question.prompt.tokens), writing.plan.limit, 1
            )
            if least or writing.varies:
                walking.append(place)
            else:
                yield place, [None for _ in budgets]
        for first in range(0, len(walking), writing.width):
            group = walking[first : first + writing.width]
            yield from self._walk(writing, questions, group, budgets, seed, tally)

    def _walk(
        self,
        writing: Writing,
        questions: Sequence[Question],
        group: Sequence[int],
        budgets: Sequence[int],
        seed: int,
        tally: Tally,
    ) -> Iterator[tuple[int, list[Bought | None]]]:
        walks = Walks(
            writing.network,
            [questions[place].prompt for place in group],
            writing.plan._replace(seed=seed),
            self._power,
            width=writing.width,
            prefill_width=writing.prefill_width,
            on_batch=tally,
        )
        shape = writing.network.shape
        costs = [[read_cost(writing, len(questions[place].prompt.tokens))] for place in group]
        chains: list[list[Chain]] = [[] for _ in group]
        taken: list[list[bool]] = [[] for _ in group]
        going = [True] * len(group)
        while any(going):
            for row, step in enumerate(walks.step(going)):
                if step is None:
                    continue
                chains[row].append(step.chain)
                taken[row].append(step.accepted)
                costs[row].append(costs[row][-1] + _step_cost(shape, step))
                going[row] = costs[row][-1].flops <= budgets[-1] and len(chains[row]) < writing.most
                if not going[row]:
                    yield group[row], [_until(chains[row], taken[row], costs[row], budget) for budget in budgets]


def _step_cost(shape: Sizes, step: Step) -> Cost:
    calls = step.work.queries
    return Cost(calls, calls, calls, calls, forward_flops(shape, *step.work))


def _until(chains: Sequence[Chain], taken: Sequence[bool], costs: Sequence[Cost], budget: int) -> Bought | None:
    """What a budget buys of a walk. costs: of the prompt's reading, then up to each chain."""
    size = sum(cost.flops <= budget for cost in costs[1:])
    if not size:
        return None
    cost = costs[size]._replace(sequential_depth=costs[size].sequential_depth + 1)
    return Bought(chains, size, cost, {"chains": size, "accepted": sum(taken[1:size])})
