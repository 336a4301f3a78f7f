"""Laws of thoughts that correct themselves, over every task with thoughts."""

import math
import re
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from dlmreason.tasks.correcting import Correcting
from dlmreason.tasks.example import SPLITS
from dlmreason.tasks.running_sum import RunningSum
from dlmreason.tasks.star_graph import StarGraph
from dlmreason.tasks.vocabulary import WAIT
from dlmreason.tasks.written import Written
from tests.tasks.thinking import COUNTS, TASKS

ALL = pytest.mark.parametrize("name", TASKS)
PARTS = ("tokens", "editable", "features", "thoughts")


def items(task):
    return [example for split in SPLITS for example in task.examples(split)]


@ALL
def test_a_plant_is_a_wrong_step_the_sign_and_the_right_step(name):
    task, counts = Correcting(TASKS[name], share=1, most=2), Counter()
    for planted, plain in zip(items(task), items(task.task), strict=True):
        assert replace(planted, thought=plain.thought) == plain == task.plain(planted)
        right, read = task.steps.cut(plain.thought), task.read(plain, planted.thought)
        wrong = [step for step in read if step.taken_back]
        assert [step.text for step in read if not step.taken_back] == right
        assert len(wrong) == planted.thought.count(WAIT) == len({step.place for step in wrong})
        for step in wrong:
            assert step.repaired and step.text in task.steps.others(right[step.place])
        counts[len(wrong)] += 1
    assert set(counts) <= {1, 2} and counts[1], "every item has a step that can be written wrong, and 1 to 2 are"
    if name not in ("words", "equations", "pieces"):
        assert counts[2]


@pytest.mark.parametrize(
    ("name", "thought", "begins"),
    [
        ("countdown", "8+2=10|10,3|10-3=7", r"8+2=1[1-9]\|<wait>8+2=10\|10,3\|10-3=7"),
        ("equations", "<<2+2=4>>", r"<<2\+2=[^4]>><wait><<2\+2=4>>"),
        ("sudoku", "a1 3 c1 2", r"a1 [124] <wait> a1 3 c1 2"),
        ("satisfiability", "? 1 x -1 2", r"\? 1 x 1 <wait> -1 2"),
        ("zebra", "? a1@1 b1@2 a1 b1", r"\? a1@1 b1@[13] <wait> b1@2 a1 b1"),
        ("paths", "8 | 4 1 | 6", r"[1-7] \| <wait> 8 \| 4 1 \| 6"),
    ],
)
def test_the_first_step_that_is_a_claim_is_written_wrong_in_a_prefix(name, thought, begins):
    task = Correcting(TASKS[name])
    example = replace(task.examples("test")[0], thought=thought)
    begun, vocabulary = task.begun(example, first=True), task.vocabulary(True)
    sheet = task.sheet(begun.example, in_place=False, thought=True)
    start = int(sheet.editable.argmax())
    written = vocabulary.decode(sheet.tokens[start : sheet.answer_at - 1])
    assert re.fullmatch(begins.replace("8+2", r"8\+2"), written), written
    assert sheet.tokens[start + begun.tokens] == vocabulary.wait_id
    assert (sheet.tokens == vocabulary.wait_id).sum() == 1


@ALL
def test_a_thought_that_is_begun_is_right_up_to_one_step_whose_fate_is_told(name):
    """The fates of what a model may make of it: nothing, a sign and the right step, the right step alone."""
    task = Correcting(TASKS[name], share=1, most=2)
    for planted in items(task):
        begun, right = task.begun(planted), task.steps.cut(task.plain(planted).thought)
        sheet = task.sheet(begun.example, in_place=False, thought=True)
        stands = task.vocabulary(True).decode(sheet.tokens[sheet.editable][: begun.tokens])
        *before, wrong = task.steps.cut(stands)
        assert before == right[: begun.place] and wrong in task.steps.others(right[begun.place])
        assert begun == task.begun(task.plain(planted)), "whatever was planted in the item itself"
        mute = task.steps.join([*before, wrong, *right[begun.place + 1 :]])
        for written, fate in (
            (begun.example.thought, "taken_back"),
            (task.plain(planted).thought, "rewritten"),
            (mute, "kept"),
        ):
            told = task.told_of(planted, written, begun=True)
            assert [key for key, value in told.items() if value and key.startswith("plant")] == [f"plant_{fate}"]
            assert (told["waits"], told["repaired"], told["wrong"]) == (
                (1, 1, 0) if fate == "taken_back" else (0, 0, int(fate == "kept"))
            )


