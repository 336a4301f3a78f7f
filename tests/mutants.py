"""Do the tests notice? `python -m tests.mutants [--count 200] [--jobs 2] [--only policies/doubt]`.

Changes one sign, index, comparison, connective or constant of diffusion/, policies/ and sampling/ at a time, and runs
their tests until one fails: the mutant is killed. A mutant that passes them all survives, and is printed. Which places
are changed is decided by the hash of what stands there, so that an edit elsewhere changes the sample little.

All tests run once on the code as it is, to see which lines each runs; a mutant then meets those that run its line, the
quickest first. Each mutant lives in a forked child that imports its changed module in place of the file's: nothing is
written to disk.
"""

import argparse
import ast
import functools
import hashlib
import importlib.abc
import importlib.util
import os
import pickle
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import coverage
import pytest

ROOT = Path(__file__).resolve().parents[1]
FOLDERS = ("diffusion", "policies", "sampling")
START, PATIENCE = 120.0, 6.0
"""A child counts as killed, for a loop became endless, after START seconds and PATIENCE times what its tests take."""
SOON = 40
"""Tests that a child runs first."""

SIGNS = {ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult}
CONNECTIVES = {ast.BitAnd: ast.BitOr, ast.BitOr: ast.BitAnd}
COMPARISONS = {
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
}


Change = Callable[[], None]


@dataclass(frozen=True)
class Mutant:
    file: str  # of the package, such as policies/doubt.py
    number: int  # of the file's changes, in the order in which they are found
    line: int
    end: int  # last line of what is changed
    kind: str
    was: str
    now: str

    @property
    def module(self) -> str:
        return "dlmreason." + self.file.removesuffix(".py").replace("/", ".")

    @property
    def source(self) -> str:
        """The whole changed module."""
        tree = ast.parse((ROOT / "dlmreason" / self.file).read_text(encoding="utf-8"))
        *_, do, _ = next(islice(places(tree), self.number, None))
        do()
        return ast.unparse(tree)

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.kind}: {self.was}  ->  {self.now}"


def changes(node: ast.AST, index: bool) -> Iterator[tuple[str, Change, Change]]:
    """(kind, do, undo) of every change that can be made at a node. index: it stands in a subscript."""

    def swap(owner: object, name: str, new: object) -> tuple[Change, Change]:
        old = getattr(owner, name)
        return lambda: setattr(owner, name, new), lambda: setattr(owner, name, old)

    match node:
        case ast.BinOp(op=op) if type(op) in SIGNS:
            yield "sign", *swap(node, "op", SIGNS[type(op)]())
        case ast.BinOp(op=op) if type(op) in CONNECTIVES:
            yield "connective", *swap(node, "op", CONNECTIVES[type(op)]())
        case ast.UnaryOp(op=ast.USub()):
            yield ("index" if index else "sign"), *swap(node, "op", ast.UAdd())
        case ast.UnaryOp(op=ast.Invert()):
            yield "connective", *swap(node, "op", ast.UAdd())  # bool tensors refuse +: the change shows at once
        case ast.Compare(ops=[op]) if type(op) in COMPARISONS:
            yield "comparison", *swap(node, "ops", [COMPARISONS[type(op)]()])
        case ast.Constant(value=bool(value)):
            yield "constant", *swap(node, "value", not value)
        case ast.Constant(value=int(value) | float(value)):
            yield ("index" if index else "constant"), *swap(node, "value", value + 1)


def _last_axis(node: ast.AST) -> bool:
    return isinstance(node, ast.UnaryOp) and isinstance(node.operand, ast.Constant) and node.operand.value == 1


def places(tree: ast.AST) -> Iterator[tuple[ast.AST, ast.AST, str, Change, Change]]:
    """(node, its parent, kind, do, undo) of every change to a module. Texts, annotations and what is raised are left
    alone: no law is about words."""

    def walk(node: ast.AST, parent: ast.AST, index: bool) -> Iterator[tuple[ast.AST, ast.AST, str, Change, Change]]:
        if isinstance(node, ast.Raise | ast.JoinedStr | ast.Import | ast.ImportFrom | ast.Assert):
            return
        for kind, do, undo in changes(node, index):
            # A last axis named -1 is, of a tensor of two axes, also the axis +1; that it becomes -2 is the constant's.
            if not (kind in ("sign", "index") and _last_axis(node) and isinstance(parent, ast.Call | ast.keyword)):
                yield node, parent, kind, do, undo
        for name, value in ast.iter_fields(node):
            if name in ("annotation", "returns", "decorator_list", "bases"):
                continue
            for child in value if isinstance(value, list) else [value]:
                if isinstance(child, ast.AST):
                    yield from walk(child, node, name == "slice" if isinstance(node, ast.Subscript) else index)

    return walk(tree, tree, False)


