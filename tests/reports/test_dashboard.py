"""A dashboard shows what its specification says, in W&B's own objects and in a file of ours. No key, no network."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from dlmreason.analysis.records import Trace, read
from dlmreason.reports import local, series
from dlmreason.reports.dashboard import CURVES, Panel, panels, sections_of, unseen
from dlmreason.reports.shown import shown_of
from dlmreason.reports.workspace import workspace
from tests.reports.browser import SCHEMES, WIDTHS, violations

GIVEN = yaml.safe_load(Path(__file__).parents[2].joinpath("conf/dashboard.yaml").read_text())["sections"]
SPEC = sections_of(GIVEN)


@pytest.fixture(scope="session")
def logged(build_run, tmp_path_factory):
    """A made-up run with two trainings."""
    folder = build_run(tmp_path_factory.mktemp("logged") / "run", puzzles=20)
    (folder / "metrics").mkdir()
    for model in ("diffusion", "answer"):
        lines = [{"step": i, "update": i, "loss": 3 / i, "lr": 0.1, "seconds": 0.1 * i} for i in range(1, 900)]
        (folder / "metrics" / f"{model}.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    (folder / "config.yaml").write_text("models: {diffusion: {}, answer: {}}\n")
    return folder


def built():
    pytest.importorskip("wandb_workspaces", reason="pip install -e '.[dashboards]' to build W&B's workspaces")
    return workspace(SPEC, "someone", "dlmreason", "It")


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # their own, at import
def test_the_workspace_is_built_and_read_back_offline(monkeypatch):
    """W&B's own model of the view, as it would be uploaded and as it is read back, holds every panel of ours."""
    monkeypatch.setattr("socket.socket.connect", lambda *_: pytest.fail("reached for the network"))
    view = built()
    model = view._to_model()
    assert json.loads(model.model_dump_json(by_alias=True))["spec"]["section"]["panelBankConfig"]["sections"]
    back = type(view)._from_model(model)
    assert [each.name for each in back.sections] == [each.name for each in SPEC]
    for section, theirs in zip(SPEC, back.sections, strict=True):
        assert len(theirs.panels) == len(section.panels)
        for panel, drawn in zip(section.panels, theirs.panels, strict=True):
            if panel.kind in CURVES:
                assert (drawn.title, drawn.metric_regex) == (panel.title, panel.pattern)
                assert getattr(drawn.x, "name", drawn.x) == panel.along and bool(drawn.log_y) == panel.log
            else:
                asked = getattr(drawn, "table_name", None) or [
                    getattr(key, "name", key) for key in getattr(drawn, "media_keys", [])
                ]
                assert asked in (panel.names[0], list(panel.names))


def test_a_panel_finds_its_own_names_and_no_others():
    """One slash is a training's name, two are an arm's: a model called as an arm's metric confuses nobody."""
    loss = Panel("loss", "training", ("loss", "lr"), "update")
    assert loss.finds("thought/loss") and loss.finds("answers/lr") and not loss.finds("thought/held_out_loss")
    assert not loss.finds("answers/thought/loss") and not loss.finds("loss")
    share = Panel("right", "answers", ("accuracy",), "flops")
    assert share.finds("answers/change_of_mind.last/accuracy") and not share.finds("answer/accuracy")
    assert Panel("t", "table", ("changed_minds",)).finds("changed_minds")


def test_no_name_is_shown_twice_along_one_axis():
    seen = [(panel.kind, name, panel.along) for panel in panels(SPEC) for name in panel.names]
    assert len(seen) == len(set(seen))


@pytest.mark.parametrize(
    ("panel", "said"),
    [
        ({"title": "", "training": ["loss"]}, "no title"),
        ({"title": "x", "training": ["loss"], "mind": ["alive"]}, "exactly one of training, answers, mind"),
        ({"title": "x", "lines": ["loss"]}, "'x': has lines, title"),
        ({"title": "x", "training": ["a/b"]}, "different names of letters"),
        ({"title": "x", "training": []}, "different names of letters"),
        ({"title": "x", "mind": ["alive", "alive"]}, "different names of letters"),
        ({"title": "x", "training": ["loss"], "along": "flops"}, "along=flops: training is drawn along update"),
        ({"title": "x", "table": "t", "log": True}, "a table is one name, and has neither"),
    ],
)
def test_what_is_no_panel_is_refused(panel, said):
    with pytest.raises(ValueError, match=re.escape(said)):
        sections_of([{"name": "s", "panels": [panel]}])


def test_sections_need_panels():
    for given in ([], [{"name": "s", "panels": []}]):
        with pytest.raises(ValueError, match="each with a panel"):
            sections_of(given)


def data_of(text: str):
    return json.loads(re.search(r'id="data">(.*?)</script>', text, re.S)[1])["sections"]


