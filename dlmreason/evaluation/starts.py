"""What may stand on an arm's canvases before the first pass.

This file decides what such a start is asked: the rows with it, and what became of it. Which tokens stand is decided by
each kind: thoughts that begin with a wrong step, a first block that was written before, whole answers with errors.
"""

from collections.abc import Callable, Sequence
from typing import Protocol

from torch import Tensor

from dlmreason.evaluation.attempt import Example, Sheet
from dlmreason.sampling.state import Rows

Fate = tuple[str | None, dict[str, int]]
"""The text of a thought, None where none is kept, and numbers for the record's events."""


class Start(Protocol):
    """A function of the examples alone, so that every policy and every budget meets the same one."""

    def rows(self, examples: Sequence[Example], blank: Callable[[Sequence[Example]], Rows], mask_id: int) -> Rows:
        """The rows of these examples, with what stands at editable positions, `mask_id` where nothing does.

        blank: makes rows of examples.  Raises: ValueError for an example that cannot begin so.
        """
        ...

    def told(self, example: Example, rows: Rows, sheet: Sheet, says: Tensor) -> Fate:
        """What became of it in an answer, or a canvas, `says` [1, L]. rows: the example's own."""
        ...
