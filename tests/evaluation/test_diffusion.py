"""Laws of the diffusion arm: an example's records depend on the example alone, and every pass is accounted for."""

from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from dlmreason.compute.flops import pass_flops
from dlmreason.diffusion.schedules import Linear
from dlmreason.evaluation.attempt import ANSWER, LAST, answer_text, noise_id, rows_of
from dlmreason.evaluation.diffusion import DiffusionArm, Walking
from dlmreason.evaluation.snapshot import Snapshot
from dlmreason.networks.denoiser import Denoise
from dlmreason.policies import presets
from dlmreason.policies.posterior import Cap, Posterior
from tests.evaluation.tiny import LADDER, diffusion, graphs, lines, network, sudoku, words

POLICIES: dict[str, Any] = {
    "confidence": presets.ordered(),
    "ancestral": presets.ancestral(Linear()),
    "remasking": Posterior(Linear(), Cap(0.3)),
    "anytime": presets.ordered(count=1, temperature=1.0),
    "change_of_mind": presets.change_of_mind(doubt=3, patience=2),
    "certified": presets.change_of_mind(doubt=3, patience=1, certify=-3.0),
    "random_doubt": presets.random_doubt(doubt=3, patience=2),
    "restarts": presets.restarts(),
}
REVISING = {"remasking", "change_of_mind", "certified", "random_doubt", "restarts"}
ANYTIME = [name for name, policy in POLICIES.items() if policy.anytime]


@pytest.mark.parametrize("name", POLICIES)
def test_an_examples_records_are_the_same_bytes_in_any_company(name: str) -> None:
    task = sudoku()
    examples = list(task.examples("test"))
    arm = diffusion(task, POLICIES[name])
    whole = lines(task, arm.attempts(examples, LADDER, 3))
    assert whole.keys() == {example.id for example in examples}
    assert len(set(whole.values())) == len(whole)
    shuffled = [examples[place] for place in (6, 2, 4, 0, 5, 1, 3)]
    assert lines(task, arm.attempts(shuffled, LADDER, 3)) == whole
    assert lines(task, diffusion(task, POLICIES[name], chunk=5).attempts(examples, LADDER, 3)) == whole
    for example in (examples[0], examples[4]):
        assert lines(task, arm.attempts([example], LADDER, 3)) == {example.id: whole[example.id]}
    assert lines(task, arm.attempts(examples, LADDER, 4)) != whole or name == "confidence"


def test_prompts_and_answers_of_different_lengths_show_no_company_either() -> None:
    task = words()
    examples = list(task.examples("test"))
    whole = lines(task, diffusion(task, POLICIES["change_of_mind"]).attempts(examples, LADDER, 3))
    arm = diffusion(task, POLICIES["change_of_mind"])
    assert lines(task, arm.attempts(examples[::-1], LADDER, 3)) == whole
    for example in examples[:3]:
        assert lines(task, arm.attempts([example], LADDER, 3)) == {example.id: whole[example.id]}


@pytest.mark.parametrize("name", POLICIES)
def test_charged_and_wasted_are_all_that_was_sent(name: str) -> None:
    task = graphs()
    arm = diffusion(task, POLICIES[name])
    groups = list(arm.attempts(list(task.examples("test")), LADDER, 0))
    answers = [[attempt for attempt in group if attempt.variant == ANSWER] for group in groups]
    assert arm.counts.charged + arm.counts.wasted == arm.meter.rows == arm.meter.calls * arm.width
    made = (
        sum(group[-1].nfe for group in answers)
        if arm.policy.anytime
        else sum(a.nfe for group in answers for a in group)
    )
    assert arm.counts.charged == made
    assert arm.meter.flops == arm.meter.rows * arm.flops_per_pass