def test_the_file_draws_what_the_run_logged(logged):
    text = local.write(logged, SPEC).read_text()
    drawn = [panel for section in data_of(text) for panel in section]
    curves = {(panel["along"], curve["name"]): curve["points"] for panel in drawn for curve in panel.get("curves", ())}
    shown = shown_of(logged)
    names = series.names_of(shown.rows)
    assert {name for _, name in curves} == set(names)
    labels = {panel["title"]: [curve["label"] for curve in panel.get("curves", ())] for panel in drawn}
    assert all(len(set(each)) == len(each) for each in labels.values())
    assert labels["Learning rate"] == ["answer", "diffusion"] and "confidence low" in labels["95 % intervals"]
    loss = curves["update", "diffusion/loss"]
    assert loss[0] == [1, 3.0] and 200 < len(loss) < 600
    right = curves["flops", "answers/confidence/accuracy"]
    points = shown.summary["arms"]["confidence"]["points"]
    assert sorted(right) == sorted([point["flops"], point["accuracy"]] for point in points)
    tables = {panel["title"]: panel for panel in drawn if "rows" in panel}
    assert tables["Changed minds"]["rows"] == series.changed_minds(
        read(logged / "traces.jsonl", Trace).items
    ).rows and len(tables) == len(shown.tables)
    assert not any("file" in panel for panel in drawn)
    (logged / "report.html").write_text("")
    again = data_of(local.write(logged, SPEC).read_text())
    assert [panel["file"] for section in again for panel in section if "file" in panel] == ["report.html"]


def test_the_file_is_one_and_reaches_for_nothing(logged):
    text = local.write(logged, SPEC).read_text()
    assert "http://" not in text.replace("http://www.w3.org/", "") and "https://" not in text
    assert "default-src 'none'" in text and " src=" not in text and "<link" not in text
    style = (Path(local.__file__).parent / "page.css").read_text()
    chart = (Path(local.__file__).parent / "chart.js").read_text()
    assert style in text and chart in text  # the report's own, not a copy


def test_what_is_logged_and_in_no_panel_is_named(logged, build_run, tmp_path):
    assert "in no panel" not in local.render(shown_of(logged), SPEC)
    folder = tmp_path / "run"
    (folder / "metrics").mkdir(parents=True)
    (folder / "metrics" / "m.jsonl").write_text('{"update": 1, "loss": 1.0, "my_<b>own": 2.0, "seconds": 1}\n')
    shown = shown_of(folder)
    assert unseen(SPEC, series.names_of(shown.rows)) == ["m/my_<b>own"]
    text = local.render(shown, SPEC)
    assert "in no panel" in text and "m/my_&lt;b&gt;own" in text and "<b>own" not in text


def test_an_empty_folder_has_a_dashboard(tmp_path):
    assert "Nothing is logged yet" in local.write(tmp_path, SPEC).read_text()


def test_no_text_becomes_an_element(tmp_path, build_run):
    folder = build_run(tmp_path / "run", puzzles=3)
    attack = "</script><script>alert(1)</script>"
    (folder / "run.json").write_text(json.dumps({"name": attack}))
    text = local.write(folder, SPEC).read_text()
    assert attack not in text and "alert(1)" in text


@pytest.mark.browser
@pytest.mark.timeout(600)
def test_in_a_browser_panels_are_drawn_without_a_complaint(logged, visit):
    data = data_of(local.write(logged, SPEC).read_text())
    with visit(logged / "dashboard.html") as it:
        assert len(it.all(".chart svg")) == sum("curves" in panel for section in data for panel in section) > 10
        assert len(it.all("table")) == sum("rows" in panel for section in data for panel in section)


@pytest.mark.browser
@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("scheme", SCHEMES)
def test_in_a_browser_the_rules_of_axe_hold_and_nothing_overflows(logged, visit, width, scheme):
    with visit(local.write(logged, SPEC), width, scheme) as it:
        assert violations(it) == [] and it.probe("overflow") == []


@pytest.mark.browser
@pytest.mark.timeout(600)
def test_in_a_browser_tables_are_searched(logged, visit):
    rows = series.changed_minds(read(logged / "traces.jsonl", Trace).items).rows
    right = [row for row in rows if row[8] == "set right"]
    assert 0 < len(right) < len(rows)
    with visit(local.write(logged, SPEC)) as it:
        table = it.all("table")[-1]
        panel = table.evaluate_handle("table => table.closest('div').parentElement").as_element()
        boxes = table.query_selector_all("input")
        assert all(box.get_attribute("aria-label") for box in boxes)
        assert panel.query_selector(".note").inner_text().startswith(f"{len(rows)} of {len(rows)} rows")
        boxes[8].fill("SET right")
        assert panel.query_selector(".note").inner_text().startswith(f"{len(right)} of {len(rows)} rows")
        kept = [row.query_selector_all("td")[8].inner_text() for row in table.query_selector_all("tbody tr")]
        assert set(kept) == {"set right"}


def test_nothing_of_wandb_is_imported_to_draw_a_file():
    program = "import sys, dlmreason.reports.local, dlmreason.reports.workspace; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert {"wandb", "wandb_workspaces", "torch", "plotly"} & set(done.stdout.split()) == set()
