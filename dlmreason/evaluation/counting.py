"""Counters of a diffusion arm's rows, written beside its records.

This file decides which walks are counted already, and that a line is on the disk before the records of the same
example; what is counted belongs to `sampling.counters`.
"""

from collections.abc import Iterable, Sequence

from dlmreason.analysis.records import Counted, Writer
from dlmreason.evaluation.attempt import Example
from dlmreason.evaluation.diffusion import DiffusionArm
from dlmreason.sampling.denoise import State


class Counting:
    """Told of each walk, it writes what has not been written.

    known: the lines there are, those of other arms and runs among them.
    """

    def __init__(
        self, arm: DiffusionArm, name: str, seed: int, run_key: str, writer: Writer, known: Iterable[Counted]
    ) -> None:
        if arm.counters is None:
            raise ValueError(f"arm {name!r} counts nothing: make it with counted=True")
        self._arm, self._counters = arm, arm.counters
        self._of, self._writer = (name, seed, run_key), writer
        self._have = {(each.example, each.rung) for each in known if (each.arm, each.seed, each.run_key) == self._of}

    def missing(self, examples: Iterable[Example], ladder: Sequence[int]) -> list[Example]:
        """Examples of which a walk is not counted: one along the whole ladder, or one to each of its rungs."""
        ends = ladder[-1:] if self._arm.policy.anytime else ladder
        return [each for each in examples if any((each.id, rung) not in self._have for rung in ends)]

    def __call__(self, example: Example, rung: int, state: State) -> None:
        """A walk to `rung` has ended in `state`, of one row."""
        if (example.id, rung) in self._have:
            return
        name, seed, run_key = self._of
        told = self._counters.told(state, rung)
        line = Counted(name, example.id, seed, rung, int(state.nfe), self._counters.still, run_key=run_key, **told)
        self._writer.append(line)
        self._have.add((example.id, rung))
