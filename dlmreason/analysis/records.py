"""What one answer to one puzzle at one budget leaves behind, and the file that keeps it.

This file decides the fields of a record and of what stands beside it, and how they lie on disk: one line each, the
CRC-32 of its JSON first, so that a torn or damaged line is found and named and never read as something else. The same
records give the same bytes. It knows no task, no model and no statistics.

    1c291ca3 {"answer":"1 2 3 4","arm":"confidence", ... ,"kind":"record","schema":1}
"""

import gzip
import json
import os
import sys
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self, TypeVar

from dlmreason import disk

SCHEMA = 1
"""Version of every line's fields. Raise it when a field is added, removed or changes its meaning. One of LATER changes
no line that does without it."""


@dataclass(frozen=True, slots=True)
class Record:
    """One (arm, example, rung, seed): what was answered, was it right, what did it cost. Deterministic fields only."""

    arm: str
    task: str
    split: str
    example: str  # unique within (task, split)
    difficulty: int
    rung: int  # the budget, in passes of the diffusion arm or what their FLOPs buy another arm
    seed: int
    answer: str
    correct: bool
    reason: str  # why it is wrong; "" when correct
    nfe: int  # calls of the network for this row
    scheduled_passes: int
    sequential_depth: int  # network calls that had to wait for one another
    flops: int  # really spent, a multiply-add is 2
    events: dict[str, int]  # counted from the first pass up to this rung: written, doubted, restored, flipped, ...
    run_key: str  # names everything that could have changed this line
    score: float | None = None  # the arm's own score of its answer; None: it judged nothing
    settled: bool = False  # True: nothing would have changed with more passes, so none were spent
    paper_correct: bool | None = None  # by a published, more lenient grader; None: the task has none
    thought: str | None = None  # what was written before the answer, and stood there; None: not kept

    @property
    def point(self) -> tuple[str, int, str, int]:
        """(arm, rung, example, seed): what there may be one record of."""
        return self.arm, self.rung, self.example, self.seed


@dataclass(frozen=True, slots=True)
class Timing:
    """How long a piece of work took on one machine. Kept apart from records, which no clock may change."""

    arm: str
    rung: int | None  # None: the whole ladder
    seconds: float
    rows: int  # examples worked on
    batch: int  # the fixed width of a network call
    passes: int  # network calls made
    peak_bytes: int | None
    device: str
    threads: int
    run_key: str


