"""Rows out of files: every form says the same, and every fault is named with its file, its line and the reason."""

import csv
import gzip
import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dlmreason.tasks.example import FileError
from dlmreason.tasks.rows import HOPELESS, LONGEST, Row, Rows, read_rows

GOOD = '{"prompt": "1+1", "thought": "count", "answer": "2"}'
NEXT = '{"question": "2+2", "answer": "4"}'
TEXTS = [("1+1", "count", "2"), ("2+2", "", "4")]


def texts_of(file):
    return [row[2:] for row in file.rows]


def write(folder, name, content):
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return str(path)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.jsonl", f"{GOOD}\n\n{NEXT}\n"),
        ("a.jsonl", f"\ufeff{GOOD}\r\n{NEXT}"),
        ("a.jsonl", '{"Input": " 1+1\\n", "CoT": "count", "output": 2, "id": 7}\n{"puzzle": "2+2", "solution": "4"}'),
        ("a.jsonl", '{"prompt": "1+1", "answer": "count\\n#### 2"}\n{"prompt": "2+2", "thought": null, "answer": "4"}'),
        ("a.jsonl", '{"prompt": "1+1", "thought": "", "answer": "count####2"}\n{"prompt": "2+2", "answer": "####4"}'),
        ("a.jsonl.gz", gzip.compress(f"{GOOD}\n{NEXT}\n".encode(), mtime=0)),
        ("a.csv", "prompt,thought,answer\n1+1,count,2\n\n2+2,,4\n"),
        ("a.csv", "\r\n Prompt , level,cot,answer\r\n1+1,9,count,2\r\n2+2,9,,4\r\n"),
        ("a.csv", '\ufeff"question","answer"\n"1+1","count\n#### 2"\n2+2,4'),
        ("a.csv.gz", gzip.compress(b"puzzle,reasoning,solution\n1+1,count,2\n2+2,,4\n", mtime=0)),
        ("a.tsv", "input\tcot\toutput\n1+1\tcount\t2\n2+2\t\t4\n"),
        ("a.txt", "1+1||count #### 2\n\n2+2||4\n"),
        ("a.txt.gz", gzip.compress(b"1+1 || count #### 2\r\n2+2|| #### 4\r\n", mtime=0)),
    ],
)
def test_all_forms_say_the_same(tmp_path, name, content):
    path = write(tmp_path, name, content)
    file = read_rows(path)
    assert texts_of(file) == TEXTS
    assert file.settle("stop") == []
    assert file.sha256 == hashlib.sha256(Path(path).read_bytes()).hexdigest()
    assert [row.path for row in file.rows] == [path, path]


def test_a_number_is_an_answer_as_it_is_spelled(tmp_path):
    spelled = ["18", "-3", "5.00", "1e9", "9" * 5000]
    path = write(tmp_path, "a.jsonl", "\n".join(f'{{"prompt": "p", "answer": {number}}}' for number in spelled))
    assert [row.answer for row in read_rows(path).rows] == spelled


