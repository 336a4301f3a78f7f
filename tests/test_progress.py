"""Laws of what a person sees of long work: a true rate, a time left, and lines that a log can hold."""

import io

import pytest

from dlmreason import progress
from dlmreason.progress import Progress, duration


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time, to be set by a test."""
    clock = [1000.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: clock[0])
    return clock


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 s"), (0.4, "0 s"), (59.4, "59 s"), (59.6, "1 min 0 s"), (200, "3 min 20 s"), (3599.4, "59 min 59 s"),
        (3600, "1 h 0 min"), (7500, "2 h 5 min"), (100_000, "27 h 46 min"),
    ],
)  # fmt: skip
def test_durations(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_rate_and_time_left_are_of_this_sitting(now: list[float]) -> None:
    shown = Progress(1_000, "training", "updates", done=600, file=io.StringIO())
    assert shown.line(now[0]) == "training: 600 of 1,000 updates"  # nothing is known of the rate yet
    shown.advance(100, "loss 0.5")
    assert shown.line(now[0] + 50) == "training: 700 of 1,000 updates, 2.0/s, 2 min 30 s left, loss 0.5"
    shown.advance(300)
    assert shown.line(now[0] + 100) == "training: 1,000 of 1,000 updates, 4.0/s, 1 min 40 s, loss 0.5"


def test_slow_work_is_told_by_the_minute(now: list[float]) -> None:
    shown = Progress(10, "it", "examples", file=io.StringIO())
    shown.advance()
    assert "3.0/min, 3 min 0 s left" in shown.line(now[0] + 20)


def test_a_log_gets_whole_lines_now_and_then(now: list[float]) -> None:
    file = io.StringIO()
    with Progress(100, "it", "units", file=file) as shown:
        for _ in range(100):
            now[0] += 0.5
            shown.advance()
    lines = file.getvalue().splitlines()
    assert file.getvalue().endswith("\n") and "\r" not in file.getvalue() and "\033" not in file.getvalue()
    assert len(set(lines)) == len(lines) == 5  # every 10 of 50 seconds; the last of them is the end, told once
    assert lines[-1].startswith("it: 100 of 100 units, 2.0/s")


def test_a_terminal_has_one_line_that_is_rewritten(now: list[float]) -> None:
    file = Terminal()
    with Progress(100, "it", "units", file=file) as shown:
        for _ in range(100):
            now[0] += 0.05
            shown.advance()
    text = file.getvalue()
    assert text.count("\n") == 1 and text.endswith("\n")
    assert 20 <= text.count("\r") <= 27


def test_nothing_done_is_nothing_said() -> None:
    file = io.StringIO()
    with Progress(5, "it", "units", done=5, file=file):
        pass
    assert file.getvalue() == ""


def test_what_was_done_is_told_when_it_fails(now: list[float]) -> None:
    file = io.StringIO()
    with pytest.raises(RuntimeError), Progress(5, "it", "units", file=file) as shown:
        shown.advance(2)
        now[0] += 1
        raise RuntimeError
    assert file.getvalue().startswith("it: 2 of 5 units, 2.0/s")


def test_what_happens_within_a_unit_is_told_and_forgotten(now: list[float]) -> None:
    file = Terminal()
    with Progress(10, "arm", "examples", file=file) as shown:
        now[0] += 1
        shown.tell("7 under way")
        assert file.getvalue().endswith("arm: 0 of 10 examples, 7 under way\033[K")
        shown.advance(10, "9 of 10 right")
        now[0] += 1
        shown.tell("nobody under way")
        assert shown.done_now == 10
    assert "5.0/s, 2 s, 9 of 10 right, nobody under way" in file.getvalue()
    assert file.getvalue().endswith("9 of 10 right\033[K\n")
