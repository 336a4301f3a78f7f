"""Secrets go, everything else stays."""

import json
import re
import sys
from pathlib import Path

import pytest

from dlmreason import launch
from dlmreason.folder import describe
from dlmreason.reports import local
from dlmreason.reports.dashboard import sections_of
from dlmreason.reports.mirror import Mirror
from dlmreason.reports.redaction import GONE, redact, redact_text, shaped, without_shapes
from dlmreason.reports.series import Table
from dlmreason.reports.shown import Shown
from tests.reports.leet import inspect

# Put together here, so that no scanner of repositories takes this file for a leak.
SECRETS = [
    "hf_" + "aB3" * 10,
    "ghp_" + "a1B2" * 9,
    "github_pat_" + "a1" * 20,
    "glpat-" + "a1B2c" * 4,
    "sk-" + "x9Y" * 14,
    "sk-ant-" + "api03-" + "x9Y_" * 12,
    "sk_" + "live_" + "a1B2" * 6,
    "AKIA" + "ABCDEFGH12345678",
    "AIza" + "aB3-_" * 7,
    "ya29." + "a0Af_" * 6,
    "xoxb-" + "1234567890-" + "aB3" * 8,
    "npm_" + "aB3d" * 9,
    "pypi-" + "AgEIcHlwaS5vcmc" + "aB3" * 8,
    "SG." + "aB3d" * 5 + "x." + "aB3d" * 10,
    "dapi" + "0123456789abcdef" * 2,
    "dop_v1_" + "0123456789abcdef" * 4,
    "r8_" + "aB3d" * 9,
    "123456789:" + "AAH" + "aB3d" * 8,
    "AGE-SECRET-KEY-1" + "QPZRY9X8" * 6,
    "wandb_v1_" + "aB3d" * 10,
    "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.abcDEF123456",
    "-----BEGIN RSA PRIVATE KEY-----\nabc\n-----END RSA PRIVATE KEY-----",
]
NAMED = {
    "WANDB_API_KEY=": "0123456789abcdef" * 2 + "01234567",
    "AWS_SECRET_ACCESS_KEY=": "wJalrXUtnFEMI/K7MDENG/" + "bPxRfiCYzz",
    "DefaultEndpointsProtocol=https;AccountKey=": "aB3d" * 15 + "==",
    "https://me:": "hunter2hunter2@example.org"[:14],
    "Authorization: Basic ": "bWU6aHVudGVyMg" + "aB3d",
}
"""Secrets that have no shape, behind what gives them away."""

ALL = [(text, text) for text in SECRETS] + [
    (f"{name}{secret}" + ("@example.org" if "://" in name and "me:" in name else ""), secret)
    for name, secret in NAMED.items()
]
"""(as it stands, what must not be found)."""


@pytest.mark.parametrize("secret", SECRETS)
def test_known_shapes_go_wherever_they_stand(secret):
    for text in (secret, f"seen {secret} here", f"url?x={secret}&y=1"):
        assert secret not in redact_text(text)
    assert secret not in str(redact({"a": [{"note": f"it is {secret}"}]}))


@pytest.mark.parametrize("name", ["api_key", "WANDB_API_KEY", "hub.token", "password", "db-secret", "accessKey"])
def test_values_of_telling_names_go(name):
    secret = "correct horse battery"
    assert redact({"logger": {name: secret}}) == {"logger": {name: GONE}}
    for text in (
        f"{name}=c0rrect-horse",
        f'{name}: "c0rrect-horse"',
        f"--{name}=c0rrect-horse --seed=1",
        f'{{"{name}": "c0rrect-horse"}}',
    ):
        assert "c0rrect-horse" not in redact_text(text)


def test_a_password_in_an_address_goes():
    assert "hunter2" not in redact_text("https://me:hunter2@example.org/x") and "example.org" in redact_text(
        "https://me:hunter2@example.org/x"
    )


def test_ordinary_settings_stay():
    plain = {
        "tokens": 5,
        "token": None,
        "max_tokens": "128",
        "name": "demo",
        "key": "abc",
        "sha256": "ab" * 32,
        "passes": [1, 2.5, True],
    }
    assert redact(plain) == plain
    ordinary = ["token", "--seed", "3", "--max-tokens", "128", "sha256:" + "ab" * 32, "sketch_of_a_long_name_here"]
    assert redact(ordinary) == ordinary
    text = "task: sudoku\nbudget.passes=1024\ntokens: 36\nmask_token: null\nmonkey: banana"
    assert redact_text(text) == text


