"""Files that are whole or not there.

This file decides how bytes come to a path, so that a crash, a kill or a full disk leaves what was there before, and
what a JSON file counts as that is missing or damaged. It is a leaf that all may import, and knows nothing of what it
writes.
"""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def write(path: Path, content: bytes | str) -> None:
    """Puts `content` at `path`: beside it first, flushed to the disk, then in its place. Raises: OSError."""
    write_all({path: content})


def write_all(contents: Mapping[Path, bytes | str]) -> None:
    """Puts several files of one folder in place, in their order, once all of them are on the disk. Raises: OSError."""
    beside = {path: path.with_name(f".{path.name}.{os.getpid()}.part") for path in contents}
    try:
        for path, content in contents.items():
            with beside[path].open("wb") as file:
                file.write(content.encode() if isinstance(content, str) else content)
                file.flush()
                os.fsync(file.fileno())
        for path, part in beside.items():
            os.replace(part, path)
    except BaseException:
        for part in beside.values():
            part.unlink(missing_ok=True)
        raise
    for folder in {path.parent for path in contents}:
        sync(folder)


def sync(folder: Path) -> None:
    """Puts what was renamed or made in a folder on the disk."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def object_in(path: Path) -> dict[str, Any]:
    """The object in a JSON file; empty where there is none."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}
