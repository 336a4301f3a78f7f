"""Runs that many tests look at; who changes one copies it first (`tiny.copy`)."""

from pathlib import Path

import pytest

from tests.entry_points.tiny import MACHINE, NETWORK, TRAINER, experiment, start


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The output folder of an experiment that nothing disturbed."""
    folder = tmp_path_factory.mktemp("finished")
    assert experiment(folder) == 0
    return folder


@pytest.fixture(scope="session")
def sudoku(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The output folder of `train` alone: a diffusion model of 4x4 Sudoku."""
    return sudoku_model(tmp_path_factory.mktemp("sudoku"))


@pytest.fixture(scope="session")
def udlm(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same of uniform noise."""
    return sudoku_model(tmp_path_factory.mktemp("udlm"), "objective@model.objective=udlm")


@pytest.fixture(scope="session")
def gidd(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same of hybrid noise."""
    return sudoku_model(tmp_path_factory.mktemp("gidd"), "objective@model.objective=gidd")


@pytest.fixture(scope="session")
def self_conditioned(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A diffusion model that also reads what it had in mind."""
    return sudoku_model(tmp_path_factory.mktemp("carries"), "objective@model.objective=self_conditioned")


def sudoku_model(folder: Path, *argv: str) -> Path:
    task = ("task=sudoku4x4", "task.train_examples=40", "task.validation_examples=3", "task.test_examples=5")
    settings = (*NETWORK, *TRAINER, *MACHINE, *task, "model.updates=4", "budget=tiny")
    assert start("train", *settings, *argv, f"output={folder}") == 0
    return folder


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Every test works in an empty folder, so that what is written where it should not be is seen."""
    folder = tmp_path / "cwd"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder
