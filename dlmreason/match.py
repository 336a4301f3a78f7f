"""What an arm has to be given to spend what another spends: `python -m dlmreason.match experiment=<name> first=<arm>
second=<arm> [by=flops|depth|latency|throughput]`.

For each rung of the first arm, the passes of the second, or its chains, the length of one long thought and the layers
of its network, that cost the same within `budget.mismatch`, or 2 %; or that nothing does, with the nearest on both
sides. This file decides which settings are searched and what is said of them; nothing is trained. Lengths are those of
the known thought and answer of the example of median price, and seconds those that a run with budget.time=true
measured.
"""

import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from dlmreason import equal_compute, launch
from dlmreason.analysis import words
from dlmreason.analysis.pace import Pace, paces
from dlmreason.analysis.records import Measurement, RecordsError, read
from dlmreason.assembly import Model
from dlmreason.compute.flops import cached_pass_flops, chain_queries, generation_flops, prompt_flops
from dlmreason.compute.matching import (
    TOLERANCE,
    ChainPrice,
    Match,
    PassPrice,
    chains_depth,
    match_chains,
    match_passes,
    match_size,
    match_thought,
    passes_depth,
)
from dlmreason.launch_rules import shown

LAYERS = 512  # of the largest network that is looked at

AXES: dict[str, Callable[[float], str]] = {
    "flops": words.flops,
    "depth": lambda calls: f"{calls:,.0f} calls one after another",
    "latency": lambda seconds: f"{seconds:.3g} s alone",
    "throughput": lambda seconds: f"{seconds:.3g} s of a full device",
}


class Side(NamedTuple):
    """An arm and what its answers cost along one axis."""

    name: str
    model: Model
    given: int  # positions of a pass, or tokens of a prompt
    generated: int  # tokens of a chain; 0 for an arm that makes passes
    answer: int  # of these, the answer's
    passes: PassPrice
    chains: ChainPrice


def side_of(name: str, by: str, pace: Pace | None, model: Model, given: int, generated: int, answer: int) -> Side:
    """pace: of the arm, for seconds."""

    def passes_flops(shape: Any, length: int, passes: int) -> float:
        return prompt_flops(shape) + passes * cached_pass_flops(shape, length)

    def passes_seconds(shape: Any, length: int, passes: int) -> float:
        assert pace is not None
        return passes * (pace.call + pace.row if by == "latency" else pace.full)

    def chains_seconds(shape: Any, prompt: int, tokens: int, chains: int) -> float:
        assert pace is not None
        if by == "latency":
            return chains_depth(shape, prompt, tokens, chains) * (pace.call + chains * pace.row)
        return chains * chain_queries(shape, tokens) * pace.full

    prices: dict[str, tuple[Any, Any]] = {
        "flops": (passes_flops, generation_flops),
        "depth": (passes_depth, chains_depth),
    }
    return Side(name, model, given, generated, answer, *prices.get(by, (passes_seconds, chains_seconds)))


def targets(first: Side, bought: equal_compute.Bought | None, ladder: tuple[int, ...]) -> Iterator[tuple[str, float]]:
    """Each rung in words and what the arm spends there; rungs that buy no chain are left out.

    bought: chains of each rung, for an arm that writes chains.
    """
    for rung in ladder:
        if bought is None:
            yield words.passes(rung), first.passes(first.model.shape, first.given, rung)
        elif chains := bought.chains(rung):
            spent = first.chains(first.model.shape, first.given, first.generated, chains.value)
            yield f"{words.passes(rung)}, which buy {_chains(chains.value)}", spent


def settings_for(second: Side, target: float, tolerance: float, most: int) -> Iterator[tuple[str, Match[Any]]]:
    """What is looked for, with the word for its number, and what was found. most: chains."""
    shape, given, generated = second.model.shape, second.given, second.generated
    family = range(1, LAYERS + 1)
    if not generated:
        yield "passes", match_passes(target, shape, given, price=second.passes, tolerance=tolerance)
        return
    price = second.chains
    yield "chains", match_chains(target, shape, given, generated, price=price, tolerance=tolerance, most=most)
    if generated > second.answer:
        thought = match_thought(target, shape, given, second.answer, 1, price=price, tolerance=tolerance)
        yield "tokens of one thought", thought
    if price is generation_flops:  # how fast, and how deep, another network is was not measured

        def one_chain(layers: int) -> float:
            return price(replace(shape, num_layers=layers), given, generated, 1)

        yield "layers for one chain", match_size(target, family, one_chain, tolerance=tolerance)


