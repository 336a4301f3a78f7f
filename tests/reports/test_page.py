"""The page: whole without a network, deaf to scripts in what it shows, and honest about files that it could not read.

The tests that need a browser run where Debian's chromium is installed and say so where it is not.
"""

import json
import re
import shutil
import subprocess
from dataclasses import asdict
from html import unescape
from html.parser import HTMLParser
from pathlib import Path

import pytest

from dlmreason.analysis.records import Record, Trace, Writer, read
from dlmreason.analysis.summary import summary as summarise
from dlmreason.reports import page

CHROMIUM = next(
    (path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name))), None
)
browser = pytest.mark.skipif(
    CHROMIUM is None, reason="no chromium here: `apt-get install chromium` to look at the page in a browser"
)
ATTACKS = [
    "<script>alert(1)</script>",
    "</script><script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "\"'><svg/onload=alert(1)>",
    "<!--<script>",
    "]]>\u2028javascript:alert(1)",
    "{{data}}",
]


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
    assert data["arms"][0]["points"] == summary["arms"][data["arms"][0]["name"]]["points"]
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
    assert unescape(text).count(found["no_common_axis"]) == 1 and "confidence at 256 passes spends" in text
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
    scripts = "".join((folder / name).read_text() for name in page.SCRIPTS)
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


def poisoned(folder: Path, text: str) -> Path:
    """A small run in which every text that comes from outside is `text`."""
    folder.mkdir()
    with Writer(folder / "records.jsonl") as out:
        for arm in (text, text + ".last", "plain"):
            for rung, correct in ((1, False), (2, True)):
                out.append(
                    Record(
                        arm,
                        text,
                        text,
                        text,
                        1,
                        rung,
                        0,
                        text,
                        correct,
                        text,
                        1,
                        1,
                        1,
                        5,
                        {"doubted": 1, "wrong_to_right": 1},
                        text,
                    )
                )
    symbols = [text + str(i) for i in range(10)]
    layout = {"rows": 6, "columns": 6, "box_rows": 2, "box_columns": 3, "first": 0}
    with Writer(folder / "traces.jsonl") as out:
        frame = {"pass": 0, "changes": [[0, 3]], "quality": [50] * 36, "score": -1.0, "masked": 3}
        out.append(
            Trace(
                text,
                text,
                0,
                36,
                layout,
                [False] * 36,
                [9] * 36,
                [0] * 36,
                symbols,
                9,
                [frame],
                [{"pass": 0, "changes": [[0, 3]]}],
            )
        )
    (folder / "run.json").write_text(json.dumps({text: [text, {text: text}], "name": text}))
    (folder / "config.yaml").write_text(text)
    (folder / "metrics").mkdir()
    (folder / "metrics" / "m.jsonl").write_text(json.dumps({"step": 1, "loss": 2.0, text: text}))
    (folder / "timings.jsonl").write_text(text)
    return folder


@pytest.mark.parametrize("attack", ATTACKS)
def test_no_text_becomes_an_element(attack, tmp_path):
    harmless = Elements(page.write(poisoned(tmp_path / "harmless", "word")).read_text())
    text = page.write(poisoned(tmp_path / "attack", attack)).read_text()
    assert [tag for tag, _ in Elements(text).tags] == [tag for tag, _ in harmless.tags]
    data = embedded(text)
    assert data["arms"][0]["name"] == attack and data["traces"][0]["symbols"][0] == attack + "0"


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


def chromium(path: Path, tmp_path: Path, *options: str) -> tuple[str, str]:
    """The page's elements after its scripts ran, and what the console said."""
    command = [
        CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking",
        "--disable-component-update", "--disable-sync", f"--user-data-dir={tmp_path / 'profile'}",
        "--enable-logging=stderr", "--virtual-time-budget=4000", "--dump-dom", *options, path.as_uri(),
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, timeout=280, check=True)
    return done.stdout, "\n".join(line for line in done.stderr.splitlines() if "CONSOLE" in line)


