"""Takes what looks like a secret out of text and settings before they are written where others may read them.

This file decides what looks like a secret: a name that says so, or a value of a known shape. It errs on the side of
taking out.
"""

import re
from collections.abc import Mapping
from typing import Any

GONE = "(redacted)"

_NAME = re.compile(
    r"(?i)(api[_-]?key|secret|token|passw(or)?d|credential|private[_-]?key|access[_-]?key|authorization)s?$"
)
_SHAPES = re.compile(
    r"(?i:(?<=bearer )|(?<=basic ))[A-Za-z0-9._~+/=-]{8,}"
    r"|\b(?:hf|ghp|gho|ghs|ghu|glpat|github_pat|sk|pk|xox[abp])[_-][A-Za-z0-9_-]{16,}"
    r"|\bwandb_v\d_[A-Za-z0-9_-]{16,}"
    r"|\bAKIA[0-9A-Z]{16}\b"
    r"|\beyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{6,}"
    r"|(?<=://)[^/\s:@]+:[^/\s@]+(?=@)"
    r"|-----BEGIN [A-Z ]*PRIVATE KEY-----[\s\S]*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)"
)
_ASSIGNED = re.compile(
    r"(?im)((?:^|[\s,;?&{\"'-])[\w.-]*?"
    r"(?:api[_-]?key|secret|token|passw(?:or)?d|credential|private[_-]?key|access[_-]?key)s?"
    r"[\"']?\s*[=:]\s*)(\"[^\"]*\"|'[^']*'|[^\s,;&}#]+)"
)


def redact_text(text: str) -> str:
    """The text without values of a known secret shape, and without what follows a name like `api_key=` or `token:`."""
    return _ASSIGNED.sub(lambda found: found[1] + (found[2] if _harmless(found[2]) else GONE), _SHAPES.sub(GONE, text))


def _harmless(value: str) -> bool:
    """True for what no secret looks like: null, a truth value, a plain number."""
    return bool(re.fullmatch(r"null|none|true|false|[\d.]+", value.strip("\"'").lower())) and len(value) < 12


def redact(value: Any) -> Any:
    """A copy of plain settings (mappings, lists, texts, numbers) with the secrets taken out."""
    if isinstance(value, Mapping):
        return {str(key): GONE if _hides(str(key), each) else redact(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [redact(each) for each in value]
    return redact_text(value) if isinstance(value, str) else value


def _hides(key: str, value: Any) -> bool:
    return bool(_NAME.search(key)) and isinstance(value, str) and value != "" and not _harmless(value)
