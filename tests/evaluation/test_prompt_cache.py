"""Laws of an arm whose network reads prompts alone: one place for all answers, one price for all passes, and every
reading accounted for."""

from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import torch

from dlmreason.compute.flops import cached_pass_flops, prompt_flops
from dlmreason.evaluation.attempt import ANSWER, canvas_length, prompt_positions, rows_of
from dlmreason.evaluation.autoregressive import cheapest_rung
from dlmreason.evaluation.diffusion import DiffusionArm, Walking
from dlmreason.evaluation.snapshot import Snapshot
from dlmreason.networks.denoiser import Denoise
from dlmreason.networks.shape import Shape
from dlmreason.networks.transformer import Transformer
from dlmreason.policies import presets
from dlmreason.sampling.denoise import Counts
from tests.evaluation.tiny import LADDER, autoregressive, graphs, lines, sudoku, words

CPU = torch.device("cpu")
POLICIES: dict[str, Any] = {
    "confidence": presets.ordered(),
    "anytime": presets.ordered(count=1, temperature=1.0),
    "change_of_mind": presets.change_of_mind(doubt=3, patience=2),
}
EACH = pytest.mark.parametrize("name", POLICIES)


def arm_of(task: Any, name: str, *, thought: bool = False, oracle: bool = False, chunk: int = 4) -> DiffusionArm:
    torch.manual_seed(0)
    shape = Shape(
        vocabulary_size=task.vocabulary(thought).size,
        length=canvas_length(task, thought),
        feature_sizes=tuple(task.feature_sizes),
        num_layers=2,
        width=16,
        num_heads=2,
        attention="prompt",
        prompt=prompt_positions(task, thought),
        quality=True,
    )
    network = Transformer(shape).eval()
    with torch.no_grad():
        for weight in network.parameters():
            weight.mul_(4 if weight.dim() > 1 else 1)
    made = Denoise(network, task.vocabulary(thought).mask_id)
    return DiffusionArm("it", task, network, made, POLICIES[name], 3, chunk, CPU, thought, oracle)


@pytest.mark.parametrize("thought", [False, True])
@pytest.mark.parametrize("task", [graphs(7), words(7)], ids=lambda task: task.name)
def test_all_that_is_written_begins_at_one_place(task: Any, thought: bool) -> None:
    """Whatever is asked; and what is before it is given, of which padding has no features."""
    examples, prompt = list(task.examples("test")), prompt_positions(task, thought)
    assert len({len(example.prompt) for example in examples}) > 1 or task.name == graphs().name
    rows = rows_of(task, examples, CPU, thought, prompt)
    assert (rows.editable.int().argmax(1) == prompt).all()
    vocabulary = task.vocabulary(thought)
    arm = arm_of(task, "anytime", thought=thought)
    for row, example in enumerate(examples):
        plain = task.sheet(example, in_place=False, thought=thought)
        end = min(int(plain.editable.argmax()), plain.answer_at - 1)
        pads = rows.tokens[row, end : prompt - (not thought)]
        assert rows.tokens[row, :end].tolist() == plain.tokens[:end].tolist()
        assert (pads == vocabulary.pad_id).all() and not rows.features[row, end : prompt - (not thought)].any()
        sheet = arm.sheet(example)
        gold = plain.tokens[plain.answer_at :].tolist()
        assert sheet.tokens[sheet.answer_at :].tolist() == gold
        assert rows.tokens[row, sheet.answer_at - 1] == vocabulary.marker_id
        assert (sheet.features[sheet.answer_at :] == plain.features[plain.answer_at :]).all()
        assert sheet.thoughts.shape == sheet.tokens.shape and (sheet.thoughts[:prompt] == 0).all()


@EACH
@pytest.mark.parametrize("task", [graphs(7), words(7)], ids=lambda task: task.name)
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
def test_charged_and_wasted_are_all_that_was_sent_to_the_flop(name: str, oracle: bool) -> None:
    """A prompt is no pass: it counts in FLOPs alone, once for each run of a row."""
    task = words(7)
    arm = arm_of(task, name, oracle=oracle)
    shape: Any = arm.network.shape
    price, before = cached_pass_flops(shape, canvas_length(task, False)), prompt_flops(shape)
    groups = list(arm.attempts(list(task.examples("test")), LADDER, 0))
    attempts = [attempt for group in groups for attempt in group if attempt.variant == ANSWER]
    assert all(each.flops == before + each.nfe * price for each in attempts) and before > 0
    # An anytime policy walks once, so that its last rung is all it spent; another walks once for each.
    spent = attempts[len(LADDER) - 1 :: len(LADDER)] if arm.policy.anytime else attempts
    counts, meter = arm.counts, arm.meter
    assert counts.charged * price + counts.seated * before == sum(each.flops for each in spent)
    assert counts.charged + counts.wasted == meter.rows == meter.calls * arm.width
    assert counts.seated + counts.seated_wasted == meter.seated
    wasted = counts.wasted * price + counts.seated_wasted * before
    assert meter.flops == sum(each.flops for each in spent) + wasted


