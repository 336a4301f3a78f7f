"""What a row did, counted again from a list of all its canvases; and a policy that plays a script."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from dlmreason.canvas import Ask, Canvas, Clock, Memory, Move, Noise, Reading
from dlmreason.sampling.counters import NEVER_SETTLED, STAYED, WANDERED
from dlmreason.sampling.cycles import CHANGES, REPEATS
from dlmreason.sampling.denoise import Rows

Line = tuple[int, ...]


def period(canvases: list[Line]) -> int | None:
    """Of the cycle that a list of canvases ends in, by its definition in `cycles`."""
    dates = [at for at in range(1, len(canvases)) if canvases[at] != canvases[at - 1]]
    end, last = len(canvases) - 1, dates[-1] if dates else 0
    changes = [(at - before, canvases[at]) for before, at in zip([0, *dates], dates, strict=False)]
    for lag in range(1, min(CHANGES, len(changes)) + 1):
        pairs = zip(changes[::-1], changes[::-1][lag:], strict=False)
        repeated = next((k for k, (new, old) in enumerate(pairs) if new != old), len(changes) - lag)
        if repeated >= max(REPEATS, 2 * lag) and end - last < changes[-lag][0]:
            return sum(stood for stood, _ in changes[-lag:])
    return 1 if end - last >= max(REPEATS, last) else None


def recount(
    canvases: list[Line], editable: list[bool], gold: Line, mask: int, still: int, fixed: bool
) -> dict[str, Any]:
    """As `RowCounters.told`, but for the curve. canvases: after 0, 1, ... passes."""
    at = [place for place, open_ in enumerate(editable) if open_]
    names = ("doubted", "restored", "flipped", "wrong_to_right", "right_to_wrong")
    count: dict[str, list[int]] = {name: [0] * len(at) for name in names}
    commit, right, committed = [-1] * len(at), [False] * len(at), [mask] * len(at)
    settled, left, last = None, 0, 0  # last: when a committed token last changed
    for passes, canvas in enumerate(canvases):
        new = False
        was = canvases[max(passes - 1, 0)]
        for place, position in enumerate(at):
            token, before = canvas[position], committed[place]
            if token == mask:
                count["doubted"][place] += was[position] != mask
                continue
            count["restored"][place] += was[position] == mask and token == before
            if token == before:
                continue
            if before != mask:
                count["flipped"][place] += 1
                count["wrong_to_right"][place] += token == gold[position]
                count["right_to_wrong"][place] += before == gold[position]
            commit[place], committed[place], new = passes, token, True
            right[place] |= token == gold[position]
        left += new and settled is not None
        last = passes if new else last
        if settled is None and mask not in committed and passes - last >= still:
            settled = passes
    changed = max((t for t in range(1, len(canvases)) if canvases[t] != canvases[t - 1]), default=0)
    if fixed and (settled is None or settled > changed):
        settled = changed
    return {
        "positions": at,
        **count,
        "commit": commit,
        "ever_right": right,
        "distinct": len(set(canvases)),
        "distinct_exact": True,
        "stood_since": changed,
        "fixed": fixed,
        "period": period(canvases),
        "settled": settled,
        "left": left,
        "ended": WANDERED if left else NEVER_SETTLED if settled is None else STAYED,
    }


@dataclass(frozen=True)
class Plays:
    """Puts a canvas of a script on the table pass by pass. Each row's number stands at position 0, which is given.

    script: [N, T + 1, L] int64, the first one from the start.  wake: [N, T] int64.
    """

    script: Tensor
    wake: Tensor
    anytime = True

    def _move(self, canvas: Canvas, index: Tensor, wake: Tensor) -> Move:
        row = canvas.tokens[:, 0]
        # Rows that are through are handed along, and what is said of them is not used.
        tokens = self.script[row, (index + 1).clamp(max=self.script.shape[1] - 1)]
        answer = torch.where(tokens == canvas.mask_id, 0, tokens)
        ask = Ask(tokens, (tokens != canvas.mask_id).double().mean(-1), canvas.carry)
        return Move(tokens, answer, answer.double().sum(-1).where(index % 3 > 0, -torch.inf), ask, wake, ())

    def init(self, canvas: Canvas, clock: Clock, noise: Noise) -> Move:
        return self._move(canvas, clock.index, torch.ones_like(clock.index))

    def __call__(self, canvas: Canvas, reading: Reading, clock: Clock, memory: Memory, noise: Noise) -> Move:
        last = self.wake.shape[1] - 1
        return self._move(canvas, clock.index, self.wake[canvas.tokens[:, 0], clock.index.clamp(0, last)])


def played(script: Tensor, wake: Tensor) -> list[list[Line]]:
    """The canvases of each row of `Plays` after each pass, slept through or not."""
    lists = []
    for canvases, wakes in zip(script.tolist(), wake.tolist(), strict=True):
        now, awake, seen = canvases[0], 0, [tuple(canvases[0])]
        for index, wakes_in in enumerate(wakes):
            if index == awake:
                now, awake = canvases[index + 1], index + wakes_in
            seen.append(tuple(now))
        lists.append(seen)
    return lists


class Says:
    """Something else of every canvas, with an opinion of the mask too."""

    uses_level = False

    def __init__(self, mask_id: int, length: int) -> None:
        self.mask_id = mask_id
        generator = torch.Generator().manual_seed(3)
        self.table = torch.randn(length, mask_id + 1, length, mask_id + 1, generator=generator, dtype=torch.float64)

    def first_carry(self, rows: int) -> tuple[()]:
        return ()

    def __call__(self, ask: Ask, features: Tensor) -> Reading:
        said = self.table[torch.arange(len(self.table)), ask.tokens].sum(1)
        return Reading(ask, said, said[..., 0].sigmoid(), ())


def rows_of(script: Tensor, gold: Tensor) -> Rows:
    """The rows of a script, all but position 0 editable. gold: [N, L]."""
    tokens = script[:, 0].clone()
    editable = torch.ones_like(tokens, dtype=torch.bool)
    editable[:, 0] = False
    features = torch.zeros(*tokens.shape, 0, dtype=torch.int64)
    return Rows(torch.arange(len(tokens)) * 7919 + 13, tokens, editable, features, gold)
