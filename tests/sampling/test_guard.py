"""Laws of the guard: each rule that a policy may break is named with who, what and where, and a sound one is left
alone."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from torch import Tensor

from dlmreason import canvas
from dlmreason.canvas import NEVER, Canvas, Clock, Memory, Move, Noise, Reading
from dlmreason.policies.ordered import Ordered
from dlmreason.policies.scores import confidence, mean_log_max
from dlmreason.policies.wrappers import Judged, KeepBest
from dlmreason.sampling.denoise import Rows, Sampler, State
from dlmreason.sampling.guard import BadMove
from tests.toys import ToySudoku, sudoku_rows

MASK = 4
AT = 6
"""The position that is harmed; editable in every row, see `given`."""

Harm = Callable[[Move, Tensor], Move]


@dataclass(frozen=True)
class Bad(Ordered):
    """Does a harm to the moves of one row in pass `since` and later; else writes one blank a pass, and goes on."""

    harm: Harm = lambda move, rows: move
    since: int = 5
    row: int = 2

    def init(self, canvas: Canvas, clock: Clock, noise: Noise) -> Move:
        move = super().init(canvas, clock, noise)._replace(memory=(torch.zeros_like(clock.index),))
        return self.harm(move, self._rows(canvas, clock)) if self.since < 0 else move

    def __call__(self, canvas: Canvas, reading: Reading, clock: Clock, memory: Memory, noise: Noise) -> Move:
        move = super().__call__(canvas, reading, clock, memory, noise)
        move = move._replace(wake=torch.ones_like(move.wake))
        return self.harm(move, self._rows(canvas, clock)) if bool((clock.index >= self.since).any()) else move

    def _rows(self, canvas: Canvas, clock: Clock) -> Tensor:
        return (torch.arange(len(canvas.tokens)) == self.row) & (clock.index >= self.since)


def put(field: str, value: Any, at: int | None = None) -> Harm:
    """`value` into a field of the row, at one position or all."""

    def harm(move: Move, rows: Tensor) -> Move:
        owner: Any = move.ask if field.startswith("ask.") else move
        name = field.removeprefix("ask.")
        old = getattr(owner, name)
        where = rows
        if old.dim() == 2:
            where = rows[:, None] & (torch.arange(old.shape[1]) == at)
        new = owner._replace(**{name: torch.where(where, torch.tensor(value, dtype=old.dtype), old)})
        return new if owner is move else move._replace(ask=new)

    return harm


def replaced(field: str, change: Callable[[Any], Any]) -> Harm:
    def harm(move: Move, rows: Tensor) -> Move:
        owner: Any = move.ask if field.startswith("ask.") else move
        name = field.removeprefix("ask.")
        new = owner._replace(**{name: change(getattr(owner, name))})
        return new if owner is move else move._replace(ask=new)

    return harm


def given(rows: Rows, at: int, editable: bool = True) -> Rows:
    """The rows with position `at` editable, or not."""
    where = rows.editable.clone()
    where[:, at] = editable
    return rows._replace(editable=where)


def walk(policy: Any, rungs: tuple[int, ...] = (3, 30), rows: Rows | None = None, chunk: int = 8) -> list[State]:
    rows = given(sudoku_rows(6), AT) if rows is None else rows
    return list(Sampler(policy, ToySudoku(), rungs, width=4, chunk=chunk).run(rows))


def bad(harm: Harm, since: int = 5) -> Bad:
    return Bad(confidence, 1, harm=harm, since=since)


VALUES = {
    "a mask in an answer": (put("answer", MASK, AT), "answer 4, the mask,", "has no mask at editable positions"),
    "an answer beyond the mask": (put("answer", MASK + 1, AT), "answer 5", "an answer holds tokens, 0 to 3"),
    "a negative answer": (put("answer", -1, AT), "answer -1", "an answer holds tokens, 0 to 3"),
    "a token beyond the mask": (put("tokens", MASK + 1, AT), "tokens 5", "tokens and the mask, 0 to 4"),
    "a negative token": (put("tokens", -1, AT), "tokens -1", "tokens and the mask, 0 to 4"),
    "a question beyond the mask": (put("ask.tokens", 9, AT), "ask.tokens 9", "tokens and the mask, 0 to 4"),
    "a negative question": (put("ask.tokens", -7, AT), "ask.tokens -7", "tokens and the mask, 0 to 4"),
}
ROWS = {
    "a wake now": (put("wake", 0), "wake 0", "sleeps 1 pass or more"),
    "a wake in the past": (put("wake", -3), "wake -3", "sleeps 1 pass or more"),
    "a score that is none": (put("score", float("nan")), "score nan", "give a number, or -inf"),
}
FORMS = {
    "short tokens": (replaced("tokens", lambda old: old[:, 1:]), "tokens int64 [4, 15]", "tokens is int64 [4, 16]"),
    "int32 tokens": (replaced("tokens", lambda old: old.int()), "tokens int32 [4, 16]", "tokens is int64 [4, 16]"),
    "one answer": (replaced("answer", lambda old: old[:1]), "answer int64 [1, 16]", "answer is int64 [4, 16]"),
    "a float32 score": (replaced("score", lambda old: old.float()), "score float32 [4]", "score is float64 [4]"),
    "a score of one": (replaced("score", lambda old: old.mean()), "score float64 []", "score is float64 [4]"),
    "an int32 wake": (replaced("wake", lambda old: old.int()), "wake int32 [4]", "wake is int64 [4]"),
    "a number": (replaced("wake", lambda old: 1), "wake of type int", "wake is a tensor of [4]"),
    "a question": (replaced("ask.tokens", lambda old: old[0]), "ask.tokens int64 [16]", "ask.tokens is int64 [4, 16]"),
    "a level": (replaced("ask.level", lambda old: old.float()), "ask.level float32 [4]", "ask.level is float64 [4]"),
    "a carry": (replaced("ask.carry", lambda old: torch.zeros(4)), "ask.carry of structure", "keeps its structure"),
    "no question": (replaced("ask", lambda old: None), "a NoneType", "gives a Move, and in it an Ask"),
    "no move": (lambda move, rows: tuple(move), "a tuple", "gives a Move, and in it an Ask"),
    "more memory": (replaced("memory", lambda old: (*old, old[0])), "memory of structure", "keeps its structure"),
    "other memory": (
        replaced("memory", lambda old: (old[0].double(),)),
        "tensor 0 of memory float64 [4], int64 [4]",
        "",
    ),
    "wider memory": (replaced("memory", lambda old: (old[0][:, None],)), "tensor 0 of memory int64 [4, 1]", "shapes"),
    "no tensor": (replaced("memory", lambda old: (0,)), "tensor 0 of memory of type int", "memory keeps"),
}


@pytest.mark.parametrize("name", VALUES | ROWS)
@pytest.mark.parametrize("chunk", [1, 4, 64])
def test_a_bad_value_is_named_with_policy_rule_row_position_pass_and_value(name: str, chunk: int) -> None:
    harm, found, rule = (VALUES | ROWS)[name]
    rows = given(sudoku_rows(6), AT)
    with pytest.raises(BadMove) as caught:
        walk(bad(harm), tuple(range(1, 31)), rows, chunk)
    where = f" at position {AT}" if name in VALUES else ""
    said = str(caught.value)
    assert said.startswith(f"policy Bad, example {int(rows.id[2])}, after pass 5: found {found}{where}; ")
    assert rule in said
    assert (caught.value.example, caught.value.index) == (int(rows.id[2]), 5)


@pytest.mark.parametrize("name", FORMS)
def test_a_bad_form_is_named(name: str) -> None:
    harm, found, rule = FORMS[name]
    with pytest.raises(BadMove, match=r"policy Bad, example .*, after pass 5: found ") as caught:
        walk(bad(harm))
    assert f"found {found}" in str(caught.value) and rule in caught.value.rule


LATER = ("a mask in an answer", "more memory", "other memory", "wider memory")
"""No harm in a first move: there is no reading to fill a blank from, and no memory before whose form is kept."""
FIRST = {name: case for name, case in (VALUES | ROWS | FORMS).items() if name not in LATER}


@pytest.mark.parametrize("name", FIRST)
def test_a_bad_first_move_is_named(name: str) -> None:
    harm, found, _ = FIRST[name]
    with pytest.raises(BadMove, match="in init, before its first reading: found ") as caught:
        walk(bad(harm, since=-1))
    assert caught.value.found == found.replace("tensor 0", "leaf 0") or name == "a carry"


def test_a_memory_that_is_not_of_rows_is_named_in_init() -> None:
    harm = replaced("memory", lambda old: (torch.zeros(3),))
    with pytest.raises(BadMove, match=r"leaf 0 of memory float32 \[3\]; memory is a pytree of tensors whose first"):
        walk(bad(harm, since=-1))


# What is sound


def test_a_mask_in_an_answer_that_no_rung_keeps_is_nobodys_business() -> None:
    @dataclass(frozen=True)
    class Late(Bad):
        def _rows(self, canvas: Canvas, clock: Clock) -> Tensor:
            return super()._rows(canvas, clock) & (clock.index < 10)

    late = Late(confidence, 1, harm=put("answer", MASK, AT))
    assert all(MASK not in state.answers.flatten().tolist() for state in walk(late, (3, 30)))
    with pytest.raises(BadMove, match="after pass 9: found answer 4, the mask"):
        walk(late, (3, 10, 30))


@pytest.mark.parametrize("field", ["tokens", "ask.tokens"])
def test_masks_in_a_canvas_and_in_a_question_are_sound(field: str) -> None:
    harm = put(field, MASK, AT)
    assert len(walk(bad(harm))) == 6


@pytest.mark.parametrize("value", [-1, 77])
def test_what_is_written_where_the_task_gave_the_token_is_put_back(value: int) -> None:
    rows = given(sudoku_rows(6), AT, editable=False)
    states = walk(bad(put("tokens", value, AT)), rows=rows)
    assert all(torch.equal(state.tokens[:, AT], state.rows.tokens[:, AT]) for state in states)


def test_a_row_that_sleeps_past_a_rung_before_any_reading_has_nothing_to_fill_blanks_from() -> None:
    assert len(walk(bad(replaced("wake", lambda old: torch.full_like(old, 8)), since=-1), (3, 30))) == 6
    with pytest.raises(BadMove, match="in init, before its first reading: found answer 4, the mask"):
        walk(bad(replaced("wake", lambda old: torch.full_like(old, NEVER)), since=-1), (3, 30))


def test_an_infinite_score_is_a_score() -> None:
    assert len(walk(bad(put("score", float("inf"))))) == 6


def test_a_policy_inside_others_is_named_with_them() -> None:
    onion = KeepBest(Judged(bad(put("wake", 0)), mean_log_max))
    with pytest.raises(BadMove, match="policy KeepBest around Judged around Bad, example"):
        walk(onion)


def test_the_earliest_breach_is_named() -> None:
    """Of two rows that break a rule in one chunk, the one that did so first, though it sits behind."""

    @dataclass(frozen=True)
    class Both(Bad):
        def _rows(self, canvas: Canvas, clock: Clock) -> Tensor:
            row = torch.arange(len(canvas.tokens))
            return ((row == 3) & (clock.index >= self.since)) | ((row == 1) & (clock.index >= self.since + 2))

    rows = given(sudoku_rows(6), AT)
    with pytest.raises(BadMove) as caught:
        walk(Both(confidence, 1, harm=put("wake", 0)), rows=rows)
    assert (caught.value.example, caught.value.index) == (int(rows.id[3]), 5)


def test_a_bad_question_never_reaches_the_network() -> None:
    """An index that does not exist would end the process of an accelerator before anybody is told."""
    asked: list[Tensor] = []

    class Noted(ToySudoku):
        def __call__(self, ask: Any, features: Tensor) -> Reading:
            asked.append(ask.tokens)
            return super().__call__(ask, features)

    sampler = Sampler(bad(put("ask.tokens", 10**6, AT)), Noted(), (30,), width=4, chunk=30)
    with pytest.raises(BadMove):
        list(sampler.run(given(sudoku_rows(6), AT)))
    assert len(asked) == 30 and all(int(tokens.max()) <= MASK for tokens in asked)


def test_rows_that_have_ended_are_nobodys_business() -> None:
    """A finished row is sent along, and what the policy says of it is thrown away."""
    assert len(walk(bad(put("score", float("nan")), since=6), (6,), chunk=64)) == 6


def test_nothing_waits_for_the_device_within_a_chunk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(canvas, "at_hand", lambda tensor: False)
    looks: list[int] = []
    made = [0]

    class Counted(ToySudoku):
        def __call__(self, ask: Any, features: Tensor) -> Reading:
            made[0] += 1
            return super().__call__(ask, features)

    for name in ("tolist", "__int__", "__bool__", "item", "nonzero"):
        real = getattr(Tensor, name)
        monkeypatch.setattr(Tensor, name, lambda self, *given, real=real: looks.append(made[0]) or real(self, *given))
    policy, rows = Ordered(confidence, 1), sudoku_rows(4)
    sampler = Sampler(policy, Counted(), (10_000,), width=4)
    state = sampler.init(rows)
    looks.clear()
    sampler.advance(state, 8)
    assert set(looks) == {8}