@ALL
def test_in_a_sheet_a_plant_belongs_to_the_step_that_it_corrects_and_changes_nothing_else(name):
    """Sheets less what was planted are byte for byte the inner task's."""
    task = Correcting(TASKS[name], share=1, most=2)
    vocabulary, inner = task.vocabulary(True), TASKS[name].vocabulary(True)
    for planted, plain in zip(items(task), items(task.task), strict=True):
        sheet, before = (
            each.sheet(it, in_place=False, thought=True) for each, it in ((task, planted), (TASKS[name], plain))
        )
        first = int(sheet.editable.argmax())
        assert vocabulary.decode(sheet.tokens[first : sheet.answer_at - 1]) == planted.thought
        new = np.zeros(len(sheet.tokens), np.bool_)
        steps, at = task.read(plain, planted.thought), first
        for step, after in zip(steps, [*steps[1:], None], strict=True):
            size = len(inner.encode(step.text))
            if step.taken_back:
                new[at : at + size + 1] = True
                assert sheet.tokens[at + size] == vocabulary.wait_id and after is not None
                own = sheet.thoughts[at : at + 2 * size + 1]
                assert (own == own[0]).all(), "wrong step, sign and right step are one thought"
            at += size + step.taken_back
        assert at == sheet.answer_at - 1 and sheet.editable[new].all() and not sheet.features[new].any()
        assert sheet.answer_at - new.sum() == before.answer_at
        for part in PARTS:
            kept = getattr(sheet, part)[~new]
            assert kept.dtype == getattr(before, part).dtype and kept.tobytes() == getattr(before, part).tobytes()


@ALL
def test_at_share_0_nothing_is_changed(name):
    task = Correcting(TASKS[name], share=0)
    assert items(task) == items(task.task)
    for example in items(task):
        for form in ({"in_place": False, "thought": True}, {"in_place": task.in_place, "thought": False}):
            sheets = [each.sheet(example, **form) for each in (task, TASKS[name])]
            assert len({sheet.answer_at for sheet in sheets}) == 1
            for part in PARTS:
                assert len({(getattr(sheet, part).dtype, getattr(sheet, part).tobytes()) for sheet in sheets}) == 1


@ALL
def test_the_share_of_planted_items_is_as_said(name):
    """Of one item under 2,000 names; five standard deviations either way."""
    task, count, share = Correcting(TASKS[name], share=0.3, most=2), 2_000, 0.3
    example = task.plain(task.examples("train")[0])
    drawn = [task._drawn(replace(example, id=f"train/0/{place}")) for place in range(count)]
    planted = [each for each in drawn if WAIT in each.thought]
    assert abs(len(planted) - share * count) < 5 * math.sqrt(count * share * (1 - share))
    several = sum(each.thought.count(WAIT) == 2 for each in planted)
    if name not in ("words", "equations", "pieces"):
        assert abs(several - len(planted) / 2) < 5 * math.sqrt(len(planted) / 4)
        right = task.steps.cut(example.thought)
        claims = sum(bool(task.steps.others(step)) for step in right)
        places = {step.place for each in planted for step in task.read(example, each.thought) if step.taken_back}
        assert len(places) == claims, "every step that can be written wrong is, in some item"


@ALL
def test_answers_and_their_judge_are_the_inner_tasks(name):
    task = Correcting(TASKS[name], share=1)
    examples = items(task)
    for example in examples:
        assert task.verify(example, example.answer).correct
        for other in (examples[0].answer, "", WAIT, f"{example.answer} {WAIT}"):
            assert task.verify(example, other) == TASKS[name].verify(task.plain(example), other)


@ALL
def test_a_canvas_has_room_for_every_plant(name):
    for most in (1, 2, 50):
        task = Correcting(TASKS[name], share=1, most=most)
        longest = max(len(task.sheet(each, in_place=False, thought=True).tokens) for each in items(task))
        assert longest <= task.length(in_place=False, thought=True)
        fewer = (each.length(in_place=False, thought=False) for each in (task, TASKS[name]))
        assert len(set(fewer)) == 1


