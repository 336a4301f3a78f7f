"""What the page hands over as files: the numbers of its tables and figures, made in the browser."""

import csv
import io
import json
from pathlib import Path
from xml.etree.ElementTree import fromstring

import pytest

from dlmreason.reports import page, tables
from tests.reports.browser import Visit, Visitor
from tests.reports.payloads import poisoned

pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]


def saved(visit: Visit, scope: str, name: str) -> str:
    with visit.page.expect_download() as download:
        visit.page.locator(scope).get_by_role("button", name=name, exact=True).first.click()
    return Path(download.value.path()).read_bytes().decode()


def test_figures_and_tables_come_as_files_with_their_numbers(visit: Visitor, run_folder: Path) -> None:
    summary = json.loads((run_folder / "summary.json").read_text())
    with visit(page.write(run_folder)) as it:
        it.page.locator("[data-fill=accuracy] details.data summary").click()
        rows = list(csv.DictReader(io.StringIO(saved(it, "[data-fill=accuracy]", "Data as CSV"))))
        shown = it.page.locator("[data-fill=accuracy] details.data tbody tr").count()
        picture = fromstring(saved(it, "[data-fill=accuracy]", "Figure as SVG"))
        assert saved(it, "[data-fill=accuracy]", "Markdown") == tables.markdown(summary)
        assert saved(it, "[data-fill=accuracy]", "LaTeX") == tables.latex(summary)
        winners = list(csv.reader(io.StringIO(saved(it, "main", "Winners and who ties with them as CSV"))))
    points = {
        (arm, point["accuracy"], str(point["n"])) for arm in summary["arms"] for point in summary["arms"][arm]["points"]
    }
    assert len(rows) == shown and {(row["curve"], float(row["share right"]), row["n"]) for row in rows} == points
    lines = [each for each in picture.iter() if each.tag.endswith("polyline")]
    assert len(lines) == len(summary["arms"]) and all(each.attrib["stroke"].startswith("rgb(") for each in lines)
    assert [row[1] for row in winners[1:]] == [each["arm"] for each in summary["winners"]]


def test_no_cell_is_a_formula_to_a_spreadsheet(visit: Visitor, tmp_path: Path) -> None:
    formula = '=HYPERLINK("https://attacker.example/";"go")'
    path = page.write(poisoned(tmp_path / "run", [formula, "-1", "@SUM(1)"]))
    with visit(path) as it:
        it.probe("unfold")
        rows = list(csv.reader(io.StringIO(saved(it, "[data-fill=accuracy]", "Data as CSV"))))
    named = {row[0] for row in rows[1:]}
    assert {f"'{formula}", "-1", "'@SUM(1)"} <= named and not any(
        cell[:1] in "=@" for row in rows for cell in row if cell
    )
