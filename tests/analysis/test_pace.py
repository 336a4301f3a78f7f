"""What an answer takes, from what a call was measured to take."""

import pytest

from dlmreason.analysis.comparison import At
from dlmreason.analysis.pace import latency, paces, throughput
from dlmreason.analysis.records import Measurement, RecordsError


def measurement(arm: str, batch: int, call: float, key: str = "k") -> Measurement:
    return Measurement(arm, "token", batch, 10, 10 * call, call, call / batch, None, None, {}, "cpu", 2, key)


MEASURED = [measurement("thought", 1, 0.012), measurement("thought", 101, 0.112), measurement("passes", 1, 0.02)]


def test_a_call_takes_so_long_and_so_much_more_for_each_row() -> None:
    pace = paces(MEASURED)["thought"]
    assert pace == pytest.approx((0.011, 0.001, 0.112 / 101))
    assert pace.call + 101 * pace.row == pytest.approx(0.112)
    assert paces(MEASURED)["passes"] == pytest.approx((0.02, 0.0, 0.02))


def test_chains_are_rows_of_one_call_and_passes_wait(make) -> None:
    axis = latency(MEASURED)
    chains = make("thought.vote", 8, sequential_depth=40, events={"chains": 9})
    assert axis.cost(At("thought.vote", 8), chains) == pytest.approx(40 * (0.011 + 9 * 0.001))
    assert axis.cost(At("passes", 8), make("passes", 8, sequential_depth=8)) == pytest.approx(8 * 0.02)


def test_a_full_device_is_shared_by_its_rows(make) -> None:
    chains = make("thought.vote", 8, nfe=300, sequential_depth=40, events={"chains": 9})
    assert throughput(MEASURED).cost(At("thought.vote", 8), chains) == pytest.approx(300 * 0.112 / 101)


def test_a_faster_full_batch_does_not_make_rows_pay(make) -> None:
    assert paces([measurement("a", 1, 0.02), measurement("a", 5, 0.01)])["a"].row == 0


def test_what_was_not_measured_or_on_two_machines_is_refused(make) -> None:
    with pytest.raises(RecordsError, match=r"other was not measured: .*budget\.time=true"):
        latency(MEASURED).cost(At("other", 8), make("other", 8))
    with pytest.raises(RecordsError, match="several"):
        paces([*MEASURED, measurement("thought", 7, 0.1, key="another")])
