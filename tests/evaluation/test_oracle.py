"""Laws of the upper bound: it knows the answer, the network does not, and all else is as it was."""

from typing import Any

import pytest
import torch

from dlmreason.canvas import Ask, Reading
from dlmreason.evaluation.attempt import rows_of
from dlmreason.evaluation.diffusion import DiffusionArm
from dlmreason.evaluation.oracle import Oracle, told
from dlmreason.networks.denoiser import Denoise
from dlmreason.policies import presets
from tests.evaluation.tiny import LADDER, diffusion, lines, network, sudoku

CPU = torch.device("cpu")


def oracle(task: Any, policy: Any) -> DiffusionArm:
    reads = network(task, "bidirectional")
    return DiffusionArm(
        "it", task, reads, Denoise(reads, task.vocabulary(False).mask_id), policy, width=3, chunk=4, oracle=True
    )


def test_it_knows_what_is_right_and_says_nothing_else_new() -> None:
    task = sudoku(3)
    rows = rows_of(task, list(task.examples("test")), CPU)
    plain = Denoise(network(task, "bidirectional"), task.vocabulary(False).mask_id)
    wrong = torch.where(rows.editable, (rows.gold + 1) % plain.mask_id, rows.tokens)
    half = torch.where(torch.arange(rows.gold.shape[1]) < 8, rows.gold, wrong)
    for tokens in (rows.gold, wrong, half):
        ask = Ask(tokens, torch.zeros(3, dtype=torch.float64), ())
        said: Reading = Oracle(plain)(ask, told(rows, plain.mask_id).features)
        assert said.logits.equal(plain(ask, rows.features).logits)
        assert said.quality is not None and said.quality.equal((tokens == rows.gold).double())


def test_a_policy_that_reads_no_quality_does_not_notice() -> None:
    task = sudoku(4)
    examples = list(task.examples("test"))
    policy = presets.ordered(count=1, temperature=1.0)
    assert lines(task, oracle(task, policy).attempts(examples, LADDER, 3)) == lines(
        task, diffusion(task, policy).attempts(examples, LADDER, 3)
    )


def test_its_guard_never_gives_back_a_right_answer() -> None:
    """Right once, right for ever: the score of a canvas is 0 only where all of it is right."""
    task = sudoku(2)
    ladder = (1, 4, 16, 32, 64, 128, 256)
    policy = presets.revising("learned", doubt=1, count=1)
    solved = 0
    for group in oracle(task, policy).attempts(list(task.examples("test")), ladder, 0):
        right = [task.verify(a.example, a.answer).correct for a in group if a.variant == ""]
        assert right == sorted(right)
        solved += right[-1]
    assert solved, "an untrained network that is told what is wrong finds a 4x4 answer by chance"


def test_an_answer_that_nobody_knows_is_refused() -> None:
    task = sudoku(3)
    rows = rows_of(task, list(task.examples("test")), CPU)
    mask_id = task.vocabulary(False).mask_id
    rows.gold[1] = torch.where(rows.editable[1], mask_id, rows.gold[1])
    with pytest.raises(ValueError, match="1 of 3 examples have none"):
        told(rows, mask_id)
