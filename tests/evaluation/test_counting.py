"""Laws of counters beside records: one line a walk, the same bytes however it came about, and records as without."""

from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from dlmreason.analysis.records import Counted, Writer, encode, read
from dlmreason.evaluation.counting import Counting, uncounted
from dlmreason.evaluation.diffusion import DiffusionArm, Walking
from dlmreason.evaluation.snapshot import Snapshot
from dlmreason.networks.denoiser import Denoise
from dlmreason.policies import presets
from dlmreason.policies.posterior import Cap, Posterior
from dlmreason.sampling.events import KINDS
from tests.evaluation.tiny import LADDER, diffusion, lines, network, sudoku
from tests.policies.test_exact_laws import Linear

POLICIES: dict[str, Any] = {
    "change_of_mind": presets.change_of_mind(doubt=3, patience=2),
    "greedy": presets.ordered(count=1),
    "remasking": Posterior(Linear(), Cap(0.3)),
}


def counted(task: Any, policy: Any, chunk: int = 4) -> DiffusionArm:
    reads = network(task, "bidirectional")
    denoiser = Denoise(reads, task.vocabulary(False).mask_id)
    return DiffusionArm("it", task, reads, denoiser, policy, width=3, chunk=chunk, counted=True)


def walked(folder: Path, arm: DiffusionArm, examples: list[Any], **more: Any) -> dict[str, bytes]:
    """{example: its records}; the counters go into the folder."""
    with Writer(path := folder / "counters.jsonl") as out:
        counting = Counting(arm, "it", 3, "key", out, read(path, Counted).items)
        return lines(arm.task, arm.attempts(examples, LADDER, 3, on_walk=counting, **more))


def written(folder: Path) -> list[bytes]:
    return sorted((folder / "counters.jsonl").read_bytes().splitlines())


@pytest.mark.parametrize("name", POLICIES)
def test_a_line_for_each_walk_and_the_records_as_without(name: str, tmp_path: Path) -> None:
    task, policy = sudoku(), POLICIES[name]
    examples = list(task.examples("test"))
    plain = lines(task, diffusion(task, policy).attempts(examples, LADDER, 3))
    whole, other = tmp_path / "whole", tmp_path / "other"
    assert walked(whole, counted(task, policy), examples) == plain
    assert walked(other, counted(task, policy, chunk=1), examples[::-1]) == plain
    assert written(whole) == written(other)
    found = read(whole / "counters.jsonl", Counted)
    rungs = LADDER[-1:] if policy.anytime else LADDER
    assert not found.problems
    assert sorted((each.example, each.rung) for each in found.items) == sorted(
        (example.id, rung) for example in examples for rung in rungs
    )
    events = {
        (group[0].example.id, attempt.rung): attempt.events
        for group in diffusion(task, policy).attempts(examples, LADDER, 3)
        for attempt in group
    }
    for each in found.items:
        here = events[each.example, each.rung]
        assert here.keys() == set(KINDS) and sum(each.flipped) == here["flipped"]
        assert sum(each.restored) == here["restored"] and sum(each.doubted) == here["doubted"]
        assert len(each.positions) == len(each.commit) == len(each.ever_right) > 0
        assert all(residual is not None for residual in each.curve["residual"][1:])
        assert each.curve["residual"][0] is None and len(each.curve["pass"]) <= each.nfe
    if name != "remasking":  # which sleeps past its end
        assert all(each.fixed == (name == "greedy") for each in found.items)
    assert len({encode(each) for each in found.items}) == len(found.items)


@pytest.mark.parametrize("chunks", [1, 2, 4, 6])
def test_killed_at_any_chunk_it_ends_with_the_same_bytes(chunks: int, tmp_path: Path) -> None:
    task, policy = sudoku(), POLICIES["change_of_mind"]
    examples = list(task.examples("test"))
    whole, folder = tmp_path / "whole", tmp_path / "killed"
    records = walked(whole, counted(task, policy), examples)
    calls: list[int] = []

    class Killed(Exception):
        pass

    def count(walking: Walking) -> None:
        calls.append(walking.counts.charged)
        if len(calls) == chunks:
            raise Killed

    with suppress(Killed):
        walked(folder, counted(task, policy), examples, snapshot=Snapshot(tmp_path / "it.pt", "key", 0), on_chunk=count)
    assert len(calls) == chunks
    arm = counted(task, policy)
    todo = uncounted(arm, examples, LADDER, read(folder / "counters.jsonl", Counted).items)
    assert len(todo) + len(written(folder)) == len(examples)
    again = walked(folder, arm, todo, snapshot=Snapshot(tmp_path / "it.pt", "key", 0))
    assert again.items() <= records.items() and written(folder) == written(whole)


def test_what_is_counted_is_counted_once_and_a_longer_ladder_once_more(tmp_path: Path) -> None:
    task, policy = sudoku(3), POLICIES["change_of_mind"]
    examples = list(task.examples("test"))
    walked(tmp_path, counted(task, policy), examples)
    before = written(tmp_path)
    walked(tmp_path, counted(task, policy), examples)
    assert written(tmp_path) == before
    arm = counted(task, policy)
    here = read(tmp_path / "counters.jsonl", Counted).items
    assert uncounted(arm, examples, LADDER, here) == []
    assert uncounted(arm, examples, (*LADDER, 32), here) == examples == uncounted(arm, examples, LADDER, [])
    assert uncounted(diffusion(task, policy), examples, LADDER, []) == []
    with Writer(tmp_path / "counters.jsonl") as out:
        with pytest.raises(ValueError, match="counts nothing: make it with counted=True"):
            Counting(diffusion(task, policy), "it", 3, "key", out, [])
