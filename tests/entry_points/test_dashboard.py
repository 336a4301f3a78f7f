"""The dashboard's specification names every metric that is logged, of any objective, and none that is not."""

from collections.abc import Iterator
from dataclasses import replace
from math import log
from pathlib import Path

import pytest
import torch

from dlmreason import dashboard, launch
from dlmreason.analysis.records import Record, read
from dlmreason.analysis.summary import summary
from dlmreason.diffusion.objectives import Staged
from dlmreason.networks.transformer import Transformer
from dlmreason.reports import series
from dlmreason.reports.dashboard import CURVES, panels, sections_of
from dlmreason.reports.series import Rates, Work
from dlmreason.reports.shown import shown_of
from dlmreason.train import sheets_of
from dlmreason.training.validation import HeldOut
from tests import test_conf as conf
from tests.entry_points.tiny import copy

SPEC = sections_of(conf.read("dashboard")["sections"])
AUTOREGRESSIVE = ("next_token", "next_token_plain", "next_token_judged")


def start(*argv: str) -> int:
    return launch.run(dashboard.main, "dashboard", rules=dashboard.RULES, argv=argv)


def named(kind: str) -> set[str]:
    return {name for panel in panels(SPEC) if panel.kind == kind for name in panel.names}


@pytest.fixture(scope="module")
def of_objectives() -> set[str]:
    """What is logged of held-out examples, and so of those in training, under every objective of conf/objective."""
    options = conf.TREE.options("objective")
    choices = [f"objective@models.{name}.objective={name}" for name in options]
    models = [f"+model@models.{name}={'answer' if name in AUTOREGRESSIVE else 'diffusion'}" for name in options]
    updates = [f"models.{name}.{key}" for name in options for key in ("updates=4", "match=null")]
    settings = conf.composed(*models, *choices, *updates, *conf.SMALL)
    task = conf.assembly.task_of(settings)
    found: set[str] = set()
    for model in conf.assembly.models_of(settings, task).values():
        torch.manual_seed(0)
        network, sheets = Transformer(model.shape), sheets_of(model, task, "validation")
        staged = model.objective if isinstance(model.objective, Staged) else Staged([(1.0, model.objective)])
        for update in range(model.updates):
            with torch.no_grad():
                found |= HeldOut(staged.at(update, model.updates), sheets)(network, update).keys()
    found -= {"held_out_state_auroc"}
    return found | {name.removeprefix("held_out_") for name in found}


def of_run(folder: Path) -> Iterator[str]:
    """`<kind>/<metric>` of everything that a real run logged."""
    for name in series.names_of(shown_of(folder).rows):
        kind = next((kind for kind in ("answers", "mind") if name.startswith(f"{kind}/")), "training")
        yield f"{kind}/{name.rpartition('/')[2]}"


def test_what_a_run_logs_has_a_panel(finished: Path) -> None:
    logged = set(of_run(finished))
    assert len(logged) > 30 and logged <= {f"{kind}/{metric}" for kind in CURVES for metric in named(kind)}


@pytest.mark.slow
def test_every_metric_has_a_panel_and_every_panel_a_metric(of_objectives: set[str], finished: Path) -> None:
    logged = {f"training/{metric}" for metric in of_objectives} | set(of_run(finished))
    rates = Rates({"it": Work(1, 1.0, 1.0)})("it", {"update": 1.0, "loss": 1.0, "seconds": 1.0})
    logged |= {f"training/{metric}" for metric in rates.keys() - {"update"}}
    # What five puzzles may not show: an area needs right and wrong ones, and a share something that was changed.
    logged |= {f"mind/{metric}" for metric in ("state_auroc", *series.MIND)} | {"training/held_out_state_auroc"}
    assert logged == {f"{kind}/{metric}" for kind in CURVES for metric in named(kind)}


def test_what_few_puzzles_do_not_show_is_logged_where_it_is_there(finished: Path) -> None:
    found = read(finished / "records.jsonl", Record).items
    told = [
        replace(each, correct=number % 3 == 0, score=log(0.5 + number % 7 / 20), events=each.events | {"lateral": 1})
        for number, each in enumerate(found)
        if each.arm == "change_of_mind"
    ]
    rows = series.mind(summary(told))
    assert {name.rpartition("/")[2] for row in rows for name in row.values} >= {"state_auroc", *series.MIND}


def test_every_table_figure_and_page_has_a_panel(finished: Path) -> None:
    assert named("table") == {table.name for table in shown_of(finished).tables}


def test_the_entry_point_draws_a_run(finished: Path, tmp_path: Path) -> None:
    folder = copy(finished, tmp_path / "run")
    assert start("name=tiny", f"output={folder}") == 0
    assert "accuracy" in (folder / "dashboard.html").read_text()
    assert start("name=tiny", f"output={tmp_path / 'nothing'}") == 2


def test_without_a_key_one_sentence_says_how_to_get_one(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("WANDB_API_KEY", raising=False)
    assert start() == 2
    said = capsys.readouterr().err.strip()
    assert "\n" not in said and "https://wandb.ai/authorize" in said and "WANDB_API_KEY" in said


def test_a_wrong_panel_is_refused_before_anything(capsys: pytest.CaptureFixture[str]) -> None:
    assert start("sections=[{name: a, panels: [{title: x, training: [loss], along: flops}]}]") == 2
    assert "training is drawn along update" in capsys.readouterr().err
