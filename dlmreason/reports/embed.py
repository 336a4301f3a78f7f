"""Texts into one HTML file that runs no script but ours.

This file decides how a template is filled, how data lies in it, and the hash by which a content policy knows a script.
It knows no page.
"""

import base64
import hashlib
import json
import re
from collections.abc import Mapping
from typing import Any


def filled(template: str, parts: Mapping[str, str]) -> str:
    """The template with every `{{name}}` replaced, in one walk: what is put in is never searched for places again."""
    return re.sub(r"\{\{(\w+)\}\}", lambda place: parts[place[1]], template)


def hashed(text: str) -> str:
    """A script or style as a content policy names it."""
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def embedded(content: Any) -> str:
    """JSON that may stand inside a script element: nothing in it can end the element or open another.

    Raises: ValueError for a number that JSON cannot hold.
    """
    text = json.dumps(content, separators=(",", ":"), allow_nan=False)
    return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")
