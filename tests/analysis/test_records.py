"""The file of records: what is written is read back, and nothing torn, damaged or foreign passes for a record."""

import errno
import gzip
import os
import random
import subprocess
import sys
import zlib
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dlmreason.analysis import records
from dlmreason.analysis.records import ForeignSchema, Record, RecordsError, Timing, Trace, Writer, decode, encode, read

TIMING = Timing("a", None, 1.5, 10, 4, 99, None, "cpu", 1, "k")
TRACE = Trace(
    "a",
    "0",
    0,
    1,
    {"rows": 1},
    [False],
    [2],
    None,
    ["x", "y", "?"],
    2,
    [{"pass": 0, "changes": [[0, 1]], "quality": None, "score": None, "masked": 0}],
)


def foreign(line: bytes) -> bytes:
    text = line[9:-1].replace(b'"schema":1', b'"schema":2')
    return b"%08x %s\n" % (zlib.crc32(text), text)


def test_what_is_written_is_read_back(make, tmp_path):
    for items in ([make(), make(example="ü\n\u2028<b>", score=-1.25, events={"b": 1, "a": 2})], [TIMING], [TRACE]):
        path = tmp_path / f"{type(items[0]).__name__}.jsonl"
        with Writer(path) as out:
            out.append_many(items)
        assert read(path, type(items[0])) == (items, [])


def test_a_mapping_is_a_trace(tmp_path):
    with Writer(tmp_path / "t.jsonl") as out:
        out.append(
            {
                "arm": "a",
                "example": "0",
                "seed": 0,
                "length": 1,
                "layout": {},
                "given": [True],
                "start": [0],
                "gold": [0],
                "symbols": ["x"],
                "mask_id": 1,
                "frames": [],
            }
        )
        with pytest.raises(TypeError, match="colour"):
            out.append({"colour": "red"})
    assert read(tmp_path / "t.jsonl", Trace).items[0].given == [True]


def test_same_records_same_bytes_however_they_come(make, tmp_path):
    items = [make(example=i, events={"b": 1, "a": 2}) for i in range(5)]
    same = [replace(item, events=dict(reversed(item.events.items()))) for item in items]
    with Writer(tmp_path / "once") as out:
        out.append_many(items)
    for item in same:
        with Writer(tmp_path / "often") as out:
            out.append(item)
    assert (tmp_path / "once").read_bytes() == (tmp_path / "often").read_bytes()


@given(st.text(), st.booleans(), st.integers(), st.none() | st.floats(allow_nan=False, allow_infinity=False))
def test_any_line_is_one_line_and_survives(answer, correct, flops, score):
    record = Record("a", "t", "s", "e", 0, 1, 0, answer, correct, "", 1, 1, 1, flops, {}, "k", score)
    line = encode(record)
    assert line.count(b"\n") == 1 and line.isascii()
    assert decode(line)["answer"] == answer and decode(line)["score"] == score


def test_an_unjudged_score_must_be_none(make):
    with pytest.raises(ValueError):
        encode(make(score=float("-inf")))


