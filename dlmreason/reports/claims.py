"""The page of all claims: what they answer together, and what each asked, what it foretold, what came out.

This file decides how the table of claims and a claim's own text are read: a row of a Markdown table names a claim and
links to its text, whose parts begin with what they are, `**Question.** ...`. It adds nothing to what they say, and
a claim whose text is missing is named.
"""

import base64
import os
import re
from collections.abc import Iterator, Sequence
from html import escape
from pathlib import Path
from typing import NamedTuple

from dlmreason.reports import sections, shell
from dlmreason.reports.markup import fold, section, table
from dlmreason.reports.speeds import SPEEDS

PARTS = ("Question", "Prediction", "Verdict", "What stands out", "What would change our mind")
"""Of a claim's text what stands on the page; the result is in its figures and tables."""
DATA = (".jsonl", ".jsonl.gz", ".parquet", ".csv")
"""How what is counted or measured is kept."""

FOOT = "One file, no network. Each claim's own text has its result, its cost and how to run it."


class Claim(NamedTuple):
    """A row of the table of claims, and what its text says."""

    name: str
    recipe: str
    place: Path  # of its text, which may be missing
    verdict: str
    parts: dict[str, str]


class NoClaims(ValueError):
    """There is no table of claims where one was looked for."""


def read(folder: Path) -> list[Claim]:
    """The claims of a folder, in the order of the table in its README.md. Raises: NoClaims, OSError."""
    rows = re.findall(
        r"^\| *([\w.-]+) *\|(.*)\| *\[[^\]]*\]\(([^)\s]+)\) *\|(.*)\|\s*$", _text(folder / "README.md"), re.M
    )
    if not rows:
        raise NoClaims(f"{folder / 'README.md'}: holds no row `| name | recipe | [text](place) | verdict |`")
    return [_claim(folder, *row) for row in rows]


def answer(folder: Path) -> list[str]:
    """What all claims together say: the paragraphs of the folder's README.md between its title and its table.

    Raises: OSError.
    """
    found = []
    for paragraph in re.split(r"\n\s*\n", _text(folder / "README.md")):
        if paragraph.startswith("|"):
            break
        if not paragraph.startswith("#"):
            found.append(paragraph.strip())
    return found


def _claim(folder: Path, name: str, recipe: str, place: str, verdict: str) -> Claim:
    path = folder / place
    text = _text(path) if path.is_file() else ""
    found: dict[str, str] = {}
    part = ""
    for paragraph in re.split(r"\n\s*\n", text):
        if told := re.match(r"\*\*([^*]+?)\.?\*\*\s*(.*)", paragraph, re.S):
            part, found[told[1]] = told[1], told[2].strip()
        elif part and not paragraph.startswith(("#", "|", "!", "    ")):
            found[part] += f"\n\n{paragraph.strip()}"
    return Claim(name, recipe.strip(), path, verdict.strip(), {part: found[part] for part in PARTS if part in found})


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8", errors="replace")


def write(folder: Path, to: Path) -> Path:
    """Writes the page of a folder of claims and returns its path. Raises: NoClaims, OSError."""
    found = read(folder)
    missing = [f"{claim.name}: {claim.place} is not there" for claim in found if not claim.place.is_file()]
    head = [sections.problems(missing)]
    rows = [
        [f'<a href="#{_anchor(claim)}">{escape(claim.name)}</a>', f'<td class="left wide">{inline(claim.verdict)}</td>']
        for claim in found
    ]
    index = section("all", "Verdicts", "", table(["claim", "verdict"], rows, "All claims", left=(1,)))
    about = f"dlmreason · {len(found)} claims"
    said = "".join(f"<p>{inline(paragraph)}</p>" for paragraph in answer(folder))
    opening = [section("answer", "The answer so far", "", said)] if said else []
    shown = [*opening, index, *(_section(claim, to) for claim in found)]
    shell.write(to, shell.filled("Claims", about, head, shown, FOOT, pictures=True))
    return to


def _section(claim: Claim, page: Path) -> str:
    parts = [("Recipe", claim.recipe), *claim.parts.items()]
    said = "".join(f"<dt>{escape(name)}</dt><dd>{inline(text)}</dd>" for name, text in parts)
    return section(_anchor(claim), claim.name, "", f'<dl class="run">{said}</dl>{"".join(_kept(claim, page))}')


def _kept(claim: Claim, page: Path) -> Iterator[str]:
    """Its figures, links to its tables and pages, and what the others are called that lie beside its text."""
    folder = claim.place.parent
    files = sorted(path for path in folder.rglob("*") if path.is_file()) if claim.place.is_file() else []
    for path in (each for each in files if each.suffix == ".svg"):
        name = " ".join(path.relative_to(folder).with_suffix("").parts)
        label = name.removesuffix("figure").strip(" _")
        drawn = "How many times as fast" if (path.parent / SPEEDS).exists() else "Accuracy against FLOPs"
        kind = drawn if name.endswith("figure") else "Figure"
        title = f"{kind}: {label}" if label else kind
        picture = base64.b64encode(path.read_bytes()).decode()
        alt = escape(f"{claim.name}: {title}", quote=True)
        yield fold(title, f'<img class="kept" alt="{alt}" src="data:image/svg+xml;base64,{picture}">')
    tables = [path for path in files if path.suffix == ".md" and path != claim.place]
    links = [claim.place, *tables, *(path for path in files if path.suffix == ".html")] if files else []
    if links:
        named = (f'<a href="{escape(_from(page, path), quote=True)}">{_name(path, folder)}</a>' for path in links)
        yield f'<p class="note">{" · ".join(named)}</p>'
    if data := [path for path in files if path.name.endswith(DATA)]:
        yield f'<p class="note">Kept beside it: {", ".join(_name(path, folder) for path in data)}.</p>'


def _name(path: Path, folder: Path) -> str:
    return escape(path.relative_to(folder).as_posix())


def _from(page: Path, path: Path) -> str:
    """A path as a link of a page has it."""
    return Path(os.path.relpath(path.resolve(), page.resolve().parent)).as_posix()


def _anchor(claim: Claim) -> str:
    return f"claim-{claim.name}"


def inline(text: str) -> str:
    """A paragraph of Markdown as HTML: code, strong words and lists as lines; a link is its text."""
    plain = re.sub(r"!?\[([^\]]*)\]\([^)\s]*\)", r"\1", text)
    parts: Sequence[str] = re.split(r"`([^`]+)`", plain)
    return "".join(f"<code>{escape(part)}</code>" if i % 2 else _strong(part) for i, part in enumerate(parts))


def _strong(text: str) -> str:
    return (
        re.sub(r"\*\*([^*]+)\*\*", r"<strong>\1</strong>", escape(text))
        .replace("\n\n", "<br>")
        .replace("\n* ", "<br>• ")
    )
