"""What a row of hundreds of thousands of passes did, in memory that no number of passes changes.

This file decides what is counted position by position and row by row, and the words for how a row ended. It attaches
to the sampler as a part of a row's state, so that it stops, waits and goes on with it. Passes are dated as in a trace,
by the number made; 0 is the start. Passes that a row sleeps through change nothing, and are counted from the dates of
those beside them. It knows no task and no policy.
"""

import math
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor

from dlmreason.canvas import NEVER, Move, Reading
from dlmreason.sampling import curve, cycles
from dlmreason.sampling import distinct as canvases
from dlmreason.sampling.events import KINDS, kinds_of
from dlmreason.sampling.state import State

COUNTED = ("doubted", "restored", "flipped", "wrong_to_right", "right_to_wrong")
"""The events that are counted position by position, see `events.KINDS`."""

STAYED, WANDERED, NEVER_SETTLED = "settled and stayed", "settled and wandered", "never settled"

MOST_KEPT = 2**16
"""Numbers of a row's last reading, positions x columns, beyond which `row_counters` leaves the residual out."""

_OF_KINDS = [KINDS.index(kind) for kind in COUNTED]


class Life(NamedTuple):
    """What is kept of rows. A committed token is the last one written at a position, whether or not it is taken
    back."""

    events: Tensor  # [B, L, len(COUNTED)] int64
    commit: Tensor  # [B, L] int64, the pass that last changed the committed token; -1: nothing was ever written
    ever_right: Tensor  # [B, L] bool, whether the committed token has ever been the gold answer's
    settled: Tensor  # [B] int64, the pass by which the row had first settled; -1: it had not, at its last change
    left: Tensor  # [B] int64, passes that changed a committed token after that
    seen: canvases.Sketch
    ring: cycles.Ring
    curve: curve.Curve
    said: Tensor | tuple[()]  # [B, L, V] float64, chances of the last reading, NaN before it; () where not kept


