"""Every kind of task with chains of thought, small."""

from functools import partial
from pathlib import Path
from typing import Any

from dlmreason.tasks.arithmetic import Addition, Multiplication
from dlmreason.tasks.boolean import Boolean
from dlmreason.tasks.colouring import Colouring
from dlmreason.tasks.countdown import Countdown
from dlmreason.tasks.gsm8k import GSM8K
from dlmreason.tasks.path_planning import PathPlanning
from dlmreason.tasks.running_sum import RunningSum
from dlmreason.tasks.satisfiability import Satisfiability
from dlmreason.tasks.star_graph import StarGraph
from dlmreason.tasks.sudoku import Sudoku
from dlmreason.tasks.text_vocabulary import byte_pair, characters
from dlmreason.tasks.written import Written
from dlmreason.tasks.zebra import Zebra

COUNTS = {"train_examples": 6, "validation_examples": 2, "test_examples": 4}
ROWS = {"train_file": str(Path(__file__).parents[1] / "rows.jsonl"), "vocabulary": characters, "thought_length": 30}
TASKS: dict[str, Any] = {
    "countdown": Written(Countdown(numbers=3), **COUNTS),
    "search": Written(Countdown(numbers=4, thought="search"), **COUNTS),
    "multiplication": Written(Multiplication(digits=(3, 3)), **COUNTS),
    "addition": Written(Addition(digits=3), **COUNTS),
    "paths": Written(PathPlanning(nodes=8, edges=16, length=4), **COUNTS),
    "words": Written(GSM8K(form="text"), **ROWS, **COUNTS),
    "equations": Written(GSM8K(form="equations"), **ROWS, **COUNTS),
    "pieces": Written(GSM8K(form="equations"), **{**ROWS, "vocabulary": partial(byte_pair, size=400)}, **COUNTS),
    "graph": StarGraph(arms=2, length=3, nodes=7, **COUNTS),
    "sudoku": Sudoku(4, (4, 8), (0, 8), unique=True, **COUNTS),
    "solver": Sudoku(6, (8, 12), (6, 18), unique=True, thought="solver", **COUNTS),
    "dead_ends": Sudoku(
        6, (8, 12), (8, 12), unique=True, minimal=True, hard=True, train_alike=True, thought="search", **COUNTS
    ),
    "boolean": Written(Boolean(depth=3), **COUNTS),
    "sums": Written(RunningSum(length=6, modulus=12), **COUNTS),
    "satisfiability": Written(Satisfiability(variables=5), **COUNTS),
    "colouring": Written(Colouring(), **COUNTS),
    "zebra": Written(Zebra(houses=3, categories=3), **COUNTS),
}
