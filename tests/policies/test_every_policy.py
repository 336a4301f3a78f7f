"""Laws that every policy of conf keeps, on a real network: a row depends on itself alone, the first passes of a long
run are a short one, and the chances of a plan are chances.

A policy is a file of conf/policy: one more file is held to the laws as it comes.
"""

import functools
import importlib
import inspect
from typing import Any

import pytest
import torch
import yaml
from torch import Tensor
from torch.utils._pytree import tree_leaves

from dlmreason import assembly, assembly_arms, launch
from dlmreason.canvas import Hazard, Policy, join
from dlmreason.launch_config import Tree
from dlmreason.networks.denoiser import Denoise
from dlmreason.networks.shape import Shape
from dlmreason.networks.transformer import Transformer
from dlmreason.policies.facts import facts_of
from dlmreason.sampling.denoise import Rows, Sampler, State
from dlmreason.sampling.noise import Counter
from tests.test_conf import CARRYING

TREE = Tree(launch.conf_folder(), "experiment")
NAMES = TREE.options("policy")
LENGTH, MASK, WIDTH = 20, 5, 4  # longer than the 12 tokens that some doubt at once: else all doubt the same
LADDER, TOTAL = (1, 2, 5, 12, 24), 12
KEPT = ("answers", "scores", "canvases", "spent", "changes")


@functools.cache
def policy_of(name: str) -> Policy:
    with TREE.open():
        settings = TREE.settings([f"policy={name}"], launch.RULES, ())
    taught = assembly.Taught(quality=True, masks=True, emits_mask=True, noise="leave_one_out", carry=True)
    return assembly_arms.policy_of(settings["policy"], "policy", (), taught)


@functools.cache
def network(emits_mask: bool = False, carry: bool = False) -> Denoise:
    generator = torch.Generator().manual_seed(0)
    shape = Shape(
        vocabulary_size=MASK + 1,
        outputs=MASK + emits_mask,
        length=LENGTH,
        feature_sizes=(3,),
        num_layers=1,
        width=16,
        num_heads=2,
        quality=True,
        carry=carry,
    )
    made = Transformer(shape).eval()
    with torch.no_grad():  # weights large enough for opinions: one that has none hides differences behind ties
        for weight in made.parameters():
            spread = 0.7 if weight.dim() > 1 else 0.3
            weight.copy_(torch.randn(weight.shape, generator=generator) * spread)
    return Denoise(made, MASK)


def network_of(name: str) -> Denoise:
    """One with what the policy is for."""
    return network("emits_mask" in facts_of(policy_of(name)).needs, name in CARRYING)


def rows(count: int = 6) -> Rows:
    generator = torch.Generator().manual_seed(1)
    tokens = torch.randint(0, MASK, (count, LENGTH), generator=generator)
    editable = torch.rand(count, LENGTH, generator=generator) < 0.8
    features = torch.randint(0, 3, (count, LENGTH, 1), generator=generator)
    return Rows(torch.arange(count) * 104_729 + 5, tokens, editable, features, tokens.clone())


def pick(given: Any, places: list[int]) -> Any:
    return type(given)(*(leaf[torch.tensor(places, dtype=torch.int64)] for leaf in given))


def sampler(name: str, chunk: int = 6) -> Sampler:
    rungs = LADDER if policy_of(name).anytime else (TOTAL,)
    return Sampler(policy_of(name), network_of(name), rungs, seed=2, width=WIDTH, chunk=chunk)


def outcome(states: list[State]) -> dict[int, bytes]:
    """{example id: every byte of its final state}."""
    return {int(state.rows.id): content(state) for state in states}


def content(state: State) -> bytes:
    return b"|".join(leaf.contiguous().numpy().tobytes() for leaf in tree_leaves(state))


@functools.cache
def company(name: str) -> dict[int, bytes]:
    return outcome(list(sampler(name).run(rows())))


@pytest.mark.parametrize("name", NAMES)
def test_a_row_is_byte_equal_at_another_seat_in_other_company_and_alone(name: str) -> None:
    whole, given = company(name), rows()
    assert len(whole) == 6
    assert outcome(list(sampler(name, chunk=5).run(pick(given, [4, 1, 5, 0, 3, 2])))) == whole
    number = int(given.id[3])
    assert outcome(list(sampler(name).run(pick(given, [3])))) == {number: whole[number]}


