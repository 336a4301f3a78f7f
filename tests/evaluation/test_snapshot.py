"""Laws of a snapshot: one that does not fit is left unused with a sentence, and never read as something else."""

from pathlib import Path

import pytest
import torch

from dlmreason.canvas import take
from dlmreason.evaluation.attempt import rows_of
from dlmreason.evaluation.snapshot import ForeignSnapshot, Snapshot
from dlmreason.policies import presets
from dlmreason.sampling.denoise import Sampler, State
from tests.evaluation.tiny import diffusion, sudoku

RUNGS = (1, 2, 4)


@pytest.fixture
def said() -> list[str]:
    return []


def some() -> State:
    """Four rows under way."""
    task = sudoku(4)
    arm = diffusion(task, presets.change_of_mind(doubt=3))
    sampler = Sampler(arm.policy, arm.denoiser, RUNGS, 0, 4, 4)
    rows = rows_of(task, list(task.examples("test")), torch.device("cpu"))
    return sampler.advance(sampler.init(rows), 2)


def ids(state: State | None) -> list[int]:
    return [] if state is None else state.rows.id.tolist()


def row(state: State, *places: int) -> State:
    return take(state, torch.tensor(places))


def test_what_was_saved_comes_back(tmp_path: Path, said: list[str]) -> None:
    state = some()
    snapshot = Snapshot(tmp_path / "it.pt", "key", every=0, report=said.append)
    assert snapshot.load(row(state, 0), RUNGS, set(ids(state))) is None
    snapshot.save(state, RUNGS)
    back = snapshot.load(row(state, 0), RUNGS, set(ids(state)[1:3]))
    assert back is not None and ids(back) == ids(state)[1:3]
    assert torch.equal(back.tokens, state.tokens[1:3]) and torch.equal(back.nfe, state.nfe[1:3])
    assert snapshot.load(row(state, 0), RUNGS, {12345}) is None
    assert said == []


def test_rows_under_way_win_over_finished_ones_and_finishing_clears_them(tmp_path: Path) -> None:
    state = some()
    snapshot = Snapshot(tmp_path / "it.pt", "key", every=0)
    snapshot.finish(row(state, 0, 1), RUNGS)
    snapshot.save(row(state, 1, 2)._replace(nfe=torch.tensor([77, 77])), RUNGS)
    back = snapshot.load(row(state, 0), RUNGS, set(ids(state)))
    assert back is not None
    nfe = dict(zip(ids(back), back.nfe.tolist(), strict=True))
    assert nfe == {ids(state)[0]: 2, ids(state)[1]: 77, ids(state)[2]: 77}
    snapshot.finish(row(state, 2), RUNGS)
    assert sorted(ids(snapshot.load(row(state, 0), RUNGS, set(ids(state))))) == sorted(ids(state)[:3])
    assert not (tmp_path / "it.pt").exists()


def test_saves_are_no_closer_than_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    state = some()
    now = [100.0]
    monkeypatch.setattr("dlmreason.evaluation.snapshot.time.monotonic", lambda: now[0])
    snapshot, path = Snapshot(tmp_path / "it.pt", "key", every=10.0), tmp_path / "it.pt"
    snapshot.save(state, RUNGS)
    assert not path.exists()
    now[0] += 10
    snapshot.save(state, RUNGS)
    assert path.exists()
    path.unlink()
    now[0] += 9.9
    snapshot.save(state, RUNGS)
    assert not path.exists()


@pytest.mark.parametrize("harm", ["flipped", "cut short", "empty"])
def test_a_damaged_snapshot_is_named_and_not_used(harm: str, tmp_path: Path, said: list[str]) -> None:
    state = some()
    snapshot = Snapshot(tmp_path / "it.pt", "key", every=0, report=said.append)
    snapshot.save(state, RUNGS)
    data = bytearray((tmp_path / "it.pt").read_bytes())
    data[len(data) // 2] ^= 1
    (tmp_path / "it.pt").write_bytes({"flipped": data, "cut short": data[:-5], "empty": b""}[harm])
    assert snapshot.load(row(state, 0), RUNGS, set(ids(state))) is None
    assert said == [f"{tmp_path / 'it.pt'} is damaged and is not used; its rows begin anew"]


def test_rows_under_way_of_another_run_are_refused_with_what_differs(tmp_path: Path) -> None:
    state = some()
    facts = {"policy.doubt": "8", "weights": "abc", "old": "1"}
    Snapshot(tmp_path / "it.pt", "key", every=0, facts=facts).save(state, RUNGS)
    before = (tmp_path / "it.pt").read_bytes()
    other = Snapshot(tmp_path / "it.pt", "another", every=0, facts={"policy.doubt": "4", "weights": "abc", "new": "2"})
    differs = r"\(policy.doubt=8 there and 4 here, old=1 there and none here, new=none there and 2 here\)"
    with pytest.raises(ForeignSnapshot, match=differs):
        other.load(row(state, 0), RUNGS, set(ids(state)))
    with pytest.raises(ForeignSnapshot, match="other weights, settings or examples"):
        Snapshot(tmp_path / "it.pt", "another", facts=facts).load(row(state, 0), RUNGS, set(ids(state)))
    assert (tmp_path / "it.pt").read_bytes() == before


def test_finished_rows_of_another_run_are_left_and_told(tmp_path: Path, said: list[str]) -> None:
    state = some()
    Snapshot(tmp_path / "it.pt", "key", every=0).finish(state, RUNGS)
    other = Snapshot(tmp_path / "it.pt", "another", report=said.append)
    assert other.load(row(state, 0), RUNGS, set(ids(state))) is None
    assert "of other weights, settings or examples" in said[-1]


def test_a_snapshot_of_another_ladder_is_not_used(tmp_path: Path, said: list[str]) -> None:
    state = some()
    Snapshot(tmp_path / "it.pt", "key", every=0).save(state, RUNGS)
    wanted, like = set(ids(state)), row(state, 0)
    for ladder in ((1, 2), (1, 3, 4), (1, 2, 5)):
        assert Snapshot(tmp_path / "it.pt", "key", report=said.append).load(like, ladder, wanted) is None
        assert f"is of the ladder {RUNGS} and cannot go on along {ladder}" in said[-1]
    assert len(said) == 3
    longer = Snapshot(tmp_path / "it.pt", "key", report=said.append).load(like, (*RUNGS, 8), wanted)
    assert longer is not None and longer.answers.shape[1] == 4
    assert len(said) == 3


def test_a_snapshot_of_another_structure_is_not_used(tmp_path: Path, said: list[str]) -> None:
    state = some()
    Snapshot(tmp_path / "it.pt", "key", every=0).save(state, RUNGS)
    without = row(state, 0)._replace(memory=())
    assert Snapshot(tmp_path / "it.pt", "key", report=said.append).load(without, RUNGS, set(ids(state))) is None
    assert "of another version" in said[0]
