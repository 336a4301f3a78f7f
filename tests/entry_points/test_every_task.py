"""Every task goes the whole way: 20 updates of each model, every arm answers, a report."""

from pathlib import Path

import pytest

from dlmreason import launch
from dlmreason.analysis.records import Record, read
from dlmreason.launch_config import Tree
from tests.entry_points.tiny import ANY, ROOT, experiment

FEW = ("task.train_examples=24", "task.validation_examples=3", "task.test_examples=4")
BUDGET = ("budget.examples=4", "budget.passes=4", "models.diffusion.updates=20")
TASKS = Tree(launch.conf_folder(), "experiment").options("task")
WITHOUT_THOUGHTS = ("~models.thought", "~arms.thought")
ROWS = ROOT / "tests" / "rows.jsonl"


FAST = ("addition4", "boolean_wait", "countdown3", "jsonl", "star_graph", "sudoku4x4")
"""One of each kind; the others are slow tests. All are built and judged by the tests of conf and of tasks."""


@pytest.mark.parametrize("task", [pytest.param(task, marks=[] if task in FAST else pytest.mark.slow) for task in TASKS])
def test_the_whole_way(task: str, tmp_path: Path) -> None:
    around = task == "correcting" or task.endswith("_wait")  # another task, whose settings these are
    settings = [setting.replace("task", "task.task", 1) if around else setting for setting in FEW]
    if task in ("gsm8k", "gsm8k_equations", "jsonl"):
        settings += [f"task.train_file={ROWS}", "task.file=null"]
    goes(task, settings, tmp_path / "out")


@pytest.mark.slow
@pytest.mark.parametrize("generator", ["chain_sum", "spell_backward", "number_sorting"])
def test_three_generators_of_reasoning_gym(generator: str, tmp_path: Path) -> None:
    pytest.importorskip("reasoning_gym", reason="reasoning-gym is not installed")
    goes("reasoning_gym", [*FEW, f"task.subject.generator={generator}"], tmp_path / "out")


def goes(task: str, settings: list[str], folder: Path) -> None:
    if task == "reasoning_gym":
        pytest.importorskip("reasoning_gym", reason="reasoning-gym is not installed")
    thoughts = WITHOUT_THOUGHTS if task in ("reasoning_gym", "counting") else ()
    assert experiment(folder, f"task={task}", *settings, *BUDGET, *thoughts, of=ANY) == 0
    found = read(folder / "records.jsonl", Record).items
    arms = {record.arm.partition(".")[0] for record in found}
    assert arms >= {"confidence", "change_of_mind", "random_doubt", "restarts", "answer"}
    assert (folder / "report.html").exists()
