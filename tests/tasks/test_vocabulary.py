import pytest
from hypothesis import given
from hypothesis import strategies as st

from dlmreason.tasks.vocabulary import WAIT, Characters, Closed

DIGITS = Closed(["1", "2", "3", "4", "0"], ["a1", "b1"])
WAITING = [DIGITS.with_wait(), Characters([*"123 <wait>"], ["|"]).with_wait()]


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


@given(vocabulary=st.sampled_from(WAITING), places=st.lists(st.floats(0, 1, exclude_max=True)))
def test_with_the_sign_ids_survive_the_round_trip(vocabulary, places):
    """But where single characters spell it: then the text is the sign, as it is for ####, <pad>, <eos>, <mask>."""
    ids = [int(place * vocabulary.size) for place in places]
    plain = "".join(vocabulary.symbols[id] if id < vocabulary.marker_id else " " for id in ids)
    if WAIT not in plain and "<eos>" not in plain:
        assert vocabulary.encode(vocabulary.decode(ids)) == ids


@pytest.mark.parametrize("kind", [Closed, Characters])
def test_the_sign_is_one_id_before_the_mask_and_changes_no_other(kind):
    plain = kind(["1", "2"], ["|"])
    waiting = plain.with_wait()
    assert plain.wait_id is None and WAIT not in plain.symbols
    assert waiting.symbols == (*plain.symbols[:-1], WAIT, "<mask>")
    assert (waiting.wait_id, waiting.mask_id, waiting.size) == (plain.mask_id, plain.mask_id + 1, plain.size + 1)
    joint = " " if kind is Closed else ""
    assert waiting.encode(joint.join(["1", WAIT, WAIT, "|"])) == [0, waiting.wait_id, waiting.wait_id, 5]
    with pytest.raises(ValueError, match=r"<wait>|'<'"):
        plain.encode(WAIT)
    with pytest.raises(ValueError, match="must"):
        waiting.with_wait()
