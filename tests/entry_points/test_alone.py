"""Laws of `train`, `evaluate`, `report` and `solve` by themselves."""

import json
from functools import cache
from pathlib import Path

import pytest

import dlmreason
from dlmreason import assembly, launch, policy_catalogue
from dlmreason.analysis.records import Record, Trace, read
from dlmreason.diffusion.schedules import Linear
from dlmreason.launch_config import Tree
from dlmreason.policies.posterior import Posterior
from dlmreason.policies.presets import ordered
from dlmreason.policies.published import bd3
from dlmreason.solve import Solution
from tests.entry_points.tiny import GRAPH, MACHINE, NETWORK, TRAINER, content, copy, experiment, records, start, weights

PUZZLE = "1.34341.2.4343.1"
FILE = f"puzzle,solution\n{PUZZLE},1234341221434321\n12.434122143432.,1234341221434321\n"


def test_train_alone_is_the_training_of_an_experiment(finished: Path, tmp_path: Path) -> None:
    argv = (*NETWORK, *GRAPH, *TRAINER, *MACHINE, "budget=tiny", "budget.width=2", "model.updates=8")
    assert start("train", *argv, f"output={tmp_path / 'alone'}") == 0
    assert weights(tmp_path / "alone") == {"diffusion": weights(finished)["diffusion"]}


