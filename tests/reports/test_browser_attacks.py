"""Whatever a task, a model, a run or a config says is shown as text; the judge is the browser."""

import re
from collections import Counter
from pathlib import Path

import pytest

from dlmreason.reports import page
from tests.reports.browser import Visitor
from tests.reports.payloads import PAYLOADS, harmless, poisoned

pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]

RULE = re.compile(r'<meta http-equiv="Content-Security-Policy"[^>]*>')


GUARDED = [pytest.param(True, id="as it is"), pytest.param(False, id="without its policy", marks=pytest.mark.slow)]


@pytest.mark.parametrize("guarded", GUARDED)
def test_sixty_payloads_everywhere_add_no_element_and_run_nothing(
    visit: Visitor, tmp_path: Path, guarded: bool
) -> None:
    assert len(PAYLOADS) >= 60
    pages = {}
    for name, texts in (("words", harmless(PAYLOADS)), ("payloads", PAYLOADS)):
        pages[name] = page.write(poisoned(tmp_path / name, texts))
        if not guarded:
            pages[name].write_text(RULE.sub("", pages[name].read_text()))
    with visit(pages["words"]) as it:
        it.probe("everything")
        expected = Counter(it.probe("tags"))
    with visit(pages["payloads"]) as it:
        it.probe("everything")
        assert Counter(it.probe("tags")) == expected and it.probe("handlers") == []
        assert it.page.locator("b", has_text="<img src=x onerror=alert(1)>").count() >= 1, "it is shown, as text"


def test_the_judge_would_see_a_script_run_and_an_element_come(visit: Visitor, tmp_path: Path) -> None:
    path = page.write(poisoned(tmp_path / "run", ["word"]))
    path.write_text(RULE.sub("", path.read_text()).replace("</main>", f"{PAYLOADS[6]}</main>"))
    with pytest.raises(AssertionError, match=r"dialog: 1"):
        with visit(path) as it:
            it.page.wait_for_timeout(200)
            assert it.probe("handlers") == ["IMG src", "IMG onerror"]
