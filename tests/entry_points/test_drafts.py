"""Rows that begin with a draft, and answers of any length, from the command line to the records."""

from pathlib import Path
from typing import Any

import pytest

from dlmreason import assembly, assembly_arms, launch, train
from dlmreason.analysis.records import Record, read
from tests.entry_points.test_block_cache import settings_of
from tests.entry_points.tiny import MACHINE, start
from tests.test_conf import FEW as FEW_OF
from tests.test_conf import composed

FEW = ("budget=tiny", "budget.examples=4", "budget.passes=8", "budget.rungs=[4,8]", *MACHINE)
WINDOW = ("policy=window", "policy.size=2", "policy.passes=4", "policy.inner.position=random", "policy.inner.doubt=1")
SMALL = (
    "network=tiny", "network.num_layers=1", "network.width=16", "network.num_heads=2", "budget.examples=3",
    "budget.rungs=[4]", "task.train_examples=20", "task.validation_examples=3", "task.test_examples=3",
    "trainer.batch_size=2", "trainer.ladders=0", "logger=none", *MACHINE,
)  # fmt: skip


def answered(finished: Path, to: Path, *argv: str) -> list[Record]:
    model = finished / "models" / "diffusion"
    assert start("evaluate", f"checkpoint={model}", *WINDOW, *FEW, f"output={to}", *argv) == 0
    return read(to / "records.jsonl", Record).items


def test_an_arm_with_a_draft_tells_what_became_of_it(finished: Path, tmp_path: Path) -> None:
    planted = answered(finished, tmp_path / "planted", "draft={block:2,wrong:1}")
    given = answered(finished, tmp_path / "given", "draft={block:2,wrong:0}")
    plain = answered(finished, tmp_path / "plain")
    for rows, wrong in ((planted, 1), (given, 0)):
        assert all((each.events["planted"], each.events["given_right"]) == (wrong, 2 - wrong) for each in rows)
        assert all(each.events["taken_back"] == each.events["harmed"] == 0 for each in rows), "a block left is frozen"
    assert not any("planted" in each.events for each in plain)
    assert len({rows[0].run_key for rows in (planted, given, plain)}) == 3


def test_a_sentence_for_a_draft_that_cannot_be(finished: Path, tmp_path: Path) -> None:
    for name, given, why in (
        ("confidence", "4", "must be null, or such as {block: 12, wrong: 1}"),
        ("confidence", "{block:0}", r"draft\.block=0"),
        ("confidence", "{block:2,wrong:-1}", r"draft\.wrong=-1"),
        ("confidence", "{block:2,right:1}", "no such argument"),
        ("confidence", "{wrong:1}", "needs a value"),
        ("answer", "{block:2}", "writes from its prompt: leave it out"),
    ):
        with pytest.raises(launch.BadInput, match=why):
            assembly_arms.policies_of(settings_of(f"+arms.{name}.draft={given}"))


def test_none_changes_no_key(finished: Path) -> None:
    def key(**more: Any) -> str:
        made, about = assembly.loaded(finished / "models" / "diffusion")
        settings = settings_of()
        settings["arms"]["confidence"] |= {"model": made.name, **more}
        task = assembly.task_of(settings | {"task": about["task"]["settings"]})
        parts = assembly_arms.run_parts("confidence", settings, task, {made.name: made}, assembly.device_of(settings))
        return assembly_arms.run_key(parts)

    assert key() == key(draft=None) != key(draft={"block": 4})


@pytest.mark.slow
def test_the_recipe_of_planted_errors_runs(tmp_path: Path) -> None:
    given = ("experiment=reopen", "models.diffusion.updates=2", "family=null", f"output={tmp_path / 'run'}")
    assert start("experiment", *given, *SMALL) == 0
    rows = read(tmp_path / "run" / "records.jsonl", Record).items
    assert {each.events.get("planted") for each in rows} == {None, 0, 1}
    assert start("claim", f"from=[{tmp_path / 'run'}]", f"to={tmp_path / 'kept'}") == 0
    assert start("across", "of=reopen", f"from=[{tmp_path / 'kept'}]", f"to={tmp_path / 'out'}") == 0
    table = (tmp_path / "out" / "table.md").read_text()
    assert "| planted_none | 4 | 4 | 0.0 [" in table and "| none | 4 | 4 | - | - |" in table


@pytest.mark.slow
def test_the_recipe_of_lengths_runs_and_asks_for_longer_answers_than_it_was_taught(tmp_path: Path) -> None:
    given = ("experiment=any_length", "models.canvas.updates=2", "family=null", f"output={tmp_path / 'run'}")
    assert start("experiment", *given, *SMALL) == 0
    longer = ("task=counting", "task.subject.shortest=11", "task.subject.longest=20", "as_arm=blocks")
    checkpoint = f"checkpoint={tmp_path / 'run' / 'models' / 'blocks'}"
    block = ("policy=in_blocks", "policy.size=5", "policy.passes=5", "block_cache=true")
    beyond = tmp_path / "beyond"
    few = [each for each in SMALL if not each.startswith(("network", "trainer"))]
    assert start("evaluate", checkpoint, *block, *longer, f"output={beyond}", *few) == 0
    assert min(each.difficulty for each in read(beyond / "records.jsonl", Record).items) >= 11
    folders = f"from=[{tmp_path / 'run'},{beyond}]"
    assert start("across", "of=length", folders, f"to={tmp_path / 'out'}") == 0
    table = (tmp_path / "out" / "table.md").read_text()
    assert "**run**: 3 answers of" in table and "**beyond**: 3 answers of" in table and "| ar.log_prob | 4 |" in table


BLOCKS = "objective@models.diffusion.objective=block_diffusion"
EARLY = "models.diffusion.early_end=true"


@pytest.mark.parametrize(
    ("overrides", "says"),
    [
        (("task=counting", EARLY), "writes in no blocks"),
        (("task=star_graph", BLOCKS, EARLY), "are all of one length"),
        (("task=countdown3", BLOCKS, EARLY, "models.diffusion.thought=true"), "behind a thought"),
    ],
)
def test_an_end_that_comes_with_no_block_is_refused(overrides: tuple[str, ...], says: str) -> None:
    settings = composed(
        "experiment=demo", "network=tiny", "budget=tiny", "models.diffusion.quality=false", *FEW_OF, *overrides
    )
    with pytest.raises(launch.BadInput, match=rf"models\.diffusion\.early_end=true: .*{says}.*: set it to false, or"):
        assembly.models_of(settings, assembly.task_of(settings))


def test_an_early_end_is_another_training_and_none_is_the_one_of_before() -> None:
    def model(*overrides: str) -> assembly.Model:
        settings = composed("experiment=any_length", "network=tiny", *FEW_OF, *overrides)
        return assembly.models_of(settings, assembly.task_of(settings))["blocks"]

    early = model("models.blocks.early_end=true")
    assert model().key == model("models.blocks.early_end=false").key != early.key and early.early_end
    given = composed("experiment=any_length", "network=tiny", *FEW_OF)
    del given["models"]["blocks"]["early_end"]  # as settings were before
    assert assembly.models_of(given, assembly.task_of(given))["blocks"].key == model().key
    task = assembly.task_of(given)
    whole, less = (train.sheets_of(each, task, "train").editable.sum(-1) for each in (model(), early))
    assert bool((less <= whole).all()) and bool((less < whole).any())
