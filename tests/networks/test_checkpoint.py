"""Laws of checkpoints: what was saved comes back, and what was not saved whole is refused."""

import itertools
import json
import os
from pathlib import Path
from typing import Any

import pytest
import torch

from dlmreason.networks import checkpoint
from dlmreason.networks.checkpoint import (
    DESCRIPTION,
    MANIFEST,
    WEIGHTS,
    CheckpointError,
    load,
    newest_valid,
    save,
    verify,
)
from dlmreason.networks.shape import Shape
from dlmreason.networks.transformer import Transformer

FILES = (WEIGHTS, DESCRIPTION, MANIFEST)
FACTS: dict[str, Any] = {
    "vocabulary": {"symbols": ["1", "2", "ä"]},
    "task": {"name": "sudoku4x4", "clues": [0, 6]},
    "extra": {"updates": 300, "loss": 0.25},
}


def network_of(seed: int = 0, **changes: Any) -> Transformer:
    torch.manual_seed(seed)
    sizes = {"vocabulary_size": 4, "length": 3, "feature_sizes": (2,), "num_layers": 1, "width": 4, "num_heads": 1}
    return Transformer(Shape(**{**sizes, **changes}))


def weights_of(network: Transformer) -> dict[str, list[float]]:
    return {name: weight.tolist() for name, weight in network.state_dict().items()}


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("changes", [{}, {"quality": True, "positions": "rotary", "attention": "causal"}])
def test_what_was_saved_comes_back(tmp_path: Path, dtype: torch.dtype, changes: dict[str, Any]) -> None:
    network = network_of(**changes).to(dtype)
    again, description = load(save(tmp_path / "new" / "one", network, **FACTS))
    assert again.shape == network.shape
    assert weights_of(again) == weights_of(network)
    assert again.head.weight.dtype == dtype
    assert {key: description[key] for key in FACTS} == FACTS
    assert set(description["sha256"]) == {WEIGHTS, DESCRIPTION}
    tokens, features = torch.tensor([[0, 1, 2]]), torch.ones(1, 3, 1, dtype=torch.int64)
    assert torch.equal(again(tokens, features).logits, network(tokens, features).logits)
    assert sorted(path.name for path in (tmp_path / "new" / "one").iterdir()) == sorted(FILES)


def test_saving_again_gives_the_same_bytes(tmp_path: Path) -> None:
    one, other = (save(tmp_path / name, network_of(), **FACTS) for name in ("one", "other"))
    assert [(one / name).read_bytes() for name in FILES] == [(other / name).read_bytes() for name in FILES]


@pytest.mark.parametrize("name", FILES)
def test_every_single_bit_flip_is_refused(tmp_path: Path, name: str) -> None:
    """Every bit of the manifest, every 5th of the description, every 29th of the weights."""
    path = save(tmp_path, network_of(), **FACTS) / name
    content = path.read_bytes()
    for bit in range(0, 8 * len(content), {WEIGHTS: 29, DESCRIPTION: 5, MANIFEST: 1}[name]):
        damaged = bytearray(content)
        damaged[bit // 8] ^= 1 << bit % 8
        path.write_bytes(damaged)
        with pytest.raises(CheckpointError):
            verify(tmp_path)
    path.write_bytes(content)
    verify(tmp_path)


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("keep", [0.0, 0.3, 0.99])
def test_a_file_cut_short_is_named(tmp_path: Path, name: str, keep: float) -> None:
    path = save(tmp_path, network_of(), **FACTS) / name
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * keep)])
    with pytest.raises(CheckpointError, match=name if name != MANIFEST else "manifest"):
        load(tmp_path)


@pytest.mark.parametrize("name", FILES)
def test_a_missing_file_is_named(tmp_path: Path, name: str) -> None:
    (save(tmp_path, network_of(), **FACTS) / name).unlink()
    with pytest.raises(CheckpointError, match=f"{name}: cannot be read"):
        load(tmp_path)


class Killed(BaseException):
    """As SIGKILL: nothing of ours runs after it, but for `finally`, which must not need to."""


