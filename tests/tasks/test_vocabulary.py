import pytest
from hypothesis import given
from hypothesis import strategies as st

from dlmreason.tasks.vocabulary import Closed

DIGITS = Closed(["1", "2", "3", "4", "0"], ["a1", "b1"])


@given(st.lists(st.integers(0, DIGITS.size - 1)))
def test_ids_survive_the_round_trip(ids):
    assert DIGITS.encode(DIGITS.decode(ids)) == ids


@given(st.lists(st.sampled_from(DIGITS.symbols)).map(" ".join))
def test_texts_survive_the_round_trip(text):
    assert DIGITS.decode(DIGITS.encode(text)) == text


def test_ids_come_in_the_order_of_the_contract():
    assert DIGITS.symbols == ("1", "2", "3", "4", "0", "####", "<pad>", "<eos>", "a1", "b1", "<mask>")
    assert (DIGITS.marker_id, DIGITS.pad_id, DIGITS.eos_id, DIGITS.mask_id, DIGITS.size) == (5, 6, 7, 10, 11)


@pytest.mark.parametrize(
    ("text", "place", "symbol"), [("1 2 x", 3, "'x'"), ("1  2", 2, "''"), (" 1", 1, "''"), ("12", 1, "'12'")]
)
def test_an_unknown_symbol_is_named_with_its_place(text, place, symbol):
    with pytest.raises(ValueError, match=f"symbol {place} of the text is {symbol}"):
        DIGITS.encode(text)


@pytest.mark.parametrize("id", [-1, 11])
def test_an_id_outside_is_refused(id):
    with pytest.raises(ValueError, match="ids are 0 to 10"):
        DIGITS.symbol(id)


@pytest.mark.parametrize("symbols", [["1", "1"], ["####"], ["a b"], [""], ["<mask>"]])
def test_an_alphabet_that_could_not_round_trip_is_refused(symbols):
    with pytest.raises(ValueError, match="must differ"):
        Closed(symbols)
