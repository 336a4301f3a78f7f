"""Works that take turns, round by round: what is timed, in which order, and what need not be timed again.

A round goes once along the whole axis, with every arm and every batch, so that a busy minute hits all of them, and its
first works are the yardsticks by which the formula prices the others. Within a place the arms are timed one after
another, each round beginning with another one. This file decides that order, what is left to the formula because it
would take too long, and what a row says; it writes no file.
"""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch

from dlmreason.analysis.records import Speed
from dlmreason.analysis.speeds import PRODUCT, formula
from dlmreason.compute.measure import Meter, Seconds, meters_of
from dlmreason.measuring.paces import fixed
from dlmreason.measuring.works import Arm, Autoregressive, Begun, Diffusion, Sizes, Work

AXES = ("answer", "context")
CLOCKS = ("wall", "processor")
SIDE = 768
"""Of the matrices whose product is the yardstick of FLOPs."""
LEAST = 16
"""Tokens of the answer by which the least call is timed, and passes over as many positions."""


class Place(NamedTuple):
    """Where an arm is timed; `at` 0 is a yardstick."""

    arm: str
    at: int
    batch: int


@dataclass(frozen=True)
class Plan:
    """What is measured.

    arms: by name.  axis: of AXES, what grows.  values: its places, ascending, tokens.  other: tokens of the axis that
    stays.  batches: rows answered together.  rounds: of all places.  longest: seconds that an answer may be foretold to
    take; one that would take longer is not timed.  clock: of CLOCKS; `processor` counts the seconds that the one thread
    really worked, which on an idle machine are those that pass, and is what a machine that others use can tell.

    Raises: ValueError for an axis that is none, a clock that does not fit the device, or lengths that an arm cannot
    take.
    """

    arms: Mapping[str, Arm]
    axis: str
    values: Sequence[int]
    other: int
    batches: Sequence[int]
    rounds: int
    longest: float
    sizes: Sizes
    clock: str = "wall"

    def works(self, device: torch.device) -> dict[Place, Work]:
        """Every place of a round, yardsticks first; nothing is begun."""
        if self.axis not in AXES:
            raise ValueError(f"axis={self.axis} must be one of {', '.join(AXES)}")
        self.meter(device)
        works = {}
        for batch in self.batches:
            token = Autoregressive().work(self.sizes, LEAST, LEAST, batch, device)
            least = Diffusion(fixed(LEAST, LEAST)).work(self.sizes, LEAST, LEAST, batch, device)
            works[Place(PRODUCT, 0, batch)] = _product(device)
            works |= {Place(each.what, 0, batch): each for each in (token, least)}
        for batch in self.batches:
            for at in self.values:
                context, answer = (self.other, at) if self.axis == "answer" else (at, self.other)
                for name, arm in self.arms.items():
                    works[Place(name, at, batch)] = arm.work(self.sizes, context, answer, batch, device)
        return works

    def meter(self, device: torch.device) -> Meter:
        """What times a work."""
        if self.clock == "wall":
            return meters_of(device).seconds
        if self.clock != "processor" or device.type != "cpu" or torch.get_num_threads() != 1:
            raise ValueError(
                f"clock={self.clock} must be one of {', '.join(CLOCKS)}, and processor is for one thread of a CPU: "
                f"this is {device.type}, {torch.get_num_threads()} threads"
            )
        return Seconds(clock=time.process_time)


def _product(device: torch.device) -> Work:
    def begin() -> Begun:
        left, right = (torch.ones(SIDE, SIDE, device=device) for _ in range(2))
        return lambda: left @ right

    return Work(PRODUCT, 1, 2 * SIDE**3, begin)


def measured(
    plan: Plan, known: Iterable[Speed], device: torch.device, run_key: str, say: Callable[[str], None]
) -> Iterator[list[Speed]]:
    """The rows that are still missing, those of a place together. known: rows of the same run.

    Raises: ValueError, see `Plan`.
    """
    works = plan.works(device)
    rows = list(known)
    have = {(Place(row.arm, row.at, row.batch), row.round) for row in rows}
    left = {Place(row.arm, row.at, row.batch) for row in rows if row.seconds is None}
    begun: dict[Place, Begun] = {}
    clock = plan.meter(device)

    @torch.inference_mode()
    def timed(place: Place) -> float:
        if place not in begun:
            begun[place] = works[place].begin()
            begun[place]()  # memory is allotted, and kernels are chosen
        clock.begin()
        begun[place]()
        return clock.end().value or 0.0

    for number in range(plan.rounds):
        missing = [place for place in works if (place, number) not in have and place not in left]
        if missing:
            say(f"round {number + 1} of {plan.rounds}: {len(missing)} answers and yardsticks to time")
        for group in _together(missing):
            found = []
            for place in _turned(group, number):
                seconds = None if place.at and _long(plan, works[place], place, rows) else timed(place)
                if seconds is None:
                    left.add(place)
                work, threads = works[place], torch.get_num_threads()
                told = work.what, work.calls, work.flops, seconds, plan.clock, str(device), threads, run_key
                found.append(Speed(place.arm, plan.axis, place.at, place.batch, number, *told))
            rows += found
            yield found


def _long(plan: Plan, work: Work, place: Place, rows: Sequence[Speed]) -> bool:
    told = formula(row for row in rows if row.batch == place.batch)
    return told.seconds(work.what, work.calls, work.flops) > plan.longest


def _together(places: Sequence[Place]) -> Iterator[list[Place]]:
    """Those of one batch and one place of the axis, in the order in which they come."""
    groups: dict[tuple[int, int], list[Place]] = {}
    for place in places:
        groups.setdefault((place.batch, place.at), []).append(place)
    # Yardsticks of all batches first: the formula is asked of what follows.
    yield from sorted(groups.values(), key=lambda group: group[0].at > 0)


def _turned(group: Sequence[Place], number: int) -> list[Place]:
    first = number % len(group)
    return [*group[first:], *group[:first]]
