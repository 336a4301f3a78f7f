"""From settings to arms: policies, ladders, what each arm is over its trained network, and the keys of records.

This file decides which policy a network can serve, what an arm is refused for before anything is trained, and what must
be equal for a record to be reused. It trains nothing and answers nothing.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, TypeVar

import torch

from dlmreason import launch
from dlmreason.assembly import Model, Trained, data_of, device_of, digest, taught_with
from dlmreason.canvas import Policy
from dlmreason.compute.flops import cached_pass_flops, prompt_flops
from dlmreason.diffusion.objectives import Taught
from dlmreason.evaluation.attempt import canvas_length
from dlmreason.evaluation.autoregressive import AutoregressiveArm
from dlmreason.evaluation.diffusion import DiffusionArm
from dlmreason.evaluation.known_errors import Planted
from dlmreason.evaluation.planting import Draft
from dlmreason.evaluation.starts import Start
from dlmreason.evaluation.thoughts import Thoughts
from dlmreason.launch_rules import shown, walk
from dlmreason.networks.block_denoiser import DenoiseBlocks
from dlmreason.networks.compiled import check_compiler, compiled
from dlmreason.networks.denoiser import Denoise
from dlmreason.networks.shape import Shape
from dlmreason.networks.stale_denoiser import DenoiseStale, StaleCache
from dlmreason.networks.transformer import Transformer
from dlmreason.policies.facts import check_keeps_blocks, check_sound
from dlmreason.tasks.task import Task

Part = TypeVar("Part")


def policies_of(settings: Mapping[str, Any]) -> dict[str, Policy | None]:
    """The policy of each arm, None for autoregressive ones. Raises: BadInput for one that its network cannot serve."""
    policies: dict[str, Policy | None] = {}
    for name, arm in settings["arms"].items():
        if arm["model"] not in settings["models"]:
            raise launch.BadInput(
                f"arms.{name}.model={arm['model']}: must be one of models: {', '.join(settings['models']) or 'none'}"
            )
        model = settings["models"][arm["model"]]
        if arm["kind"] != model["kind"]:
            raise launch.BadInput(f"arms.{name}.kind={arm['kind']}: its model {arm['model']} is {model['kind']}")
        taught = _taught(model, f"models.{arm['model']}.objective", settings["trusted"])
        cached = arm.get("block_cache", False)
        if cached and not taught.block:
            why = (
                "an autoregressive arm has a cache anyway"
                if arm["kind"] == "autoregressive"
                else f"models.{arm['model']} is taught to write in any order, where all is read anew with each pass"
            )
            raise launch.BadInput(
                f"arms.{name}.block_cache=true: {why}: set it to false, or choose a model with "
                "objective=block_diffusion"
            )
        stale = _stale_cache(name, arm, settings["trusted"])
        if stale and (arm["kind"] == "autoregressive" or taught.block or taught.carry or model.get("prompt_cache")):
            raise launch.BadInput(
                f"arms.{name}.stale_cache: it is for a diffusion model that reads all anew with each pass, and "
                f"models.{arm['model']} has an exact cache or carries a state: leave it out"
            )
        begun = {"draft": _draft(name, arm, settings["trusted"]), "planted": arm.get("planted", 0)}
        for key in (key for key, start in begun.items() if start and arm["kind"] == "autoregressive"):
            raise launch.BadInput(f"arms.{name}.{key}: an autoregressive arm writes from its prompt: leave it out")
        if arm["kind"] == "autoregressive":
            if "quality" in arm["rules"] and not taught.quality:
                raise launch.BadInput(
                    f"arms.{name}.rules={arm['rules']} holds quality, and models.{arm['model']} trains no quality "
                    "head: leave the rule out, or train one with objective next_token and quality=true"
                )
            policies[name] = None
            continue
        policies[name] = policy = policy_of(arm["policy"], f"arms.{name}.policy", settings["trusted"], taught)
        if cached:
            with launch.refused(f"arms.{name}.block_cache", ValueError):
                check_keeps_blocks(policy, taught.block)
        if stale:
            with launch.refused(f"arms.{name}.stale_cache", ValueError):
                check_keeps_blocks(policy, stale.block, "leave stale_cache out")
    return policies


def _stale_cache(name: str, arm: Mapping[str, Any], trusted: Sequence[str]) -> StaleCache | None:
    """What an arm's passes take from earlier ones, where they do.  Raises: BadInput."""
    return _part(name, arm, "stale_cache", StaleCache, "{block: 12, refresh: 4}", trusted)


def _draft(name: str, arm: Mapping[str, Any], trusted: Sequence[str]) -> Draft | None:
    """What an arm's rows begin with, where they do not begin blank.  Raises: BadInput."""
    return _part(name, arm, "draft", Draft, "{block: 12, wrong: 1}", trusted)


