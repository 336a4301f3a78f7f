"""What was spent: a cost that adds up, and a meter between the sampler and the network.

This file decides what a cost consists of and counts the rows that really went through the network. It knows no
network, task or policy. The law that the sampler is held to: charged + wasted = metered.
"""

from typing import Any, NamedTuple

from torch import Tensor

from dlmreason.canvas import Ask, Denoiser, Reading, Seat, seat_of


class Cost(NamedTuple):
    """What an answer cost. `+` is one after the other, `beside` is at the same time; `sum(costs, Cost())` works."""

    nfe: int = 0  # calls of the network for this row
    scheduled_passes: int = 0  # passes of the clock, those without a call included
    sequential_depth: int = 0  # calls that had to wait for one another
    tokens: int = 0  # tokens written
    flops: int = 0  # charged
    wasted_flops: int = 0  # paid beside them: padding rows, and rows that were already done

    def __add__(self, other: tuple[Any, ...]) -> "Cost":
        return Cost(*(one + two for one, two in zip(self, Cost(*other), strict=True)))

    def beside(self, other: "Cost") -> "Cost":
        """Both at the same time: the depth is the longer one's, all else adds up."""
        return (self + other)._replace(sequential_depth=max(self.sequential_depth, other.sequential_depth))


class Metered:
    """A denoiser that counts what goes through it: calls, rows as they were sent, rows that sat down, FLOPs."""

    def __init__(self, denoiser: Denoiser, per_row_flops: int, per_seat_flops: int = 0) -> None:
        """per_row_flops: what one row of one call costs, `flops.cached_pass_flops` of the sheets that will be sent, or
        `flops.block_call_flops`.  per_seat_flops: what a row costs that sits down, `flops.prompt_flops`."""
        self.denoiser = denoiser
        self.per_row_flops, self.per_seat_flops = per_row_flops, per_seat_flops
        self.calls = 0
        self.rows = 0
        self.seated = 0

    @property
    def mask_id(self) -> int:
        return self.denoiser.mask_id

    @property
    def uses_level(self) -> bool:
        return self.denoiser.uses_level

    @property
    def flops(self) -> int:
        """Of every row that was sent, padding included."""
        return self.rows * self.per_row_flops + self.seated * self.per_seat_flops

    def first_carry(self, rows: int) -> Any:
        return self.denoiser.first_carry(rows)

    @property
    def seat(self) -> Seat | None:
        inner = seat_of(self.denoiser)
        if inner is None:
            return None

        def counted(tokens: Tensor, editable: Tensor, features: Tensor) -> Any:
            self.seated += len(tokens)
            return inner(tokens, editable, features)

        return counted

    def __call__(self, ask: Ask, features: Any) -> Reading:
        self.calls += 1
        self.rows += ask.tokens.shape[0]
        return self.denoiser(ask, features)
