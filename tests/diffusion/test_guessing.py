"""Laws of what a network would have written: it knows nothing of the hidden, and has the law of what is right."""

import math
from collections import defaultdict
from itertools import product

import pytest
import torch
from torch import Tensor

from dlmreason.diffusion.correctors import Corrector
from dlmreason.diffusion.corruption import Absorbing, Hybrid, Uniform
from dlmreason.diffusion.interpolating import InterpolatingDiffusion
from dlmreason.diffusion.objectives import Guessing, MaskedDiffusion, NextToken, can_guess
from dlmreason.diffusion.targets import draw
from tests.diffusion.exact import leave_one_out_oracle, states
from tests.diffusion.fakes import Fake, batch, generator, table
from tests.toys import JOINT, random_joint

GUESSING = [
    MaskedDiffusion(),
    Corrector(MaskedDiffusion()),
    InterpolatingDiffusion(Uniform()),
    InterpolatingDiffusion(Hybrid(0.2)),
    InterpolatingDiffusion(Hybrid(0.2), "posterior"),
    InterpolatingDiffusion(Absorbing()),
]


@pytest.mark.parametrize("objective", GUESSING, ids=repr)
def test_nothing_hidden_is_seen_whatever_the_network(objective: Guessing) -> None:
    network, rows = table(4, 3, 7), 200
    right, other = (torch.randint(0, 3, (rows, 4), generator=generator(seed)) for seed in (1, 2))
    hidden = torch.rand(rows, 4, generator=generator(3)) < 0.5
    changed = torch.where(hidden, other, right)
    said = [objective.guess(network, batch(tokens, 3), hidden, generator(4)) for tokens in (right, changed)]
    assert torch.equal(*said) and torch.equal(*network.read)
    assert torch.equal(network.read[0][~hidden], right[~hidden]) and (changed != right).any()
    assert not torch.equal(network.logits(right), network.logits(changed))  # left standing, they would be seen


@pytest.mark.parametrize("joint", [JOINT, random_joint(3, 2)], ids=["J", "three tokens"])
def test_what_is_written_and_what_is_right_have_one_law_given_what_was_read(joint: Tensor) -> None:
    """Under uniform noise, hidden as often as in training: by every text, hiding and drawing there is."""
    values, length, noise = joint.shape[0], joint.dim(), Uniform()
    at = torch.tensor([0.4], dtype=torch.float64)
    clean = noise.shares(at).clean.item()

    def logits(tokens: Tensor) -> Tensor:
        return leave_one_out_oracle(joint, tokens, noise.shares(at.expand(len(tokens))))

    written: dict[tuple[int, ...], Tensor] = defaultdict(lambda: torch.zeros(values, dtype=torch.float64))
    right: dict[tuple[int, ...], Tensor] = defaultdict(lambda: torch.zeros(values, dtype=torch.float64))
    for (text, p), sites in product(states(joint), product([False, True], repeat=length)):
        network, many = Fake(logits), 250
        tokens, hidden = (torch.tensor([each] * many) for each in (text, sites))
        law = InterpolatingDiffusion(noise).guess(network, batch(tokens, values), hidden, generator(1)).exp()
        found = {tuple(z): law[row] for row, z in enumerate(network.read[0].tolist())}
        assert len(found) == values ** sum(sites), "every drawing has come up"
        weight = p * math.prod(1 - clean if hides else clean for hides in sites) / len(found)
        for z, said in found.items():
            for site in range(length):
                if sites[site]:
                    read = (site, *z[:site], *z[site + 1 :])
                    written[read] += weight * said[site]
                    right[read][text[site]] += weight
    assert len(right) == length * values ** (length - 1)
    for read, law in right.items():
        assert torch.allclose(written[read], law, rtol=0, atol=1e-14)


def test_a_posterior_where_tokens_stand_everywhere_cannot_be_asked() -> None:
    objective, some = InterpolatingDiffusion(Uniform(), "posterior"), torch.zeros(2, 4, dtype=torch.int64)
    assert not can_guess(objective) and all(map(can_guess, GUESSING)) and can_guess(NextToken())
    with pytest.raises(ValueError, match="choose logits=leave_one_out"):
        objective.guess(table(4, 3, 7), batch(some, 3), some == 0, generator())


@pytest.mark.parametrize("objective", [MaskedDiffusion(), Corrector(MaskedDiffusion())], ids=repr)
def test_a_network_that_can_emit_the_mask_still_guesses_tokens(objective: Guessing) -> None:
    eager = Fake(lambda tokens: torch.tensor([0.0, 1.0, 2.0, 9.0]).expand(*tokens.shape, 4))
    some = torch.zeros(200, 4, dtype=torch.int64)
    written = draw(objective.guess(eager, batch(some, 3), some == 0, generator()), generator())
    assert set(written.unique().tolist()) == {0, 1, 2}


def test_a_corrector_fills_with_tokens_also_where_the_mask_can_be_emitted() -> None:
    eager = Fake(lambda tokens: torch.tensor([0.0, 1.0, 2.0, 9.0]).expand(*tokens.shape, 4))
    Corrector(MaskedDiffusion())(eager, batch(torch.zeros(50, 4, dtype=torch.int64), 3), generator())
    assert (eager.read[0] == 3).any() and set(eager.read[1].unique().tolist()) == {0, 2}
