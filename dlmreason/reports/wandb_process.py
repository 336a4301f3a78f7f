"""The process in which W&B lives: reads calls from stdin, one JSON line each, and makes them.

This file decides how a call becomes one of W&B's, and that each name has the axis it was first logged along: W&B's own
step must never fall, so it drops the rows of a second model; an axis of ours may. A call that fails is named in
`wandb/mirror.log` and passed over. When stdin ends, which it also does when the run is killed, the W&B run is finished.
Started by `mirror.py`, never by hand.
"""

import json
import os
import signal
import sys
from typing import Any

from dlmreason.reports.redaction import redact_text


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


def main() -> int:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    run, exit_code, failures = None, 0, 0
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
        except Exception as error:
            failures += 1
            print(redact_text(f"{type(error).__name__}: {error}"), file=sys.stderr, flush=True)
    if run is not None:
        run.finish(exit_code=exit_code)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
