"""The tool that plants faults plants what it says: see tests/mutants.py, which is run by hand."""

import ast
from pathlib import Path

from tests.mutants import FOLDERS, ROOT, files_for, sample


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
        assert "raise" not in each.was and files_for(each)[0].endswith(".py")


def test_the_sample_is_the_same_every_time_and_a_smaller_one_is_its_beginning() -> None:
    assert sample(20) == sample(30)[:20]
    assert sample(5, "policies/doubt") == [each for each in sample(10**6) if each.file == "policies/doubt.py"][:5]
