"""Laws of timing: what it divides by is what the network was really called for, at the batch that is named."""

from collections.abc import Callable
from itertools import count
from typing import Any

import pytest
import torch

from dlmreason.compute.measure import Meters, Seconds, Told
from dlmreason.evaluation.timing import timed
from dlmreason.networks.transformer import Transformer
from dlmreason.policies.presets import ordered
from tests.evaluation.tiny import autoregressive, diffusion, graphs

TASK = graphs(5)
EXAMPLES = list(TASK.examples("test"))
ARMS: dict[str, Callable[[], Any]] = {
    "diffusion": lambda: diffusion(TASK, ordered(), width=3),
    "answer": lambda: autoregressive(TASK, False),
    "thought": lambda: autoregressive(TASK, True, width=8),
}


class Says:
    def __init__(self, told: Told) -> None:
        self.told = told

    def begin(self) -> None:
        pass

    def end(self) -> Told:
        return self.told


def fake(device: torch.device) -> Meters:
    """Every work takes 6 seconds; energy is not told."""
    ticks = count(0, 6)
    return Meters(Seconds(clock=lambda: float(next(ticks))), Says(Told(1234)), Says(Told(None, "no counter")))


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    """(rows, positions) of every call of any network."""
    calls: list[tuple[int, int]] = []
    real = Transformer.forward

    def forward(self: Any, tokens: Any, *args: Any, **kwargs: Any) -> Any:
        calls.append(tuple(tokens.shape))
        return real(self, tokens, *args, **kwargs)

    monkeypatch.setattr(Transformer, "forward", forward)
    return calls


@pytest.mark.parametrize("name", ARMS)
@pytest.mark.parametrize("repeats", [1, 2])
def test_what_is_divided_by_is_what_the_network_was_called_for(
    name: str, repeats: int, sent: list[tuple[int, int]]
) -> None:
    arm = ARMS[name]()
    found = timed(arm, EXAMPLES, passes=4, seed=0, run_key="k", repeats=repeats, meters=fake)
    assert [each.batch for each in found] == [1, arm.width]
    writes = [rows for rows, positions in sent if name == "diffusion" or positions == 1]
    for each in found:
        # A round to warm up is not counted among the repeats.
        assert each.calls * (repeats + 1) == writes.count(each.batch) * repeats > 0
        assert (each.seconds, each.seconds_per_call) == (6.0, 6.0 / each.calls)
        assert each.seconds_per_row == each.seconds_per_call / each.batch
        assert each.what == ("pass" if name == "diffusion" else "token")
        assert (each.peak_bytes, each.joules, each.missing) == (1234, None, {"joules": "no counter"})
        assert (each.arm, each.run_key, each.device) == ("it", "k", "cpu")
    assert set(writes) == {1, arm.width}


def test_timing_changes_nothing_of_the_arm() -> None:
    arm = ARMS["diffusion"]()
    timed(arm, EXAMPLES, passes=2, seed=0, run_key="k", meters=fake)
    assert (arm.meter.calls, arm.counts.charged, arm.width) == (0, 0, 3)


def test_the_real_meters_tell_what_is_there() -> None:
    found = timed(ARMS["answer"](), EXAMPLES, passes=2, seed=0, run_key="k", repeats=1)
    for each in found:
        assert each.seconds > 0 and (each.peak_bytes or 0) > 2**20
        assert (each.joules is None) == ("joules" in each.missing)


@pytest.mark.parametrize(("repeats", "examples"), [(0, 5), (1, 0)])
def test_nothing_cannot_be_timed(repeats: int, examples: int) -> None:
    with pytest.raises(ValueError, match=f"repeats={repeats} of {examples} examples"):
        timed(ARMS["answer"](), EXAMPLES[:examples], passes=1, seed=0, run_key="k", repeats=repeats)
