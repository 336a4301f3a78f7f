"""The pages over several runs and over all claims in a real browser, held to what the page of one run is held to."""

import re
from collections import Counter
from pathlib import Path

import pytest

from dlmreason.reports import claims, side_by_side
from tests.reports.browser import WIDTHS, Visitor, violations
from tests.reports.payloads import PAYLOADS, harmless, poisoned

pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]


@pytest.fixture(scope="module", params=["runs", "claims"])
def path(request: pytest.FixtureRequest, run_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    to = tmp_path_factory.mktemp(request.param) / "page.html"
    if request.param == "claims":
        return claims.write(Path(__file__).parents[2] / "experiments", to)
    empty = to.parent / "empty"
    empty.mkdir()
    return side_by_side.write([run_folder, empty], to)


@pytest.mark.slow
@pytest.mark.parametrize("width", WIDTHS)
def test_the_rules_of_axe_hold_and_nothing_overflows(visit: Visitor, path: Path, width: int) -> None:
    with visit(path, width, "dark") as it:
        it.probe("unfold")
        assert violations(it) == [] and it.probe("overflow") == []


@pytest.mark.slow
def test_the_controls_of_runs_side_by_side_work(visit: Visitor, run_folder: Path, tmp_path: Path) -> None:
    with visit(side_by_side.write([run_folder, run_folder], tmp_path / "page.html")) as it:
        assert it.probe("idle") == []


@pytest.mark.slow
def test_payloads_add_no_element_and_run_nothing_side_by_side(visit: Visitor, tmp_path: Path) -> None:
    tags = []
    for name, texts in (("words", harmless(PAYLOADS)), ("payloads", PAYLOADS)):
        found = side_by_side.write([poisoned(tmp_path / name, texts)], tmp_path / f"{name}.html")
        found.write_text(re.sub(r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", found.read_text()))
        with visit(found) as it:
            it.probe("everything")
            tags.append(Counter(it.probe("tags")))
            assert it.probe("handlers") == []
    assert tags[0] == tags[1]
