"""Laws of a walk over kept blocks: nothing of the cache shows but the price, whoever sits beside a row and wherever it
was stopped."""

from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from dlmreason import canvas
from dlmreason.canvas import Ask, Canvas, Clock, Memory, Move, Noise, Policy, Reading, join
from dlmreason.networks.block_denoiser import DenoiseBlocks
from dlmreason.networks.denoiser import Denoise
from dlmreason.networks.shape import Shape
from dlmreason.policies.counts import EntropyBounded, Factor, Threshold
from dlmreason.policies.ordered import Ordered
from dlmreason.policies.published import bd3
from dlmreason.policies.scores import Blocks, entropy
from dlmreason.sampling.denoise import Counts, Rows, Sampler, State, extend
from tests.nets import opinionated

torch.set_num_threads(1)

LENGTH, BLOCK, WIDTH, MASK = 14, 4, 4, 7
RUNGS = (1, 2, 3, 5, 8, 13, 21)
IN_BLOCKS = Blocks(entropy, BLOCK, by_position=True)
POLICIES: dict[str, Policy] = {
    "bd3": bd3(BLOCK),
    "halves": bd3(2, "margin", count=2),
    "threshold": Ordered(IN_BLOCKS, Threshold(0.25)),
    "factor": Ordered(IN_BLOCKS, Factor(2.4), 1.0),
    "entropy_bound": Ordered(IN_BLOCKS, EntropyBounded(2.0)),
    "shared": bd3(BLOCK, "confidence", count=None, temperature=0.0),
}
EACH = pytest.mark.parametrize("name", POLICIES)
ANYTIME = pytest.mark.parametrize("name", [name for name, policy in POLICIES.items() if policy.anytime])


def network_of(dtype: torch.dtype = torch.float32) -> Any:
    sizes: dict[str, Any] = {"num_layers": 2, "width": 32, "num_heads": 4, "attention": "block_causal", "block": BLOCK}
    return opinionated(Shape(vocabulary_size=MASK + 1, length=20, feature_sizes=(4,), quality=True, **sizes), dtype, 6)


def some_rows(count: int = 9, gaps: bool = True) -> Rows:
    """Prompts that end anywhere; gaps: and tokens that are given behind them."""
    generator = torch.Generator().manual_seed(1)
    tokens = torch.randint(0, MASK, (count, LENGTH), generator=generator)
    prompt = torch.randint(0, 9, (count, 1), generator=generator)
    editable = torch.arange(LENGTH) >= prompt
    if gaps:
        editable &= torch.rand(count, LENGTH, generator=generator) < 0.9
    features = torch.randint(0, 4, (count, LENGTH, 1), generator=generator)
    return Rows(torch.arange(count) * 104_729 + 5, tokens, editable, features, tokens)


def pick(rows: Rows, index: list[int]) -> Rows:
    return Rows(*(leaf[torch.tensor(index, dtype=torch.int64)] for leaf in rows))


def without(rows: Rows, done: set[int]) -> Rows:
    return pick(rows, [place for place, number in enumerate(rows.id.tolist()) if number not in done])


def outcome(states: list[State]) -> dict[int, bytes]:
    """{example id: every byte of its final state}."""
    return {
        int(state.rows.id): b"|".join(leaf.contiguous().numpy().tobytes() for leaf in tree_leaves(state))
        for state in states
    }


def sampler_of(
    name: str, reads: Any = None, rungs: tuple[int, ...] = RUNGS, chunk: int = 4, width: int = WIDTH
) -> Sampler:
    policy, reads = POLICIES[name], reads or DenoiseBlocks(network_of(), MASK)
    return Sampler(policy, reads, rungs if policy.anytime else (5,), 2, width, chunk)


def run(name: str, rows: Rows, pool: State | None = None, chunk: int = 4) -> dict[int, bytes]:
    return outcome(list(sampler_of(name, chunk=chunk).run(rows, pool)))


