"""Laws of the counts on hand-written numbers: how long a beginning of the order is written, and at least one blank."""

import math
from typing import Any

import pytest
import torch
from torch import Tensor

from dlmreason.canvas import NEVER, place
from dlmreason.policies.counts import (
    EntropyBounded,
    EvenShare,
    Factor,
    Fixed,
    Scheduled,
    Threshold,
    cosine,
    count_of,
    linear,
    written_by,
)
from dlmreason.policies.ordered import Ordered
from dlmreason.policies.scores import confidence, entropy, left_to_right
from tests.policies.hand import MASK, Scripted, canvas, clock, named, reading
from tests.policies.laws import answer_law
from tests.policies.walk import same_moves
from tests.toys import Oracle, random_joint

# Sure at 3, 1, 0, 4, in that order; 2 is given.
CHANCES = [[0.90, 0.05, 0.05], [0.95, 0.03, 0.02], [1e-9, 1e-9, 1.0], [0.98, 0.01, 0.01], [0.50, 0.30, 0.20]]
BLANK = canvas([[MASK, MASK, 2, MASK, MASK]], given=(2,))
SAYS = reading(BLANK, CHANCES)
NATS = [-sum(p * math.log(p) for p in row) for row in CHANCES]  # .394, .232, 0, .112, 1.030
ALL = [
    Fixed(2),
    EvenShare(),
    Scheduled(),
    Scheduled(cosine),
    EntropyBounded(0.1),
    Threshold(0.9),
    Threshold(2.0),
    Factor(1.0),
    Factor(0.0),
]


def counted(count: Any, score: Any = confidence, now: Any = BLANK, index: int = 0, total: int = 4) -> int:
    says = reading(now, CHANCES)
    places = place(torch.where(now.masked, score(now, says), -torch.inf))
    return int(count(now, says, places, clock(index, total)))


@pytest.mark.parametrize(
    ("bar", "count"), [(0.0, 5), (0.5, 4), (0.51, 3), (0.89, 3), (0.91, 2), (0.96, 1), (0.99, 1), (1.5, 1)]
)
def test_a_threshold_writes_what_is_sure_enough_and_at_least_one(bar: float, count: int) -> None:
    assert min(counted(Threshold(bar)), 4) == min(count, 4)


@pytest.mark.parametrize(
    ("bound", "count"),
    [
        (0.0, 1),
        (0.059, 1),  # (n + 1)(1 - p) is .04, .15, .4, 2.5 for n of 1, 2, 3, 4
        (0.151, 2),
        (0.41, 3),
        (1.0, 3),
        (2.51, 4),
    ],
)
def test_a_factor_takes_the_most_tokens_with_n_plus_one_times_the_doubt_below_it(bound: float, count: int) -> None:
    assert min(counted(Factor(bound)), 4) == count


@pytest.mark.parametrize(
    ("gamma", "count"),
    [
        (0.0, 1),
        (NATS[3] - 1e-9, 1),
        (NATS[3] + 1e-9, 2),  # of two, the smaller entropy counts
        (NATS[3] + NATS[1] + 1e-9, 3),
        (NATS[3] + NATS[1] + NATS[0] + 1e-9, 4),
        (math.inf, 4),
    ],
)
def test_the_entropy_bound_leaves_out_the_largest(gamma: float, count: int) -> None:
    """[EB-Sampler, arXiv:2505.24857]"""
    assert min(counted(EntropyBounded(gamma), entropy), 4) == count


def test_a_rule_of_sureness_holds_for_the_beginning_of_any_order() -> None:
    """From the left: .90, .95, .98, .50."""
    assert counted(Threshold(0.89), left_to_right) == 3
    assert counted(Threshold(0.92), left_to_right) == 1  # the first is not, so the surer ones behind it wait
    assert counted(Factor(0.41), left_to_right) == 3  # (3 + 1)(1 - .90): the least sure of the three binds
    assert counted(Factor(0.39), left_to_right) == 2
    least = sorted(NATS[position] for position in (0, 1))
    assert counted(EntropyBounded(least[0] + 1e-9), left_to_right) == 2


def test_certain_tokens_are_free_under_a_bound_of_zero() -> None:
    says = torch.tensor(CHANCES).double()
    says[0], says[4] = torch.tensor([0.0, 1.0, 0.0]), torch.tensor([0.0, 0.0, 1.0])
    move = Ordered(entropy, EntropyBounded(0.0))(BLANK, reading(BLANK, says), clock(0), (), Scripted())
    assert move.tokens.tolist() == [[1, MASK, 2, 0, 2]]  # both certain ones, and one more


@pytest.mark.parametrize("count", ALL, ids=named)
@pytest.mark.parametrize("index", [0, 1, 3, 9])
def test_every_count_writes_at_least_one_blank_of_any_canvas(count: Any, index: int) -> None:
    for tokens in ([MASK, MASK, 2, MASK, MASK], [0, MASK, 2, 1, 1], [0, 1, 2, MASK, MASK]):
        now = canvas([tokens], given=(2,))
        assert counted(count, now=now, index=index) >= 1
        move = Ordered(confidence, count)(now, reading(now, CHANCES), clock(index, 4), (), Scripted())
        assert int((move.tokens == MASK).sum()) < tokens.count(MASK)


