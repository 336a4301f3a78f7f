"""Laws of records by columns: they come back as they were, the same records give the same bytes, damage is told."""

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dlmreason.analysis.packed import FILES, load, pack, records_in, unpack
from dlmreason.analysis.records import Record, RecordsError, encode

ONE = Record("a", "t", "test", "test/0/0", 3, 8, 0, "1 2", True, "", 5, 8, 5, 10**12, {"written": 2}, "key")

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
counts = st.integers(0, 2**62)
several = st.lists(
    st.builds(
        Record,
        arm=texts,
        task=texts,
        split=texts,
        example=texts,
        difficulty=counts,
        rung=counts,
        seed=st.integers(-(2**62), 2**62),
        answer=texts,
        correct=st.booleans(),
        reason=texts,
        nfe=counts,
        scheduled_passes=counts,
        sequential_depth=counts,
        flops=counts,
        events=st.dictionaries(texts, counts, max_size=3),
        run_key=texts,
        score=st.none() | st.floats(allow_nan=False, allow_infinity=False),
        settled=st.booleans(),
        paper_correct=st.none() | st.booleans(),
        thought=st.none() | texts,
    ),
    max_size=5,
    unique_by=lambda each: each.point,
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("packed")


@given(records=several)
def test_records_come_back_as_they_were(folder: Path, records: list[Record]) -> None:
    pack(records, folder / "r.parquet")
    found = unpack(folder / "r.parquet")
    assert not found.problems
    assert sorted(found.items, key=lambda each: each.point) == sorted(records, key=lambda each: each.point)
    assert [encode(each) for each in found.items] == [encode(each) for each in load(folder / "r.parquet").items]


def some(number: int) -> list[Record]:
    places = [(f"test/0/{n}", arm, rung) for n in range(number) for arm in "ba" for rung in (8, 1)]
    return [replace(ONE, arm=arm, example=example, rung=rung) for example, arm, rung in places]


def test_arms_stay_in_their_order_and_that_of_their_records_is_no_matter(folder: Path) -> None:
    records = some(9)
    pack(records, folder / "one.parquet")
    pack([records[0], *records[:0:-1]], folder / "two.parquet")
    assert list(dict.fromkeys(each.arm for each in unpack(folder / "one.parquet").items)) == ["b", "a"]
    pack([records[0], records[2], *records[:2:-1], records[1]], folder / "two.parquet")
    assert (folder / "one.parquet").read_bytes() == (folder / "two.parquet").read_bytes()


def test_they_take_a_tenth_of_their_lines(folder: Path) -> None:
    records = some(2000)
    pack(records, folder / "many.parquet")
    assert (folder / "many.parquet").stat().st_size * 10 < sum(len(encode(each)) for each in records)


def test_a_point_has_one_record(folder: Path) -> None:
    with pytest.raises(RecordsError, match=r"two records of a at 8 passes, test/0/0, seed 0: each point has one"):
        pack([ONE, replace(ONE, answer="2 1")], folder / "twice.parquet")
    assert not (folder / "twice.parquet").exists()


@pytest.mark.parametrize("damage", ["flip", "cut", "empty"])
def test_damage_is_told_and_never_read_as_something_else(folder: Path, damage: str) -> None:
    path = folder / f"{damage}.parquet"
    pack(some(500), path)
    content = bytearray(path.read_bytes())
    if damage == "flip":
        for place in range(100, len(content) // 2, 40):
            content[place] ^= 255
    path.write_bytes(content[: len(content) // 2] if damage == "cut" else b"" if damage == "empty" else content)
    found = unpack(path)
    assert not found.items and len(found.problems) == 1
    assert found.problems[0].reason.startswith("damaged: ") and str(found.problems[0]).startswith(path.name)


def test_a_foreign_schema_is_told(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dlmreason.analysis.packed.SCHEMA", 99)
    pack([ONE], folder / "foreign.parquet")
    monkeypatch.undo()
    found = unpack(folder / "foreign.parquet")
    assert found.items == [] and "foreign schema '99'" in found.problems[0].reason


def test_lines_that_go_on_count_before_what_was_packed(tmp_path: Path) -> None:
    assert records_in(tmp_path) is None
    for name in reversed(FILES):
        (tmp_path / name).touch()
        found = records_in(tmp_path)
        assert found is not None and found.name == name