@pytest.mark.parametrize("name", POLICIES)
def test_attempts_tell_what_was_spent(name: str) -> None:
    task = sudoku(3)
    arm = diffusion(task, POLICIES[name])
    assert arm.flops_per_pass == pass_flops(arm.network.shape, 16)  # type: ignore[arg-type]
    variants = [ANSWER, LAST] if name in REVISING else [ANSWER]
    assert list(arm.variants) == variants
    for group in arm.attempts(list(task.examples("test")), LADDER, 0):
        assert [(a.rung, a.variant) for a in group] == [(rung, variant) for rung in LADDER for variant in variants]
        for attempt in group:
            assert attempt.flops == attempt.nfe * arm.flops_per_pass
            assert attempt.nfe == attempt.sequential_depth <= attempt.scheduled_passes == attempt.rung
            assert attempt.settled or attempt.nfe == attempt.rung or name in ("ancestral", "remasking")
        spent = [attempt.nfe for attempt in group if attempt.variant == ANSWER]
        assert spent == sorted(spent)


def test_greedy_decoding_settles_when_the_canvas_is_full() -> None:
    task = graphs(2)
    for group in diffusion(task, presets.ordered(count=1)).attempts(list(task.examples("test")), LADDER, 0):
        assert [attempt.nfe for attempt in group] == [1, 2, 3, 3, 3]  # three blanks
        assert [attempt.settled for attempt in group] == [False, False, True, True, True]


class Killed(Exception):
    pass


@pytest.mark.parametrize("name", ANYTIME)
@pytest.mark.parametrize("chunks", [1, 2, 4, 6, 9])
def test_killed_at_any_chunk_it_goes_on_from_its_snapshot(name: str, chunks: int, tmp_path: Path) -> None:
    """No pass is made twice, and none is missing."""
    task = sudoku()
    examples = list(task.examples("test"))
    undisturbed = diffusion(task, POLICIES[name])
    whole = lines(task, undisturbed.attempts(examples, LADDER, 3))
    calls: list[int] = []

    def count(walking: Walking) -> None:
        calls.append(walking.counts.charged)
        if len(calls) == chunks:
            raise Killed

    first, had = diffusion(task, POLICIES[name]), []
    with suppress(Killed):
        for group in first.attempts(examples, LADDER, 3, Snapshot(tmp_path / "it.pt", "key", every=0), count):
            had.append(group)
        calls.append(first.counts.charged)
    before = lines(task, had)
    left = [example for example in examples if example.id not in before]
    second = diffusion(task, POLICIES[name])
    after = lines(task, second.attempts(left, LADDER, 3, Snapshot(tmp_path / "it.pt", "key", every=0)))
    assert before | after == whole
    assert not before.keys() & after.keys()
    assert calls[-1] + second.counts.charged == undisturbed.counts.charged


@pytest.mark.parametrize("name", ANYTIME)
def test_an_extended_run_walks_only_what_is_new(name: str, tmp_path: Path) -> None:
    task = sudoku()
    examples = list(task.examples("test"))
    long = diffusion(task, POLICIES[name])
    whole = lines(task, long.attempts(examples, LADDER, 3))
    short = diffusion(task, POLICIES[name])
    snapshot = Snapshot(tmp_path / "it.pt", "key")
    first = lines(task, short.attempts(examples, LADDER[:3], 3, snapshot))
    assert all(whole[number].startswith(lines_of) for number, lines_of in first.items())
    more = diffusion(task, POLICIES[name])
    assert lines(task, more.attempts(examples, LADDER, 3, Snapshot(tmp_path / "it.pt", "key"))) == whole
    assert short.counts.charged + more.counts.charged == long.counts.charged


def test_a_trace_ends_in_the_answer_that_was_recorded() -> None:
    task = sudoku(4)
    examples = list(task.examples("test"))
    arm = diffusion(task, POLICIES["change_of_mind"])
    recorded = {group[0].example.id: group[-2].answer for group in arm.attempts(examples, LADDER, 3)}
    rows = arm.meter.rows
    stories = arm.traces(examples[1:3], LADDER[-1], 3)
    assert arm.meter.rows == rows  # what is looked at again is not charged again
    assert stories.keys() == {example.id for example in examples[1:3]}
    for number, story in stories.items():
        answer = list(story.start)
        for change in story.answers:
            for position, token in change["changes"]:
                answer[position] = token
        assert answer_text(task.vocabulary(False), answer) == recorded[number]


