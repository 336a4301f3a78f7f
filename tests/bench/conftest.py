"""What all benches print: a table of names and values, once a file is through."""

from collections.abc import Callable, Iterator

import pytest
import torch

from tests.bench.clock import REPEATS


@pytest.fixture(scope="module")
def table() -> Iterator[Callable[..., None]]:
    """Collects rows of the table, which is printed at the end."""
    rows: list[tuple[str, str]] = []
    yield lambda name, value: rows.append((name, value))
    print(f"\n\n{torch.get_num_threads()} threads, {torch.__version__}, medians of {REPEATS}")
    for name, value in rows:
        print(f"  {name:<66} {value}")