# Charts are drawn in the frame after the layout, so the script waits for it.
DRIVER = """
setTimeout(() => {
  try { %s } catch (error) { found.error = String(error); }
  document.getElementById('found').textContent = JSON.stringify(found);
}, 500);
"""


def drive(folder: Path, tmp_path: Path, script: str) -> dict:
    """What a script finds out on the page. The content policy is taken off for it: it would not let the script in."""
    text = re.sub(
        r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", page.write(folder, tmp_path / "clean.html").read_text()
    )
    path = tmp_path / "driven.html"
    path.write_text(
        text.replace(
            "</body>", f"<pre id='found'></pre><script>{{ const found = {{}}; {DRIVER % script} }}</script></body>"
        )
    )
    dom, console = chromium(path, tmp_path)
    found = json.loads(unescape(re.search(r'<pre id="found">(.*?)</pre>', dom, re.S)[1]))
    assert console == "" and "error" not in found, (console, found)
    return found


@browser
@pytest.mark.parametrize("size", ["1280,2000", "500,2000"])
def test_in_a_browser_charts_and_player_are_drawn_without_a_complaint(size, whole, run_folder, tmp_path):
    dom, console = chromium(run_folder / "report.html", tmp_path, f"--window-size={size}")
    assert console == ""
    assert dom.count("<polyline") >= 7 + 4 and dom.count('class="cell ') == 36 and "Before the first pass" in dom


@browser
def test_in_a_browser_attacks_run_nothing(tmp_path):
    for i, attack in enumerate(ATTACKS[:4]):
        folder = poisoned(tmp_path / str(i), attack.replace("alert(1)", "document.title='pwned'"))
        dom, console = chromium(page.write(folder), tmp_path)
        assert "<title>pwned" not in dom and "onerror" not in re.sub(
            r"&lt;.*?&gt;", "", re.sub(r"<script.*?</script>", "", dom, flags=re.S)
        ).replace("&quot;", "")
        assert 'class="cell ' in dom and console == ""


@browser
def test_in_a_browser_the_player_shows_what_the_trace_says(run_folder, tmp_path):
    """Every pass, forwards, backwards and by jumps, against a replay in Python."""
    (shown, *_) = embedded(page.write(run_folder, tmp_path / "p.html").read_text())["traces"]
    trace = next(
        asdict(each) for each in read(run_folder / "traces.jsonl", Trace).items if each.example == shown["example"]
    )
    canvas, committed = list(trace["start"]), [None if t == trace["mask_id"] else t for t in trace["start"]]
    expected, kinds = ["".join(trace["symbols"][t] if t != trace["mask_id"] else "·" for t in canvas)], [[]]
    for frame in trace["frames"]:
        kind = []
        for position, token in frame["changes"]:
            was, gold = committed[position], trace["gold"][position]
            if token == trace["mask_id"]:
                kind.append("doubted")
            else:
                kind.append(
                    "written"
                    if was is None
                    else "restored"
                    if was == token
                    else "set-right"
                    if token == gold
                    else "set-wrong"
                    if was == gold
                    else "changed"
                )
                committed[position] = token
            canvas[position] = token
        expected.append("".join(trace["symbols"][t] if t != trace["mask_id"] else "·" for t in canvas))
        kinds.append(sorted(kind))
    found = drive(
        run_folder, tmp_path,
        """
        const slider = document.querySelector('input[type=range]'), order = [], seen = {};
        for (let i = 0; i <= Number(slider.max); i++) order.push(i);
        const known = ['written', 'doubted', 'restored', 'set-right', 'set-wrong', 'changed'];
        const shown = (cell) => cell.classList.contains('blank') ? '·' : cell.querySelector('b').textContent;
        for (const i of [...order, ...[...order].reverse(), 5, 1, Number(slider.max), 3]) {
          slider.value = i; slider.dispatchEvent(new Event('input'));
          const cells = [...document.querySelectorAll('.cell')];
          const now = cells.filter((cell) => cell.classList.contains('now'));
          const kinds = now.map((cell) => [...cell.classList].find((name) => known.includes(name))).sort();
          (seen[i] ||= []).push(JSON.stringify([cells.map(shown).join(''), kinds]));
        }
        found.frames = order.map((i) => [...new Set(seen[i])]);
        """,
    )  # fmt: skip
    assert all(len(each) == 1 for each in found["frames"])
    assert [json.loads(each[0]) for each in found["frames"]] == [
        [text, kind] for text, kind in zip(expected, kinds, strict=True)
    ]
    assert {"doubted", "set-right"} <= {kind for each in kinds for kind in each}


