"""The page: whole without a network, deaf to scripts in what it shows, and honest about files that it could not read.

What a browser makes of it is tested beside this file, where there is one.
"""

import json
import re
import shutil
import zlib
from html import unescape
from html.parser import HTMLParser
from pathlib import Path

import pytest

from dlmreason.analysis.records import Record, Writer, read
from dlmreason.analysis.summary import summary as summarise
from dlmreason.reports import page, shell
from tests.reports.payloads import PAYLOADS, poisoned


class Elements(HTMLParser):
    """Tags with their attributes, and the text inside scripts."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def named(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


def embedded(text: str) -> dict:
    return json.loads(re.search(r'<script type="application/json" id="data">(.*?)</script>', text, re.S)[1])


@pytest.fixture(scope="module")
def whole(run_folder: Path) -> str:
    return page.write(run_folder).read_text()


def test_it_says_the_verdict_and_shows_everything(whole, run_folder):
    summary = json.loads((run_folder / "summary.json").read_text())
    for title in (
        "Accuracy against compute",
        "Winner at each budget",
        "By difficulty",
        "Changing one",
        "Watch it deliberate",
        "What was run",
    ):
        assert title in whole
    assert summary["sentences"][0] in whole and "0123abc" in whole and "experiment=demo" in whole
    data = embedded(whole)
    assert [arm["name"] for arm in data["arms"]] == list(summary["arms"])
    for arm in data["arms"]:
        for point, known in zip(arm["points"], summary["arms"][arm["name"]]["points"], strict=True):
            assert point == point | known, "what is drawn is what was found, and what it took"
    assert "Not everything could be read" not in whole


def test_same_folder_same_bytes_and_nothing_half_written(run_folder, whole):
    assert page.write(run_folder).read_text() == whole
    assert not list(run_folder.glob("*.part"))


def test_who_was_still_learning_stands_above_the_chart(whole):
    section = whole[whole.index('<h2 id="accuracy">') : whole.index('<h2 id="winners">')]
    said = section.index("Still learning when training ended: change_of_mind (41.0 % right at half")
    assert said < section.index("<details>")


def test_what_is_not_matched_has_no_chart_and_what_was_declared_has_a_table(run_folder, tmp_path):
    records = read(run_folder / "records.jsonl", Record).items
    family = [["confidence@256", "change_of_mind@256"]]
    found = summarise(records, family=family, tolerance=0.02)
    text = page.write(run_folder, tmp_path / "page.html", found).read_text()
    assert 'data-fill="accuracy"' not in text and 'data-fill="mind"' in text
    assert (
        unescape(text[: text.index('id="data"')]).count(found["no_common_axis"]) == 1
        and "confidence at 256 passes spends" in text
    )
    assert "Declared before the run" in text and "change_of_mind@256" in text and "paired, exploratory" in text
    without = page.write(run_folder, tmp_path / "page.html", summarise(records)).read_text()
    assert 'data-fill="accuracy"' in without
    assert "Declared before the run" not in without and "exploratory" not in without


def test_it_reaches_for_nothing(whole):
    assert set(re.findall(r"https?://[^\s\"'<)]+", whole)) == {"http://www.w3.org/2000/svg"}
    elements = Elements(whole)
    assert not any("src" in attributes or "srcset" in attributes for _, attributes in elements.tags)
    assert not any(tag in {"link", "iframe", "object", "embed", "base", "img"} for tag, _ in elements.tags)
    assert not any(str(attributes.get("href", "#")).startswith("#") is False for _, attributes in elements.tags)
    policy = next(each["content"] for each in elements.named("meta") if each.get("http-equiv"))
    assert "default-src 'none'" in policy and "unsafe" not in policy
    assert len(whole) < 400_000


def test_our_scripts_never_parse_text_as_elements():
    folder = Path(page.__file__).parent
    scripts = "".join((folder / name).read_text() for name in shell.SCRIPTS)
    for word in (
        "innerHTML",
        "outerHTML",
        "insertAdjacentHTML",
        "document.write",
        "eval(",
        "new Function",
        "DOMParser",
        "fetch(",
        "XMLHttp",
    ):
        assert word not in scripts


def test_secrets_of_the_config_are_not_shown(whole):
    assert "0123456789abcdef" * 3 not in whole and "(redacted)" in whole


def test_traces_are_named_by_their_rule(whole, run_folder):
    data = embedded(whole)
    records = read(run_folder / "records.jsonl", Record).items
    for trace in data["traces"]:
        ladder = [
            r.correct
            for r in sorted(records, key=lambda r: r.rung)
            if (r.arm, r.example) == (trace["arm"], trace["example"])
        ]
        assert {"set right": ladder[-1], "solved at once": ladder[-1]}.get(trace["name"], not ladder[-1])
    assert len({trace["name"] for trace in data["traces"]}) == len(data["traces"]) > 1


@pytest.mark.parametrize("attack", PAYLOADS)
def test_no_text_becomes_an_element(attack, tmp_path):
    harmless = Elements(page.write(poisoned(tmp_path / "harmless", ["word"])).read_text())
    text = page.write(poisoned(tmp_path / "attack", [attack])).read_text()
    assert [tag for tag, _ in Elements(text).tags] == [tag for tag, _ in harmless.tags]
    data = embedded(text)
    assert data["arms"][0]["name"] == attack and data["traces"][0]["symbols"][0] == attack


def test_torn_foreign_and_missing_files_are_named_and_the_rest_is_shown(run_folder, tmp_path):
    folder = tmp_path / "run"
    shutil.copytree(run_folder, folder)
    with open(folder / "records.jsonl", "ab") as file:
        file.write(b"12345678 {torn")
    (folder / "timings.jsonl").write_bytes(b"00000000 {}\n" * 50)
    (folder / "summary.json").write_text("{")
    (folder / "run.json").unlink()
    text = page.write(folder).read_text()
    assert "records.jsonl:" in text and "torn" in text
    assert "timings.jsonl:1: damaged" in text and "45 more lines" in text
    assert "summary.json: not JSON" in text and "No run.json" in text
    assert "Winner at each budget" in text and len(embedded(text)["arms"]) == 7


@pytest.mark.parametrize("file", ["records.jsonl", "measurements.jsonl", "counters.jsonl", "traces.jsonl"])
def test_a_line_of_another_schema_is_named_and_the_others_are_shown(file, run_folder, tmp_path):
    folder = tmp_path / "run"
    shutil.copytree(run_folder, folder)
    line = json.dumps(json.loads((folder / file).read_text().splitlines()[0][9:]) | {"schema": 99})
    with (folder / file).open("a") as out:
        out.write(f"{zlib.crc32(line.encode()):08x} {line}\n")
    text = page.write(folder).read_text()
    assert f"{file}:" in text and "99" in text[text.index(f"{file}:") :][:200] and "The rest is shown" in text
    assert set(re.findall(r"<h2[^>]*>([^<]*)</h2>", text)) == {
        "Accuracy against compute", "Winner at each budget", "By difficulty", "Changing one&#x27;s mind",
        "When it made up its mind", "Watch it deliberate", "What a score means", "What it cost", "What was run",
    }  # fmt: skip


def test_measured_things_have_their_sections_and_their_axes(whole):
    data = embedded(whole)
    timed = {arm["arm"] for arm in data["arms"] if any("latency" in point for point in arm["points"])}
    assert timed == {"change_of_mind", "change_of_mind.last", "confidence", "ar_thought"}
    assert set(data["calibration"]) == {"ar_thought", "ar_answer"}
    assert set(data["walks"]) == {"change_of_mind", "random_doubt"}
    assert "What training cost" in whole and "2.75 TFLOP" in whole and "Data of each model" in whole


def test_a_summary_of_another_version_is_computed_again(run_folder, tmp_path):
    folder = tmp_path / "run"
    shutil.copytree(run_folder, folder)
    (folder / "summary.json").write_text('{"arms": {}, "verdict": "old"}')
    text = page.write(folder).read_text()
    assert "computed again from the records" in text and "is right most often" in text


def test_records_that_cannot_be_compared_are_said_so(run_folder, tmp_path):
    folder = tmp_path / "run"
    shutil.copytree(run_folder, folder)
    (folder / "summary.json").unlink()
    first = read(folder / "records.jsonl", Record).items[0]
    with Writer(folder / "records.jsonl") as out:
        out.append(Record(**{name: getattr(first, name) for name in Record.__slots__} | {"run_key": "another"}))
    text = page.write(folder).read_text()
    assert "two runs answered" in text and "There is no result yet" in text and "Watch it deliberate" in text


def test_an_empty_folder_has_a_page(tmp_path):
    text = page.write(tmp_path, tmp_path / "page.html").read_text()
    assert "records.jsonl: not there" in text and "There is no result yet" in text


def test_training_curves_are_drawn_where_there_are_any(run_folder, tmp_path):
    folder = tmp_path / "run"
    shutil.copytree(run_folder, folder)
    (folder / "metrics").mkdir()
    (folder / "metrics" / "diffusion.jsonl").write_text(
        "".join(json.dumps({"step": i, "loss": 3 / i}) + "\n" for i in range(1, 2000)) + "junk\n"
    )
    (folder / "metrics" / "other.jsonl").write_text("junk\n[1]\n")
    (model,) = embedded(page.write(folder).read_text())["training"]
    assert model["name"] == "diffusion" and 200 < len(model["points"]) < 400
