"""Numbers out of hostile text: exact where they are numbers, None otherwise, at once."""

import time
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dlmreason.tasks.numbers import MOST_DIGITS, decimal, natural
from tests.tasks.laws import POISON


@given(st.integers(0, 10**MOST_DIGITS - 1))
def test_every_natural_number_is_read(number: int) -> None:
    assert natural(str(number)) == number
    assert natural(f"0{number}") is None
    assert natural(f"0{number}", leading_zeros=True) == (number if number < 10 ** (MOST_DIGITS - 1) else None)


@given(st.text())
def test_what_is_read_is_written_in_ascii_digits(text: str) -> None:
    assert (natural(text, leading_zeros=True) is not None) == (
        0 < len(text) <= MOST_DIGITS and set(text) <= set("0123456789")
    )


@given(st.integers(-(10**9), 10**9), st.integers(0, 6))
def test_decimals_are_exact(whole: int, places: int) -> None:
    value = Fraction(whole, 10**places)
    digits = f"{abs(whole):0{places + 1}d}"
    text = f"{'-' * (whole < 0)}{digits[: len(digits) - places]}.{digits[len(digits) - places :]}"
    assert decimal(text) == value


@pytest.mark.parametrize(
    ("text", "value"),
    [("1,234.50", Fraction(2469, 2)), ("1,234,567", 1234567), (".5", Fraction(1, 2)), ("5.", 5), ("+3", 3), ("-0", 0)],
)
def test_how_people_write(text: str, value: Fraction) -> None:
    assert decimal(text) == value


@pytest.mark.parametrize(
    "text", ["", ".", "-", "1,23", "12,3456", ",123", "1.2.3", "1e5", "½", "\uff11", "1_0", " 1", "1 "]
)
def test_what_is_no_number(text: str) -> None:
    assert decimal(text) is None


def test_poison_is_no_natural_number_and_costs_nothing() -> None:
    started = time.process_time()
    assert [text for text in POISON if natural(text) is not None or (decimal(text) is not None and text != "-0")] == []
    assert time.process_time() - started < 0.5
