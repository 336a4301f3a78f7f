"""Laws of the waits between restarts, alone and inside the wrapper that waits."""

import pytest
import torch

from dlmreason.canvas import choose
from dlmreason.policies.patience import Fixed, Luby, Patience
from dlmreason.policies.wrappers import Restart
from tests.policies.hand import MASK
from tests.policies.test_wrappers import Told, walked


def luby(term: int) -> int:
    """The definition: 2^(k-1) at term 2^k - 1, else what the sequence was that many terms after its last doubling."""
    k = term.bit_length()
    return 2 ** (k - 1) if term == 2**k - 1 else luby(term - 2 ** (k - 1) + 1)


def waits(rule: Patience, count: int) -> list[int]:
    wait, memory = rule.init(torch.zeros(1, dtype=torch.int64))
    found = [int(wait)]
    for _ in range(count - 1):
        wait, memory = rule(memory)
        found.append(int(wait))
    return found


def test_lubys_waits_are_its_definition() -> None:
    assert [luby(term) for term in range(1, 16)] == [1, 1, 2, 1, 1, 2, 4, 1, 1, 2, 1, 1, 2, 4, 8]
    assert waits(Luby(1), 600) == [luby(term) for term in range(1, 601)]
    assert waits(Luby(7), 100) == [7 * luby(term) for term in range(1, 101)]


def test_a_fixed_wait_stays() -> None:
    assert waits(Fixed(4), 9) == [4] * 9


def test_each_row_is_at_a_term_of_its_own() -> None:
    rule = Luby(1)
    wait, memory = rule.init(torch.zeros(3, dtype=torch.int64))
    begun = [0, 0, 0]
    for restarts in ([True, False, True], [True, False, False], [True, True, False]) * 20:
        wait, memory = choose(torch.tensor(restarts), rule(memory), (wait, memory))
        begun = [count + again for count, again in zip(begun, restarts, strict=True)]
        assert wait.tolist() == [luby(count + 1) for count in begun]


def restarts(policy: Restart, passes: int) -> list[int]:
    moves = walked(policy, passes)
    return [index for index, move in enumerate(moves) if bool((move.tokens[:, :3] == MASK).all())]


def test_lives_are_as_long_as_lubys_waits() -> None:
    """Where nothing gets better a life is its first judged answer and the wait."""
    ends, at = [], -1
    for term in range(1, 30):
        at += 2 * luby(term) + 1
        ends.append(at)
    assert restarts(Restart(Told((-1.0,) * 60), Luby(2)), 60) == [end for end in ends if end < 60]


def test_a_number_is_a_fixed_wait() -> None:
    told = Told((-3.0, -4.0, -1.0, -5.0, -6.0, -7.0, -7.0, -8.0, -2.0, -9.0))
    for patience in range(5):
        assert restarts(Restart(told, patience), 10) == restarts(Restart(told, Fixed(patience)), 10)


def test_a_bigger_restart_begins_the_sequence_anew() -> None:
    alone = restarts(Restart(Told((-1.0,) * 21), Luby(1)), 21)
    assert alone == [1, 3, 6, 8, 10, 13, 18, 20]
    inside = Restart(Restart(Told((-1.0,) * 21), Luby(1)), 6, stream="restart_outer")
    assert restarts(inside, 21) == [1, 3, 6, 8, 10, 13, 15, 17, 20]


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: Fixed(-1), "patience=-1: .* 0 or more"),
        (lambda: Luby(0), "unit=0: .* 1 judged answer or more"),
    ],
)
def test_waits_that_mean_nothing_are_refused(make, says: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(ValueError, match=says):
        make()
