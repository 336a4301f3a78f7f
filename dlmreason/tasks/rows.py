"""Rows of prompts, thoughts and answers out of files.

This file decides which files are read, how a row's texts are found in them, and what is said of a row that cannot be
used: its file, its line and the reason. It knows no subject: whether a row is a question that can be asked, another one
says, by `RowFile.refuse`.

A file ends in .jsonl, .csv, .tsv or .txt, and in .gz after it where it is compressed. Columns go by any of their names
in `COLUMNS`, whatever the case; others are ignored. A line of a .txt file reads `prompt||thought #### answer`, and so
may the answer of a row without a thought, less its prompt. White space around a text is no part of it. Lines are
UTF-8, end in LF or CRLF and are no longer than `LONGEST` bytes; blank ones say nothing.
"""

import csv
import gzip
import hashlib
import json
import re
import zlib
from array import array
from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from io import BufferedReader
from math import isfinite
from pathlib import Path
from typing import NamedTuple, overload

from dlmreason.tasks.example import FileError, PuzzleError
from dlmreason.tasks.vocabulary import MARKER

COLUMNS = {
    "prompt": ("prompt", "input", "question", "puzzle"),
    "thought": ("thought", "cot", "reasoning"),
    "answer": ("answer", "output", "solution"),
}
ENDINGS = (".jsonl", ".csv", ".tsv", ".txt")
LONGEST = 1 << 20
HOPELESS = 100
"""Bad rows without a good one before them after which a file is not read on."""

_RETURN = re.compile(r"\r(?!\n)")
_SURROGATE = re.compile("[\ud800-\udfff]")
_STARTS = {
    b"\x1f\x8b": "is compressed by gzip: let its name end in .gz",
    b"\xff\xfe": "is UTF-16 or UTF-32: save it as UTF-8",
    b"\xfe\xff": "is UTF-16: save it as UTF-8",
}


class Row(NamedTuple):
    """A row's texts; `thought` and `answer` are "" where the file gives none."""

    path: str
    line: int  # the first one of the row, from 1
    prompt: str
    thought: str
    answer: str


class Rows(Sequence[Row]):
    """Rows in the order of a file; in memory they take the bytes of their texts and 28 more each."""

    def __init__(self) -> None:
        self._text = bytearray()
        self._ends, self._lines = array("Q", [0]), array("I")
        self._firsts: list[int] = []  # of each path, the index of its first row
        self._paths: list[str] = []

    def append(self, row: Row) -> None:
        if not self._paths or self._paths[-1] != row.path:
            self._firsts.append(len(self))
            self._paths.append(row.path)
        for text in row[2:]:
            self._text += text.encode()
            self._ends.append(len(self._text))
        self._lines.append(row.line)

    def __len__(self) -> int:
        return len(self._lines)

    @overload
    def __getitem__(self, index: int) -> Row: ...
    @overload
    def __getitem__(self, index: slice) -> list[Row]: ...
    def __getitem__(self, index: int | slice) -> Row | list[Row]:
        if isinstance(index, slice):
            return [self[each] for each in range(*index.indices(len(self)))]
        index = range(len(self))[index]
        at = self._ends[3 * index : 3 * index + 4]
        prompt, thought, answer = (self._text[at[part] : at[part + 1]].decode() for part in range(3))
        path = self._paths[bisect_right(self._firsts, index) - 1]
        return Row(path, self._lines[index], prompt, thought, answer)


@dataclass
class RowFile:
    """What a file, a folder or a hub's dataset holds; `bad` is told of further rows by `refuse`."""

    rows: Rows
    sha256: str  # of the files' bytes one after the other; of a hub's dataset, of its rows
    source: str  # the setting that names it, for messages: "task.file=a.csv"
    bad: list[FileError] = field(default_factory=list)
    revision: str = ""  # the commit of a hub's dataset, where it is known
    _refused: int = field(default=0, init=False, repr=False)

    def refuse(self, row: Row, reason: str) -> None:
        """Leave out one of `rows`."""
        self.bad.append(FileError(row.path, row.line, reason))
        self._refused += 1

    def settle(self, on_error: str) -> list[str]:
        """What is left out, "path:line: reason" each, in the order of the file.

        Raises: FileError with the first of it, unless `on_error` is "skip"; ValueError where nothing is left to use.
        """
        bad = sorted(self.bad, key=lambda error: (error.path, error.line))
        if bad and on_error != "skip":
            raise bad[0]
        if len(self.rows) == self._refused:
            first = f" ({len(bad):,} left out, the first: {bad[0]})" if bad else ""
            raise ValueError(f"{self.source} holds no row that can be used{first}")
        return [str(error) for error in bad]


def read_rows(path: str, key: str = "task.file", *, answers: bool = True) -> RowFile:
    """The rows of a file, or of all files of a folder in the order of their names; bad ones are only collected.

    key: the setting that names the path.  answers: every row needs one.
    Raises: ValueError where there is no such file.
    """
    found = RowFile(Rows(), "", f"{key}={path}")
    digest = hashlib.sha256()
    limit = csv.field_size_limit(LONGEST)
    try:
        for file in _files(path, key):
            _read(file, answers, found)
            with suppress(OSError), open(file, "rb") as stream:  # what cannot be read is among the bad lines by now
                while block := stream.read(1 << 20):
                    digest.update(block)
    finally:
        csv.field_size_limit(limit)
    found.sha256 = digest.hexdigest()
    return found


def texts(columns: Mapping[str, object], answers: bool = True) -> tuple[str, str, str]:
    """Prompt, thought and answer out of a row's columns.

    Raises: PuzzleError for what is missing, empty, there twice, or no text; only an answer may be a number.
    """
    needed = ("prompt", "answer") if answers else ("prompt",)
    prompt, thought, answer = (_text(columns, part, part in needed) for part in COLUMNS)
    if MARKER in answer:
        if thought:
            raise PuzzleError(f"the answer holds {MARKER}, which a thought stands before, but there is a thought too")
        thought, answer = _halves(answer)
    if answers and not answer:
        raise PuzzleError("the answer is empty")
    if not prompt:
        raise PuzzleError("the prompt is empty")
    return prompt, thought, answer


def _text(columns: Mapping[str, object], part: str, needed: bool) -> str:
    if needed:
        _needs(columns, part)
    there = [name for name in COLUMNS[part] if columns.get(name) is not None]
    if len(there) > 1:
        raise PuzzleError(f"{' and '.join(there)} may both be the {part}: leave one of them out")
    if not there:
        if needed:
            raise PuzzleError(f"the {part} is null")
        return ""
    value = columns[there[0]]
    if part == "answer" and (type(value) is int or (type(value) is float and isfinite(value))):
        value = repr(value)
    if not isinstance(value, str) or (isinstance(value, _Number) and part != "answer"):
        raise PuzzleError(f"{there[0]} must be a text{' or a number' * (part == 'answer')}, and is {_kind(value)}")
    for fault, place in (("a NUL", value.find("\x00") + 1), ("an unpaired surrogate", _place(_SURROGATE, value))):
        if place:
            raise PuzzleError(f"{there[0]} has {fault} at character {place}")
    return value.strip()


def _needs(columns: Iterable[str], part: str) -> None:
    if not set(COLUMNS[part]).intersection(columns):
        names = ", ".join(columns)
        names = names if len(names) <= 100 else f"{names[:100]}..."
        raise PuzzleError(f"a column {' or '.join(COLUMNS[part])} is needed; there is {names or 'none'}")


def _halves(text: str) -> tuple[str, str]:
    thought, *rest = text.split(MARKER)
    if len(rest) != 1:
        raise PuzzleError(f"{MARKER} is there {len(rest)} times, where it stands once, before the answer")
    return thought.strip(), rest[0].strip()