def test_every_single_bit_flip_is_found(make):
    line = encode(make())
    for place in range(8 * (len(line) - 1)):
        bad = bytearray(line)
        bad[place // 8] ^= 1 << place % 8
        with pytest.raises(RecordsError):
            decode(bytes(bad))


def test_a_tear_at_any_byte_loses_that_line_only(make, tmp_path):
    first, second, third = (encode(make(example=i)) for i in range(3))
    path = tmp_path / "r.jsonl"
    for cut in range(len(second)):
        path.write_bytes(first + second[:cut])
        found, problems = read(path, Record)
        assert [item.example for item in found] == ["0"]
        assert [(p.line, p.path) for p in problems] == ([(2, "r.jsonl")] if cut else [])
        said = []
        with Writer(path, said.append) as out:
            out.append(make(example=2))
        assert path.read_bytes() == first + third
        assert len(said) == (1 if cut else 0) and all("torn" in each and ":2:" in each for each in said)


def test_damage_in_the_middle_is_named_and_left(make, tmp_path):
    path = tmp_path / "r.jsonl"
    lines = [encode(make(example=i)) for i in range(3)]
    bad = lines[1].replace(b'"arm":"a"', b'"arm":"b"')
    path.write_bytes(lines[0] + bad + lines[2])
    found, problems = read(path, Record)
    assert [item.example for item in found] == ["0", "2"]
    assert str(problems[0]).startswith("r.jsonl:2: damaged")
    said = []
    Writer(path, said.append).close()
    assert path.read_bytes() == lines[0] + bad + lines[2]
    assert len(said) == 1 and ":2:" in said[0]


def test_a_foreign_schema_is_reported_and_never_appended_to(make, tmp_path):
    path = tmp_path / "r.jsonl"
    path.write_bytes(encode(make()) + foreign(encode(make(example=1))))
    found, problems = read(path, Record)
    assert len(found) == 1 and "foreign schema 2" in problems[0].reason
    before = path.read_bytes()
    with pytest.raises(ForeignSchema, match=r":2: foreign schema 2.*another folder"):
        Writer(path)
    assert path.read_bytes() == before


def test_lines_of_another_kind_are_reported(make, tmp_path):
    (tmp_path / "r.jsonl").write_bytes(encode(TIMING) + encode(make()))
    found, problems = read(tmp_path / "r.jsonl", Record)
    assert len(found) == 1 and "'timing' line among record lines" in problems[0].reason


def test_unknown_and_missing_fields_are_reported(make, tmp_path):
    def again(text: bytes) -> bytes:
        return b"%08x %s\n" % (zlib.crc32(text), text)

    text = encode(make())[9:-1]
    (tmp_path / "r.jsonl").write_bytes(again(text.replace(b'"nfe"', b'"nef"')) + again(b"[]"))
    found, problems = read(tmp_path / "r.jsonl", Record)
    assert found == [] and "nef" in problems[0].reason and "schema None" in problems[1].reason


def test_gzip_is_read_and_a_cut_one_keeps_its_beginning(make, tmp_path):
    dice = random.Random(0)
    items = [make(example=i, answer=" ".join(str(dice.random()) for _ in range(200))) for i in range(50)]
    data = gzip.compress(b"".join(encode(item) for item in items))
    path = tmp_path / "r.jsonl.gz"
    path.write_bytes(data)
    assert read(path, Record) == (items, [])
    path.write_bytes(data[: len(data) * 3 // 4])
    found, problems = read(path, Record)
    assert found == items[: len(found)] and 0 < len(found) < 50 and "compressed" in problems[-1].reason


def test_a_full_disk_leaves_no_half_line(make, tmp_path, monkeypatch):
    path = tmp_path / "r.jsonl"
    out = Writer(path)
    out.append(make())
    before = path.read_bytes()
    really = os.write
    calls = []

    def full(file, data):
        calls.append(data)
        if len(calls) > 1:
            raise OSError(errno.ENOSPC, "no space")
        return really(file, data[:20])

    monkeypatch.setattr(records.os, "write", full)
    with pytest.raises(OSError, match="no space"):
        out.append(make(example=1))
    monkeypatch.undo()
    assert path.read_bytes() == before
    out.append(make(example=2))
    assert [item.example for item in read(path, Record).items] == ["0", "2"]


def test_a_line_is_synchronised_before_the_call_returns(make, tmp_path, monkeypatch):
    out = Writer(tmp_path / "r.jsonl")
    sizes = []
    monkeypatch.setattr(records.os, "fsync", lambda file: sizes.append(os.fstat(file).st_size))
    out.append(make())
    out.append_many([make(example=1), make(example=2)])
    size = len(encode(make()))
    assert sizes == [size, 3 * size]


def test_killed_while_writing_loses_nothing_that_was_acknowledged(tmp_path):
    script = (
        "import sys; from dlmreason.analysis.records import Timing, Writer\n"
        "out = Writer(sys.argv[1])\n"
        "for i in range(10**6):\n"
        "    out.append(Timing('a', i, 1.0, 1, 1, 1, None, 'cpu', 1, 'k')); print(i, flush=True)\n"
    )
    path = tmp_path / "t.jsonl"
    for lines in (1, 7, 40):
        path.unlink(missing_ok=True)
        child = subprocess.Popen([sys.executable, "-c", script, str(path)], stdout=subprocess.PIPE, text=True)
        seen = [int(child.stdout.readline()) for _ in range(lines)]
        child.kill()
        child.wait()
        child.stdout.close()
        Writer(path, lambda text: None).close()
        found, problems = read(path, Timing)
        assert [item.rung for item in found] == list(range(len(found)))
        assert len(found) >= len(seen) and problems == []


def test_importing_records_is_light():
    code = (
        "import dlmreason.analysis.records, sys; print(sorted({'torch', 'numpy', 'scipy', 'hydra'} & set(sys.modules)))"
    )
    assert (
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "[]"
    )


def test_no_analysis_or_report_imports_what_is_heavy():
    package = Path(records.__file__).parents[1]
    names = [
        f"{folder}.{path.stem}"
        for folder in ("analysis", "reports")
        for path in (package / folder).glob("*.py")
        if path.stem != "wandb_process"
    ]
    assert len(names) > 10
    code = (
        "import importlib, sys\n"
        f"for name in {names!r}: importlib.import_module('dlmreason.' + name)\n"
        "print(sorted({'torch', 'hydra', 'lightning', 'wandb', 'plotly', 'matplotlib', 'rich', 'scipy'}"
        " & set(sys.modules)))"
    )
    assert (
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "[]"
    )
