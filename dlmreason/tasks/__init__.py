"""What is asked of a model, and what counts as right."""

from dlmreason.tasks.correcting import Correcting
from dlmreason.tasks.example import Example, FileError, Layout, PuzzleError, Sheet, Verdict, example_seed
from dlmreason.tasks.star_graph import StarGraph
from dlmreason.tasks.steps import Steps
from dlmreason.tasks.subject import Form, Problem, Subject, Symmetries, content_key, copies
from dlmreason.tasks.sudoku import Sudoku
from dlmreason.tasks.task import Task
from dlmreason.tasks.vocabulary import Characters, Closed, Vocabulary

__all__ = [
    "Characters",
    "Closed",
    "Correcting",
    "Example",
    "FileError",
    "Form",
    "Layout",
    "Problem",
    "PuzzleError",
    "Sheet",
    "StarGraph",
    "Steps",
    "Subject",
    "Sudoku",
    "Symmetries",
    "Task",
    "Verdict",
    "Vocabulary",
    "content_key",
    "copies",
    "example_seed",
]