def test_noise_ids_tell_examples_and_tasks_apart() -> None:
    ids = {
        noise_id(task, f"{split}/{number}")
        for task in ("a", "b")
        for split in ("test", "train")
        for number in range(50)
    }
    assert len(ids) == 200
    assert all(-(2**63) <= number < 2**63 for number in ids) and min(ids) < 0 < max(ids)
    assert noise_id("a", "test/0") == noise_id("a", "test/0")


def test_rows_are_padded_with_what_is_given_and_has_no_features() -> None:
    task = graphs(3)
    real, length = task.length(in_place=False, thought=False), 20
    task.length = lambda **form: length  # type: ignore[method-assign]
    rows = rows_of(task, list(task.examples("test")), torch.device("cpu"))
    assert rows.tokens.shape == rows.editable.shape == (3, length)
    assert bool((rows.tokens[:, real:] == task.vocabulary(False).pad_id).all())
    assert not bool(rows.editable[:, real:].any()) and not bool(rows.features[:, real:].any())
    assert int(rows.editable.sum()) == 3 * 3


def test_a_canvas_with_room_for_thoughts_says_nothing_of_the_known_one() -> None:
    """Two chains of other lengths, and none: the same canvas once what is to be written is blank."""
    task = words(3)
    examples = list(task.examples("test"))
    blanks = []
    for thought in ("aabb", "a", ""):
        known = [replace(example, thought=thought) for example in examples]
        rows = rows_of(task, known, torch.device("cpu"), thought=True)
        tokens = torch.where(rows.editable, task.vocabulary(True).mask_id, rows.tokens)
        blanks.append((tokens, rows.editable, rows.features))
    assert all(all(map(torch.equal, blank, blanks[0])) for blank in blanks)
    asked = blanks[0][1].sum(-1) - task.answer_length - 1
    assert len({len(example.thought) for example in examples}) > 1 and (asked == 10).all()


@pytest.mark.parametrize("task", [graphs(3), words(3)], ids=lambda task: task.name)
def test_an_arm_that_thinks_writes_thought_and_answer(task: Any) -> None:
    reads = network(task, "bidirectional", thought=True)
    denoiser = Denoise(reads, task.vocabulary(True).mask_id)
    arm = DiffusionArm("it", task, reads, denoiser, POLICIES["anytime"], width=2, chunk=4, thought=True)
    room = task.length(in_place=False, thought=True) - task.length(in_place=False, thought=False)
    attempts = [group[0] for group in arm.attempts(list(task.examples("test")), (60,), 3)]
    assert len(attempts) == 3 and room > 0
    for each in attempts:  # one token a pass: the thought, the marker, the answer
        assert each.nfe == each.events["written"] == room + 1 + task.answer_length
        assert each.flops == each.nfe * pass_flops(reads.shape, task.length(in_place=False, thought=True))


def test_an_answer_ends_at_the_end_of_text_or_padding() -> None:
    vocabulary = graphs().vocabulary(False)
    tokens = vocabulary.encode("3 5 7")
    assert answer_text(vocabulary, tokens) == "3 5 7"
    for stop in (vocabulary.eos_id, vocabulary.pad_id):
        assert answer_text(vocabulary, [*tokens[:2], stop, tokens[2]]) == "3 5"
        assert answer_text(vocabulary, torch.tensor([stop, *tokens])) == ""
    assert answer_text(vocabulary, [tokens[0], vocabulary.mask_id]).startswith("3 ")


@pytest.mark.parametrize("name", sorted(POLICIES))
def test_what_is_told_between_chunks_adds_up(name: str) -> None:
    """Nobody has more before them than the ladder, and what was made is at most what is charged."""
    task, told = sudoku(), []
    arm = diffusion(task, POLICIES[name])
    for _ in arm.attempts(list(task.examples("test")), LADDER, 3, on_chunk=told.append):
        pass
    assert told
    for each in told:
        assert 0 < each.alive <= arm.width and 0 <= each.at <= LADDER[-1]
        assert 0 <= each.before <= each.alive * (LADDER[-1] - each.at)
    assert max(each.counts.charged for each in told) <= arm.counts.charged
