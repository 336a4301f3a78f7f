"""Tables and figures over several parts of a claim: made again to the byte, and refused where they cannot be made."""

import re
from dataclasses import replace
from pathlib import Path

import pytest

from dlmreason.across import KINDS
from dlmreason.analysis import detections
from dlmreason.analysis.detections import detection
from dlmreason.analysis.records import Counted, Writer, read
from dlmreason.analysis.writings import FILE, Writing, pack, unpack, writing
from tests.entry_points.test_compare import answers
from tests.entry_points.tiny import ROOT, copy, experiment, start

CLAIMS = {
    "parallel_tokens": "order",
    "fewer_passes": "fewer",
    "work_per_token": "work",
    "any_length/lengths": "length",
    "any_length/reopen": "reopen",
    "does_wait_survive": "waits",
    "where_is_the_noise": "noise",
}
"""Folders of tables and figures, and of which kind they are."""


def parts(claim: str) -> list[str]:
    """The folders that the claim's README says its table is made of."""
    text = (ROOT / "experiments" / claim.partition("/")[0] / "README.md").read_text(encoding="utf-8")
    said = re.search(rf"make across OF={CLAIMS[claim]} FROM='([^']+)' TO=experiments/{claim}\b", text)
    assert said, f"{claim}: its README gives the command of its table"
    return said[1].split()


@pytest.mark.slow
@pytest.mark.parametrize("claim", CLAIMS)
def test_table_and_figure_of_a_claim_are_made_again_to_the_byte(claim: str, tmp_path: Path) -> None:
    folders = ",".join(str(ROOT / part) for part in parts(claim))
    assert start("across", f"of={CLAIMS[claim]}", f"from=[{folders}]", f"to={tmp_path}") == 0
    for name in ("table.md", "figure.svg"):
        assert (tmp_path / name).read_bytes() == (ROOT / "experiments" / claim / name).read_bytes(), name


@pytest.fixture
def part(tmp_path: Path) -> Path:
    """Of two arms, one per side, at two budgets."""
    folder = tmp_path / "toy"
    folder.mkdir()
    with Writer(folder / "records.jsonl") as out:
        for arm in ("confidence", "thought.vote"):
            for rung in (1, 4):
                right = [i < 5 * rung for i in range(40)]
                counted = {"waits": 1, "wrong": 0, "repaired": 1, "hollow": 0}
                told = {"answer": "1 2", "events": counted | ({"chains": 1} if "." in arm else {})}
                out.append_many(replace(each, **told) for each in answers(arm, rung, right))
    made = [Writing("a", str(n), 0, 4, 2, [1, 2, 2, 1], [True] * 4, "k") for n in range(3)]
    pack(made, folder / FILE)
    seen = [
        detection("a", planted, str(n), 0, [0.5, 0.1], [True, False], True, "k") for planted in (1, 0) for n in range(3)
    ]
    detections.pack(seen, folder / detections.FILE)
    return folder


@pytest.mark.parametrize("kind", KINDS)
def test_a_row_for_each_arm_and_a_panel_for_each_part(kind: str, part: Path, tmp_path: Path) -> None:
    assert start("across", f"of={kind}", f"from=[{part}]", f"to={tmp_path / 'out'}") == 0
    table, figure = ((tmp_path / "out" / name).read_text() for name in ("table.md", "figure.svg"))
    assert "**toy**" in table and "<!-- toy" in figure
    first = {"order": "| autoregressive | 4 |", "fewer": "| confidence | 1 |", "work": "| 1 | thought.vote, 1 |"}
    first |= {"length": "| confidence | 1 |", "reopen": "| confidence | 1 |", "waits": "| confidence | 1 |"}
    first |= {"noise": "| a | 1.000 [1.000, 1.000] | 1.000 [1.000, 1.000] |"}
    assert any(line.startswith(first[kind]) for line in table.splitlines()), table


def test_what_is_in_a_table_of_orders(part: Path, tmp_path: Path) -> None:
    assert start("across", "of=order", f"from=[{part}]", f"to={tmp_path / 'out'}") == 0
    row = next(line for line in (tmp_path / "out" / "table.md").read_text().splitlines() if line.startswith("| a |"))
    assert row.startswith("| a | 4 | 2 | 2.00 | 33.3 | 33.3 | 33.3 | +0.0 [+0.0, +0.0] | 100.0 [43.9, 100.0] |")


def test_a_claim_keeps_which_pass_wrote_which_token_and_of_a_run_without_counters_nothing(
    finished: Path, tmp_path: Path
) -> None:
    counted = copy(finished, tmp_path / "counted")
    assert experiment(counted, "budget.counters=true") == 0
    for folder in (finished, counted):
        assert start("claim", f"from=[{folder}]", f"to={tmp_path / 'kept' / folder.name}") == 0
    assert not (tmp_path / "kept" / finished.name / FILE).exists()
    kept = unpack(tmp_path / "kept" / "counted" / FILE)
    lines = read(counted / "counters.jsonl", Counted).items
    assert sorted(map(repr, kept)) == sorted(repr(writing(each)) for each in lines) and kept


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (("of=orders",), "of=orders: must be one of order, fewer, noise, work, length, reopen, waits"),
        (("of=order", "from=[nowhere]"), "nowhere: there is no such folder"),
        (("of=order", "from=[]"), "name the folder of one part or more"),
        (("of=order", "from=[EMPTY]"), "writings.parquet"),
        (("of=fewer", "from=[EMPTY]"), "there are no records in it"),
        (("of=work", "from=[EMPTY]"), "there are no records in it"),
        (("of=noise", "from=[EMPTY]"), "there are no records in it"),
        (("of=fewer",), "from: needs a value"),
    ],
)
def test_what_cannot_be_shown_is_refused(
    argv: tuple[str, ...], words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "empty").mkdir()
    given = [each.replace("EMPTY", str(tmp_path / "empty")) for each in argv]
    more = [] if argv == ("of=fewer",) or any("from=" in each for each in argv) else [f"from=[{tmp_path}]"]
    assert start("across", *given, *more, f"to={tmp_path / 'out'}") == 2
    assert words in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
