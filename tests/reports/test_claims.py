"""The page of claims says what the claims' own texts say, and no more."""

from html import unescape
from pathlib import Path

import pytest

from dlmreason.reports import claims
from tests.reports.payloads import PAYLOADS
from tests.reports.test_page import Elements

ROOT = Path(__file__).parents[2] / "experiments"


def folder_of(tmp_path: Path, text: str = "word") -> Path:
    """A table of two claims, one of which has its text and figure."""
    root = tmp_path / "experiments"
    (root / "one").mkdir(parents=True)
    rows = (
        f"| [one](one/README.md) | {text} | [figure](one/figure.svg) | `make {text}` | an hour |\n"
        "| [two](two/README.md) | open | | r | |\n"
    )
    (root / "README.md").write_text(
        f"# Claims\n\nAll in all: {text}\n\n| claim | verdict | figure | command | cost |\n|---|---|---|---|---|\n"
        + rows
    )
    parts = f"# one\n\n**Question.** Is {text}?\n\nMore.\n\n**Prediction** (before). {text}\n\n**Verdict.** {text}\n"
    (root / "one" / "README.md").write_text(parts, encoding="utf-8", errors="replace")
    (root / "one" / "figure.svg").write_text("<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>")
    return root


def test_every_claim_of_this_repository_has_its_question_and_its_verdicts(tmp_path):
    found = claims.read(ROOT)
    assert len(found) >= 8 and all(claim.place.is_file() for claim in found)
    text = unescape(claims.write(ROOT, tmp_path / "claims.html").read_text())
    said = claims.answer(ROOT)
    assert said and all(unescape(claims.inline(paragraph)) in text for paragraph in said)
    for claim in found:
        assert tuple(claim.parts) == claims.SHOWN, claim.name
        for said in (claim.verdict, claim.command, claim.cost, *claim.parts.values()):
            assert said and unescape(claims.inline(said)) in text, claim.name
    assert "Not everything could be read" not in text and "<script" not in text
    assert text.count("data:image/svg+xml") == len(list(ROOT.rglob("*.svg")))
    for path in [each for each in ROOT.rglob("*") if each.name.endswith(claims.DATA)]:
        assert path.name in text


def test_a_later_section_of_a_text_says_its_parts_under_its_heading(tmp_path):
    root = folder_of(tmp_path)
    later = "## Larger\n\nOn the way.\n\n*Question.* And now?\n\n| a |\n\n*Verdict.* Alike.\n\nStill.\n"
    with (root / "one" / "README.md").open("a") as text:
        text.write(f"\n**What would change our mind.** More.\n\n{later}")
    parts = claims.read(root)[0].parts
    assert parts["Question"] == "Is word?\n\nMore.\n\n**Larger.**\nAnd now?"
    assert parts["Verdict"] == "word\n\n**Larger.**\nAlike.\n\nStill."
    assert parts["What would change our mind"] == "More."


def test_a_claim_of_measurements_alone_shows_its_figure_and_says_what_is_kept(tmp_path):
    root = folder_of(tmp_path)
    (root / "two").mkdir()
    (root / "two" / "README.md").write_text("# two\n\n**Question.** How fast?\n\n**Verdict.** Fast.\n")
    (root / "two" / "latency.svg").write_text("<svg xmlns='http://www.w3.org/2000/svg'/>")
    (root / "two" / "seconds.jsonl").write_text("{}\n")
    text = claims.write(root, tmp_path / "claims.html").read_text()
    assert "How fast?" in text and "<summary>Figure: latency</summary>" in text
    assert "Kept beside it: seconds.jsonl." in text and "Not everything could be read" not in text


def test_the_page_begins_with_what_all_claims_say_together_where_they_do(tmp_path):
    root = folder_of(tmp_path)
    text = claims.write(root, tmp_path / "claims.html").read_text()
    assert text.index("The answer so far") < text.index("All in all: word") < text.index("Verdicts")
    (root / "README.md").write_text((root / "README.md").read_text().replace("All in all: word\n\n", ""))
    assert "The answer so far" not in claims.write(root, tmp_path / "claims.html").read_text()


def test_a_claim_whose_text_is_missing_is_named(tmp_path):
    text = claims.write(folder_of(tmp_path), tmp_path / "claims.html").read_text()
    assert "Not everything could be read" in text and "two: " in text and "two/README.md is not there" in text
    assert "Is word?" in text and 'href="experiments/one/README.md"' in text


def test_a_folder_without_a_table_is_refused(tmp_path):
    (tmp_path / "README.md").write_text("# nothing\n")
    with pytest.raises(claims.NoClaims, match=r"README.md: holds no row"):
        claims.read(tmp_path)


def test_a_row_of_another_shape_is_refused_not_left_out(tmp_path):
    root = folder_of(tmp_path)
    with (root / "README.md").open("a") as table:
        table.write("| three | `make` | [three/](three/README.md) | open |\n")
    with pytest.raises(claims.NoClaims, match=r"`\| three \| .* is no row"):
        claims.read(root)


@pytest.mark.parametrize(
    "attack", [each for each in PAYLOADS if "\n" not in each and "|" not in each and "`" not in each]
)
def test_no_text_becomes_an_element(attack, tmp_path):
    attack = attack.encode("utf-8", "replace").decode()
    (harmless, poisoned) = tmp_path / "harmless", tmp_path / "poisoned"
    pages = [
        claims.write(folder_of(at, text), tmp_path / f"{at.name}.html")
        for at, text in ((harmless, "word"), (poisoned, attack))
    ]
    one, other = ([tag for tag, _ in Elements(each.read_text()).tags] for each in pages)
    assert one == other
