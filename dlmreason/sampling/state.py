"""What the sampler is given of a row, and all that it keeps of one between two passes."""

from typing import Any, NamedTuple

from torch import Tensor

from dlmreason.canvas import Ask, Memory


class Rows(NamedTuple):
    """Examples as the sampler takes them."""

    id: Tensor  # [N] int64, the example's own id: what its noise is a function of
    tokens: Tensor  # [N, L] int64, the given tokens; what stands at editable positions is for `begun` samplers alone
    editable: Tensor  # [N, L] bool
    features: Tensor  # [N, L, F] int64
    gold: Tensor  # [N, L] int64, the known answer, for counting events; mask_id where there is none


class State(NamedTuple):
    """All that a row needs to go on, and what it said at each rung. A pytree of tensors, first axis = rows."""

    rows: Rows
    index: Tensor  # type: ignore[assignment]  # [B] int64, the pass that is made next; at least the total when finished
    nfe: Tensor  # [B] int64, calls of the denoiser so far
    tokens: Tensor  # [B, L] the working canvas
    committed: Tensor  # [B, L] the last token written at each position
    ask: Ask
    memory: Memory
    answer: Tensor  # [B, L] what it says now
    score: Tensor  # [B] float64
    events: Tensor  # [B, K] int64, see events.KINDS
    answers: Tensor  # [B, R, L] what it said at each rung
    scores: Tensor  # [B, R]
    canvases: Tensor  # [B, R, L] the last committed tokens at each rung
    spent: Tensor  # [B, R] int64, calls made by each rung
    changes: Tensor  # [B, R, K] int64, events by each rung
    life: Any = ()  # what a `Counters` keeps
