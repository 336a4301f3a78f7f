"""In which pass each token of an answer was written: what a claim keeps of the counters of its walks.

This file decides which of the counters are kept, and how they lie on disk: by columns, ordered, so that the same walks
give the same bytes. It knows no arm and no order.
"""

import io
from collections.abc import Iterable
from dataclasses import dataclass, fields
from pathlib import Path

from dlmreason import disk
from dlmreason.analysis.records import SCHEMA, Counted, ForeignSchema

FILE = "writings.parquet"
"""Beside a claim's records."""

_VERSION = b"dlmreason.writings"


@dataclass(frozen=True, slots=True)
class Writing:
    """One walk over one answer. Lists are of its editable positions, left to right."""

    arm: str
    example: str
    seed: int
    rung: int
    passes: int  # made
    commit: list[int]  # the pass that last changed the token; 0: the start; -1: never written
    right: list[bool]  # whether what stood there was ever the known answer's
    run_key: str


def writing(counted: Counted) -> Writing:
    """What is kept of a walk's counters."""
    return Writing(
        counted.arm, counted.example, counted.seed, counted.rung, counted.nfe, counted.commit, counted.ever_right,
        counted.run_key,
    )  # fmt: skip


def pack(writings: Iterable[Writing], path: Path) -> None:
    """Writes them, ordered by arm, as arms come first in them, rung, seed and example."""
    import pyarrow  # type: ignore[import-untyped]
    from pyarrow import parquet

    writings = list(writings)
    arms = {arm: number for number, arm in enumerate(dict.fromkeys(each.arm for each in writings))}
    rows = sorted(writings, key=lambda each: (arms[each.arm], each.rung, each.seed, each.example))
    types = {int: pyarrow.int64(), str: pyarrow.string(), list[int]: pyarrow.list_(pyarrow.int32())}
    types[list[bool]] = pyarrow.list_(pyarrow.bool_())
    columns = {
        each.name: pyarrow.array([getattr(row, each.name) for row in rows], types[each.type])  # type: ignore[index]
        for each in fields(Writing)
    }
    table = pyarrow.table(columns).replace_schema_metadata({_VERSION: str(SCHEMA)})
    content = io.BytesIO()
    parquet.write_table(table, content, compression="zstd", compression_level=19, row_group_size=1 << 20)
    disk.write(path, content.getvalue())


def unpack(path: Path) -> list[Writing]:
    """The writings of a file. Raises: ForeignSchema, FileNotFoundError, and ValueError where it is damaged."""
    from pyarrow import parquet

    table = parquet.read_table(io.BytesIO(path.read_bytes()), page_checksum_verification=True)
    version = (table.schema.metadata or {}).get(_VERSION)
    if version != str(SCHEMA).encode():
        raise ForeignSchema(f"{path}: its metadata say {version!r}: this version reads and writes {SCHEMA}")
    return [Writing(**row) for row in table.to_pylist()]
