"""A model may have a network of its own size; one that has the common size is the same training."""

from typing import Any

import pytest

from dlmreason import assembly, launch
from tests.test_conf import SMALL, composed


def models(**network: Any) -> dict[str, assembly.Model]:
    settings = composed("experiment=demo", *SMALL)
    settings["models"]["diffusion"]["network"] = network or None
    return assembly.models_of(settings, assembly.task_of(settings))


def test_its_own_size_stands_in_place_of_the_common_one_and_of_no_other_models() -> None:
    plain, looped, wide = models(), models(loops=3), models(width=32, num_layers=1)
    assert looped["diffusion"].shape.loops == 3 and looped["diffusion"].shape.width == plain["diffusion"].shape.width
    assert (wide["diffusion"].shape.width, wide["diffusion"].shape.num_layers) == (32, 1)
    assert 2.5 < looped["diffusion"].flops() / plain["diffusion"].flops() < 3
    assert len({each["diffusion"].key for each in (plain, looped, wide)}) == 3
    for name in plain.keys() - {"diffusion"}:
        assert plain[name].shape == looped[name].shape == wide[name].shape


def test_the_common_size_said_again_is_the_same_training() -> None:
    common = composed("experiment=demo", *SMALL)["network"]
    assert models(**common)["diffusion"].key == models()["diffusion"].key == models(loops=1)["diffusion"].key


def test_a_size_that_no_network_has_is_refused_with_those_it_has() -> None:
    with pytest.raises(launch.BadInput, match=r"models\.diffusion\.network\.depth=3: a network has num_layers, width"):
        models(depth=3)
    with pytest.raises(launch.BadInput, match=r"num_heads"):
        models(width=33)
