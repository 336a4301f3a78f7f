"""Bad input to an entry point: exit code 2, one message that says what, and nothing written or changed."""

import gzip
from pathlib import Path

import pytest

from tests.entry_points.tiny import GRAPH, MACHINE, NETWORK, TINY, TRAINER, content, copy, experiment, start

# Two solved puzzles whose solutions differ, then what may be wrong with a row.
HEAD = "puzzle,solution\n"
GOOD = "1.34341.2.4343.1,1234341221434321\n", "12.434122143432.,1234341221434321\n"


@pytest.mark.parametrize(
    ("entry", "argv", "words"),
    [
        ("experiment", (), ["experiment: choose one", "experiment=demo"]),
        ("experiment", ("experiment=demp",), ["experiment=demp", "there is no such experiment", "nearest: demo"]),
        ("experiment", ("experiment=demo", "polcy=restarts"), ["polcy=restarts", "no such setting", "nearest: policy"]),
        (
            "experiment",
            ("experiment=demo", "budget.pases=3"),
            ["budget.pases=3", "no such setting", "nearest: budget.passes"],
        ),
        ("experiment", ("experiment=demo", "policy=restart"), ["policy=restart", "nearest: restarts"]),
        ("experiment", ("experiment=demo", "budget.passes=0"), ["budget.passes=0", "whole number from 1"]),
        ("experiment", ("experiment=demo", "budget.passes=-1"), ["budget.passes=-1", "whole number from 1"]),
        ("experiment", ("experiment=demo", "budget.passes=nan"), ["budget.passes=nan", "whole number from 1"]),
        ("experiment", ("experiment=demo", "name=../x"), ["name=../x", "must be a name"]),
        ("experiment", ("experiment=demo", "output=../x"), ["output=../x", "must be a folder"]),
        ("experiment", (*TINY, "budget.rungs=[16,32]"), ["budget.rungs=[16, 32]", "budget.passes=8"]),
        (
            "experiment",
            (*TINY, "arms.answer.passes=3", "budget.rungs=[4,8]"),
            ["budget.rungs=[4, 8]", "arms.answer.passes=3"],
        ),
        ("experiment", (*TINY, "arms.answer.passes=0"), ["arms.answer.passes=0", "whole number from 1"]),
        (
            "experiment",
            (*TINY, "+arm@arms.forced=forced", "arms.forced.decoding.least=2"),
            ["arms.forced", "least=2", "`wait`"],
        ),
        (
            "experiment",
            (
                *TINY,
                "+model@models.wait=wait",
                "+arm@arms.forced=forced",
                "arms.forced.model=wait",
                "arms.forced.decoding.least=99",
            ),
            ["arms.forced", "least=99"],
        ),
        ("experiment", (*TINY, "network.width=17"), ["network: ", "width=17", "num_heads=2"]),
        ("experiment", (*TINY, "models.answer.match=oracle"), ["models.answer.match=oracle", "diffusion"]),
        ("experiment", (*TINY, "arms.answer.model=oracle"), ["arms.answer.model=oracle", "diffusion, answer, thought"]),
        ("experiment", (*TINY, "arms.answer.model=diffusion"), ["arms.answer.kind=autoregressive", "diffusion"]),
        ("experiment", (*TINY, "models.diffusion.quality=false"), ["arms.change_of_mind.policy", "quality"]),
        (
            "experiment",
            (*TINY, "objective@models.diffusion.objective=udlm"),
            ["arms.confidence.policy", "only seen text", "masked, mgdm or gidd"],
        ),
        (
            "experiment",
            (*TINY, "objective@models.diffusion.objective=mgdm"),
            ["arms.change_of_mind.policy", "with a quality head"],
        ),
        (
            "experiment",
            (*TINY, "objective@models.answer.objective=block_diffusion"),
            ["models.answer.objective", "blocks of 4 positions", "kind=autoregressive", "next_token"],
        ),
        (
            "experiment",
            (*TINY, "objective@models.answer.objective=masked"),
            ["models.answer.objective", "noised texts", "kind=autoregressive", "objective next_token"],
        ),
        (
            "experiment",
            (*TINY, "objective@models.answer.objective=udlm_judged"),
            ["models.answer.objective", "noised texts", "kind=autoregressive"],
        ),
        (
            "experiment",
            (*TINY, "objective@models.diffusion.objective=next_token"),
            ["models.diffusion.objective", "next token alone", "kind=diffusion", "objective masked"],
        ),
        (
            "experiment",
            (*TINY, "objective@models.diffusion.objective=block_diffusion", "models.diffusion.objective.block=0"),
            ["models.diffusion.objective", "objective.block=0", "1 or more"],
        ),
        (
            "experiment",
            (*TINY, "objective@models.diffusion.objective=block_diffusion"),
            ["arms.", "policy", "trained to write blocks of 4 positions", "policy=bd3 with block=4"],
        ),
        (
            "experiment",
            (*TINY, "objective@models.answer.objective=next_token_plain"),
            ["arms.answer.rules", "models.answer trains no quality head"],
        ),
        ("experiment", (*TINY, "arms.restarts.policy.count=0"), ["arms.restarts.policy", "count=0", "1 or more"]),
        ("experiment", (*TINY, "arms.change_of_mind.policy.share=1.5"), ["arms.change_of_mind.policy", "share=1.5"]),
        ("experiment", (*TINY, "trainer.ema=1"), ["trainer.ema=1", "below 1"]),
        ("experiment", (*TINY, "trainer.betas=[0.9]"), ["trainer", "betas", "two numbers"]),
        ("experiment", (*TINY, "task.nodes=3"), ["task.nodes=3", "5 or more"]),
        ("experiment", (*TINY, "family=[[restart,confidence]]"), ["family: restart", "restarts", "family=null"]),
        (
            "experiment",
            (*TINY, "family=[[restarts@9,confidence]]"),
            ["family: restarts@9", "1, 2, 4, 8", "family=null"],
        ),
        ("experiment", (*TINY, "family=[[restarts]]"), ["family=[[restarts]]", "at least 2"]),
        ("experiment", (*TINY, "tolerance=1"), ["tolerance=1", "below 1"]),
        (
            "experiment",
            (*TINY, "models.diffusion.kind=oracle"),
            ["models.diffusion.kind=oracle", "diffusion, autoregressive"],
        ),
        ("train", ("model=oracle",), ["model=oracle", "diffusion"]),
        ("train", ("model=answer", "network=tiny", *GRAPH), ["models.autoregressive.updates"]),
        ("evaluate", (), ["checkpoint: needs a value"]),
        ("evaluate", ("checkpoint=nowhere",), ["checkpoint: nowhere/", "cannot be read"]),
        ("report", ("name=never",), ["outputs/never", "there is no such folder"]),
        ("solve", ("checkpoint=nowhere", "puzzle=1"), ["checkpoint: nowhere/", "cannot be read"]),
        ("solve", (), ["puzzle: needs a value"]),
    ],
)
def test_bad_input_is_one_message_and_nothing_is_written(
    entry: str, argv: tuple[str, ...], words: list[str], elsewhere: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert start(entry, *argv) == 2
    said = capsys.readouterr().err
    assert said.startswith("error: ") and said.count("\n") == 1
    assert [word for word in words if word not in said] == []
    assert not list(elsewhere.iterdir())


def test_a_device_that_is_not_there_is_refused(elsewhere: Path, capsys: pytest.CaptureFixture[str]) -> None:
    import torch

    if torch.cuda.is_available():
        pytest.skip("there is one")
    assert start("experiment", *TINY, "device=cuda") == 2
    assert "device=cuda" in capsys.readouterr().err
    assert not list(elsewhere.iterdir())


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ("seed=1", "seed=0 there and 1 here"),
        ("network.width=32", "network.width=16 there and 32 here"),
        ("trainer.lr=0.01", "trainer.lr=0.002 there and 0.01 here"),
        ("budget.width=3", "budget.width=2 there and 3 here"),
        ("arms.change_of_mind.policy.doubt=3", "arms.change_of_mind.policy.doubt=2 there and 3 here"),
        ("arms.answer.temperature=0.5", "arms.answer.temperature=1.0 there and 0.5 here"),
        ("task.length=4", "task.length=3 there and 4 here"),
    ],
)
def test_another_setting_in_the_same_folder_is_refused_with_what_differs(
    change: str, says: str, finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = copy(finished, tmp_path / "same")
    before = content(folder)
    assert experiment(folder, change) == 2
    said = capsys.readouterr().err
    error = next(line for line in said.splitlines() if line.startswith("error: "))
    assert says in error and "name=" in error
    assert error.count(" there and ") == 1
    assert content(folder) == before


def test_another_training_that_was_interrupted_is_refused_too(
    finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "begun"
    copy(finished / "training", folder / "training")
    assert experiment(folder, "trainer.lr=0.01") == 2
    said = capsys.readouterr().err
    assert "holds a training with lr=0.002, and this one has lr=0.01" in said


BAD = {
    "too short": ("1.34341.2.4343.,1234341221434321\n", "16 cells expected, got 15"),
    "a letter": ("1x34341.2.4343.1,1234341221434321\n", "'x'"),
    "a contradiction": ("11343412214343.1,1234341221434321\n", "row 1 has two 1s"),
    "a wrong solution": ("1.34341.2.4343.1,1234341221434312\n", "solution: column 3 has two 1s"),
    "two solutions": ("................,1234341221434321\n", "solution"),
}


@pytest.mark.parametrize("ending", [".csv", ".csv.gz"])
@pytest.mark.parametrize("harm", BAD)
def test_a_bad_puzzle_is_file_line_reason(
    harm: str, ending: str, sudoku: Path, elsewhere: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    row, reason = BAD[harm]
    file = tmp_path / f"puzzles{ending}"
    text = (HEAD + GOOD[0] + row + GOOD[1]).encode()
    file.write_bytes(gzip.compress(text) if ending.endswith("gz") else text)
    assert (
        start("evaluate", f"checkpoint={sudoku / 'models' / 'diffusion'}", f"task.file={file}", "budget=tiny", *MACHINE)
        == 2
    )
    said = capsys.readouterr().err
    assert said.startswith("error: ") and said.count("\n") == 1
    assert f"{file}:3: " in said and reason in said
    assert not list(elsewhere.iterdir())


@pytest.mark.parametrize("file", ["nowhere.csv", "puzzles.txt", ""])
def test_a_file_that_is_none_is_refused(
    file: str, sudoku: Path, elsewhere: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "puzzles.txt").write_text("1")
    path = f"{tmp_path}/{file}" if file else "''"
    assert start("evaluate", f"checkpoint={sudoku / 'models' / 'diffusion'}", f"task.file={path}", *MACHINE) == 2
    assert "task.file=" in capsys.readouterr().err
    assert not list(elsewhere.iterdir())


def test_an_experiment_reads_its_file_before_it_trains(
    elsewhere: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "puzzles.csv"
    file.write_text(HEAD + BAD["a letter"][0])
    argv = ("experiment=demo", "task=sudoku4x4", f"task.file={file}", *NETWORK, *TRAINER, *MACHINE, "logger=none")
    assert start("experiment", *argv) == 2
    assert f"{file}:2: " in capsys.readouterr().err
    assert not list(elsewhere.iterdir())


def test_a_model_of_another_task_is_refused(
    finished: Path, sudoku: Path, elsewhere: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    argv = ("task=sudoku6x6", "task.clues=[20,30]", "task.unique=true", "task.test_examples=1", *MACHINE)
    assert start("evaluate", f"checkpoint={sudoku / 'models' / 'diffusion'}", *argv) == 2
    said = capsys.readouterr().err
    assert "task=sudoku6x6" in said and "another task" in said
    assert start("solve", f"checkpoint={finished / 'models' / 'answer'}", "puzzle=1") == 2
    assert "autoregressive" in capsys.readouterr().err
    assert not list(elsewhere.iterdir())


@pytest.mark.parametrize(
    ("puzzle", "reason"),
    [
        ("12", "16 cells expected, got 2"),
        ("1x00000000000000", "'x'"),
        ("1100000000000000", "row 1 has two 1s"),
        ("1234000000000005", "'5'"),
    ],
)
def test_a_puzzle_that_is_none_is_refused(
    puzzle: str, reason: str, sudoku: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert start("solve", f"checkpoint={sudoku}", f"puzzle={puzzle}", "budget.passes=4") == 2
    said = capsys.readouterr().err
    assert said.startswith("error: puzzle: ") and reason in said


def test_a_report_of_nothing_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "empty").mkdir()
    assert start("report", f"output={tmp_path / 'empty'}") == 2
    assert "no records" in capsys.readouterr().err
    (tmp_path / "empty" / "records.jsonl").write_text("00000000 {}\n")
    assert start("report", f"output={tmp_path / 'empty'}") == 2
    assert "no usable record" in capsys.readouterr().err
