"""Table and figure of `work_per_token`: the best arm of either side by the work for each token of an answer.

This file decides rows, columns and panels. It takes records and knows no run.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from dlmreason import disk
from dlmreason.across.drawing import Across, Panel, Series, panels
from dlmreason.analysis import words
from dlmreason.analysis.comparison import Table, table
from dlmreason.analysis.packed import load, records_in
from dlmreason.analysis.work import (
    AUTOREGRESSIVE,
    DIFFUSION,
    SIDES,
    Best,
    Budget,
    answer_tokens,
    budgets,
    by_level,
    frontier,
    least_work,
    points,
)
from dlmreason.reports.tables import grid

SHARES = (0.5, 0.9, 0.95, 0.99)
HEAD = [
    "budget, passes", "autoregressive", "right, %", "a token of the answer", "diffusion", "right, %",
    "a token of the answer", "diffusion ahead by, points",
]  # fmt: skip
ABOUT = (
    "Of either side the most accurate arm within each budget, picked on the puzzles that it is quoted on, which "
    "flatters the side of more arms more; upper bounds are left out. Work is FLOPs for each token of the answer, "
    "whether it was written or given. Differences are paired, with 95 % intervals, and not corrected."
)


def read(folder: Path) -> Table:
    """The records of a part. Raises: RecordsError, OSError."""
    path = records_in(folder)
    if path is None:
        raise OSError(f"{folder}: there are no records in it")
    return table(load(path).items, disk.object_in(folder / "run.json").get("bounds") or ())


def markdown(found: Mapping[str, Table]) -> str:
    """found: by task."""
    parts = [ABOUT]
    for task, records in found.items():
        tokens = answer_tokens(records)
        least = [[words.percent(share), *map(_least, least_work(records, tokens, share).values())] for share in SHARES]
        levels = [
            [f"{level.low:,}" + f" to {level.high:,}" * (level.high > level.low), f"{level.puzzles:,}", *_row(each)]
            for level, own in by_level(records, tokens)
            for each in _ends(own)
        ]
        count = words.number(tokens)
        parts += [
            f"**{task}**: {count} token{'' if tokens == 1 else 's'} an answer",
            grid(HEAD, [_row(each) for each in budgets(records, tokens)]),
            "Least work for each token at which so many answers are right:",
            grid(["right", *SIDES], least),
        ]
        if len({row[0] for row in levels}) > 1:
            parts += ["By difficulty, at the least budget that buys both sides an answer and at the highest:"]
            parts += [grid(["difficulty", "puzzles", *HEAD], levels)]
    return "\n\n".join(parts) + "\n"


def _ends(own: Sequence[Budget]) -> list[Budget]:
    both = [each for each in own if each.difference is not None]
    return [both[0], both[-1]] if len(both) > 1 else both


def _row(each: Budget) -> list[str]:
    cells = [f"{each.rung:,}"]
    for name in SIDES:
        best = each.sides[name]
        cells += (
            ["-", "-", "-"]
            if best is None
            else [f"{best.at.arm}, {best.at.rung:,}", _right(best), words.flops(best.work)]
        )
    gain = each.difference
    told = "-" if gain is None else words.points_of_gain(gain.gain, gain.low, gain.high).replace(" points", "")
    return [*cells, told]


def _right(best: Best) -> str:
    return f"{100 * best.accuracy:.1f} {words.percent_interval(best.low, best.high)}"


def _least(best: Best | None) -> str:
    return "never" if best is None else f"{words.flops(best.work)} ({best.at.arm}, {best.at.rung:,})"


COLOUR = {AUTOREGRESSIVE: 1, DIFFUSION: 0}


def draw(found: Mapping[str, Table], path: Path) -> Path:
    """A panel a task: of either side what no other arm of it beats for as little work, with intervals."""
    return panels(
        [Panel(task, list(_series(records))) for task, records in found.items()],
        path, Across("FLOPs for each token of the answer", 10, words.flops), "right answers",
    )  # fmt: skip


def _series(records: Table) -> Iterator[Series]:
    tokens = answer_tokens(records)
    for name, own in points(records, tokens).items():
        best = frontier(own)
        if best:  # more work than its best takes leaves a side where it is
            best = [*best, best[-1]._replace(work=max(each.work for each in own))]
        yield Series(
            name, [each.work for each in best], [each.accuracy for each in best],
            [(each.low, each.high) for each in best], colour=COLOUR[name],
        )  # fmt: skip
