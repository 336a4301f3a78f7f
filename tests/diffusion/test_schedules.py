"""Laws of schedules and of the times of a batch."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from dlmreason.diffusion.schedules import (
    Antithetic,
    Below,
    Cosine,
    EvenWeight,
    Independent,
    Levels,
    Linear,
    LogLinear,
    LowDiscrepancy,
    Polynomial,
    Schedule,
    Times,
)
from tests.diffusion.fakes import generator

WHOLE: list[Schedule] = [Linear(), Cosine(), Polynomial(2.0), Polynomial(0.5)]
SCHEDULES: list[Schedule] = [*WHOLE, LogLinear(), EvenWeight()]
TIMES = [Independent, Antithetic, LowDiscrepancy]


ENDS = torch.tensor([0.0, 1.0], dtype=torch.float64)


@pytest.mark.parametrize("schedule", WHOLE, ids=repr)
def test_all_is_clean_at_the_start_and_nothing_at_the_end_exactly(schedule: Schedule) -> None:
    assert schedule.alpha(ENDS).tolist() == [1.0, 0.0]


@pytest.mark.parametrize("eps", [1e-3, 0.1, 1e-9])
def test_a_schedule_that_stops_short_does_so_by_eps(eps: float) -> None:
    assert LogLinear(eps).alpha(ENDS).tolist() == [1.0, eps]
    assert EvenWeight(eps).alpha(ENDS).tolist() == [pytest.approx(1 - eps, abs=1e-15), 0.0]


def test_weights_in_closed_form() -> None:
    t = torch.tensor([1e-3, 0.3, 1.0], dtype=torch.float64)
    assert torch.equal(LogLinear(0.1).weight(t), 1 / t)
    assert torch.equal(Polynomial(1.0).weight(t), Linear().weight(t))
    assert torch.equal(EvenWeight(1e-3).weight(t), torch.full_like(t, math.log(1000)))


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


@pytest.mark.parametrize("kind", [Antithetic, LowDiscrepancy])
@pytest.mark.parametrize("alike", [False, True])
@given(rows=st.integers(1, 60), world=st.integers(1, 8), seed=st.integers(0, 2**32))
def test_each_stratum_of_all_processes_has_one_time(
    kind: type[LowDiscrepancy], alike: bool, rows: int, world: int, seed: int
) -> None:
    """Whether their generators are seeded alike or, as a training does, apart."""
    eps, strata = 1e-3, rows * world
    seeds = [seed if alike else seed + rank for rank in range(world)]
    t = torch.cat([kind(eps, rank, world)(rows, generator(seeds[rank])) for rank in range(world)])
    u = (t - eps) / (1 - eps)
    assert sorted((u * strata).clamp(0, strata - 0.5).floor().int().tolist()) == list(range(strata))
    if alike and kind is LowDiscrepancy and strata > 1:
        assert torch.allclose(u.sort().values.diff(), torch.tensor(1 / strata, dtype=torch.float64), atol=1e-12)


def test_ranks_that_are_left_as_they_are_share_strata() -> None:
    """What the law above would catch."""
    u = torch.cat([LowDiscrepancy()(8, generator(rank)) for rank in range(4)])
    assert len((u * 32).floor().unique()) < 32


def test_where_it_runs_is_no_part_of_what_an_objective_is() -> None:
    assert repr(LowDiscrepancy(0.01, 2, 4)) == repr(LowDiscrepancy(0.01)) == "LowDiscrepancy(eps=0.01)"


def test_times_below_are_scaled_and_keep_their_strata() -> None:
    t = Below(LowDiscrepancy(1e-4), 0.9)(50, generator())
    assert torch.equal(t, 0.9 * LowDiscrepancy(1e-4)(50, generator()))
    assert t.max() <= 0.9


def test_levels_are_drawn_alike() -> None:
    t = Levels(5)(10_000, generator())
    assert t.dtype == torch.float64
    assert t.unique().tolist() == [0.2, 0.4, 0.6, 0.8, 1.0]
    assert (torch.bincount((t * 5).round().long())[1:] - 2000).abs().max() < 5 * math.sqrt(2000)


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


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: Polynomial(0.0), r"schedule\.power=0"),
        (lambda: LogLinear(0.0), r"schedule\.eps=0"),
        (lambda: EvenWeight(1.0), r"schedule\.eps=1"),
        (lambda: Levels(0), r"times\.levels=0"),
        (lambda: Below(Independent(), 1.0), r"times\.last=1"),
        (lambda: Antithetic(rank=2, world=2), r"times\.rank=2 and times\.world=2"),
        (lambda: LowDiscrepancy(world=0), r"times\.world=0"),
    ],
)
def test_what_is_none_is_refused(make, said: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(ValueError, match=said):
        make()
