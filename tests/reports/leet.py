"""What W&B's own reader finds in an offline run, with no login."""

import json
import subprocess
import sys
from pathlib import Path


def inspect(folder: Path) -> list[dict]:
    """The records of the one W&B run of an output folder."""
    (run,) = (folder / "wandb").glob("offline-run-*")
    command = [str(Path(sys.executable).with_name("wandb")), "leet", "inspect", "--json", str(run)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return [json.loads(line) for line in done.stdout.splitlines()]


def rows_of(lines: list[dict]) -> list[dict]:
    """What was logged, row by row, without what W&B adds and without media."""
    items = [line["history"]["item"] for line in lines if line["type"] == "history"]
    numbers = [item for item in items if not any(name.endswith("._type") for name in item)]
    return [{name: value for name, value in item.items() if name[0] != "_"} for item in numbers]
