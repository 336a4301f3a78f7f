"""What fewer passes cost, against records written by hand."""

import pytest

from dlmreason.analysis.comparison import At, compare, table
from dlmreason.analysis.halving import steps
from dlmreason.analysis.records import Measurement, RecordsError


def measurement(arm: str, batch: int, call: float) -> Measurement:
    return Measurement(arm, "pass", batch, 10, 10 * call, call, call / batch, None, None, {}, "cpu", 1, "k")


@pytest.fixture
def found(make):
    """Of ten puzzles the full length is right on eight, half of it on six of these, and another arm on all."""
    rows = [make("a", 4, n, n < 8) for n in range(10)] + [make("a", 2, n, n < 6) for n in range(10)]
    return table(rows + [make("b", 4, n, True, nfe=1) for n in range(10)])


def test_each_budget_is_held_against_the_full_length(found) -> None:
    half, full, other = steps(found, At("a", 4))
    assert [each.at for each in (half, full, other)] == [At("a", 2), At("a", 4), At("b", 4)]
    assert half.against == compare(found, At("a", 4), At("a", 2)) and half.against.gain == pytest.approx(-0.2)
    assert (full.against.gain, full.against.only_first, full.against.only_second) == (0, 0, 0)
    assert (half.passes, half.flops, half.accuracy) == (2, 20, 0.6)
    assert {(each.alone, each.full, each.faster) for each in (half, full, other)} == {(None, None, None)}


def test_seconds_are_passes_at_their_measured_pace_and_half_the_passes_are_twice_as_fast(found) -> None:
    measured = [measurement("a", 1, 0.01), measurement("a", 11, 0.02), measurement("b", 1, 0.03)]
    half, full, other = steps(found, At("a", 4), measured)
    assert (half.alone, full.alone) == pytest.approx((0.02, 0.04))
    assert full.full == pytest.approx(4 * 0.02 / 11)
    assert (full.faster, half.faster) == pytest.approx((1, 2))
    assert other.faster == pytest.approx(full.full / 0.03), "another arm's pace is its own"


def test_a_full_length_that_was_not_run_is_refused(found) -> None:
    with pytest.raises(RecordsError, match="a has no answers at 8"):
        steps(found, At("a", 8))
    with pytest.raises(RecordsError, match="b was not measured"):
        steps(found, At("a", 4), [measurement("a", 1, 0.01)])
