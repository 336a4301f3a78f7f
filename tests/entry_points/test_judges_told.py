"""Before a large budget is spent, an experiment says how well the judge that will choose tells right from wrong."""

import json
from pathlib import Path

import pytest

from dlmreason import experiment as entry
from dlmreason.folder import measured
from tests.entry_points.tiny import copy, experiment

AREA = "held_out_state_auroc"


def with_area(folder: Path, area: float) -> None:
    """The last of the measures taken of the diffusion model, and one before that nobody is to be told."""
    path = folder / "metrics" / "diffusion.jsonl"
    lines = [{"step": 1, AREA: 0.123}, {"step": 2, AREA: area}, {"step": 3, "loss": 1.0}]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert measured(folder, "diffusion", AREA) == area


@pytest.mark.parametrize(("area", "warned"), [(0.97, True), (0.98, False), (0.999, False)])
def test_the_area_is_said_where_the_budget_is_large(
    area: float,
    warned: bool,
    finished: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    folder = copy(finished, tmp_path / "it")
    with_area(folder, area)
    assert experiment(folder) == 0 and "an area" not in capsys.readouterr().err
    monkeypatch.setattr(entry, "LONG", 4)
    assert experiment(folder) == 0
    said = [line for line in capsys.readouterr().err.splitlines() if "an area" in line]
    assert said and all(f"an area {area:.3f}" in line and ("fools" in line) == warned for line in said)
    assert not any(line.startswith("confidence") for line in said), "which asks no judge"


def test_what_was_not_measured_is_not_told(finished: Path, tmp_path: Path) -> None:
    assert measured(finished, "nobody", AREA) is None and measured(finished, "diffusion", "nothing") is None
