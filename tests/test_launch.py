"""Laws of how an entry point starts and fails: all that is wrong is said at once and before any work, and the exit code
tells what happened."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from dlmreason import launch
from dlmreason.launch_rules import Choice, Folder, Integer, Name, Several

Launch = Callable[..., int]

RULES = {
    "name": Name(),
    "output": Folder(),
    "seed": Integer(0, 2**31 - 1),
    "budget.passes": Integer(1, 2**40),
    "budget.rungs": Several(Integer(1), increasing=True),
    "budget.width": Integer(1),
    "task.clues": Integer(0),
    "task.on_error": Choice("refuse", "skip"),
}
"""For the tree of conftest.py."""


@pytest.fixture
def seen() -> list[launch.Settings]:
    """The settings of each job that was started."""
    return []


@pytest.fixture
def go(conf: Path, seen: list[launch.Settings], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Launch:
    """Starts a run in an empty folder that notes its settings."""
    work = tmp_path / "work"
    work.mkdir()
    monkeypatch.chdir(work)

    def main(settings: launch.Settings) -> int:
        seen.append(settings)
        return 0

    return lambda *argv, **more: launch.run(more.pop("main", main), "go", rules=RULES, argv=argv, conf=conf, **more)


def test_settings_arrive_as_plain_containers(go: Launch, seen: list[launch.Settings]) -> None:
    assert go("seed=3", "task.clues=5", "budget.rungs=[2,8]") == 0
    assert seen == [
        {
            "name": "demo",
            "output": "outputs/demo",
            "trusted": [],
            "seed": 3,
            "eta": 0.5,
            "title": "a text",
            "budget": {"passes": 1024, "rungs": [2, 8], "width": 16},
            "task": {"size": 4, "clues": 5, "on_error": "refuse"},
            "policy": {"count": 8},
        }
    ]
    assert {type(value) for value in (seen[0], seen[0]["task"], seen[0]["budget"]["rungs"])} == {dict, list}


def test_an_experiment_is_applied_and_a_person_overrides_it(go: Launch, seen: list[launch.Settings]) -> None:
    assert go("experiment=quick", "policy=change_of_mind") == 0
    assert (seen[0]["budget"]["passes"], seen[0]["policy"]) == (16, {"count": 8})


def test_options_and_overrides_mix(go: Launch, seen: list[launch.Settings]) -> None:
    assert go("experiment=quick", "-m", "seed=1,2", "name='s-${seed}'") == 0
    assert [(job["seed"], job["output"]) for job in seen] == [(1, "outputs/s-1"), (2, "outputs/s-2")]


def test_a_folder_of_ones_own_joins_the_tree(go: Launch, seen: list[launch.Settings], tmp_path: Path) -> None:
    (tmp_path / "mine" / "policy").mkdir(parents=True)
    (tmp_path / "mine" / "policy" / "own.yaml").write_text("count: 1")
    assert go("--config-dir", str(tmp_path / "mine"), "policy=own") == 0
    assert seen[0]["policy"] == {"count": 1}


def test_a_config_file_that_is_no_yaml_is_bad_input(go: Launch, tmp_path: Path) -> None:
    (tmp_path / "mine" / "policy").mkdir(parents=True)
    (tmp_path / "mine" / "policy" / "own.yaml").write_text("{count: [1")
    assert go("--config-dir", str(tmp_path / "mine"), "policy=own") == 2


@pytest.mark.parametrize(
    ("argv", "shown"),
    [
        (("--help",), "task: star_graph, sudoku4x4"),
        (("--cfg", "job"), "passes: 1024"),
        (("--cfg", "job", "experiment=quick"), "passes: 16"),
    ],
)
def test_looking_runs_nothing(
    go: Launch, seen: list[launch.Settings], argv: tuple[str, ...], shown: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert go(*argv) == 0
    assert shown in capsys.readouterr().out
    assert seen == []
    assert list(Path.cwd().iterdir()) == []


def test_hydra_leaves_nothing_behind(go: Launch) -> None:
    assert go() == 0
    assert go("-m", "seed=1,2", "name='s-${seed}'") == 0
    assert list(Path.cwd().iterdir()) == []


WRONG = [
    ("experiment=quik", ["experiment=quik", "nearest: quick"]),
    ("+experiment=quick", ["+experiment=quick", "without the +"]),
    ("task=sudoku5", ["task=sudoku5", "star_graph, sudoku4x4", "nearest: sudoku4x4"]),
    ("task=null", ["task=null", "star_graph, sudoku4x4"]),
    ("polcy=confidence", ["polcy=confidence", "nearest: policy"]),
    ("passes=5", ["passes=5", "nearest: budget.passes"]),
    ("task.clue=2", ["task.clue=2", "nearest: task.clues"]),
    ("+foo=1", ["foo=1", "no such setting", "budget"]),
    ("~foo", ["foo", "no such setting"]),
    ("+seed=1", ["+seed=1", "without the +"]),
    ("budget=5", ["budget=5", "budget.passes"]),
    ("budget.passes=0", ["budget.passes=0", "whole number from 1"]),
    ("budget.passes=-1", ["budget.passes=-1", "whole number from 1"]),
    ("budget.passes=nan", ["budget.passes=nan", "whole number from 1"]),
    ("budget.passes=inf", ["budget.passes=inf", "whole number from 1"]),
    ("budget.passes=true", ["budget.passes=true", "whole number from 1"]),
    ("budget.passes=1e3", ["budget.passes=1000.0", "whole number from 1"]),
    ("budget.passes=null", ["budget.passes=null", "whole number from 1"]),
    ("budget.passes=many", ["budget.passes=many", "whole number from 1"]),
    ("budget.rungs=[4,2]", ["budget.rungs=[4,2]", "above the one before"]),
    ("budget.rungs=[]", ["budget.rungs=[]", "at least 1"]),
    ("budget.rungs=4", ["budget.rungs=4", "[a,b,c]"]),
    ("seed=2147483648", ["seed=2147483648", "from 0 to 2147483647"]),
    ("seed=-1", ["seed=-1", "from 0 to 2147483647"]),
    ("seed=???", ["seed", "needs a value"]),
    ("name=../x", ["name=../x", "must be a name"]),
    ("name=a/b", ["name=a/b", "must be a name"]),
    ("name=12", ["name=12", "letter in front"]),
    ("output=../x", ["output=../x", "without '..'"]),
    ("name=${nope}", ["name", "nope"]),
    ("task.on_error=skp", ["task.on_error=skp", "refuse, skip", "nearest: skip"]),
    ("eta=abc", ["eta=abc", "must be a number", "0.5"]),
    ("eta=nan", ["eta=nan", "finite"]),
    ("title=3", ["title=3", "must be a text"]),
    ("x=[", ["x=["]),
    ("seed=1,2", ["seed=1,2", "-m"]),
]


@pytest.mark.parametrize(("override", "words"), WRONG, ids=[override for override, _ in WRONG])
def test_bad_input_is_one_line_with_key_value_and_what_is_allowed(
    go: Launch, seen: list[launch.Settings], override: str, words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert go(override) == 2
    message = capsys.readouterr().err
    assert [word for word in words if word not in message] == []
    assert message.startswith("error: ")
    assert message.count("\n") == 1
    assert seen == []
    assert list(Path.cwd().iterdir()) == []


def test_all_that_is_wrong_is_said_at_once(go: Launch, capsys: pytest.CaptureFixture[str]) -> None:
    assert go("experiment=quik", "budget.passes=0", "seed=-1", "polcy=x", "eta=inf", "name=../x") == 2
    message = capsys.readouterr().err
    for key in ("experiment=quik", "budget.passes=0", "seed=-1", "polcy=x", "eta=inf", "name=../x"):
        assert message.count(key) == 1
    assert message.startswith("error: 6 settings")


def test_a_wrong_file_is_not_held_against_the_keys_it_would_bring(
    go: Launch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert go("task=star_grph", "task.arms=3") == 2
    assert "task.arms" not in capsys.readouterr().err


def test_checks_between_settings_come_after_the_rules(go: Launch, capsys: pytest.CaptureFixture[str]) -> None:
    def check(settings: launch.Settings) -> Iterator[str]:
        if settings["budget"]["width"] > settings["budget"]["passes"]:
            yield "budget.width is above budget.passes"

    assert go("budget.passes=2", checks=[check]) == 2
    assert "budget.width is above" in capsys.readouterr().err
    assert go("budget.passes=0", checks=[check]) == 2
    assert "budget.width is above" not in capsys.readouterr().err
    assert go(checks=[check]) == 0


def test_every_job_of_a_sweep_is_checked_before_the_first(
    go: Launch, seen: list[launch.Settings], capsys: pytest.CaptureFixture[str]
) -> None:
    assert go("-m", "seed=1,-2", "policy=confidence,confdence", "name='s-${seed}-${policy.count}'") == 2
    message = capsys.readouterr().err
    assert "seed=-2" in message
    assert "nearest: confidence" in message
    assert seen == []


def test_jobs_of_a_sweep_do_not_share_a_folder(go: Launch, capsys: pytest.CaptureFixture[str]) -> None:
    assert go("-m", "seed=1,2") == 2
    assert "jobs 1 and 2" in capsys.readouterr().err


def test_unknown_options_are_bad_input(go: Launch) -> None:
    assert go("--nope") == 2


def test_config_files_that_are_not_there_are_named(conf: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert launch.run(lambda settings: 0, "go", argv=[], conf=conf / "gone") == 2
    assert launch.run(lambda settings: 0, "come", argv=[], conf=conf) == 2
    message = capsys.readouterr().err
    assert "gone" in message
    assert "come.yaml" in message


def test_a_package_without_its_checkout_says_so(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(launch, "__file__", str(tmp_path / "dlmreason" / "launch.py"))
    assert launch.run(lambda settings: 0, "experiment", argv=[]) == 2
    assert "part of the repository" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("error", "code", "shown", "trace"),
    [
        (launch.BadInput("puzzles.csv:3: a letter"), 2, "error: puzzles.csv:3: a letter", False),
        (OSError(28, "No space left on device"), 1, "No space left", False),
        (RuntimeError("our own mistake"), 1, "our own mistake", True),
        (SystemExit(5), 5, "", False),
        (KeyboardInterrupt(), 130, "run the same command again", False),
    ],
)
def test_a_failure_has_its_exit_code_and_a_traceback_only_if_ours(
    go: Launch, error: BaseException, code: int, shown: str, trace: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    def main(settings: launch.Settings) -> int:
        raise error

    assert go(main=main) == code
    message = capsys.readouterr().err
    assert shown in message
    assert ("Traceback" in message) == trace


def test_a_failed_job_fails_the_sweep_and_the_others_still_run(go: Launch) -> None:
    seeds: list[int] = []

    def main(settings: launch.Settings) -> int:
        seeds.append(settings["seed"])
        if settings["seed"] == 1:
            raise launch.BadInput("no")
        return 0

    assert go("-m", "seed=0,1,2", "name='s-${seed}'", main=main) == 2
    assert seeds == [0, 1, 2]


def test_debug_shows_where(go: Launch, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("DLMREASON_DEBUG", "1")
    assert go("seed=-1") == 2
    assert "Traceback" in capsys.readouterr().err
