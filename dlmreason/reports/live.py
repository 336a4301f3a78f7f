"""A canvas as a person in a terminal sees it, pass by pass: what is given, waits, was written, was taken back.

This file decides marks and styles; they tell things apart without colour too. It knows no network and no clock. Shape
letters: L positions.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from rich.panel import Panel
    from rich.text import Text

GIVEN, BLANK, WRITTEN, CHANGED, DOUBTED = "bold", "dim", "", "reverse", "bold orange3"
RIGHT, WRONG = "dodger_blue1", "orange3 underline"
UNSURE = 50  # percent of quality below which a token is dimmed

LEGEND = "bold given   · not written   reversed just written or changed   ▒ just taken back   dim doubted by the judge"
KNOWN = "blue right   orange, underlined wrong"


class Board(NamedTuple):
    """What stays the same over all passes of a puzzle."""

    symbols: tuple[str, ...]  # of each token; the mask is none of them
    given: tuple[bool, ...]  # [L]
    gold: tuple[int | None, ...]  # [L], the known answer; None where nobody knows it
    first: int  # positions from here on lie in `rows` x `columns`, those before are not shown
    rows: int
    columns: int
    box_rows: int
    box_columns: int


class Step(NamedTuple):
    """A canvas after a pass, and the one before it."""

    passes: int
    before: Sequence[int]  # [L] tokens
    tokens: Sequence[int]
    quality: Sequence[int] | None  # [L] percent, of a full canvas
    score: float | None  # of the best canvas so far


class Tally(NamedTuple):
    """What has happened up to a step."""

    doubted: int = 0  # tokens taken back
    changed: int = 0  # tokens that are others than before

    def after(self, step: Step, board: Board) -> "Tally":
        mask = len(board.symbols)
        pairs = list(zip(step.before, step.tokens, strict=True))
        doubted = sum(was != mask and now == mask for was, now in pairs)
        changed = sum(was != now and mask not in (was, now) for was, now in pairs)
        return Tally(self.doubted + doubted, self.changed + changed)


def cell(step: Step, board: Board, place: int) -> tuple[str, str]:
    """The mark of a position, and its style."""
    was, now, mask = step.before[place], step.tokens[place], len(board.symbols)
    if now == mask:
        return ("▒", DOUBTED) if was != mask else ("·", BLANK)
    symbol = board.symbols[now]
    if board.given[place]:
        return symbol, GIVEN
    styles = [CHANGED if was != now else WRITTEN]
    if board.gold[place] is not None:
        styles.append(RIGHT if now == board.gold[place] else WRONG)
    if step.quality is not None and step.quality[place] < UNSURE:
        styles.append("dim")
    return symbol, " ".join(each for each in styles if each)


def canvas(step: Step, board: Board) -> "Text":
    """The canvas with its boxes apart; a board of one row is written on, and folds where the terminal ends."""
    from rich.text import Text

    text, wide = Text(), max((len(symbol) for symbol in board.symbols), default=1)
    places = range(board.first, min(len(step.tokens), board.first + board.rows * board.columns))
    for number, place in enumerate(places):
        row, column = divmod(number, board.columns)
        if board.rows > 1 and number:
            if column == 0:
                text.append("\n\n" if row % board.box_rows == 0 else "\n")
            elif column % board.box_columns == 0:
                text.append("  ")
        mark, style = cell(step, board, place)
        text.append(mark.rjust(wide) if board.rows > 1 else mark, style)
        text.append(" ")
    return text


def screen(step: Step, tally: Tally, board: Board, title: str, most: int, rate: float) -> "Panel":
    """The whole picture. most: passes of the budget.  rate: passes a second."""
    from rich.console import Group
    from rich.panel import Panel
    from rich.text import Text

    left = (most - step.passes) / rate if rate else 0.0
    share = min(1.0, step.passes / most)
    bar = "━" * round(40 * share) + "╌" * (40 - round(40 * share))
    pace = f"{rate:,.0f}/s, {left:,.0f} s left at most" if rate else ""
    judged = "" if step.score is None else f"   best quality {step.score:.3f}"
    lines = [
        canvas(step, board),
        Text(f"\n{bar}  {step.passes:,} of {most:,} passes   {pace}"),
        Text(f"taken back {tally.doubted:,}   changed in place {tally.changed:,}{judged}"),
        Text(LEGEND + (f"   {KNOWN}" if any(each is not None for each in board.gold) else ""), style="dim"),
    ]
    return Panel(Group(*lines), title=title, expand=False)
