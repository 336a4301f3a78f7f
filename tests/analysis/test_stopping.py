"""Laws of stop rules: hand-made curves with known stops, and regrets that are 0 for the oracle and for nobody less."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dlmreason.analysis.comparison import table
from dlmreason.analysis.records import Record, RecordsError
from dlmreason.analysis.statistics import Interval
from dlmreason.analysis.stopping import (
    Budget,
    Certified,
    Curve,
    Oracle,
    Outcome,
    Patience,
    Point,
    Rule,
    Settled,
    Share,
    curves_of,
    ladder_of_rules,
    outcomes,
)

RULES: list[Rule] = [Settled(), Certified(0.5), Patience(2), Patience(3), Budget(1), Budget(5), Budget(100)]


def curve(right: str, scores: Sequence[float | None] | None = None, settled: int = 99) -> Curve:
    """right: a letter a point, at 1, 2, 3, ... passes, `x` where it is right.  settled: from which place on."""
    known = scores or [0.0] * len(right)
    return [Point(i + 1, known[i], letter == "x", i >= settled) for i, letter in enumerate(right)]


@pytest.mark.parametrize(
    ("rule", "given_", "place"),
    [
        (Oracle(), curve("..x.x"), 2),
        (Oracle(), curve("....."), 0),
        (Settled(), curve("....", settled=2), 2),
        (Settled(), curve("...."), 3),
        (Certified(0.5), curve("....", [None, 0.4, 0.5, 0.9]), 2),
        (Certified(2), curve("....", [None, 0.4, 0.5, 0.9]), 3),
        (Certified(-math.inf), curve("..", [None, 0.4]), 1),
        (Patience(2), curve("......", [0, 1, 1, 0, 5, 5]), 3),
        (Patience(3), curve("......", [0, 1, 1, 0, 5, 5]), 5),
        (Patience(1), curve("......", [None, None, None, 1, 1, 2]), 4),
        (Patience(1), curve("...", [None, None, None]), 2),
        (Budget(3), curve("....."), 2),
        (Budget(9), curve("....."), 4),
        (Budget(1), [Point(4, None, True), Point(8, None, True)], 0),
        (Budget(7), [Point(4, None, True), Point(8, None, True)], 0),
    ],
)
def test_each_stops_where_a_person_would(rule: Rule, given_: Curve, place: int) -> None:
    assert rule(given_) == place


def test_what_a_rule_gives_and_forgoes_by_hand() -> None:
    """Right from 3 passes on; right at 2 alone; never: the oracle stops at 3, 2 and 1."""
    curves = {("a", 0): curve("..xx"), ("b", 0): curve(".x.."), ("c", 0): curve("....")}
    found = {each.rule: each for each in outcomes(curves, [Oracle(), Budget(1), Budget(2), Budget(4)])}

    def said(name: str) -> tuple[float, ...]:
        each = found[name]
        return tuple(round(3 * value) for value in (each.accuracy, each.passes, each.lost.mean, each.beyond.mean))

    assert said("oracle") == (2, 6, 0, 0)
    assert said("budget of 1") == (0, 3, 2, 0)  # a stop too early is paid in answers
    assert said("budget of 2") == (1, 6, 1, 1)
    assert said("budget of 4") == (1, 12, 1, 6)  # 1, 2 and 3 passes for nothing
    assert found["oracle"].lost == Share(0, 0, 0) and found["oracle"].rows == 3


points = st.lists(st.tuples(st.integers(0, 3), st.booleans(), st.none() | st.floats(-1, 1), st.booleans()), min_size=1)


@settings(max_examples=20, deadline=None)
@given(st.lists(points, min_size=1, max_size=6))
def test_the_oracle_has_no_regret_and_no_rule_has_less(rows: list[list[Any]]) -> None:
    curves = {}
    for number, row in enumerate(rows):
        passes = np.cumsum([gap for gap, *_ in row]) + 1
        curves[str(number // 2), number % 2] = [
            Point(int(at), score, right, settled) for at, (_, right, score, settled) in zip(passes, row, strict=True)
        ]
    best, *others = outcomes(curves, [Oracle(), *RULES])
    assert best.lost == best.beyond == Share(0, 0, 0)
    for each in others:
        assert each.lost.mean >= 0 and each.beyond.mean >= 0
        assert each.accuracy <= best.accuracy and math.isclose(best.accuracy - each.accuracy, each.lost.mean)
        assert 0 <= each.lost.low <= each.lost.mean <= each.lost.high
        assert 0 <= each.beyond.low <= each.beyond.mean <= each.beyond.high


def test_no_rule_looks_at_what_comes_later_or_at_what_is_right() -> None:
    """Another future, and other answers, leave the stop where it was."""
    generator = np.random.default_rng(0)
    for _ in range(200):
        scores = [None if value < -1 else float(value) for value in generator.normal(size=12)]
        base = curve("." * 12, scores, int(generator.integers(12)))
        for rule in RULES:
            at = rule(base)
            later = [point._replace(score=9.0, settled=True) for point in base[at + 1 :]]
            assert rule([*base[: at + 1], *later]) == at or rule is RULES[-1]
            assert rule([point._replace(right=True) for point in base]) == at
    assert Oracle()(curve("x.")) != Oracle()(curve(".x"))  # the control: this one looks


def test_an_interval_holds_the_truth_in_nineteen_of_twenty_and_counts_examples_not_rows() -> None:
    generator, inside = np.random.default_rng(1), 0
    for trial in range(60):
        lucky = generator.random(80) < 0.3
        curves = {(str(i), 0): curve("x" if good else "..x"[:3]) for i, good in enumerate(lucky)}
        (each,) = outcomes(curves, [Budget(1)], trial)
        inside += each.lost.low <= 0.7 <= each.lost.high
    assert 51 <= inside <= 60
    (once,) = outcomes(curves, [Budget(1)])
    (often,) = outcomes({(e, seed): c for (e, _), c in curves.items() for seed in range(5)}, [Budget(1)])
    assert Interval(*once.lost[1:]) == pytest.approx(Interval(*often.lost[1:]), abs=1e-12)


def record(example: str, rung: int, correct: bool, **more: Any) -> Record:
    given_: dict[str, Any] = {"arm": "a", "nfe": rung, "score": None, "settled": False} | more
    return Record(
        task="toy", split="test", example=example, difficulty=0, rung=rung, seed=0, answer="", correct=correct,
        reason="", scheduled_passes=rung, sequential_depth=rung, flops=rung, events={}, run_key="k", **given_,
    )  # fmt: skip


def test_curves_come_from_the_rungs_of_an_arm_in_their_order() -> None:
    records = [record("1", 4, True, score=0.5), record("1", 1, False), record("1", 8, True, nfe=5, settled=True)]
    records += [record("2", 1, True), record("3", 1, True, arm="b"), record("1", 1, True, arm="a.last")]
    found = table(records)
    with pytest.raises(RecordsError, match="no row has all of its rungs"):
        curves_of(found, "c")
    assert curves_of(found, "a") == {
        ("1", 0): [Point(1, None, False), Point(4, 0.5, True), Point(5, None, True, settled=True)]
    }
    names = [rule.name for rule in ladder_of_rules(curves_of(found, "a"))]
    assert names == [
        "budget of 1", "budget of 2", "budget of 4", "budget of 5", "settled",
        "patience of 1", "patience of 2", "patience of 4",
    ]  # fmt: skip
    assert [rule.name for rule in ladder_of_rules({("1", 0): curve(".", [None])})] == ["budget of 1"]


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Patience(0), "passes=0"),
        (lambda: Budget(0), "passes=0"),
        (lambda: Certified(math.nan), "bar=nan"),
        (lambda: outcomes({}, RULES), "no curve"),
        (lambda: outcomes({("a", 0): []}, RULES), "at least one"),
        (lambda: outcomes({("a", 0): [Point(2, None, True), Point(1, None, True)]}, RULES), "ascending"),
    ],
)
def test_what_makes_no_sense_is_refused(make: Any, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        make()


def test_a_rule_without_rows_right_loses_what_there_was_to_win() -> None:
    (each,) = outcomes({("a", 0): curve(".x")}, [Budget(1)])
    assert isinstance(each, Outcome) and (each.accuracy, each.lost.mean, each.passes) == (0, 1, 1)
