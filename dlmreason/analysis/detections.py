"""How well a detector found the wrong tokens of one text, as counts: what a claim keeps of its suspicions.

This file decides what is counted of the suspicions at the positions of a text, and how it lies on disk: by columns,
ordered, so that the same looks give the same bytes. What is quoted of many texts is `noise`'s. It knows no network.
"""

import io
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from dlmreason import disk
from dlmreason.analysis.records import SCHEMA, ForeignSchema

FILE = "detections.parquet"
STARTS = "starts.parquet"
"""Beside a claim's records."""

BINS = 10
"""Of chances, of equal width."""

_VERSION = b"dlmreason.detections"


@dataclass(frozen=True, slots=True)
class Detection:
    """A detector and one text."""

    detector: str
    planted: int  # wrong tokens that were planted; 0: those that an arm itself had written
    example: str
    seed: int
    tokens: int
    wrong: int
    wins: int  # twice the pairs of a wrong and a right token of which the wrong one is more suspect; once for a tie
    hits: float  # wrong tokens among the `wrong` most suspect; of ties their share
    binned: list[int]  # [BINS] tokens by their chance; none where a suspicion is no chance
    binned_wrong: list[int]  # of these, wrong
    said: list[float]  # the sum of the chances in each bin
    run_key: str

    @property
    def pairs(self) -> int:
        return self.wrong * (self.tokens - self.wrong)


@dataclass(frozen=True, slots=True)
class Start:
    """What an arm began from, beside what is right, in the text of an answer."""

    arm: str
    example: str
    seed: int
    begun: str
    right: str


def detection(
    detector: str,
    planted: int,
    example: str,
    seed: int,
    suspicion: Sequence[float],
    wrong: Sequence[bool],
    chance: bool,
    run_key: str,
) -> Detection:
    """suspicion, wrong: of each position."""
    doubt, bad = np.asarray(suspicion, dtype=np.float64), np.asarray(wrong, dtype=bool)
    count = int(bad.sum())
    above = np.sort(doubt[~bad])
    wins = np.searchsorted(above, doubt[bad]) + np.searchsorted(above, doubt[bad], side="right")
    binned = _binned(doubt, bad) if chance else ([], [], [])
    return Detection(detector, planted, example, seed, len(doubt), count, int(wins.sum()), _hits(doubt, bad), *binned,
                     run_key)  # fmt: skip


def _hits(doubt: npt.NDArray[np.float64], bad: npt.NDArray[np.bool_]) -> float:
    """The wrong ones among the most suspect, as many as are wrong: in expectation where ties are broken evenly."""
    count = int(bad.sum())
    if not count:
        return 0.0
    least = np.sort(doubt)[-count]
    over, level = doubt > least, doubt == least
    return float((over & bad).sum() + (count - over.sum()) * (level & bad).sum() / level.sum())


def _binned(doubt: npt.NDArray[np.float64], bad: npt.NDArray[np.bool_]) -> tuple[list[int], list[int], list[float]]:
    place = np.minimum((doubt * BINS).astype(np.int64), BINS - 1)
    counts = np.bincount(place, minlength=BINS), np.bincount(place[bad], minlength=BINS)
    said = np.bincount(place, doubt, minlength=BINS)
    return counts[0].tolist(), counts[1].tolist(), [round(float(each), 4) for each in said]


def pack(items: Sequence[Any], path: Path) -> None:
    """Writes detections, or starts, at least one; by their first field, names as they come first, then the others."""
    import pyarrow  # type: ignore[import-untyped]
    from pyarrow import parquet

    kind = type(items[0])
    name = fields(kind)[0].name
    firsts = {each: number for number, each in enumerate(dict.fromkeys(getattr(item, name) for item in items))}
    rows = sorted(items, key=lambda item: (firsts[getattr(item, name)], *_order(item)))
    types = {int: pyarrow.int64(), str: pyarrow.string(), float: pyarrow.float64()}
    types |= {list[int]: pyarrow.list_(pyarrow.int32()), list[float]: pyarrow.list_(pyarrow.float32())}
    columns = {
        each.name: pyarrow.array([getattr(row, each.name) for row in rows], types[each.type])  # type: ignore[index]
        for each in fields(kind)
    }
    table = pyarrow.table(columns).replace_schema_metadata({_VERSION: str(SCHEMA)})
    content = io.BytesIO()
    parquet.write_table(table, content, compression="zstd", compression_level=19, row_group_size=1 << 20)
    disk.write(path, content.getvalue())


def _order(item: Any) -> tuple[Any, ...]:
    return getattr(item, "planted", 0), item.seed, item.example


def unpack(path: Path, kind: type[Any]) -> list[Any]:
    """The rows of a file. Raises: ForeignSchema, FileNotFoundError, and ValueError where it is damaged."""
    from pyarrow import parquet

    table = parquet.read_table(io.BytesIO(path.read_bytes()), page_checksum_verification=True)
    version = (table.schema.metadata or {}).get(_VERSION)
    if version != str(SCHEMA).encode():
        raise ForeignSchema(f"{path}: its metadata say {version!r}: this version reads and writes {SCHEMA}")
    return [kind(**row) for row in table.to_pylist()]
