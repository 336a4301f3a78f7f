"""What a move must be, and an error that names the policy whose move was not.

A policy may be a user's, and a mask in an answer or a token that does not exist would spoil records silently, or end in
an index error far from its cause. This file decides the rules and how a breach is told; it does not know what a policy
is for. Shapes and types are looked at in every pass, which costs the device nothing; values are compared on the device
and looked at once a chunk, where it is waited for anyway.
"""

from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.utils._pytree import tree_flatten

from dlmreason.canvas import Ask, Move, Policy, choose, somewhere


class BadMove(Exception):
    """A policy's move broke a rule.

    example: the row's id.  The arm that knows the example by another name puts it there.
    """

    def __init__(self, policy: str, rule: str, example: int, at: int | None, index: int, found: str, name: str = ""):
        self.policy, self.rule, self.example, self.at, self.index, self.found = policy, rule, example, at, index, found
        when = "in init, before its first reading" if index < 0 else f"after pass {index}"
        where = "" if at is None else f" at position {at}"
        super().__init__(f"policy {policy}, example {name or example}, {when}: found {found}{where}; {rule}")

    def of(self, name: str) -> "BadMove":
        """The same of an example that people know as `name`."""
        return BadMove(self.policy, self.rule, self.example, self.at, self.index, self.found, name)


_FIELDS = ("tokens", "answer", "ask.tokens")
_BLANK = "what is said when a budget ends has no mask at editable positions: fill it, as policies.respond.filled does"
_WAKE = "a row sleeps 1 pass or more, or NEVER"
_SCORE = "a score orders answers: give a number, or -inf where nobody judged"


class _Breach(NamedTuple):
    """The move that first broke a rule, for each row that has one."""

    found: Tensor  # [B, 3L + 2] bool, which of its numbers: see `sees`
    index: Tensor  # type: ignore[assignment]  # [B] int64, the pass
    values: Tensor  # [B, 3L + 2] int64


class Guard:
    """Looks at each move of a chunk of passes over one pool.

    A row that breaks a rule stays where it was, so that nothing of its move reaches the network or a record.
    """

    def __init__(self, policy: Policy, ids: Tensor, editable: Tensor, mask_id: int) -> None:
        """ids: [B] int64 and editable: [B, L] bool, of the rows."""
        self._policy, self._ids, self._mask_id = _name(policy), ids, mask_id
        self._rows, self._length = rows, length = editable.shape
        any_number, wake, nan = torch.iinfo(torch.int64), 3 * length, 3 * length + 1
        self._low = ids.new_zeros(rows, 3 * length + 2)
        self._high = torch.full_like(self._low, mask_id)
        self._low[:, wake], self._high[:, wake] = 1, any_number.max
        self._high[:, nan] = 0
        # What a policy writes where the task gave the token is put back by the sampler, and so may be anything.
        self._low[:, :length] = torch.where(editable, 0, any_number.min)
        self._high[:, :length] = torch.where(editable, mask_id, any_number.max)
        # An answer that is kept holds no mask.
        self._high_kept = self._high.clone()
        self._high_kept[:, length : 2 * length] -= editable.long()
        self._sound = torch.ones_like(ids, dtype=torch.bool)  # [B], no breach so far
        self._breach = _Breach(torch.zeros_like(self._low, dtype=torch.bool), torch.zeros_like(ids), self._low)

    def form(self, move: Move, index: Tensor, live: Tensor, carry: Any, memory: Any) -> None:
        """Raises: BadMove where a shape or type is wrong; the row that is named is the first live one.

        index: [B] int64, the pass.  live: [B] bool, rows that count.  carry, memory: those of before, whose form is
        kept; memory None where there is none yet.
        """
        wrong = _misshapen(move, self._rows, self._length, carry, memory)
        if wrong is not None:
            row = int(live.long().argmax())
            raise BadMove(self._policy, wrong[1], int(self._ids[row]), None, int(index[row]), wrong[0])

    def sees(self, move: Move, index: Tensor, live: Tensor, kept: Tensor) -> Tensor:
        """[B] bool: rows whose move, and every one before it, keeps the rules.

        kept: [B] bool, rows whose answer is kept at a rung.
        """
        unordered = move.score.isnan()
        values = torch.cat([move.tokens, move.answer, move.ask.tokens, move.wake[:, None], unordered[:, None]], -1)
        high = torch.where(kept[:, None], self._high_kept, self._high)
        found = values != values.clamp(self._low, high)
        first = found.any(-1) & live & self._sound
        if somewhere(first):
            self._breach = choose(first, _Breach(found, index, values), self._breach)
            self._sound = self._sound & ~first
        return self._sound

    def look(self) -> None:
        """Waits for the device. Raises: BadMove for the earliest breach, the first row's of several."""
        rows = (~self._sound).nonzero()[:, 0].tolist()
        if not rows:
            return
        row = min(rows, key=lambda row: int(self._breach.index[row]))
        index, place = int(self._breach.index[row]), int(self._breach.found[row].long().argmax())
        value = int(self._breach.values[row, place])
        number, at = divmod(place, self._length)
        where: int | None = at
        if place == 3 * self._length:
            found, says, where = f"wake {value}", _WAKE, None
        elif place > 3 * self._length:
            found, says, where = "score nan", _SCORE, None
        elif _FIELDS[number] == "answer":
            blank = value == self._mask_id
            found = f"answer {value}, the mask," if blank else f"answer {value}"
            says = _BLANK if blank else f"an answer holds tokens, 0 to {self._mask_id - 1}, and no mask in the end"
        else:
            found, says = f"{_FIELDS[number]} {value}", f"a canvas holds tokens and the mask, 0 to {self._mask_id}"
        raise BadMove(self._policy, says, int(self._ids[row]), where, index, found)


