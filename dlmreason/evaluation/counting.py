"""Counters of a diffusion arm's rows, written beside its records.

This file decides which walks are counted already, and that a line is on the disk before the records of the same
example; what is counted belongs to `sampling.counters`.
"""

from collections.abc import Iterable, Sequence

from dlmreason.analysis.records import Counted, Writer
from dlmreason.evaluation.attempt import Example
from dlmreason.evaluation.diffusion import DiffusionArm
from dlmreason.sampling.state import State


def uncounted(
    arm: DiffusionArm, examples: Iterable[Example], ladder: Sequence[int], lines: Iterable[Counted]
) -> list[Example]:
    """Examples of which a walk is not in `lines`, which are all of one arm, seed and run; none where the arm counts
    nothing.

    A walk goes along the whole ladder, or one to each of its rungs.
    """
    if arm.counters is None:
        return []
    have = {(each.example, each.rung) for each in lines}
    ends = ladder[-1:] if arm.one_walk else ladder
    return [each for each in examples if any((each.id, rung) not in have for rung in ends)]


class Counting:
    """Told of each walk, it writes what has not been written.

    known: the lines there are, all of this arm, seed and run.
    """

    def __init__(
        self, arm: DiffusionArm, name: str, seed: int, run_key: str, writer: Writer, known: Iterable[Counted]
    ) -> None:
        if arm.counters is None:
            raise ValueError(f"arm {name!r} counts nothing: make it with counted=True")
        self._counters, self._of, self._writer = arm.counters, (name, seed, run_key), writer
        self._have = {(each.example, each.rung) for each in known}

    def __call__(self, example: Example, rung: int, state: State) -> None:
        """A walk to `rung` has ended in `state`, of one row."""
        if (example.id, rung) in self._have:
            return
        name, seed, run_key = self._of
        told = self._counters.told(state, rung)
        self.take(
            [Counted(name, example.id, seed, rung, int(state.nfe), self._counters.still, run_key=run_key, **told)]
        )

    def take(self, lines: Iterable[Counted]) -> None:
        """Writes those of given lines of this arm, seed and run that were not."""
        for line in lines:
            if (line.example, line.rung) not in self._have:
                self._writer.append(line)
                self._have.add((line.example, line.rung))
