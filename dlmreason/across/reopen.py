"""Table and figure of planted errors: which policies take them back, and what they do to the right tokens beside them.

This file decides rows, columns and panels. It takes records and knows no run.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path

from dlmreason.across.drawing import Across, Panel, Series, panels
from dlmreason.across.work import read as read
from dlmreason.analysis import words
from dlmreason.analysis.comparison import Table
from dlmreason.analysis.planted import Fate, Share, fates
from dlmreason.reports.tables import grid

HEAD = ["arm", "passes", "made", "planted errors taken back, %", "drafts harmed, %", "right, %"]
ABOUT = (
    "An arm begins with a draft, the known answer of the first block, with an error planted in it or without, or with "
    "nothing. A draft is harmed where a token of it that was right is wrong in the answer. Wilson 95 % intervals over "
    "problems and seeds."
)


def markdown(found: Mapping[str, Table]) -> str:
    """found: by task."""
    parts = [ABOUT]
    for task, records in found.items():
        told = fates(records)
        most = max(each.n for each in told)
        seeds = {seed for cell in records.cells.values() for _, seed in cell}
        parts += [
            f"**{task}**: {most:,} answers, {len(seeds)} seed{'' if len(seeds) == 1 else 's'}",
            grid(HEAD, [_row(each) for each in told]),
        ]
    return "\n\n".join(parts) + "\n"


def _row(each: Fate) -> list[str]:
    passes = words.number(each.passes)
    return [each.at.arm, f"{each.at.rung:,}", passes, *map(percent, (each.taken_back, each.harmed, each.right))]


def percent(share: Share | None) -> str:
    """With its interval; a dash for none."""
    return "-" if share is None else f"{100 * share.value:.1f} {words.percent_interval(share.low, share.high)}"


def draw(found: Mapping[str, Table], path: Path) -> Path:
    """Two panels a task: planted errors taken back, and right answers, by the passes of the budget."""
    shown = []
    for task, records in found.items():
        told = fates(records)
        shown += [
            Panel(f"{task}: planted errors taken back", list(_series(told, "taken_back"))),
            Panel(f"{task}: answers right", list(_series(told, "right"))),
        ]
    return panels(shown, path, Across("passes"), "share")


def _series(told: list[Fate], what: str) -> Iterator[Series]:
    for arm in dict.fromkeys(each.at.arm for each in told):
        own = [(each.at.rung, getattr(each, what)) for each in told if each.at.arm == arm]
        own = [(rung, share) for rung, share in own if share is not None]
        if own:
            yield Series(
                arm, [rung for rung, _ in own], [share.value for _, share in own],
                [(share.low, share.high) for _, share in own],
            )  # fmt: skip