def test_a_step_longer_than_wanted_is_not_planted():
    task = Correcting(TASKS["countdown"], share=1, longest=6)
    assert task.longest == 6 < Correcting(TASKS["countdown"]).longest
    sizes = [len(step.text) for each in items(task) for step in task.read(each, each.thought) if step.taken_back]
    assert sizes and max(sizes) <= 6


def test_an_item_has_its_plant_whoever_asks_and_no_split_repeats_another():
    counts = {"train_examples": 40, "validation_examples": 40, "test_examples": 40}

    def made(**settings):
        return Correcting(StarGraph(length=5, nodes=40, **counts), share=0.5, **settings)

    task, again = made(), made()
    for split in SPLITS:
        whole = list(again.examples(split))
        assert [task.examples(split)[place] for place in reversed(range(40))] == whole[::-1]
        assert task.examples(split)[3:9:2] == whole[3:9:2] and len(task.examples(split)) == 40
    plants = [[WAIT in each.thought for each in task.examples(split)] for split in SPLITS]
    assert plants[0] != plants[1] != plants[2] != plants[0]
    assert [WAIT in each.thought for each in made(seed=1).examples("train")] != plants[0]


def test_a_plant_is_pinned():
    """Raised versions alone may change this: checkpoints say which items they were trained on."""
    task = Correcting(Written(RunningSum(), **COUNTS), share=1)
    assert [each.thought for each in task.examples("train")[:2]] == [
        "6 <wait> 9 6 9 4 6 3 4 9",
        "2 6 0 4 2 <wait> 8 0 4 3",
    ]


def test_records_are_not_mixed_up():
    inner = TASKS["sums"]
    tasks = [Correcting(inner), Correcting(inner, share=0.5), Correcting(inner, most=2), Correcting(inner, seed=1)]
    assert len({tuple(task.provenance.items()) for task in tasks}) == len(tasks)
    for task in tasks:
        assert task.name == f"{inner.name}_wait" and inner.provenance.items() < task.provenance.items()
        assert all(isinstance(value, str | int) for value in task.provenance.values())


@ALL
def test_the_alphabet_has_one_symbol_more(name):
    task = Correcting(TASKS[name])
    for thought, new in ((False, []), (True, [WAIT])):
        inner, outer = TASKS[name].vocabulary(thought), task.vocabulary(thought)
        assert outer.symbols == (*inner.symbols[:-1], *new, inner.symbols[-1])
        assert inner.wait_id is None and (outer.wait_id is not None) == thought
        assert outer.mask_id == len(outer.symbols) - 1 == outer.size - 1
    assert task.vocabulary(True).symbol(task.vocabulary(True).wait_id) == WAIT


@ALL
def test_an_unknown_answer_is_masked(name):
    task = Correcting(TASKS[name])
    example = replace(task.examples("test")[0], answer="", thought="")
    sheet = task.sheet(example, in_place=False, thought=True)
    assert (sheet.tokens[sheet.answer_at :] == task.vocabulary(True).mask_id).all()


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"share": 1.1}, "task.share=1.1 is a chance"),
        ({"share": True}, "task.share=True is a chance"),
        ({"share": math.nan}, "task.share=nan is a chance"),
        ({"most": 0}, "task.most=0 must be a whole number, 1 or more"),
        ({"seed": -1}, "task.seed=-1 must be"),
        ({"longest": 0}, "task.longest=0 must be"),
    ],
)
def test_a_setting_out_of_range_is_refused(settings, reason):
    with pytest.raises(ValueError, match=reason):
        Correcting(TASKS["sums"], **settings)


def test_a_task_without_thoughts_is_refused():
    with pytest.raises(
        ValueError, match=r"only thoughts can correct themselves: running_sum_8_mod_10_all has no chains"
    ):
        Correcting(Written(RunningSum(all_sums=True), **COUNTS))
    with pytest.raises(ValueError, match=r"correct themselves already"):
        Correcting(Correcting(TASKS["sums"]))


def test_where_no_step_is_a_claim_there_is_no_plant():
    task = Correcting(TASKS["satisfiability"], share=1)
    example = replace(task.examples("test")[0], thought="? 1 ? 2")
    assert task._drawn(example) == example
    with pytest.raises(ValueError, match="no step of the thought can be written wrong"):
        task.begun(example)
    with pytest.raises(ValueError, match="<wait> is in the thought already"):
        task.planted(replace(example, thought="1 <wait> -1"), 1)
