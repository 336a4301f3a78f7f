"""Whole runs over small puzzles, pass by pass: what a policy did, to be compared or searched."""

import hashlib

import torch
from torch import Tensor

from dlmreason.canvas import Ask, Denoiser, Move, Policy, Reading
from dlmreason.sampling.denoise import Rows, Sampler, State
from tests.toys import ToySudoku, sudoku_rows


class Opinions:
    """A network with an opinion of its own on every canvas of 16 cells: no two tokens are equally probable."""

    uses_level = False
    mask_id = 4

    def __init__(self) -> None:
        generator = torch.Generator().manual_seed(3)
        self.table = torch.randn(16, 5, 16, 5, generator=generator, dtype=torch.float64) / 2

    def first_carry(self, rows: int) -> tuple[()]:
        return ()

    def __call__(self, ask: Ask, features: Tensor) -> Reading:
        said = self.table[torch.arange(16), ask.tokens].sum(1)
        return Reading(ask, said[..., :4], said[..., 4].sigmoid(), ())


def walked(
    policy: Policy,
    passes: int,
    rows: Rows | None = None,
    denoiser: Denoiser | None = None,
    width: int = 8,
    seed: int = 5,
) -> tuple[list[Move], dict[int, Tensor]]:
    """The moves pass by pass, and {example id: last answer}."""
    moves: list[Move] = []

    def note(before: State, reading: Reading, move: Move, after: State) -> None:
        moves.append(move)

    sampler = Sampler(policy, denoiser or Opinions(), (passes,), seed=seed, width=width, chunk=8)
    done = sampler.run(sudoku_rows(width) if rows is None else rows, observe=note)
    return moves, {int(state.rows.id): state.answers[0, 0] for state in done}


def same_moves(one: Policy, other: Policy, passes: int) -> bool:
    """Whether two policies write the same canvases and give the same answers on every pass under the same noise."""
    ours, theirs = walked(one, passes)[0], walked(other, passes)[0]
    return len(ours) == len(theirs) and all(
        torch.equal(a.tokens, b.tokens) and torch.equal(a.answer, b.answer) for a, b in zip(ours, theirs, strict=True)
    )


def digest(policy: Policy, passes: int) -> str:
    """Of every canvas, answer, question and wake of a run over 16 puzzles, and of what each answers in the end."""
    taken = hashlib.blake2b(digest_size=8)

    def note(before: State, reading: Reading, move: Move, after: State) -> None:
        live = before.index < passes
        for part in (move.tokens, move.answer, move.ask.tokens, move.wake):
            taken.update(part[live].numpy().tobytes())

    sampler = Sampler(policy, ToySudoku(), (passes,), seed=5, width=8, chunk=8)
    for state in sampler.run(sudoku_rows(16), observe=note):
        taken.update(state.answers[0, 0].numpy().tobytes())
    return taken.hexdigest()
