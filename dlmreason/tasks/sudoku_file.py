"""Sudoku puzzles out of a file.

This file decides what a puzzle file may hold and which of its rows may be trained on. It knows no generator and no
model. Every row is checked for length, symbols, clues that contradict each other, and a solution that is wrong or
contradicts the puzzle; how many solutions a puzzle has is settled only for the rows that are evaluated, for it takes a
search.
"""

import csv
import gzip
import hashlib
import json
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dlmreason.tasks.example import FileError, PuzzleError
from dlmreason.tasks.sudoku_grid import Boards, Geometry, normalised
from dlmreason.tasks.sudoku_solver import candidates, search

ENDINGS = (".csv", ".csv.gz", ".jsonl")


def parse(text: str, board: Geometry, blanks: str = "0.") -> NDArray[np.uint8]:
    """[C] digits of a board in raster order, 0 for a blank; white space is ignored.

    Raises: PuzzleError for a wrong number of cells or a symbol that is neither a digit of this size nor a blank.
    """
    cells = "".join(text.split())
    digits = "123456789"[: board.size]
    for index, symbol in enumerate(cells):
        if symbol not in digits and symbol not in blanks:
            place = f" at {board.place(index)}" if index < board.cells else ""
            may = f", {' or '.join(blanks)}" if blanks else ""
            raise PuzzleError(f"{symbol!r}{place} is not a digit from 1 to {board.size}{may}")
    if len(cells) != board.cells:
        raise PuzzleError(f"{board.cells} cells expected, got {len(cells)}")
    return np.frombuffer(cells.replace(".", "0").encode(), np.uint8) - np.uint8(48)


NUMBERS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")


def repeated(boards: Boards, board: Geometry) -> Iterator[tuple[int, str]]:
    """(index, "row 2 has two 4s") for every board with a digit twice in a unit: the first such unit, rows before
    boxes.
    """
    if not len(boards):
        return
    counts = np.stack([(boards[:, board.units] == digit).sum(axis=2) for digit in range(1, board.size + 1)], axis=2)
    for index in np.flatnonzero((counts > 1).any(axis=(1, 2))):
        unit, digit = np.argwhere(counts[index] > 1)[0]
        yield int(index), f"{board.unit_name(unit)} has {NUMBERS[counts[index, unit, digit]]} {digit + 1}s"


@dataclass
class PuzzleFile:
    """The rows of a file that can be used, in the file's order."""

    board: Geometry
    on_error: str  # "stop" or "skip"
    puzzles: Boards
    grids: Boards  # zeros in a file that gives no solutions
    places: list[tuple[str, int]]  # path and line of each row
    sha256: str
    skipped: list[str] = field(default_factory=list)  # "path:line: reason" of each row left out

    def drop(self, problems: dict[int, str]) -> NDArray[np.bool_]:
        """[N] True for rows to keep; stops at the first problem, or reports all, as `on_error` has it."""
        keep = np.ones(len(self.puzzles), np.bool_)
        for row in sorted(problems, key=lambda row: self.places[row]):
            error = FileError(*self.places[row], problems[row])
            if self.on_error == "stop":
                raise error
            self.skipped.append(str(error))
            keep[row] = False
        return keep

    def take(self, rows: NDArray[np.int64]) -> None:
        self.puzzles, self.grids = self.puzzles[rows], self.grids[rows]
        self.places = [self.places[row] for row in rows]

    @property
    def solved(self) -> bool:
        """The file gives a solution in every row."""
        return bool(self.grids.any(axis=1).all())


def read(path: str, board: Geometry, on_error: str) -> PuzzleFile:
    """The usable rows of a file, or of all puzzle files of a folder in the order of their names.

    Raises: ValueError for a path that holds no such file; FileError, with on_error="stop", at the first bad row.
    """
    files = sorted(Path(path).iterdir()) if Path(path).is_dir() else [Path(path)]
    files = [file for file in files if file.name.endswith(ENDINGS) and file.is_file()]
    if not files:
        raise ValueError(
            f"task.file={path} must be a file that exists and ends in {', '.join(ENDINGS)}, or a folder that holds "
            f"some: check the path"
        )
    rows: list[tuple[NDArray[np.uint8], NDArray[np.uint8]]] = []
    places: list[tuple[str, int]] = []
    skipped: list[tuple[tuple[str, int], str]] = []
    digest = hashlib.sha256()
    for file in files:
        digest.update(file.read_bytes())
        for line, puzzle, solution, trouble in _texts(file):
            try:
                if trouble:
                    raise PuzzleError(trouble)
                rows.append((parse(puzzle, board), _solution(solution, board)))
                places.append((str(file), line))
            except PuzzleError as error:
                skipped.append(((str(file), line), error.reason))
    puzzles = np.array([row[0] for row in rows], np.uint8).reshape(-1, board.cells)
    grids = np.array([row[1] for row in rows], np.uint8).reshape(-1, board.cells)
    found = PuzzleFile(board, on_error, puzzles, grids, places, digest.hexdigest())
    problems: dict[int, str] = dict(repeated(puzzles, board))
    for row, reason in repeated(grids, board):
        problems.setdefault(row, f"solution: {reason}")
    changed = (puzzles > 0) & (puzzles != grids) & grids.any(axis=1, keepdims=True)
    for row, cell in np.argwhere(changed).tolist():
        clue, digit = puzzles[row, cell], grids[row, cell]
        problems.setdefault(row, f"the solution has {digit} at {board.place(cell)} where the puzzle has {clue}")
    if on_error == "stop" and skipped:  # the earliest line is the one to report, whichever check it failed
        first = min([(places[row], reason) for row, reason in problems.items()] + skipped)
        raise FileError(*first[0], first[1])
    found.skipped = [str(FileError(*place, reason)) for place, reason in skipped]
    found.take(np.flatnonzero(found.drop(problems)))
    if not len(found.puzzles):
        raise ValueError(
            f"task.file={path} holds no puzzle that can be used ({len(found.skipped)} left out): check the file"
        )
    return found


