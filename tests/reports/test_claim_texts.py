"""Every claim's text has the same parts, was foretold when it says so, and says what its records say."""

import re
import subprocess
from functools import cache
from pathlib import Path
from textwrap import dedent

import pytest

from dlmreason.analysis import packed, words
from dlmreason.analysis.comparison import At, Table, compare, table
from dlmreason.reports import claims
from dlmreason.reports.speeds import SPEEDS

HERE = Path(__file__).parents[2]
ROOT = HERE / "experiments"
KEPT = ("*records.parquet", "*records.jsonl.gz", f"*{SPEEDS}")
"""What a result is kept in."""
CLAIMS = sorted(path.name for path in ROOT.iterdir() if any(any(path.rglob(name)) for name in KEPT))
"""Those that have results; a claim that is only foretold has no verdict yet."""
NOT_FORETOLD = "None was committed before"


def text_of(claim: str) -> str:
    return (ROOT / claim / "README.md").read_text(encoding="utf-8")


def foretold(text: str) -> list[str]:
    """The commits that the predictions of a text name, in their order."""
    said = [part.text for part in claims.parts(text) if part.name == "Prediction"]
    return [each for part in said for each in re.findall(r"\b(?=[a-f]*\d)[0-9a-f]{7,40}\b", part)]


def git(*arguments: str, at: Path = HERE) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["git", "-C", str(at), *arguments], capture_output=True, text=True, check=False)


@cache
def history() -> str:
    """Why no commit can be looked up here; "" where it can be."""
    try:
        top = git("rev-parse", "--show-toplevel", "--is-shallow-repository")
    except OSError:
        return "git is not installed"
    if top.returncode or Path(top.stdout.split("\n")[0]).resolve() != HERE.resolve():
        return "no git history: an archive of the files"
    return "a shallow clone" if "true" in top.stdout.split() else ""


def brought(claim: str, at: Path = HERE) -> list[str]:
    """The commits that brought or changed what a claim's results are kept in, the oldest first."""
    places = [f":(glob)experiments/{claim}/**/{name}" for name in KEPT]
    return git("log", "--reverse", "--topo-order", "--format=%H", "--", *places, at=at).stdout.split()


def too_late(commits: list[str], results: list[str], at: Path = HERE) -> list[str]:
    """Of the commits of predictions those after which no results were brought; the first foretells the first ones."""

    def before(commit: str, result: str) -> bool:
        other = git("rev-parse", commit, at=at).stdout.strip()
        return other != result and git("merge-base", "--is-ancestor", commit, result, at=at).returncode == 0

    late = [each for each in commits if not any(before(each, result) for result in results)]
    return late or [each for each in commits[:1] if not before(each, results[0])]


def test_every_claim_has_a_row_and_every_row_says_all() -> None:
    rows = claims.read(ROOT)
    assert sorted(row.name for row in rows) == CLAIMS
    for row in rows:
        for column in ("verdict", "figure", "command", "cost"):
            assert getattr(row, column), f"{row.name}: its row has no {column}"
        assert len(row.verdict.split()) <= 60, f"{row.name}: a verdict of a row is a sentence"


@pytest.mark.parametrize("claim", ["", *CLAIMS])
def test_a_text_links_to_what_is_there(claim: str) -> None:
    for place in re.findall(r"\]\(([^)\s#]+)\)", text_of(claim)):
        assert "://" in place or (ROOT / claim / place).exists(), f"{claim}: {place} is not there"


@pytest.mark.parametrize("claim", CLAIMS)
def test_a_text_has_all_parts_in_their_order_and_no_other(claim: str) -> None:
    found = claims.parts(text_of(claim))
    names = [part.name for part in found if not part.section]
    assert names == list(claims.FORM), f"{claim}: missing or twice: {sorted({*claims.FORM} ^ {*names}) or names}"
    led = re.findall(r"^\*\*([^*\n]+?)\.?\*\*", text_of(claim), re.M)
    assert led == names, f"{claim}: no part of the form: {[each for each in led if each not in names]}"
    for section in {part.section for part in found} - {""}:
        later = [part.name for part in found if part.section == section]
        assert later == [name for name in claims.FORM if name in later], f"{claim}, {section}: in another order"


