"""Laws of an arm that keeps the blocks it has read: one price for every call, every call accounted for, and records
that show neither company nor interruption."""

from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from dlmreason.compute.flops import block_call_flops, pass_flops
from dlmreason.evaluation.attempt import ANSWER, canvas_length
from dlmreason.evaluation.diffusion import DiffusionArm, Walking
from dlmreason.evaluation.snapshot import Snapshot
from dlmreason.networks.block_denoiser import DenoiseBlocks
from dlmreason.networks.denoiser import Denoise
from dlmreason.networks.shape import Shape
from dlmreason.networks.transformer import Transformer
from dlmreason.policies.published import bd3
from tests.evaluation.tiny import LADDER, graphs, lines, words
from tests.nets import opinionated

CPU = torch.device("cpu")
BLOCK = 4
POLICIES: dict[str, Any] = {
    "random": bd3(BLOCK),
    "confidence": bd3(2, "confidence", temperature=0.0),
    "shared": bd3(BLOCK, "margin", count=None),
}
EACH = pytest.mark.parametrize("name", POLICIES)
TASKS = pytest.mark.parametrize("task", [graphs(7), words(7)], ids=lambda task: task.name)


def arm_of(
    task: Any,
    name: str,
    *,
    kept: bool = True,
    thought: bool = False,
    oracle: bool = False,
    chunk: int = 4,
    dtype: torch.dtype = torch.float32,
) -> DiffusionArm:
    shape = Shape(
        vocabulary_size=task.vocabulary(thought).size,
        length=canvas_length(task, thought),
        feature_sizes=tuple(task.feature_sizes),
        num_layers=2,
        width=16,
        num_heads=2,
        attention="block_causal",
        block=BLOCK,
        quality=True,
    )
    network = opinionated(shape, dtype)
    reads = (DenoiseBlocks if kept else Denoise)(network, task.vocabulary(thought).mask_id)
    return DiffusionArm("it", task, network, reads, POLICIES[name], 3, chunk, CPU, thought, oracle)


@EACH
@TASKS
def test_an_examples_records_are_the_same_bytes_in_any_company(name: str, task: Any) -> None:
    examples = list(task.examples("test"))
    arm = arm_of(task, name)
    whole = lines(task, arm.attempts(examples, LADDER, 3))
    assert len(set(whole.values())) == len(whole) == 7
    assert lines(task, arm.attempts(examples[::-1], LADDER, 3)) == whole
    assert lines(task, arm_of(task, name, chunk=5).attempts(examples, LADDER, 3)) == whole
    assert lines(task, arm.attempts([examples[4]], LADDER, 3)) == {examples[4].id: whole[examples[4].id]}


