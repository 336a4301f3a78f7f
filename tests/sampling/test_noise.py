"""Laws of the counter-based noise."""

import zlib

import numpy as np
import pytest
import torch
from scipy import stats

from dlmreason.canvas import Hazard
from dlmreason.sampling.noise import STREAMS, Counter, _signed, fold, mix, words

IDS = torch.arange(4000) * 1_000_003 + 17


def counter(index: int = 5, seed: int = 3) -> Counter:
    return Counter(seed, IDS, torch.full_like(IDS, index))


def test_mix_is_splitmix_in_unsigned_arithmetic() -> None:
    """Against numpy's unsigned words: torch's int64 shift copies the sign."""
    words = np.random.default_rng(0).integers(0, 2**64, 1000, dtype=np.uint64)
    expected = words.copy()
    expected = (expected ^ (expected >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    expected = (expected ^ (expected >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    expected ^= expected >> np.uint64(31)
    assert torch.equal(mix(torch.from_numpy(words.view(np.int64))), torch.from_numpy(expected.view(np.int64)))


def test_a_draw_belongs_to_its_row_and_to_nothing_else() -> None:
    whole = counter().uniform(torch.Size((4000, 7)), "token")
    order = torch.randperm(4000, generator=torch.Generator().manual_seed(0))
    assert torch.equal(Counter(3, IDS[order], torch.full_like(IDS, 5)).uniform(whole.shape, "token"), whole[order])
    assert torch.equal(Counter(3, IDS[:1], IDS[:1] * 0 + 5).uniform(torch.Size((1, 7)), "token"), whole[:1])


@pytest.mark.parametrize("change", ["seed", "pass", "stream", "id", "branch"])
def test_every_part_of_the_key_matters(change: str) -> None:
    base = counter().uniform(torch.Size((4000, 1)), "token")[:, 0]
    other = {
        "seed": lambda: counter(seed=4).uniform(torch.Size((4000, 1)), "token"),
        "pass": lambda: counter(index=6).uniform(torch.Size((4000, 1)), "token"),
        "stream": lambda: counter().uniform(torch.Size((4000, 1)), "doubt"),
        "id": lambda: Counter(3, IDS + 1, torch.full_like(IDS, 5)).uniform(torch.Size((4000, 1)), "token"),
        "branch": lambda: Counter(3, fold(IDS, 1), torch.full_like(IDS, 5)).uniform(torch.Size((4000, 1)), "token"),
    }[change]()[:, 0]
    assert not torch.isin(other, base).any()
    assert abs(np.corrcoef(base, other)[0, 1]) < 0.06


@pytest.mark.parametrize("stream", STREAMS)
def test_uniform_is_uniform_inside_its_ends(stream: str) -> None:
    drawn = counter().uniform(torch.Size((4000, 8)), stream).flatten()
    assert float(drawn.min()) > 0 and float(drawn.max()) < 1
    assert stats.kstest(drawn.numpy(), "uniform").pvalue > 1e-4


def test_draw_follows_the_probabilities_and_never_takes_an_impossible_token() -> None:
    probs = torch.tensor([0.0, 0.5, 0.0, 0.3, 0.2, 0.0], dtype=torch.float64)
    drawn = counter().draw(probs.log().expand(4000, 9, 6), "token").flatten()
    counts = torch.bincount(drawn, minlength=6)
    assert counts[[0, 2, 5]].sum() == 0
    assert stats.chisquare(counts[[1, 3, 4]].numpy(), np.array([0.5, 0.3, 0.2]) * 36_000).pvalue > 1e-4


def test_a_draw_does_not_care_how_many_places_there_are() -> None:
    probs = torch.tensor([0.1, 0.1, 0.1, 0.7], dtype=torch.float64).log()
    one = counter().draw(probs.expand(4000, 1, 4), "token")
    assert torch.equal(one, counter().draw(probs.expand(4000, 9, 4), "token")[:, :1])
    assert stats.binomtest(int((one == 3).sum()), 4000, 0.7).pvalue > 1e-4


def test_rank_follows_plackett_luce_and_puts_the_impossible_last() -> None:
    score = torch.tensor([0.0, float(np.log(3)), -torch.inf]).expand(4000, 3)
    places = counter().rank(score, "doubt")
    assert (places[:, 2] == 2).all()
    assert stats.binomtest(int((places[:, 1] == 0).sum()), 4000, 0.75).pvalue > 1e-4


def test_first_has_the_law_of_a_coin_each_pass() -> None:
    hazard = Hazard(torch.tensor([[0.2, 0.0, 0.5, 1.0, 0.3], [0.0, 0.1, 0.1, 0.1, 0.1]], dtype=torch.float64))
    kind = torch.tensor([0, 1, -1]).expand(4000, 3)
    since = torch.tensor([1, 0, 0]).expand(4000, 3)
    due = counter().first(hazard, kind, since, "due")
    assert (due[:, 2] == 5).all()
    assert torch.isin(due[:, 0], torch.tensor([2, 3])).all()
    assert stats.binomtest(int((due[:, 0] == 2).sum()), 4000, 0.5).pvalue > 1e-4
    expected = np.array([0.1, 0.09, 0.081, 0.0729, 0.6561]) * 4000
    assert stats.chisquare(torch.bincount(due[:, 1], minlength=6)[1:].numpy(), expected).pvalue > 1e-4


def test_first_after_a_certain_pass_still_comes() -> None:
    hazard = Hazard(torch.tensor([[1.0, 0.0, 1.0, 0.0]], dtype=torch.float64))
    since = torch.tensor([[0, 1, 2, 3, 4]])
    due = Counter(0, IDS[:1], IDS[:1]).first(hazard, torch.zeros_like(since), since, "due")
    assert due.tolist() == [[0, 2, 2, 4, 4]]


def test_the_sums_over_all_passes_are_made_once() -> None:
    """At 100,000 passes they cost more than a pass of a small network."""
    hazard = Hazard(torch.tensor([[0.5, 0.0, 1.0]], dtype=torch.float64))
    assert hazard.risk is hazard.risk
    assert hazard.risk[0, :3].tolist() == pytest.approx([0.0, np.log(2), np.log(2)]) and hazard.risk[0, 3] > 50


def test_gumbel_noise_is_not_colder_than_it_should_be() -> None:
    """A float32 Gumbel lowers the temperature: its largest values are missing."""
    drawn = counter().gumbel(torch.zeros(4000, 16), "soft").flatten()
    assert drawn.dtype == torch.float64
    assert stats.kstest(drawn.numpy(), "gumbel_r").pvalue > 1e-4


def test_gaussian_noise_has_its_law_to_the_tails() -> None:
    drawn = counter().normal(torch.zeros(4000, 64), "soft").flatten()
    assert drawn.dtype == torch.float64 and drawn.isfinite().all()
    assert stats.kstest(drawn.numpy(), "norm").pvalue > 1e-4
    far = int((drawn.abs() > 4).sum())
    assert stats.binomtest(far, len(drawn), 2 * float(stats.norm.sf(4))).pvalue > 1e-4


@pytest.mark.parametrize("count", [1, 3, 7, 64, 257])
def test_gaussian_noise_is_byte_equal_at_any_place_of_a_batch(count: int) -> None:
    """A vectorised function may differ by a bit between its wide part and its tail: a seat would show."""
    whole = counter().normal(torch.zeros(4000, count), "soft")
    for first, last in ((0, 1), (1, 4), (17, 30)):
        rows = slice(first, last)
        part = Counter(3, IDS[rows], torch.full_like(IDS[rows], 5)).normal(torch.zeros(last - first, count), "soft")
        assert torch.equal(part, whole[rows])


@pytest.mark.parametrize("stream", STREAMS)
def test_bits_are_those_of_the_key_whether_words_are_at_hand_or_not(stream: str) -> None:
    """Records hang on these bits: seed and stream, then the id, then the pass, then the position, each mixed in."""
    gamma = _signed(0x9E3779B97F4A7C15)
    key = mix(torch.full_like(IDS, 3 * 2**32 + zlib.crc32(stream.encode())))
    for part in (IDS, torch.full_like(IDS, 5)):
        key = mix(key + part * gamma)
    expected = mix(key[:, None] + torch.tensor([1, 2, 3]) * gamma)
    at_hand = Counter(3, IDS, torch.full_like(IDS, 5), words(3, IDS))
    for noise in (counter(), at_hand):
        assert torch.equal(noise.bits(3, stream), expected)
