"""Laws of the stacked examples and of their order."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from dlmreason.training.sheets import Order, Sheets, seed_of


@dataclass
class Lying:
    tokens: Any
    editable: Any
    features: Any
    answer_at: int
    thoughts: Any


def lying(length: int, answer_at: int, thought_at: int, token: int = 1) -> Lying:
    place = np.arange(length)
    return Lying(
        np.full(length, token), place >= thought_at, np.stack([place, place], 1), answer_at, (place >= answer_at) * 1
    )


@given(rows=st.integers(1, 40), batch_size=st.integers(1, 50), seed=st.integers(0, 2**40))
def test_every_shuffle_has_every_example_once_whatever_the_batches(rows: int, batch_size: int, seed: int) -> None:
    order = Order(rows, batch_size, seed)
    batches = -(-3 * rows // batch_size)
    stream = torch.cat([order(batch) for batch in range(batches)])
    assert len(stream) == batches * batch_size
    for epoch in range(3):
        assert sorted(stream[epoch * rows : (epoch + 1) * rows].tolist()) == list(range(rows))


@given(batches=st.lists(st.integers(0, 30), min_size=1, max_size=10))
def test_a_batch_depends_on_its_number_alone(batches: list[int]) -> None:
    used = Order(17, 5, seed=2)
    for number in batches:
        assert torch.equal(used(number), Order(17, 5, seed=2)(number))


def test_shuffles_differ_by_epoch_and_seed() -> None:
    whole = [tuple(Order(50, 50, seed)(epoch).tolist()) for seed in range(3) for epoch in range(3)]
    assert len(set(whole)) == 9


def test_seeds_do_not_run_together() -> None:
    assert len({seed_of("batch", a, b) for a in range(50) for b in range(50)} | {seed_of("order", 0, 0)}) == 2501
    assert seed_of("a", 11, 1) != seed_of("a", 1, 11) != seed_of("a", 1, 1, 1)


def test_sheets_are_padded_and_only_answers_are_judged() -> None:
    stacked = Sheets.stack([lying(5, 4, 2), lying(3, 2, 2)], pad_id=7, mask_id=9, ids=["a", "b"])
    assert stacked.tokens.tolist() == [[1] * 5, [1, 1, 1, 7, 7]]
    assert stacked.editable.int().tolist() == [[0, 0, 1, 1, 1], [0, 0, 1, 0, 0]]
    assert stacked.judged.int().tolist() == [[0, 0, 0, 0, 1], [0, 0, 1, 0, 0]]
    assert stacked.features[1, :, 0].tolist() == [0, 1, 2, 0, 0]
    batch = stacked.take(torch.tensor([1, 1, 0]))
    assert batch.tokens.dtype == batch.features.dtype == torch.int64 and batch.mask_id == 9
    assert batch.tokens[:, 3].tolist() == [7, 7, 1]


def test_examples_that_cannot_be_trained_on_are_refused_by_name() -> None:
    with pytest.raises(
        ValueError, match=r"test/0/1 has no known answer, as have 1 of 2 examples.*puzzles with solutions"
    ):
        Sheets.stack([lying(4, 2, 2), lying(4, 2, 2, token=9)], pad_id=7, mask_id=9, ids=["test/0/0", "test/0/1"])
    with pytest.raises(ValueError, match="example 1 has no position"):
        Sheets.stack([lying(4, 2, 2), lying(4, 4, 4)], pad_id=7, mask_id=9)
    with pytest.raises(ValueError, match="no example to train on"):
        Sheets.stack([], pad_id=7, mask_id=9)
    good = Sheets.stack([lying(4, 2, 2)], pad_id=7, mask_id=9)
    with pytest.raises(ValueError, match=r"part of sheets\.editable"):
        replace(good, judged=~good.editable)
    with pytest.raises(ValueError, match="names 2 examples of 1"):
        replace(good, ids=("a", "b"))


def test_the_digest_sees_every_part() -> None:
    good = Sheets.stack([lying(4, 2, 2), lying(4, 3, 2)], pad_id=7, mask_id=9)
    others = [
        replace(good, tokens=good.tokens + 1),
        replace(good, judged=good.editable),
        replace(good, features=good.features * 2),
        replace(good, mask_id=8),
    ]
    assert len({sheets.digest() for sheets in [good, *others]}) == 5
    assert replace(good, ids=("a", "b")).digest() == good.digest()


@given(
    lengths=st.lists(st.tuples(st.integers(0, 4), st.integers(1, 12)), min_size=1, max_size=6), block=st.integers(1, 9)
)
def test_padding_beyond_the_block_in_which_a_text_ends_is_not_written(
    lengths: list[tuple[int, int]], block: int
) -> None:
    """Texts of some tokens behind prompts, on one canvas; and without blocks, all of it is."""
    sheets = []
    for prompt, text in lengths:
        sheet = lying(18, prompt, prompt)
        sheet.tokens[prompt + text :] = 7
        sheets.append(sheet)
    whole, early = (Sheets.stack(sheets, pad_id=7, mask_id=9, block=each) for each in (0, block))
    for row, (prompt, text) in enumerate(lengths):
        end = prompt + text - 1
        written = [prompt <= place and place // block <= end // block for place in range(18)]
        assert early.editable[row].tolist() == early.judged[row].tolist() == written
        assert whole.editable[row].tolist() == [prompt <= place for place in range(18)]
    full = Sheets.stack([lying(18, 2, 2)], pad_id=7, mask_id=9, block=block)
    assert full.editable[0].tolist() == [place >= 2 for place in range(18)], "a text without padding is written whole"