def in_order(states: Iterator[State]) -> State:
    return join(sorted(states, key=lambda state: int(state.rows.id)))


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
def test_it_writes_what_one_that_reads_all_each_time_writes(name: str) -> None:
    """500 rows in float64, where nothing is near a tie: the same canvases and events at every rung, the same answers
    where all is written, and before the block under way; blanks beyond it are answered by token 0."""
    rows, network = some_rows(500), network_of(torch.float64)
    kept, whole = (
        in_order(sampler_of(name, reads, width=100).run(rows))
        for reads in (DenoiseBlocks(network, MASK), Denoise(network, MASK))
    )
    for field in ("index", "tokens", "events", "canvases", "changes"):
        assert torch.equal(getattr(kept, field), getattr(whole, field)), field
    full = ((kept.canvases != MASK) | ~rows.editable[:, None]).all(-1)
    assert full[:, -1].all() if name != "shared" else full[:, -1].any() and not full[:, -1].all()
    assert torch.equal(kept.answers[full], whole.answers[full])
    number, blank = torch.arange(LENGTH) // BLOCK, (kept.canvases == MASK) & rows.editable[:, None]
    # Where the pass before the rung ended a block, nothing was asked of the next.
    asked = number < torch.where(blank, number, number[-1]).amin(-1, keepdim=True)
    differ = kept.answers != whole.answers
    assert not (differ & asked).any() and differ.any() and (kept.answers[differ] == 0).all()


def test_where_a_pass_may_write_several_it_does() -> None:
    calls = {name: int(in_order(sampler_of(name).run(some_rows())).nfe.sum()) for name in POLICIES}
    assert all(calls[name] < calls["bd3"] for name in ("halves", "threshold", "factor", "entropy_bound"))


def test_a_row_pays_a_call_for_each_block_before_the_one_it_writes() -> None:
    """Counted by hand, one token a pass: given blocks before the first pass, finished ones before the next pass; at a
    rung, those of the last pass before it."""
    rows, network = some_rows(30, gaps=False), network_of(torch.float64)
    kept = in_order(sampler_of("bd3", DenoiseBlocks(network, MASK)).run(rows))
    whole = in_order(sampler_of("bd3", Denoise(network, MASK)).run(rows))
    for row, first in enumerate((~rows.editable).sum(1).tolist()):
        for place, rung in enumerate(RUNGS):
            passes = min(rung, LENGTH - first)
            assert whole.spent[row, place] == passes
            assert kept.spent[row, place] == passes + (first + passes - 1) // BLOCK
    assert torch.equal(kept.nfe, kept.spent[:, -1])


@ANYTIME
def test_one_that_is_stopped_after_any_call_goes_on_to_the_same_bytes(name: str) -> None:
    """What was read is in no state: it is read again, which nobody pays."""
    rows = some_rows(6)
    finished, stops = list[State](), list[tuple[State, int, Counts]]()
    first = sampler_of(name, chunk=1)

    def keep(pool: State, counts: Counts) -> None:
        stops.append((pool, len(finished), counts))

    for state in first.run(rows, on_chunk=keep):
        finished.append(state)
    whole = outcome(finished)
    assert len(stops) > 10
    for pool, done, counts in stops[:: 1 if name == "bd3" else 4]:
        before, second = outcome(finished[:done]), sampler_of(name)
        rest = without(rows, set(before) | set(pool.rows.id.tolist()))
        assert before | outcome(list(second.run(rest, pool))) == whole
        assert counts.charged + second.counts.charged == first.counts.charged
        again = int(pool.ask.carry.sum())
        assert second.counts.wasted >= again


def test_one_that_does_not_read_again_what_it_had_read_would_show() -> None:
    """The control: a row that goes on as if what it has paid for were in its cache."""

    class Forgets(DenoiseBlocks):
        def _seat(self, tokens: Tensor, editable: Tensor, features: Tensor) -> Any:
            held = super()._seat(tokens, editable, features)
            return held._replace(read=held.read + LENGTH)

    rows, stops = some_rows(6), list[State]()
    whole = outcome(list(sampler_of("bd3", chunk=1).run(rows, on_chunk=lambda pool, counts: stops.append(pool))))
    pool = stops[10]
    assert (pool.ask.carry > 0).any()
    for kind, same in ((DenoiseBlocks, True), (Forgets, False)):
        again = outcome(list(sampler_of("bd3", kind(network_of(), MASK)).run(pick(rows, []), pool)))
        assert (again == {number: whole[number] for number in again}) == same


