"""A model deliberates before one's eyes: `python -m dlmreason.watch puzzle=<puzzle> [checkpoint=...] [policy=...]`.

On a terminal the canvas is redrawn as passes are made; elsewhere it is one line for each pass that changed something,
fewer as they go on. This file decides what is shown when; the passes are those of an evaluation and of `solve`.
"""

import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

from dlmreason import launch
from dlmreason.solve import Solver, Watcher, load


def board_of(solver: Solver, example: Any) -> Any:
    """The `reports.live.Board` of an example; nothing is right or wrong where its answer is not known."""
    from dlmreason.evaluation.attempt import canvas_sheet
    from dlmreason.reports.live import Board

    task, thought = solver.task, solver.trained.thought
    vocabulary, layout = task.vocabulary(thought), task.layout
    sheet = canvas_sheet(task, example, thought, solver.trained.network.shape.prompt)
    known = bool(example.answer)
    gold = [int(token) if known and can else None for token, can in zip(sheet.tokens, sheet.editable, strict=True)]
    symbols = tuple(vocabulary.symbol(token) for token in range(vocabulary.mask_id))
    given = tuple(not can for can in sheet.editable.tolist())
    if thought or layout.rows == 1:  # a text: all of it, on one line that folds
        return Board(symbols, given, tuple(gold), 0, 1, len(given), 1, len(given))
    boxes = layout.box_rows, layout.box_columns
    return Board(symbols, given, tuple(gold), layout.first, layout.rows, layout.columns, *boxes)


class Screen:
    """Draws each pass. pace: passes a second, not faster; None as they come."""

    def __init__(self, board: Any, title: str, most: int, pace: float | None, draw: Callable[[Any], None]) -> None:
        from dlmreason.reports.live import Tally

        self._board, self._title, self._most, self._pace, self._draw = board, title, most, pace, draw
        self._started, self._tally = time.monotonic(), Tally()
        self._before: list[int] | None = None

    def __call__(self, frame: dict[str, Any], canvas: list[int]) -> None:
        from dlmreason.reports.live import Step, screen

        step = Step(frame["pass"], self._before or canvas, canvas, frame["quality"], frame["score"])
        self._before, self._tally = canvas, self._tally.after(step, self._board)
        if self._pace:
            time.sleep(max(0.0, self._started + step.passes / self._pace - time.monotonic()))
        rate = step.passes / max(time.monotonic() - self._started, 1e-9)
        self._draw(screen(step, self._tally, self._board, self._title, self._most, rate))


def main(settings: launch.Settings) -> int:
    """The entry point."""
    from rich.console import Console
    from rich.live import Live

    from dlmreason.assembly_arms import policy_of
    from dlmreason.sampling.guard import BadMove

    with launch.refused("checkpoint", ValueError):
        solver = load(settings["checkpoint"])
    policy = policy_of(settings["policy"], "policy", settings["trusted"], solver.trained.taught)
    puzzle, passes, pace = str(settings["puzzle"]), settings["budget"]["passes"], settings["pace"]
    with launch.refused("puzzle", ValueError):
        example = solver.task.example(puzzle)
    board, console = board_of(solver, example), Console()
    show: Watcher = solver.lines(sys.stdout)
    with ExitStack() as stack:
        if console.is_terminal:
            live = stack.enter_context(Live(console=console, auto_refresh=False))
            title = f"{settings['policy']['name']} on {solver.task.name}"
            show = Screen(board, title, passes, pace, lambda shown: live.update(shown, refresh=True))
        stack.enter_context(launch.refused("policy", BadMove, ValueError))
        # Slowed down, each pass is a picture; else a chunk is walked without waiting for the device.
        solution = solver.solve(puzzle, passes, policy, settings["seed"], show, chunk=1 if pace else 32)
    print(f"\n{solution}")
    return 0


if __name__ == "__main__":
    sys.exit(launch.run(main, "watch"))
