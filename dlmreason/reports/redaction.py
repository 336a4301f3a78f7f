"""Takes what looks like a secret out of text and settings before they are written where others may read them.

This file decides what looks like a secret: a name that says so, or a value of a known shape. It errs on the side of
taking out.
"""

import re
from collections.abc import Mapping
from typing import Any

GONE = "(redacted)"

_WORDS = (
    r"api[_-]?key|secret|token|passw(?:or)?d|passphrase|credential|private[_-]?key|access[_-]?key|account[_-]?key"
    r"|encryption[_-]?key|authorization"
)
_NAME = re.compile(rf"(?i)({_WORDS})s?$")
_OPTION = re.compile(rf"(?i)--?[\w-]*(?:{_WORDS})s?")
_SHAPES = re.compile(
    r"(?i:(?<=bearer )|(?<=basic ))[A-Za-z0-9._~+/=-]{8,}"
    # Prefixes by which issuers mark their tokens so that they are found.
    r"|\b(?:hf|gh[opsur]|glpat|github_pat|sk|pk|rk|xox[abeprs]|xapp|npm|r8|gsk|nvapi|dop_v1|shp(?:at|ca|pa|ss)|lin_api"
    r"|tskey|whsec)[_-][A-Za-z0-9_-]{16,}"
    r"|\b(?:pypi|dp\.[a-z]{2})[-.][A-Za-z0-9_-]{16,}"
    r"|\bwandb_v\d_[A-Za-z0-9_-]{16,}"
    r"|\b(?:AKIA|ASIA)[0-9A-Z]{16}\b"
    r"|\bAIza[A-Za-z0-9_-]{35}"
    r"|\bya29\.[A-Za-z0-9_-]{16,}"
    r"|\bSG\.[A-Za-z0-9_-]{16,}\.[A-Za-z0-9_-]{16,}"
    r"|\bdapi[0-9a-f]{32}\b"
    r"|\b\d{8,10}:[A-Za-z0-9_-]{35}\b"
    r"|\bAGE-SECRET-KEY-1[0-9A-Z]{20,}"
    r"|(?<=hooks\.slack\.com/services/)[A-Za-z0-9/]{16,}"
    r"|\beyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{6,}"
    r"|(?<=://)[^/\s:@]+:[^/\s@]+(?=@)"
    r"|-----BEGIN [A-Z ]*PRIVATE KEY-----[\s\S]*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)"
)
_ASSIGNED = re.compile(
    rf"(?im)((?:^|[\s,;?&{{=\"'-])[\w.-]*?(?:{_WORDS})s?"
    r"[\"']?\s*[=:]\s*)(\"[^\"]*\"|'[^']*'|[^\s,;&}#]+)"
)


_SET = re.compile(rf"(?i)((?:{_WORDS})s?=)([A-Za-z0-9+/_.~-]{{16,}}=*)")
"""A long value right behind a telling name: no script is written so."""


def redact_text(text: str) -> str:
    """The text without values of a known secret shape, and without what follows a name like `api_key=` or `token:`."""
    return _ASSIGNED.sub(lambda found: found[1] + (found[2] if _harmless(found[2]) else GONE), _SHAPES.sub(GONE, text))


def shaped(text: str) -> bool:
    """Whether a text holds what `without_shapes` takes out."""
    return bool(_SHAPES.search(text) or _SET.search(text))


def without_shapes(text: str) -> str:
    """The text without values of a known secret shape and long ones right behind a telling name and `=`.

    For pages and data, where `token: next` is a script's own and has to stay.
    """
    return _SET.sub(lambda found: found[1] + GONE, _SHAPES.sub(GONE, text))


def _harmless(value: str) -> bool:
    """True for what no secret looks like: null, a truth value, a plain number."""
    return bool(re.fullmatch(r"null|none|true|false|[\d.]+", value.strip("\"'").lower())) and len(value) < 12


def redact(value: Any) -> Any:
    """A copy of plain settings (mappings, lists, texts, numbers) with the secrets taken out."""
    if isinstance(value, Mapping):
        return {str(key): GONE if _hides(str(key), each) else redact(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        before = [None, *value]  # a command line may give an option and its value as two words
        return [GONE if _follows(option, each) else redact(each) for option, each in zip(before, value, strict=False)]
    return redact_text(value) if isinstance(value, str) else value


def _follows(option: Any, value: Any) -> bool:
    named = isinstance(option, str) and _OPTION.fullmatch(option)
    return bool(named) and isinstance(value, str) and not _harmless(value)


def _hides(key: str, value: Any) -> bool:
    return bool(_NAME.search(key)) and isinstance(value, str) and value != "" and not _harmless(value)
