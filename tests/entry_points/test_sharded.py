"""Laws of a run by several processes: nobody can tell from its results how many there were, nor which of them died."""

import re
import signal
import threading
from collections.abc import Mapping
from contextlib import nullcontext
from pathlib import Path

import pytest

from dlmreason import experiment as entry
from dlmreason import launch, sharding
from dlmreason.analysis.records import Record, Timing, read
from dlmreason.sharding import Shards, shards_of
from tests.entry_points.tiny import MACHINE, TINY, content, copy, experiment, process, records, start, weights

ARMS = ("confidence", "change_of_mind", "random_doubt", "restarts", "answer", "thought")
TORCHRUN = {"WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2", "GROUP_RANK": "0"}


def trained(finished: Path, folder: Path) -> Path:
    """A folder with the models of a run and nothing else."""
    for part in ("models", "training"):
        copy(finished / part, folder / part)
    return folder


def lines(folder: Path) -> bytes:
    return (folder / "records.jsonl").read_bytes()


@pytest.fixture(scope="session")
def shared(finished: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The output folder of a run by two processes that nothing disturbed."""
    folder = trained(finished, tmp_path_factory.mktemp("shared") / "out")
    assert experiment(folder, "budget.shards=2") == 0
    return folder


# Who is who


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, Shards(3)),
        ({"WORLD_SIZE": "1", "RANK": "0", "LOCAL_RANK": "0"}, Shards(3)),
        ({"WORLD_SIZE": "4"}, Shards(3)),
    ],
)
def test_without_a_launcher_the_settings_say(environment: Mapping[str, str], expected: Shards) -> None:
    assert shards_of({"budget": {"shards": 3}}, environment) == expected
    assert shards_of({"budget": {}}, environment) == Shards(1)


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        (TORCHRUN | {"RANK": "1", "LOCAL_RANK": "1"}, Shards(2, 1, 1)),
        (
            {"WORLD_SIZE": "6", "LOCAL_WORLD_SIZE": "3", "GROUP_RANK": "1", "RANK": "4", "LOCAL_RANK": "1"},
            Shards(6, 4, 1),
        ),
        ({"WORLD_SIZE": "2", "LOCAL_RANK": "1", "NODE_RANK": "0"}, Shards(2, 1, 1)),  # as Lightning's launcher says
        ({"WORLD_SIZE": "2", "LOCAL_RANK": "0", "GROUP_RANK": "0"}, Shards(2, 0, 0)),
        ({"WORLD_SIZE": "6", "LOCAL_WORLD_SIZE": "3", "GROUP_RANK": "1", "LOCAL_RANK": "2"}, Shards(6, 5, 2)),
    ],
)
def test_a_launcher_says_who_is_who(environment: Mapping[str, str], expected: Shards) -> None:
    assert shards_of({"budget": {"shards": 1}}, environment) == expected
    assert expected.follows == (expected.rank != 0)


@pytest.mark.parametrize(
    ("environment", "count", "words"),
    [
        (TORCHRUN | {"RANK": "0"}, 2, r"budget\.shards=2: a launcher has started 2 processes already"),
        (TORCHRUN | {"RANK": "2"}, 1, r"RANK=2: a launcher's 2 processes \(WORLD_SIZE\) are numbered from 0"),
        ({"WORLD_SIZE": "2", "LOCAL_RANK": "0", "NODE_RANK": "1"}, 1, r"RANK=2: "),
        (TORCHRUN | {"RANK": "-1"}, 1, r"RANK=-1: in the environment, must be a whole number of 0 or more"),
    ],
)
def test_an_environment_that_contradicts_itself_is_refused(
    environment: Mapping[str, str], count: int, words: str
) -> None:
    with pytest.raises(launch.BadInput, match=words):
        shards_of({"budget": {"shards": count}}, environment)


@pytest.mark.parametrize(("device", "taken"), [("auto", [0, 1, 0]), ("cuda", [0, 1, 0]), ("cpu", [])])
def test_each_takes_a_device_of_its_own_and_in_turn_where_there_are_fewer(
    device: str, taken: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[int] = []
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr("torch.cuda.device_count", lambda: 2)
    monkeypatch.setattr("torch.cuda.set_device", seen.append)
    for local in range(3):
        sharding._take_device({"device": device}, local)
    assert seen == taken


# Bad input


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (("budget.shards=0",), ["budget.shards=0", "whole number from 1"]),
        (("budget.shards=1.5",), ["budget.shards=1.5", "whole number from 1"]),
        (("budget.shards=6",), ["budget.shards=6", "there are 5 examples"]),
        (("budget.shards=3", "budget.examples=2"), ["budget.shards=3", "there are 2 examples"]),
    ],
)
def test_too_few_or_too_many_shards_are_refused_before_any_work(
    argv: tuple[str, ...], words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert experiment(tmp_path / "out", *argv) == 2
    said = capsys.readouterr().err
    assert all(word in said for word in words) and said.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_tuning_in_shards_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert start("tune", *TINY, f"output={tmp_path / 'out'}", "budget.split=validation", "budget.shards=2") == 2
    assert "budget.shards=2: tuning is done by one process" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("rank", ["0", "1"])
def test_a_training_under_a_launcher_is_refused_by_every_rank(
    rank: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in (TORCHRUN | {"RANK": rank, "LOCAL_RANK": rank}).items():
        monkeypatch.setenv(name, value)
    assert experiment(tmp_path / "out") == 2
    said = capsys.readouterr().err
    assert "models.diffusion: is not trained in" in said and "budget.shards" in said
    assert content(tmp_path / "out") == {}, "nothing is written"
    if rank == "0":
        assert experiment(tmp_path / "out", "budget.examples=1") == 2
        assert "2 processes of a launcher (WORLD_SIZE): there are 1 examples" in capsys.readouterr().err


# Threads in place of processes: what a launcher's ranks do


def ranks(folder: Path, count: int, monkeypatch: pytest.MonkeyPatch, *argv: str) -> int:
    """The exit code of rank 0; the others are threads beside it."""

    def main(settings: launch.Settings) -> int:
        others = [
            threading.Thread(
                target=sharding.take_part, args=(Shards(count, rank, rank), settings, entry.asked_of), daemon=True
            )
            for rank in range(1, count)
        ]
        for thread in others:
            thread.start()
        code = entry.main(settings)
        for thread in others:
            thread.join()
        return code

    with monkeypatch.context() as patch:
        patch.setattr(sharding, "shards_of", lambda settings: Shards(count, 0))
        patch.setattr(sharding, "redirect_stderr", nullcontext)  # threads have one standard error in common
        return launch.run(main, "experiment", argv=(*TINY, f"output={folder}", *argv))


def test_ranks_record_what_one_process_does_and_read_the_split_once(
    finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folders = [trained(finished, tmp_path / str(count)) for count in (2, 3)]
    for count, folder in zip((2, 3), folders, strict=True):
        assert ranks(folder, count, monkeypatch) == 0
        assert records(folder) == records(finished)
        for name in ("reads.jsonl", "traces.jsonl", "summary.json", "table.md"):
            assert (folder / name).read_bytes() == (finished / name).read_bytes(), name
        timings = read(folder / "timings.jsonl", Timing).items
        assert {arm: sum(each.rows for each in timings if each.arm == arm) for arm in ARMS} == dict.fromkeys(ARMS, 5)
        assert not list(folder.glob("shards/*/*/*.jsonl"))
    assert lines(folders[0]) == lines(folders[1])
    before, said = content(folders[0]), capsys.readouterr().err
    assert "answer, shard 1 of 3: " in said
    assert ranks(folders[0], 2, monkeypatch) == 0  # nothing is done twice
    assert content(folders[0]) == before
    assert capsys.readouterr().err.count("all 5 examples are answered") == len(ARMS)


@pytest.mark.slow
def test_a_longer_ladder_goes_on_from_the_shards_snapshots_or_those_of_one_process(
    finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    alone, divided, both = copy(finished, tmp_path / "alone"), tmp_path / "divided", copy(finished, tmp_path / "both")
    assert ranks(trained(finished, divided), 2, monkeypatch) == 0
    more = ("budget.passes=16", "budget.traces=0")
    assert experiment(alone, *more) == 0
    for folder in (divided, both):
        before = len(read(folder / "timings.jsonl", Timing).items)
        assert ranks(folder, 2, monkeypatch, *more) == 0
        assert records(folder) == records(alone)
        added = read(folder / "timings.jsonl", Timing).items[before:]
        # Eight more passes of two examples together, and of the third: not sixteen.
        assert sorted(each.passes for each in added if each.arm == "change_of_mind") == [8, 16]


# Processes


@pytest.mark.slow
@pytest.mark.parametrize("count", [2, 3])
def test_several_processes_record_what_one_does(
    count: int, shared: Path, finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = trained(finished, tmp_path / "out")
    assert experiment(folder, f"budget.shards={count}") == 0
    said = capsys.readouterr().err
    assert said.count("5 of 5 examples") == len(ARMS) and "Warning" not in said
    assert records(folder) == records(finished)
    assert lines(folder) == lines(shared)
    assert (folder / "reads.jsonl").read_bytes() == (finished / "reads.jsonl").read_bytes()
    assert weights(folder) == weights(finished)
    before = content(folder)
    assert experiment(folder, f"budget.shards={count}") == 0
    assert content(folder) == before


DEATHS = {
    "at a record": "dlmreason.analysis.records:Writer.append_many 5",
    "among passes": "dlmreason.evaluation.snapshot:Snapshot.save 2",
    "before it begins": "dlmreason.sharding:take_part 1",
}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("death", "again"),
    [("at a record", 2), ("at a record", 1), ("among passes", 2), ("among passes", 3), ("before it begins", 2)],
)
def test_a_shard_that_is_killed_is_named_and_the_run_goes_on_to_the_same_bytes(
    death: str, again: int, shared: Path, finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Run again by as many processes, by more, or by one."""
    folder = trained(finished, tmp_path / "out")
    monkeypatch.setenv("DIES_AT", DEATHS[death])
    command = ("tests.entry_points.dying_shard", *TINY, f"output={folder}", "budget.shards=2")
    with process(*command, cwd=tmp_path) as run:
        _, error = run.communicate(timeout=280)
    assert run.returncode == 1, error
    assert error.rstrip().splitlines()[-1] == (
        "error: shard 2 of 2 was ended by SIGKILL; run the same command again: it goes on from what each shard has"
    )
    assert "Traceback" not in error and not (folder / "report.html").exists()
    snapshots = list(folder.glob("shards/*/2-of-2/snapshots/change_of_mind-0.pt"))
    assert bool(snapshots) == (death == "among passes")
    done = sum(len(read(path, Record).items) for path in folder.glob("**/records.jsonl"))
    with process("dlmreason.experiment", *TINY, f"output={folder}", f"budget.shards={again}", cwd=tmp_path) as run:
        _, error = run.communicate(timeout=280)
    assert run.returncode == 0, error
    told = re.search(r"change_of_mind: snapshots of shards (1-of-2, )?2-of-2 are left unused", error)
    assert bool(told) == (again == 3), error
    assert records(folder) == records(finished)
    assert again == 1 or lines(folder) == lines(shared)
    assert (folder / "reads.jsonl").read_bytes() == (finished / "reads.jsonl").read_bytes()
    assert done < len(records(finished))


@pytest.mark.slow
@pytest.mark.parametrize("place", ["dlmreason.sharding:Gathering.gather 3", "dlmreason.sharding:merged 2"])
def test_where_the_one_that_merges_is_killed_the_others_end_and_it_goes_on(
    place: str, shared: Path, finished: Path, tmp_path: Path
) -> None:
    folder = trained(finished, tmp_path / "out")
    command = ("tests.entry_points.tiny", *place.split(), "experiment", *TINY, f"output={folder}", "budget.shards=2")
    with process(*command, cwd=tmp_path) as run:
        run.communicate(timeout=280)
    assert run.returncode == -signal.SIGKILL
    assert experiment(folder, "budget.shards=2") == 0
    assert lines(folder) == lines(shared)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["torchrun", "lightning"])
