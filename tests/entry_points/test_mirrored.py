"""A real run and its copy in W&B: every number is there, and the run is what it would be without."""

import json
from pathlib import Path

import pytest

from dlmreason.mirroring import MACHINE
from dlmreason.reports.shown import shown_of
from tests.entry_points.tiny import content, experiment, records, weights
from tests.reports.leet import inspect, rows_of


@pytest.mark.slow
def test_every_number_of_a_real_run_is_there_and_equal(finished: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    assert experiment(folder, "logger=wandb", "logger.tags=[mine]") == 0
    lines = inspect(folder)
    rows = rows_of(lines)
    assert rows == [row.values for row in shown_of(folder).rows]
    assert {f"{model}/mfu" for model in ("diffusion", "answer", "thought")} <= {name for row in rows for name in row}
    (run,) = [line["run"] for line in lines if line["type"] == "run"]
    assert (run["job_type"], run["run_group"]) == ("experiment", "tiny") and "mine" in run["tags"]
    assert records(folder) == records(finished) and weights(folder) == weights(finished)
    # What has no part in a result: where W&B is, and the yardstick of speed.
    new = content(folder).keys() - content(finished).keys()
    assert {name for name in new if not name.startswith("wandb/")} == {MACHINE}


@pytest.mark.slow
def test_the_yardstick_is_measured_once(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    kept = []
    for _ in range(2):
        assert experiment(folder, "logger=wandb") == 0
        kept.append(json.loads((folder / MACHINE).read_text()))
    assert kept[0] == kept[1] and kept[0]["threads"] == 1 and kept[0]["matrix_product_flops_per_second"] > 1e8
