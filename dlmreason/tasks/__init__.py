"""What is asked of a model, and what counts as right."""

from dlmreason.tasks.example import Example, FileError, Layout, PuzzleError, Sheet, Verdict, example_seed
from dlmreason.tasks.star_graph import StarGraph
from dlmreason.tasks.sudoku import Sudoku
from dlmreason.tasks.task import Task
from dlmreason.tasks.vocabulary import Closed, Vocabulary

__all__ = [
    "Closed",
    "Example",
    "FileError",
    "Layout",
    "PuzzleError",
    "Sheet",
    "StarGraph",
    "Sudoku",
    "Task",
    "Verdict",
    "Vocabulary",
    "example_seed",
]
