"""Laws of the settings: the learning rate's shape, and a refusal for every value that is none."""

import itertools
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from dlmreason.diffusion.objectives import Staged
from dlmreason.launch_objects import instantiate
from dlmreason.training.settings import Settings

CONF = Path(__file__).parents[2] / "conf"


@given(updates=st.integers(1, 5000), warmup=st.floats(0, 1), floor=st.floats(0, 1))
def test_the_rate_rises_to_its_height_and_falls_to_its_floor(updates: int, warmup: float, floor: float) -> None:
    settings = Settings(lr=0.5, warmup=warmup, floor=floor)
    rates = [settings.rate(update, updates) for update in range(updates)]
    top = rates.index(max(rates))
    assert rates[: top + 1] == sorted(rates[: top + 1]) and rates[top:] == sorted(rates[top:], reverse=True)
    assert max(rates) == pytest.approx(0.5)
    if updates - round(warmup * updates) > 1:
        assert rates[-1] == pytest.approx(0.5 * floor, abs=1e-12)


def test_the_rate_is_linear_and_then_a_cosine() -> None:
    settings = Settings(lr=1.0, warmup=0.1, floor=0.2)
    assert [settings.rate(update, 101) for update in range(10)] == pytest.approx([(u + 1) / 10 for u in range(10)])
    assert settings.rate(10, 101) == 1.0
    assert settings.rate(55, 101) == pytest.approx(0.6)
    assert settings.rate(100, 101) == pytest.approx(0.2)


@pytest.mark.parametrize(
    "wrong",
    [
        {"batch_size": 0},
        {"batch_size": True},
        {"lr": 0.0},
        {"lr": float("nan")},
        {"lr": float("inf")},
        {"weight_decay": -1.0},
        {"betas": (0.9,)},
        {"betas": (0.9, 1.0)},
        {"warmup": 1.5},
        {"floor": -0.1},
        {"clip": 0.0},
        {"ema": 1.0},
        {"snapshots": (1.0,)},
        {"ladders": -1},
        {"ladders": 0.5},
        {"ladder_examples": 0},
        {"checkpoint_every": -1},
        {"keep": 0},
        {"log_every": 1.5},
        {"accelerator": "tpu"},
        {"precision": "16"},
        {"threads": 0},
    ],
    ids=str,
)
def test_every_value_that_is_none_is_refused_with_what_is_allowed(wrong: dict[str, object]) -> None:
    (name,) = wrong
    with pytest.raises(ValueError, match=rf"trainer\.{name}=.* is not allowed: give .+"):
        Settings(**wrong)  # type: ignore[arg-type]


def test_snapshots_fall_within_the_training() -> None:
    settings = Settings(snapshots=(0.9, 0.5, 0.001))
    due = {done: settings.snapshots_at(done, 10) for done in range(11)}
    assert {done: shares for done, shares in due.items() if shares} == {1: [0.001], 5: [0.5], 9: [0.9]}
    assert settings.snapshots_at(1, 1) == [0.001, 0.5, 0.9]


@given(updates=st.integers(1, 3000), ladders=st.integers(0, 40))
def test_ladders_are_as_many_as_asked_evenly_apart_and_end_with_the_training(updates: int, ladders: int) -> None:
    settings = Settings(ladders=ladders)
    due = [done for done in range(1, updates + 1) if settings.ladder_at(done, updates)]
    assert len(due) == min(ladders, updates) and due[-1:] == ([updates] if ladders else [])
    steps = [after - before for before, after in itertools.pairwise([0, *due])]
    assert not steps or max(steps) - min(steps) <= 1


@pytest.mark.parametrize("path", sorted((CONF / "trainer").glob("*.yaml")), ids=lambda path: path.stem)
def test_trainers_that_are_configured_can_be_made(path: Path) -> None:
    config = yaml.safe_load(path.read_text())
    assert isinstance(instantiate(config, "trainer"), Settings)
    assert set(config) - {"_target_"} == set(Settings.__dataclass_fields__), "a config shows every setting"


@pytest.mark.parametrize("path", sorted((CONF / "objective").glob("*.yaml")), ids=lambda path: path.stem)
def test_objectives_that_are_configured_can_be_made(path: Path) -> None:
    config = yaml.safe_load(path.read_text())
    if "defaults" in config:
        pytest.skip("made of other groups; tests/test_conf.py composes and builds it")
    made = instantiate(config, "objective")
    assert isinstance(made, Staged) or (callable(made) and made.forwards.charged > 0)