def _kind(value: object) -> str:
    kinds = {dict: "an object", list: "a list", str: "a text", _Number: "a number", bool: "a truth value"}
    return "null" if value is None else kinds.get(type(value), f"a {type(value).__name__}")


def _place(pattern: re.Pattern[str], text: str) -> int:
    """Where the first match starts, from 1; 0: nowhere."""
    found = pattern.search(text)
    return found.start() + 1 if found else 0


# --- files and lines


def _files(path: str, key: str) -> list[Path]:
    where, fault = Path(path), ""
    try:
        files = [each for each in sorted(where.iterdir()) if _readable(each)] if where.is_dir() else [where]
        if not (files := [each for each in files if each.is_file()]):
            fault = "the folder holds none" if where.is_dir() else "there is no such file"
        elif not _readable(files[0]):
            fault = "its name ends otherwise"
    except OSError as error:
        fault = error.strerror or str(error)
    if fault:
        raise ValueError(
            f"{key}={path} must be a file that ends in {', '.join(ENDINGS)}, or one of these and .gz, or a folder with "
            f"such files: {fault}"
        )
    return files


def _readable(file: Path) -> bool:
    return file.name.removesuffix(".gz").endswith(ENDINGS) and not file.name.startswith(".")


class _BadLine(PuzzleError):
    """A line that is no text."""


class _Lines(Iterator[str]):
    """Lines with their ends, counted by `line`; one that is no text raises _BadLine, and the next one follows."""

    def __init__(self, stream: BufferedReader) -> None:
        self._stream, self.line = stream, 0

    def __next__(self) -> str:
        data = self._stream.readline(LONGEST + 1)
        if not data:
            raise StopIteration
        self.line += 1
        if len(data) > LONGEST:
            end = data
            while end and not end.endswith(b"\n"):
                end = self._stream.readline(LONGEST)
            returns = ", and has carriage returns: let lines end in LF or CRLF" * (b"\r" in data[:-2])
            raise _BadLine(f"the line is longer than {LONGEST:,} bytes{returns}")
        try:
            text = data.decode()
        except UnicodeDecodeError as error:
            raise _BadLine(f"not UTF-8: byte 0x{data[error.start]:02x} at byte {error.start + 1}") from None
        text = text.removeprefix("\ufeff") if self.line == 1 else text
        if place := text.find("\x00") + 1:
            raise _BadLine(f"a NUL at character {place}")
        if place := _place(_RETURN, text):
            raise _BadLine(f"a carriage return at character {place}: let lines end in LF or CRLF")
        return text


def _read(file: Path, answers: bool, found: RowFile) -> None:
    """Adds the rows of one file."""
    path, lines, good, bad, ids = str(file), None, 0, 0, dict[str, int]()
    opened: Callable[[Path, str], BufferedReader] = gzip.open if file.name.endswith(".gz") else open  # type: ignore
    try:
        with opened(file, "rb") as stream:
            if fault := _STARTS.get(stream.peek(2)[:2]):
                found.bad.append(FileError(path, 1, f"the file {fault}"))
                return
            lines = _Lines(stream)
            for line, columns in _columns(file.name.removesuffix(".gz"), lines, answers):
                try:
                    if isinstance(columns, str):
                        raise PuzzleError(columns)
                    prompt, thought, answer = texts(columns, answers)
                    if (id := columns.get("id")) and ids.setdefault(str(id), line) != line:
                        raise PuzzleError(f"the id {str(id)[:20]!r} is that of line {ids[str(id)]} too")
                    found.rows.append(Row(path, line, prompt, thought, answer))
                    good += 1
                except PuzzleError as error:
                    found.bad.append(FileError(path, line, error.reason))
                    bad += 1
                if bad == HOPELESS and not good:
                    reason = f"none of the first {HOPELESS} rows can be used: the file is not read on"
                    found.bad.append(FileError(path, lines.line + 1, reason))
                    return
            if not good and not bad:
                found.bad.append(FileError(path, 1, "the file holds no rows" if lines.line else "the file is empty"))
    except (OSError, EOFError, zlib.error) as error:
        reason = f"the file cannot be read on from here: {error}"
        found.bad.append(FileError(path, lines.line + 1 if lines else 1, reason))