@dataclass(frozen=True)
class RowCounters:
    """Counts as `Sampler.counters`.

    mask_id: of the canvases.  still: a row has *settled* by the first pass at which all its editable positions have
    been written and no committed token has changed for so many passes.  columns: tokens that the denoiser tells of, for
    the residual between readings, which costs positions x columns numbers a row; 0 leaves it out.

    Raises: ValueError for numbers out of range.
    """

    mask_id: int
    still: int = 32
    columns: int = 0

    def __post_init__(self) -> None:
        if self.still < 1:
            raise ValueError(f"still={self.still}: a row has settled after 1 pass without a change, or more")
        if self.columns < 0:
            raise ValueError(
                f"columns={self.columns}: give the tokens that the denoiser tells of, or 0 for no residual"
            )

    def init(self, start: State) -> Life:
        editable, tokens = start.rows.editable, start.tokens
        written = editable & (tokens != self.mask_id)
        first, nothing = canvases.word(tokens), torch.full_like(start.index, -1)
        size = (*tokens.shape, self.columns)
        return Life(
            events=torch.zeros(*tokens.shape, len(COUNTED), dtype=torch.int64, device=tokens.device),
            commit=torch.where(written, 0, torch.full_like(tokens, -1)),
            ever_right=written & (tokens == start.rows.gold),
            settled=nothing,
            left=torch.zeros_like(nothing),
            seen=canvases.opened(first),
            ring=cycles.opened(first),
            curve=curve.opened(nothing),
            said=torch.full(size, torch.nan, dtype=torch.float64, device=tokens.device) if self.columns else (),
        )

    def __call__(self, before: State, reading: Reading, move: Move, after: State) -> Life:
        life: Life = before.life
        rows, passes = before.rows, before.index + 1
        happened = kinds_of(before.tokens, after.tokens, before.committed, rows.gold, self.mask_id)
        kinds = torch.stack([happened[place] for place in _OF_KINDS], -1) & rows.editable[..., None]
        recommitted = rows.editable & (after.committed != before.committed)
        settled = self._settled(before, passes - 1)
        word = canvases.word(after.tokens)
        said = curve.chances(reading, self.mask_id)
        last = life.said if isinstance(life.said, Tensor) else None
        point = curve.said_of(reading, move, rows.editable, said, last)
        return Life(
            events=life.events + kinds,
            commit=torch.where(recommitted, passes[:, None], life.commit),
            ever_right=life.ever_right | (recommitted & (after.committed == rows.gold)),
            settled=settled,
            left=life.left + ((settled >= 0) & recommitted.any(-1)),
            seen=canvases.seen(life.seen, word),
            ring=cycles.turned(life.ring, word, (after.tokens != before.tokens).any(-1), passes),
            curve=curve.noted(life.curve, passes, point),
            said=() if last is None else said,
        )

    def _settled(self, state: State, passes: Tensor) -> Tensor:
        """[B] int64: `Life.settled` if nothing had changed any more up to `passes` [B]."""
        life: Life = state.life
        full = (~state.rows.editable | (state.committed != self.mask_id)).all(-1)
        by = life.commit.amax(-1).clamp(min=0) + self.still
        return torch.where((life.settled < 0) & full & (by <= passes), by, life.settled)

    def told(self, state: State, passes: int) -> dict[str, Any]:
        """The counters of one row, as they are after `passes` passes, at which it has finished.

        positions: the editable ones; the lists beside it are of these.  distinct: canvases seen, the start's and those
        with blanks among them; distinct_exact: False for an estimate.  stood_since: the pass that last changed the
        canvas, which has stood for the rest of the budget.  fixed: it never will change again, whatever the budget, for
        the policy has said that it reads no more; known of no other row.  period: of a cycle that the row is in, see
        `cycles`, None for none; 1: its canvas stays.  settled: the pass by which it had settled, None if never; a fixed
        row settles with its last change, if not before.  left: passes that changed a committed token after it had
        settled.  ended: one of STAYED, WANDERED, NEVER_SETTLED.  curve: {"pass", and `curve.SAID`}, lists.
        """
        life: Life = state.life
        at, end = state.rows.editable[0].nonzero()[:, 0], torch.full_like(state.index, passes)
        fixed = bool(state.index >= NEVER // 2)
        settled, left, changed = int(self._settled(state, end)), int(life.left), int(life.ring.changed)
        if fixed:
            settled = changed if settled < 0 else min(settled, changed)
        count, exact = canvases.distinct(life.seen)
        events = life.events[0, at]
        return {
            "positions": at.tolist(),
            **{kind: events[:, place].tolist() for place, kind in enumerate(COUNTED)},
            "commit": life.commit[0, at].tolist(),
            "ever_right": life.ever_right[0, at].tolist(),
            "distinct": int(count),
            "distinct_exact": bool(exact),
            "stood_since": changed,
            "fixed": fixed,
            "period": int(cycles.period(life.ring, end)) or None,
            "settled": settled if settled >= 0 else None,
            "left": left,
            "ended": WANDERED if left else STAYED if settled >= 0 else NEVER_SETTLED,
            "curve": _points(life.curve),
        }


def row_counters(mask_id: int, length: int, columns: int) -> RowCounters:
    """Those of canvases of `length` positions, with the residual where it does not cost too much."""
    return RowCounters(mask_id, columns=columns if length * columns <= MOST_KEPT else 0)


def _points(kept: curve.Curve) -> dict[str, list[Any]]:
    """A row's curve as lists of equal length; None where there is no such number."""
    there = kept.passes[0] > 0
    said = kept.said[0, there]
    columns = {name: said[:, place].tolist() for place, name in enumerate(curve.SAID)}
    return {
        "pass": kept.passes[0, there].tolist(),
        **{name: [value if math.isfinite(value) else None for value in each] for name, each in columns.items()},
    }
