"""Laws of schedules and of the times of a batch."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from dlmreason.diffusion.schedules import Antithetic, Cosine, Independent, Linear, LowDiscrepancy, Schedule, Times
from tests.diffusion.fakes import generator

SCHEDULES = [Linear(), Cosine()]
TIMES = [Independent, Antithetic, LowDiscrepancy]


@pytest.mark.parametrize("schedule", SCHEDULES, ids=repr)
def test_all_is_clean_at_the_start_and_nothing_at_the_end_exactly(schedule: Schedule) -> None:
    assert schedule.alpha(torch.tensor([0.0, 1.0], dtype=torch.float64)).tolist() == [1.0, 0.0]


@pytest.mark.parametrize("schedule", SCHEDULES, ids=repr)
def test_100_000_passes_each_take_something(schedule: Schedule) -> None:
    alpha = schedule.alpha(torch.arange(100_001, dtype=torch.float64) / 100_000)
    assert alpha.dtype == torch.float64
    assert (alpha.diff() < 0).all()


@pytest.mark.parametrize("schedule", SCHEDULES, ids=repr)
@given(t=st.floats(1e-3, 1))
def test_weight_is_the_rate_of_hiding_over_the_share_hidden(schedule: Schedule, t: float) -> None:
    time = torch.tensor(t, dtype=torch.float64, requires_grad=True)
    alpha = schedule.alpha(time)
    (slope,) = torch.autograd.grad(alpha, time)
    assert schedule.weight(time).item() == pytest.approx((-slope / (1 - alpha)).item(), rel=1e-9)


@pytest.mark.parametrize("times", [Antithetic(), LowDiscrepancy()], ids=repr)
@given(rows=st.integers(1, 300), seed=st.integers(0, 2**32))
def test_each_stratum_has_one_time(times: Times, rows: int, seed: int) -> None:
    u = (times(rows, generator(seed)) - 1e-3) / (1 - 1e-3)
    assert sorted((u * rows).clamp(0, rows - 0.5).floor().int().tolist()) == list(range(rows))


def test_independent_times_are_not_stratified() -> None:
    u = (Independent()(256, generator()) - 1e-3) / (1 - 1e-3)
    assert len((u * 256).floor().unique()) < 200  # 162 of 256 on average


def test_low_discrepancy_times_are_evenly_spaced_and_antithetic_ones_are_not() -> None:
    spaced = LowDiscrepancy()(64, generator()).sort().values.diff()
    assert spaced.max() - spaced.min() < 1e-12
    drawn = Antithetic()(64, generator()).sort().values.diff()
    assert drawn.max() - drawn.min() > 1e-3


@pytest.mark.parametrize("kind", TIMES)
@given(rows=st.integers(1, 200), seed=st.integers(0, 2**32), eps=st.floats(1e-6, 0.5))
def test_times_stay_away_from_the_pole(kind: type[LowDiscrepancy], rows: int, seed: int, eps: float) -> None:
    t = kind(eps)(rows, generator(seed))
    assert t.dtype == torch.float64
    assert eps <= t.min() and t.max() <= 1


@pytest.mark.parametrize("kind", TIMES)
@pytest.mark.parametrize("eps", [0.0, 1.0, -1.0])
def test_a_pole_within_reach_is_refused(kind: type[LowDiscrepancy], eps: float) -> None:
    with pytest.raises(ValueError, match=r"times.eps=.*between 0 and 1"):
        kind(eps)
