"""Table and figure of `parallel_tokens`: in which order and in how many passes answers were written, task by task.

This file decides rows, columns and panels. It takes writings and knows no run.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from dlmreason.across.drawing import Across, Panel, Series, panels
from dlmreason.analysis import words
from dlmreason.analysis.order import Order, Share, autoregressive, orders, profile
from dlmreason.analysis.writings import FILE, Writing, unpack
from dlmreason.reports.tables import grid

PARTS = 8
HEAD = [
    "arm", "passes", "made", "tokens a pass", "left first, %", "same pass, %", "right first, %", "left - right, points",
    "both ends, %", "both right, %", "end together, %", "answers right, %",
]  # fmt: skip
ABOUT = (
    "Of every two tokens of an answer, which was written first; of answers, in how many some pass wrote a token of the "
    "first quarter and one of the last, in how many two right ones, and in how many one pass wrote the last token of "
    "either. 95 % intervals: of left - right by drawing puzzles again, else Wilson's, counting puzzles and not seeds."
)


def read(folder: Path) -> list[Writing]:
    """The writings of a part of the claim. Raises: OSError, ValueError."""
    return unpack(folder / FILE)


def markdown(found: Mapping[str, Sequence[Writing]]) -> str:
    """found: by task."""
    parts = [ABOUT]
    for task, writings in found.items():
        seeds = len({each.seed for each in writings})
        puzzles = len({each.example for each in writings})
        rows = list(_rows(writings))
        parts += [f"**{task}**, {puzzles:,} problems, {seeds} seed{'' if seeds == 1 else 's'}", grid(HEAD, rows)]
    return "\n\n".join(parts) + "\n"


def _rows(writings: Sequence[Writing]) -> Iterator[list[str]]:
    for each in orders(autoregressive(writings)):
        yield [*_row(each)[:9], "", "", ""]
    for each in orders(writings):
        yield _row(each)


def _row(order: Order) -> list[str]:
    return [
        order.arm, f"{order.rung:,}", words.number(order.passes), f"{order.per_pass:.2f}",
        *(f"{100 * share:.1f}" for share in (order.left, order.same, order.right)),
        f"{100 * order.lean.value:+.1f} [{100 * order.lean.low:+.1f}, {100 * order.lean.high:+.1f}]",
        *(_percent(share) for share in (order.together, order.both_right, order.finished, order.answers)),
    ]  # fmt: skip


def _percent(share: Share) -> str:
    return f"{100 * share.value:.1f} {words.percent_interval(share.low, share.high)}"


def draw(found: Mapping[str, Sequence[Writing]], path: Path) -> Path:
    """A panel a task: when a token was written, by its place in the answer, each arm at its highest budget."""
    place = Across("place in the answer, from its start to its end", shown="{:.0%}".format)
    shown = [Panel(task, list(_series(writings))) for task, writings in found.items()]
    return panels(shown, path, place, "share of the passes made when it was written")


def _series(writings: Sequence[Writing]) -> Iterator[Series]:
    shortest = min(len(each.commit) for each in writings)
    parts = min(PARTS, shortest)
    x = [(part + 0.5) / parts for part in range(parts)]
    yield Series("autoregressive", x, profile(autoregressive(writings), parts), dashed=True)
    for arm in dict.fromkeys(each.arm for each in writings):
        own = [each for each in writings if each.arm == arm]
        top = max(each.rung for each in own)
        yield Series(arm, x, profile([each for each in own if each.rung == top], parts))