@EACH
@pytest.mark.parametrize("oracle", [False, True])
def test_charged_and_wasted_are_all_that_was_sent_to_the_flop(
    name: str, oracle: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent = list[tuple[int, int]]()
    real = Transformer.forward

    def forward(self: Any, tokens: Any, *args: Any, **kwargs: Any) -> Any:
        sent.append(tokens.shape)
        return real(self, tokens, *args, **kwargs)

    monkeypatch.setattr(Transformer, "forward", forward)
    task = words(7)
    arm = arm_of(task, name, oracle=oracle)
    shape: Any = arm.network.shape
    price = block_call_flops(shape, canvas_length(task, False))
    groups = list(arm.attempts(list(task.examples("test")), LADDER, 0))
    attempts = [attempt for group in groups for attempt in group if attempt.variant == ANSWER]
    assert all(each.flops == each.nfe * price for each in attempts)
    # An anytime policy walks once, so that its last rung is all it spent; another walks once for each.
    spent = attempts[len(LADDER) - 1 :: len(LADDER)] if arm.policy.anytime else attempts
    counts, meter = arm.counts, arm.meter
    assert counts.charged * price == sum(each.flops for each in spent)
    assert counts.charged + counts.wasted == meter.rows == meter.calls * arm.width
    assert set(sent) == {(arm.width, BLOCK)} and len(sent) == meter.calls
    assert meter.flops == sum(each.flops for each in spent) + counts.wasted * price


@TASKS
@pytest.mark.parametrize("thought", [False, True])
def test_the_ladder_costs_less_by_what_the_blocks_of_each_row_say(task: Any, thought: bool) -> None:
    """One token a pass: so many passes over the sheet, against as many over a block and one for each block before the
    one of the last pass. The texts are the same."""
    examples = list(task.examples("test"))
    kept, whole = (arm_of(task, "random", kept=kept, thought=thought, dtype=torch.float64) for kept in (True, False))
    shape: Any = kept.network.shape
    length = canvas_length(task, thought)
    dear, cheap = pass_flops(shape, length), block_call_flops(shape, length)
    ladder = tuple(sorted({*LADDER, length}))
    groups = [{group[0].example.id: group for group in arm.attempts(examples, ladder, 3)} for arm in (kept, whole)]
    for example in examples:
        editable = torch.as_tensor(kept.sheet(example).editable).nonzero()[:, 0].tolist()
        for one, other in zip(*(group[example.id] for group in groups), strict=True):
            passes = min(one.rung, len(editable))
            before = editable[passes - 1] // BLOCK
            assert (other.nfe, one.nfe) == (passes, passes + before)
            assert other.flops - one.flops == passes * (dear - cheap) - before * cheap
            assert one.events == other.events
            if passes == len(editable):
                assert one.answer == other.answer and one.settled and one.flops < other.flops


class Killed(Exception):
    pass


@pytest.mark.parametrize("chunks", [1, 2, 4, 7])
def test_killed_at_any_chunk_it_goes_on_from_its_snapshot(chunks: int, tmp_path: Path) -> None:
    task, path = words(7), tmp_path / "it.pt"
    examples = list(task.examples("test"))
    undisturbed = arm_of(task, "random")
    whole = lines(task, undisturbed.attempts(examples, LADDER, 3))
    first, had, calls = arm_of(task, "random", chunk=3), list[Any](), list[int]()

    def count(walking: Walking) -> None:
        calls.append(walking.counts.charged)
        if len(calls) == chunks:
            raise Killed

    with suppress(Killed):
        had.extend(first.attempts(examples, LADDER, 3, Snapshot(path, "key", every=0), count))
    assert len(calls) == chunks
    before = lines(task, had)
    left = [example for example in examples if example.id not in before]
    second = arm_of(task, "random")
    after = lines(task, second.attempts(left, LADDER, 3, Snapshot(path, "key", every=0)))
    assert before | after == whole
    assert calls[-1] + second.counts.charged == undisturbed.counts.charged


def test_a_trace_walks_block_by_block_too_and_is_not_charged() -> None:
    task = words(4)
    examples, arm = list(task.examples("test")), arm_of(task, "random")
    recorded = {group[0].example.id: group[-1].answer for group in arm.attempts(examples, LADDER, 3)}
    flops = arm.meter.flops
    stories = arm.traces(examples[:2], LADDER[-1], 3)
    assert arm.meter.flops == flops
    for example in examples[:2]:
        story, sheet = stories[example.id], arm.sheet(example)
        canvas = list(story.start)
        for frame in story.frames:
            for position, token in frame["changes"]:
                canvas[position] = token
        assert [frame["pass"] for frame in story.frames] == list(range(1, int(sheet.editable.sum()) + 1))
        assert task.vocabulary(False).decode(canvas[sheet.answer_at :]).startswith(recorded[example.id])


def test_an_arm_of_another_width_is_one_that_keeps_blocks_too() -> None:
    """As it is timed."""
    arm = replace(arm_of(words(2), "random"), width=1)
    assert arm.flops_per_pass == block_call_flops(arm.network.shape, arm.length)  # type: ignore[arg-type]
