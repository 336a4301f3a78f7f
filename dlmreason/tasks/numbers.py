"""Numbers out of a model's text, without ever evaluating it.

This file decides which texts are numbers: ASCII digits only, so that no full-width digit and no underscore passes,
and few enough of them that arithmetic stays cheap.
"""

import re
from fractions import Fraction

MOST_DIGITS = 30

_NATURAL = re.compile(r"[0-9]+", re.ASCII)
_DECIMAL = re.compile(r"(?P<sign>[-+]?)(?P<whole>[0-9]+|[0-9]{1,3}(?:,[0-9]{3})+|)(?P<rest>\.[0-9]*)?", re.ASCII)


def natural(text: str, leading_zeros: bool = False) -> int | None:
    """0, 1, 2, ... written in at most MOST_DIGITS digits, and, unless allowed, without leading zeros; else None."""
    if len(text) > MOST_DIGITS or not _NATURAL.fullmatch(text):
        return None
    return None if text[0] == "0" and len(text) > 1 and not leading_zeros else int(text)


def decimal(text: str) -> Fraction | None:
    """A decimal number such as -1,234.50, exactly; None for any other text."""
    found = _DECIMAL.fullmatch(text) if len(text) <= 2 * MOST_DIGITS else None
    if found is None:
        return None
    whole, rest = found["whole"].replace(",", ""), (found["rest"] or "").removeprefix(".")
    if not (whole or rest) or len(whole) + len(rest) > MOST_DIGITS:
        return None
    value = Fraction(int(whole + rest or "0"), 10 ** len(rest))
    return -value if found["sign"] == "-" else value
