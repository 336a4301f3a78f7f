"""Shares of what was counted on walks, against counts that were written by hand."""

from dlmreason.analysis.records import Counted
from dlmreason.analysis.walks import walks


def walk(
    arm: str, commit: list[int], flipped: list[int], ended: str, rung: int = 8, period: int | None = None
) -> Counted:
    n = len(commit)
    return Counted(
        arm, "0", 0, rung, rung, 2, list(range(n)), [0] * n, [0] * n, flipped, [0] * n, [0] * n, commit, [True] * n, 3,
        True, 0, False, period, None, 0, ended, {}, "k",
    )  # fmt: skip


def test_commits_swings_and_ends_are_those_of_the_counts() -> None:
    counted = [
        walk("a", [1, 2, 3, 4, -1], [0, 1, 2, 5, 0], "settled and stayed"),
        walk("a", [5, 6, 7, 8, 0], [0, 0, 0, 0, 0], "never settled", period=2),
        walk("a", [99], [99], "never settled", rung=4),
        walk("b", [-1], [0], "never settled"),
    ]
    found = walks(counted)
    assert list(found) == ["a", "b"]
    assert (found["a"]["rung"], found["a"]["n"], found["a"]["tokens"]) == (8, 2, 10), "the highest budget alone"
    assert found["a"]["commits"] == {0.1: 0, 0.25: 2, 0.5: 4, 0.75: 6, 0.9: 8, 1.0: 8}  # of 0 1 2 3 4 5 6 7 8
    assert (found["a"]["swung"], found["a"]["cycling"]) == (0.2, 0.5)
    assert found["a"]["ended"] == {"never settled": 0.5, "settled and stayed": 0.5}
    assert found["b"]["commits"] == {} and found["b"]["swung"] == 0.0
    assert walks([]) == {}
