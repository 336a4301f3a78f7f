"""A store gives back what was put in, never what another source drew, and comes whole or not at all."""

import importlib
import json
import os
import pickle
import subprocess
import sys
import time
import warnings
from pathlib import Path
from types import ModuleType

import pytest

from dlmreason.tasks import cache
from dlmreason.tasks.cache import Stored, sources_of, stored
from dlmreason.tasks.running_sum import RunningSum
from dlmreason.tasks.subject import Problem

KEY = {"subject": "word/list", "seed": 3}
ODD = ["", " ", "\n\n", "é😀\U000e0100", "\x00\x1f", "a,b\"c'", "####", "x" * 5_000]

DRAWS = """
from dlmreason.tasks.subject import Problem
from {helper} import WORD

class Words:
    name, version, parameters = "words", 1, {{}}

    def draw(self, seed, count):
        return [Problem(f"{{WORD}} {{seed}} {{place}}", "", {answer}, 1) for place in range(count)]
"""


def rows(count: int) -> list[Problem]:
    return [
        Problem(f"{ODD[i % 8]}{i}", ODD[i // 8 % 8], ODD[i // 64 % 8], i % 11 - 1, ODD[-i % 7]) for i in range(count)
    ]


def kept(folder: Path, count: int = 10, key: dict[str, str | int] = KEY) -> tuple[Stored, bool]:
    """What is stored, and whether it had to be made."""
    calls: list[int] = []
    found = stored(folder, key, [Path(__file__)], lambda: calls.append(1) or rows(count))
    assert isinstance(found, Stored)
    return found, bool(calls)


def names(folder: Path) -> list[str]:
    return sorted(each.name for each in folder.iterdir())


@pytest.mark.parametrize("count", [0, 1, 999, 1_000, 1_001, 2_500])
def test_what_is_put_in_comes_out(tmp_path: Path, count: int) -> None:
    expected = rows(count)
    for made in (True, False):
        found, was_made = kept(tmp_path / "a" / "b", count)
        assert was_made == made
        assert len(found) == count and list(found) == expected and found[:] == expected
    for part in (slice(3, 1_777), slice(-7, None), slice(None, None, -1), slice(5, 2_000, 700), slice(8, 3)):
        assert found[part] == expected[part]
    for place in {0, count // 2, count - 1} if count else set():
        assert found[place] == expected[place] and found[place - count] == expected[place]
        assert type(found[place]) is Problem and type(found[place].difficulty) is int
    with pytest.raises(IndexError):
        found[count]
    assert pickle.loads(pickle.dumps(found))[:5] == expected[:5]


def test_a_store_is_named_by_subject_and_fingerprint_and_other_keys_are_other_stores(tmp_path: Path) -> None:
    assert kept(tmp_path)[1] and kept(tmp_path, key={**KEY, "seed": 4})[1] and not kept(tmp_path)[1]
    assert kept(tmp_path, key={**KEY, "seed": "3"})[1], "a text is not a number"
    assert not kept(tmp_path, key=dict(reversed(KEY.items())))[1], "the order of a key's parts says nothing"
    assert len(names(tmp_path)) == 3
    assert all(name.startswith("word_list-") and len(name) == len("word_list-") + 32 for name in names(tmp_path))
    manifest = json.loads((tmp_path / names(tmp_path)[0] / "manifest.json").read_text())
    assert manifest["rows"] == 10 and manifest["key"]["subject"] == "word/list"


def loaded(folder: Path, monkeypatch: pytest.MonkeyPatch, name: str, text: str) -> ModuleType:
    """A module with this text, anew; its size differs from call to call, or a compiled file could pass for it."""
    (folder / f"{name}.py").write_text(text)
    monkeypatch.syspath_prepend(str(folder))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    sys.modules.pop(name, None)
    importlib.invalidate_caches()
    module = importlib.import_module(name)
    monkeypatch.setitem(sys.modules, name, module)
    return module


def test_an_edited_source_never_gets_the_old_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def answers(answer: str, word: str) -> tuple[set[str], set[str]]:
        loaded(tmp_path, monkeypatch, "words_helper", f"WORD = {word!r}\n")
        subject = loaded(tmp_path, monkeypatch, "words", DRAWS.format(helper="words_helper", answer=answer)).Words()
        found = stored(tmp_path / "kept", KEY, sources_of(subject), lambda: subject.draw(1, 5))
        assert isinstance(found, Stored)
        return {row.answer for row in found}, {row.prompt.split()[0] for row in found}

    assert answers("'old'", "a") == ({"old"}, {"a"})
    assert answers("'new'", "a") == ({"new"}, {"a"}), "the subject's own module changed"
    assert answers("'new'", "b") == ({"new"}, {"b"}), "a module that it imports changed"
    assert len(names(tmp_path / "kept")) == 3
    assert answers("'old'", "a") == ({"old"}, {"a"}), "and back"
    assert len(names(tmp_path / "kept")) == 3


def test_nothing_is_stored_by_code_that_is_no_longer_in_its_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded(tmp_path, monkeypatch, "words_helper", "WORD = 'a'\n")
    text = DRAWS.format(helper="words_helper", answer="'old'")
    subject = loaded(tmp_path, monkeypatch, "words", text).Words()
    (tmp_path / "words.py").write_text(text.replace("old", "newer"))
    with pytest.warns(UserWarning, match="words changed since it was loaded, nothing is stored"):
        found = stored(tmp_path / "kept", KEY, sources_of(subject), lambda: subject.draw(1, 5))
    assert found[0].answer == "old" and names(tmp_path / "kept") == []


def test_the_sources_of_a_subject_are_its_module_and_what_that_imports() -> None:
    found = {getattr(each, "__name__", str(each)) for each in sources_of(RunningSum())}
    ours = {"running_sum", "numbers", "subject", "example", "vocabulary"}  # some of them only through others
    assert {f"dlmreason.tasks.{name}" for name in ours} <= found
    assert any("drawn" in name for name in found), "what draws a split decides its rows too"
    assert not any("sudoku" in name or "torch" in name for name in found)
    assert any(name.startswith("numpy ") for name in found), "an installed package stands with its version"


def test_a_subject_without_a_file_is_refused() -> None:
    typed: dict[str, type] = {}
    exec("class Typed:\n    name = 'typed'\n", {"__name__": "nowhere_at_all"}, typed)
    with pytest.raises(ValueError, match=r"nowhere_at_all cannot be read.*task\.cache=null"):
        sources_of(typed["Typed"]())  # type: ignore[arg-type]


def test_a_missing_source_is_said(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"source .*nothing\.py cannot be read"):
        stored(tmp_path, KEY, [tmp_path / "nothing.py"], lambda: rows(1))


PROCESS = """
import sys
from pathlib import Path
from dlmreason.tasks.cache import Stored, sources_of, stored
from dlmreason.tasks.running_sum import RunningSum
from dlmreason.tasks.subject import Problem
folder, how = Path(sys.argv[1]), sys.argv[2]
if how == "imported":
    import dlmreason.tasks.written, dlmreason.tasks.drawn
subject = RunningSum()

def make():
    while how == "together" and not (folder / "go").exists():
        pass
    print("made")
    return subject.draw(1, 3_000)

class Killed(list):
    def __getitem__(self, part):
        if isinstance(part, slice) and part.start:
            import os
            os._exit(9)
        return super().__getitem__(part)

made = (lambda: Killed(make())) if how == "killed" else make
found = stored(folder / "kept", {"subject": "sums"}, sources_of(subject), made)
assert type(found) is Stored and list(found) == subject.draw(1, 3_000)
assert not {"torch", "transformers", "lightning", "tensorflow"} & sys.modules.keys()
"""


def run(folder: Path, how: str) -> subprocess.Popen[str]:
    environment = {**os.environ, "PYTHONWARNINGS": "error::UserWarning", "HF_HUB_OFFLINE": "1"}
    return subprocess.Popen(
        [sys.executable, "-c", PROCESS, str(folder), how], stdout=-1, stderr=-1, text=True, env=environment
    )


def test_processes_share_a_store_and_do_not_harm_each_other(tmp_path: Path) -> None:
    together = [run(tmp_path, "together") for _ in range(2)]
    time.sleep(1.5)
    (tmp_path / "go").touch()
    for process in together:
        out, error = process.communicate()
        assert (process.returncode, error) == (0, ""), error
        assert out in ("made\n", ""), "and it is quiet"
    assert len(names(tmp_path / "kept")) == 1, "one store, and nothing left beside it"
    out, error = run(tmp_path, "imported").communicate()
    assert (out, error) == ("", ""), "what else is imported makes no other store"


def test_a_writer_that_is_killed_leaves_nothing_that_is_read(tmp_path: Path) -> None:
    killed = run(tmp_path, "killed")
    assert killed.communicate()[0] == "made\n" and killed.returncode == 9
    assert [name.startswith(".") for name in names(tmp_path / "kept")] == [True], "it was in the middle of it"
    assert run(tmp_path, "alone").communicate() == ("made\n", "")
    assert run(tmp_path, "alone").communicate() == ("", "")


def test_what_cannot_be_made_is_not_stored(tmp_path: Path) -> None:
    def fails() -> list[Problem]:
        raise RuntimeError("no more")

    with pytest.raises(RuntimeError, match="no more"):
        stored(tmp_path, KEY, [], fails)
    assert names(tmp_path) == []


def truncated(place: Path) -> None:
    data = (place / "rows.arrow").read_bytes()
    (place / "rows.arrow").write_bytes(data[: len(data) // 2])


def flipped(place: Path) -> None:
    data = bytearray((place / "rows.arrow").read_bytes())
    data[len(data) // 2] ^= 1
    (place / "rows.arrow").write_bytes(data)


DAMAGE = {
    "truncated": truncated,
    "empty": lambda place: (place / "rows.arrow").write_bytes(b""),
    "flipped": flipped,
    "gone": lambda place: (place / "rows.arrow").unlink(),
    "unlisted": lambda place: (place / "manifest.json").unlink(),
    "not json": lambda place: (place / "manifest.json").write_text("{"),
    "no object": lambda place: (place / "manifest.json").write_text("[]"),
    "short": lambda place: (place / "manifest.json").write_text('{"rows": 10}'),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_store_is_noticed_and_made_again(tmp_path: Path, damage: str) -> None:
    kept(tmp_path)
    DAMAGE[damage](tmp_path / names(tmp_path)[0])
    with pytest.warns(UserWarning, match=r"task\.cache: .* is damaged \(.*\) and is made again"):
        assert kept(tmp_path)[1]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found, made = kept(tmp_path)
    assert not made and list(found) == rows(10) and len(names(tmp_path)) == 1


def test_a_large_store_is_known_by_its_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache, "HASHED", 10)
    monkeypatch.setattr(cache, "_sha256", lambda path: "")
    kept(tmp_path)
    assert not kept(tmp_path)[1]
    truncated(tmp_path / names(tmp_path)[0])
    with pytest.warns(UserWarning, match="bytes, not"):
        assert kept(tmp_path)[1]


def test_a_folder_that_cannot_be_one_is_refused_and_a_full_disk_is_survived(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ValueError, match=r"task\.cache=.*file must be a folder that can be written"):
        kept(tmp_path / "file")

    def full(path: Path, problems: object) -> None:
        path.write_bytes(b"some")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(cache, "_write", full)
    with pytest.warns(UserWarning, match=r"cannot be stored \(.*No space left"):
        assert stored(tmp_path / "full", KEY, [], lambda: rows(10)) == rows(10)
    assert names(tmp_path / "full") == []


def test_what_cannot_be_written_as_text_is_given_as_it_is(tmp_path: Path) -> None:
    odd = [Problem("\ud800", "", "1", 0)]
    with pytest.warns(UserWarning, match="cannot be stored"):
        assert stored(tmp_path, KEY, [], lambda: odd) == odd
    assert names(tmp_path) == []


def speeds(folder: Path, count: int) -> dict[str, float]:
    """Problems a second, of one core."""
    texts = [Problem(f"{i} " * 40, f"{i} " * 60, f"{i}", i % 5, '{"a": [1, 2]}') for i in range(count)]
    found = stored(folder, KEY, [], lambda: texts)
    order = [i * 7_919 % count for i in range(2_000)]
    ways = {
        "iterate": lambda: sum(1 for _ in found),
        "slice": lambda: len(found[:]),
        "batches of 64": lambda: sum(len(found[start : start + 64]) for start in range(0, count, 64)),
        "one at a time, anywhere": lambda: sum(1 for place in order if found[place]),
    }
    measured = {}
    for way, work in ways.items():
        started = time.process_time()
        measured[way] = work() / (time.process_time() - started)
    return measured


@pytest.mark.bench
def test_speed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    measured = speeds(tmp_path, 200_000)
    with capsys.disabled():
        print("\n" + "\n".join(f"{way}: {speed:,.0f} problems a second" for way, speed in measured.items()))
    least = {"iterate": 20_000, "slice": 20_000, "batches of 64": 20_000, "one at a time, anywhere": 2_000}
    assert all(measured[way] > speed for way, speed in least.items())