def _misshapen(move: Move, rows: int, length: int, carry: Any, memory: Any) -> tuple[str, str] | None:
    """What is wrong with a move's form, and the rule; None where nothing is. memory: of the move before, or None."""
    if not isinstance(move, Move) or not isinstance(move.ask, Ask):
        what = type(move if not isinstance(move, Move) else move.ask).__name__
        return f"a {what}", "a policy gives a Move, and in it an Ask"
    grid, row = (rows, length), (rows,)
    for name, found, shape, dtype in (
        ("tokens", move.tokens, grid, torch.int64),
        ("answer", move.answer, grid, torch.int64),
        ("score", move.score, row, torch.float64),
        ("ask.tokens", move.ask.tokens, grid, torch.int64),
        ("ask.level", move.ask.level, row, torch.float64),
        ("wake", move.wake, row, torch.int64),
    ):
        if not isinstance(found, Tensor):
            return f"{name} of type {type(found).__name__}", f"{name} is a tensor of {list(shape)}"
        if found.shape != shape or found.dtype != dtype:
            return f"{name} {_form(found)}", f"{name} is {_shown(dtype)} {list(shape)}"
    return _changed("ask.carry", move.ask.carry, carry) or _unlike_rows("memory", move.memory, memory, rows)


def _changed(name: str, now: Any, before: Any) -> tuple[str, str] | None:
    """What differs in the form of two pytrees of tensors."""
    if _alike(now, before):
        return None
    new, new_spec = tree_flatten(now)
    old, old_spec = tree_flatten(before)
    rule = f"{name} keeps its structure, shapes and types from pass to pass"
    if new_spec != old_spec:
        return f"{name} of structure {new_spec}, {old_spec} before", rule
    for place, (leaf, was) in enumerate(zip(new, old, strict=True)):
        if not isinstance(leaf, Tensor) or leaf.shape != was.shape or leaf.dtype != was.dtype:
            return f"tensor {place} of {name} {_form(leaf)}, {_form(was)} before", rule
    return None


def _alike(now: Any, before: Any) -> bool:
    """Whether two nested tuples of tensors have one form. False for any other pytree: torch's walk, which also names
    what differs, knows those, and takes as long as the check of all values."""
    if isinstance(now, tuple) and type(now) is type(before) and len(now) == len(before):
        return all(map(_alike, now, before))
    tensors = isinstance(now, Tensor) and isinstance(before, Tensor)
    return tensors and now.shape == before.shape and now.dtype == before.dtype


def _unlike_rows(name: str, now: Any, before: Any, rows: int) -> tuple[str, str] | None:
    """As `_changed`; where there is nothing before, what keeps a pytree from being one of rows."""
    if before is not None:
        return _changed(name, now, before)
    rule = f"{name} is a pytree of tensors whose first axis is the rows"
    for place, leaf in enumerate(tree_flatten(now)[0]):
        if not isinstance(leaf, Tensor) or leaf.dim() == 0 or len(leaf) != rows:
            return f"leaf {place} of {name} {_form(leaf)}", rule
    return None


def _form(leaf: object) -> str:
    return f"{_shown(leaf.dtype)} {list(leaf.shape)}" if isinstance(leaf, Tensor) else f"of type {type(leaf).__name__}"


def _shown(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")


def _name(policy: object) -> str:
    """The policy's class, and those of the policies inside it."""
    names = [type(policy).__name__]
    while (policy := getattr(policy, "inner", None)) is not None:
        names.append(type(policy).__name__)
    return " around ".join(names)
