"""The autoregressive arm: the chains that a budget of passes buys, and a rule by which one is believed.

This file decides what an arm's chains are written with, and reads every rung and rule off what its decoding bought. It
knows no task's rules; it asks the task's judge only where it says so.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from dlmreason.compute.flops import generation_flops
from dlmreason.evaluation.attempt import Attempt, Example, Task, answer_text, known_lengths, noise_id
from dlmreason.evaluation.decoding import Bought, Chains, Decoding, Question, Writing
from dlmreason.evaluation.thoughts import EDITABLE, Thoughts
from dlmreason.sampling.chains import Batch, Chain, Prompt, Work
from dlmreason.sampling.selection import (
    Choice,
    by_first,
    by_judge,
    by_last,
    by_mean_log_prob,
    by_quality,
    by_vote,
    by_weighted_vote,
)
from dlmreason.sampling.writer import Plan

RULES: dict[str, Callable[[Sequence[Chain]], list[Choice]]] = {
    "vote": by_vote,
    "log_prob": by_mean_log_prob,
    "quality": by_quality,
    "weighted_vote": by_weighted_vote,
    "first": by_first,
    "last": by_last,
}
JUDGED = ("quality", "weighted_vote")
"""The rules that ask the quality head."""

ORACLE = "oracle"
"""The rule that asks the task's judge, and so an arm's name in the records: an upper bound, no result."""


@dataclass
class AutoregressiveArm:
    """Answers by chains of a causal network.

    flops_per_pass: what one pass of the diffusion arm costs, the unit of the ladder.  rules: keys of RULES, each an arm
    of its own in the records, and `oracle`.  flops_before: what the diffusion arm pays before its first pass, a part of
    each rung's budget.  temperature: of the sampled chains, where there is no `decoding`.  most: never more chains than
    this.  width: rows of a call.  decoding: how a budget becomes chains; None: `Chains`.  oracle: its rules may ask the
    task's judge.  thoughts: how those begin, and that they are kept.
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
    decoding: Decoding | None = None
    oracle: bool = False
    thoughts: Thoughts | None = None

    def __post_init__(self) -> None:
        if self.thoughts is not None and self.thoughts.begins == EDITABLE:
            raise ValueError(
                "begins=editable: an autoregressive model changes nothing that stands: set begins=given, where it may "
                "take a step back by a sign"
            )
        unknown = [rule for rule in self.rules if rule not in (*RULES, ORACLE)]
        if unknown or not self.rules:
            raise ValueError(f"rules={list(self.rules)}: choose one or more of {', '.join((*RULES, ORACLE))}")
        judged = [rule for rule in self.rules if rule in JUDGED]
        if judged and not self.network.shape.quality:
            raise ValueError(
                f"rules holds {judged[0]}, and this network has no quality head: train one, or leave the rule out"
            )
        if (ORACLE in self.rules) != self.oracle:
            raise ValueError(
                f"rules={list(self.rules)} and oracle={str(self.oracle).lower()}: the rule oracle asks the task's "
                "judge, an upper bound that no model reaches; set oracle=true with it, and only with it"
            )
        self._decoding = self.decoding or Chains(self.temperature)
        self._vocabulary = self.task.vocabulary(self.thought)
        self._writing = self._common()
        self._decoding.check(self._writing)
        self.charged, self.wasted = Work(), Work()

    def _common(self) -> Writing:
        # Of the task's longest prompt, so that a chain does not depend on who else is answered.
        room = self.task.length(in_place=False, thought=self.thought) - self.task.prompt_length
        plan = Plan(
            answer_features=self.task.answer_features().tolist(),
            answer_length=self.task.answer_length,
            marker_id=self._vocabulary.marker_id,
            eos_id=self._vocabulary.eos_id,
            ends=self.task.answers_end,
            thought=self.thought,
            limit=room if self.thought else self.task.answer_length,
            temperature=0.0,
            seed=0,
        )
        wait_id = getattr(self._vocabulary, "wait_id", None)
        varies = self.thought or self.task.answers_end
        return Writing(self.network, plan, wait_id, varies, self.most, self.width, self.prefill_width)

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

        def tally(batch: Batch) -> None:
            self.charged, self.wasted = self.charged.plus(batch.charged), self.wasted.plus(batch.wasted)
            if on_chunk is not None:
                on_chunk(batch.finished)

        budgets = [self.flops_before + rung * self.flops_per_pass for rung in ladder]
        begun: dict[int, list[Example]] = {}
        for example in examples:
            begun.setdefault(self._asked(example)[1], []).append(example)
        for count, group in begun.items():
            # What stands of a thought takes its part of the room for it.
            plan = self._writing.plan
            writing = self._writing._replace(plan=plan._replace(limit=plan.limit - count))
            questions = [self._question(example) for example in group]
            for place, bought in self._decoding.decode(writing, questions, budgets, seed, tally):
                yield self._read(group[place], ladder, bought, questions[place].prompt.tokens[-count:] if count else ())

    def _asked(self, example: Example) -> tuple[Any, int]:
        return (example, 0) if self.thoughts is None else self.thoughts.asked(example)

    def _question(self, example: Example) -> Question:
        asked, count = self._asked(example)
        sheet = self.task.sheet(asked, in_place=False, thought=self.thought)
        given = ~np.asarray(sheet.editable)
        given[given.argmin() : given.argmin() + count] = True
        tokens, features = sheet.tokens[given].tolist(), sheet.features[given].tolist()
        _, expected = known_lengths(sheet, self._vocabulary.pad_id)
        return Question(Prompt(noise_id(self.task.name, example.id), tokens, features), expected - count)

    def _thought(self, example: Example, stood: Sequence[int], chain: Chain) -> tuple[str | None, dict[str, int]]:
        if self.thoughts is None:
            return None, {}
        written = chain.tokens[: len(chain.tokens) - len(chain.answer)]
        ended = written[-1:] == (self._vocabulary.marker_id,)
        return self.thoughts.read(example, self._vocabulary, [*stood, *(written[:-1] if ended else written)])

    def _read(
        self, example: Example, ladder: tuple[int, ...], bought: Sequence[Bought | None], stood: Sequence[int]
    ) -> list[Attempt]:
        def text(chain: Chain) -> str:
            return answer_text(self._vocabulary, chain.answer)

        @cache
        def accepted(answer: str) -> bool:
            return bool(self.task.verify(example, answer).correct)

        def right(chain: Chain) -> bool:
            return chain.finished and accepted(text(chain))

        known: dict[tuple[str, int], list[Choice]] = {}  # larger budgets go on with the same chains
        attempts = []
        for rung, had in zip(ladder, bought, strict=True):
            if had is None:
                continue
            for rule in self.rules:
                key = rule, id(had.chains)
                if key not in known:
                    known[key] = by_judge(had.chains, right) if rule == ORACLE else RULES[rule](had.chains)
                choice = known[key][had.size - 1]
                chosen = had.chains[choice.chosen]
                thought, told = self._thought(example, stood, chosen)
                counted = {"right": sum(map(right, had.chains[: had.size]))} if rule == ORACLE else {}
                attempts.append(
                    Attempt(
                        example=example,
                        variant=rule,
                        rung=rung,
                        answer=text(chosen),
                        nfe=had.cost.nfe,
                        scheduled_passes=had.cost.scheduled_passes,
                        sequential_depth=had.cost.sequential_depth,
                        flops=had.cost.flops,
                        events=had.events | counted | told,
                        score=choice.score if choice.score > -np.inf else None,
                        settled=False,
                        thought=thought,
                    )
                )
        return attempts


def cheapest_rung(arm: AutoregressiveArm, prompt: int, generated: int) -> int:
    """The smallest number of passes whose FLOPs buy one chain of `generated` tokens."""
    passes = generation_flops(arm.network.shape, prompt, generated, 1) - arm.flops_before
    return max(-(-passes // arm.flops_per_pass), 1)