FRAMES = {  # a good row, and another one after the line that is tried
    ".jsonl": (GOOD.replace("{", '{"id": 1, '), f"\n{NEXT}\n", 2),
    ".csv": ("prompt,answer\n1+1,count####2", "\n2+2,4\n", 3),
    ".tsv": ("prompt\tanswer\n1+1\tcount####2", "\n2+2\t4\n", 3),
    ".txt": ("1+1||count####2", "\n2+2||4\n", 2),
}
BAD = [
    (".jsonl", "{not json}", "not JSON: Expecting property name .* character 2"),
    (".jsonl", GOOD[:20], "not JSON: Unterminated string starting at character 19"),
    (".jsonl", GOOD + NEXT, "not JSON: Extra data at character 53"),
    (".jsonl", "[1]", "a line must hold a JSON object, and holds a list"),
    (".jsonl", "17", "a line must hold a JSON object, and holds a number"),
    (".jsonl", "null", "a line must hold a JSON object, and holds null"),
    (".jsonl", '{"prompt": "p", "answer": NaN}', "not JSON: NaN is no JSON value"),
    (".jsonl", '{"prompt": "p", "answer": -Infinity}', "not JSON: -Infinity is no"),
    (".jsonl", "[" * 100_000, "not JSON that can be read: .*nested too deeply"),
    (".jsonl", '{"q": "p", "a": "b"}', "a column prompt or input or question or puzzle is needed; there is q, a$"),
    (".jsonl", "{}", "a column prompt or .* is needed; there is none"),
    (".jsonl", '{"prompt": "p"}', "a column answer or output or solution is needed"),
    (".jsonl", '{"prompt": "p", "answer": null}', "the answer is null"),
    (".jsonl", '{"prompt": "p", "answer": " "}', "the answer is empty"),
    (".jsonl", '{"prompt": "p", "answer": "t ####"}', "the answer is empty"),
    (".jsonl", '{"prompt": " ", "answer": "b"}', "the prompt is empty"),
    (".jsonl", '{"prompt": "p", "answer": true}', "answer must be a text or a number, and is a truth value"),
    (".jsonl", '{"prompt": {"text": "p"}, "answer": "b"}', "text, and is an object"),
    (".jsonl", '{"prompt": "p", "answer": ["b"]}', "number, and is a list"),
    (".jsonl", '{"prompt": 5, "answer": "b"}', "prompt must be a text, and is"),
    (".jsonl", '{"prompt": "p", "answer": "b", "prompt": "q"}', "'prompt' is there"),
    (
        ".jsonl",
        '{"prompt": "p", "question": "q", "answer": "b"}',
        "prompt and question may both be the prompt: leave one of them out",
    ),
    (
        ".jsonl",
        '{"prompt": "p", "cot": "t", "answer": "u #### b"}',
        "the answer holds ####, which a thought stands before, but there is a thought too",
    ),
    (".jsonl", '{"prompt": "p", "answer": "#### b ####"}', "#### is there 2 times"),
    (".jsonl", '{"prompt": "\x00", "answer": "b"}', "a NUL at character 13"),
    (".jsonl", '{"prompt": "p\\u0000", "answer": "b"}', "prompt has a NUL at .* 2"),
    (".jsonl", '{"prompt": "p", "answer": "ab\\ud800"}', "answer has an unpaired surrogate at character 3"),
    (".jsonl", b'{"prompt": "\xe9"}', "not UTF-8: byte 0xe9 at byte 13"),
    (".jsonl", '{"id": "1", "prompt": "p", "answer": "b"}', "the id '1' is that of line 1 too"),
    (".jsonl", '{"prompt": "' + "p" * LONGEST + '"}', "the line is longer than 1,048,576 bytes$"),
    (".jsonl", '{"prompt": "p",\r"answer": "b"}', "a carriage return at character 16"),
    (".csv", "a,b,c", "2 columns expected, got 3"),
    (".csv", "a", "2 columns expected, got 1"),
    (".csv", "a,", "the answer is empty"),
    (".csv", b"\xe9,b", "not UTF-8: byte 0xe9 at byte 1"),
    (".csv", "a\x00,b", "a NUL at character 2"),
    (".csv", "a" * LONGEST + ",b", "longer than 1,048,576 bytes"),
    (".csv", "a,b\rc,d", "a carriage return at character 4"),
    (".csv", '"a"b,c', "not CSV: ',' expected after"),
    (".tsv", "a\tb\tc", "2 columns expected, got 3"),
    (".txt", "p #### b", r"\|\| is there 0 times, where it stands once"),
    (".txt", "p||t||b", r"\|\| is there 2 times"),
    (".txt", "p||t####u####b", "#### is there 2 times"),
    (".txt", " ||b", "the prompt is empty"),
    (".txt", "p||", "the answer is empty"),
]


@pytest.mark.parametrize(("ending", "line", "reason"), BAD, ids=[reason[:40] for _, _, reason in BAD])
def test_a_bad_row_stops_with_its_line_or_is_left_out_and_reported(tmp_path, ending, line, reason):
    before, after, at = FRAMES[ending]
    line = line if isinstance(line, bytes) else line.encode()
    path = write(tmp_path, f"a{ending}", before.encode() + b"\n" + line + after.encode())
    file = read_rows(path)
    with pytest.raises(FileError, match=reason) as error:
        file.settle("stop")
    assert (error.value.path, error.value.line) == (path, at)
    assert len(error.value.reason) < 300
    assert file.settle("skip") == [str(error.value)]
    assert texts_of(file) == TEXTS


