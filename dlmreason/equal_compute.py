"""What an experiment's budget buys each autoregressive arm, said before any compute.

This file decides that the unit of every ladder is a pass of the first diffusion model, and what is told where an arm
cannot spend as much: the search itself is `compute.matching`'s. Lengths of chains are those of the known thoughts and
answers; how long a model's own are is seen when it writes.
"""

from collections.abc import Mapping, Sequence
from statistics import median_low
from typing import Any, NamedTuple

from dlmreason import launch
from dlmreason.assembly import Model
from dlmreason.assembly_arms import ladder_of, unit_of
from dlmreason.compute.flops import generation_flops
from dlmreason.compute.matching import TOLERANCE, Match, Setting, match_chains, match_ladder
from dlmreason.evaluation.attempt import known_lengths


class Bought(NamedTuple):
    """What the rungs buy one arm."""

    arm: str
    prompt: int  # tokens of the example of median price
    generated: int  # tokens of its chain
    cheapest: int  # FLOPs of one chain of the cheapest example
    unit: int  # FLOPs of a pass
    before: int  # of what the diffusion model reads before its first pass
    rungs: dict[int, Match[int]]

    def flops(self, rung: int) -> int:
        """What `rung` passes spend."""
        return self.before + rung * self.unit

    @property
    def first(self) -> int:
        """The passes that buy one chain of the cheapest example."""
        return max(1, -(-(self.cheapest - self.before) // self.unit))

    def chains(self, rung: int) -> Setting[int] | None:
        """What the arm will write: it buys whole chains, and no more than it can pay."""
        return self.rungs[rung].below

    def matched(self, rung: int) -> bool:
        chains = self.chains(rung)
        return chains is not None and chains.mismatch <= self.rungs[rung].tolerance


def bought(
    settings: Mapping[str, Any], task: Any, models: Mapping[str, Model], items: Mapping[str, Sequence[Any]]
) -> dict[str, Bought]:
    """What each autoregressive arm can buy, within budget.mismatch, or 2 % where that is null. items: of each arm."""
    budget = settings["budget"]
    tolerance = TOLERANCE if budget.get("mismatch") is None else budget["mismatch"]
    found = {}
    for name, arm in settings["arms"].items():
        model = models[arm["model"]]
        if model.kind != "autoregressive":
            continue
        unit, before = unit_of(task, models, model.shape)
        own = model.own_task or task
        pad_id = own.vocabulary(model.thought).pad_id
        lengths = [
            known_lengths(own.sheet(example, in_place=False, thought=model.thought), pad_id) for example in items[name]
        ]
        priced = {generation_flops(model.shape, *each, 1): each for each in lengths}
        prompt, generated = priced[median_low([generation_flops(model.shape, *each, 1) for each in lengths])]

        def match(target: float, model: Model = model, prompt: int = prompt, generated: int = generated) -> Match[int]:
            return match_chains(target, model.shape, prompt, generated, tolerance=tolerance, most=budget["ar_chains"])

        here = Bought(name, prompt, generated, min(priced), unit, before, {})
        found[name] = here._replace(rungs=match_ladder(ladder_of(settings, name), here.flops, match))
    return found


def refuse_unmatched(found: Mapping[str, Bought], mismatch: float | None) -> None:
    """Nothing where `mismatch` is None.

    Raises: BadInput where an arm spends less than its rung by more than that share.
    """
    unmatched = [
        f"arms.{name}, budget of {rung} passes: {_why(each, rung)}"
        for name, each in found.items()
        for rung in each.rungs
        if not each.matched(rung)
    ]
    if mismatch is not None and unmatched:
        raise launch.BadInput(*unmatched)


def tell(found: Mapping[str, Bought]) -> None:
    """Says what each arm can buy, and what it cannot."""
    for name, each in found.items():
        held = [rung for rung in each.rungs if each.matched(rung)]
        launch.say(
            f"{name}: chains of about {each.generated} tokens spend what the passes do within "
            f"{next(iter(each.rungs.values())).tolerance:.0%} at {len(held)} of {len(each.rungs)} budgets"
        )
        top = max(each.rungs)
        if each.cheapest > each.flops(top):
            launch.say(
                f"{name}: budget.passes={top} is {each.flops(top):,} FLOPs, and one chain takes {each.cheapest:,}: it "
                f"answers from {each.first} passes on"
            )
        elif not each.matched(top):
            launch.say(f"{name}: at the highest budget, {top} passes, {_why(each, top)}")


def _why(each: Bought, rung: int) -> str:
    chains = each.chains(rung)
    if chains is None:
        return f"not one chain is bought: {each.rungs[rung]}"
    more = each.rungs[rung].above
    further = f"one more would spend {more.spent:,}" if more else f"budget.ar_chains={chains.value} allows no more"
    return (
        f"{chains.value} chains of {each.generated} tokens spend {chains.spent:,} of {each.flops(rung):,} FLOPs, "
        f"{chains.mismatch:.1%} apart, and {further}"
    )


def plain(found: Mapping[str, Bought]) -> dict[str, Any]:
    """As it is kept in matching.json."""
    return {
        name: {
            "prompt": each.prompt,
            "generated": each.generated,
            "flops_per_pass": each.unit,
            "flops_before": each.before,
            "rungs": {
                str(rung): {
                    "flops": match.target,
                    "chains": chains.value if (chains := each.chains(rung)) else 0,
                    "spent": chains.spent if chains else 0,
                    "mismatch": chains.mismatch if chains else 1.0,
                    "matched": each.matched(rung),
                }
                for rung, match in each.rungs.items()
            },
        }
        for name, each in found.items()
    }