def _columns(name: str, lines: _Lines, answers: bool) -> Iterator[tuple[int, Mapping[str, object] | str]]:
    """The columns of each row with its line, or what is wrong with it."""
    if name.endswith((".csv", ".tsv")):
        yield from _table(lines, "\t" if name.endswith(".tsv") else ",", answers)
        return
    parse = _object if name.endswith(".jsonl") else _line
    while True:
        try:
            text = next(lines)
            if text.strip():
                yield lines.line, parse(text)
        except StopIteration:
            return
        except PuzzleError as error:
            yield lines.line, error.reason


# --- what a line may be


class _Number(str):
    """A number of a JSON text, as it is spelled there."""


def _pairs(pairs: Sequence[tuple[str, object]]) -> dict[str, object]:
    names = [name.strip().lower() for name, _ in pairs]
    columns = {name: value for name, (_, value) in zip(names, pairs, strict=True)}
    if len(columns) < len(names):
        raise PuzzleError(f"{Counter(names).most_common(1)[0][0][:20]!r} is there twice")
    return columns


def _constant(name: str) -> object:
    raise PuzzleError(f"not JSON: {name} is no JSON value")


_JSON = json.JSONDecoder(parse_int=_Number, parse_float=_Number, parse_constant=_constant, object_pairs_hook=_pairs)


def _object(text: str) -> Mapping[str, object]:
    try:
        columns = _JSON.decode(text.rstrip("\r\n"))
    except json.JSONDecodeError as error:
        raise PuzzleError(f"not JSON: {error.msg.removesuffix(' at')} at character {error.pos + 1}") from None
    except RecursionError:
        raise PuzzleError("not JSON that can be read: brackets are nested too deeply") from None
    if not isinstance(columns, dict):
        raise PuzzleError(f"a line must hold a JSON object, and holds {_kind(columns)}")
    return columns


def _line(text: str) -> Mapping[str, object]:
    parts = text.split("||")
    if len(parts) != 2:
        raise PuzzleError(f"|| is there {len(parts) - 1} times, where it stands once, after the prompt")
    return {"prompt": parts[0], "answer": parts[1]}


def _table(lines: _Lines, delimiter: str, answers: bool) -> Iterator[tuple[int, Mapping[str, object] | str]]:
    rows, header = csv.reader(lines, delimiter=delimiter, strict=True), list[str]()
    while True:
        first = lines.line + 1
        try:
            row = next(rows)
            if not header:
                header = _header(row, answers)
            elif len(row) == len(header):
                yield first, dict(zip(header, row, strict=True))
            elif row:
                yield first, f"{len(header)} columns expected, got {len(row)}"
            continue
        except StopIteration:
            return
        except _BadLine as error:
            line, reason = lines.line, error.reason
        except PuzzleError as error:
            line, reason = first, error.reason
        except csv.Error as error:
            unclosed = "end of data" in str(error) or "field limit" in str(error)
            line, reason = first, "a quote opens in this row and is not closed" if unclosed else f"not CSV: {error}"
        yield line, reason
        if not header:
            return


def _header(row: Sequence[str], answers: bool) -> list[str]:
    """The names of the columns; none for a blank line."""
    names = [cell.strip().lower() for cell in row]
    if not any(names):
        return []
    try:
        for part in ("prompt", "answer")[: 1 + answers]:
            _needs(names, part)
    except PuzzleError as error:
        raise PuzzleError(f"header: {error.reason}") from None
    if len(set(names)) < len(names):
        raise PuzzleError(f"header: {Counter(names).most_common(1)[0][0][:20]!r} is there twice")
    return names