def kill_at(patch: pytest.MonkeyPatch, last: int) -> None:
    """Let `last` operations on the disk happen and none after."""
    calls = itertools.count()
    real: Any
    for real, module in ((os.fsync, os), (os.replace, os)):

        def until(*arguments: Any, real: Any = real) -> None:
            if next(calls) >= last:
                raise Killed
            real(*arguments)

        patch.setattr(module, real.__name__, until)


def test_killed_at_any_write_the_old_one_stays_or_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old, new = weights_of(network_of(0)), weights_of(network_of(1))
    outcomes = []
    for last in range(20):
        save(tmp_path, network_of(0), **FACTS)
        with monkeypatch.context() as patch:
            kill_at(patch, last)
            try:
                save(tmp_path, network_of(1), **FACTS)
            except Killed:
                pass
            else:
                break
        try:
            found = weights_of(load(tmp_path)[0])
        except CheckpointError:
            outcomes.append("refused")
        else:
            outcomes.append("old" if found == old else "new")
            assert found in (old, new)
    assert last == 8, "three writes, three replacements, two folders synchronised"
    assert outcomes == ["old"] * 4 + ["refused"] * 2 + ["new"] * 2


def test_the_newest_whole_one_is_found_and_the_damaged_named(tmp_path: Path) -> None:
    for age, name in enumerate(("first", "second", "third", "fourth")):
        save(tmp_path / name, network_of(age), **FACTS)
        os.utime(tmp_path / name / MANIFEST, (1000 + age, 1000 + age))
    (tmp_path / "notes.txt").write_text("not a checkpoint")
    assert newest_valid(tmp_path) == (tmp_path / "fourth", [])
    (tmp_path / "fourth" / MANIFEST).unlink()
    (tmp_path / "third" / WEIGHTS).write_bytes(b"")
    found, skipped = newest_valid(tmp_path)
    assert found == tmp_path / "second"
    assert [("fourth" in str(error), "third" in str(error)) for error in skipped] == [(True, False), (False, True)]
    assert newest_valid(tmp_path / "nowhere") == (None, [])


def test_weights_of_another_network_are_refused(tmp_path: Path) -> None:
    one = save(tmp_path / "one", network_of(), **FACTS)
    other = save(tmp_path / "other", network_of(width=8), **FACTS)
    contents = {WEIGHTS: (one / WEIGHTS).read_bytes(), DESCRIPTION: (other / DESCRIPTION).read_bytes()}
    (other / WEIGHTS).write_bytes(contents[WEIGHTS])
    (other / MANIFEST).write_text(checkpoint._manifest(contents))
    with pytest.raises(CheckpointError, match=f"{WEIGHTS}: not the weights of the network"):
        load(other)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"format": 99}, "format 99, this version reads format 1 only"),
        ({"shape": {"width": 3}}, "makes no network"),
        ({"task": None, "extra": ...}, "not a checkpoint's description"),
    ],
)
def test_a_description_that_cannot_be_read_is_refused(tmp_path: Path, change: dict[str, Any], says: str) -> None:
    save(tmp_path, network_of(), **FACTS)
    description = {**json.loads((tmp_path / DESCRIPTION).read_text()), **change}
    description = {key: value for key, value in description.items() if value is not ...}
    (tmp_path / DESCRIPTION).write_text(json.dumps(description))
    contents = {name: (tmp_path / name).read_bytes() for name in (WEIGHTS, DESCRIPTION)}
    (tmp_path / MANIFEST).write_text(checkpoint._manifest(contents))
    with pytest.raises(CheckpointError, match=says):
        load(tmp_path)


@pytest.mark.parametrize("value", [float("nan"), torch.zeros(2), Path("x")])
def test_facts_that_json_cannot_hold_are_refused_before_writing(tmp_path: Path, value: Any) -> None:
    with pytest.raises(ValueError, match="plain finite JSON types"):
        save(tmp_path / "new", network_of(), **{**FACTS, "extra": {"value": value}})
    assert not (tmp_path / "new").exists()