def test_processes_that_a_launcher_starts_share_the_work(
    kind: str, shared: Path, finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = trained(finished, tmp_path / "out")
    runs = []
    for rank in ("1", "0"):
        own = {"RANK": rank} if kind == "torchrun" else {}
        for name, value in (TORCHRUN | own | {"LOCAL_RANK": rank}).items():
            monkeypatch.setenv(name, value)
        runs.append(process("dlmreason.experiment", *TINY, f"output={folder}", cwd=tmp_path))
    errors = [run.communicate(timeout=280)[1] for run in runs]
    assert [run.returncode for run in runs] == [0, 0], errors
    assert errors[0] == "", "the one that merges speaks"
    assert lines(folder) == lines(shared)
    assert (folder / "reads.jsonl").read_bytes() == (finished / "reads.jsonl").read_bytes()


LAUNCHER = ("torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m")


@pytest.mark.slow
@pytest.mark.parametrize(("launcher", "more"), [(LAUNCHER, ()), ((), ("budget.shards=2",))], ids=["torchrun", "itself"])
def test_an_evaluation_is_shared_whoever_starts_the_processes(
    launcher: tuple[str, ...], more: tuple[str, ...], finished: Path, tmp_path: Path
) -> None:
    alone, folder = tmp_path / "alone", tmp_path / "shared"
    given = (f"checkpoint={finished / 'models' / 'diffusion'}", "budget=tiny", "budget.examples=5", *MACHINE)
    assert start("evaluate", *given, f"output={alone}") == 0
    argv = (*given, *more, "logger=none", f"output={folder}")
    with process(*launcher, "dlmreason.evaluate", *argv, cwd=tmp_path) as run:
        _, error = run.communicate(timeout=280)
    assert run.returncode == 0, error
    assert records(folder) == records(alone)
    assert (folder / "reads.jsonl").read_bytes() == (alone / "reads.jsonl").read_bytes()
    places = [record.example for record in read(folder / "records.jsonl", Record).items]
    assert list(dict.fromkeys(places)) == [f"test/0/{number}" for number in range(5)]
