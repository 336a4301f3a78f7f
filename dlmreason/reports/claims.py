"""The page of all claims: what they answer together, and what each asked, what it foretold, what came out.

This file decides how the table of claims and a claim's own text are read: a row of a Markdown table names a claim and
links to its text, whose parts begin with what they are, `**Question.** ...`; a later section of the text, under a
heading of its own, has the same parts as `*Question.* ...`. It adds nothing to what they say, and a claim whose text
is missing is named.
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

FORM = (
    "Question",
    "Prediction",
    "Command",
    "Cost",
    "Result",
    "Verdict",
    "How this could be unfair",
    "What would change our mind",
)
"""The parts of a claim's text, all of them, in this order."""
SHOWN = tuple(name for name in FORM if name not in {"Command", "Cost", "Result"})
"""Of a claim's text what stands on the page: its row has command and cost, and the result is in figures and tables."""
DATA = (".jsonl", ".jsonl.gz", ".parquet", ".csv")
"""How what is counted or measured is kept."""

FOOT = "One file, no network. Each claim's own text has its result and all commands."
ROW = re.compile(r"\| *\[([\w.-]+)\]\(([^)\s]+)\) *" + r"\|([^|]*)" * 4 + r"\| *")


class Claim(NamedTuple):
    """A row of the table of claims, and what its text says."""

    name: str
    place: Path  # of its text, which may be missing
    verdict: str
    figure: str  # a link
    command: str
    cost: str
    parts: dict[str, str]  # those that are shown


class Part(NamedTuple):
    """A part of a claim's text."""

    section: str  # its heading; "" before the first
    name: str  # one of FORM
    text: str


class NoClaims(ValueError):
    """There is no table of claims where one was looked for."""


def read(folder: Path) -> list[Claim]:
    """The claims of a folder, in the order of the table in its README.md. Raises: NoClaims, OSError."""
    place, shape = folder / "README.md", "| [name](place) | verdict | figure | command | cost |"
    rows = [line for line in _text(place).split("\n") if re.match(r"\|(?! claim \|)(?![-:| ]+$)", line)]
    if not rows:
        raise NoClaims(f"{place}: holds no row `{shape}`")
    return [_claim(folder, *_cells(row, place, shape)) for row in rows]


def _cells(row: str, place: Path, shape: str) -> tuple[str, ...]:
    if told := ROW.fullmatch(row):
        return tuple(cell.strip() for cell in told.groups())
    raise NoClaims(f"{place}: `{row[:60]}` is no row `{shape}`")


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


def parts(text: str) -> list[Part]:
    """A claim's text by its parts; headings, tables, figures and commands are left out."""
    found: list[Part] = []
    heading, inside = "", False
    for paragraph in re.split(r"\n\s*\n", text):
        if paragraph.startswith("## "):
            heading, inside = paragraph[3:].strip(), False
        elif told := re.match(rf"(\*\*?)({'|'.join(FORM)})\.?\1[.\s]*(.*)", paragraph, re.S):
            found.append(Part(heading, told[2], told[3].strip()))
            inside = True
        elif inside and not paragraph.startswith(("#", "|", "!", "    ")):
            found[-1] = found[-1]._replace(text=f"{found[-1].text}\n\n{paragraph.strip()}")
    return found


def _claim(folder: Path, name: str, place: str, verdict: str, figure: str, command: str, cost: str) -> Claim:
    path = folder / place
    shown: dict[str, str] = {}
    for part in parts(_text(path) if path.is_file() else ""):
        if part.name in SHOWN:
            said = f"**{part.section}.**\n{part.text}" if part.section else part.text
            shown[part.name] = "\n\n".join(filter(None, (shown.get(part.name), said)))
    return Claim(name, path, verdict, figure, command, cost, {each: shown[each] for each in SHOWN if each in shown})


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
    rows = [("Command", claim.command), ("Cost", claim.cost), *claim.parts.items()]
    said = "".join(f"<dt>{escape(name)}</dt><dd>{inline(text)}</dd>" for name, text in rows)
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
    plain = re.sub(r"!?\[([^\]]*)\]\([^)\s]*\)", r"\1", re.sub(r"^\* ", "• ", text))
    parts: Sequence[str] = re.split(r"`([^`]+)`", plain)
    return "".join(f"<code>{escape(part)}</code>" if i % 2 else _strong(part) for i, part in enumerate(parts))


def _strong(text: str) -> str:
    return (
        re.sub(r"\*\*([^*]+)\*\*", r"<strong>\1</strong>", escape(text))
        .replace("\n\n", "<br>")
        .replace("\n* ", "<br>• ")
    )