def test_train_again_trains_nothing(sudoku: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    task = ("task=sudoku4x4", "task.train_examples=40", "task.validation_examples=3", "task.test_examples=5")
    argv = (*NETWORK, *TRAINER, *MACHINE, *task, "budget=tiny", f"output={sudoku}")
    before = content(sudoku)
    assert start("train", *argv, "model.updates=4") == 0
    assert "trained before" in capsys.readouterr().err
    assert content(sudoku) == before
    assert start("train", *argv, "model.updates=5") == 2
    assert "model.updates=4 there and 5 here" in capsys.readouterr().err
    assert content(sudoku) == before


def test_an_arm_is_named_as_one_likes(finished: Path, tmp_path: Path) -> None:
    argv = ("budget=tiny", "budget.examples=2", *MACHINE, f"output={tmp_path / 'it'}", "as_arm=mine")
    assert start("evaluate", f"checkpoint={finished / 'models' / 'diffusion'}", *argv) == 0
    found = read(tmp_path / "it" / "records.jsonl", Record).items
    assert {record.arm.partition(".")[0] for record in found} == {"mine"}


@pytest.mark.parametrize("model", ["diffusion", "answer"])
def test_evaluate_alone_answers_as_in_the_experiment(model: str, finished: Path, tmp_path: Path) -> None:
    argv = ("budget=tiny", "budget.width=2", "budget.examples=5", *MACHINE, f"output={tmp_path / 'alone'}")
    policy = ("policy.doubt=2", "policy.patience=2")
    assert start("evaluate", f"checkpoint={finished / 'models' / model}", *argv, *policy) == 0
    arm = {"diffusion": "change_of_mind", "answer": "answer"}[model]

    def answers(folder: Path) -> dict[object, tuple[object, ...]]:
        found = read(folder / "records.jsonl", Record).items
        return {
            record.point: (record.answer, record.nfe, record.score)
            for record in found
            if record.arm.partition(".")[0] == arm
        }

    if model == "diffusion":
        assert answers(tmp_path / "alone") == answers(finished)
    else:  # with no diffusion model near, the unit of the ladder is a pass of its own network, which is the same size
        assert answers(tmp_path / "alone").keys() == answers(finished).keys()
    assert (tmp_path / "alone" / "report.html").exists()


@cache
def needs() -> dict[str, list[str]]:
    return {row.policy: row.needs.split(", ") for row in policy_catalogue.rows()}


def objective_for(policy: str) -> str:
    """One whose network serves a policy."""
    needs_ = needs()[policy]
    if "carry" in needs_:
        return "self_conditioned"
    return "masked" if "noise" not in needs_ else "gidd" if "masks" in needs_ else "udlm"


POLICIES = Tree(launch.conf_folder(), "experiment").options("policy")
TAUGHT = {"reflecting": "reflective"}  # policies that want an objective of their own


FAST = ("bd3", "change_of_mind", "confidence", "gidd", "remdm_cap", "restarts", "window")
"""One of each kind; the others are slow tests. What holds of every policy is tested beside the policies."""


@pytest.mark.parametrize(
    "policy",
    [pytest.param(each, marks=[] if each in FAST else pytest.mark.slow) for each in POLICIES if each not in TAUGHT],
)
def test_every_policy_answers_over_a_trained_network(
    policy: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    folder = request.getfixturevalue({"masked": "sudoku"}.get(objective := objective_for(policy), objective))
    argv = (f"checkpoint={folder / 'models' / 'diffusion'}", f"policy={policy}", f"output={tmp_path / 'out'}")
    assert start("evaluate", *argv, *MACHINE, "budget=tiny", "budget.examples=2", "budget.passes=20") == 0
    found = read(tmp_path / "out" / "records.jsonl", Record).items
    last = [record for record in found if record.rung == 20 and record.arm == policy]
    assert len(last) == 2 and all(0 < record.nfe <= 20 and "<mask>" not in record.answer for record in last)
    wrote = {bool(record.events["written"] + record.events["doubted"]) for record in last}
    assert wrote == {policy != "carry_only"}, "which thinks, and never writes"


def test_a_checkpoint_writes_under_another_decoding(
    finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    few = ("budget=tiny", "budget.examples=3", "budget.passes=8", *MACHINE)
    answers = {}
    for decoding in ("beam", "power", "chains"):
        argv = (f"checkpoint={finished / 'models' / 'answer'}", f"decoding={decoding}", "rules=[first,last]")
        assert start("evaluate", *argv, *few, f"output={tmp_path / decoding}") == 0
        found = read(tmp_path / decoding / "records.jsonl", Record).items
        assert {record.arm for record in found} == {"answer.first", "answer.last"}
        answers[decoding] = [(*record.point, record.nfe, record.flops) for record in found]
    assert answers["beam"] != answers["chains"] != answers["power"]
    argv = (f"checkpoint={finished / 'models' / 'diffusion'}", "decoding=beam", *few, f"output={tmp_path / 'refused'}")
    assert start("evaluate", *argv) == 2
    assert "a diffusion model, which a policy lets write" in capsys.readouterr().err


@pytest.mark.parametrize("policy", TAUGHT)
def test_a_policy_answers_over_a_network_that_was_taught_for_it_and_no_other(
    policy: str, sudoku: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    few = ("budget=tiny", "budget.examples=2", "budget.passes=20")
    argv = (*NETWORK, *TRAINER, *MACHINE, "task=sudoku4x4", "task.train_examples=40", "task.test_examples=2")
    taught = (f"objective@model.objective={TAUGHT[policy]}", "model.updates=4", f"output={tmp_path / 'taught'}")
    assert start("train", *argv, "task.validation_examples=2", *taught, "budget=tiny") == 0
    for each in (policy, "confidence"):
        argv = (f"checkpoint={tmp_path / 'taught' / 'models' / 'diffusion'}", f"policy={each}", *MACHINE, *few)
        assert start("evaluate", *argv, f"output={tmp_path / each}") == 0
        found = read(tmp_path / each / "records.jsonl", Record).items
        assert len(found) > 0 and all("<mask>" not in record.answer for record in found)
    argv = (f"checkpoint={sudoku / 'models' / 'diffusion'}", f"policy={policy}", *MACHINE, *few)
    assert start("evaluate", *argv, f"output={tmp_path / 'refused'}") == 2
    assert f"train it with objective {TAUGHT[policy]}" in capsys.readouterr().err
    assert not (tmp_path / "refused").exists()


OBJECTIVES = """nelbo mgdm llada gidd gidd_nelbo udlm judged prism proseco reflective block_diffusion self_conditioned
thought_by_thought scheduled_sampling annealed_rollouts fixed_point few_passes"""


@pytest.mark.parametrize(
    ("network", "policy", "says"),
    [
        ("sudoku", "udlm", "random tokens in them: train it with"),
        ("sudoku", "gidd", "random tokens in them: train it with"),
        ("udlm", "gidd", "canvases with masks"),
        ("udlm", "confidence", "canvases with masks"),
        ("gidd", "gidd policy.logits=posterior", "give the policy logits=leave_one_out"),
    ],
)
def test_a_policy_is_refused_over_a_network_of_another_training(
    network: str,
    policy: str,
    says: str,
    request: pytest.FixtureRequest,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    checkpoint = f"checkpoint={request.getfixturevalue(network) / 'models' / 'diffusion'}"
    argv = (*f"policy={policy}".split(), f"output={tmp_path / 'out'}")
    assert start("evaluate", checkpoint, *argv, *MACHINE, "budget=tiny") == 2
    assert says in capsys.readouterr().err and not (tmp_path / "out").exists()


def test_a_checkpoint_from_before_random_tokens_were_declared_has_seen_none(sudoku: Path) -> None:
    folder = sudoku / "models" / "diffusion"
    taught = json.loads((folder / "description.json").read_text())["extra"]["taught"]
    assert taught["noise"] is None
    assert assembly.Taught(quality=True, masks=True) == assembly.loaded(folder)[0].taught


@pytest.mark.parametrize("objective", OBJECTIVES.split())
def test_every_objective_trains(objective: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    argv = (*NETWORK, *GRAPH, *TRAINER, *MACHINE, "budget=tiny", f"objective@model.objective={objective}")
    assert start("train", *argv, "model.updates=4", f"output={tmp_path / 'out'}") == 0
    measured = "at full training" in capsys.readouterr().err
    assert measured == (objective != "udlm"), "no policy writes for a network that knows no masks"
    if objective == "udlm":
        checkpoint = f"checkpoint={tmp_path / 'out' / 'models' / 'diffusion'}"
        assert start("evaluate", checkpoint, *MACHINE, "budget=tiny", f"output={tmp_path / 'answers'}") == 2
        assert "only seen text" in capsys.readouterr().err and not (tmp_path / "answers").exists()


def test_a_network_trained_in_blocks_answers_block_by_block(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    argv = (*NETWORK, *GRAPH, *TRAINER, *MACHINE, "budget=tiny", "objective@model.objective=block_diffusion")
    assert start("train", *argv, "model.objective.block=3", "model.updates=4", f"output={tmp_path / 'out'}") == 0
    model = tmp_path / "out" / "models" / "diffusion"
    given = (f"checkpoint={model}", *MACHINE, "budget=tiny", "budget.examples=2", "budget.passes=8")
    capsys.readouterr()
    for policy in (("policy=llada", "policy.block=3"), ("policy=bd3",), ("policy=ancestral",)):
        assert start("evaluate", *given, *policy, f"output={tmp_path / 'refused'}") == 2
        said = capsys.readouterr().err
        assert "trained to write blocks of 3 positions" in said and "policy=bd3 with block=3" in said
    assert not (tmp_path / "refused").exists()
    assert start("evaluate", *given, "policy=bd3", "policy.block=3", f"output={tmp_path / 'answers'}") == 0
    found = [each for each in read(tmp_path / "answers" / "records.jsonl", Record).items if each.rung == 8]
    assert len(found) == 2 and all(each.events["written"] == each.nfe > 1 for each in found)
    assert all("<mask>" not in each.answer for each in found)
    with pytest.raises(ValueError, match="trained to write blocks of 3"):
        dlmreason.load(model).solve("3>5 3>2 5>7 2>9 3 7", policy=Posterior(Linear()))
    assert dlmreason.load(model).solve("3>5 3>2 5>7 2>9 3 7", passes=8, policy=bd3(3)).passes > 1


def test_a_network_that_carries_is_trained_kept_and_asked(tmp_path: Path) -> None:
    argv = (*NETWORK, *GRAPH, *TRAINER, *MACHINE, "budget=tiny", "objective@model.objective=self_conditioned")
    assert start("train", *argv, "model.updates=4", f"output={tmp_path / 'out'}") == 0
    model = tmp_path / "out" / "models" / "diffusion"
    about = json.loads((model / "description.json").read_text())
    assert about["shape"]["carry"] and about["extra"]["taught"]["carry"]
    argv = (f"checkpoint={model}", *MACHINE, "budget=tiny", "budget.examples=2", "policy=change_of_mind")
    assert start("evaluate", *argv, f"output={tmp_path / 'asked'}") == 0
    assert read(tmp_path / "asked" / "records.jsonl", Record).items
    assert dlmreason.load(model).solve("3>5 3>2 5>7 2>9 3 7", passes=4).passes == 4


@pytest.mark.parametrize("objective", ["masked", "thought_by_thought"])
def test_a_diffusion_model_thinks(objective: str, tmp_path: Path) -> None:
    """Thought and answer on one canvas, which has room for the longest thought: here they differ in length."""
    task = ("task=countdown3", *(f"task.{split}_examples=8" for split in ("train", "validation", "test")))
    argv = (*NETWORK, *TRAINER, *MACHINE, *task, "budget=tiny", f"objective@model.objective={objective}")
    given = (*argv, "model.thought=true", "model.updates=4", f"output={tmp_path / 'model'}")
    assert start("train", *given) == 0
    model = tmp_path / "model" / "models" / "diffusion"
    argv = (f"checkpoint={model}", "policy=confidence", *MACHINE, "budget=tiny", "budget.examples=3")
    assert start("evaluate", *argv, "budget.passes=80", f"output={tmp_path / 'out'}") == 0
    last = [each for each in read(tmp_path / "out" / "records.jsonl", Record).items if each.rung == 80]
    # 30 positions for the thought, the marker, 22 of the answer and its end: one a pass, whatever the known thought.
    assert len(last) == 3 and all(each.nfe == each.events["written"] == 30 + 1 + 22 + 1 for each in last)
    trace = read(tmp_path / "out" / "traces.jsonl", Trace).items[0]
    assert sum(not given for given in trace.given) == 54 and trace.frames
    solution = dlmreason.load(model).solve("86,28,31,89", passes=8, policy=ordered())
    assert solution.passes == 8 and solution.frames and not solution.correct


def test_evaluate_reads_a_file_and_counts_what_it_leaves_out(
    sudoku: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "puzzles.csv"
    file.write_text(FILE + "1x34341.2.4343.1,1234341221434321\n")
    model, folder = sudoku / "models" / "diffusion", tmp_path / "evaluated"
    argv = (
        f"checkpoint={model}",
        f"task.file={file}",
        "task.on_error=skip",
        "budget=tiny",
        *MACHINE,
        f"output={folder}",
    )
    assert start("evaluate", *argv, "policy=confidence") == 0
    said = capsys.readouterr().err
    assert f"left out: {file}:4: 'x' at row 1 column 2" in said
    assert "left out in all: 1" in said
    found = read(folder / "records.jsonl", Record).items
    assert len({record.example for record in found}) == 2
    assert {record.arm for record in found} == {"confidence"}
    before = records(folder)
    assert start("evaluate", *argv, "policy=restarts") == 0  # an arm beside it
    assert set(before) < set(records(folder))
    assert {record.arm for record in read(folder / "records.jsonl", Record).items} == {
        "confidence",
        "restarts",
        "restarts.last",
    }


def test_evaluate_takes_another_seed_into_the_same_folder(sudoku: Path, tmp_path: Path) -> None:
    argv = (f"checkpoint={sudoku / 'models' / 'diffusion'}", "budget=tiny", *MACHINE, f"output={tmp_path / 'seeds'}")
    for seed in (0, 1):
        assert start("evaluate", *argv, f"seed={seed}") == 0
    found = read(tmp_path / "seeds" / "records.jsonl", Record).items
    points = {seed: {record.point[:3] for record in found if record.seed == seed} for seed in (0, 1)}
    assert points[0] == points[1]
    assert json.loads((tmp_path / "seeds" / "summary.json").read_text())["seeds"] == [0, 1]


@pytest.mark.parametrize("task", ["star_graph", "sudoku4x4"])
def test_evaluate_takes_another_task(task: str, finished: Path, sudoku: Path, tmp_path: Path) -> None:
    model = (finished if task == "star_graph" else sudoku) / "models" / "diffusion"
    changes = ("task.length=3",) if task == "star_graph" else ("task.clues=[12,14]",)
    argv = (f"task={task}", *changes, "budget=tiny", "budget.examples=2", *MACHINE)
    assert start("evaluate", f"checkpoint={model}", *argv, f"output={tmp_path / 'other'}") == 0
    assert len({record.example for record in read(tmp_path / "other" / "records.jsonl", Record).items}) == 2


def test_report_alone_makes_the_same_again(finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = copy(finished, tmp_path / "copied")
    made = ("summary.json", "table.md", "report.html", "figure.svg")
    before = {name: (folder / name).read_bytes() for name in made}
    for name in made:
        (folder / name).unlink()
    assert start("report", f"output={folder}") == 0
    assert {name: (folder / name).read_bytes() for name in made} == before
    assert "change_of_mind" in capsys.readouterr().out


@pytest.mark.parametrize("place", [".", "models/diffusion"])
def test_load_solves_a_puzzle(place: str, sudoku: Path) -> None:
    solver = dlmreason.load(sudoku / place)
    solution = solver.solve(PUZZLE, passes=8)
    assert isinstance(solution, Solution)
    assert solution.passes == 8 and solution.frames
    said = zip(
        solution.answer.split(" "), PUZZLE, strict=False
    )  # so little training may write the end of text into a cell
    assert all(digit in (".", cell) for cell, digit in said)
    assert solution.correct == (solution.reason == "")
    again = solver.solve(PUZZLE, passes=8)
    assert (again.answer, again.score, again.frames) == (solution.answer, solution.score, solution.frames)
    assert ("right" if solution.correct else "wrong: ") in str(solution)
    assert str(solution).splitlines()[2] == ""  # between the boxes
    with pytest.raises(ValueError, match="passes=0"):
        solver.solve(PUZZLE, passes=0)
    with pytest.raises(ValueError, match="16 cells expected"):
        solver.solve("12")


@pytest.mark.parametrize("puzzle", [PUZZLE, PUZZLE.replace(".", "0"), "0034341020430300", '"1034 3410 2043 4321"'])
def test_solve_shows_the_passes(puzzle: str, sudoku: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert start("solve", f"checkpoint={sudoku}", f"puzzle={puzzle}", "budget.passes=6") == 0
    shown = capsys.readouterr().out.splitlines()
    passes = [line for line in shown if line.startswith("pass ")]
    assert passes and int(passes[0].split()[1]) == 1
    assert shown[-1].endswith("after 6 passes")


def test_solve_takes_any_task_and_policy(finished: Path, capsys: pytest.CaptureFixture[str]) -> None:
    argv = (f"checkpoint={finished}", "budget.passes=4", "policy=confidence")
    assert start("solve", *argv, "puzzle='3>5 3>2 5>7 2>9 3 7'") == 0
    assert "after 3 passes" in capsys.readouterr().out  # a blank each, and then there is nothing left to write


@pytest.mark.slow
def test_the_mirror_writes_offline_and_nothing_of_it_is_a_result(finished: Path, tmp_path: Path) -> None:
    folder = tmp_path / "mirrored"
    assert experiment(folder, "logger=wandb", "logger.mode=offline") == 0
    runs = list((folder / "wandb").glob("offline-run-*"))
    assert len(runs) == 1 and list(runs[0].glob("*.wandb"))
    assert records(folder) == records(finished)
    assert weights(folder) == weights(finished)
