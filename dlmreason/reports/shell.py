"""One HTML file that opens from disk with no network: style, script and data inside, and a policy against all others.

This file decides how a page is put together and what it may do. Whoever fills it has escaped what it says; what the
scripts draw stands as JSON that cannot end its element. It knows nothing of runs.
"""

import base64
import hashlib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from importlib import resources
from pathlib import Path
from typing import Any

from dlmreason import disk

SCRIPTS = ("chart.js", "export.js", "replay.js", "chains.js", "player.js", "panels.js", "page.js")


def filled(
    title: str,
    about: str,
    head: Iterable[str],
    sections: Iterable[str],
    foot: str,
    data: Mapping[str, Any] | None = None,
    scripts: Sequence[str] = SCRIPTS,
    pictures: bool = False,
) -> str:
    """The page as text.

    title, about: plain.  head, sections, foot: HTML.  data: what the scripts draw; without it there are none.
    pictures: whether it may show images that stand inside it.
    """
    script = "".join(_file(name) for name in scripts) if data is not None else ""
    style = _file("page.css")
    rules = [f"script-src '{_hash(script)}'"] if script else []
    rules += [f"style-src '{_hash(style)}'", *(["img-src data:"] if pictures else [])]
    embedded = f'<script type="application/json" id="data">{_embedded(data)}</script>\n<script>{script}</script>'
    parts = {
        "title": escape(title),
        "about": escape(about),
        "head": "\n".join(each for each in head if each),
        "sections": "\n".join(sections),
        "foot": foot,
        "style": style,
        "policy": "; ".join(["default-src 'none'", *rules, "base-uri 'none'", "form-action 'none'"]),
        "scripts": embedded if script else "",
    }
    # One walk over the template: what is put in is never searched for places again.
    return re.sub(r"\{\{(\w+)\}\}", lambda place: parts[place[1]], _file("page.html"))


def write(path: Path, text: str) -> None:
    """Puts a page in its place. Half a character, as a model may write one, is shown as a question mark."""
    disk.write(path, text.encode("utf-8", "replace"))


def _file(name: str) -> str:
    return resources.files("dlmreason.reports").joinpath(name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _embedded(content: Any) -> str:
    """JSON that may stand inside a script element: nothing in it can end the element or open another."""
    text = json.dumps(content, separators=(",", ":"), allow_nan=False)
    return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")