@dataclass(frozen=True, slots=True)
class Trace:
    """One row's canvas over its passes, changes only.

    frames: `{"pass": int, "changes": [[position, token], ...], "quality": [0..100] * length | None,
    "score": float | None, "masked": int}` for passes at which something changed or was judged; the quality is that of
    the canvas which the pass read.
    answers: `{"pass": int, "changes": [[position, token], ...]}`, the answer it would have given, each against the one
    before and the first against `start`.
    """

    arm: str
    example: str
    seed: int
    length: int
    layout: dict[str, int]  # rows, columns, box_rows, box_columns, first
    given: list[bool]
    start: list[int]
    gold: list[int] | None  # None: unknown, or several answers are right
    symbols: list[str]  # text of each token id
    mask_id: int
    frames: list[dict[str, Any]]
    answers: list[dict[str, Any]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Trial:
    """One setting of an arm, tried on puzzles that no claim is judged by."""

    arm: str
    trial: int  # from 0; every arm has as many
    settings: dict[str, Any]  # dotted keys below the arm
    task: str
    split: str
    examples: int
    rung: int
    seed: int
    correct: int
    accuracy: float  # of all examples; one that the budget bought no answer to is wrong
    low: float  # of a 95 % interval
    high: float
    flops: float  # mean of an example
    run_key: str


@dataclass(frozen=True, slots=True)
class Measurement:
    """What a pass or a token of an arm takes on one machine: its latency at batch 1, its throughput at a full batch."""

    arm: str
    what: str  # pass | token
    batch: int  # rows of a network call
    calls: int  # network calls that were timed; in a token's, the reading of prompts comes on top
    seconds: float
    seconds_per_call: float  # from one pass, or token, to the next
    seconds_per_row: float  # the same, shared by the rows
    peak_bytes: int | None
    joules: float | None  # of the whole device over these seconds
    missing: dict[str, str]  # why there is no value, by field
    device: str
    threads: int
    run_key: str


@dataclass(frozen=True, slots=True)
class Speed:
    """What one answer took in one round of a claim that measures, all its rows together, or a yardstick of the same
    round."""

    arm: str
    axis: str  # what grows along it: answer | context
    at: int  # tokens of it; 0: a yardstick
    batch: int  # rows that are answered together
    round: int  # from 0; arms took turns within it
    what: str  # token | pass | product: of what kind most calls are
    calls: int  # of the network, one after another
    flops: int  # of all rows, by formula
    seconds: float | None  # None: foretold to take too long, and left to the formula
    clock: str  # wall | processor: the time that passed, or that a processor worked for it
    device: str
    threads: int
    run_key: str


@dataclass(frozen=True, slots=True)
class SplitRead:
    """An arm has answered puzzles of a split under a run key; of the test split a claim does so once."""

    arm: str
    split: str
    seed: int
    run_key: str


@dataclass(frozen=True, slots=True)
class Counted:
    """What one row did on one walk, counted in constant memory; see `sampling.counters.RowCounters.told`.

    A policy that plans for its total walks once for each rung, another once for all: a line for each walk. Lists are of
    `positions`, the editable ones.
    """

    arm: str
    example: str
    seed: int
    rung: int  # the walk's last
    nfe: int
    still: int  # passes without a change after which a row has settled
    positions: list[int]
    doubted: list[int]
    restored: list[int]
    flipped: list[int]
    wrong_to_right: list[int]
    right_to_wrong: list[int]
    commit: list[int]  # the pass that last changed the committed token; 0: the start; -1: never written
    ever_right: list[bool]
    distinct: int  # canvases seen
    distinct_exact: bool  # False: an estimate
    stood_since: int  # the pass that last changed the canvas
    fixed: bool  # the policy has said that it reads no more
    period: int | None  # of the cycle that it is in
    settled: int | None  # the pass by which it had
    left: int  # passes that changed a committed token after that
    ended: str  # settled and stayed | settled and wandered | never settled
    curve: dict[str, list[Any]]  # pass, energy, quality, entropy, residual, level: thinned, of equal length
    run_key: str


LATER = ("paper_correct", "thought")
"""Fields of a record that came later, and are left out where they say nothing."""

Line = Record | Timing | Trace | Trial | Measurement | Speed | SplitRead | Counted
Kind = TypeVar("Kind", Record, Timing, Trace, Trial, Measurement, Speed, SplitRead, Counted)
NAMES: dict[type[Line], str] = {
    Record: "record",
    Timing: "timing",
    Trace: "trace",
    Trial: "trial",
    Measurement: "measurement",
    Speed: "speed",
    SplitRead: "split_read",
    Counted: "counters",
}


class RecordsError(ValueError):
    """A records file, or a set of records, that must not be used as it is."""


class Problem(NamedTuple):
    """Something in a file that was left out, and why."""

    path: str
    line: int  # from 1; 0: the file as a whole
    reason: str

    def __str__(self) -> str:
        place = f"{self.path}:{self.line}" if self.line else self.path
        return f"{place}: {self.reason}"


class Contents(NamedTuple):
    """What a file holds, and what of it could not be used."""

    items: list[Any]
    problems: list[Problem]


def encode(item: Line) -> bytes:
    """The line of a record: 8 hex digits of CRC-32, a space, JSON with sorted keys, a newline.

    Raises: ValueError for a number that JSON cannot hold (infinite or NaN: an unjudged score is None).
    """
    content: dict[str, Any] = {each.name: getattr(item, each.name) for each in fields(item)}
    for name in LATER:
        if content.get(name, True) is None:
            del content[name]
    content |= {"kind": NAMES[type(item)], "schema": SCHEMA}
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), allow_nan=False).encode()
    return b"%08x %s\n" % (zlib.crc32(text), text)


