"""What is quoted of detectors and of errors taken back: against brute force, by hand, and controls."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dlmreason.analysis.comparison import table
from dlmreason.analysis.detections import BINS, Detection, Start, detection, pack, unpack
from dlmreason.analysis.noise import Share, ahead, found, reliability, taken
from dlmreason.analysis.records import ForeignSchema, Record
from dlmreason.analysis.state_auc import auc

looks = st.lists(st.tuples(st.sampled_from([0.0, 0.1, 0.25, 0.5, 0.9, 1.0]), st.booleans()), min_size=2, max_size=9)


def looked(detector: str, suspicion: Any, wrong: Any, example: str = "0", planted: int = 1) -> Detection:
    return detection(detector, planted, example, 0, suspicion, wrong, True, "k")


@given(told=looks)
def test_pairs_hits_and_bins_are_those_of_brute_force(told: list[tuple[float, bool]]) -> None:
    suspicion, wrong = zip(*told, strict=True)
    made = looked("a", suspicion, wrong)
    count = sum(wrong)
    assert made.pairs == count * (len(wrong) - count) and made.wrong == count
    if made.pairs:
        assert made.wins / (2 * made.pairs) == pytest.approx(auc(suspicion, wrong))
    orders = [
        np.lexsort((noise, [-each for each in suspicion]))
        for noise in np.random.default_rng(0).random((600, len(wrong)))
    ]
    drawn = np.mean([sum(wrong[place] for place in order[:count]) for order in orders])
    assert made.hits == pytest.approx(drawn, abs=0.25)
    assert sum(made.binned) == len(wrong) and sum(made.binned_wrong) == count
    assert sum(made.said) == pytest.approx(sum(suspicion), abs=1e-3)


def test_areas_are_within_texts_and_not_between_them() -> None:
    """All of one text is more suspect than all of another: that says nothing of where the noise is."""
    low = looked("a", [0.2, 0.1, 0.1], [True, False, False], "0")
    high = looked("a", [0.8, 0.9, 0.7], [True, False, False], "1")
    (told,) = found([low, high])
    assert told.area.value == (2 + 1) / 4 and told.hits.value == 0.5 and told.texts == 2


def test_chances_that_hold_have_no_calibration_error_and_others_do() -> None:
    rng = np.random.default_rng(3)
    says = rng.choice([0.05, 0.35, 0.75], (400, 25))
    wrong = rng.random(says.shape) < says
    honest = [looked("a", row, bad, str(n)) for n, (row, bad) in enumerate(zip(says, wrong, strict=True))]
    sure = [looked("a", row**4, bad, str(n)) for n, (row, bad) in enumerate(zip(says, wrong, strict=True))]
    errors = [found(each)[0].error for each in (honest, sure)]
    assert errors[0] is not None and errors[0].value < 0.02
    assert errors[1] is not None and errors[1].low > 0.1
    bins = reliability(honest, "a", 1)
    assert sum(each.tokens for each in bins) == says.size and all(abs(each.said - each.wrong) < 0.05 for each in bins)
    assert reliability(honest, "b", 1) == []


def test_who_is_held_against_itself_is_not_ahead_and_who_has_not_looked_is_not_compared() -> None:
    rng = np.random.default_rng(0)
    wrong = [[True, *[False] * 9]] * 200
    a = [looked("a", rng.random(10), bad, str(n)) for n, bad in enumerate(wrong)]
    b = [looked("b", np.asarray(bad) + rng.random(10), bad, str(n)) for n, bad in enumerate(wrong)]
    random, knows = found([*a, *b])
    assert random.area.low < 0.5 < random.area.high and knows.area.value == 1
    assert ahead([*a, *b], "a", "a", 1) == Share(0, 0, 0)
    gain = ahead([*a, *b], "a", "b", 1)
    assert gain is not None and gain.low > 0.4 and gain.value == pytest.approx(1 - random.area.value)
    assert ahead(a, "a", "b", 1) is None and ahead([*a, *b], "a", "b", 2) is None


def test_what_is_no_chance_has_no_error() -> None:
    made = detection("a", 1, "0", 0, [3.0, 1.0], [True, False], False, "k")
    assert found([made])[0].error is None and found([made])[0].said is None and reliability([made], "a", 1) == []


def record(arm: str, answer: str, example: str = "0") -> Record:
    return Record(arm, "t", "test", example, 1, 4, 0, answer, False, "", 4, 4, 4, 100, {}, "k")


def test_errors_taken_back_and_right_tokens_harmed_are_counted_by_hand() -> None:
    starts = [Start("a", "0", 0, "1 9 3 9 5", "1 2 3 4 5"), Start("a", "1", 0, "9 2 3 9 5", "1 2 3 4 5")]
    answers = [record("a", "1 2 7 8 5"), record("a", "1 2 3 4 5", "1"), record("b", "1 2 3 4 5")]
    last = [record("a.last", "1 2"), record("a.last", "9 2 3 9 5", "1")]
    said, ended = taken(table([*answers, *last]), starts)
    assert (said.arm, said.rung, said.n, ended.arm) == ("a", 4, 2, "a.last")
    assert (said.back.value, said.harmed.value, said.right.value) == (3 / 4, 1 / 6, 1 / 2)
    assert (ended.back.value, ended.harmed.value, ended.right.value) == (1 / 4, 2 / 6, 0)


def test_they_come_back_as_they_were_and_give_the_same_bytes(tmp_path: Path) -> None:
    made = [looked(name, [0.5, 0.25], [True, False], str(n)) for n in (1, 0) for name in "ba"]
    starts = [Start("a", "0", 0, "1 9", "1 2")]
    for items, path in ((made, tmp_path / "d"), (starts, tmp_path / "s")):
        pack(items, path)
        first, back = path.read_bytes(), unpack(path, type(items[0]))
        pack(back, path)
        assert path.read_bytes() == first and sorted(map(repr, back)) == sorted(map(repr, items))
    assert [(each.detector, each.example) for each in unpack(tmp_path / "d", Detection)] == [
        ("b", "0"), ("b", "1"), ("a", "0"), ("a", "1"),
    ]  # fmt: skip
    assert len(made[0].binned) == BINS and replace(made[0], wrong=0).pairs == 0


def test_a_file_of_another_kind_is_refused(tmp_path: Path) -> None:
    import pyarrow
    from pyarrow import parquet

    parquet.write_table(pyarrow.table({"detector": ["a"]}), tmp_path / "x")
    with pytest.raises(ForeignSchema, match="this version reads"):
        unpack(tmp_path / "x", Detection)
