"""Sections and tables as HTML that needs no script.

This file decides how they are marked up: headings that name their section, tables that scroll by themselves and can be
reached with the keyboard. There are no style attributes, which a page's content policy would drop.
"""

from collections.abc import Sequence
from html import escape

NONE = "\u2013"
"""Stands where there is no number."""


def section(name: str, title: str, note: str, body: str, fill: str = "") -> str:
    """title, note: plain.  body: HTML.  fill: what a script draws above it."""
    place = f'<div data-fill="{fill}"></div>' if fill else ""
    note = f'<p class="note">{escape(note)}</p>' if note else ""
    return f'<section aria-labelledby="{name}"><h2 id="{name}">{escape(title)}</h2>{note}{place}{body}</section>'


def fold(title: str, body: str) -> str:
    """body, HTML, behind a title that unfolds it."""
    return f"<details><summary>{escape(title)}</summary>{body}</details>"


def table(header: Sequence[str], rows: Sequence[Sequence[str]], label: str, left: Sequence[int] = ()) -> str:
    """A table of cells that are HTML already; a cell that starts with `<td` stands for itself.

    Columns that hold nothing but NONE are left out. label: what it is, and the name of no heading.
    """
    kept = [i for i in range(len(header)) if not i or not rows or any(row[i] != NONE for row in rows)]
    head = "".join(f'<th scope="col"{_left(i, left)}>{escape(header[i])}</th>' for i in kept)
    body = "".join(
        f'<tr><th scope="row">{row[0]}</th>' + "".join(_cell(row[i], i, left) for i in kept[1:]) + "</tr>"
        for row in rows
    )
    return (
        f'<div class="scroll" tabindex="0" role="region" aria-label="{escape(label)}">'
        f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def _cell(cell: str, column: int, left: Sequence[int]) -> str:
    return cell if cell.startswith("<td") else f"<td{_left(column, left)}>{cell}</td>"


def _left(column: int, left: Sequence[int]) -> str:
    return ' class="left"' if column in left else ""