def _solution(text: str | None, board: Geometry) -> NDArray[np.uint8]:
    if text is None:
        return np.zeros(board.cells, np.uint8)
    try:
        return parse(text, board, blanks="")
    except PuzzleError as error:
        raise PuzzleError(f"solution: {error.reason}") from None


def _texts(file: Path) -> Iterator[tuple[int, str, str | None, str]]:
    """(line, puzzle, solution or None, what is wrong with the row or "") for each row of one file."""
    line = 0
    try:
        opener = gzip.open if file.name.endswith(".gz") else open
        with opener(file, "rt", encoding="utf-8-sig") as lines:
            for row in _json(lines) if file.name.endswith(".jsonl") else _csv(file, lines):
                line = row[0]
                yield row
    except (EOFError, zlib.error, gzip.BadGzipFile, UnicodeDecodeError, csv.Error) as error:
        raise FileError(str(file), line + 1, f"the file cannot be read on from here: {error}") from error


def _csv(file: Path, lines: Iterable[str]) -> Iterator[tuple[int, str, str | None, str]]:
    rows = csv.reader(lines)
    header = [name.strip() for name in next(rows, [])]
    if "puzzle" not in header:
        raise FileError(str(file), 1, f"the header must name a column puzzle, got {','.join(header)!r}")
    puzzle_at, solution_at = header.index("puzzle"), header.index("solution") if "solution" in header else None
    for row in rows:
        if not row:
            continue
        if len(row) != len(header):
            yield rows.line_num, "", None, f"{len(header)} columns expected, got {len(row)}"
        else:
            yield rows.line_num, row[puzzle_at], None if solution_at is None else row[solution_at], ""


def _json(lines: Iterable[str]) -> Iterator[tuple[int, str, str | None, str]]:
    for line, text in enumerate(lines, start=1):
        if not text.strip():
            continue
        try:
            row = json.loads(text)
        except (ValueError, RecursionError) as error:
            yield line, "", None, f"not JSON: {error}"
            continue
        puzzle, solution = (row.get("input"), row.get("output")) if isinstance(row, dict) else (None, None)
        if not isinstance(puzzle, str) or not isinstance(solution, str | None):
            yield line, "", None, 'an object with a string "input", and perhaps a string "output", is expected'
        else:
            yield line, puzzle, solution, ""


def settle(file: PuzzleFile, rows: NDArray[np.int64], unique: bool) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The evaluated rows that hold what they promise, and their difficulties; fills in solutions that the file lacks.

    Raises: FileError, with on_error="stop", for a puzzle without a solution, or with two where one is promised.
    """
    found = search(candidates(file.puzzles[rows], file.board), file.board, limit=2)
    problems = {int(row): "the puzzle has no solution" for row in rows[found.solutions == 0]}
    if unique:
        problems |= {
            int(row): "the puzzle has two solutions where one is promised" for row in rows[found.solutions == 2]
        }
    kept = file.drop(problems)[rows]
    missing = ~file.grids[rows].any(axis=1)
    file.grids[rows[missing]] = found.grid[missing]
    return rows[kept], found.difficulty[kept]


def by_hash(file: PuzzleFile) -> tuple[NDArray[np.int64], list[str]]:
    """Rows in the order of the SHA-256 of their solution, relabelled to start 1, 2, 3, ...; and each row's hash."""
    forms = normalised(file.grids, file.board) + np.uint8(48)
    hashes = [hashlib.sha256(form.tobytes()).hexdigest() for form in forms]
    return np.array(sorted(range(len(hashes)), key=lambda row: (hashes[row], row)), np.int64), hashes


class Rows:
    """Rows of a file as the items of a split."""

    def __init__(self, file: PuzzleFile, rows: NDArray[np.int64], difficulty: NDArray[np.int64]) -> None:
        self.boards, self.grids, self.difficulty = file.puzzles[rows], file.grids[rows], difficulty
        self.fewest_clues = int((self.boards > 0).sum(axis=1).min(initial=file.board.cells))
        self.ids: list[str] = []
        times: dict[str, int] = {}
        for board in self.boards:
            key = content_hash(board)
            times[key] = times.get(key, 0) + 1
            self.ids.append(f"file/{key}" if times[key] == 1 else f"file/{key}/{times[key]}")

    def grow(self, count: int) -> None:
        """All rows are there."""


def content_hash(board: NDArray[np.uint8]) -> str:
    """64 bits of the SHA-256 of a puzzle's digits, in hexadecimal."""
    return hashlib.sha256((board + np.uint8(48)).tobytes()).hexdigest()[:16]
