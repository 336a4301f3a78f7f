"""Secrets go, everything else stays."""

import pytest

from dlmreason.reports.redaction import GONE, redact, redact_text

SECRETS = [
    "hf_" + "aB3" * 10,
    "ghp_" + "a1B2" * 9,
    "github_pat_" + "a1" * 20,
    "sk-" + "x9Y" * 14,
    "AKIA" + "ABCDEFGH12345678",
    "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.abcDEF123456",
    "-----BEGIN RSA PRIVATE KEY-----\nabc\n-----END RSA PRIVATE KEY-----",
]


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
    text = "task: sudoku\nbudget.passes=1024\ntokens: 36\nmask_token: null\nmonkey: banana"
    assert redact_text(text) == text