def _part(
    name: str, arm: Mapping[str, Any], key: str, kind: type[Part], such: str, trusted: Sequence[str]
) -> Part | None:
    """The part `key` of an arm, None where it is null or not there. such: what it may be, for the message."""
    given = arm.get(key)
    if given is None:
        return None
    if not isinstance(given, Mapping):
        raise launch.BadInput(f"arms.{name}.{key}={given}: must be null, or such as {such}")
    target = f"{kind.__module__}.{kind.__qualname__}"
    part: Part = launch.instantiate({"_target_": target, **given}, f"arms.{name}.{key}", trusted)
    return part


def _taught(model: Mapping[str, Any], key: str, trusted: Sequence[str]) -> Taught:
    """What a model of the settings is taught: as its checkpoint says, or its objective."""
    if "taught" in model:
        return Taught(**model["taught"])
    return taught_with(launch.instantiate(model["objective"], key, trusted), model["quality"])


def policy_of(given: Mapping[str, Any], key: str, trusted: Sequence[str], taught: Taught) -> Policy:
    """A policy; its `name` is for people. taught: what its network is. Raises: BadInput."""
    config = {name: value for name, value in given.items() if name != "name"}
    policy: Policy = launch.instantiate(config, key, trusted)
    with launch.refused(key, ValueError):
        check_sound(policy, **taught._asdict())
    return policy


def ladder_of(settings: Mapping[str, Any], name: str) -> tuple[int, ...]:
    """The rungs of the arm `name`: as given and up to `passes`, or the powers of two below it and `passes` itself.

    An arm may have passes of its own. Raises: BadInput where no rung is within them.
    """
    budget, own = settings["budget"], settings["arms"][name].get("passes")
    passes = own or budget["passes"]
    if budget["rungs"] is not None:
        rungs = tuple(rung for rung in budget["rungs"] if rung <= passes)
        if not rungs:
            which = f"arms.{name}.passes" if own else "budget.passes"
            raise launch.BadInput(f"budget.rungs={budget['rungs']}: none is within {which}={passes}")
        return rungs
    powers = [1 << power for power in range(passes.bit_length()) if 1 << power < passes]
    return (*powers, passes)


def arm_of(
    name: str,
    settings: Mapping[str, Any],
    task: Task,
    trained: Mapping[str, Trained],
    policy: Policy | None,
    device: torch.device,
) -> DiffusionArm | AutoregressiveArm:
    """The arm `name` over its trained network. task: the experiment's; a model's own stands in its place."""
    arm, budget = settings["arms"][name], settings["budget"]
    own = trained[arm["model"]].own_task or task
    network = trained[arm["model"]].network.to(device)
    if policy is not None:
        thought, oracle = trained[arm["model"]].thought, arm.get("oracle", False)
        with launch.refused("budget.compile", ValueError):
            read = compiled(network) if budget.get("compile", False) else network
        stale = _stale_cache(name, arm, settings["trusted"])
        with launch.refused(f"arms.{name}.stale_cache", ValueError):
            denoiser = denoiser_of(read, own, thought, arm.get("block_cache", False), stale)
        width, chunk = budget["width"], budget["chunk"]
        counted, start = budget.get("counters", False), _start(name, settings, own, thought)
        return DiffusionArm(name, own, network, denoiser, policy, width, chunk, device, thought, oracle, counted, start)
    unit, before = unit_of(task, trained, network.shape)
    return _autoregressive(name, settings, own, network, trained[arm["model"]].thought, unit, before)


def _thoughts(name: str, settings: Mapping[str, Any], task: Task, thought: bool) -> Thoughts | None:
    """How an arm's thoughts begin and that they are kept; None where they are not.  Raises: BadInput."""
    begins = settings["arms"][name].get("begins")
    if begins is not None and not thought:
        raise launch.BadInput(f"arms.{name}.begins={begins}: its model writes no thoughts: choose one that does")
    if not thought or (begins is None and not settings["budget"].get("thoughts", False)):
        return None
    with launch.refused(f"arms.{name}", ValueError):
        return Thoughts(task, begins)


def _start(name: str, settings: Mapping[str, Any], task: Task, thought: bool) -> Start | None:
    """What stands on a diffusion arm's canvases at first.  Raises: BadInput."""
    arm = settings["arms"][name]
    planted = Planted(arm["planted"]) if arm.get("planted", 0) else None
    starts = {
        "draft": _draft(name, arm, settings["trusted"]),
        "planted": planted,
        "begins, or budget.thoughts": _thoughts(name, settings, task, thought),
    }
    given = {key: start for key, start in starts.items() if start is not None}
    if len(given) > 1:
        raise launch.BadInput(
            f"arms.{name}: {' and '.join(given)} each say what stands at first: leave all but one out"
        )
    return next(iter(given.values()), None)