def mutants(path: Path) -> Iterator[Mutant]:
    """Every mutant of a file."""
    file, tree = path.relative_to(ROOT / "dlmreason").as_posix(), ast.parse(path.read_text(encoding="utf-8"))
    for number, (node, parent, kind, do, undo) in enumerate(places(tree)):
        shown = parent if isinstance(parent, ast.expr) else node
        was = ast.unparse(shown)
        do()
        lines = getattr(node, "lineno", 0), getattr(node, "end_lineno", 0)
        yield Mutant(file, number, *lines, kind, was, ast.unparse(shown))
        undo()


@functools.cache
def everything() -> list[Mutant]:
    """All mutants, in the order of the hashes of what they change."""
    files = sorted(path for folder in FOLDERS for path in (ROOT / "dlmreason" / folder).glob("*.py"))
    found = [each for path in files for each in mutants(path)]
    return sorted(found, key=lambda each: _digest(f"{each.file}|{each.kind}|{each.was}|{each.now}"))


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()


def sample(count: int, only: str = "") -> list[Mutant]:
    """`count` mutants of all, or of the files whose names hold `only`: those of the smallest hashes."""
    return [each for each in everything() if only in each.file][:count]


class Seen(NamedTuple):
    """What the tests do on the code as it is."""

    seconds: dict[str, float]  # of each test, by its id
    lines: dict[str, dict[int, list[str]]]  # of each file, the tests that run each line

    def tests_for(self, mutant: Mutant) -> list[str]:
        """The tests that run its line, quickest first; where it is run by being imported alone, all of its file's."""
        lines = self.lines.get(mutant.file, {})
        ran = {test for line in range(mutant.line, mutant.end + 1) for test in lines.get(line, ())}
        ran = ran or {test for tests in lines.values() for test in tests}
        return sorted(ran, key=lambda test: (self.seconds[test], test))


def files() -> list[str]:
    """All files of tests that a mutant may meet."""
    return [str(path) for folder in FOLDERS for path in sorted((ROOT / "tests" / folder).glob("test_*.py"))]


class _Watch:
    """A part of pytest that tells the coverage which test is running, and keeps the time."""

    def __init__(self, coverage: Any) -> None:
        self.coverage, self.seconds = coverage, dict[str, float]()

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Iterator[None]:
        self.coverage.switch_context(item.nodeid)
        started = time.monotonic()
        result = yield
        self.seconds[item.nodeid] = time.monotonic() - started
        self.coverage.switch_context("")
        return result


class _Select:
    """A part of pytest that runs some tests alone, in an order."""

    def __init__(self, tests: Sequence[str]) -> None:
        self.rank = {test: place for place, test in enumerate(tests)}

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        items[:] = sorted((each for each in items if each.nodeid in self.rank), key=lambda each: self.rank[each.nodeid])


def run(plugin: object, places: Sequence[str]) -> int:
    """Pytest's code over the fast tests of some files, silent."""
    silent = os.open(os.devnull, os.O_WRONLY)
    os.dup2(silent, 1)
    os.dup2(silent, 2)
    plain = ["-p", "no:xdist", "-p", "no:timeout", "-o", "addopts=", "-o", "timeout=0", "-p", "no:cacheprovider"]
    options = [*plain, "--import-mode=importlib", "-x", "-q", "-m", "not slow and not gpu and not bench"]
    return int(pytest.main([*options, *places], plugins=[plugin]))


