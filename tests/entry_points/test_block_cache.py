"""An arm that keeps the blocks it has read goes the whole way, over the network of one that does not, and is refused
where a block that was read might change."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch

from dlmreason import assembly, assembly_arms, launch
from dlmreason.analysis.records import Record, read
from dlmreason.canvas import Policy
from dlmreason.compute.flops import block_call_flops, pass_flops
from dlmreason.networks.transformer import Transformer
from dlmreason.policies.facts import Facts, check_keeps_blocks
from dlmreason.policies.published import bd3
from tests.entry_points.tiny import MACHINE, TINY, experiment, start, weights
from tests.test_conf import FEW, composed

BLOCKS = "objective@models.diffusion.objective=block_diffusion"
OTHERS = tuple(f"~arms.{name}" for name in ("confidence", "change_of_mind", "random_doubt", "restarts", "thought"))
ALONE = (BLOCKS, *OTHERS, "~models.thought", "primary=null", "family=null", "+arm@arms.bd3=bd3")
KEPT = ("+arm@arms.kept=bd3", "arms.kept.block_cache=true")


def test_both_arms_answer_over_one_network_and_one_costs_less(tmp_path: Path) -> None:
    folder = tmp_path / "it"
    assert experiment(folder, *ALONE, *KEPT, "budget.passes=16", of=TINY) == 0
    trained, _ = assembly.loaded(folder / "models" / "diffusion")
    shape = trained.network.shape
    found = [each for each in read(folder / "records.jsonl", Record).items if each.rung == 16]
    dear, cheap = pass_flops(shape, shape.length), block_call_flops(shape, shape.length)
    spent = {arm: {each.example: each for each in found if each.arm == arm} for arm in ("bd3", "kept")}
    assert len(spent["bd3"]) == 5 and spent["bd3"].keys() == spent["kept"].keys()
    for example, one in spent["kept"].items():
        other = spent["bd3"][example]
        assert (one.flops, other.flops) == (one.nfe * cheap, other.nfe * dear)
        assert one.nfe > other.nfe and one.events == other.events and one.answer == other.answer
    assert len(weights(folder)) == 2, "the diffusion model's and that of the answers"

    asked = (f"checkpoint={folder / 'models' / 'diffusion'}", "policy=bd3", "block_cache=true", *MACHINE)
    few = ("budget=tiny", "budget.examples=5", "budget.passes=16", f"output={tmp_path / 'alone'}")
    assert start("evaluate", *asked, *few) == 0
    alone = [each for each in read(tmp_path / "alone" / "records.jsonl", Record).items if each.rung == 16]
    told = ("answer", "nfe", "flops", "events")
    assert {each.example: [getattr(each, name) for name in told] for each in alone} == {
        example: [getattr(each, name) for name in told] for example, each in spent["kept"].items()
    }


def settings_of(*overrides: str) -> dict[str, Any]:
    return composed("experiment=demo", "task=star_graph", "network=tiny", "budget=tiny", *FEW, *overrides)


def test_off_it_changes_no_key_and_on_it_names_other_records_of_the_same_training() -> None:
    settings = settings_of(BLOCKS, "+arm@arms.bd3=bd3")
    task = assembly.task_of(settings)
    model = assembly.models_of(settings, task)["diffusion"]
    network = Transformer(model.shape)
    trained = {"diffusion": assembly.Trained("diffusion", model.kind, False, network, "", {}, model.taught)}

    def key(arm: dict[str, Any]) -> str:
        given = settings | {"arms": {"bd3": arm}}
        return assembly_arms.run_key(assembly_arms.run_parts("bd3", given, task, trained, torch.device("cpu")))

    arm = settings["arms"]["bd3"]
    before = {name: value for name, value in arm.items() if name != "block_cache"}
    assert arm["block_cache"] is False
    assert key(before) == key(arm) != key(arm | {"block_cache": True})


@pytest.mark.parametrize(
    ("overrides", "says"),
    [
        (("+arms.confidence.block_cache=true",), "models.diffusion is taught to write in any order"),
        (("+arms.answer.block_cache=true",), "an autoregressive arm has a cache anyway"),
    ],
)
def test_an_arm_without_blocks_is_refused(overrides: tuple[str, ...], says: str) -> None:
    with pytest.raises(launch.BadInput, match=rf"block_cache=true: {says}.*: set it to false, or choose a model with"):
        assembly_arms.policies_of(settings_of(*overrides))


def test_what_is_no_yes_or_no_is_refused() -> None:
    with pytest.raises(launch.BadInput, match=r"arms\.bd3\.block_cache=4: must be true or false"):
        settings_of(BLOCKS, "+arm@arms.bd3=bd3", "arms.bd3.block_cache=4")


@dataclass(frozen=True)
class Says:
    """A policy that declares `facts`."""

    facts: Facts


@pytest.mark.parametrize(
    ("policy", "says"),
    [
        (object(), "does not say what it leaves as it is"),
        (Says(Facts()), "may write into a block after it was finished"),
        (Says(Facts(block=4, revises=True)), "may write into a block after it was finished"),
        (bd3(3), "writes blocks of 3 positions, and 4 are read at once"),
        (bd3(8), "writes blocks of 8 positions, and 4 are read at once"),
    ],
)
def test_a_policy_that_may_change_a_finished_block_is_refused(policy: Any, says: str) -> None:
    with pytest.raises(ValueError, match=rf"{says}: set block_cache=false, or .* Facts\(block=4, revises=False\)"):
        check_keeps_blocks(policy, 4)


@pytest.mark.parametrize("policy", [bd3(4), bd3(2), bd3(1, "confidence"), Says(Facts(block=4))])
def test_one_that_leaves_it_as_it_is_is_taken(policy: Policy) -> None:
    check_keeps_blocks(policy, 4)


class Undeclared:
    """A policy of one's own that says nothing of itself."""

    anytime, init, __call__ = True, None, None


def test_a_policy_of_ones_own_must_say_so() -> None:
    settings = settings_of(BLOCKS, *KEPT)
    arm = settings["arms"]["kept"] | {"policy": {"_target_": f"{__name__}.Undeclared"}}
    settings["trusted"] = [__name__]
    settings["arms"] = {"kept": arm | {"block_cache": False}}
    assert isinstance(assembly_arms.policies_of(settings)["kept"], Undeclared)
    settings["arms"] = {"kept": arm}
    with pytest.raises(launch.BadInput, match=r"arms\.kept\.block_cache: a block is read once.*does not say what"):
        assembly_arms.policies_of(settings)


def test_what_passes_cost_that_depends_on_a_policy_is_not_matched(capsys: pytest.CaptureFixture[str]) -> None:
    argv = (*ALONE, *KEPT, "first=kept", "second=answer")
    assert start("match", *TINY, *argv) == 2
    assert "first=kept: with arms.kept.block_cache=true a pass costs what its policy" in capsys.readouterr().err
