"""Laws of tuning: every arm has the same trials, on validation puzzles alone, each made once, and the best is used."""

from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import yaml

from dlmreason.analysis.records import Record, Trial, read
from dlmreason.networks.transformer import Transformer
from dlmreason.tasks.star_graph import StarGraph
from tests.entry_points.tiny import TINY, at_call, content, copy, records, start

TUNABLE = (*TINY[:2], "experiment=tunable")
ARMS = ("confidence", "change_of_mind", "random_doubt", "restarts", "answer", "thought")


def tune(folder: Path, *argv: str) -> int:
    return start("tune", *TUNABLE, f"output={folder}", *argv)


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory, finished: Path) -> Path:
    """The output folder of a tuning, by a task whose test split raises."""
    folder = tmp_path_factory.mktemp("tuned") / "out"
    for part in ("models", "training"):
        copy(finished / part, folder / part)
    with pytest.MonkeyPatch.context() as patch:
        refuse_the_test_split(patch)
        assert tune(folder) == 0
    return folder


def test_an_arm_that_stays_as_it_is_has_no_trial_and_is_named_all_the_same(done: Path, tmp_path: Path) -> None:
    for part in ("models", "training"):
        copy(done / part, tmp_path / "out" / part)
    assert tune(tmp_path / "out", f"tuning.space.{ARMS[0]}=null") == 0
    assert {trial.arm for trial in read(tmp_path / "out" / "tuning.jsonl", Trial).items} == set(ARMS[1:])
    theirs, ours = (yaml.safe_load((folder / "tuning.yaml").read_text())["arms"] for folder in (done, tmp_path / "out"))
    assert ours == theirs | {ARMS[0]: {}}


def refuse_the_test_split(patch: pytest.MonkeyPatch) -> None:
    real = StarGraph.examples

    def examples(self: Any, split: str) -> Any:
        assert split != "test", "a test puzzle was read"
        return real(self, split)

    patch.setattr(StarGraph, "examples", examples)


