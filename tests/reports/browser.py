"""A page in a real browser: opened from disk, at a width and in a scheme, with all that it says and asks for noted.

Whatever a test does with a page, these hold when it is closed: nothing was asked of any network, nothing was said on
the console, and no script was refused or failed.
"""

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
WIDTHS = (1280, 390)
SCHEMES = ("light", "dark")
PROBES = Path(__file__).with_name("probes.js").read_text(encoding="utf-8")


def executable() -> str | None:
    return next((path for name in NAMES if (path := shutil.which(name))), None)


@dataclass
class Visit:
    """An open page. told: what the console and the page's errors said.  asked: every address that was asked for."""

    page: Any
    told: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)

    def all(self, selector: str) -> list[Any]:
        return list(self.page.query_selector_all(selector))

    def probe(self, name: str, *arguments: Any) -> Any:
        """What a function of probes.js finds."""
        return self.page.evaluate(f"(given) => {{ {PROBES}; return probes.{name}(...given); }}", list(arguments))


def violations(visit: Visit) -> list[str]:
    """What the rules of axe-core have against the page as it stands."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="no axe-core here: `make setup`")
    response = axe.Axe().run(visit.page).response
    return [
        f"{each['id']}: {node['html'][:120]}: {[check.get('message') for check in node['any']]}"
        for each in response["violations"]
        for node in each["nodes"]
    ]


Visitor = Callable[..., Any]


def visitor(chromium: Any) -> Visitor:
    """`with visit(path, width=390, scheme="dark") as visit:`"""

    @contextmanager
    def visit(path: Path, width: int = 1280, scheme: str = "light", height: int = 900) -> Iterator[Visit]:
        context = chromium.new_context(
            viewport={"width": width, "height": height}, color_scheme=scheme, accept_downloads=True
        )
        context.set_default_timeout(240_000)  # a guard against hanging, not a measure
        page = context.new_page()
        found = Visit(page)
        page.on("console", lambda message: found.told.append(message.text))
        page.on("pageerror", lambda error: found.told.append(str(error)))
        page.on("dialog", lambda dialog: (found.told.append(f"dialog: {dialog.message}"), dialog.dismiss()))
        page.on("request", lambda request: found.asked.append(request.url))
        try:
            page.goto(path.as_uri())
            found.probe("drawn")
            yield found
            assert found.told == [], found.told[:3]
            asked = [each for each in found.asked if not each.startswith("blob:null/")]
            assert asked == [path.as_uri()], asked[:3]
        finally:
            context.close()

    return visit