def test_a_value_after_its_option_goes():
    words = ["python", "--token", "correct-horse", "--api-key", "abc", "seed=1", "--secret", "true"]
    assert redact(words) == ["python", "--token", GONE, "--api-key", GONE, "seed=1", "--secret", "true"]


def test_there_are_enough_secrets():
    assert len({secret for _, secret in ALL}) == len(ALL) >= 25


@pytest.mark.parametrize(("text", "secret"), ALL)
def test_a_secret_goes_from_every_text(text, secret):
    for place in (text, f"seen {text} here", [text], {"note": text}, {"a": [{"b": f"x {text}"}]}):
        assert secret not in json.dumps(redact(place)) and secret not in redact_text(str(place)).replace("\\n", "\n")


@pytest.mark.parametrize("secret", [each for each in SECRETS if re.fullmatch(r"[\w.-]+", each)])
def test_no_run_is_named_after_a_secret(secret):
    """A name is a folder's, a group's and a page's: it cannot be taken out, so it is refused."""
    assert "looks like a secret" in str(launch.RULES["name"].check(secret[:100]))


def test_our_own_pages_stay_as_they_are():
    """A script that were changed would no longer be the one that the page's content policy lets run."""
    folder = Path(local.__file__).parent
    files = [*folder.glob("*.js"), *folder.glob("*.css"), *folder.glob("*.html")]
    assert len(files) > 4 and not any(shaped(path.read_text()) for path in files)


@pytest.mark.parametrize(("text", "secret"), ALL)
def test_a_page_is_shown_without_it(text, secret):
    assert secret not in without_shapes(f"<p>{text}</p><script>const token = next(1234567890123456)</script>")
    assert shaped(text)


def test_ordinary_names_are_names():
    for name in ("demo", "demo_1", "demo-doubt-12-2", "sk_small", "remask_vs_no_remask_with_a_very_long_name"):
        assert launch.RULES["name"].check(name) is None


def test_nothing_that_was_written_holds_a_secret(tmp_path, monkeypatch, capsys):
    """Every secret in every place, in a real W&B run: configuration, command line, environment, error texts, names,
    texts of tasks. A harmless word beside each shows that the place does reach what is written."""
    said = "\n".join(text for text, _ in ALL)
    for number, (text, _) in enumerate(ALL):
        monkeypatch.setenv(f"OWN_{number}", text)
    settings = {"name": "run", "seed": 0, "task": {"note": f"in-config {said}", "list": [text for text, _ in ALL]}}
    argv = ["python", *(f"note={text}" for text, _ in ALL), "in-argv"]
    monkeypatch.setattr(sys, "orig_argv", argv)
    describe(tmp_path, settings)
    page = tmp_path / "page.html"
    page.write_text(f"<p>in-page {said}")
    (tmp_path / "own.jsonl").write_text(f"in-artifact {said}")
    (tmp_path / "clean.jsonl").write_text("in-clean")
    named = {"name": f"in-name {said}", "group": f"in-group {ALL[0][0]}", "tags": [ALL[1][0], "in-tag"]}
    out = Mirror(folder=tmp_path, config=settings | {"argv": argv}, **named)
    out.table("words", ["word"], [[f"in-task {text}"] for text, _ in ALL])
    out.page("page", page)
    out.artifact("files", "records", [tmp_path / "own.jsonl"])
    out.artifact("files", "records", [tmp_path / "clean.jsonl"])
    out.summary({"note": f"in-summary {said}"})

    def fail() -> Shown:
        raise ValueError(f"in-error {said}")

    out.found(fail, tmp_path)
    out._send("page", {"name": "gone", "path": f"in-failure {said}"})  # a file that is not there: W&B's own error
    out.finish()
    shown = Shown("run", tables=[Table("changed_minds", ("word",), [[f"in-local {text}"] for text, _ in ALL])])
    spec = sections_of([{"name": "s", "panels": [{"title": "t", "table": "changed_minds"}]}])
    (tmp_path / "dashboard.html").write_text(local.render(shown, spec))
    given = {page, tmp_path / "own.jsonl"}
    files = [path for path in tmp_path.rglob("*") if path.is_file() and path not in given]
    written = b"\n".join(path.read_bytes() for path in files).decode("utf-8", errors="replace")
    written += json.dumps(inspect(tmp_path)) + capsys.readouterr().err
    words = ["config", "argv", "page", "clean", "name", "group", "tag", "task", "summary", "error", "failure", "local"]
    assert [word for word in words if f"in-{word}" not in written] == []
    assert "in-artifact" not in written
    assert [secret for _, secret in ALL if secret in written or json.dumps(secret)[1:-1] in written] == []