def said(
    first: Side, second: Side, spent: Iterable[tuple[str, float]], by: str, tolerance: float, most: int
) -> Iterator[str]:
    """Lines for a person. spent: as of `targets`."""
    for rung, target in spent:
        yield f"{first.name} at {rung}, {AXES[by](target)}; as much is, of {second.name}:"
        for what, match in settings_for(second, target, tolerance, most):
            if found := match.found:
                yield f"    {found.value:,} {what}: {AXES[by](found.spent)}, {found.mismatch:.1%} apart"
            else:
                near = " or ".join(
                    f"{each.value:,} ({AXES[by](each.spent)}, {each.mismatch:.1%} apart)"
                    for each in (match.below, match.above)
                    if each
                )
                yield f"    no number of {what} within {tolerance:.0%}; the nearest: {near}"


def _chains(number: int) -> str:
    return f"{number:,} chain{'s' if number != 1 else ''}"


def _pace(arm: str, by: str, folder: str | None) -> Pace | None:
    if by in ("flops", "depth"):
        return None
    if folder is None:
        raise launch.BadInput(
            f"by={by}: seconds are measured: give the folder of a run with budget.time=true as measured=outputs/<name>"
        )
    path = Path(folder) / "measurements.jsonl"
    try:
        with launch.refused(f"measured={folder}", RecordsError):
            found = paces(read(path, Measurement).items)
    except OSError as error:
        raise launch.BadInput(
            f"measured={folder}: {path} cannot be read: {error.strerror}; budget.time=true writes it"
        ) from None
    if arm not in found:
        raise launch.BadInput(f"measured={folder}: arm {arm} was not measured there, but {', '.join(found)}")
    return found[arm]


def _sides(
    settings: Mapping[str, Any], task: Any, models: Mapping[str, Model], bought: Mapping[str, equal_compute.Bought]
) -> list[Side]:
    from dlmreason.evaluation.attempt import canvas_length

    sides = []
    for place in ("first", "second"):
        name = settings[place]
        if name not in settings["arms"]:
            raise launch.BadInput(f"{place}={name}: no arm of this experiment, which has {', '.join(settings['arms'])}")
        model = models[settings["arms"][name]["model"]]
        arm = settings["arms"][name]
        kept = [f"{key}={shown(arm[key])}" for key in ("block_cache", "stale_cache") if arm.get(key)]
        if kept:
            raise launch.BadInput(
                f"{place}={name}: with arms.{name}.{kept[0]} a pass costs what its policy makes of its blocks, "
                "which only a run can tell: leave it out for the price of passes over whole sheets, or compare "
                "records by FLOPs"
            )
        own, by = model.own_task or task, settings["by"]
        if model.kind == "autoregressive":
            each = bought[name]
            lengths = each.prompt, each.generated, own.answer_length if model.thought else each.generated
        else:
            lengths = canvas_length(own, model.thought), 0, 0
        sides.append(side_of(name, by, _pace(name, by, settings["measured"]), model, *lengths))
    return sides


def main(settings: launch.Settings) -> int:
    """The entry point."""
    if not settings["models"] or not settings["arms"]:
        raise launch.BadInput("experiment: choose one, such as experiment=demo; `make experiments` lists them")
    from dlmreason import assembly
    from dlmreason.assembly_arms import ladder_of
    from dlmreason.evaluate import examples_of
    from dlmreason.own_tasks import items_of

    task = assembly.task_of(settings)
    models = assembly.models_of(settings, task)
    items = items_of(settings, models, examples_of(task, settings))
    bought = equal_compute.bought(settings, task, models, items)
    first, second = _sides(settings, task, models, bought)
    budget = settings["budget"]
    tolerance = TOLERANCE if budget["mismatch"] is None else budget["mismatch"]
    spent = list(targets(first, bought.get(first.name), ladder_of(settings, first.name)))
    if not spent:
        cheapest = bought[first.name]
        raise launch.BadInput(
            f"first={first.name}: no rung of its ladder buys a chain; from {cheapest.first} passes on one does: "
            "raise budget.passes"
        )
    for line in said(first, second, spent, settings["by"], tolerance, budget["ar_chains"]):
        print(line)
    return 0


if __name__ == "__main__":
    sys.exit(launch.run(main, "match"))
