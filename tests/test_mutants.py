"""The tool that plants faults plants what it says, and the tests notice nine in ten: see tests/mutants.py."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.mutants import FOLDERS, ROOT, Mutant, Seen, files, sample


@pytest.mark.slow
def test_every_mutant_is_one_change_that_still_compiles() -> None:
    found = sample(10**6)
    assert len(found) > 500 and {each.kind for each in found} == {
        "sign", "index", "comparison", "connective", "constant",
    }  # fmt: skip
    originals = {each.file: ast.unparse(ast.parse((ROOT / "dlmreason" / each.file).read_text())) for each in found}
    assert {Path(file).parent.name for file in originals} == set(FOLDERS)
    for each in found[:: len(found) // 40]:
        compile(each.source, each.file, "exec")
        changed = zip(originals[each.file].splitlines(), each.source.splitlines(), strict=True)
        assert sum(before != after for before, after in changed) == 1, each
        assert re.search(r"\braise\b", each.was) is None and each.line <= each.end


def test_the_sample_is_the_same_every_time_and_a_smaller_one_is_its_beginning() -> None:
    assert sample(20) == sample(30)[:20]
    assert sample(5, "policies/doubt") == [each for each in sample(10**6) if each.file == "policies/doubt.py"][:5]


def test_a_mutant_meets_the_tests_that_run_its_line_quickest_first() -> None:
    seen = Seen({"slow": 2.0, "quick": 0.1, "other": 1.0}, {"policies/doubt.py": {7: ["slow", "quick"], 9: ["other"]}})

    def tests(line: int, end: int, file: str = "policies/doubt.py") -> list[str]:
        return seen.tests_for(Mutant(file, 0, line, end, "sign", "", ""))

    assert tests(7, 7) == ["quick", "slow"] and tests(6, 9) == ["quick", "other", "slow"]
    assert tests(1, 1) == ["quick", "other", "slow"], "a line that is run by importing its file"
    assert tests(7, 7, "policies/gibbs.py") == [], "a file that no test runs"
    assert all(any(f"/tests/{folder}/" in file for file in files()) for folder in FOLDERS)


@pytest.mark.slow
@pytest.mark.timeout(7200)
def test_nine_in_ten_of_200_are_killed() -> None:
    """Those that were not on the day it was written, and why, are in experiments/LOG.md."""
    command = [sys.executable, "-m", "tests.mutants", "--count", "200", "--jobs", "1"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    found = re.search(r"^(\d+) of 200 mutants killed", done.stdout, re.MULTILINE)
    assert found is not None, done.stderr[-2000:]
    assert int(found[1]) >= 180, done.stdout[found.start() :]
