"""A checkpoint is a folder: weights, a description that a person can read, and a manifest that names every bit of both.

This file decides how a network is stored so that a crash, a full disk or a flipped bit is noticed rather than loaded.
It knows no training state: what a run needs in order to go on is kept elsewhere.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import safetensors.torch

from dlmreason import disk
from dlmreason.networks.shape import USUAL, Shape
from dlmreason.networks.transformer import Transformer

FORMAT = 1
WEIGHTS = "model.safetensors"
DESCRIPTION = "description.json"
MANIFEST = "manifest.sha256"  # as sha256sum writes it: `sha256sum --check manifest.sha256` works too
_REQUIRED = ("format", "shape", "vocabulary", "task", "extra")


class CheckpointError(ValueError):
    """A checkpoint that must not be used; the message names the file and why."""


def save(
    folder: Path | str,
    network: Transformer,
    *,
    vocabulary: Mapping[str, Any],
    task: Mapping[str, Any],
    extra: Mapping[str, Any],
) -> Path:
    """Write `network` into `folder`, the manifest last: a crash leaves the old checkpoint or one that `load` refuses.

    vocabulary, task, extra: plain JSON types; how the tokens read, what was asked, and facts of the training.
    Raises: ValueError for values that JSON cannot hold, before anything is written.
    """
    folder = Path(folder)
    shape = {name: value for name, value in asdict(network.shape).items() if (name, value) not in USUAL.items()}
    description = {
        "format": FORMAT,
        "shape": shape,
        "vocabulary": dict(vocabulary),
        "task": dict(task),
        "extra": dict(extra),
    }
    try:
        text = json.dumps(description, indent=2, sort_keys=True, ensure_ascii=False, allow_nan=False) + "\n"
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"a checkpoint's vocabulary, task and extra must be plain finite JSON types: {error}"
        ) from error
    weights = {name: tensor.detach().cpu().contiguous() for name, tensor in network.state_dict().items()}
    contents = {WEIGHTS: safetensors.torch.save(weights), DESCRIPTION: text.encode()}
    contents[MANIFEST] = _manifest(contents).encode()

    folder.mkdir(parents=True, exist_ok=True)
    disk.write_all({folder / name: content for name, content in contents.items()})
    disk.sync(folder.parent)
    return folder


def load(folder: Path | str) -> tuple[Transformer, dict[str, Any]]:
    """The network, on the CPU and in evaluation mode, and its description with the files' hashes under "sha256".

    Raises: CheckpointError.
    """
    folder = Path(folder)
    description, contents = _read(folder)
    try:
        network = Transformer(Shape(**description["shape"]))
    except (TypeError, ValueError) as error:
        raise CheckpointError(f"{folder / DESCRIPTION}: its shape makes no network: {error}") from error
    try:
        weights = safetensors.torch.load(contents[WEIGHTS])
        network.to(next(iter(weights.values())).dtype).load_state_dict(weights)
    except (safetensors.SafetensorError, RuntimeError, StopIteration) as error:
        raise CheckpointError(
            f"{folder / WEIGHTS}: not the weights of the network described beside it: {error}"
        ) from error
    return network.eval(), description


def verify(folder: Path | str) -> dict[str, Any]:
    """The description of a checkpoint whose files are whole; the weights are hashed, not built.

    Raises: CheckpointError.
    """
    return _read(Path(folder))[0]


def newest_valid(folder: Path | str) -> tuple[Path | None, list[CheckpointError]]:
    """The last written whole checkpoint among the subfolders of `folder`, and why each newer one was skipped.

    None where there is none. Newest is by the manifest's time, then by name; a folder without a manifest counts as
    newest.
    """
    skipped = []
    for candidate in sorted((path for path in Path(folder).glob("*") if path.is_dir()), key=_age, reverse=True):
        try:
            verify(candidate)
        except CheckpointError as error:
            skipped.append(error)
        else:
            return candidate, skipped
    return None, skipped


def _age(folder: Path) -> tuple[float, str]:
    try:
        return (folder / MANIFEST).stat().st_mtime_ns, folder.name
    except OSError:
        return float("inf"), folder.name


def _manifest(contents: Mapping[str, bytes]) -> str:
    return "".join(f"{hashlib.sha256(contents[name]).hexdigest()}  {name}\n" for name in (WEIGHTS, DESCRIPTION))


def _read(folder: Path) -> tuple[dict[str, Any], dict[str, bytes]]:
    """What is on disk, read once, so that what was hashed is what is used."""
    contents = {}
    for name in (MANIFEST, WEIGHTS, DESCRIPTION):
        try:
            contents[name] = (folder / name).read_bytes()
        except OSError as error:
            raise CheckpointError(
                f"{folder / name}: cannot be read ({error.strerror}): not a whole checkpoint"
            ) from error
    expected = _manifest(contents)
    if contents[MANIFEST] != expected.encode():
        said = contents[MANIFEST].decode(errors="replace").splitlines()
        damaged = [line.split()[-1] for line in expected.splitlines() if line not in said] or [MANIFEST]
        raise CheckpointError(
            f"{', '.join(str(folder / name) for name in damaged)}: does not match {MANIFEST}: damaged, cut short, or "
            f"from an interrupted save; use another checkpoint"
        )
    try:
        description = json.loads(contents[DESCRIPTION])
        found = {name: description[name] for name in _REQUIRED}
    except (ValueError, KeyError, TypeError) as error:
        raise CheckpointError(f"{folder / DESCRIPTION}: not a checkpoint's description: {error!r}") from error
    if found["format"] != FORMAT:
        raise CheckpointError(
            f"{folder / DESCRIPTION}: format {found['format']!r}, this version reads format {FORMAT} only"
        )
    hashes = {name: digest for digest, name in (line.split() for line in expected.splitlines())}
    return {**description, "sha256": hashes}, contents
