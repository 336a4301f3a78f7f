"""How long an arm takes for a pass or a token, alone and in a full batch.

This file decides what is timed: the arm's own work on its own examples, policy, bookkeeping and the reading of prompts
included, after a round that nothing is read of, in which memory is allotted and kernels are chosen. The denominator is
the calls that the network really got. It knows no task and no clock.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from dlmreason.analysis.records import Measurement
from dlmreason.compute.measure import Meters, measured, meters_of
from dlmreason.evaluation.attempt import Example
from dlmreason.evaluation.autoregressive import AutoregressiveArm
from dlmreason.evaluation.diffusion import DiffusionArm

PLENTY = 1 << 40
"""A budget that buys every chain that is asked for."""


class _Counted:
    """A causal network that counts its calls for one token a row; prompts are read in calls of many."""

    def __init__(self, network: Any) -> None:
        self._network, self.calls = network, 0

    def __call__(self, tokens: Tensor, *args: Any, **kwargs: Any) -> Any:
        self.calls += tokens.shape[1] == 1
        return self._network(tokens, *args, **kwargs)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._network, name)


def timed(
    arm: DiffusionArm | AutoregressiveArm,
    examples: Sequence[Example],
    *,
    passes: int,
    seed: int,
    run_key: str,
    repeats: int = 3,
    meters: Callable[[torch.device], Meters] = meters_of,
) -> list[Measurement]:
    """One measurement at batch 1 and one at the arm's own width.

    passes: of the diffusion arm for each answer, at most.  repeats: rounds that are measured together, 1 or more.
    """
    if repeats < 1 or not examples:
        raise ValueError(f"repeats={repeats} of {len(examples)} examples: time 1 or more of both")
    found = []
    for batch in dict.fromkeys((1, arm.width)):
        work, calls = _work(arm, batch, examples, passes, seed)
        work()
        before = calls()

        def rounds(work: Callable[[], object] = work) -> None:
            for _ in range(repeats):
                work()

        device = next(arm.network.parameters()).device
        told = measured(rounds, meters(device))
        made, seconds = calls() - before, told.seconds.value or 0.0
        found.append(
            Measurement(
                arm=arm.name,
                what="pass" if isinstance(arm, DiffusionArm) else "token",
                batch=batch,
                calls=made,
                seconds=seconds,
                seconds_per_call=seconds / made,
                seconds_per_row=seconds / made / batch,
                peak_bytes=None if told.peak_bytes.value is None else int(told.peak_bytes.value),
                joules=told.joules.value,
                missing={name: each.reason for name, each in told._asdict().items() if each.value is None},
                device=str(device),
                threads=torch.get_num_threads(),
                run_key=run_key,
            )
        )
    return found


def _work(
    arm: DiffusionArm | AutoregressiveArm, batch: int, examples: Sequence[Example], passes: int, seed: int
) -> tuple[Callable[[], object], Callable[[], int]]:
    """What is timed, and how many calls it has made so far: `batch` rows, or as many as there are examples for."""
    few = list(examples[:batch])
    if isinstance(arm, DiffusionArm):
        wide = replace(arm, width=batch)
        return (lambda: list(wide.attempts(few, (passes,), seed))), (lambda: wide.meter.calls)
    counted = _Counted(arm.network)
    chains = replace(arm, network=counted, width=batch, most=-(-batch // len(few)))
    return (lambda: list(chains.attempts(few, (PLENTY,), seed))), (lambda: counted.calls)
