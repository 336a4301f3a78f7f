"""Rows out of a hub's dataset: a folder in its form, a hub played by a server of the test, and hubs out of reach."""

import http.server
import json
import os
import socket
import subprocess
import sys
import threading
import time
from contextlib import contextmanager

import datasets
import pytest
from huggingface_hub import constants

from dlmreason.tasks.example import FileError
from dlmreason.tasks.hub import commit_of, load_hub
from dlmreason.tasks.rows import HOPELESS, Row

COMMIT = "0123456789abcdef0123456789abcdef01234567"
ROWS = [
    {"Question": "1+1", "answer": "count\n#### 2", "level": 1, "id": 5},
    {"Question": "", "answer": "4", "level": 2, "id": 5},
    {"Question": "3+3", "answer": "6", "level": 3, "id": 7},
]


@pytest.fixture(autouse=True)
def _own_cache(tmp_path, monkeypatch):
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)


@contextmanager
def hub(monkeypatch, answer):
    """A hub that answers every question by `answer`, (status, body) of (path)."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            status, body = answer(self.path)
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.end_headers()
            self.wfile.write(json.dumps(body).encode())

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setattr(constants, "ENDPOINT", f"http://127.0.0.1:{server.server_port}")
        yield
        server.shutdown()


def folder(path, rows=ROWS):
    path.mkdir()
    (path / "test.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(path)


def test_a_local_folder_gives_rows_and_bad_rows(tmp_path):
    path = folder(tmp_path / "data")
    file = load_hub(path, None, "test", None)
    assert list(file.rows) == [Row(f"hub:{path}", 1, "1+1", "count", "2"), Row(f"hub:{path}", 3, "3+3", "", "6")]
    assert file.settle("skip") == [f"hub:{path}:2: the prompt is empty"]
    assert file.revision == ""
    with pytest.raises(FileError, match=r"data:2: the prompt is empty"):
        file.settle("stop")


def test_the_hash_is_of_what_the_rows_say(tmp_path):
    first, same, other = (
        load_hub(folder(tmp_path / name, rows), None, "test", None).sha256
        for name, rows in (("a", ROWS), ("b", [row | {"level": 0} for row in ROWS]), ("c", ROWS[:1]))
    )
    assert first == same != other and len(first) == 64


@pytest.mark.parametrize(
    ("split", "config", "says"), [("dev", None, r'the split dev cannot be had: .*"dev"'), ("test", "main", "main")]
)
def test_what_a_dataset_lacks_is_named(tmp_path, split, config, says):
    with pytest.raises(ValueError, match=rf"^task\.dataset=.*data, task\.dataset_config={config}, .*{says}"):
        load_hub(folder(tmp_path / "data"), config, split, None)


def test_a_dataset_of_other_columns_is_given_up_soon(tmp_path):
    file = load_hub(folder(tmp_path / "data", [{"text": "x"}] * 500), None, "test", None)
    assert len(file.bad) == HOPELESS
    with pytest.raises(FileError, match=r"data:1: a column prompt or input or question or puzzle is needed"):
        file.settle("stop")


def test_a_revision_is_resolved_to_the_commit_that_is_read(monkeypatch):
    asked, loaded = [], []

    def answer(path):
        if "agent-harnesses" not in path:  # huggingface_hub's own question, once in a while
            asked.append(path)
        return 200, {"id": "openai/gsm8k", "sha": COMMIT, "tags": [], "siblings": []}

    def load_dataset(*args, **options):
        loaded.append((args, options))
        return datasets.Dataset.from_list(ROWS)

    monkeypatch.setattr(datasets, "load_dataset", load_dataset)
    with hub(monkeypatch, answer):
        file = load_hub("openai/gsm8k", "main", "test", "v1")
    assert asked == ["/api/datasets/openai/gsm8k/revision/v1"]
    assert loaded == [(("openai/gsm8k", "main"), {"split": "test", "revision": COMMIT})]
    assert file.revision == COMMIT
    assert file.rows[1] == Row(f"hub:openai/gsm8k@{COMMIT}", 3, "3+3", "", "6")


def test_without_a_network_as_asked_for_the_hub_is_not_asked(monkeypatch):
    table = datasets.Dataset.from_list(ROWS)
    table.info.download_checksums = {f"hf://datasets/openai/gsm8k@{COMMIT}/main/test.parquet": {"num_bytes": 1}}
    monkeypatch.setattr(datasets, "load_dataset", lambda *args, **options: table)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    asked = []
    with hub(monkeypatch, lambda path: asked.append(path) or (200, {})):
        file = load_hub("openai/gsm8k", "main", "test", None)
    assert asked == []
    assert file.revision == COMMIT, "the commit in the cache's own notes"


@pytest.mark.parametrize("status", [401, 403, 404])
def test_a_dataset_that_is_not_there_is_not_a_hub_out_of_reach(monkeypatch, status):
    with hub(monkeypatch, lambda path: (status, {"error": "no"})):
        with pytest.raises(ValueError, match=r"^task\.source=hub: http://127.* gives no dataset openai/gsm9k at v1: "):
            load_hub("openai/gsm9k", None, "test", "v1")


def test_a_name_that_can_be_none_is_refused():
    with pytest.raises(ValueError, match=r"gives no dataset a/b/c: Repo id must be in the form"):
        load_hub("a/b/c", None, "test", None)


UNREACHABLE = (
    r"^task\.source=hub: {place} cannot be reached \(.+\): use task\.source=files with task\.train_file=\.\.\. and "
    r"task\.file=\.\.\.; what was downloaded before is read with HF_HUB_OFFLINE=1$"
)


@pytest.mark.parametrize("place", ["http://127.0.0.1:9", "http://no-such-host.invalid"])
def test_a_hub_out_of_reach_is_said_at_once(monkeypatch, place):
    monkeypatch.setattr(constants, "ENDPOINT", place)
    started = time.monotonic()
    with pytest.raises(ValueError, match=UNREACHABLE.format(place=place)):
        load_hub("openai/gsm8k", "main", "test", None)
    assert time.monotonic() - started < 10


def test_a_hub_that_is_down_is_out_of_reach(monkeypatch):
    with hub(monkeypatch, lambda path: (503, {})), pytest.raises(ValueError, match=r"cannot be reached \(.*503"):
        load_hub("openai/gsm8k", None, "test", None)


def test_a_hub_that_never_answers_is_out_of_reach(monkeypatch):
    monkeypatch.setattr("dlmreason.tasks.hub.PATIENCE", 1.0)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setattr(constants, "ENDPOINT", f"http://127.0.0.1:{silent.getsockname()[1]}")
        started = time.monotonic()
        with pytest.raises(ValueError, match=r"cannot be reached \(.*(timed out|no answer)"):
            commit_of("openai/gsm8k", None)
        assert time.monotonic() - started < 5


def test_a_name_that_resolves_without_end_is_out_of_reach(monkeypatch):
    monkeypatch.setattr("dlmreason.tasks.hub.PATIENCE", 0.5)
    monkeypatch.setattr(socket, "getaddrinfo", lambda *args, **options: time.sleep(5))
    with pytest.raises(ValueError, match=r"https://huggingface.co cannot be reached \(no answer within 0.5 seconds\)"):
        commit_of("openai/gsm8k", None)


def test_a_whole_process_without_a_hub_ends_within_seconds(tmp_path):
    script = (
        "from dlmreason.tasks.hub import load_hub\n"
        "import time; started = time.monotonic()\n"
        "try: load_hub('openai/gsm8k', 'main', 'test', None)\n"
        "except ValueError as error: print(time.monotonic() - started, error)\n"
    )
    plain = {name: value for name, value in os.environ.items() if "OFFLINE" not in name}
    environment = plain | {"HF_ENDPOINT": "http://127.0.0.1:9", "HF_HOME": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=True, timeout=240
    )
    seconds, says = done.stdout.split(" ", 1)
    assert float(seconds) < 10 and "http://127.0.0.1:9 cannot be reached" in says


def test_nothing_heavy_is_imported_before_it_is_needed():
    script = (
        "import sys, dlmreason.tasks.hub, dlmreason.tasks.gsm8k, dlmreason.tasks.text_vocabulary\n"
        "print([name for name in ('datasets', 'huggingface_hub', 'tokenizers', 'transformers', 'torch') "
        "if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
