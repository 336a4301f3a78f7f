"""The process in which W&B lives: reads calls from stdin, one JSON line each, and makes them.

This file decides how a call becomes one of W&B's, and that each name has the axis it was first logged along: W&B's own
step must never fall, so it drops the rows of a second model; an axis of ours may. A call that fails is named in
`wandb/mirror.log` and passed over. When stdin ends, which it also does when the run is killed, the W&B run is finished.
Of a full disk W&B says nothing, so what it kept offline is counted at the end. Started by `mirror.py`, never by hand.
"""

import json
import os
import signal
import struct
import sys
from pathlib import Path
from typing import Any

from dlmreason.reports.redaction import redact_text

ROWS = ("log", "table", "figure", "page")
"""Calls that make a row of W&B's history each."""
BLOCK, PART = 32_768, 7
"""Bytes of a block of W&B's file, and of what stands before each part in it."""


def start(content: dict[str, Any]) -> Any:
    """A W&B run with the settings of the mirror."""
    os.environ.setdefault("WANDB_SILENT", "true")
    import wandb

    settings = wandb.Settings(
        disable_git=True,  # a remote's address can hold a token; the commit is in our config
        disable_code=True,
        console="off",
        init_timeout=30,
    )
    return wandb.init(**content, settings=settings, reinit="create_new")


def make(run: Any, call: str, content: dict[str, Any], placed: set[str]) -> None:
    """One call on a W&B run. placed: the names that have an axis; those of this call are added."""
    import wandb

    match call:
        case "log":
            for name in content["values"].keys() - placed - {content["axis"]}:
                run.define_metric(name, step_metric=content["axis"])
            placed.update(content["values"])
            run.log(content["values"])
        case "table":
            run.log({content["name"]: wandb.Table(columns=content["columns"], data=content["rows"])})
        case "figure":
            import plotly.io

            run.log({content["name"]: wandb.Plotly(plotly.io.from_json(content["json"]))})
        case "page":
            run.log({content["name"]: wandb.Html(content["path"], inject=False)})
        case "artifact":
            artifact = wandb.Artifact(content["name"], type=content["type"])
            for path in content["paths"]:
                artifact.add_file(path)
            run.log_artifact(artifact)
        case "summary":
            run.summary.update(content)


def rows_in(path: Path) -> int:
    """The rows that a W&B run's own file holds, as far as it is whole.

    It is in LevelDB's log format: records in parts that no block's end divides, each with checksum, length and kind.
    """
    from wandb.proto.wandb_internal_pb2 import Record

    content, at, rows, record = path.read_bytes(), PART, 0, b""
    while at + PART <= len(content):
        left = BLOCK - at % BLOCK
        if left < PART:  # no room for another part
            at += left
            continue
        length, kind = struct.unpack_from("<HB", content, at + 4)
        part = content[at + PART : at + PART + length]
        if len(part) < length or kind not in (1, 2, 3, 4):
            break
        record = part if kind in (1, 2) else record + part  # whole or the first; the middle or the last
        at += PART + length
        if kind in (1, 4):
            rows += Record.FromString(record).WhichOneof("record_type") == "history"
    return rows


def whole(run: Any, rows: int) -> bool:
    """Whether a run that has ended kept so many rows, as far as it is offline; says so where it did not."""
    import wandb

    if run.settings.mode != "offline":
        return True
    wandb.teardown()  # ends its helper, which writes the last block
    folder = Path(run.settings.sync_dir)
    had = sum(map(rows_in, folder.glob("*.wandb")))
    if had < rows:
        print(f"of {rows} rows {had} are in {folder}", file=sys.stderr)
    return had >= rows


def main() -> int:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    run, exit_code, failures, rows = None, 0, 0, 0
    placed: set[str] = set()
    for line in sys.stdin.buffer:
        try:
            call, content = json.loads(line)
            if call == "start":
                run = start(content)
            elif call == "finish":
                exit_code = content["exit_code"]
            elif run is not None:
                make(run, call, content, placed)
                rows += call in ROWS
        except Exception as error:
            failures += 1
            print(redact_text(f"{type(error).__name__}: {error}"), file=sys.stderr, flush=True)
    if run is not None:
        run.finish(exit_code=exit_code)
        failures += not whole(run, rows)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