def test_a_quote_that_is_not_closed_takes_the_rest_of_the_file(tmp_path):
    file = read_rows(write(tmp_path, "a.csv", 'prompt,answer\n1+1,2\n"a,b\n' + "2+2,4\n" * 50))
    assert file.settle("skip") == [f"{tmp_path}/a.csv:3: a quote opens in this row and is not closed"]
    assert texts_of(file) == [("1+1", "", "2")]
    huge = "".join(f"{number}+1,{number + 1}\n" for number in range(200_000))
    file = read_rows(write(tmp_path, "b.csv", f'prompt,answer\n"a,b\n{huge}'))
    assert file.bad[0].line == 2 and "is not closed" in file.bad[0].reason
    assert len(file.rows) > 0, "after 1 MiB without an end the quote is given up"


def test_lines_of_rows_that_take_several(tmp_path):
    path = write(
        tmp_path, "a.csv", 'prompt,answer\n"1\n+\n1",2\n\n"2+\n2",4,5\n3,3\n"4\n\xff",'.encode("latin-1") + b"4\n5,5\n"
    )
    file = read_rows(path)
    assert [(row.line, row.prompt) for row in file.rows] == [(2, "1\n+\n1"), (8, "3"), (11, "5")]
    assert [(error.line, error.reason[:9]) for error in file.bad] == [(6, "2 columns"), (10, "not UTF-8")]


UNREADABLE = {
    "empty": ("a.jsonl", b"", 1, "the file is empty"),
    "empty csv": ("a.csv", b"", 1, "the file is empty"),
    "empty gzip": ("a.txt.gz", gzip.compress(b"", mtime=0), 1, "the file is empty"),
    "blank": ("a.jsonl", b"\n \n\n", 1, "the file holds no rows"),
    "a mark alone": ("a.jsonl", b"\xef\xbb\xbf", 1, "the file holds no rows"),
    "header alone": ("a.csv", b"prompt,answer\n\n", 1, "the file holds no rows"),
    "header": (
        "a.csv",
        b"\nboard,answer\n1,2\n",
        2,
        "header: a column prompt or input or question or puzzle is needed; the",
    ),
    "no answer": (
        "a.csv",
        b"prompt,difficulty\n1,2\n",
        1,
        "header: a column answer or output or solution is needed; there",
    ),
    "column twice": ("a.csv", b"prompt,answer,Answer\n1,2,3\n", 1, "header: 'answer' is there twice"),
    "semicolons": ("a.csv", b"prompt;answer\n1;2\n", 1, "header: a column prompt .* is needed; there is prompt;answer"),
    "bad header": ("a.csv", b"prompt\xff,answer\n1,2\n", 1, "not UTF-8: byte 0xff at byte 7"),
    "UTF-16": ("a.jsonl", f"{GOOD}\n".encode("utf-16"), 1, "the file is UTF-16 or UTF-32: save it as UTF-8"),
    "UTF-16 the other way": ("a.csv", b"\xfe\xff" + "prompt".encode("utf-16-be"), 1, "the file is UTF-16"),
    "UTF-16 without a mark": ("a.csv", "prompt,answer\n1,2".encode("utf-16-le"), 1, "a NUL at character 2"),
    "gzip by another name": (
        "a.jsonl",
        gzip.compress(GOOD.encode(), mtime=0),
        1,
        "the file is compressed by gzip: let its name",
    ),
    "no gzip": ("a.jsonl.gz", GOOD.encode(), 1, "the file cannot be read on from here: Not a gzipped file"),
    "returns alone": ("a.jsonl", f"{GOOD}\r{NEXT}\r", 1, "a carriage return at character 53: let lines end in LF"),
    "many returns alone": ("a.csv", "prompt,answer\r" + "1,2\r" * LONGEST, 1, "longer than .*carriage returns"),
    "an array": ("a.jsonl", f"[{GOOD}, {NEXT}]", 1, "a line must hold a JSON object, and holds a list"),
}


@pytest.mark.parametrize("kind", UNREADABLE)
def test_a_file_without_a_usable_row_says_why(tmp_path, kind):
    name, content, line, reason = UNREADABLE[kind]
    file = read_rows(write(tmp_path, name, content))
    with pytest.raises(FileError, match=reason) as error:
        file.settle("stop")
    assert (error.value.path, error.value.line) == (str(tmp_path / name), line)
    with pytest.raises(
        ValueError, match=r"^task.file=.* holds no row that can be used \(1 left out, the first: .*:\d+: "
    ):
        file.settle("skip")


def test_a_binary_file_is_given_up_soon(tmp_path):
    path = write(tmp_path, "a.jsonl", bytes(range(1, 256)) * 4000)
    file = read_rows(path)
    assert len(file.rows) == 0 and len(file.bad) == HOPELESS + 1
    assert file.bad[-1].reason == "none of the first 100 rows can be used: the file is not read on"
    read = read_rows(write(tmp_path, "b.jsonl", f"{GOOD}\n" + "x\n" * 300))
    assert len(read.bad) == 300, "a file with a good row is read to its end"


