"""What all tests share: one thread for torch, and a small tree of config files.

One thread, because the workers share two cores and the last bit of a sum depends on the number of threads. No deadline
for an example of hypothesis: a busy machine is no failure.
"""

import textwrap
from pathlib import Path

import hypothesis
import pytest

hypothesis.settings.register_profile("any machine", deadline=None)
hypothesis.settings.load_profile("any machine")

CONF = {
    "go.yaml": """
        defaults: [_self_, {task: sudoku4x4}, {policy: change_of_mind}, {experiment: null}]
        name: demo
        output: outputs/${name}
        trusted: []
        seed: 0
        eta: 0.5
        title: a text
        budget: {passes: 1024, rungs: [1, 4, 16], width: 16}
        """,
    "task/sudoku4x4.yaml": "{size: 4, clues: 3, on_error: refuse}",
    "task/star_graph.yaml": "{arms: 2, length: 4}",
    "policy/change_of_mind.yaml": "count: 8",
    "policy/confidence.yaml": "count: 9",
    "experiment/quick.yaml": """
        # @package _global_
        defaults: [{override /policy: confidence}]
        budget: {passes: 16}
        """,
}


def pytest_runtest_setup(item: pytest.Item) -> None:
    if item.get_closest_marker("gpu"):
        import torch

        if not torch.cuda.is_available():
            pytest.skip("needs an accelerator, and torch sees none")


@pytest.fixture
def conf(tmp_path: Path) -> Path:
    """A folder of config files with primary config `go`."""
    folder = tmp_path / "conf"
    for name, text in CONF.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(textwrap.dedent(text))
    return folder


@pytest.fixture(autouse=True, scope="session")
def _one_thread() -> None:
    import torch

    torch.set_num_threads(1)
