"""The exact law of a policy's answer, by walking every branch of its own code."""

import itertools

import torch
from torch import Tensor
from torch.utils._pytree import tree_leaves

from dlmreason.canvas import Denoiser, Policy, join
from dlmreason.sampling.denoise import Sampler, State
from dlmreason.sampling.enumerate import branches
from tests.toys import blank_rows

Law = dict[tuple[int, ...], float]


def _merge(items: list[tuple[float, State]]) -> list[tuple[float, State]]:
    """Equal states are one state with the sum of their chances; counters do not tell states apart."""
    merged: dict[bytes, tuple[float, State]] = {}
    for chance, state in items:
        state = state._replace(
            nfe=torch.zeros_like(state.nfe),
            events=torch.zeros_like(state.events),
            spent=torch.zeros_like(state.spent),
            changes=torch.zeros_like(state.changes),
        )
        key = b"|".join(leaf.numpy().tobytes() for leaf in tree_leaves(state))
        before = merged.get(key, (0.0, state))[0]
        merged[key] = (before + chance, state)
    return list(merged.values())


def answer_law(policy: Policy, denoiser: Denoiser, passes: int, start: Tensor | None = None) -> Law:
    """{answer: chance} after `passes` passes. start: [1, L] a canvas to begin from instead of blanks."""
    length = denoiser.length  # type: ignore[attr-defined]
    sampler = Sampler(policy, denoiser, (passes,))
    rows = blank_rows(1, length, denoiser.mask_id)

    def begin(given, noise):  # type: ignore[no-untyped-def]
        if start is None:
            return sampler.init(given, noise)
        # The canvas before the first move is the start itself, not blanks.
        state = sampler.init(
            given._replace(tokens=start.expand(len(given.id), -1), editable=given.editable & False), noise
        )
        full = start.expand(len(given.id), -1)
        state = state._replace(rows=state.rows._replace(editable=given.editable), tokens=full, committed=full)
        from dlmreason.canvas import Canvas, Clock

        canvas = Canvas(full, given.editable, (), denoiser.mask_id)
        move = policy.init(canvas, Clock(torch.full_like(given.id, -1), None if policy.anytime else passes), noise)
        return state._replace(ask=move.ask, memory=move.memory, answer=move.answer, index=move.wake - 1)

    items = _merge([(branch.chance, branch.row) for branch in branches(begin, rows, 1)])  # type: ignore[misc]
    while any(int(state.index) < passes for _, state in items):
        pool = join([state for _, state in items])
        walked = branches(lambda state, noise: sampler.one_pass(state, noise), pool, len(items))
        items = _merge([(items[branch.parent][0] * branch.chance, branch.row) for branch in walked])  # type: ignore[misc]
    law: Law = {}
    for chance, state in items:
        answer = tuple(state.answers[0, 0].tolist())
        law[answer] = law.get(answer, 0.0) + chance
    return law


def from_joint(policy: Policy, denoiser: Denoiser, passes: int, joint: Tensor) -> Law:
    """The law of the answer when the first canvas is drawn from `joint`."""
    law: Law = {}
    for canvas in itertools.product(range(joint.shape[0]), repeat=joint.dim()):
        for answer, chance in answer_law(policy, denoiser, passes, torch.tensor([canvas])).items():
            law[answer] = law.get(answer, 0.0) + chance * float(joint[canvas])
    return law


def total_variation(law: Law, joint: Tensor) -> float:
    """Half the L1 distance of a law to a joint."""
    cells = itertools.product(range(joint.shape[0]), repeat=joint.dim())
    return 0.5 * sum(abs(law.get(cell, 0.0) - float(joint[cell])) for cell in cells)
