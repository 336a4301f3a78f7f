"""The autoregressive arm: as many chains as a budget of passes buys, and a rule by which one is believed.

This file decides how a budget in FLOPs becomes chains, and reads every rung and rule off the same nested chains. It
knows no task's rules and judges nothing.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

import numpy as np

from dlmreason.compute.flops import chain_flops, chain_queries, generation_flops, prefill_flops
from dlmreason.compute.ledger import Cost
from dlmreason.compute.matching import chains_within, first_within
from dlmreason.evaluation.attempt import Attempt, Example, Task, answer_text, noise_id
from dlmreason.sampling.autoregress import generate
from dlmreason.sampling.chains import Batch, Chain, Prompt, Work
from dlmreason.sampling.selection import Choice, by_mean_log_prob, by_quality, by_vote

RULES: dict[str, Callable[[Sequence[Chain]], list[Choice]]] = {
    "vote": by_vote,
    "log_prob": by_mean_log_prob,
    "quality": by_quality,
}


@dataclass
class AutoregressiveArm:
    """Answers by chains of a causal network, greedy first, then sampled.

    flops_per_pass: what one pass of the diffusion arm costs, the unit of the ladder.  rules: keys of RULES, each an arm
    of its own in the records.  temperature: of every chain but the first.  most: never more chains than this.  width:
    rows of a call.  flops_before: what the diffusion arm pays before its first pass, a part of each rung's budget.
    """

    name: str
    task: Task
    network: Any
    thought: bool
    flops_per_pass: int
    rules: Sequence[str] = ("vote", "log_prob", "quality")
    temperature: float = 1.0
    most: int = 1024
    width: int = 256
    prefill_width: int = 8
    flops_before: int = 0

    def __post_init__(self) -> None:
        unknown = [rule for rule in self.rules if rule not in RULES]
        if unknown or not self.rules:
            raise ValueError(f"rules={list(self.rules)}: choose one or more of {', '.join(RULES)}")
        if "quality" in self.rules and not self.network.shape.quality:
            raise ValueError(
                "rules holds quality, and this network has no quality head: train one, or leave the rule out"
            )
        if not 0 < self.temperature < float("inf"):
            raise ValueError(
                f"temperature={self.temperature} must be above 0 and finite: the first chain is greedy anyway"
            )
        self._vocabulary = self.task.vocabulary(self.thought)
        self._features = self.task.answer_features().tolist()
        self._varies = self.thought or self.task.answers_end  # how long a chain is, is seen when it is written
        self.charged, self.wasted = Work(), Work()

    @property
    def variants(self) -> tuple[str, ...]:
        return tuple(self.rules)

    def attempts(
        self,
        examples: Sequence[Example],
        ladder: tuple[int, ...],
        seed: int,
        on_chunk: Callable[[int], None] | None = None,
    ) -> Iterator[list[Attempt]]:
        """All attempts at one example together; none at a rung that does not buy one chain."""
        top = self._budget(ladder[-1])
        held: dict[str, list[Chain]] = {example.id: [] for example in examples}
        waiting = list(examples)
        while waiting:
            later: list[Example] = []
            for (first, count), group in self._by_chains(waiting, held, top).items():
                if count == 0:
                    yield from ([] for _ in group)
                    continue
                prompts = [self._prompt(example) for example in group]
                for chain in self._generate(prompts, first, count, seed, on_chunk):
                    example, prompt = group[chain.prompt], prompts[chain.prompt]
                    chains = held[example.id]
                    chains.append(chain)
                    if len(chains) < first + count:
                        continue
                    if self._buys_more(prompt, chains, top):
                        later.append(example)
                    else:
                        yield self._read(example, prompt, held.pop(example.id), ladder)
            waiting = later

    def _by_chains(
        self, examples: Sequence[Example], held: Mapping[str, list[Chain]], top: int
    ) -> dict[tuple[int, int], list[Example]]:
        """Examples by (chains they have, chains to ask for now), so that each group is one call of the engine.

        Where chains are of one length, the number is what `top` FLOPs buy. Else the known thought's and answer's length
        says how many the first time, and what the chains so far have cost how many more after that.
        """
        groups: dict[tuple[int, int], list[Example]] = {}
        for example in examples:
            sheet, chains = self._sheet(example), held[example.id]
            prompt = int((~sheet.editable).sum())
            if chains:
                spent = sum(self._cost(prompt, chain).flops for chain in chains)
                left = top - prefill_flops(self.network.shape, prompt) - spent
                wanted = max(left, 0) * len(chains) // spent + 1
            else:
                expected = int((sheet.editable & (sheet.tokens != self._vocabulary.pad_id)).sum())
                wanted = chains_within(top, self.network.shape, prompt, expected, self.most)
                # A few more where lengths vary, so that as a rule the last is seen not to fit.
                wanted += wanted // 32 + 1 if self._varies else 0
            groups.setdefault((len(chains), min(wanted, self.most - len(chains))), []).append(example)
        return dict(sorted(groups.items()))

    def _buys_more(self, prompt: Prompt, chains: list[Chain], top: int) -> bool:
        """Whether all chains fit `top` FLOPs, so that more might: they were shorter than the known one."""
        lengths = [chain.generated for chain in chains]
        fit = first_within(top, self.network.shape, len(prompt.tokens), lengths)
        return self._varies and fit == len(chains) < self.most

    def _sheet(self, example: Example) -> Any:
        return self.task.sheet(example, in_place=False, thought=self.thought)

    def _prompt(self, example: Example) -> Prompt:
        sheet = self._sheet(example)
        given = ~np.asarray(sheet.editable)
        return Prompt(
            noise_id(self.task.name, example.id), sheet.tokens[given].tolist(), sheet.features[given].tolist()
        )

    def _generate(
        self, prompts: list[Prompt], first: int, count: int, seed: int, on_chunk: Callable[[int], None] | None
    ) -> Iterator[Chain]:
        def tally(batch: Batch) -> None:
            self.charged, self.wasted = self.charged.plus(batch.charged), self.wasted.plus(batch.wasted)
            if on_chunk is not None:
                on_chunk(batch.finished)

        # Of the task's longest prompt, so that a chain does not depend on who else is answered.
        room = self.task.length(in_place=False, thought=self.thought) - self.task.prompt_length
        return generate(
            self.network,
            prompts,
            chains=count,
            answer_length=self.task.answer_length,
            answer_features=self._features,
            marker_id=self._vocabulary.marker_id,
            eos_id=self._vocabulary.eos_id,
            thought=self.thought,
            max_tokens=room if self.thought else self.task.answer_length,
            temperature=self.temperature if first + count > 1 else 0.0,
            first_greedy=True,
            seed=seed,
            width=self.width,
            prefill_width=self.prefill_width,
            first=first,
            answers_end=self.task.answers_end,
            on_batch=tally,
        )

    def _read(self, example: Example, prompt: Prompt, chains: list[Chain], ladder: tuple[int, ...]) -> list[Attempt]:
        shape, given = self.network.shape, len(prompt.tokens)
        lengths = [chain.generated for chain in chains]
        costs = list(
            accumulate((self._cost(given, chain) for chain in chains), Cost.beside, initial=self._reading(given))
        )
        choices = {rule: RULES[rule](chains) for rule in self.rules}
        attempts = []
        for rung in ladder:
            bought = first_within(self._budget(rung), shape, given, lengths)
            if bought == 0:
                continue
            cost = costs[bought]
            for rule in self.rules:
                choice = choices[rule][bought - 1]
                attempts.append(
                    Attempt(
                        example=example,
                        variant=rule,
                        rung=rung,
                        answer=answer_text(self._vocabulary, chains[choice.chosen].answer),
                        nfe=cost.nfe,
                        scheduled_passes=cost.scheduled_passes,
                        sequential_depth=cost.sequential_depth + 1,
                        flops=cost.flops,
                        events={"chains": bought},
                        score=choice.score if choice.score > -np.inf else None,
                        settled=False,
                    )
                )
        return attempts

    def _budget(self, rung: int) -> int:
        return self.flops_before + rung * self.flops_per_pass

    def _reading(self, prompt: int) -> Cost:
        return Cost(
            nfe=1, scheduled_passes=1, sequential_depth=0, tokens=0, flops=prefill_flops(self.network.shape, prompt)
        )

    def _cost(self, prompt: int, chain: Chain) -> Cost:
        calls = chain_queries(self.network.shape, chain.generated)
        flops = chain_flops(self.network.shape, prompt, chain.generated)
        return Cost(nfe=calls, scheduled_passes=calls, sequential_depth=calls, tokens=chain.generated, flops=flops)


def cheapest_rung(arm: AutoregressiveArm, prompt: int, generated: int) -> int:
    """The smallest number of passes whose FLOPs buy one chain of `generated` tokens."""
    passes = generation_flops(arm.network.shape, prompt, generated, 1) - arm.flops_before
    return max(-(-passes // arm.flops_per_pass), 1)
