"""The page in a real browser: opens from disk without asking for anything, is read and worked without a mouse, and fits
its window. The fixture `visit` holds every test here to a silent console and to no request but the file itself.
"""

from pathlib import Path

import pytest

from dlmreason.reports import page
from tests.reports.browser import SCHEMES, WIDTHS, Visitor, violations

pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def path(run_folder: Path) -> Path:
    return page.write(run_folder)


VIEWS = [
    pytest.param(width, scheme, marks=() if (width, scheme) == (390, "dark") else pytest.mark.slow)
    for width in WIDTHS
    for scheme in SCHEMES
]


@pytest.mark.parametrize(("width", "scheme"), VIEWS)
def test_the_rules_of_axe_hold_and_nothing_overflows(visit: Visitor, path: Path, width: int, scheme: str) -> None:
    with visit(path, width, scheme) as it:
        it.probe("unfold")
        it.page.evaluate("window.scrollTo(0, 0)")
        assert violations(it) == [] and it.probe("overflow") == []
        assert it.page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth") <= 0


@pytest.mark.slow
def test_the_rules_and_the_measure_of_overflow_would_find_a_fault(visit: Visitor, path: Path) -> None:
    with visit(path) as it:
        it.page.evaluate(
            """() => { const bad = document.createElement('button'); bad.className = 'bad'; bad.style.width = '3000px';
            document.querySelector('footer').append(bad); }"""
        )
        assert any(each.startswith("button-name") for each in violations(it)) and "BUTTON.bad" in it.probe("overflow")


def test_the_keyboard_alone_reaches_everything_and_shows_where_it_is(visit: Visitor, path: Path) -> None:
    with visit(path) as it:
        it.probe("unfold")
        wanted, reached = set(it.probe("reachable")), set()
        for _ in range(len(wanted) + 5):
            it.page.keyboard.press("Tab")
            number, seen = it.probe("focused")
            assert seen or not number, f"focus on {number} cannot be seen"
            reached.add(number)
        assert wanted - reached == set() and len(wanted) > 20


@pytest.mark.slow
def test_every_control_changes_what_is_shown_or_gives_a_file(visit: Visitor, path: Path) -> None:
    with visit(path) as it:
        assert it.probe("idle") == []
        it.page.evaluate("document.querySelector('footer').append(html('button', {}, 'idle'))")
        assert "idle" in it.probe("idle"), "a control without effect would be found"


def test_a_curve_answers_to_the_pointer_and_to_the_arrow_keys(visit: Visitor, path: Path) -> None:
    with visit(path) as it:
        figure = it.page.locator("[data-fill=accuracy] .chart svg").first
        figure.press("ArrowRight")
        assert "n = 60" in it.page.locator("#tip").inner_text()
        it.page.keyboard.press("Escape")
        assert it.page.locator("#tip").is_hidden()
        figure.scroll_into_view_if_needed()
        box = figure.bounding_box()
        it.page.mouse.move(box["x"] + box["width"] / 3, box["y"] + box["height"] / 2)
        assert "n = 60" in it.page.locator("#tip").text_content()


def test_hidden_arms_leave_the_figure_and_each_axis_has_its_own(visit: Visitor, path: Path) -> None:
    with visit(path) as it:
        lines = "document.querySelectorAll('[data-fill=accuracy] .chart polyline').length"
        before = it.page.evaluate(lines)
        it.page.locator(".chip").first.click()
        assert it.page.evaluate(lines) == before - 1
        texts = set()
        for label in it.page.locator("input[name=axis] + span").all():
            label.click()
            texts.add(it.page.locator("[data-fill=accuracy] .chart svg").first.text_content())
        assert len(texts) == it.page.locator("input[name=axis]").count() >= 4


def test_without_scripts_the_numbers_are_there(chromium, path: Path, run_folder: Path) -> None:
    context = chromium.new_context(java_script_enabled=False)
    shown = context.new_page()
    shown.goto(path.as_uri())
    assert shown.locator("table").count() >= 4 and "change_of_mind" in shown.locator(".lead").inner_text()
    context.close()