@browser
def test_in_a_browser_controls_and_keys_work(run_folder, tmp_path):
    found = drive(
        run_folder, tmp_path,
        """
        const key = (node, key) => node.dispatchEvent(new KeyboardEvent('keydown', { key, bubbles: true }));
        const all = (what) => [...document.querySelectorAll(what)];
        const at = () => Number(document.querySelector('input[type=range]').value);
        const press = (name) => key(document.querySelector('.board'), name);
        const pick = (name, i) => all(`input[name=${name}]`)[i].click();
        press('ArrowRight'); press('ArrowRight'); press('ArrowLeft'); found.step = at();
        press('End'); found.end = at(); press('Home'); found.home = at();
        press('n'); found.turn = at();
        found.turned = all('.now.set-right, .now.set-wrong, .now.changed').length;
        press('n'); found.second = at(); press('p'); found.before = at();
        all('button').find((each) => each.textContent === 'Next change of mind').click(); found.again = at();
        const figure = () => document.querySelector('[data-fill=accuracy] .chart svg');
        const before = figure().textContent; pick('axis', 1); found.axis = before !== figure().textContent;
        const lines = () => figure().querySelectorAll('polyline').length;
        const full = lines(); document.querySelector('.chip').click(); found.hidden = full - lines();
        key(figure(), 'ArrowRight'); found.tip = document.getElementById('tip').textContent;
        pick('trace', 1); found.loaded = at();
        document.querySelector('input[type=checkbox]').click();
        found.numbers = document.querySelector('.board').classList.contains('numbers');
        const label = (node) => node.closest('label')?.textContent.trim();
        const name = (node) => node.getAttribute('aria-label') || node.textContent.trim() || label(node);
        found.nameless = all('button, input, select, [tabindex]').filter((node) => !name(node)).length;
        found.wide = document.documentElement.scrollWidth - document.documentElement.clientWidth;
        """,
    )  # fmt: skip
    assert (found["step"], found["home"], found["loaded"]) == (1, 0, 0) and found["end"] > 5
    assert 0 < found["turn"] == found["before"] < found["second"] == found["again"] and found["turned"] > 0
    assert found["axis"] and found["hidden"] == 1 and "n = 60" in found["tip"] and found["numbers"]
    assert found["nameless"] == 0 and found["wide"] <= 0


@browser
@pytest.mark.slow
def test_in_a_browser_a_hundred_thousand_passes_open(build_run, run_folder, tmp_path):
    trace = read(run_folder / "traces.jsonl", Trace).items[0]
    folder = build_run(tmp_path / "run", puzzles=3)
    (folder / "traces.jsonl").unlink()
    frames = [
        {"pass": i, "changes": [[i % 36, 9 if i % 72 < 36 else i % 6]], "quality": None, "score": None, "masked": 0}
        for i in range(100_000)
    ]
    with Writer(folder / "traces.jsonl") as out:
        out.append(
            Trace(**{name: getattr(trace, name) for name in Trace.__slots__} | {"frames": frames, "answers": []})
        )
    found = drive(
        folder,
        tmp_path,
        """
        const slider = document.querySelector('input[type=range]');
        slider.value = 99999; slider.dispatchEvent(new Event('input'));
        found.status = document.querySelector('.status').textContent; found.ms = performance.now();
        """,
    )
    assert "Pass 99,999" in found["status"] and found["ms"] < 5000 and (tmp_path / "clean.html").stat().st_size < 5e6
