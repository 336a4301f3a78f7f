import numpy as np

from dlmreason.tasks.example import SPLITS, FileError, example_seed, mix, random_orders, random_words, split_of


def test_a_seed_belongs_to_one_item():
    keys = [
        (task, split, seed, index)
        for task in ("a", "a/b")
        for split in SPLITS
        for seed in range(3)
        for index in range(50)
    ]
    assert len({example_seed(*key) for key in keys}) == len(keys)
    assert example_seed("a", "test", 1, 0) != example_seed("a", "test", 0, 1)  # no seed is another one shifted


def test_seeds_and_words_are_the_same_for_ever():
    assert example_seed("sudoku6x6", "test", 0, 0) == 10301837054087912278
    # the published first outputs of SplitMix64 for the seed 1234567
    assert random_words(1234567, 1, 3).tolist() == [[6457827717110365317, 3203168211198807973, 9817491932198370423]]


def test_words_do_not_depend_on_how_many_rows_are_drawn():
    assert (random_words(5, 3, 7) == random_words(5, 10, 7)[:3]).all()
    assert (np.sort(random_orders(5, 100, 9), axis=1) == np.arange(9)).all()


def test_splits_get_a_half_and_two_quarters():
    shares = np.bincount(split_of(mix(np.arange(40_000, dtype=np.uint64)))) / 40_000
    assert np.abs(shares - [0.5, 0.25, 0.25]).max() < 0.01  # four standard errors


def test_a_file_error_reads_path_line_reason():
    assert str(FileError("a/b.csv", 7, "too short")) == "a/b.csv:7: too short"
