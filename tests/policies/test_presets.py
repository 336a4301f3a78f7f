"""Presets left alone are what experiments and `solve` have always run."""

from dlmreason.policies import presets


def test_left_alone_they_are_as_they_were() -> None:
    mind = {"doubt": 12, "count": 2, "temperature": 1.0, "patience": 1, "share": 1.0}
    certificate = {"certify": -0.005, "tests": 3, "hidden": 0.15}
    assert presets.change_of_mind() == presets.change_of_mind(**mind, **certificate, learned=True)  # type: ignore[arg-type]
    assert presets.random_doubt() == presets.random_doubt(**mind, **certificate)  # type: ignore[arg-type]
    assert presets.restarts() == presets.restarts(2, 1.0, -0.005, 3, 0.15)
    assert presets.revising("learned") == presets.revising("learned", 12, 2, 1.0, None)
    assert presets.ordered() == presets.ordered("confidence", None, 0.0)