@pytest.mark.parametrize("cut", [9, 200, 2000])
def test_a_truncated_gzip_gives_what_it_holds_and_says_where_it_ends(tmp_path, cut):
    lines = [
        json.dumps({"prompt": hashlib.sha256(bytes([number])).hexdigest(), "answer": "b"}) for number in range(200)
    ]
    path = write(tmp_path, "a.jsonl.gz", gzip.compress("\n".join(lines).encode())[:-cut])
    file = read_rows(path)
    (error,) = file.bad
    assert "the file cannot be read on from here: Compressed file ended" in error.reason
    read = len(file.rows)
    assert error.line == read + 1
    assert [row.prompt for row in file.rows] == [json.loads(line)["prompt"] for line in lines[:read]]
    assert len(file.settle("skip")) == 1


def test_damaged_gzip_is_named(tmp_path):
    data = bytearray(gzip.compress(f"{GOOD}\n".encode() * 50, mtime=0))
    data[-6] ^= 1  # of the checksum
    file = read_rows(write(tmp_path, "a.jsonl.gz", bytes(data)))
    assert "CRC check failed" in file.bad[0].reason and file.bad[0].line == 51


def test_a_file_that_must_not_be_read_is_named(tmp_path):
    path = write(tmp_path, "a.jsonl", GOOD)
    os.chmod(path, 0)
    if os.access(path, os.R_OK):  # root may read it; a file whose reading fails stands in
        os.remove(path)
        os.symlink("/proc/self/mem", path)
    file = read_rows(path)
    assert file.bad[0].line == 1 and "the file cannot be read on from here: [Errno" in file.bad[0].reason


@pytest.mark.parametrize(
    ("path", "fault"),
    [
        ("none.jsonl", "there is no such file"),
        ("a.parquet", "its name ends otherwise"),
        ("a.json", "its name ends otherwise"),
        ("a.gz", "its name ends otherwise"),
        ("empty", "the folder holds none"),
        ("others", "the folder holds none"),
        ("\x00.jsonl", "there is no such file"),
    ],
)
def test_a_path_without_rows_is_refused(tmp_path, path, fault):
    for folder in ("empty", "others", "others/x.jsonl"):
        (tmp_path / folder).mkdir()
    for name in ("a.parquet", "a.json", "a.gz", "others/.hidden.jsonl", "others/LICENSE"):
        (tmp_path / name).write_text(GOOD)
    with pytest.raises(ValueError, match=rf"^task\.train_file=.* must be a file that ends in \.jsonl, .*: {fault}$"):
        read_rows(str(tmp_path / path), "task.train_file")


def test_a_folder_is_its_files_in_the_order_of_their_names(tmp_path):
    first = write(tmp_path, "a.jsonl", f'{{"id": 1, "prompt": "1+1", "answer": "2"}}\n{NEXT}\n')
    last = write(tmp_path, "b.csv", "id,prompt,answer\n1,3+3,6\n,x,\n")
    write(tmp_path, ".b.csv", "x")
    file = read_rows(str(tmp_path))
    assert [row[:3] for row in file.rows] == [(first, 1, "1+1"), (first, 2, "2+2"), (last, 2, "3+3")]
    assert file.sha256 == hashlib.sha256(b"".join(Path(path).read_bytes() for path in (first, last))).hexdigest()
    file.refuse(file.rows[1], "two plus two is not asked")
    file.refuse(file.rows[0], "nor this")
    assert file.settle("skip") == [
        f"{first}:1: nor this",
        f"{first}:2: two plus two is not asked",
        f"{last}:3: the answer is empty",
    ]
    file.refuse(file.rows[2], "nothing is left")
    with pytest.raises(
        ValueError, match=r"holds no row that can be used \(4 left out, the first: .*a.jsonl:1: nor this\)"
    ):
        file.settle("skip")
    with pytest.raises(FileError, match=r"a\.jsonl:1: nor this$"):
        file.settle("stop")


def test_answers_may_be_left_open(tmp_path):
    rows = read_rows(write(tmp_path, "a.jsonl", '{"prompt": "p"}\n{"prompt": "q", "answer": "t ####"}'), answers=False)
    assert texts_of(rows) == [("p", "", ""), ("q", "t", "")]
    rows = read_rows(write(tmp_path, "a.csv", "prompt\np\n"), answers=False)
    assert texts_of(rows) == [("p", "", "")]


