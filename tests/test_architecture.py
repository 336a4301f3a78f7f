"""Laws of the house: who may import whom, how long a file is, what it may be called, and that nothing is tied to one
machine."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
CODE = sorted((ROOT / "dlmreason").rglob("*.py"))
LONGEST = 420
"""Lines in a file of the package: about 400."""

BANNED = {"utils", "util", "helpers", "helper", "misc", "common", "core", "base", "registry"}
PLACE = re.compile(r"(?<![\w.~])/(?:home|root|Users|work|mnt|media|scratch)/[\w.-]+|[A-Z]:\\\\?Users")


def texts() -> list[Path]:
    """Every text of the project that is, or is to be, under version control."""
    listed = subprocess.run(
        ["git", "-C", str(ROOT), "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        capture_output=True,
        text=True,
        check=False,
    ).stdout
    suffixes = {".py", ".md", ".toml", ".yaml", ".json", ".jsonl", ".cff", ".html", ".css", ".js", ".txt", ""}
    return [
        path
        for path in (ROOT / name for name in listed.split("\0") if name)
        if path.suffix in suffixes and path.is_file() and path.name != "LICENSE"
    ]


def test_imports_follow_the_arrows() -> None:
    # In a process of its own: the linter configures logging, and that silences other tests' loggers.
    command = [str(Path(sys.executable).with_name("lint-imports")), "--no-cache", "--no-logo"]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout


@pytest.mark.parametrize("path", CODE, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_file_says_what_it_decides_and_stays_short(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= LONGEST
    assert text == "" or text.lstrip().startswith(('"""', 'r"""')), "a file begins with what it gives or decides"


def test_no_file_has_a_name_that_says_nothing() -> None:
    named = {part for path in CODE for part in path.relative_to(ROOT).with_suffix("").parts}
    assert named & BANNED == set()


def test_nothing_is_tied_to_one_machine() -> None:
    found = [
        f"{path.relative_to(ROOT)}:{number}: {match[0]}"
        for path in texts()
        for number, line in enumerate(path.read_text(encoding="utf-8", errors="replace").splitlines(), 1)
        if (match := PLACE.search(line))
    ]
    assert found == []


def test_the_search_for_machines_would_find_one() -> None:
    assert PLACE.search("open('/ho" + "me/someone/data.csv')")
    assert PLACE.search("cd /wo" + "rk/main")
    assert not PLACE.search("see docs/" + "work/done and https://example.org/home/page")


LIGHT = ["dlmreason", "dlmreason.launch", "dlmreason.tasks", "dlmreason.analysis", "dlmreason.reports"]
HEAVY = {"torch", "lightning", "wandb", "transformers", "datasets", "hydra", "matplotlib", "plotly"}


@pytest.mark.parametrize("module", LIGHT)
def test_light_modules_stay_light(module: str) -> None:
    program = f"import sys, {module}; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=ROOT)
    assert HEAVY & set(done.stdout.split()) == set()


def test_the_heavy_are_named_rightly() -> None:
    program = "import sys, dlmreason.canvas; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=ROOT)
    assert "torch" in done.stdout.split()


EVALUATORS = {"eval", "exec", "compile", "literal_eval", "parse_expr", "sympify", "__import__", "safe_eval", "numexpr"}


def evaluators(source: str) -> list[str]:
    """Calls that turn text into code, and imports of what does."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call):
            name = node.func.id if isinstance(node.func, ast.Name) else getattr(node.func, "attr", "")
            of = getattr(getattr(node.func, "value", None), "id", None)
            method = isinstance(node.func, ast.Attribute) and (
                (name == "compile" and of in ("re", "torch"))
                or (name == "eval" and not node.args)  # a network's evaluation mode
            )
            if name in EVALUATORS and not method:
                found.append(f"{node.lineno}: {name}")
        if isinstance(node, ast.Import | ast.ImportFrom):
            modules = [alias.name for alias in node.names] + [getattr(node, "module", None) or ""]
            found += [f"{node.lineno}: {module}" for module in modules if module.split(".")[0] in ("sympy", "numexpr")]
    return found


@pytest.mark.parametrize("path", CODE, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_text_becomes_code(path: Path) -> None:
    """A model's answer may say anything; nothing in the package evaluates text."""
    found = evaluators(path.read_text(encoding="utf-8"))
    # The cache compiles, and never runs, the source file of a generator, to see whether it was edited since.
    allowed = "compile" if path.name == "cache.py" else None
    assert [each for each in found if each.partition(": ")[2] != allowed] == []


@pytest.mark.parametrize(
    "source",
    ["eval(answer)", "ast.literal_eval(answer)", "from sympy import parse_expr", "builtins.exec(x)", "compile(x)"],
)
def test_what_evaluates_text_would_be_found(source: str) -> None:
    assert evaluators(source)
    assert not evaluators("network.eval(); re.compile('a')")
