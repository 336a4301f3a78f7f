"""Every cell of every sweep is composed, and is the same whether W&B's agent or Hydra's multirun makes it."""

import itertools
import math

import pytest
import yaml

from dlmreason import launch, sweep
from dlmreason.launch_config import Tree, read_command

SWEEPS = {name: sweep.read(sweep.folder() / f"{name}.yaml") for name in sweep.names()}
TREE = Tree(launch.conf_folder(), "experiment")


def of_agents(name: str) -> list[list[str]]:
    """The overrides that W&B's agent hands to each cell: its own filling of the command, in its own words."""
    utils = pytest.importorskip("wandb.sdk.launch.sweeps.utils")
    given = yaml.safe_load((sweep.folder() / f"{name}.yaml").read_text())
    keys, values = zip(*((key, each["values"]) for key, each in given["parameters"].items()), strict=True)
    cells = []
    for cell in itertools.product(*values):
        args = {"args": {key: {"value": value} for key, value in zip(keys, cell, strict=True)}}
        filled = {"${args_no_hyphens}": utils.create_sweep_command_args(args)["args_no_hyphens"]}
        command = utils.create_sweep_command(list(given["command"]))
        cells.append([word for part in command for word in filled.get(part, [part])])
    return cells


@pytest.mark.slow
@pytest.mark.parametrize("name", SWEEPS)
def test_both_ways_make_the_same_cells(name: str) -> None:
    jobs = TREE.jobs(read_command(SWEEPS[name].multirun))
    agents = of_agents(name)
    assert len(jobs) == len(agents) == SWEEPS[name].cells > 1
    start = ["${env}", "${interpreter}", "-m", "${program}"]
    assert all(words[:4] == start and sweep.ONLINE in words for words in agents)
    said = [sorted(word for word in words[4:] if word != sweep.ONLINE) for words in agents]
    assert sorted(map(sorted, jobs)) == sorted(said)


@pytest.mark.slow
@pytest.mark.parametrize("name", SWEEPS)
def test_every_cell_is_composed(name: str) -> None:
    jobs = TREE.jobs(read_command(SWEEPS[name].multirun))
    with TREE.open():
        cells = [TREE.settings(overrides, launch.RULES, ()) for overrides in jobs]
    assert len({cell["output"] for cell in cells}) == len(cells)
    for key, values in SWEEPS[name].values.items():
        seen = []
        for cell in cells:
            value = cell
            for part in key.split("."):
                value = value[part]
            seen.append(value)
        assert set(seen) == set(values) and len(seen) == math.prod(map(len, SWEEPS[name].values.values()))


def test_a_cell_of_each_is_composed() -> None:
    with TREE.open():
        for each in SWEEPS.values():
            first = TREE.jobs(read_command(each.multirun))[0]
            cell = TREE.settings(first, launch.RULES, ())
            assert cell["name"].startswith("demo") and (cell["logger"]["group"] or cell["name"][:5] == "demo_")


def test_the_page_is_made_from_the_files() -> None:
    page = sweep.folder().parent / "docs" / "sweeps.md"
    assert page.read_text(encoding="utf-8") == sweep.table(), "run: make sweep > docs/sweeps.md"


def test_without_a_name_they_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert sweep.main([]) == 0
    assert capsys.readouterr().out == sweep.table()
    assert sweep.main(["nothing"]) == 2
    assert "there are doubt, learning_rate" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"method": "bayes"}, "must be a grid"),
        ({"program": "train.py"}, "must be a grid of dlmreason.experiment"),
        ({"parameters": {"seed": {"min": 0, "max": 3}}}, "parameters.seed: must be a list of values"),
    ],
)
def test_what_no_multirun_can_be_is_refused(change, said, tmp_path) -> None:  # type: ignore[no-untyped-def]
    given = yaml.safe_load((sweep.folder() / "seeds.yaml").read_text()) | change
    (tmp_path / "own.yaml").write_text("# own\n" + yaml.safe_dump(given))
    with pytest.raises(launch.BadInput, match=said):
        sweep.read(tmp_path / "own.yaml")


def test_slurm_is_composed() -> None:
    """As docs/sweeps.md says it: Hydra's own launcher with its own schema, which refuses what it does not know."""
    pytest.importorskip("hydra_plugins.hydra_submitit_launcher", reason="no Slurm here: pip install -e '.[slurm]'")
    from hydra import compose

    said = ["hydra/launcher=submitit_slurm", "hydra.launcher.submitit_folder=outputs/slurm/%j"]
    assert " ".join(said) in sweep.HEAD
    argv = [*SWEEPS["seeds"].multirun, *said, "hydra.launcher.partition=long"]
    jobs = TREE.jobs(read_command(argv))
    assert len(jobs) == 5
    with TREE.open():
        assert TREE.settings(jobs[0], launch.RULES, ())["seed"] == 0
        launcher = compose("experiment", jobs[0], return_hydra_config=True).hydra.launcher
        assert launcher["_target_"].endswith("SlurmLauncher") and launcher.partition == "long"
        assert launcher.submitit_folder == "outputs/slurm/%j"
        with pytest.raises(launch.BadInput, match="partitoin"):
            TREE.settings([*jobs[0], "hydra.launcher.partitoin=long"], launch.RULES, ())
