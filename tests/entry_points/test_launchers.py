"""A sweep whose cells a launcher starts in processes of their own, as Slurm does."""

from pathlib import Path

import pytest

from tests.entry_points.tiny import TINY, process

pytest.importorskip("hydra_plugins.hydra_submitit_launcher", reason="pip install -e '.[slurm]' to try launchers")


def swept(folder: Path, *argv: str) -> tuple[int, str]:
    launcher = ("hydra/launcher=submitit_local", f"hydra.launcher.submitit_folder={folder / 'jobs'}")
    output = "output=" + str(folder) + "/${name}"
    started = process("dlmreason.experiment", "-m", *TINY, *launcher, "name=tiny-${seed}", output, *argv, cwd=folder)
    out, said = started.communicate(timeout=800)
    return started.returncode, out + said


@pytest.mark.slow
@pytest.mark.timeout(900)  # two cells, each a process that imports everything
def test_cells_are_run_by_a_launcher(tmp_path: Path) -> None:
    code, said = swept(tmp_path, "seed=1")
    assert code == 0, said
    assert (tmp_path / "tiny-1" / "report.html").exists()
    assert list((tmp_path / "jobs").glob("*_result.pkl"))  # the launcher's, not ours


@pytest.mark.slow
@pytest.mark.timeout(900)  # two cells, each a process that imports everything
def test_a_cell_that_fails_fails_the_sweep(tmp_path: Path) -> None:
    (tmp_path / "tiny-1").write_text("a file where the folder of the second cell would be")
    code, said = swept(tmp_path, "seed=0,1")
    assert code != 0, said
    assert (tmp_path / "tiny-0" / "report.html").exists() and "exit code 2" in said
