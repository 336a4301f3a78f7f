"""Laws of what a claim keeps of its walks: it comes back as it was, the same walks give the same bytes."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dlmreason.analysis.records import Counted, ForeignSchema
from dlmreason.analysis.writings import Writing, pack, unpack, writing

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=5)
counts = st.integers(0, 2**40)
several = st.lists(
    st.builds(
        Writing,
        arm=texts,
        example=texts,
        seed=counts,
        rung=counts,
        passes=counts,
        commit=st.lists(st.integers(-1, 2**31 - 1), max_size=5),
        right=st.lists(st.booleans(), max_size=5),
        run_key=texts,
    ),
    max_size=4,
)


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("writings") / "w.parquet"


@given(writings=several)
def test_they_come_back_as_they_were_and_give_the_same_bytes(path: Path, writings: list[Writing]) -> None:
    pack(writings, path)
    first = path.read_bytes()
    found = unpack(path)
    assert sorted(map(repr, found)) == sorted(map(repr, writings))
    pack(found, path)
    assert path.read_bytes() == first


def test_arms_keep_their_order_and_the_rest_is_sorted(path: Path) -> None:
    made = [Writing(arm, str(n), 0, rung, 1, [1], [True], "k") for n in (1, 0) for arm in "ba" for rung in (8, 2)]
    pack(made, path)
    assert [(each.arm, each.rung, each.example) for each in unpack(path)] == [
        (arm, rung, example) for arm in "ba" for rung in (2, 8) for example in "01"
    ]


def test_of_counters_the_passes_are_kept() -> None:
    counted = Counted(
        "a", "7", 1, 8, 5, 2, [3, 4], [0, 0], [0, 0], [0, 0], [0, 0], [0, 0], [2, 5], [True, False], 3, True, 0, False,
        None, None, 0, "never settled", {}, "k",
    )  # fmt: skip
    assert writing(counted) == Writing("a", "7", 1, 8, 5, [2, 5], [True, False], "k")


def test_another_file_is_refused(path: Path) -> None:
    import pyarrow
    from pyarrow import parquet

    parquet.write_table(pyarrow.table({"arm": ["a"]}), path)
    with pytest.raises(ForeignSchema, match="metadata say None"):
        unpack(path)
