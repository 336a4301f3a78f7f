"""Records by columns, in a file a tenth of the size of their lines: how a claim keeps them.

This file decides the order of rows and the types of columns; the bytes follow from the records and the version of the
library that writes them. Parquet checks its pages, and the schema of records stands in its metadata.
"""

import io
import json
from collections.abc import Iterable
from dataclasses import fields
from itertools import pairwise
from pathlib import Path
from typing import Any

from dlmreason import disk
from dlmreason.analysis.records import SCHEMA, Contents, ForeignSchema, Problem, Record, RecordsError, read

FILES = ("records.jsonl", "records.parquet", "records.jsonl.gz")
"""How a folder may hold its records; the first that is there counts."""

_VERSION = b"dlmreason.records"
_WHOLE = ("difficulty", "rung", "seed", "nfe", "scheduled_passes", "sequential_depth", "flops")
_TRUTHS = ("correct", "settled", "paper_correct")


def records_in(folder: Path) -> Path | None:
    """The file of a folder's records; None where there is none."""
    return next((folder / name for name in FILES if (folder / name).exists()), None)


def load(path: Path) -> Contents:
    """The records of a file of any of these kinds. Raises: FileNotFoundError, and OSError where it cannot be opened."""
    return unpack(path) if path.suffix == ".parquet" else read(path, Record)


def pack(records: Iterable[Record], path: Path) -> None:
    """Writes records, ordered by arm, as arms come first in them, rung, seed and example.

    Raises: RecordsError for two records of one point.
    """
    import pyarrow  # type: ignore[import-untyped]
    from pyarrow import parquet

    records = list(records)
    arms = {arm: number for number, arm in enumerate(dict.fromkeys(each.arm for each in records))}
    rows = sorted(records, key=lambda each: (arms[each.arm], each.rung, each.seed, each.example))
    for one, next_ in pairwise(rows):
        if one.point == next_.point:
            raise RecordsError(
                f"two records of {one.arm} at {one.rung} passes, {one.example}, seed {one.seed}: each point has one"
            )
    kept = any(row.thought is not None for row in rows)
    names = [each.name for each in fields(Record) if each.name != "thought" or kept]
    columns = {name: pyarrow.array([_plain(getattr(row, name)) for row in rows], _type(name)) for name in names}
    table = pyarrow.table(columns).replace_schema_metadata({_VERSION: str(SCHEMA)})
    content = io.BytesIO()
    parquet.write_table(table, content, compression="zstd", compression_level=19, row_group_size=1 << 20)
    disk.write(path, content.getvalue())


def unpack(path: Path) -> Contents:
    """The records of a file, a problem where it is damaged or foreign. Raises: FileNotFoundError, OSError."""
    import pyarrow
    from pyarrow import parquet

    content = path.read_bytes()
    try:
        table = parquet.read_table(io.BytesIO(content), page_checksum_verification=True)
        version = (table.schema.metadata or {}).get(_VERSION)
        if version != str(SCHEMA).encode():
            told = version.decode() if version else None
            raise ForeignSchema(f"foreign schema {told!r}: this version reads and writes {SCHEMA}")
        rows = [Record(**row | {"events": json.loads(row["events"])}) for row in table.to_pylist()]
    except (RecordsError, TypeError, ValueError, OSError, pyarrow.ArrowException) as error:
        reason = str(error) if isinstance(error, RecordsError) else f"damaged: {str(error).splitlines()[0]}"
        return Contents([], [Problem(path.name, 0, reason)])
    return Contents(rows, [])


def _plain(value: Any) -> Any:
    return json.dumps(value, sort_keys=True, separators=(",", ":")) if isinstance(value, dict) else value


def _type(name: str) -> Any:
    import pyarrow

    if name == "score":
        return pyarrow.float64()
    return pyarrow.int64() if name in _WHOLE else pyarrow.bool_() if name in _TRUTHS else pyarrow.string()
