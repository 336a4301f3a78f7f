"""Laws of what is worked out when a row sits down: a row's prompt is read once, and nothing of that shows but the
price."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._pytree import tree_leaves

from dlmreason.canvas import Ask, Policy, Reading, join
from dlmreason.evaluation.snapshot import Snapshot
from dlmreason.networks.denoiser import Denoise, Seated
from dlmreason.networks.shape import Shape
from dlmreason.networks.transformer import Transformer
from dlmreason.policies import presets
from dlmreason.policies.gibbs import Gibbs
from dlmreason.policies.posterior import Cap, Posterior
from dlmreason.sampling.denoise import SEATED, Counts, Rows, Sampler, State, extend
from tests.policies.test_exact_laws import Linear

LENGTH, PROMPT, WIDTH, MASK = 12, 5, 4, 7
RUNGS = (1, 2, 3, 5, 8, 13, 21, 34)
POLICIES: dict[str, Policy] = {
    "sampled": presets.ordered(order="margin", count=1, temperature=1.0),
    "change_of_mind": presets.change_of_mind(doubt=3, patience=2, certify=-2.0),
    "restarts": presets.restarts(),
    "gibbs": Gibbs(),
    "remasking": Posterior(Linear(), Cap(0.3)),
}
EACH = pytest.mark.parametrize("name", POLICIES)
ANYTIME = pytest.mark.parametrize("name", [name for name, policy in POLICIES.items() if policy.anytime])


def denoiser(dtype: torch.dtype = torch.float32) -> Denoise:
    torch.manual_seed(0)
    sizes: dict[str, Any] = {"num_layers": 2, "width": 32, "num_heads": 4, "attention": "prompt", "prompt": PROMPT}
    network = Transformer(Shape(vocabulary_size=MASK + 1, length=20, feature_sizes=(4,), quality=True, **sizes))
    with torch.no_grad():  # weights large enough for opinions
        for weight in network.parameters():
            weight.mul_(6 if weight.dim() > 1 else 1)
    return Denoise(network.to(dtype).eval(), MASK)


class Watched:
    """What is asked of a denoiser, and of whom."""

    mask_id, uses_level = MASK, False

    def __init__(self, inner: Denoise, seats: bool = True) -> None:
        self.inner, self.first_carry = inner, inner.first_carry
        self.passes, self.sat, self.handed = 0, list[Tensor](), set[type]()
        self.seat = self._seat if seats else None

    def _seat(self, tokens: Tensor, editable: Tensor, features: Tensor) -> Any:
        self.sat.append(tokens.clone())
        assert self.inner.seat is not None
        return self.inner.seat(tokens, editable, features)

    def __call__(self, ask: Ask, features: Any) -> Reading:
        self.passes += 1
        self.handed.add(type(features))
        return self.inner(ask, features)


def some_rows(count: int = 9) -> Rows:
    generator = torch.Generator().manual_seed(1)
    tokens = torch.randint(0, MASK, (count, LENGTH), generator=generator)
    editable = torch.rand(count, LENGTH, generator=generator) < 0.9
    editable[:, :PROMPT], editable[:, PROMPT] = False, True
    features = torch.randint(0, 4, (count, LENGTH, 1), generator=generator)
    return Rows(torch.arange(count) * 104_729 + 5, tokens, editable, features, tokens)


def pick(rows: Rows, index: list[int]) -> Rows:
    return Rows(*(leaf[torch.tensor(index, dtype=torch.int64)] for leaf in rows))


def outcome(states: list[State]) -> dict[int, bytes]:
    """{example id: every byte of its final state}."""
    return {
        int(state.rows.id): b"|".join(leaf.contiguous().numpy().tobytes() for leaf in tree_leaves(state))
        for state in states
    }


def sampler_of(name: str, reads: Any = None, rungs: tuple[int, ...] = RUNGS, chunk: int = 4) -> Sampler:
    policy = POLICIES[name]
    return Sampler(policy, reads or denoiser(), rungs if policy.anytime else (13,), 2, WIDTH, chunk)


def run(name: str, rows: Rows, pool: State | None = None, chunk: int = 4) -> dict[int, bytes]:
    return outcome(list(sampler_of(name, chunk=chunk).run(rows, pool)))


@EACH
def test_a_row_is_byte_equal_alone_in_company_and_at_any_place(name: str) -> None:
    rows = some_rows()
    whole = run(name, rows)
    assert len(set(whole.values())) == 9
    assert run(name, pick(rows, [8, 3, 5, 1, 0, 7, 2, 6, 4])) == whole
    assert run(name, rows, chunk=7) == whole
    for alone in (0, 4):
        number = int(rows.id[alone])
        assert run(name, pick(rows, [alone])) == {number: whole[number]}


@EACH
def test_it_walks_as_one_that_reads_all_each_time(name: str) -> None:
    """In float64, where nothing is near a tie: the same canvases, answers and events, scores to 1e-9."""
    rows, reads = some_rows(), denoiser(torch.float64)
    watched = [Watched(reads, seats) for seats in (True, False)]
    cached, whole = (sorted(sampler_of(name, each).run(rows), key=lambda state: int(state.rows.id)) for each in watched)
    assert [each.handed for each in watched] == [{Seated}, {Tensor}]
    for one, other in zip(cached, whole, strict=True):
        for a, b in zip(tree_leaves(one), tree_leaves(other), strict=True):
            assert torch.equal(a, b) if a.dtype != torch.float64 else torch.allclose(a, b, atol=1e-9)


def test_a_pass_says_zeros_of_the_prompt_and_of_the_rest_what_a_whole_one_says() -> None:
    rows, reads = some_rows(), denoiser(torch.float64)
    ask = Ask(torch.where(rows.editable, MASK, rows.tokens), torch.zeros(9, dtype=torch.float64), ())
    assert reads.seat is not None
    with torch.no_grad():
        cached = reads(ask, reads.seat(ask.tokens, rows.editable, rows.features))
        whole = reads(ask, rows.features)
    assert cached.quality is not None and whole.quality is not None
    assert cached.logits.shape == whole.logits.shape and cached.of is ask
    assert (cached.logits - whole.logits)[:, PROMPT:].abs().max() < 1e-11
    assert (cached.quality - whole.quality)[:, PROMPT:].abs().max() < 1e-12
    assert (cached.logits[:, :PROMPT] == 0).all() and (cached.quality[:, :PROMPT] == 0.5).all()
    assert whole.logits[:, :PROMPT].abs().max() > 1


@pytest.mark.parametrize("count", [1, WIDTH - 1, WIDTH, WIDTH + 1, 9])
def test_each_prompt_is_read_once_when_its_row_sits_down_in_calls_of_one_width(count: int) -> None:
    rows, watched = some_rows(count), Watched(denoiser())
    sampler, seen = sampler_of("gibbs", watched), list[int]()
    blank = torch.where(rows.editable, MASK, rows.tokens)
    known = {tuple(tokens): number for tokens, number in zip(blank.tolist(), rows.id.tolist(), strict=True)}

    def look(pool: State, counts: Counts) -> None:
        seen.append(len({known[tuple(tokens)] for part in watched.sat for tokens in part.tolist()}))

    list(sampler.run(rows, on_chunk=look))
    assert {len(part) for part in watched.sat} == {min(SEATED, WIDTH)}
    assert {known[tuple(tokens)] for part in watched.sat for tokens in part.tolist()} == set(rows.id.tolist())
    assert all(sat == min(count, WIDTH) for sat in seen[:2]), "those that wait have not been read"
    sent = sum(map(len, watched.sat))
    assert sampler.counts.seated == count and sampler.counts.seated + sampler.counts.seated_wasted == sent
    assert sent < count + len(watched.sat) * WIDTH
    assert sampler.counts.charged + sampler.counts.wasted == watched.passes * WIDTH


@ANYTIME
@pytest.mark.parametrize("stop", [1, 3])
def test_one_that_is_killed_goes_on_from_its_file(name: str, stop: int, tmp_path: Path) -> None:
    """What was read is not in the file: it is read again, charged to nobody, and gives the same bytes."""
    rows, finished, seen = some_rows(), list[State](), list[State]()
    whole = run(name, rows)
    first = sampler_of(name)
    snapshot = Snapshot(tmp_path / "it.pt", "key", every=0)

    class Killed(Exception):
        pass

    def keep(pool: State, counts: Counts) -> None:
        snapshot.save(pool, RUNGS)
        seen.append(pool)
        if len(seen) == stop:
            raise Killed

    with pytest.raises(Killed):
        finished.extend(first.run(rows, on_chunk=keep))
    second = sampler_of(name)
    pool = Snapshot(tmp_path / "it.pt", "key").load(second.init(pick(rows, [0])), RUNGS, set(rows.id.tolist()))
    assert pool is not None and torch.equal(pool.rows.features, seen[-1].rows.features)
    done = set(outcome(finished)) | set(pool.rows.id.tolist())
    rest = pick(rows, [place for place, number in enumerate(rows.id.tolist()) if number not in done])
    assert outcome(finished) | outcome(list(second.run(rest, pool))) == whole
    assert first.counts.seated + second.counts.seated == 9
    assert second.counts.seated_wasted >= len(pool.index)


@ANYTIME
def test_one_that_is_extended_equals_the_long_run(name: str) -> None:
    rows, cut = some_rows(), 5
    pool = join([extend(state, RUNGS[:cut], RUNGS) for state in sampler_of(name, rungs=RUNGS[:cut]).run(rows)])
    assert run(name, pick(rows, []), pool) == run(name, rows)


def test_a_state_holds_nothing_that_was_read() -> None:
    """Neither rows that wait nor those that have finished, nor a snapshot, pay for what a pool of seats remembers."""
    rows, plain = some_rows(), denoiser()
    states = list(sampler_of("gibbs", plain).run(rows))
    bare = list(sampler_of("gibbs", Watched(plain, seats=False)).run(rows))
    sizes = [sum(leaf.nbytes for leaf in tree_leaves(state)) for state in (states[0], bare[0])]
    assert sizes[0] == sizes[1]


def test_a_network_without_a_prompt_apart_has_nothing_to_read_before() -> None:
    shape = Shape(vocabulary_size=MASK + 1, length=12, num_layers=1, width=8, num_heads=1)
    assert Denoise(Transformer(shape), MASK).seat is None


def test_rows_that_write_into_the_prompt_are_refused() -> None:
    rows = some_rows()
    rows.editable[3, PROMPT - 1] = True
    with pytest.raises(ValueError, match=r"positions to write among its first 5, .*: lay its sheet out with"):
        list(sampler_of("gibbs").run(rows))


def test_rows_sit_down_eight_at_a_time_whatever_the_width() -> None:
    watched = Watched(denoiser())
    sampler = Sampler(POLICIES["sampled"], watched, RUNGS, 2, 20, 4)
    assert len(list(sampler.run(some_rows(9)))) == 9
    assert [len(tokens) for tokens in watched.sat] == [8, 8]
    assert (sampler.counts.seated, sampler.counts.seated_wasted) == (9, 7)