def decode(line: bytes) -> dict[str, Any]:
    """The JSON of a line, checked against its CRC.  Raises: RecordsError saying what is wrong."""
    if not line.endswith(b"\n"):
        raise RecordsError("torn: the line does not end; it was being written when its writer stopped")
    given, _, text = line[:-1].partition(b" ")
    if given != b"%08x" % zlib.crc32(text):
        raise RecordsError("damaged: the CRC does not fit the content")
    content = json.loads(text)
    if not isinstance(content, dict) or content.get("schema") != SCHEMA:
        version = content.get("schema") if isinstance(content, dict) else None
        raise ForeignSchema(f"foreign schema {version!r}: this version reads and writes {SCHEMA}")
    return content


class ForeignSchema(RecordsError):
    """A line that another version of this project wrote."""


def read(path: Path | str, kind: type[Kind]) -> Contents:
    """Every usable line of a `.jsonl` or `.jsonl.gz` file as `kind`, and a problem for every line that is not.

    Raises: FileNotFoundError, and OSError where the file cannot be opened.
    """
    items: list[Kind] = []
    problems: list[Problem] = []
    name = Path(path).name
    number = 0
    try:
        for number, line in enumerate(_lines(Path(path)), 1):
            try:
                items.append(_build(decode(line), kind))
            except ValueError as error:
                problems.append(Problem(name, number, str(error)))
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        problems.append(Problem(name, number + 1, f"damaged: the compressed file cannot be read further ({error})"))
    return Contents(items, problems)


def _lines(path: Path) -> Iterator[bytes]:
    with gzip.open(path, "rb") if path.suffix == ".gz" else open(path, "rb") as file:
        yield from file


def _build(content: dict[str, Any], kind: type[Kind]) -> Kind:
    found = content.pop("kind", None)
    del content["schema"]
    if found != NAMES[kind]:
        raise RecordsError(f"a {found!r} line among {NAMES[kind]} lines")
    try:
        return kind(**content)
    except TypeError as error:
        raise RecordsError(f"fields do not fit: {error}") from None


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


class Writer:
    """Appends lines that are on the disk when the call returns.

    Opening an existing file checks it: a torn last line is reported and cut off, damaged lines are reported and left,
    and a line of a foreign schema is refused. One writer per file at a time.

    Raises: RecordsError at opening, OSError when the disk is full; a line that did not fit is cut off again.
    """

    def __init__(self, path: Path | str, report: Callable[[str], None] = _say) -> None:
        self.path = Path(path)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        new = not self.path.exists()
        whole = 0 if new else _whole_lines(self.path, report)
        self._file = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
        os.ftruncate(self._file, whole)
        os.fsync(self._file)
        if new:
            disk.sync(self.path.parent)

    def append(self, item: Line | Mapping[str, Any]) -> None:
        """One line; a mapping is a trace."""
        self.append_many([item])

    def append_many(self, items: Iterable[Line | Mapping[str, Any]]) -> None:
        """Several lines, synchronised with the disk once."""
        data = b"".join(encode(Trace(**item) if isinstance(item, Mapping) else item) for item in items)
        end = os.lseek(self._file, 0, os.SEEK_END)
        try:
            while data:
                data = data[os.write(self._file, data) :]
            os.fsync(self._file)
        except OSError:
            os.ftruncate(self._file, end)
            raise

    def close(self) -> None:
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _whole_lines(path: Path, report: Callable[[str], None]) -> int:
    """Bytes of `path` that are whole lines; reports what is torn or damaged, refuses what is foreign."""
    size = 0
    with open(path, "rb") as file:
        for number, line in enumerate(file, 1):
            try:
                decode(line)
            except ForeignSchema as error:
                raise ForeignSchema(
                    f"{path}:{number}: {error}; write to another folder, or move this file away"
                ) from None
            except ValueError as error:
                if not line.endswith(b"\n"):
                    report(f"{path}:{number}: {error}; cut off ({len(line)} bytes)")
                    break
                report(f"{path}:{number}: {error}; left where it is and not counted")
            size += len(line)
    return size
