"""Laws that every layer keeps: a row depends on itself alone, and a short run is the beginning of a long one."""

import functools
import math
from typing import Any

import pytest
import torch
from torch.utils._pytree import tree_leaves

from dlmreason.diffusion.schedules import Linear
from dlmreason.policies.accepting import Accept
from dlmreason.policies.checking import CrossChecked
from dlmreason.policies.doubt import Doubt, LowestQuality
from dlmreason.policies.exits import FixedPoint, Prophet
from dlmreason.policies.gating import Gate
from dlmreason.policies.gibbs import Gibbs
from dlmreason.policies.locking import Locked
from dlmreason.policies.ordered import Ordered
from dlmreason.policies.patience import Luby
from dlmreason.policies.posterior import Cap, Posterior
from dlmreason.policies.scores import confidence, mean_log_max, mean_log_quality
from dlmreason.policies.voting import Vote
from dlmreason.policies.wrappers import Certify, Judged, KeepBest, Restart
from dlmreason.sampling.denoise import Rows, Sampler, State
from tests.toys import ToySudoku, sudoku_rows

DOUBT = Doubt(LowestQuality(4), Ordered(confidence, 2, 1.0))
JUDGED = Judged(DOUBT, mean_log_quality)
QUICK = Ordered(confidence, 4, 1.0)

LAYERS: dict[str, Any] = {
    "accept": Accept(JUDGED, 0.1),
    "luby": Restart(JUDGED, Luby(1), share=0.6),
    "gate": Gate(QUICK, JUDGED, mean_log_quality, -0.04, 5),
    "planned gate": Gate(Posterior(Linear(), Cap(0.1)), Gibbs(), mean_log_max, -0.01, 7),
    "cross-checked": CrossChecked(DOUBT, 4),
    "vote": Vote(DOUBT, 0.9, 4),
    "fixed point": FixedPoint(DOUBT, 2, 0.2),
    "prophet": Prophet(DOUBT, (9.0, 8.0, 7.9)),
    "locked": Locked(DOUBT, 0.9, 6),
    "accept a checked one": KeepBest(Restart(Accept(CrossChecked(DOUBT, 3), 2.0), Luby(2))),
    "all": Gate(
        QUICK,
        Certify(KeepBest(Restart(Accept(Judged(Locked(DOUBT, 0.9, 9), mean_log_quality), 0.1), Luby(2))), -0.035),
        mean_log_quality,
        -0.04,
        5,
    ),
}
COMPOSED = ("planned gate", "accept a checked one", "all")


def walk(policy: Any, rows: Rows, rungs: tuple[int, ...], chunk: int = 64) -> dict[int, State]:
    found = Sampler(policy, ToySudoku(), rungs, seed=3, width=4, chunk=chunk).run(rows)
    return {int(state.rows.id): state for state in found}


def bytes_of(states: dict[int, State]) -> dict[int, bytes]:
    return {
        number: b"|".join(leaf.contiguous().numpy().tobytes() for leaf in tree_leaves(state))
        for number, state in states.items()
    }


RUNGS = (5, 20, 48)


@functools.cache
def company(policy: Any) -> dict[int, State]:
    return walk(policy, sudoku_rows(6), RUNGS)


@pytest.mark.parametrize("name", LAYERS)
def test_a_row_is_byte_equal_alone_in_company_and_at_any_place(name: str) -> None:
    rows, whole = sudoku_rows(6), bytes_of(company(LAYERS[name]))
    turned = Rows(*(leaf[torch.tensor([4, 1, 5, 0, 3, 2])] for leaf in rows))
    assert bytes_of(walk(LAYERS[name], turned, RUNGS, chunk=7)) == whole
    alone = Rows(*(leaf[2:3] for leaf in rows))
    number = int(alone.id[0])
    assert bytes_of(walk(LAYERS[name], alone, RUNGS)) == {number: whole[number]}


@pytest.mark.parametrize("name", LAYERS)
def test_each_layer_does_something_here(name: str) -> None:
    """The other laws would hold of layers that never act: what acts leaves a mark in the record."""
    pairs = [(state, company(DOUBT)[number]) for number, state in company(LAYERS[name]).items()]
    same = [
        torch.equal(state.answers, other.answers) and torch.equal(state.spent, other.spent) for state, other in pairs
    ]
    assert not all(same)


LONG = [pytest.param(name, marks=[pytest.mark.slow] if name in COMPOSED else []) for name in LAYERS]


@pytest.mark.parametrize("name", LONG)
def test_a_run_of_64_passes_is_the_first_part_of_one_of_512(name: str) -> None:
    rows, first = sudoku_rows(4), (1, 2, 3, 5, 8, 13, 21, 34, 55, 64)
    short, long = walk(LAYERS[name], rows, first), walk(LAYERS[name], rows, (*first, 512))
    for number, state in short.items():
        for field in ("answers", "scores", "canvases", "spent", "changes"):
            assert torch.equal(getattr(state, field), getattr(long[number], field)[:, : len(first)])


@pytest.mark.parametrize(
    ("policy", "bare"),
    [
        (Accept(JUDGED, math.inf), JUDGED),
        (Restart(JUDGED, Luby(10**9)), JUDGED),
        (Vote(DOUBT, 0.0), DOUBT),
        (FixedPoint(DOUBT, 1, 0.0), DOUBT),
        (Prophet(DOUBT, (math.inf,)), DOUBT),
        (Locked(DOUBT, 1.0, 10**9), DOUBT),
        (CrossChecked(DOUBT, 9), None),
    ],
    ids=["accept", "luby", "vote", "fixed point", "prophet", "locked", "control"],
)
def test_turned_off_it_is_the_inner_policy_token_for_token(policy: Any, bare: Any) -> None:
    rows, rungs = sudoku_rows(4), tuple(range(1, 49))
    bare = bare or policy.inner
    same = [
        torch.equal(one.answers, other.answers) and torch.equal(one.canvases, other.canvases)
        for one, other in zip(walk(policy, rows, rungs).values(), walk(bare, rows, rungs).values(), strict=True)
    ]
    assert same == [not isinstance(policy, CrossChecked)] * 4
