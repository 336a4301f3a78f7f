"""A checkpoint answers through a stale cache: at the price of what its passes read, and refused where it cannot be."""

from pathlib import Path
from typing import Any

import pytest

from dlmreason import assembly, assembly_arms, launch
from dlmreason.analysis.records import Record, read
from dlmreason.compute.flops import pass_flops
from tests.entry_points.test_block_cache import settings_of
from tests.entry_points.tiny import MACHINE, start

POLICY = ("policy=bd3", "policy.block=2", "policy.order=confidence")
FEW = ("budget=tiny", "budget.examples=5", "budget.passes=16", "budget.rungs=[2,16]", *MACHINE)


def answered(finished: Path, to: Path, *argv: str) -> dict[tuple[str, int], Record]:
    model = finished / "models" / "diffusion"
    assert start("evaluate", f"checkpoint={model}", *POLICY, *FEW, f"output={to}", *argv) == 0
    return {(each.example, each.rung): each for each in read(to / "records.jsonl", Record).items}


def test_it_pays_for_what_it_reads_and_refreshed_with_every_pass_it_answers_as_without(
    finished: Path, tmp_path: Path
) -> None:
    shape = assembly.loaded(finished / "models" / "diffusion")[0].network.shape
    plain = answered(finished, tmp_path / "plain")
    always = answered(finished, tmp_path / "always", "stale_cache={block:2,refresh:1}")
    dual = answered(finished, tmp_path / "dual", "stale_cache={block:2,refresh:9,suffix:true}")
    assert plain.keys() == always.keys() == dual.keys() and len(plain) == 10
    for point, one in plain.items():
        assert (one.answer, one.nfe, one.flops) == (always[point].answer, always[point].nfe, always[point].flops)
        assert one.flops == one.nfe * pass_flops(shape, shape.length) >= dual[point].flops
        assert one.run_key != always[point].run_key != dual[point].run_key
    assert sum(each.flops for each in dual.values()) < sum(each.flops for each in plain.values())


@pytest.mark.parametrize(
    ("overrides", "why"),
    [
        (("+arms.bd3.stale_cache={block:3,refresh:2}",), "writes blocks of 2 positions, and 3 are read at once: leave"),
        (("+arms.bd3.stale_cache={block:0,refresh:2}",), r"stale_cache.block=0"),
        (("+arms.bd3.stale_cache={block:4,refresh:2,width:1}",), "no such argument"),
        (("+arms.bd3.stale_cache={block:4}",), "needs a value"),
        (("+arms.bd3.stale_cache=4",), "must be null, or such as"),
        (("+arms.answer.stale_cache={block:4,refresh:2}",), "leave it out"),
        (("+arms.confidence.stale_cache={block:4,refresh:2}",), "may write into a block"),
        (("+arms.bd3.stale_cache={block:4,refresh:2}", "models.diffusion.prompt_cache=true"), "exact cache"),
    ],
)
def test_what_it_is_no_use_for_is_refused(overrides: tuple[str, ...], why: str) -> None:
    with pytest.raises(launch.BadInput, match=why):
        assembly_arms.policies_of(settings_of("+arm@arms.bd3=bd3", "arms.bd3.policy.block=2", *overrides))


def test_none_changes_no_key(finished: Path) -> None:
    def key(**more: Any) -> str:
        made, about = assembly.loaded(finished / "models" / "diffusion")
        settings = settings_of("+arm@arms.bd3=bd3")
        settings["arms"]["bd3"] |= {"model": made.name, **more}
        task = assembly.task_of(settings | {"task": about["task"]["settings"]})
        parts = assembly_arms.run_parts("bd3", settings, task, {made.name: made}, assembly.device_of(settings))
        return assembly_arms.run_key(parts)

    assert key() == key(stale_cache=None) != key(stale_cache={"block": 4, "refresh": 2})
