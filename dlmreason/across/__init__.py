"""Several parts of a claim in one table and one figure: `python -m dlmreason.across of=<kind> from=[a,b] to=<folder>`.

This file decides which kinds there are and what is refused. A part is a folder of a run, or of what a claim keeps of
its runs; what is read of it, and shown, is the kind's. It imports no torch.
"""

from pathlib import Path
from typing import Any

from dlmreason import disk, launch

KINDS = {
    "order": "which tokens were written in which pass",
    "fewer": "what fewer passes cost and save",
    "noise": "who finds planted errors, and who takes them back",
    "work": "accuracy against the work for each token of an answer",
    "length": "answers of different lengths: padding, work and time",
    "reopen": "planted errors, taken back or not",
    "waits": "signs that a step was wrong, and wrong steps, in thoughts",
}


def main(settings: launch.Settings) -> int:
    """The entry point."""
    kind = settings["of"]
    if kind not in KINDS:
        told = "; ".join(f"{name}: {about}" for name, about in KINDS.items())
        raise launch.BadInput(f"of={kind}: must be one of {', '.join(KINDS)} ({told})")
    folders, to = [Path(each) for each in settings["from"]], Path(settings["to"])
    missing = [f"from: {folder}: there is no such folder" for folder in folders if not folder.is_dir()]
    if missing or not folders:
        raise launch.BadInput(*(missing or ["from=[]: name the folder of one part or more"]))
    shown = _shower(kind)
    with launch.refused("from", ValueError, OSError):
        found = {folder.name: shown.read(folder) for folder in folders}
        table = shown.markdown(found)
    to.mkdir(parents=True, exist_ok=True)
    disk.write(to / "table.md", table)
    shown.draw(found, to / "figure.svg")
    launch.say(f"{KINDS[kind]}, {len(found)} parts: {to}")
    return 0


def _shower(kind: str) -> Any:
    """The module of a kind: what it has of a folder, as a table, and as a figure."""
    from dlmreason.across import fewer, length, noise, order, reopen, waits, work

    return {
        "order": order, "fewer": fewer, "noise": noise, "work": work,
        "length": length, "reopen": reopen, "waits": waits,
    }[kind]  # fmt: skip
