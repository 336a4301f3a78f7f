"""Laws of the optimiser pair: every weight is moved by one of them, at the schedule's rate, and a resume repeats it."""

from pathlib import Path

import pytest
import torch

from dlmreason.training.optimizers import RELATIVE, optimizer_of
from tests.training.test_fit import Killed, bits, killer, last_state
from tests.training.tiny import UPDATES, network, settings, train


def test_each_weight_has_one_optimiser_and_muon_has_the_matrices_of_the_blocks() -> None:
    net = network()
    muon, adam = optimizer_of(net, settings(optimizer="muon")).param_groups
    names = {id(weight): name for name, weight in net.named_parameters()}
    assert sorted(names[id(weight)] for group in (muon, adam) for weight in group["params"]) == sorted(names.values())
    assert all(names[id(weight)].startswith("blocks.") and weight.dim() == 2 for weight in muon["params"])
    assert not any(names[id(weight)].startswith("blocks.") and weight.dim() == 2 for weight in adam["params"])
    assert muon[RELATIVE] == settings().muon_lr / settings().lr


def test_both_follow_the_schedule(tmp_path: Path) -> None:
    plan = settings(optimizer="muon")
    train(tmp_path, optimizer="muon")
    muon, adam = (part["param_groups"][0]["lr"] for part in last_state(tmp_path)["optimizer"]["parts"])
    assert adam == plan.rate(UPDATES - 1, UPDATES)
    assert muon == pytest.approx(adam * plan.muon_lr / plan.lr)


@pytest.mark.parametrize("update", [6, 11, 13])
def test_killed_and_resumed_the_pair_ends_with_the_same_bits(update: int, tmp_path: Path) -> None:
    whole = train(tmp_path / "whole", optimizer="muon")
    with pytest.raises(Killed):
        train(tmp_path / "killed", killer(update), log_every=1, optimizer="muon")
    done = train(tmp_path / "killed", optimizer="muon")
    assert bits(last_state(tmp_path / "killed")["optimizer"]) == bits(last_state(tmp_path / "whole")["optimizer"])
    assert bits(dict(done.network.state_dict())) == bits(dict(whole.network.state_dict()))


def test_muon_is_not_adamw() -> None:
    """The negative control: the setting does something."""
    nets = [network(), network()]
    for net, name in zip(nets, ("muon", "adamw"), strict=True):
        optimizer = optimizer_of(net, settings(optimizer=name))
        tokens = torch.zeros(2, 6, dtype=torch.int64)
        net(tokens, tokens[..., None]).logits.square().mean().backward()
        optimizer.step()
    first, second = (net.blocks[0].qkv.weight for net in nets)
    assert not torch.equal(first, second)
