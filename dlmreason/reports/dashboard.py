"""A dashboard's specification, and what of a run each of its panels shows.

This file decides what a panel may be and which logged names belong to it. How a panel looks is decided by
`workspace.py`, in W&B, and by `local.py`, in a file. It knows no run: names are matched, so any number of models and
arms is shown by the same few panels.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dlmreason.reports.series import BUDGET, COSTS, UPDATE

CURVES = {"training": "[^/]+", "answers": "answers/[^/]+", "mind": "mind/[^/]+"}
"""What curves there are, and how the part of their names before the metric looks."""
WHOLE = ("table", "figure", "page")
"""What is shown as it is, by its name."""
ALONG = {"training": (UPDATE,), "answers": (BUDGET, *COSTS), "mind": (BUDGET,)}
"""The axes that a kind of curve may be drawn along, the usual one first."""


@dataclass(frozen=True)
class Panel:
    """Curves of some metrics, or one thing shown whole.

    kind: of CURVES, then `names` are metrics; or of WHOLE, then `names` holds the one name.  along: of ALONG, "" for
    what is shown whole.  log: the vertical axis is logarithmic, where that can be drawn.
    Raises: ValueError.
    """

    title: str
    kind: str
    names: tuple[str, ...]
    along: str = ""
    log: bool = False

    def __post_init__(self) -> None:
        if not self.title:
            raise ValueError("a panel has no title: give it one")
        wrong = [name for name in self.names if not re.fullmatch(r"\w+", name)]
        if wrong or not self.names or len(set(self.names)) < len(self.names):
            raise ValueError(f"panel {self.title!r}: {self.kind}={list(self.names)}: give different names of letters")
        if self.kind in CURVES and self.along not in ALONG[self.kind]:
            raise ValueError(
                f"panel {self.title!r}: along={self.along}: {self.kind} is drawn along {' or '.join(ALONG[self.kind])}"
            )
        if self.kind in WHOLE and (len(self.names) > 1 or self.along or self.log):
            raise ValueError(f"panel {self.title!r}: a {self.kind} is one name, and has neither along nor log")

    @property
    def pattern(self) -> str:
        """A regular expression, in W&B's and Python's syntax, that finds the names of its curves."""
        return f"^{CURVES[self.kind]}/({'|'.join(self.names)})$"

    def finds(self, name: str) -> bool:
        """Whether something logged under `name` is shown here."""
        return bool(re.search(self.pattern, name)) if self.kind in CURVES else name in self.names


@dataclass(frozen=True)
class Section:
    """Panels under one heading."""

    name: str
    panels: tuple[Panel, ...]


def sections_of(given: Sequence[Mapping[str, Any]]) -> list[Section]:
    """The sections that settings describe, `[{name, panels: [{title, <kind>: names, along, log}]}]`.

    Raises: ValueError saying which panel is wrong and what it may be.
    """
    sections = [Section(str(each["name"]), tuple(map(_panel, each["panels"]))) for each in given]
    if not sections or not all(each.panels for each in sections):
        raise ValueError("sections: give one or more, each with a panel")
    return sections


def _panel(given: Mapping[str, Any]) -> Panel:
    title, kinds = given.get("title", ""), [kind for kind in (*CURVES, *WHOLE) if kind in given]
    unknown = given.keys() - {"title", "along", "log", *CURVES, *WHOLE}
    if len(kinds) != 1 or unknown:
        raise ValueError(
            f"panel {title!r}: has {', '.join(sorted(given))}: give a title, exactly one of "
            f"{', '.join((*CURVES, *WHOLE))}, and for curves along and log"
        )
    (kind,) = kinds
    names = tuple(given[kind]) if kind in CURVES else (given[kind],)
    usual = ALONG[kind][0] if kind in CURVES else ""
    return Panel(title, kind, names, given.get("along", usual), given.get("log", False))


def panels(sections: Iterable[Section]) -> Iterator[Panel]:
    """All panels, in their order."""
    return (panel for section in sections for panel in section.panels)


def unseen(sections: Sequence[Section], names: Iterable[str]) -> list[str]:
    """Of what is logged, what no panel shows."""
    shown = list(panels(sections))
    return [name for name in names if not any(panel.finds(name) for panel in shown)]
