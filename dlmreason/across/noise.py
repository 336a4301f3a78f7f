"""Table and figure of `where_is_the_noise`: who finds planted errors, whose chances hold, who takes them back.

This file decides rows, columns and panels. It takes detections, starts and records and knows no run.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from dlmreason.across.drawing import Across, Panel, Series, panels
from dlmreason.analysis.comparison import Table, table
from dlmreason.analysis.detections import FILE, STARTS, Detection, Start, unpack
from dlmreason.analysis.noise import Found, Share, Taken, ahead, found, reliability, taken
from dlmreason.analysis.packed import load, records_in
from dlmreason.reports.tables import grid

ABOUT = (
    "Area: of a wrong and a right token of one text, the chance that the wrong one is more suspect, a tie counting "
    "half. Found: of as many most suspect tokens as are wrong, the share that is wrong. Calibration error (ECE): over "
    "all tokens, ten bins of equal width. 95 % intervals by drawing puzzles again, not corrected for their number."
)
HEAD = ["arm", "passes", "taken back, %", "right tokens harmed, %", "answers right, %"]
OWN = "own"
"""In place of a number: errors that an arm made itself."""


class Part(NamedTuple):
    detections: list[Detection]
    starts: list[Start]
    records: Table


def read(folder: Path) -> Part:
    """What a part of the claim keeps. Raises: RecordsError, OSError, ValueError."""
    path = records_in(folder)
    if path is None:
        raise OSError(f"{folder}: there are no records in it")
    starts = unpack(folder / STARTS, Start) if (folder / STARTS).exists() else []
    return Part(unpack(folder / FILE, Detection), starts, table(load(path).items))


def markdown(found_in: Mapping[str, Part]) -> str:
    """found_in: by task."""
    parts = [ABOUT]
    for task, part in found_in.items():
        told, counts = found(part.detections), _counts(part)
        puzzles = len({each.example for each in part.detections})
        seeds = len({each.seed for each in part.detections})
        parts += [
            f"**{task}**, {puzzles:,} problems, {seeds} seed{'' if seeds == 1 else 's'}. Area, by wrong tokens:",
            grid(["detector", *map(_count, counts)], _rows(told, counts, lambda each: _area(each.area))),
            "Found among as many most suspect tokens, %:",
            grid(["detector", *map(_count, counts)], _rows(told, counts, lambda each: _percent(each.hits))),
            "Calibration error, and the mean chance said, both in %:",
            grid(["detector", *map(_count, counts)], _rows([each for each in told if each.error], counts, _error)),
            "Of the tokens are wrong, %: " + ", ".join(f"{_count(at)} {_wrong(told, at)}" for at in counts) + ".",
            f"Area ahead of {told[0].detector}, paired:",
            grid(["detector", *map(_count, counts)], list(_ahead(part, told, counts))),
        ]
        back = taken(part.records, part.starts)
        if back:
            parts += ["What arms make of them that begin there:", grid(HEAD, [_back(each) for each in back])]
    return "\n\n".join(parts) + "\n"


def _counts(part: Part) -> list[int]:
    """Numbers of planted errors ascending, those of an arm's own last."""
    return sorted({each.planted for each in part.detections}, key=lambda at: (at == 0, at))


def _count(planted: int) -> str:
    return f"{planted}" if planted else OWN


def _rows(told: Sequence[Found], counts: Sequence[int], cell) -> list[list[str]]:  # type: ignore[no-untyped-def]
    by = {(each.detector, each.planted): each for each in told}
    names = dict.fromkeys(each.detector for each in told)
    return [[name, *(cell(by[name, at]) if (name, at) in by else "-" for at in counts)] for name in names]


def _ahead(part: Part, told: Sequence[Found], counts: Sequence[int]) -> Iterator[list[str]]:
    first, *others = dict.fromkeys(each.detector for each in told)
    for name in others:
        gains = [ahead(part.detections, first, name, at) for at in counts]
        yield [name, *map(_gain, gains)]


def _gain(gain: Share | None) -> str:
    return "-" if gain is None else f"{gain.value:+.3f} [{gain.low:+.3f}, {gain.high:+.3f}]"


def _area(share: Share) -> str:
    return f"{share.value:.3f} [{share.low:.3f}, {share.high:.3f}]"


def _percent(share: Share) -> str:
    return f"{100 * share.value:.1f} [{100 * share.low:.1f}, {100 * share.high:.1f}]"


def _error(each: Found) -> str:
    assert each.error is not None and each.said is not None
    return f"{_percent(each.error)}, said {100 * each.said:.1f}"


def _wrong(told: Sequence[Found], planted: int) -> str:
    return f"{100 * next(each.wrong for each in told if each.planted == planted):.1f}"


def _back(each: Taken) -> list[str]:
    return [each.arm, f"{each.rung:,}", _percent(each.back), _percent(each.harmed), _percent(each.right)]


def draw(found_in: Mapping[str, Part], path: Path) -> Path:
    """For each task a panel of areas by wrong tokens, and one of how often a token was wrong by the chance said."""
    shown = []
    for task, part in found_in.items():
        counts = [at for at in _counts(part) if at]
        told = found(part.detections)
        shown += [
            Panel(f"{task}: area by wrong tokens planted", list(_areas(told))),
            Panel(f"{task}: share wrong by the chance said, {max(counts)} planted", list(_reliable(part, max(counts)))),
        ]
    return panels(shown, path, Across("wrong tokens planted; chance said"), "area; share of tokens that are wrong")


def _areas(told: Sequence[Found]) -> Iterator[Series]:
    for name in dict.fromkeys(each.detector for each in told):
        own = [each for each in told if each.detector == name and each.planted]
        areas = [each.area for each in own]
        bounds = [(area.low, area.high) for area in areas]
        yield Series(name, [each.planted for each in own], [area.value for area in areas], bounds)


def _reliable(part: Part, planted: int) -> Iterator[Series]:
    for name in dict.fromkeys(each.detector for each in part.detections):
        bins = reliability(part.detections, name, planted)
        if bins:
            yield Series(name, [each.said for each in bins], [each.wrong for each in bins])
