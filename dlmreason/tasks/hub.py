"""Rows out of a dataset of the Hugging Face hub, or of a local folder in its form.

This file decides which commit is read, and what is said where the hub cannot be reached: within seconds, where a
download would go on trying for minutes. What was downloaded before is read without a network under HF_HUB_OFFLINE=1.
Columns are found as in a file's rows.
"""

import hashlib
import json
import re
import threading
from pathlib import Path
from typing import Any

from dlmreason.tasks.example import FileError, PuzzleError
from dlmreason.tasks.rows import COLUMNS, HOPELESS, Row, RowFile, Rows, texts

PATIENCE = 8.0
"""Seconds that the hub has for an answer: looking up its name can take longer than a request's own limit."""

_COMMIT = re.compile("@([0-9a-f]{40})/")


def load_hub(dataset: str, config: str | None, split: str, revision: str | None) -> RowFile:
    """The rows of a dataset's split; hub:<dataset>@<commit> stands for a file's path, and a row's number for its line.

    revision: a commit, tag or branch.
    Raises: ValueError where the hub cannot be reached, or has no such dataset, config, split or revision.
    """
    local = Path(dataset).is_dir()
    commit = "" if local else commit_of(dataset, revision)
    import datasets

    try:
        table = datasets.load_dataset(dataset, config, split=split, revision=commit or None)
    except Exception as error:  # of several libraries
        raise ValueError(
            f"task.dataset={dataset}, task.dataset_config={config}, task.revision={revision}: the split {split} cannot "
            f"be had: {_first_line(error)}"
        ) from error
    if not local and (known := _COMMIT.search(repr(table.info.download_checksums))):
        commit = known[1]
    found = RowFile(Rows(), "", f"task.dataset={dataset}", revision=commit)
    path = f"hub:{dataset}@{commit}" if commit else f"hub:{dataset}"
    wanted = {name for names in COLUMNS.values() for name in names}
    named = {name: name.strip().lower() for name in table.column_names}
    digest = hashlib.sha256()
    chosen = [name for name in named if named[name] in wanted] or table.column_names
    for line, columns in enumerate(table.select_columns(chosen), start=1):
        try:
            row = Row(path, line, *texts({named[name]: value for name, value in columns.items()}))
            found.rows.append(row)
            digest.update(json.dumps(row[2:]).encode() + b"\n")
        except PuzzleError as error:
            found.bad.append(FileError(path, line, error.reason))
            if len(found.bad) == HOPELESS and not found.rows:
                break
    found.sha256 = digest.hexdigest()
    return found


def commit_of(
    name: str,
    revision: str | None,
    *,
    kind: str = "dataset",
    setting: str = "task.source=hub",
    instead: str = "use task.source=files with task.train_file=... and task.file=...",
) -> str:
    """The commit that a revision of a hub's dataset or model is; without a network as asked for, the revision itself.

    setting, instead: for the message, what asked for the hub, and what to do without it.
    Raises: ValueError where the hub cannot be reached, or has no such thing.
    """
    from huggingface_hub import HfApi, constants
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError

    if constants.HF_HUB_OFFLINE:
        return revision or ""
    said: list[Any] = []

    def ask() -> None:
        try:
            said.append(HfApi().repo_info(name, revision=revision, repo_type=kind, timeout=PATIENCE / 2).sha or "")
        except Exception as error:  # of several libraries
            said.append(error)

    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(PATIENCE)
    answer = said[0] if said else TimeoutError(f"no answer within {PATIENCE:g} seconds")
    if isinstance(answer, str):
        return answer
    refused = isinstance(answer, HfHubHTTPError) and answer.response.status_code in (401, 403, 404)
    if refused or isinstance(answer, HFValidationError):
        raise ValueError(
            f"{setting}: {constants.ENDPOINT} gives no {kind} {name}{f' at {revision}' if revision else ''}: "
            f"{_first_line(answer)}"
        ) from answer
    raise ValueError(
        f"{setting}: {constants.ENDPOINT} cannot be reached ({_first_line(answer)}): {instead}; what was downloaded "
        f"before is read with HF_HUB_OFFLINE=1"
    ) from answer


def _first_line(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return (lines[0] if lines else type(error).__name__)[:200].rstrip(".")
