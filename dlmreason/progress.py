"""Shows a person how far a long piece of work is: a rate and a time left.

On a terminal one line that is rewritten; elsewhere a plain line now and then, so that a log stays readable. It knows
nothing of the work.
"""

import sys
import time
from typing import Self, TextIO

TERMINAL_SECONDS = 0.2
PLAIN_SECONDS = 10.0


class Progress:
    """A context manager; call `advance` for each unit done.

    total: units in all.  done: units made before, by an earlier sitting; they do not count for the rate.  unit: plural.
    """

    def __init__(self, total: int, name: str, unit: str, done: int = 0, file: TextIO | None = None) -> None:
        self._total, self._name, self._unit = total, name, unit
        self._done = self._before = done
        self._file = file or sys.stderr
        self._rewrites = self._file.isatty()
        self._started = self._shown = time.monotonic()
        self._note = self._told = ""
        self._said = -1  # units done when a line was last shown

    def __enter__(self) -> Self:
        return self

    def advance(self, count: int = 1, note: str = "") -> None:
        """`count` more units are done; `note` is shown behind them."""
        self._done += count
        self._note = note or self._note
        self._show_now_and_then()

    def tell(self, told: str) -> None:
        """What happens within a unit, shown behind the note until there is something else to tell."""
        self._told = told
        self._show_now_and_then()

    @property
    def done_now(self) -> int:
        """Units of this sitting."""
        return self._done - self._before

    def _show_now_and_then(self) -> None:
        now = time.monotonic()
        if now - self._shown >= (TERMINAL_SECONDS if self._rewrites else PLAIN_SECONDS):
            self._show(now)

    def line(self, now: float) -> str:
        """What is shown at the time `now` of the monotonic clock."""
        rate = (self._done - self._before) / max(now - self._started, 1e-9)
        parts = [f"{self._name}: {self._done:,} of {self._total:,} {self._unit}"]
        if rate > 0:
            parts += [f"{rate:,.1f}/s" if rate >= 1 else f"{60 * rate:,.1f}/min"]
            left = max(self._total - self._done, 0) / rate
            parts += [f"{duration(left)} left" if left else f"{duration(now - self._started)}"]
        return ", ".join([*parts, *filter(None, (self._note, self._told))])

    def __exit__(self, *error: object) -> None:
        self._told = ""
        if self._done > self._before and (self._rewrites or self._said != self._done):
            self._show(time.monotonic(), last=True)

    def _show(self, now: float, last: bool = False) -> None:
        self._shown, self._said = now, self._done
        if self._rewrites:
            self._file.write(f"\r{self.line(now)}\033[K" + ("\n" if last else ""))
        else:
            self._file.write(self.line(now) + "\n")
        self._file.flush()


def duration(seconds: float) -> str:
    """`42 s`, `3 min 20 s`, `2 h 5 min`."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"