WORDS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), min_size=1)
PLAIN = WORDS.map(str.strip).filter(lambda text: text and "####" not in text)


@settings(deadline=None)
@given(st.lists(st.tuples(PLAIN, PLAIN, PLAIN), min_size=1, max_size=5))
def test_json_rows_survive_the_round_trip(tmp_path_factory, rows):
    lines = [
        json.dumps(dict(zip(("prompt", "thought", "answer"), row, strict=True)), ensure_ascii=False) for row in rows
    ]
    file = read_rows(write(tmp_path_factory.mktemp("rows"), "a.jsonl", "\n".join(lines)))
    assert texts_of(file) == rows and file.bad == []


@settings(deadline=None)
@given(st.lists(st.tuples(PLAIN, PLAIN, PLAIN), min_size=1, max_size=5))
def test_csv_rows_survive_the_round_trip(tmp_path_factory, rows):
    path = tmp_path_factory.mktemp("rows") / "a.csv"
    rows = [tuple(text.replace("\r", "") or "x" for text in row) for row in rows]
    with path.open("w", encoding="utf-8", newline="") as stream:
        csv.writer(stream).writerows([("prompt", "thought", "answer"), *rows])
    file = read_rows(str(path))
    assert texts_of(file) == [tuple(text.strip() for text in row) for row in rows] and file.bad == []


@pytest.mark.parametrize("name", ["a.jsonl", "a.csv", "a.tsv", "a.txt", "a.jsonl.gz", "a.csv.gz"])
@settings(deadline=None)
@given(data=st.binary(max_size=200))
def test_whatever_the_bytes_they_are_read_or_named(tmp_path_factory, name, data):
    folder = tmp_path_factory.mktemp("rows")
    for content in (data, gzip.compress(data), b"prompt,answer\n" + data):
        file = read_rows(write(folder, name, content))
        assert len(file.rows) + len(file.bad) > 0
        assert all(error.line >= 1 and 0 < len(error.reason) < 300 for error in file.bad)


def test_rows_are_a_sequence():
    rows, listed = Rows(), []
    for number in range(7):
        listed.append(Row(f"{number // 3}.txt", number + 1, f"é{number}", "", "x" * number))
        rows.append(listed[-1])
    assert list(rows) == listed and rows[2:5] == listed[2:5] and rows[-1] == listed[-1]
    with pytest.raises(IndexError):
        rows[7]


@pytest.mark.slow
def test_a_large_file_takes_a_few_times_its_size(tmp_path):
    path = tmp_path / "a.txt"
    with path.open("w") as stream:
        for number in range(6_000_000):
            stream.write(f"{number}+1||{number + 1}\n")
    assert path.stat().st_size > 100_000_000
    script = (
        "import resource, sys\nfrom dlmreason.tasks.rows import read_rows\nrows = read_rows(sys.argv[1]).rows\n"
        "print(len(rows), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)"
    )
    # A process begins with the peak of the one that started it, and a worker of tests may be large: a shell is small.
    command = ["sh", "-c", '"$0" -c "$1" "$2"; exit $?', sys.executable, script, str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    count, peak = map(int, done.stdout.split())
    assert count == 6_000_000 and peak < 1_000_000_000


# --- real files, where there are some

DATA = os.environ.get("DLMREASON_DATA")
REAL = pytest.mark.skipif(not DATA or not Path(DATA).is_dir(), reason="DLMREASON_DATA names no folder of real data")


@REAL
@pytest.mark.parametrize(
    ("name", "count", "thoughts"),
    [
        ("gsm8k/train.jsonl", 7473, 7473),
        ("gsm8k/test.jsonl", 1319, 1319),
        ("gsm8k_equations/valid.txt", 500, 494),
        ("gsm8k_equations/test.txt", 1319, 1301),
        ("multiplication/4x4_valid.txt", 1000, 1000),
        ("multiplication/4x4_test.txt", 1000, 1000),
        ("countdown/cd3_test.jsonl", 1000, 0),
        ("countdown/cd4_test.jsonl", 1000, 0),
        ("sudoku4x4", 432, 0),
    ],
)
def test_real_files_are_read_whole(name, count, thoughts):
    file = read_rows(str(Path(DATA) / name))
    assert file.settle("stop") == []
    assert (len(file.rows), sum(bool(row.thought) for row in file.rows)) == (count, thoughts)
