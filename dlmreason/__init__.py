"""Does a diffusion language model reason when it is given very many passes and the right to change its mind?

`dlmreason.load(path).solve(puzzle, passes=1024)` asks a trained model one puzzle. Importing this package loads
nothing else.
"""

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dlmreason.solve import Solver

__version__ = "0.1.0"

__all__ = ["load"]


def load(path: str | Path) -> "Solver":
    """The model at `path`, a checkpoint's folder or that of a run, ready to be asked."""
    from dlmreason.solve import load as load_solver  # torch comes with it

    return load_solver(path)
