"""What stands of a thought before an arm writes, and what is kept of the thought that it wrote.

This file decides which positions stand, and that a thought's text goes into the records with what the task says of it.
It knows no kind of arm and no task's rules.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from dlmreason.sampling.state import Rows

EDITABLE, GIVEN = "editable", "given"
BEGINS = (EDITABLE, GIVEN)
"""How a thought may begin: with a wrong step that may be taken back, or that stands as the prompt does."""


@dataclass(frozen=True)
class Thoughts:
    """Of an arm whose thoughts are kept.

    task: the arm's.  begins: one of BEGINS, for which the task's thoughts must correct themselves; None: with nothing.

    Raises: ValueError where they do not.
    """

    task: Any
    begins: str | None = None

    def __post_init__(self) -> None:
        if self.begins is not None and not hasattr(self.task, "begun"):
            raise ValueError(
                f"begins={self.begins}: thoughts of {self.task.name} do not correct themselves, so none can begin with "
                "a wrong step to be taken back: use such a task, as task=correcting is, or begins=null"
            )

    def asked(self, example: Any) -> tuple[Any, int]:
        """The example as it is asked, and how many tokens of its thought stand before anything is written."""
        if self.begins is None:
            return example, 0
        begun = self.task.begun(example)
        return begun.example, begun.tokens

    def standing(self, rows: Rows, counts: Iterable[int], mask_id: int) -> Rows:
        """The rows, the first `counts` of whose editable positions stand, and all others are blank."""
        first, place = rows.editable.int().argmax(-1, keepdim=True), torch.arange(rows.tokens.shape[1])
        count = torch.tensor(list(counts)).to(first.device)[:, None]
        place = place.to(first.device)
        stands = (place >= first) & (place < first + count)
        tokens = torch.where(rows.editable & ~stands, mask_id, rows.tokens)
        editable = rows.editable & ~stands if self.begins == GIVEN else rows.editable
        return rows._replace(tokens=tokens, editable=editable)

    def rows(self, examples: Sequence[Any], blank: Callable[[Sequence[Any]], Rows], mask_id: int) -> Rows:
        asked = [self.asked(each) for each in examples]
        return self.standing(blank([each for each, _ in asked]), [count for _, count in asked], mask_id)

    def told(self, example: Any, rows: Rows, sheet: Any, says: Tensor) -> tuple[str, dict[str, int]]:
        thought = says[0, int(sheet.editable.argmax()) : sheet.answer_at - 1]
        return self.read(example, self.task.vocabulary(True), thought.tolist())

    def read(self, example: Any, vocabulary: Any, tokens: Iterable[int]) -> tuple[str, dict[str, int]]:
        """The text of a written thought, without padding, and the task's own numbers of it, where it has some."""
        text = vocabulary.decode([token for token in tokens if token != vocabulary.pad_id])
        numbers = getattr(self.task, "told_of", None)
        return text, numbers(example, text, self.begins is not None) if numbers else {}
