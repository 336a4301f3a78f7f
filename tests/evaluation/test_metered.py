"""The law of the ledger, over real networks: charged + wasted = metered, to the FLOP, for every arm."""

from typing import Any

import pytest

from dlmreason.compute.flops import forward_flops, pass_flops
from dlmreason.evaluation.attempt import ANSWER
from dlmreason.networks.transformer import Transformer
from dlmreason.policies.presets import change_of_mind, ordered
from tests.evaluation.tiny import LADDER, autoregressive, diffusion, graphs, sudoku

Sent = list[tuple[int, int, bool]]


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> Sent:
    """(rows, positions, heads at one position of each row alone) of every call of any network."""
    calls: Sent = []
    real = Transformer.forward

    def forward(self: Any, tokens: Any, *args: Any, **kwargs: Any) -> Any:
        calls.append((*tokens.shape, kwargs.get("read") is not None))
        return real(self, tokens, *args, **kwargs)

    monkeypatch.setattr(Transformer, "forward", forward)
    return calls


@pytest.mark.parametrize("policy", [ordered(), change_of_mind(doubt=2, count=1)], ids=["ordered", "change_of_mind"])
@pytest.mark.parametrize("width", [1, 3, 16])
def test_passes(policy: Any, width: int, sent: Sent) -> None:
    task = sudoku(5)
    arm = diffusion(task, policy, width=width)
    tops = [
        next(each for each in group if each.rung == LADDER[-1] and each.variant == ANSWER)
        for group in arm.attempts(list(task.examples("test")), LADDER, 0)
    ]
    price = pass_flops(arm.network.shape, arm.length)
    metered = sum(rows * pass_flops(arm.network.shape, positions) for rows, positions, _ in sent)
    assert (arm.counts.charged + arm.counts.wasted) * price == metered == arm.meter.flops
    if policy.anytime:
        assert sum(each.flops for each in tops) == arm.counts.charged * price
    assert all(each.flops == each.nfe * price for each in tops)


@pytest.mark.parametrize("thought", [False, True])
@pytest.mark.parametrize("width", [1, 6, 32])
def test_chains(thought: bool, width: int, sent: Sent) -> None:
    task = graphs(4)
    arm = autoregressive(task, thought, passes=3, width=width)
    groups = list(arm.attempts(list(task.examples("test")), LADDER, 0))
    shape, whole = arm.network.shape, arm.charged.plus(arm.wasted)
    assert whole.queries == sum(rows * positions for rows, positions, _ in sent)
    assert whole.outputs == sum(rows * (1 if one else positions) for rows, positions, one in sent)
    assert min(arm.wasted) >= 0
    metered = forward_flops(shape, *arm.charged) + forward_flops(shape, *arm.wasted)
    assert metered == forward_flops(shape, *whole)
    charged = sum(max((each.flops for each in group), default=0) for group in groups)
    if thought:  # the chain that is seen not to fit the budget is written all the same
        assert charged <= forward_flops(shape, *arm.charged)
    else:
        assert charged == forward_flops(shape, *arm.charged)
