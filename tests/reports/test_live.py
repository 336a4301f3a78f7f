"""What a person in a terminal sees of a canvas."""

from io import StringIO
from itertools import pairwise

import pytest
from rich.console import Console

from dlmreason.reports.live import Board, Step, Tally, canvas, cell, screen

MASK = 4  # symbols 1 2 3 4 are tokens 0 .. 3
SQUARE = Board(tuple("1234"), (True, *[False] * 15), (None, *[2] * 15), 0, 4, 4, 2, 2)
EMPTY = [0, *[MASK] * 15]


def step(tokens: list[int], before: list[int] = EMPTY, quality: list[int] | None = None) -> Step:
    return Step(3, before, tokens, quality, None)


def with_(place: int, token: int, tokens: list[int] = EMPTY) -> list[int]:
    return [*tokens[:place], token, *tokens[place + 1 :]]


@pytest.mark.parametrize(
    ("before", "now", "mark", "style"),
    [
        (EMPTY, EMPTY, "·", "dim"),
        (EMPTY, with_(5, 2), "3", "reverse dodger_blue1"),
        (with_(5, 2), with_(5, 2), "3", "dodger_blue1"),
        (with_(5, 2), with_(5, 1), "2", "reverse orange3 underline"),
        (with_(5, 1), EMPTY, "▒", "bold orange3"),
    ],
)
def test_each_thing_that_happens_looks_its_own_way(before: list[int], now: list[int], mark: str, style: str) -> None:
    assert cell(step(now, before), SQUARE, 5) == (mark, style)
    assert cell(step(now, before), SQUARE, 0) == ("1", "bold")


def test_marks_tell_things_apart_without_colour() -> None:
    """A token is right or wrong by an underline, taken back or not written by its mark."""
    wrong = cell(step(with_(5, 1), with_(5, 1)), SQUARE, 5)
    right = cell(step(with_(5, 2), with_(5, 2)), SQUARE, 5)
    assert "underline" in wrong[1] and "underline" not in right[1]
    assert cell(step(EMPTY, with_(5, 1)), SQUARE, 5)[0] != cell(step(EMPTY), SQUARE, 5)[0]


def test_nothing_is_right_or_wrong_where_nobody_knows() -> None:
    unknown = SQUARE._replace(gold=(None,) * 16)
    assert cell(step(with_(5, 1), with_(5, 1)), unknown, 5) == ("2", "")


def test_the_judge_dims_what_it_doubts() -> None:
    tokens = with_(6, 2, with_(5, 2))
    judged = step(tokens, tokens, [100] * 5 + [49, 50] + [100] * 9)
    assert [cell(judged, SQUARE, place)[1] for place in (5, 6)] == ["dodger_blue1 dim", "dodger_blue1"]


def test_a_board_lies_in_its_boxes() -> None:
    assert canvas(step(with_(5, 2)), SQUARE).plain == "1 ·   · · \n· 3   · · \n\n· ·   · · \n· ·   · · "
    line = SQUARE._replace(rows=1, columns=16, box_rows=1, box_columns=16)
    assert canvas(step(with_(5, 2)), line).plain == "1 · · · · 3 " + "· " * 10
    assert canvas(step(EMPTY), SQUARE._replace(first=1, rows=1, columns=3, box_columns=3)).plain == "· · · "


def test_a_tally_counts_changes_of_mind_alone() -> None:
    tally = Tally()
    story = [EMPTY, with_(5, 1), EMPTY, with_(5, 2), with_(5, 3), with_(5, 3)]
    for before, now in pairwise(story):
        tally = tally.after(step(now, before), SQUARE)
    assert tally == Tally(doubted=1, changed=1)  # written twice, which is no change


def test_the_screen_tells_how_far_it_is() -> None:
    console = Console(file=StringIO(), width=100)
    console.print(screen(step(EMPTY)._replace(score=-0.25), Tally(7, 2), SQUARE, "a title", 12, 4.5))
    said = console.file.getvalue()  # type: ignore[attr-defined]
    for part in ("a title", "3 of 12 passes", "4/s, 2 s left at most", "taken back 7", "best quality -0.250"):
        assert part in said
    assert said.count("━") == 10 and said.count("╌") == 30


def test_symbols_are_text_and_no_markup() -> None:
    odd = Board(("[bold]", "[/]"), (False, False), (None, None), 0, 1, 2, 1, 2)
    console = Console(file=StringIO(), width=100)
    console.print(screen(Step(1, [2, 2], [0, 1], None, None), Tally(), odd, "t", 2, 0.0))
    assert "[bold] [/]" in console.file.getvalue()  # type: ignore[attr-defined]
