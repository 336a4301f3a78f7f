"""Real networks with opinions, on real tasks, small enough for laws."""

from collections.abc import Iterable, Sequence
from typing import Any

import torch

from dlmreason.analysis.records import encode
from dlmreason.compute.flops import pass_flops
from dlmreason.evaluation.attempt import Attempt
from dlmreason.evaluation.autoregressive import AutoregressiveArm
from dlmreason.evaluation.diffusion import DiffusionArm
from dlmreason.evaluation.evaluate import Plan, to_records
from dlmreason.networks.denoiser import Denoise
from dlmreason.networks.shape import Shape
from dlmreason.networks.transformer import Transformer
from dlmreason.tasks.star_graph import StarGraph
from dlmreason.tasks.sudoku import Sudoku
from dlmreason.tasks.written import Written
from tests.tasks.reverse import Reverse

LADDER = (1, 2, 4, 8, 16)


def graphs(examples: int = 7) -> StarGraph:
    return StarGraph(train_examples=1, validation_examples=1, test_examples=examples, arms=2, length=3, nodes=7)


def sudoku(examples: int = 7) -> Sudoku:
    counts = {"train_examples": 1, "validation_examples": 1, "test_examples": examples}
    return Sudoku(4, (4, 8), (0, 8), unique=True, **counts)


def words(examples: int = 7) -> Written:
    """Prompts and answers of different lengths."""
    return Written(Reverse(longest=5), train_examples=1, validation_examples=1, test_examples=examples)


def network(task: Any, attention: str, thought: bool = False, quality: bool = True, seed: int = 0) -> Transformer:
    """Weights large enough that the context decides: an untrained network's ties would hide differences."""
    torch.manual_seed(seed)
    in_place = task.in_place and attention == "bidirectional"
    made = Transformer(
        Shape(
            vocabulary_size=task.vocabulary(thought).size,
            length=task.length(in_place=in_place, thought=thought),
            feature_sizes=tuple(task.feature_sizes),
            num_layers=2,
            width=16,
            num_heads=2,
            attention=attention,
            quality=quality,
        )
    ).eval()
    with torch.no_grad():
        for weight in made.parameters():
            weight.mul_(4 if weight.dim() > 1 else 1)
    return made


def diffusion(task: Any, policy: Any, width: int = 3, chunk: int = 4, quality: bool = True) -> DiffusionArm:
    reads = network(task, "bidirectional", quality=quality)
    denoiser = Denoise(reads, task.vocabulary(False).mask_id)
    return DiffusionArm("it", task, reads, denoiser, policy, width=width, chunk=chunk)


def autoregressive(task: Any, thought: bool, passes: int = 1, **changes: Any) -> AutoregressiveArm:
    """passes: how many passes of a network of the same size make one unit of its ladder."""
    unit = passes * pass_flops(network(task, "bidirectional").shape, task.length(in_place=task.in_place, thought=False))
    given: dict[str, Any] = {"width": 6, "prefill_width": 2, "most": 40} | changes
    return AutoregressiveArm("it", task, network(task, "causal", thought), thought, unit, **given)


def lines(task: Any, groups: Iterable[Sequence[Attempt]], ladder: tuple[int, ...] = LADDER) -> dict[str, bytes]:
    """{example: every byte of its records}."""
    plan = Plan("it", task, "test", (), ladder, 3, "key", (), every_rung=True)
    return {group[0].example.id: b"".join(map(encode, to_records(plan, group))) for group in groups if group}
