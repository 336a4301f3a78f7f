"""Laws of an arm's stories in files: stopped at any chunk, they end with the same bytes."""

import os
from contextlib import suppress
from pathlib import Path

import pytest

from dlmreason.evaluation.diffusion import Walking
from dlmreason.evaluation.snapshot import Snapshot
from dlmreason.policies import presets
from dlmreason.policies.posterior import Cap, Posterior
from tests.evaluation.tiny import diffusion, sudoku
from tests.policies.test_exact_laws import Linear

PASSES, EVENTS = 40, 120
POLICIES = {"change_of_mind": presets.change_of_mind(doubt=3, patience=2), "remasking": Posterior(Linear(), Cap(0.3))}


class Killed(Exception):
    pass


def streamed(folder: Path, name: str, saved: int = 0, stop: int = 0) -> dict[str, object]:
    """saved: chunks after which no snapshot is taken any more.  stop: chunks after which it is killed."""
    task, calls = sudoku(5), list[int]()
    snapshot = Snapshot(folder / "it.pt", "key", 0 if saved else 10**9)

    def count(walking: Walking) -> None:
        calls.append(walking.counts.charged)
        if len(calls) == saved:
            snapshot._every = 10**9
        if len(calls) == stop:
            raise Killed

    arm = diffusion(task, POLICIES[name])
    told = arm.streamed(list(task.examples("test")), PASSES, 3, folder / "traces", EVENTS, snapshot, count)
    return {example: (each.start, each.frames, each.answers) for example, each in told.items()}


def content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (folder / "traces").iterdir()}


@pytest.mark.parametrize("name", POLICIES)
@pytest.mark.parametrize("stop", [1, 5, 11])
@pytest.mark.parametrize("late", [0, 3, 20])
def test_stopped_at_any_chunk_they_end_with_the_same_bytes(name: str, stop: int, late: int, tmp_path: Path) -> None:
    """late: chunks since the last snapshot, which had told more than it knows of; 20: there was none."""
    told = streamed(tmp_path / "whole", name)
    with suppress(Killed):
        streamed(tmp_path / "it", name, max(stop - late, 0), stop)
    had = sum(map(len, content(tmp_path / "it").values()))
    assert 0 < had < sum(map(len, content(tmp_path / "whole").values()))
    assert (tmp_path / "it" / "it.pt").exists() == (late < stop)
    assert streamed(tmp_path / "it", name) == told
    assert content(tmp_path / "it") == content(tmp_path / "whole") and len(content(tmp_path / "it")) == 5
    assert not (tmp_path / "it" / "it.pt").exists()


def test_rows_that_have_finished_are_not_walked_again_and_lost_files_are(tmp_path: Path) -> None:
    told = streamed(tmp_path, "change_of_mind")
    before = content(tmp_path)
    one, other = sorted((tmp_path / "traces").iterdir())[:2]
    stamp = {path: path.stat().st_mtime_ns for path in (tmp_path / "traces").iterdir()}
    one.unlink()
    os.truncate(other, other.stat().st_size - 1)  # its foot is torn
    assert streamed(tmp_path, "change_of_mind") == told and content(tmp_path) == before
    kept = [path for path, at in stamp.items() if path.stat().st_mtime_ns == at]
    assert len(kept) == 3 and one not in kept and other not in kept
    with suppress(Killed):
        streamed(tmp_path / "it", "change_of_mind", 5, 5)
    next((tmp_path / "it" / "traces").iterdir()).unlink()  # a snapshot knows of a row whose file is gone
    assert streamed(tmp_path / "it", "change_of_mind") == told and content(tmp_path / "it") == before
