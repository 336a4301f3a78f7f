"""A model that reads prompts alone goes the whole way, and one that does not is what it was before there was such a
choice."""

from pathlib import Path
from typing import Any

import pytest

from dlmreason import assembly, launch, solve
from dlmreason.analysis.records import Record, read
from dlmreason.compute.flops import cached_pass_flops, prompt_flops, training_flops
from dlmreason.networks.transformer import Transformer
from tests.entry_points.tiny import TINY, experiment
from tests.test_conf import FEW, composed

ALONE = ("~models.thought", "~arms.thought", "~arms.random_doubt", "~arms.restarts", "budget.passes=4")
CACHE = "models.diffusion.prompt_cache=true"


def built(*overrides: str) -> dict[str, assembly.Model]:
    settings = composed("experiment=demo", "task=star_graph", "network=tiny", "budget=tiny", *FEW, *overrides)
    return assembly.models_of(settings, assembly.task_of(settings))


def test_it_is_trained_evaluated_and_solves(tmp_path: Path) -> None:
    folder = tmp_path / "it"
    assert experiment(folder, CACHE, *ALONE, of=TINY) == 0
    assert (folder / "report.html").exists()
    trained, about = assembly.loaded(folder / "models" / "diffusion")
    shape = trained.network.shape
    task = assembly.task_of({"task": about["task"]["settings"], "trusted": []})
    assert (shape.attention, shape.prompt) == ("prompt", task.prompt_length + 1)
    # From its first weights it has moved: all that can be trained has been.
    fresh = dict(Transformer(shape).named_parameters())
    assert all(not (each == fresh[name]).all() for name, each in trained.network.named_parameters())
    updates, rows = about["extra"]["updates"], 8
    assert about["extra"]["training_flops"] >= updates * training_flops(shape, shape.length, rows)
    found = read(folder / "records.jsonl", Record).items
    price, before = cached_pass_flops(shape, shape.length), prompt_flops(shape)
    passes = [each for each in found if each.arm.startswith(("confidence", "change_of_mind"))]
    assert before > 0 and passes and all(each.flops == before + each.nfe * price for each in passes)
    chains = [each for each in found if each.arm.startswith("answer")]
    assert chains and all(each.flops <= before + each.rung * price for each in chains), "equal budgets, prompt and all"

    solver = solve.load(folder)
    example = task.examples("test")[0]
    one, again = (solver.solve(example.prompt, passes=6, seed=2) for _ in range(2))
    assert one == again and 1 <= one.passes <= 6


def test_off_it_changes_no_key() -> None:
    """A checkpoint of settings that did not know the choice is still theirs."""
    settings = composed("experiment=demo", "network=tiny", "budget=tiny", *FEW)
    task = assembly.task_of(settings)
    models: dict[str, Any] = {
        name: {key: value for key, value in each.items() if key != "prompt_cache"}
        for name, each in settings["models"].items()
    }
    old, new = assembly.models_of(settings | {"models": models}, task), assembly.models_of(settings, task)
    assert {name: model.key for name, model in old.items()} == {name: model.key for name, model in new.items()}
    assert all(model.shape.prompt == 0 for model in new.values())


def test_on_it_is_another_training_of_as_many_parameters() -> None:
    plain, cached = built()["diffusion"], built(CACHE)["diffusion"]
    assert plain.key != cached.key
    assert cached.shape.attention == "prompt" and plain.shape.attention == "bidirectional"
    sizes = [Transformer(model.shape).num_parameters for model in (plain, cached)]
    assert sizes[0] == sizes[1]
    assert cached.flops() < plain.flops(), "what the prompt does not read is not paid"


@pytest.mark.parametrize(
    ("overrides", "says"),
    [
        (("task=sudoku4x4", CACHE), "sudoku4x4 is answered within its prompt"),
        ((CACHE, "objective@models.diffusion.objective=block_diffusion"), "teaches blocks of"),
        ((CACHE, "objective@models.diffusion.objective=self_conditioned"), "hands a state from pass to pass"),
        (("+models.answer.prompt_cache=true",), "an autoregressive model has a cache anyway"),
    ],
)
def test_a_prompt_that_must_be_read_each_time_is_refused(overrides: tuple[str, ...], says: str) -> None:
    with pytest.raises(launch.BadInput, match=rf"prompt_cache=true: .*{says}.*: set it to false, or choose"):
        built(*overrides)