@pytest.mark.parametrize("claim", CLAIMS)
def test_what_could_be_unfair_is_said_of_two_sides_at_least(claim: str) -> None:
    said = next(part.text for part in claims.parts(text_of(claim)) if part.name == "How this could be unfair")
    sides = {side.split(",")[0] for side in re.findall(r"^\* To ([^:]+):", said, re.M)}
    assert len(sides) >= 2, f"{claim}: write `* To <one side>: ...` and `* To <the other>: ...`, not {sides}"


@pytest.mark.parametrize("claim", CLAIMS)
def test_a_prediction_was_committed_before_its_results(claim: str) -> None:
    text = text_of(claim)
    commits = foretold(text)
    assert commits or NOT_FORETOLD in text, f"{claim}: name the commit of its prediction, or say: {NOT_FORETOLD} ..."
    if why := history():
        pytest.skip(why)
    for commit in commits:
        assert git("cat-file", "-e", f"{commit}^{{commit}}").returncode == 0, f"{claim}: {commit} is no commit"
    if commits:
        assert not (late := too_late(commits, brought(claim))), f"{claim}: {late} is not before its results"


def test_a_prediction_after_its_results_is_found(tmp_path: Path) -> None:
    def commit(name: str) -> str:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)
        git("add", ".", at=tmp_path)
        git("-c", "user.name=a", "-c", "user.email=a@b", "commit", "-qm", name, at=tmp_path)
        return git("rev-parse", "--short", "HEAD", at=tmp_path).stdout.strip()

    git("init", "-q", at=tmp_path)
    first, results, second = (commit(name) for name in ("a", "experiments/x/records.parquet", "b"))
    assert brought("x", at=tmp_path) and not brought("y", at=tmp_path)
    assert too_late([second], brought("x", at=tmp_path), tmp_path) == [second]
    assert too_late([results], brought("x", at=tmp_path), tmp_path) == [results]
    commit("experiments/x/more/records.parquet")
    assert too_late([first, second], brought("x", at=tmp_path), tmp_path) == []
    assert too_late([second, first], brought("x", at=tmp_path), tmp_path) == [second]


def records(folder: str) -> Table:
    """The records that a command names."""
    path = HERE / folder
    found = packed.records_in(path) if path.is_dir() else path
    assert found is not None, f"{folder} has no records"
    return table(packed.load(found).items)


def plain(text: str) -> str:
    """Without what differs between a table and a sentence: the word for points, line breaks and leading noughts."""
    return re.sub(r"(?<![\d.])\.(?=\d)", "0.", re.sub(r"\s+", " ", text).replace(" points", ""))


@pytest.mark.slow
@pytest.mark.parametrize("claim", CLAIMS)
def test_what_a_named_comparison_says_stands_in_the_text(claim: str) -> None:
    text = text_of(claim)
    known: dict[str, Table] = {}
    named = re.findall(r"make compare\s+RECORDS=(\S+)\s+FIRST=([\w.@]+)\s+SECOND=([\w.@]+)", text)
    for folder, *pair in named:
        found = known[folder] if folder in known else known.setdefault(folder, records(folder))
        places = [At(arm, int(rung)) for arm, _, rung in (each.partition("@") for each in pair) if rung]
        assert {each.partition("@")[0] for each in pair} <= set(found.arms), f"{claim}: {pair} of {folder}"
        if len(places) == 2:
            assert {*places} <= found.cells.keys(), f"{claim}: {pair} of {folder}"
            difference = compare(found, *places)
            said = words.points_of_gain(difference.gain, difference.low, difference.high)
            gain, interval = plain(said).split(" ", 1)
            assert gain.lstrip("+-") in plain(text) and interval in plain(text), (
                f"{claim}: {pair} of {folder} is {said}"
            )


@pytest.mark.slow
@pytest.mark.parametrize("claim", CLAIMS)
def test_code_in_a_text_prints_what_the_text_says(
    claim: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What stands behind the colon of each line that it prints."""
    monkeypatch.chdir(HERE)
    text = text_of(claim)
    for code in re.findall(r"<<'END'\n(.*?)\n +END\n", text, re.S):
        exec(compile(dedent(code), claim, "exec"), {})
        for line in capsys.readouterr().out.splitlines():
            _, told, number = line.rpartition(": ")
            assert not told or plain(number) in plain(text), f"{claim}: {line} is not said"