def test_an_experiment_would_be_caught_reading_the_test_split(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    refuse_the_test_split(monkeypatch)
    assert start("experiment", *TUNABLE, f"output={tmp_path / 'out'}") == 1


def test_every_arm_has_the_same_number_of_different_trials_on_the_same_puzzles(done: Path) -> None:
    found = read(done / "tuning.jsonl", Trial)
    assert not found.problems
    assert Counter(trial.arm for trial in found.items) == dict.fromkeys(ARMS, 8)
    assert {(trial.split, trial.examples, trial.rung, trial.task) for trial in found.items} == {
        ("validation", 3, 4, "star_graph_2x3")
    }
    for arm in ARMS:
        mine = [trial for trial in found.items if trial.arm == arm]
        assert [trial.trial for trial in mine] == list(range(8))
        assert len({repr(trial.settings) for trial in mine}) == len({trial.run_key for trial in mine}) == 8
    for trial in found.items:
        assert trial.accuracy == trial.correct / 3 and 0 <= trial.low <= trial.accuracy <= trial.high <= 1
    assert all(trial.flops > 0 for trial in found.items if trial.arm != "thought")


def test_a_trial_is_what_an_evaluation_of_those_settings_on_those_puzzles_is(done: Path, tmp_path: Path) -> None:
    trial = next(each for each in read(done / "tuning.jsonl", Trial).items if each.arm == "change_of_mind")
    argv = [f"{key}={value}" for key, value in trial.settings.items()]
    where = (f"checkpoint={done / 'models' / 'diffusion'}", f"output={tmp_path / 'out'}", "threads=1", "device=cpu")
    budget = ("budget=tiny", "budget.width=2", "budget.examples=3", "budget.passes=4", "budget.split=validation")
    assert start("evaluate", *where, *budget, "policy.patience=2", *argv) == 0
    last = [each for each in read(tmp_path / "out" / "records.jsonl", Record).items if each.rung == 4]
    last = [each for each in last if each.arm == "change_of_mind"]
    assert sum(each.correct for each in last) == trial.correct
    assert sum(each.flops for each in last) / 3 == trial.flops


def test_the_best_of_each_arm_is_written_and_used(
    done: Path, finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    chosen = yaml.safe_load((done / "tuning.yaml").read_text())
    assert chosen["arms"].keys() == set(ARMS) and chosen["trials"] == 8 and chosen["split"] == "validation"
    for arm in ARMS:
        mine = [each for each in read(done / "tuning.jsonl", Trial).items if each.arm == arm]
        most = max(each.correct for each in mine)
        assert chosen["accuracy"][arm] == most / 3
    capsys.readouterr()
    assert tune(done) == 0
    printed = capsys.readouterr().out.split()
    assert len(printed) == 2 + 3 + 3 + 2 + 2 + 2  # keys of each arm's space
    folders = tmp_path / "file", tmp_path / "overrides"
    for folder, argv in zip(folders, ((f"tuned={done / 'tuning.yaml'}",), printed), strict=True):
        for part in ("models", "training"):
            copy(finished / part, folder / part)
        assert start("experiment", *TUNABLE, f"output={folder}", *argv) == 0
    assert records(folders[0]) == records(folders[1])
    config = yaml.safe_load((folders[0] / "config.yaml").read_text())
    assert config["arms"]["restarts"]["policy"].items() >= chosen["arms"]["restarts"]["policy"].items()


def test_run_again_it_does_nothing_twice(done: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = content(done)
    monkeypatch.setattr(Transformer, "forward", None)
    assert tune(done) == 0
    assert content(done) == before


def test_interrupted_it_goes_on(done: Path, tmp_path: Path) -> None:
    folder = copy(done, tmp_path / "stopped")
    for name in ("tuning.jsonl", "tuning.yaml"):
        (folder / name).unlink()

    def stop() -> None:
        raise RuntimeError("pulled the plug")

    with pytest.MonkeyPatch.context() as patch:
        at_call("dlmreason.tune:tried", 6, stop, patch.setattr)
        assert tune(folder) == 1
    assert len(read(folder / "tuning.jsonl", Trial).items) == 5 and not (folder / "tuning.yaml").exists()
    assert tune(folder) == 0
    assert content(folder) == content(done)


def test_more_trials_begin_with_those_that_were_made(done: Path, tmp_path: Path) -> None:
    folder = copy(done, tmp_path / "more")
    without = [f"~arms.{arm}" for arm in ARMS if arm not in ("restarts", "answer")]
    space = [f"~tuning.space.{arm}" for arm in ARMS if arm not in ("restarts", "answer")]
    assert tune(folder, "tuning.trials=9", *without, *space) == 0
    lines = (folder / "tuning.jsonl").read_bytes()
    assert lines.startswith((done / "tuning.jsonl").read_bytes()) and lines.count(b"\n") == 6 * 8 + 2


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (("tuning.trials=7",), ["tuning.trials=7", "8 to"]),
        (("tuning.trials=10",), ["tuning.trials=10", "confidence has 4 x 2 = 8 settings", "thought has 3 x 3 = 9"]),
        (("budget.split=test",), ["budget.split=test", "validation split and no other"]),
        (("policy=restarts",), ["policy: tuning tries settings of the experiment's own arms"]),
        (("budget.passes=1",), ["budget.passes=1", "buy arm thought no chain", "~arms.thought"]),
        (("tuned=somewhere.yaml",), ["tuned: tuning tries"]),
        (("~tuning.space.thought",), ["tuning.space.thought", "the same number of trials"]),
        (("tuning.space.restarts.policy.count=[1,2,0]",), ["arms.restarts.policy", "count=0", "1 or more"]),
    ],
)
def test_bad_input_is_refused_before_anything_is_written(
    argv: tuple[str, ...], words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert tune(tmp_path / "out", *argv) == 2
    said = capsys.readouterr().err
    assert all(word in said for word in words), said
    assert not (tmp_path / "out").exists()


def test_trials_of_another_tuning_are_refused(done: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = copy(done, tmp_path / "other")
    before = content(folder)
    assert tune(folder, "budget.passes=8") == 2
    assert "trial 0 of arm confidence was of other settings, weights, puzzles or budget" in capsys.readouterr().err
    assert content(folder) == before
