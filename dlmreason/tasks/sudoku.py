"""Sudoku: fill the blanks so that every row, column and box holds every digit once.

This file decides how a Sudoku is asked, thought about, laid out and judged, and which items a split holds. It knows no
model. Evaluated: any valid completion that keeps the clues is right. In 4x4 there are 288 grids in two symmetry
classes, so whatever a model does there says nothing about generalisation; `sudoku_generate` says how the other sizes
are held apart.

Cells are named by column letter and row number, a1 being the top left; a thought is pairs "cell digit", one per blank:
in raster order (`sweep`), in the order in which a solver with naked and hidden singles would write them (`solver`), or
in that order with the tries between that come to a dead end and are taken back (`search`; sudoku_search tells how).
Difficulty is the number of branch points of that solver; -1 in training items, where it is as a rule not measured.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, overload

import numpy as np
from numpy.typing import NDArray

from dlmreason.tasks.example import SPLITS, Example, Layout, PuzzleError, Sheet, Verdict, thoughts_of
from dlmreason.tasks.steps import Steps
from dlmreason.tasks.sudoku_file import PuzzleFile, Rows, by_hash, content_hash, parse, read, repeated, settle
from dlmreason.tasks.sudoku_generate import UNMEASURED, VERSION, Puzzles, Recipe, puzzle_key, same, symmetries
from dlmreason.tasks.sudoku_grid import BOXES, Boards, geometry
from dlmreason.tasks.sudoku_search import DEAD_END, TRY, Solver
from dlmreason.tasks.sudoku_solver import candidates, deductions, search
from dlmreason.tasks.vocabulary import Closed

FEWEST_UNIQUE = {4: 4, 6: 8, 9: 17}
"""No puzzle with fewer clues has one solution [9x9: arXiv:1201.0749]."""

PATIENCE = 5_000
"""Branch points after which the search for a person's solution is given up; the hardest known puzzles need about
1,500.
"""

SEARCH = 4
"""Symbols of a search, for each blank of the emptiest puzzle; dead ends beyond them are left out."""

MOST_CHARACTERS = 8
"""Of an answer, for each cell: room for the longest symbol and a space; a longer text is refused unread."""

GIVEN, WRITTEN = 1, 2


@dataclass(eq=False)
class Sudoku:
    """The Sudoku task of one size."""

    size: int  # 4, 6 or 9
    clues: tuple[int, int]  # fewest and most clues of a test or validation puzzle
    train_clues: tuple[int, int]  # of a training puzzle; any completion counts there
    unique: bool  # evaluation puzzles have exactly one solution
    train_examples: int
    validation_examples: int
    test_examples: int
    hard: bool = False  # evaluation puzzles are such that naked and hidden singles do not solve
    train_alike: bool = False  # training puzzles are as unique, minimal and hard: else a search seldom has dead ends
    minimal: bool = False  # evaluation puzzles lose their uniqueness with any clue; needs `unique`
    seed: int = 0
    thought: str = "sweep"  # or "solver", or "search"
    file: str | None = None  # evaluate these puzzles: .csv, .csv.gz, .jsonl, or a folder of such files
    file_split: str = "all"  # all of it is the test split; "hash": split by solution, train on the rest
    on_error: str = "stop"  # at a bad row of the file; "skip" leaves it out and says so in `skipped`

    in_place: ClassVar[bool] = True
    answers_end: ClassVar[bool] = False
    skipped: list[str] = field(default_factory=list, init=False)
    provenance: dict[str, str | int] = field(default_factory=dict, init=False)

    def __post_init__(self) -> None:
        self._check()
        self.clues, self.train_clues = (self.clues[0], self.clues[1]), (self.train_clues[0], self.train_clues[1])
        self._board = geometry(self.size)
        self.name = f"sudoku{self.size}x{self.size}"
        self.feature_sizes = (self.size + 1, self.size + 1, self.size + 1, 3)
        self.prompt_length = self.answer_length = self._board.cells
        self.symmetries = symmetries(self._board)
        self.layout = Layout(self.size, self.size, self._board.box_rows, self._board.box_columns, first=0)
        self._cells = [f"{'abcdefghi'[column]}{row + 1}" for row in range(self.size) for column in range(self.size)]
        digits = [str(digit) for digit in (*range(1, self.size + 1), 0)]
        signs = (TRY, DEAD_END) if self.thought == "search" else ()
        self._vocabularies = (Closed(digits), Closed(digits, [*self._cells, *signs]))
        one = rf"(?:\{TRY} )?[a-i][1-9] [1-9]"
        self.steps = Steps(one, (tuple(digits[: self.size]),), guesses=(TRY,), longest=2)
        self._solver = Solver(self._board, self._cells)
        self._features = np.stack([self._board.row + 1, self._board.column + 1, self._board.box + 1], axis=1)
        self.provenance = {"generator": VERSION, "seed": self.seed, "thought": self.thought}
        self.provenance |= {name: "-".join(map(str, getattr(self, name))) for name in ("clues", "train_clues")}
        self.provenance |= {name: int(getattr(self, name)) for name in ("unique", "hard", "minimal")}
        self.provenance |= {"train_alike": 1} if self.train_alike else {}
        self.provenance |= {f"{split}_examples": getattr(self, f"{split}_examples") for split in SPLITS}
        self._splits = self._generated() if self.file is None else self._read(self.file)
        self._most_blanks = self._board.cells - min(items.source.fewest_clues for items in self._splits.values())

    def _check(self) -> None:
        if self.size not in BOXES:
            raise ValueError(f"task.size={self.size} is not a Sudoku size built here: use 4, 6 or 9")
        cells = self.size**2
        for name, least in (("clues", FEWEST_UNIQUE[self.size] if self.unique else 0), ("train_clues", 0)):
            value = getattr(self, name)
            whole = isinstance(value, list | tuple) and [type(each) for each in value] == [int, int]
            if not whole or not 0 <= value[0] <= value[1] <= cells:
                raise ValueError(
                    f"task.{name}={value} must be the fewest and the most clues, 0 <= fewest <= most <= {cells}: "
                    f"give two numbers in that order"
                )
            if value[1] < least:
                raise ValueError(
                    f"task.{name}={list(value)}: no {self.size}x{self.size} puzzle with fewer than {least} clues has "
                    f"one solution: raise the most to {least} or more, or set task.unique=false"
                )
        for name in ("train_examples", "validation_examples", "test_examples"):
            if type(getattr(self, name)) is not int or getattr(self, name) < 1:
                raise ValueError(f"task.{name}={getattr(self, name)} must be 1 or more: ask for at least one item")
        for name, may in (
            ("thought", ("sweep", "solver", "search")),
            ("file_split", ("all", "hash")),
            ("on_error", ("stop", "skip")),
        ):
            if getattr(self, name) not in may:
                raise ValueError(f"task.{name}={getattr(self, name)} is unknown: use {' or '.join(may)}")
        if self.minimal and not self.unique:
            raise ValueError(
                "task.minimal=true means nothing with task.unique=false: set task.unique=true, or task.minimal=false"
            )
        if type(self.train_alike) is not bool:
            raise ValueError(
                f"task.train_alike={self.train_alike} must be true or false: are training puzzles as those evaluated?"
            )
        if type(self.seed) is not int or not 0 <= self.seed < 2**63:
            raise ValueError(f"task.seed={self.seed} must be 0 or more and below 2^63: choose another seed")

    def vocabulary(self, thought: bool) -> Closed:
        return self._vocabularies[thought]

    def length(self, *, in_place: bool, thought: bool) -> int:
        """Positions of the longest sheet among the items; a thought has two per blank, SEARCH of them in a search."""
        if in_place:
            self._refuse(thought)
            return self._board.cells
        return 2 * self._board.cells + 1 + self._most_blanks * (SEARCH if self.thought == "search" else 2) * thought

    def examples(self, split: str) -> Sequence[Example]:
        if split not in self._splits:
            raise ValueError(f"split={split} is unknown: use {', '.join(SPLITS)}")
        return self._splits[split]

    def example(self, puzzle: str) -> Example:
        """A person's puzzle; `answer` is a solution, "" where the search for one was given up.

        Raises: PuzzleError for a wrong length, a letter, clues that contradict each other, or no completion.
        """
        board = parse(puzzle, self._board)
        for _, reason in repeated(board[None], self._board):
            raise PuzzleError(reason)
        found = search(candidates(board[None], self._board), self._board, limit=2, most_branches=PATIENCE)
        if not found.solutions[0] and found.complete[0]:
            raise PuzzleError("no completion of this puzzle keeps the rules")
        grid = found.grid if found.solutions[0] else None
        return self._example(f"given/{content_hash(board)}", board[None], grid, int(found.difficulty[0]))

    def sheet(self, example: Example, *, in_place: bool, thought: bool) -> Sheet:
        """In place: one position per cell. After the prompt: cells with 0 for a blank | [thought] | #### | cells.

        Feature columns: row, column, box, and 1 for what is given, 2 for what a model writes; thoughts and #### have
        0s.
        """
        vocabulary, size, cells = self._vocabularies[thought], self.size, self._board.cells
        board = _digits(example.prompt)
        gold = _digits(example.answer) - 1 if example.answer else np.full(cells, vocabulary.mask_id)
        if in_place:
            self._refuse(thought)
            blank = board == 0
            given = np.where(blank, WRITTEN, GIVEN)
            features = np.concatenate([self._features, given[:, None]], axis=1)
            return Sheet(np.where(blank, gold, board - 1), blank, features, 0, np.zeros_like(board))
        middle = [*(vocabulary.encode(example.thought) if thought else []), vocabulary.marker_id]
        tokens = np.concatenate([np.where(board == 0, size, board - 1), middle, gold]).astype(np.int64)
        answer_at = cells + len(middle)
        editable = np.arange(len(tokens)) >= (cells if thought else answer_at)
        features = np.zeros((len(tokens), 4), np.int64)
        features[:cells, :3], features[:cells, 3] = self._features, GIVEN
        features[answer_at:] = self.answer_features()
        marker = editable & (np.arange(len(tokens)) == answer_at - 1)
        return Sheet(tokens, editable, features, answer_at, thoughts_of(marker))

    def answer_features(self) -> NDArray[np.int64]:
        return np.concatenate([self._features, np.full((self._board.cells, 1), WRITTEN)], axis=1)

    def keys(self, prompts: Sequence[str]) -> list[int]:
        """64-bit words, equal for prompts that are copies under the leakage symmetries."""
        boards = np.array([_digits(prompt) for prompt in prompts], np.uint8).reshape(-1, self._board.cells)
        return puzzle_key(boards, self._board).tolist()

    def same(self, first: str, second: str) -> bool:
        """Whether two prompts are copies: exact."""
        return same(_digits(first).astype(np.uint8), _digits(second).astype(np.uint8), self._board)

    def verify(self, example: Example, answer: str) -> Verdict:
        if len(answer) > MOST_CHARACTERS * self._board.cells:
            return Verdict(False, f"{self._board.cells} digits expected, got {len(answer)} characters")
        symbols = answer.split()
        if len(symbols) != self._board.cells:
            return Verdict(False, f"{self._board.cells} digits expected, got {len(symbols)}")
        digits = "123456789"[: self.size]
        for cell, symbol in enumerate(symbols):
            if len(symbol) != 1 or symbol not in digits:
                return Verdict(
                    False, f"{symbol[:20]!r} at {self._board.place(cell)} is not a digit from 1 to {self.size}"
                )
        for cell, (clue, symbol) in enumerate(zip(example.prompt.split(" "), symbols, strict=True)):
            if clue not in ("0", symbol):
                return Verdict(False, f"clue at {self._board.place(cell)} changed from {clue} to {symbol}")
        for _, reason in repeated(_digits(" ".join(symbols)).astype(np.uint8)[None], self._board):
            return Verdict(False, reason)
        return Verdict(True, "")

    def _refuse(self, thought: bool) -> None:
        if thought:
            raise ValueError("in_place=True leaves no room for a thought: use in_place=False, or thought=False")

    def _example(self, id: str, board: Boards, grid: Boards | None, difficulty: int) -> Example:
        """One item from [1, C] arrays; grid None: no answer is known."""
        if grid is None:
            return Example(id, _text(board[0]), "", "", difficulty)
        blanks = np.flatnonzero(board[0] == 0)
        if len(blanks) > self._most_blanks:  # a thought that would not fit the longest sheet
            return Example(id, _text(board[0]), "", _text(grid[0]), difficulty)
        if self.thought == "search":
            room = SEARCH * self._most_blanks
            words = self._solver.trace(board[0].tolist(), grid[0].tolist(), room)
            return Example(id, _text(board[0]), " ".join(words), _text(grid[0]), difficulty)
        if self.thought == "solver":
            blanks = blanks[np.argsort(deductions(board, grid, self._board)[0, blanks])]
        thought = " ".join(f"{self._cells[cell]} {grid[0, cell]}" for cell in blanks)
        return Example(id, _text(board[0]), thought, _text(grid[0]), difficulty)

    def _generated(self, avoid: Boards | None = None) -> dict[str, "Items"]:
        """Lazy generated splits; puzzles (and their symmetric copies) in `avoid` are left out."""
        keys = np.zeros(0, np.uint64) if avoid is None else puzzle_key(avoid, self._board)
        splits = {}
        for split in SPLITS:
            train, alike = split == "train", split != "train" or self.train_alike
            recipe = Recipe(
                self.name,
                split,
                self.seed,
                self.size,
                self.train_clues if train else self.clues,
                unique=self.unique and alike,
                minimal=self.minimal and alike,
                hard=self.hard and alike,
                distinct=not train,
            )
            splits[split] = Items(
                self, Puzzles(recipe, keys), getattr(self, f"{split}_examples"), f"{split}/{self.seed}"
            )
        self.provenance["source"] = "generated"
        return splits

    def _read(self, path: str) -> dict[str, "Items"]:
        file = read(path, self._board, self.on_error)
        splits = self._split_by_hash(file) if self.file_split == "hash" else {}
        if self.file_split == "all":
            rows, difficulty = settle(file, np.arange(len(file.puzzles)), self.unique)
            splits = self._generated(avoid=file.puzzles[rows])
            splits["test"] = self._filed(file, rows, difficulty)
        self.skipped = file.skipped
        self.provenance |= {"source": Path(path).name, "sha256": file.sha256, "file_split": self.file_split}
        self.provenance |= {"skipped": len(file.skipped), "test_examples": len(splits["test"])}
        return splits

    def _split_by_hash(self, file: PuzzleFile) -> dict[str, "Items"]:
        """Test: the rows whose solutions hash lowest; validation: the next; train: those that share nothing with
        either.

        Sharing means a solution up to relabelling, or a puzzle up to all symmetries. Training rows come in the order
        of their hashes too, as many as asked for and there are.
        """
        if not file.solved:
            raise ValueError(
                "task.file_split=hash needs a solution for every puzzle: add the column, or use task.file_split=all"
            )
        held = self.test_examples + self.validation_examples
        if held >= len(file.puzzles):
            raise ValueError(
                f"task.test_examples={self.test_examples} and task.validation_examples={self.validation_examples} "
                f"leave no row of the file's {len(file.puzzles)} for training: lower them, or use task.file_split=all"
            )
        order, hashes = by_hash(file)
        test, validation, rest = np.split(order, [self.test_examples, held])
        tested = {hashes[row] for row in test}
        validation = np.array([row for row in validation if hashes[row] not in tested], np.int64)
        tested |= {hashes[row] for row in validation}
        keys = puzzle_key(file.puzzles, self._board)
        apart = ~np.isin(keys[rest], keys[order[:held]])
        train = np.array(
            [row for row, free in zip(rest, apart, strict=True) if free and hashes[row] not in tested], np.int64
        )
        train = train[: self.train_examples]
        return {
            "train": self._filed(file, train, np.full(len(train), UNMEASURED)),
            "validation": self._filed(file, *settle(file, validation, self.unique)),
            "test": self._filed(file, *settle(file, test, self.unique)),
        }

    def _filed(self, file: PuzzleFile, rows: NDArray[np.int64], difficulty: NDArray[np.int64]) -> "Items":
        return Items(self, Rows(file, rows, difficulty), len(rows))


class Items(Sequence[Example]):
    """A split's items, made when they are looked at; the boards stay in memory, the texts do not."""

    def __init__(self, task: Sudoku, source: Puzzles | Rows, count: int, prefix: str = "") -> None:
        self.source = source
        self._task, self._count, self._prefix = task, count, prefix

    def __len__(self) -> int:
        return self._count

    @overload
    def __getitem__(self, index: int) -> Example: ...
    @overload
    def __getitem__(self, index: slice) -> list[Example]: ...
    def __getitem__(self, index: int | slice) -> Example | list[Example]:
        if isinstance(index, slice):
            return [self[each] for each in range(*index.indices(self._count))]
        index = range(self._count)[index]
        source = self.source
        source.grow(index + 1)
        id = source.ids[index] if isinstance(source, Rows) else f"{self._prefix}/{index}"
        board, grid = source.boards[index : index + 1], source.grids[index : index + 1]
        return self._task._example(id, board, grid, int(source.difficulty[index]))


def _text(digits: NDArray[np.uint8]) -> str:
    return " ".join((digits + np.uint8(48)).tobytes().decode())


def _digits(text: str) -> NDArray[np.int64]:
    """[C] of a text of single digits between single spaces."""
    return np.frombuffer(text.encode(), np.uint8)[::2].astype(np.int64) - 48
