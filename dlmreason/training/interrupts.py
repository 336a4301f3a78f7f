"""Ctrl-C and SIGTERM during a training: noted at once, obeyed after the update.

Lightning answers SIGTERM by ending with exit code 0, which tells a cluster that all is done; so its handlers are
replaced while a training runs. What is done about a signal is the trainer's to say.
"""

import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

WATCHED = (signal.SIGINT, signal.SIGTERM)

GRACE = 1.0
"""Seconds within which a repeated signal is the same one: `timeout` and `make` both pass it to a whole group."""


class Interrupted(BaseException):
    """A training was stopped by a signal and saved; the message says how to go on. No failure, so no Exception."""

    def __init__(self, message: str, signum: int) -> None:
        super().__init__(message)
        self.code = 128 + signum  # the exit code that says so


class Watch:
    """Remembers the first signal; a later one ends the process at once."""

    def __init__(self) -> None:
        self.received: signal.Signals | None = None
        self._at = 0.0

    def arm(self) -> None:
        """Take the signals over from whoever has them now."""
        if threading.current_thread() is threading.main_thread():  # no other thread gets signals
            for signum in WATCHED:
                signal.signal(signum, self._note)

    def _note(self, signum: int, frame: FrameType | None) -> None:
        now = time.monotonic()
        if self.received is None:
            self.received, self._at = signal.Signals(signum), now
            os.write(2, b"stopping after this update and saving; signal again to stop at once\n")
        elif now - self._at > GRACE:
            signal.signal(signum, signal.SIG_DFL)
            os.kill(os.getpid(), signum)


@contextmanager
def watching() -> Iterator[Watch]:
    """A watch that is armed within; whoever handled the signals before does so again afterwards."""
    before = {signum: signal.getsignal(signum) for signum in WATCHED}
    watch = Watch()
    watch.arm()
    try:
        yield watch
    finally:
        if threading.current_thread() is threading.main_thread():
            for signum, handler in before.items():
                signal.signal(signum, handler)