class Killed(Exception):
    pass


@pytest.mark.parametrize("chunks", [1, 2, 4])
def test_killed_at_any_chunk_it_goes_on_from_its_snapshot(chunks: int, tmp_path: Path) -> None:
    task, path = words(7), tmp_path / "it.pt"
    examples = list(task.examples("test"))
    undisturbed = arm_of(task, "change_of_mind")
    whole = lines(task, undisturbed.attempts(examples, LADDER, 3))
    first, had, calls = arm_of(task, "change_of_mind"), list[Any](), list[Counts]()

    def count(walking: Walking) -> None:
        calls.append(walking.counts)
        if len(calls) == chunks:
            raise Killed

    with suppress(Killed):
        had.extend(first.attempts(examples, LADDER, 3, Snapshot(path, "key", every=0), count))
    before = lines(task, had)
    left = [example for example in examples if example.id not in before]
    second = arm_of(task, "change_of_mind")
    after = lines(task, second.attempts(left, LADDER, 3, Snapshot(path, "key", every=0)))
    assert before | after == whole
    together = calls[-1].plus(second.counts)
    assert (together.charged, together.seated) == (undisturbed.counts.charged, undisturbed.counts.seated)


def test_a_trace_walks_behind_the_prompt_too_and_is_not_charged() -> None:
    task = words(4)
    examples, arm = list(task.examples("test")), arm_of(task, "anytime")
    recorded = {group[0].example.id: group[-1].answer for group in arm.attempts(examples, LADDER, 3)}
    flops = arm.meter.flops
    stories = arm.traces(examples[:2], LADDER[-1], 3)
    assert arm.meter.flops == flops
    for example in examples[:2]:
        canvas, at = list(stories[example.id].start), arm.sheet(example).answer_at
        for frame in stories[example.id].frames:
            for position, token in frame["changes"]:
                canvas[position] = token
        assert task.vocabulary(False).decode(canvas[at:]).startswith(recorded[example.id])


def test_a_sheet_that_is_written_in_place_or_too_long_has_no_such_prompt() -> None:
    task = sudoku(1)
    sheet = task.sheet(task.examples("test")[0], in_place=True, thought=False)
    with pytest.raises(ValueError, match=r"written into its prompt cannot be filled up .*: lay the answer out after"):
        sheet.with_prompt(16, 0)
    sheet = task.sheet(task.examples("test")[0], in_place=False, thought=False)
    with pytest.raises(ValueError, match=r"given 17 tokens cannot be filled up to a prompt of 16: .* longest prompt"):
        sheet.with_prompt(16, 0)
    assert (sheet.with_prompt(17, 0).tokens == sheet.tokens).all()


@pytest.mark.parametrize("thought", [False, True])
def test_chains_may_spend_what_the_prompt_costs_too(thought: bool) -> None:
    """Three passes' worth of FLOPs before the first pass are three rungs more."""
    task = graphs(3)
    examples, plain = list(task.examples("test")), autoregressive(task, thought)
    before = autoregressive(task, thought, flops_before=3 * plain.flops_per_pass)
    later, sooner = (
        [[(each.rung, each.answer, each.flops) for each in group] for group in arm.attempts(examples, ladder, 3)]
        for arm, ladder in ((plain, (4, 8, 11)), (before, (1, 5, 8)))
    )
    assert [[(rung + 3, *rest) for rung, *rest in group] for group in sooner] == [
        [(rung, *rest) for rung, *rest in group] for group in later
    ]
    assert any(later)
    prompt, generated = len(plain._question(examples[0]).prompt.tokens), task.answer_length + 1
    assert cheapest_rung(before, prompt, generated) == max(cheapest_rung(plain, prompt, generated) - 3, 1)
