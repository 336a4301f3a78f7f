"""Sweeps: `python -m dlmreason.sweep <name> [overrides]` runs sweeps/<name>.yaml; without a name it lists them.

A sweep is one file in W&B's own format. This file decides how the same is run without W&B, as Hydra's multirun: every
cell is composed and checked before the first starts. `docs/sweeps.md` is the list, and a test holds the two together.
"""

import math
import shlex
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from dlmreason import experiment, launch

PROGRAM = "dlmreason.experiment"
ONLINE = "logger.mode=online"
"""Said to W&B's agents alone: they have a key."""

HEAD = """# Sweeps

The common ones, a file of `sweeps/` each; made by `make sweep` from them. A cell is a run of its own: it trains,
answers and reports into its own folder of `outputs/`, and run again it does nothing twice. `ARGS='...'` goes on to
every cell.

* One after another, here: `make sweep NAME=seeds`.
* As jobs of a Slurm cluster: `pip install -e '.[slurm]'`, then
  `make sweep NAME=seeds ARGS='hydra/launcher=submitit_slurm hydra.launcher.submitit_folder=outputs/slurm/%j'`, with
  `hydra.launcher.partition=...` and what else the cluster asks for; `hydra/launcher=submitit_local` tries it here.
* By W&B's agents, with a key: `wandb sweep sweeps/seeds.yaml`, then the `wandb agent ...` that it names, on any number
  of machines.

"""
COLUMNS = ("sweep", "what it asks", "cells", "the same as Hydra's multirun")


class Sweep(NamedTuple):
    """A grid of settings."""

    name: str
    about: str
    fixed: tuple[str, ...]  # overrides that all cells share
    values: Mapping[str, Sequence[Any]]  # of each swept key

    @property
    def cells(self) -> int:
        return math.prod(map(len, self.values.values()))

    @property
    def multirun(self) -> list[str]:
        """The arguments by which Hydra runs the same grid."""
        swept = [f"{key}={','.join(map(str, values))}" for key, values in self.values.items()]
        return ["-m", *self.fixed, *swept]


def folder() -> Path:
    """The sweeps of this checkout."""
    return launch.conf_folder().parent / "sweeps"


def names() -> list[str]:
    return sorted(path.stem for path in folder().glob("*.yaml"))


def read(path: Path) -> Sweep:
    """The sweep in a file. Raises: BadInput for one that Hydra's multirun cannot be."""
    import yaml

    text = path.read_text(encoding="utf-8")
    content = yaml.safe_load(text)
    parameters, command = content["parameters"], content["command"]
    if content["program"] != PROGRAM or content["method"] != "grid":
        raise launch.BadInput(f"{path}: must be a grid of {PROGRAM}: random and bayes draw as they go")
    for key, given in parameters.items():
        if set(given) != {"values"} or not given["values"]:
            raise launch.BadInput(f"{path}: parameters.{key}: must be a list of values, which a grid is made of")
    fixed = tuple(word for word in command if "=" in word and word != ONLINE)
    about = text.partition("\n")[0].removeprefix("# ")
    return Sweep(path.stem, about, fixed, {key: given["values"] for key, given in parameters.items()})


def table() -> str:
    """The list as Markdown."""
    lines = [f"| {' | '.join(COLUMNS)} |", "|---|---|---|---|"]
    for sweep in (read(folder() / f"{name}.yaml") for name in names()):
        command = f"python -m {PROGRAM} {shlex.join(sweep.multirun)}"
        lines.append(f"| {sweep.name} | {sweep.about} | {sweep.cells} | `{command}` |")
    return HEAD + "\n".join(lines) + "\n"


def main(argv: Sequence[str] | None = None) -> int:
    """The entry point."""
    name, *overrides = (sys.argv[1:] if argv is None else argv) or [""]
    if not name:
        print(table(), end="")
        return 0
    if name not in names():
        launch.say(f"error: sweep={name}: there is no such sweep; there are {', '.join(names())}")
        return 2
    sweep = read(folder() / f"{name}.yaml")
    launch.say(f"{name}: {sweep.cells} cells")
    return launch.run(experiment.main, "experiment", argv=[*sweep.multirun, *overrides])


if __name__ == "__main__":
    sys.exit(main())