def denoiser_of(
    network: Transformer, task: Task, thought: bool, block_cache: bool = False, stale: StaleCache | None = None
) -> Denoise | DenoiseBlocks | DenoiseStale:
    """A network over a task's canvases as the denoiser that a sampler calls. block_cache: what a network in blocks has
    read of a row is kept.  stale: so is, of another one, what is out of date since.  Raises: ValueError."""
    if stale is not None:
        return DenoiseStale(network, task.vocabulary(thought).mask_id, stale, canvas_length(task, thought))
    if block_cache:
        return DenoiseBlocks(network, task.vocabulary(thought).mask_id)
    return Denoise(network, task.vocabulary(thought).mask_id, canvas_length(task, thought))


def check_arms(settings: Mapping[str, Any], task: Task, models: Mapping[str, Model]) -> None:
    """Refuses what an autoregressive arm could not write, and what cannot be compiled, before a network is trained.

    Raises: BadInput.
    """
    if settings["budget"].get("compile", False):
        with launch.refused("budget.compile", ValueError):
            check_compiler(device_of(settings).type)
    for name, arm in settings["arms"].items():
        model = models[arm["model"]]
        if model.kind == "diffusion":
            _start(name, settings, model.own_task or task, model.thought)
        else:
            _autoregressive(name, settings, model.own_task or task, _Sized(model.shape), model.thought, 1, 0)


class _Sized(NamedTuple):
    """What is known of a network before it is trained."""

    shape: Shape


def _autoregressive(
    name: str,
    settings: Mapping[str, Any],
    task: Task,
    network: Transformer | _Sized,
    thought: bool,
    flops_per_pass: int,
    flops_before: int,
) -> AutoregressiveArm:
    arm, budget = settings["arms"][name], settings["budget"]
    decoding = launch.instantiate(arm.get("decoding"), f"arms.{name}.decoding", settings["trusted"])
    with launch.refused(f"arms.{name}", ValueError):
        return AutoregressiveArm(
            name=name,
            task=task,
            network=network,
            thought=thought,
            flops_per_pass=flops_per_pass,
            flops_before=flops_before,
            rules=arm["rules"],
            temperature=arm.get("temperature", 1.0),  # else the decoding has its own
            most=budget["ar_chains"],
            width=budget["ar_width"],
            decoding=decoding,
            oracle=arm.get("oracle", False),
            thoughts=_thoughts(name, settings, task, thought),
        )


def unit_of(task: Task, models: Mapping[str, Model] | Mapping[str, Trained], otherwise: Shape) -> tuple[int, int]:
    """The unit of every ladder: FLOPs of one pass of the first diffusion model, and of what it reads before; where
    there is none, of a pass that a network of shape `otherwise` would make."""
    for each in models.values():
        if each.kind == "diffusion":
            length = canvas_length(each.own_task or task, each.thought)
            return cached_pass_flops(each.shape, length), prompt_flops(each.shape)
    return cached_pass_flops(otherwise, canvas_length(task, False)), prompt_flops(otherwise)


_AS_BEFORE = (("block_cache", False), ("stale_cache", None), ("draft", None), ("begins", None), ("planted", 0))
"""Settings of an arm that came later, with which it does what it did before."""


def run_parts(
    name: str, settings: Mapping[str, Any], task: Task, trained: Mapping[str, Trained], device: torch.device
) -> dict[str, Any]:
    """Everything that could change this arm's records, by its name, and nothing that could not, such as the ladder."""
    budget = settings["budget"]
    arm = {key: value for key, value in settings["arms"][name].items() if key != "passes"}
    diffusion = arm["kind"] == "diffusion"
    held = ("width",) if diffusion else ("ar_width", "ar_chains")
    compiles = {"compile": True} if diffusion and budget.get("compile", False) else {}
    thoughts = {"thoughts": True} if budget.get("thoughts", False) else {}
    pair = (0, 0) if diffusion else unit_of(task, trained, trained[arm["model"]].network.shape)
    return {
        f"arms.{name}": {
            key: value for key, value in arm.items() if key != "passes" and (key, value) not in _AS_BEFORE
        },
        "budget": {key: budget[key] for key in held} | compiles | thoughts,
        "weights": trained[arm["model"]].weights,
        # As it was while nothing came before the passes.
        "FLOPs of a pass": None if diffusion else pair if pair[1] else pair[0],
        "examples": data_of(trained[arm["model"]].own_task or task),
        "budget.split": budget["split"],
        "threads": settings["threads"],
        "device": device.type,
    }


def run_key(parts: Mapping[str, Any]) -> str:
    """Names a run by its `run_parts`."""
    return digest(*parts.values())


def run_facts(parts: Mapping[str, Any], seed: int) -> dict[str, str]:
    """`run_parts` as a person reads them, by dotted key."""
    leaves = ((key, value) for key, value in walk({**parts, "seed": seed}) if not isinstance(value, dict))
    return {key: shown(value) for key, value in leaves}
