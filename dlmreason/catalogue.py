"""Every task that can be chosen: `python -m dlmreason.catalogue [name ...]`, or `make tasks`.

This file decides what a person sees of a task before choosing it. Speeds are measured on the spot, on one core, without
a cache.
"""

import sys
import textwrap
import time
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from dlmreason import launch
from dlmreason.launch_config import Tree
from dlmreason.tasks.vocabulary import WAIT

SAMPLE = 200
"""Problems over which difficulty is told, as far as SECONDS allow."""

SECONDS = 1.0
WIDTH = 116
SHOWN = 400
"""Characters of a text that are shown."""


def rows(name: str, task: Any) -> Iterator[tuple[str, str]]:
    """(what, text) for every line about a task."""
    train = task.examples("train")
    example = train[0]
    started = time.process_time()
    seen = []
    for each in islice(train, 100_000):
        seen.append(each)
        if time.process_time() - started > SECONDS:
            break
    seconds = max(time.process_time() - started, 1e-9)
    test = [example for example, _ in zip(islice(task.examples("test"), SAMPLE), _until(SECONDS), strict=False)]
    yield "prompt", example.prompt
    yield "thought", example.thought or "none"
    if corrected := next((each.thought for each in seen if WAIT in each.thought), ""):
        yield "corrected", corrected
    yield "answer", example.answer
    hard = sorted({each.difficulty for each in test})
    measured = f"{hard[0]} to {hard[-1]}" if hard[0] >= 0 else "not measured"
    yield "difficulty", f"{measured} in {len(test)} test items"
    symbols = task.vocabulary(False).symbols
    yield "alphabet", f"{len(symbols)} symbols: {' '.join(map(_visible, symbols))}"
    sizes = {"prompt": task.prompt_length, "answer": task.answer_length}
    if example.thought:
        whole, without = (task.length(in_place=False, thought=thought) for thought in (True, False))
        sizes["thought"] = whole - without
    canvas = task.length(in_place=task.in_place, thought=False)
    lengths = ", ".join(f"{part} {size}" for part, size in sizes.items())
    yield "lengths", f"at most {lengths} tokens; the diffusion canvas has {canvas}"
    yield "items a second", f"{len(seen) / seconds:,.0f} of the training split"
    if task.symmetries.leakage:
        yield "one problem", "; ".join(task.symmetries.leakage) + ": copies never lie in two splits"
    if task.symmetries.augmentation:
        yield "other problems", "; ".join(task.symmetries.augmentation)


def _until(seconds: float) -> Iterator[None]:
    end = time.process_time() + seconds
    while time.process_time() < end:
        yield None


def _visible(symbol: str) -> str:
    return symbol if symbol.isprintable() and symbol != " " else repr(symbol)


def block(name: str, about: str, lines: Sequence[tuple[str, str]]) -> str:
    """What is shown of one task."""
    text = [f"{name}: {about}"]
    for what, value in lines:
        value = value if len(value) <= SHOWN else f"{value[:SHOWN]} ... ({len(value):,} characters)"
        indent = " " * 18
        text += textwrap.wrap(f"  {what:<16}{value}", WIDTH, subsequent_indent=indent, break_long_words=True) or [""]
    return "\n".join(text)


def main(names: Sequence[str]) -> int:
    """Shows the tasks named, or all."""
    from dlmreason import assembly

    folder = launch.conf_folder() / "task"
    known = sorted(path.stem for path in folder.glob("*.yaml"))
    if unknown := [name for name in names if name not in known]:
        print(f"task={unknown[0]} is unknown: use {', '.join(known)}", file=sys.stderr)
        return 2
    for name in names or known:
        about = _first_line(folder / f"{name}.yaml")
        tree = Tree(launch.conf_folder(), "experiment")
        try:
            with tree.open():
                settings = tree.settings([f"task={name}"], launch.RULES, ())
            settings["task"] |= {"cache": None} if "cache" in settings["task"] else {}
            print(block(name, about, list(rows(name, assembly.task_of(settings)))), end="\n\n", flush=True)
        except launch.BadInput as error:
            print(block(name, about, [("needs", str(error))]), end="\n\n", flush=True)
    print('A task of your own: README.md, "A task of your own".')
    return 0


def _first_line(path: Path) -> str:
    return next(iter(path.read_text(encoding="utf-8").splitlines()), "").removeprefix("#").strip()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
