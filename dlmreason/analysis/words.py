"""Numbers as a person reads them, the same in the verdict, the terminal and the page.

This file decides digits and units. It knows nothing of what the numbers mean.
"""

from collections.abc import Sequence


def percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def percent_interval(low: float, high: float) -> str:
    return f"[{100 * low:.1f}, {100 * high:.1f}]"


def points_of_gain(gain: float, low: float, high: float) -> str:
    """A difference of shares in percentage points, with its interval."""
    return f"{100 * gain:+.1f} points [{100 * low:+.1f}, {100 * high:+.1f}]"


def p_value(p: float) -> str:
    return "p < .001" if p < 0.001 else f"p = {p:.3f}".replace("0.", ".", 1)


def area(value: float, low: float, high: float) -> str:
    """An area under a curve with its interval: `.981 [.962, .992]`."""
    one, two, three = (f"{each:.3f}".removeprefix("0") for each in (value, low, high))
    return f"{one} [{two}, {three}]"


def flops(count: float) -> str:
    """Three digits and a unit: `4.84 MFLOP`. A multiply-add is 2."""
    for size, unit in ((1e18, "E"), (1e15, "P"), (1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
        if count >= size:
            return f"{count / size:.3g} {unit}FLOP" if count < 999.5 * size else f"{count / size:.0f} {unit}FLOP"
    return f"{count:.0f} FLOP"


def passes(count: int) -> str:
    return f"{count:,} pass" + ("" if count == 1 else "es")


def times(count: int) -> str:
    return {1: "once", 2: "twice"}.get(count, f"{count:,} times")


def number(value: float) -> str:
    """A mean of counts: whole where it is whole, else one decimal."""
    return f"{value:,.0f}" if value == int(value) or value >= 1000 else f"{value:,.1f}"


def listed(names: Sequence[str], word: str = "and") -> str:
    """`a`, `a and b`, `a, b and c`."""
    return f"{', '.join(names[:-1])} {word} {names[-1]}" if len(names) > 1 else "".join(names)