@pytest.mark.parametrize("count", ALL, ids=named)
def test_a_count_says_whether_it_reads_the_total(count: Any) -> None:
    assert Ordered(confidence, count).anytime == count.anytime == (not isinstance(count, EvenShare | Scheduled))
    if count.anytime:
        Ordered(confidence, count)(BLANK, SAYS, clock(0, None), (), Scripted())


@pytest.mark.parametrize("total", [1, 2, 3, 5, 7, 12])
def test_a_schedule_ends_with_every_token_written(total: int) -> None:
    for kappa in (linear, cosine):
        written = [int(written_by(kappa, BLANK, clock(index, total))) for index in range(total)]
        assert written == sorted(written) and written[-1] == 4 and written[0] >= 1
        assert written == [
            math.ceil(round(4 * float(kappa(torch.tensor((index + 1) / total).double())), 6)) for index in range(total)
        ]


def test_an_odd_share_is_not_lifted_by_rounding() -> None:
    """Over N passes a schedule of N tokens writes one on each; for 25, 29 and 35 i / N times N can exceed i."""
    for size in (3, 7, 25, 29, 35):
        blanks = canvas([[MASK] * size])
        assert [int(written_by(linear, blanks, clock(i, size))) for i in range(size)] == list(range(1, size + 1))


def test_plain_settings_and_their_parts_are_one() -> None:
    assert (count_of(None), count_of(3)) == (EvenShare(), Fixed(3))
    assert same_moves(Ordered(confidence, 3, 1.0), Ordered(confidence, Fixed(3), 1.0), 12)
    assert same_moves(Ordered(confidence, None, 1.0), Ordered(confidence, EvenShare(), 1.0), 5)
    assert not same_moves(Ordered(confidence, 3, 1.0), Ordered(confidence, Fixed(2), 1.0), 12)


@pytest.mark.parametrize("count", [EntropyBounded(math.inf), Threshold(0.0), Factor(1e9)], ids=named)
def test_no_bound_writes_all_at_once(count: Any) -> None:
    move = Ordered(confidence, count)(BLANK, SAYS, clock(0), (), Scripted())
    assert move.tokens.tolist() == [[0, 0, 2, 0, 0]] and move.wake.tolist() == [NEVER]


@pytest.mark.parametrize("count", [EntropyBounded(0.0), Threshold(1.001), Factor(1e-12)], ids=named)
def test_the_tightest_bound_writes_one_a_pass(count: Any) -> None:
    # Where nothing is certain; ToySudoku's last cells are not quite.
    assert same_moves(Ordered(confidence, count, 1.0), Ordered(confidence, 1, 1.0), 12)


def near_certain(seed: int) -> Tensor:
    """A joint of three tokens that mostly says one thing."""
    joint = 0.35 * random_joint(3, 3, seed)
    joint[seed % 3, seed // 3 % 3, seed // 9 % 3] += 0.65
    return joint


def test_where_the_factor_writes_all_at_once_greedy_decoding_one_by_one_agrees() -> None:
    """[Fast-dLLM, arXiv:2505.22618, theorem 1]: (n + 1) eps <= 1, in any order."""
    at_once = 0
    for seed in range(40):
        oracle = Oracle(near_certain(seed))
        parallel = Ordered(confidence, Factor(1.0))
        blank = canvas([[3, 3, 3]])
        first = parallel(blank, reading(blank, oracle._row([3, 3, 3]).exp()), clock(0), (), Scripted())
        if MASK in first.tokens[0].tolist():
            continue
        at_once += 1
        for score in (confidence, left_to_right, lambda now, says: -left_to_right(now, says)):
            (one_by_one,) = answer_law(Ordered(score, 1), oracle, 3)
            assert tuple(first.tokens[0].tolist()) == one_by_one
    assert 10 < at_once < 40  # the condition is met often, and not always


def test_just_beyond_the_factor_they_part() -> None:
    """The bound is tight: at (n + 1) eps = 1.02 both first choices are 0 while 00 is the least likely of three."""
    oracle = Oracle(torch.tensor([[0.32, 0.34], [0.34, 0.0]], dtype=torch.float64))
    assert set(answer_law(Ordered(confidence, 1), oracle, 2)) == {(0, 1)}
    assert set(answer_law(Ordered(confidence, Factor(1.0)), oracle, 2)) == {(0, 1)}
    assert set(answer_law(Ordered(confidence, Factor(1.03)), oracle, 2)) == {(0, 0)}


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: Fixed(0), "count=0: .* at least 1"),
        (lambda: Ordered(confidence, Fixed(-1)), "count=-1"),
        (lambda: Ordered(confidence, "many"), "count='many': give a number, null for an even share, or a count"),
        (lambda: Ordered(confidence, True), "count=True"),
        (lambda: EntropyBounded(-0.1), r"gamma=-0\.1 .* 0 or more"),
        (lambda: EntropyBounded(math.nan), "gamma=nan"),
        (lambda: Threshold(-0.1), r"threshold=-0\.1 .* 0 or more"),
        (lambda: Threshold(math.nan), "threshold=nan"),
        (lambda: Threshold(math.inf), "threshold=inf"),
        (lambda: Factor(-1.0), r"factor=-1\.0 .* 0 or more"),
        (lambda: Factor(math.inf), "factor=inf"),
    ],
)
def test_settings_that_mean_nothing_are_refused(make: Any, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        make()
