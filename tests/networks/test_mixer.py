"""Laws of a network whose layers mix positions by an MLP: what it costs and hears, and what it shares with the rest."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from dlmreason import assembly
from dlmreason.compute.flops import pass_flops
from dlmreason.networks import checkpoint
from dlmreason.networks.shape import Shape
from dlmreason.networks.transformer import Transformer
from tests.nets import opinionated
from tests.test_conf import SMALL, composed

torch.set_num_threads(1)

LENGTH, MASK = 12, 8
SIZES: dict[str, Any] = {"num_layers": 2, "width": 32, "num_heads": 4, "quality": True, "feature_sizes": (4, 3)}
ATTENTIVE = Shape(vocabulary_size=MASK + 1, length=LENGTH, **SIZES)
SHAPE = replace(ATTENTIVE, mixing="mlp")


def network_of(dtype: torch.dtype = torch.float64, **changes: Any) -> Transformer:
    return opinionated(replace(SHAPE, **changes), dtype, 3.0)


def sheets(rows: int, length: int = LENGTH, seed: int = 1) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    tokens = torch.randint(0, MASK + 1, (rows, length), generator=generator)
    columns = [torch.randint(0, size, (rows, length), generator=generator) for size in SHAPE.feature_sizes]
    return tokens, torch.stack(columns, -1)


@pytest.mark.parametrize("changes", [{}, {"loops": 3}, {"carry": True}, {"mixing_width": 7}], ids=str)
def test_flops_are_those_that_torch_counts(changes: dict[str, Any]) -> None:
    network, given = network_of(torch.float32, **changes), sheets(1)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network(*given)
    assert counter.get_total_flops() == pass_flops(network.shape, LENGTH)


def test_it_has_as_many_weights_as_a_network_with_attention() -> None:
    ours, theirs = Transformer(SHAPE).num_parameters, Transformer(ATTENTIVE).num_parameters
    assert abs(ours - theirs) <= SHAPE.num_layers * LENGTH  # half a column of each of two matrices, rounded
    assert Transformer(replace(SHAPE, mixing_width=5)).num_parameters < ours


def test_every_position_hears_of_every_other_in_one_layer_and_of_no_other_row() -> None:
    network = network_of(num_layers=1)
    tokens, features = sheets(3)
    with torch.no_grad():
        before = network(tokens, features).logits
        for place in range(LENGTH):
            changed = tokens.clone()
            changed[1, place] = (changed[1, place] + 1) % MASK
            after = network(changed, features).logits
            assert (after[1] != before[1]).any(-1).all()
            assert torch.equal(after[[0, 2]], before[[0, 2]])


def test_places_are_known_by_weights_alone_where_attention_needs_them_told() -> None:
    """Two tokens that change seats: without learned positions the others hear of it here, and not by attention."""
    tokens, features = sheets(1)
    tokens[0, :2] = torch.tensor([1, 2])
    features = torch.zeros_like(features)
    swapped = tokens.clone()
    swapped[0, :2] = torch.tensor([2, 1])
    moved = {}
    for name, shape in (("mlp", SHAPE), ("attention", ATTENTIVE)):
        network = opinionated(shape, torch.float64, 3.0)
        with torch.no_grad():
            network.positions.zero_()
            one, other = (network(each, features).logits[0, 2:] for each in (tokens, swapped))
        moved[name] = float((one - other).abs().max())
    assert moved["mlp"] > 1e-3 > 1e-9 > moved["attention"]


def test_a_row_is_the_same_bytes_in_any_seat_and_company() -> None:
    network, (tokens, features) = network_of(torch.float32), sheets(7)
    order = torch.tensor([4, 2, 6, 0, 5, 1, 3])
    with torch.no_grad():
        one, other = network(tokens, features), network(tokens[order], features[order])
    for plain, moved in zip(one, other, strict=True):
        assert torch.equal(plain[order], moved)


def test_a_shorter_sheet_is_mixed_by_the_weights_of_its_places() -> None:
    short = 9
    whole, (tokens, features) = network_of(), sheets(2, short)
    less = Transformer(replace(whole.shape, length=short)).double()
    weights = {name: weight.clone() for name, weight in whole.state_dict().items()}
    weights["positions"] = weights["positions"][:short]
    for name in list(weights):
        if name.endswith("gather.weight"):
            weights[name] = weights[name][:, :short]
        elif name.endswith(".out.weight"):
            weights[name] = weights[name][:short]
    less.load_state_dict(weights)
    with torch.no_grad():
        assert torch.equal(whole(tokens, features).logits, less(tokens, features).logits)


def test_a_checkpoint_brings_it_back_and_those_with_attention_are_described_as_before(tmp_path: Path) -> None:
    for shape in (SHAPE, ATTENTIVE):
        network = Transformer(shape)
        folder = checkpoint.save(tmp_path / shape.mixing, network, vocabulary={}, task={}, extra={})
        described = json.loads((folder / "description.json").read_text())["shape"]
        assert ("mixing" in described) == ("mixing_width" in described) == (shape.mixing == "mlp")
        back = checkpoint.load(folder)[0]
        assert back.shape == shape and all(map(torch.equal, back.state_dict().values(), network.state_dict().values()))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"attention": "causal"}, "attention=causal is for one that must not read some of them"),
        ({"attention": "prompt", "prompt": 3}, "keep mixing=attention"),
        ({"positions": "rotary"}, "set positions=learned"),
        ({"mixing": "attention", "mixing_width": 4}, "is of an MLP: set mixing=mlp, or mixing_width=0"),
        ({"mixing": "convolution"}, "is none of attention, mlp"),
        ({"mixing_width": -1}, "must be a whole number of 1 or more"),
    ],
)
def test_what_does_not_go_together_is_refused(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        replace(SHAPE, **{"mixing_width": 0} | changes)


def test_beside_it_an_autoregressive_model_has_attention_and_an_old_training_its_key() -> None:
    settings = composed("experiment=demo", *SMALL)
    before = assembly.models_of(settings, assembly.task_of(settings))
    assert {each.shape.mixing for each in before.values()} == {"attention"}
    settings["models"]["diffusion"]["network"] = {"mixing": "mlp"}
    mixed = assembly.models_of(settings, assembly.task_of(settings))
    assert {name for name, each in mixed.items() if each.shape.mixing == "mlp"} == {"diffusion"}
    for name in ("mixing", "mixing_width"):
        settings["network"].pop(name)
    settings["models"]["diffusion"]["network"] = None
    assert {name: each.key for name, each in assembly.models_of(settings, assembly.task_of(settings)).items()} == {
        name: each.key for name, each in before.items()
    }