@ANYTIME
def test_one_that_is_extended_equals_the_long_run(name: str) -> None:
    rows, cut = some_rows(), 4
    pool = join([extend(state, RUNGS[:cut], RUNGS) for state in sampler_of(name, rungs=RUNGS[:cut]).run(rows)])
    assert run(name, pick(rows, []), pool) == run(name, rows)


class Starting:
    """`inner`, but each question is asked with the first carry, as after a restart."""

    def __init__(self, inner: Policy) -> None:
        self.inner, self.init, self.anytime = inner, inner.init, inner.anytime

    def __call__(self, canvas: Canvas, reading: Reading, clock: Clock, memory: Memory, noise: Noise) -> Move:
        move = self.inner(canvas, reading, clock, memory, noise)
        return move._replace(ask=move.ask._replace(carry=canvas.carry))


def test_who_begins_with_the_first_carry_reads_all_anew_and_pays() -> None:
    rows, reads = some_rows(), DenoiseBlocks(network_of(torch.float64), MASK)
    plain = in_order(sampler_of("bd3", reads).run(rows))
    anew = in_order(Sampler(Starting(POLICIES["bd3"]), reads, RUNGS, 2, WIDTH, 4).run(rows))
    assert torch.equal(anew.canvases, plain.canvases) and torch.equal(anew.answers, plain.answers)
    assert (anew.nfe >= plain.nfe).all() and (anew.nfe > plain.nfe).any()


def test_a_call_that_is_no_pass_shows_the_policy_nothing() -> None:
    """Nor an observer: what a policy makes of it is dropped, and not looked at by the guard."""
    seen = list[tuple[Tensor, Tensor]]()

    class Watching(DenoiseBlocks):
        def __call__(self, ask: Ask, features: Any) -> Reading:
            reading = super().__call__(ask, features)
            assert reading.call is not None
            nonsense = torch.where(reading.call.ready[:, None, None], reading.logits, torch.nan)
            return reading._replace(logits=nonsense)

    def observe(before: State, reading: Reading, move: Move, after: State) -> None:
        assert reading.call is not None
        seen.append((reading.call.ready, before.index != after.index))

    rows = some_rows()
    list(sampler_of("bd3", Watching(network_of(), MASK)).run(rows, observe=observe))
    ready, moved = (torch.stack(each) for each in zip(*seen, strict=True))
    assert (moved <= ready).all() and moved.any() and (~ready).any()
    assert outcome(list(sampler_of("bd3", Watching(network_of(), MASK)).run(rows))) == run("bd3", rows)


class Waits(TorchDispatchMode):
    """Notes what would wait for a device: a value that is looked at, or a shape that depends on one."""

    def __init__(self) -> None:
        super().__init__()
        self.seen = set[str]()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = func.overloadpacket.__name__
        if name in ("item", "is_nonzero", "_local_scalar_dense", "nonzero", "masked_select"):
            self.seen.add(name)
        return func(*args, **(kwargs or {}))


def test_no_call_looks_at_a_value_that_is_not_at_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    """Which block of which row is read is worked out on the device."""
    monkeypatch.setattr(canvas, "at_hand", lambda tensor: False)
    rows, sampler = some_rows(), sampler_of("bd3")
    with torch.inference_mode():
        state, held = sampler.init(rows), sampler.seat(rows)
        with Waits() as calls:
            for _ in range(20):
                state = sampler.one_pass(state, held=held)
        with Waits() as control:
            bool((state.nfe > 10).any())
    assert (state.nfe > 10).any() and calls.seen == set() and control.seen
