"""One puzzle, solved before one's eyes: `dlmreason.load(path).solve(puzzle, passes=1024)`, or `make solve PUZZLE=...`.

This file decides what a person sees of one answer; the passes are the same as in an evaluation.
"""

import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TextIO

from dlmreason import launch

Watcher = Callable[[dict[str, Any], list[int]], None]
"""Told of a pass: its frame, as of `sampling.trace.Trace`, and the canvas after it, tokens [L]."""


@dataclass(frozen=True)
class Solution:
    """What came of one puzzle."""

    answer: str
    correct: bool  # by the task's own judge
    reason: str  # "" when correct
    passes: int  # calls of the network
    score: float | None
    frames: list[dict[str, Any]] = field(repr=False)  # as sampling.trace.Trace
    board: str = field(repr=False)

    def __str__(self) -> str:
        verdict = "right" if self.correct else f"wrong: {self.reason}"
        return f"{self.board}\n{verdict}, after {self.passes:,} passes"


class Solver:
    """A checkpoint that answers puzzles."""

    def __init__(self, folder: Path | str) -> None:
        """folder: a checkpoint, or an output folder with one diffusion model.

        Raises: ValueError for a checkpoint that is missing or damaged, or of an autoregressive model.
        """
        from dlmreason import assembly

        trained, about = assembly.loaded(_checkpoint(Path(folder)))
        if trained.kind != "diffusion":
            raise ValueError(
                f"{folder} holds an autoregressive model, which has no passes: give a diffusion model's folder"
            )
        self.trained = trained
        settings = about["task"]["settings"]
        without_file = {key: None if key == "file" else value for key, value in settings.items()}
        self.task = assembly.task_of({"task": without_file, "trusted": []})
        if list(self.task.vocabulary(trained.thought).symbols) != about["vocabulary"]["symbols"]:
            raise ValueError(f"{folder}: its task's symbols are no longer those that it was trained with")

    def solve(
        self,
        puzzle: str,
        passes: int = 1024,
        policy: Any = None,
        seed: int = 0,
        watch: Watcher | None = None,
        chunk: int = 32,
        compile: bool = False,
    ) -> Solution:
        """Answers one puzzle. policy: `change_of_mind` by default.  watch: told of the passes as they are made, `chunk`
        at a time.  compile: as `networks.compiled`, for very many passes.

        Raises: ValueError for a puzzle that is none, with the reason, for fewer than 1 pass, for a policy that needs
        what the network was not taught, or where there is nothing to compile with.
        """
        from dlmreason.assembly_arms import denoiser_of
        from dlmreason.evaluation.diffusion import DiffusionArm
        from dlmreason.networks.compiled import compiled
        from dlmreason.policies.facts import check_sound
        from dlmreason.policies.presets import change_of_mind

        policy, network, thought = policy or change_of_mind(), self.trained.network, self.trained.thought
        check_sound(policy, **self.trained.taught._asdict())
        if passes < 1:
            raise ValueError(f"passes={passes}: must be a whole number of 1 or more")
        example = self.task.example(puzzle)
        denoiser = denoiser_of(compiled(network) if compile else network, self.task, thought)
        arm = DiffusionArm("solve", self.task, network, denoiser, policy, width=1, chunk=chunk, thought=thought)
        canvas: list[int] = []
        shown = 0

        def show(story: Any) -> None:
            nonlocal canvas, shown
            canvas = canvas or list(story.start)
            for frame in story.frames[shown:]:
                for position, token in frame["changes"]:
                    canvas[position] = token
                if watch is not None:
                    watch(frame, list(canvas))
            shown = len(story.frames)

        attempt, story = arm.watched(example, passes, seed, show)
        verdict = self.task.verify(example, attempt.answer)
        return Solution(
            attempt.answer,
            verdict.correct,
            verdict.reason,
            attempt.nfe,
            attempt.score,
            story.frames,
            self._board(attempt.answer),
        )

    def lines(self, file: TextIO) -> Watcher:
        """Writes a line for each pass that changed something, fewer as they go on."""
        vocabulary = self.task.vocabulary(self.trained.thought)
        shown = 0

        def write(frame: dict[str, Any], canvas: list[int]) -> None:
            nonlocal shown
            if frame["pass"] >= shown:
                cells = " ".join("." if token == vocabulary.mask_id else vocabulary.symbol(token) for token in canvas)
                score = "" if frame["score"] is None else f"  best quality {frame['score']:.3f}"
                file.write(f"pass {frame['pass']:>6,}  {cells}{score}\n")
                shown = max(frame["pass"] + 1, int(frame["pass"] * 1.25))

        return write

    def _board(self, answer: str) -> str:
        """The answer as it lies before a person."""
        layout, cells = self.task.layout, answer.split(" ")
        if layout.rows == 1:
            return answer
        lines = []
        for row in range(layout.rows):
            if row and row % layout.box_rows == 0:
                lines.append("")
            here = cells[row * layout.columns : (row + 1) * layout.columns]
            boxes = [
                " ".join(here[at : at + layout.box_columns]) for at in range(0, layout.columns, layout.box_columns)
            ]
            lines.append("   ".join(boxes))
        return "\n".join(lines)


def load(path: Path | str) -> Solver:
    """The model of a checkpoint or output folder, ready to answer. Raises: ValueError."""
    return Solver(path)


def _checkpoint(folder: Path) -> Path:
    """The folder itself, or the diffusion model of an output folder."""
    models = folder / "models" / "diffusion"
    return models if models.is_dir() else folder


def main(settings: launch.Settings) -> int:
    """The entry point."""
    from dlmreason.assembly_arms import policy_of
    from dlmreason.sampling.guard import BadMove

    with launch.refused("checkpoint", ValueError):
        solver = load(settings["checkpoint"])
    policy = policy_of(settings["policy"], "policy", settings["trusted"], solver.trained.taught)
    with launch.refused("puzzle", ValueError), launch.refused("policy", BadMove):
        solution = solver.solve(
            str(settings["puzzle"]),
            settings["budget"]["passes"],
            policy,
            settings["seed"],
            solver.lines(sys.stdout),
            compile=settings["budget"]["compile"],
        )
    print(f"\n{solution}")
    return 0


if __name__ == "__main__":
    sys.exit(launch.run(main, "solve"))