@pytest.mark.parametrize("name", NAMES)
def test_a_run_that_is_killed_goes_on_from_the_rows_under_way(name: str) -> None:
    class Killed(Exception):
        pass

    held: list[State] = []

    def kill(pool: State, counts: object) -> None:
        held.append(pool)
        raise Killed

    given, finished = rows(), list[State]()
    try:
        for state in sampler(name, chunk=3).run(given, on_chunk=kill):
            finished.append(state)
    except Killed:
        pass
    done = outcome(finished)
    seen = set(done) | {number for pool in held for number in pool.rows.id.tolist()}
    left = pick(given, [place for place, number in enumerate(given.id.tolist()) if number not in seen])
    pool = join(held) if held else None
    assert done | outcome(list(sampler(name).run(left, pool))) == company(name)


def test_these_runs_differ_from_row_to_row_and_are_long_enough_to_be_killed() -> None:
    """The laws above would hold of a network without opinions and of runs that end at once."""
    ends = {name: list(sampler(name).run(rows())) for name in ("change_of_mind", "gibbs", "p2")}
    for states in ends.values():
        assert len({state.tokens.numpy().tobytes() for state in states}) > 1
        assert min(int(state.nfe) for state in states) > 6


ANYTIME = [name for name in NAMES if policy_of(name).anytime]


def after(name: str, passes: int, rungs: tuple[int, ...]) -> bytes:
    """Every byte of what two rows are after `passes`, and of what they said at the rungs up to there."""
    run = Sampler(policy_of(name), network_of(name), rungs, seed=2, width=2)
    state = run.advance(run.init(rows(2)), passes)
    count = sum(rung <= passes for rung in rungs)
    return content(state._replace(**{field: getattr(state, field)[:, :count] for field in KEPT}))


@pytest.mark.parametrize("passes", [30, pytest.param(1000, marks=pytest.mark.slow)])
@pytest.mark.parametrize("name", ANYTIME)
def test_the_first_passes_of_a_run_to_100_000_are_a_run_of_their_own(name: str, passes: int) -> None:
    rungs = (1, 7, passes)
    assert after(name, passes, rungs) == after(name, passes, (*rungs, 100_000))


def test_the_first_passes_are_more_than_what_every_policy_shares() -> None:
    assert after("change_of_mind", 30, (1, 7, 30)) != after("random_doubt", 30, (1, 7, 30))


# Chances

PLANNED = [name for name in NAMES if not policy_of(name).anytime]


class Watched(Counter):
    """The counter's noise, and every chance that it was asked for."""

    seen: list[Tensor]

    def coin(self, chance: Tensor, stream: str) -> Tensor:
        self.seen.append(chance)
        return super().coin(chance, stream)

    def draw(self, log_probs: Tensor, stream: str) -> Tensor:
        total = log_probs.exp().sum(-1)
        assert torch.allclose(total, torch.ones_like(total), atol=1e-9, rtol=0), stream
        self.seen.append(log_probs.exp())
        return super().draw(log_probs, stream)

    def first(self, hazard: Hazard, kind: Tensor, since: Tensor, stream: str) -> Tensor:
        self.seen.append(hazard.chance)
        return super().first(hazard, kind, since, stream)


@pytest.mark.parametrize("total", [1, 2, 100_000])
@pytest.mark.parametrize("name", PLANNED)
def test_what_plans_for_its_total_asks_for_chances_within_0_and_1(name: str, total: int) -> None:
    """At 100,000 passes: of the hazards of all, which are drawn ahead, and of the first six that are made."""
    given, seen = rows(2), list[Tensor]()

    def noise(index: Tensor) -> Watched:
        made = Watched(2, given.id, index)
        object.__setattr__(made, "seen", seen)
        return made

    run = Sampler(policy_of(name), network(), (total,), seed=2, width=2)
    with torch.inference_mode():
        state = run.init(given, noise(torch.full_like(given.id, -1)))
        for _ in range(min(total, 6)):
            state = run.one_pass(state, noise(state.index))
    for chance in seen:
        assert bool(((chance >= 0) & (chance <= 1 + 1e-12)).all())
    if total <= 6:
        assert bool((state.index >= total).all())
        assert not bool(((state.answers == MASK) & given.editable[:, None]).any())


# What is said when nothing is


@pytest.mark.parametrize("name", NAMES)
def test_a_policy_is_by_default_what_its_file_says(name: str) -> None:
    """`load(path).solve(puzzle)` and `make solve` are one policy."""
    config = yaml.safe_load((launch.conf_folder() / "policy" / f"{name}.yaml").read_text())
    module, _, maker = config["_target_"].rpartition(".")
    parameters = inspect.signature(getattr(importlib.import_module(module), maker)).parameters
    defaults = {key: each.default for key, each in parameters.items() if each.default is not each.empty}
    assert {key: value for key, value in config.items() if key in defaults}.items() <= defaults.items()