def look() -> Seen | int:
    """Which tests run which lines; pytest's code where they do not pass as things are."""
    with tempfile.TemporaryDirectory() as folder:
        result = Path(folder) / "seen"
        if not (child := os.fork()):
            code = 4
            with suppress(BaseException):
                here = [str(ROOT / "dlmreason" / each / "*") for each in FOLDERS]
                watched = coverage.Coverage(data_file=None, config_file=False, include=here)
                watched.start()
                watch = _Watch(watched)
                code = run(watch, files())
                watched.stop()
                data, lines = watched.get_data(), {}
                for file in data.measured_files():
                    by_line = data.contexts_by_lineno(file)
                    tests = {line: [each for each in found if each] for line, found in by_line.items()}
                    lines[Path(file).relative_to(ROOT / "dlmreason").as_posix()] = tests
                result.write_bytes(pickle.dumps(Seen(watch.seconds, lines)))
            os._exit(code)
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        seen: Seen | int = code or pickle.loads(result.read_bytes())
        return seen


class _InPlace(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Imports one module from a changed source."""

    def __init__(self, mutant: Mutant) -> None:
        self.mutant = mutant

    def find_spec(self, name: str, path: object = None, target: object = None) -> object:
        if name != self.mutant.module:
            return None
        place = ROOT / "dlmreason" / self.mutant.file
        return importlib.util.spec_from_file_location(name, place, loader=self)  # type: ignore[arg-type]

    def create_module(self, spec: object) -> None:
        return None

    def exec_module(self, module: ModuleType) -> None:
        exec(compile(self.mutant.source, self.mutant.file, "exec"), module.__dict__)


def live(mutant: Mutant, tests: Sequence[str]) -> int:
    """A child that runs the tests against a mutant and ends with pytest's code."""
    child = os.fork()
    if child:
        return child
    code = 4
    with suppress(BaseException):
        sys.meta_path.insert(0, _InPlace(mutant))
        # Those of the quickest come first: to collect a file takes seconds, and most mutants are killed at once.
        soon, later = tests[:SOON], tests[SOON:]
        code = run(_Select(soon), sorted({test.partition("::")[0] for test in soon}))
        if code == 0 and later:
            code = run(_Select(later), sorted({test.partition("::")[0] for test in later}))
    os._exit(code)


def survivors(chosen: Sequence[Mutant], seen: Seen, jobs: int, say: Callable[[str], None]) -> list[Mutant]:
    """Those that no test kills; `jobs` at a time."""
    waiting, running, alive = list(chosen), dict[int, tuple[Mutant, float, float]](), list[Mutant]()
    while waiting or running:
        while waiting and len(running) < jobs:
            mutant = waiting.pop(0)
            tests = seen.tests_for(mutant)
            if not tests:
                alive.append(mutant)
                say(f"SURVIVED, for no test runs its line: {mutant}")
                continue
            patience = START + PATIENCE * sum(seen.seconds[test] for test in tests)
            running[live(mutant, tests)] = mutant, time.monotonic(), patience
        for child, (_, started, patience) in running.items():
            if time.monotonic() - started > patience:
                os.kill(child, signal.SIGKILL)
        child, status = os.waitpid(-1, os.WNOHANG) if running else (0, 0)
        if child == 0:
            time.sleep(0.05)
            continue
        mutant, started, _ = running.pop(child)
        survived = os.WIFEXITED(status) and os.WEXITSTATUS(status) == 0
        alive += [mutant] * survived
        done = len(chosen) - len(waiting) - len(running)
        word = "SURVIVED" if survived else "killed"
        say(f"{done} of {len(chosen)}, {time.monotonic() - started:.0f} s, {word}: {mutant}")
    return alive


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--only", default="", help="part of a file's name")
    parser.add_argument("--list", action="store_true", help="show the sample and run nothing")
    chosen = parser.parse_args(arguments)
    found = sample(chosen.count, chosen.only)
    if chosen.list:
        print(*found, sep="\n")
        return 0
    os.chdir(ROOT)
    import hypothesis  # noqa: F401  what every child would import again
    import numpy
    import torch

    assert numpy and torch
    seen = look()
    if isinstance(seen, int):
        print(f"the tests do not pass as things are: pytest ended with {seen}", file=sys.stderr)
        return 2
    alive = survivors(found, seen, chosen.jobs, lambda line: print(line, flush=True))
    print(f"{len(found) - len(alive)} of {len(found)} mutants killed; survivors:", *alive, sep="\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
