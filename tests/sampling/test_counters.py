"""Laws of the counters: they are those of a full list of canvases, in one go or not, and as large after any passes."""

import math
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.utils._pytree import tree_leaves

from dlmreason.canvas import NEVER, Move, Policy, Reading, join
from dlmreason.policies import presets
from dlmreason.policies.gibbs import Gibbs
from dlmreason.policies.posterior import Cap, Posterior
from dlmreason.sampling import curve, cycles, distinct
from dlmreason.sampling.counters import COUNTED, NEVER_SETTLED, STAYED, WANDERED, RowCounters
from dlmreason.sampling.denoise import Rows, Sampler, State, extend
from dlmreason.sampling.events import KINDS
from tests.policies.test_exact_laws import Linear
from tests.policies.walk import Opinions
from tests.sampling.recount import Plays, Says, period, played, recount, rows_of
from tests.toys import ToySudoku, sudoku_rows

MASK, STILL = 3, 5
POLICIES: dict[str, Policy] = {
    "confidence": presets.ordered(count=2),
    "change_of_mind": presets.change_of_mind(doubt=3, patience=2),
    "certified": presets.change_of_mind(doubt=4, certify=-0.1, tests=1),
    "restarts": presets.restarts(),
    "gibbs": Gibbs(),
    "remasking": Posterior(Linear(), Cap(0.3)),
}


def sampler_of(policy: Policy, denoiser: Any, passes: int, chunk: int = 16, still: int = STILL) -> Sampler:
    rungs = (passes // 2, passes) if policy.anytime and passes > 1 else (passes,)
    counters = RowCounters(denoiser.mask_id, still, columns=denoiser.mask_id)
    return Sampler(policy, denoiser, rungs, 5, 4, chunk, counters)


def scripted(script: Tensor, wake: Tensor, gold: Tensor, chunk: int = 16) -> list[dict[str, Any]]:
    """What is told of each row of a script, in their order."""
    counters = RowCounters(MASK, STILL, columns=MASK + 1)
    passes = wake.shape[1]
    made = Sampler(Plays(script, wake), Says(MASK, script.shape[-1]), (passes,), 0, 3, chunk, counters)
    lines = {int(state.rows.id): counters.told(state, passes) for state in made.run(rows_of(script, gold))}
    return [{key: value for key, value in lines[number].items() if key != "curve"} for number in sorted(lines)]


def random_script(seed: int, rows: int, passes: int, sleeps: bool) -> tuple[Tensor, Tensor, Tensor]:
    """Rows of three cells that come and go, some of which stay for a while, and some of which never wake."""
    generator = torch.Generator().manual_seed(seed)
    cells = torch.randint(0, MASK + 1, (rows, passes + 1, 3), generator=generator)
    cells = cells.clamp(min=seed % 3)  # few tokens, many coincidences
    for at in range(1, passes + 1):
        moves = torch.rand(rows, 3, generator=generator) < torch.tensor([0.9, 0.3, 0.05])[seed % 3]
        cells[:, at] = torch.where(moves, cells[:, at], cells[:, at - 1])
    numbers = torch.arange(rows)[:, None, None].expand(-1, passes + 1, -1)
    script = torch.cat([numbers % MASK, cells], -1)
    script[..., 0] = torch.arange(rows)[:, None]
    wake = torch.ones(rows, passes, dtype=torch.int64)
    if sleeps:
        wake = torch.randint(1, 9, wake.shape, generator=generator)
        # A blank may not sleep past the end, and who never wakes has written all.
        wake = torch.where((torch.rand(wake.shape, generator=generator) < 0.02), NEVER, wake)
    return script, wake, torch.randint(0, MASK, (rows, 4), generator=generator)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 70), st.booleans())
def test_they_are_those_of_a_full_list_of_canvases(seed: int, passes: int, sleeps: bool) -> None:
    script, wake, gold = random_script(seed, MASK, passes, sleeps)
    for row, (line, canvases) in enumerate(zip(scripted(script, wake, gold), played(script, wake), strict=True)):
        index, fixed = 0, False
        while index < passes and not fixed:
            fixed, index = bool(wake[row, index] == NEVER), index + int(wake[row, index])
        known = recount(canvases, [False, True, True, True], tuple(gold[row].tolist()), MASK, STILL, fixed)
        assert line == known


@pytest.mark.parametrize("seed", range(3))
def test_who_sleeps_is_counted_as_who_is_visited_at_every_pass(seed: int) -> None:
    script, wake, gold = random_script(seed, MASK, 60, True)
    wake = wake.clamp(max=9)
    asleep, seen = scripted(script, wake, gold), torch.tensor(played(script, wake))
    assert asleep == scripted(seen, torch.ones_like(wake), gold)
    assert (wake > 1).any() and asleep != scripted(script, torch.ones_like(wake), gold)


@pytest.mark.parametrize("name", POLICIES)
def test_they_are_those_of_the_canvases_of_real_policies(name: str) -> None:
    passes, seen = 90, dict[int, list[tuple[int, ...]]]()

    def look(before: State, reading: Reading, move: Move, after: State) -> None:
        for number, was, now, old, new in zip(
            before.rows.id.tolist(), before.index.tolist(), after.index.tolist(), before.tokens.tolist(),
            after.tokens.tolist(), strict=True,
        ):  # fmt: skip
            if was != now:
                seen.setdefault(number, [tuple(old)] * (was + 1)).extend([tuple(new)] * (min(now, passes) - was))

    sampler = sampler_of(POLICIES[name], ToySudoku(), passes)
    ends = []
    for state in sampler.run(sudoku_rows(9), observe=look):
        fixed, canvases = bool(state.index >= NEVER // 2), seen[int(state.rows.id)]
        assert len(canvases) == passes + 1 and sampler.counters is not None
        line = sampler.counters.told(state, passes)  # type: ignore[attr-defined]
        del line["curve"]
        gold = tuple(state.rows.gold[0].tolist())
        assert line == recount(canvases, state.rows.editable[0].tolist(), gold, 4, STILL, fixed)
        events = dict(zip(KINDS, state.events[0].tolist(), strict=True))
        assert [sum(line[kind]) for kind in COUNTED] == [events[kind] for kind in COUNTED]
        ends.append((line["ended"], line["period"]))
    if name == "certified":
        assert {ended for ended, _ in ends} >= {STAYED}
    if name in ("gibbs", "restarts"):
        assert {at for _, at in ends} <= {None, 1}, "one that draws anew may come to rest, and never goes in circles"


def outcome(states: list[State]) -> dict[int, bytes]:
    return {
        int(state.rows.id): b"|".join(leaf.contiguous().numpy().tobytes() for leaf in tree_leaves(state))
        for state in states
    }


def pick(rows: Rows, index: list[int]) -> Rows:
    return Rows(*(leaf[torch.tensor(index, dtype=torch.int64)] for leaf in rows))


@pytest.mark.parametrize("name", POLICIES)
def test_they_are_the_same_bytes_in_any_chunks_and_company_and_take_nothing_from_the_rows(name: str) -> None:
    rows, policy = sudoku_rows(6), POLICIES[name]

    def run(rows: Rows, chunk: int) -> dict[int, bytes]:
        return outcome(list(sampler_of(policy, Opinions(), 40, chunk).run(rows)))

    whole = run(rows, 32)
    assert len(whole) == 6 and run(rows, 1) == run(rows, 7) == run(pick(rows, [3, 0, 5, 1, 2, 4]), 7) == whole
    assert run(pick(rows, [4]), 7).items() <= whole.items()
    counted = list(sampler_of(policy, Opinions(), 40).run(rows))
    plain = sampler_of(policy, Opinions(), 40)
    plain.counters = None
    assert outcome([state._replace(life=()) for state in counted]) == outcome(list(plain.run(rows)))


@pytest.mark.parametrize("name", ["change_of_mind", "gibbs"])
def test_a_run_that_is_stopped_after_any_pass_ends_with_the_same_bytes(name: str) -> None:
    rows, policy = sudoku_rows(4), POLICIES[name]
    whole = outcome(list(sampler_of(policy, Opinions(), 12).run(rows)))
    pools: list[State] = []
    list(sampler_of(policy, Opinions(), 12, chunk=1).run(rows, on_chunk=lambda pool, counts: pools.append(pool)))
    assert len(pools) == 11
    for pool in pools:
        assert outcome(list(sampler_of(policy, Opinions(), 12).run(pick(rows, []), pool))) == whole
    longer = Sampler(policy, Opinions(), (6, 12, 24), 5, 4, 16, RowCounters(Opinions.mask_id, STILL, 4))
    pool = join([extend(state, (6, 12), (6, 12, 24)) for state in sampler_of(policy, Opinions(), 12).run(rows)])
    assert outcome(list(longer.run(pick(rows, []), pool))) == outcome(list(longer.run(rows)))


def test_what_is_kept_is_as_large_after_10_as_after_100_000_passes() -> None:
    sizes = []
    for passes in (10, 100_000):
        sampler = sampler_of(POLICIES["gibbs"], ToySudoku(), passes)
        start = sampler.init(sudoku_rows(4))
        for state in (start, sampler.advance(start, 9)):
            sizes.append([(leaf.shape, leaf.dtype) for leaf in tree_leaves(state.life)])
    assert sizes[0] == sizes[1] == sizes[2] == sizes[3] and len(sizes[0]) == 14
    assert not tree_leaves(Sampler(POLICIES["gibbs"], ToySudoku(), (10,)).init(sudoku_rows(4)).life)


def cells(numbers: list[int], width: int = 7) -> Tensor:
    """[1, T, 1 + width]: each number as a canvas of binary tokens behind the row's own number, 0."""
    bits = [[0, *((number >> place) & 1 for place in range(width))] for number in numbers]
    return torch.tensor([bits])


def only(numbers: list[int], wake: list[int] | None = None) -> dict[str, Any]:
    script = cells(numbers)
    wakes = torch.tensor([wake or [1] * (len(numbers) - 1)])
    return scripted(script, wakes, torch.zeros_like(script[:, 0]))[0]


@pytest.mark.parametrize("length", range(1, 13))
@pytest.mark.parametrize("before", [0, 5])
def test_a_planted_cycle_is_found_with_its_period(length: int, before: int) -> None:
    numbers = [100 + number for number in range(before)] + [number % length for number in range(70)]
    assert only(numbers)["period"] == length
    assert only(numbers)["distinct"] == length + before
    assert only(numbers[: before + length + 3])["period"] is None, "too short to tell"
    broken = [*numbers, 99]
    assert only(broken)["period"] is None, "it has left the cycle"
    stuck = numbers + [numbers[-1]] * 2
    assert only(stuck)["period"] == (1 if length == 1 else None)


def test_a_cycle_that_comes_by_a_canvas_twice_or_stays_a_while_is_told_in_passes() -> None:
    """A B A C has period 4 though A comes back after 2; what stands for three passes takes three."""
    assert only([0, 1, 0, 2] * 20)["period"] == 4
    assert only([0, 0, 0, 1, 2, 2] * 12)["period"] == 6
    assert only([0, 0, 0, 1, 2, 2] * 12, [3, 1, 1, 1, 2, 1] * 11 + [3, 1, 1, 1, 2])["period"] == 6
    assert only([0, 1] * 20 + [2] * 41)["period"] == 1
    assert only([0, 1] * 20 + [2] * 40)["period"] is None, "a rest"


@pytest.mark.parametrize("many", [2, 3, 5])
def test_wandering_among_few_canvases_is_no_cycle(many: int) -> None:
    """2,000 walks of 200 passes; and the same walks gone round and round are."""
    generator = torch.Generator().manual_seed(many)
    walks = torch.randint(0, many, (2_000, 201), generator=generator)
    ring, words = cycles.opened(distinct.word(walks[:, :1])), [distinct.word(walks[:, at, None]) for at in range(201)]
    for at in range(1, 201):
        ring = cycles.turned(ring, words[at], words[at] != words[at - 1], torch.full((2_000,), at))
    assert not cycles.period(ring, torch.full((2_000,), 200)).any()
    assert all(period([(token,) for token in walk]) is None for walk in walks[:20].tolist())
    rounds = walks[0, :6].tolist() * 30
    if len(set(rounds)) > 1:
        assert 6 % (only(rounds)["period"] or 7) == 0


def test_how_a_row_ended_is_told_by_hand() -> None:
    """STILL is 5 passes. A blank hides no change of mind, and no rest either."""
    # Blank until the first pass, then one token for good; never; one that goes after it had settled.
    stayed, unrest, left = ([MASK] + [1] * 9, [MASK, 1, 2] * 3 + [MASK], [MASK] + [1] * 7 + [MASK, 2])
    script = torch.tensor([[[row, token] for token in line] for row, line in enumerate((stayed, unrest, left))])
    lines = scripted(script, torch.ones(3, 9, dtype=torch.int64), torch.tensor([[0, 2]] * 3))
    assert [line["ended"] for line in lines] == [STAYED, NEVER_SETTLED, WANDERED]
    assert [line["settled"] for line in lines] == [6, None, 6] and [line["left"] for line in lines] == [0, 0, 1]
    assert [line["commit"] for line in lines] == [[1], [8], [9]]
    assert [line["ever_right"] for line in lines] == [[False], [True], [True]]
    assert [line["doubted"] for line in lines] == [[0], [3], [1]]
    assert [line["flipped"] for line in lines] == [[0], [5], [1]]
    assert [line["stood_since"] for line in lines] == [1, 9, 9] and not any(line["fixed"] for line in lines)
    script[0, 3, 1] = MASK  # taken back and written again: it has not rested, but no mind was changed
    (again, *_) = scripted(script, torch.ones(3, 9, dtype=torch.int64), torch.tensor([[0, 2]] * 3))
    assert (again["restored"], again["doubted"], again["settled"], again["distinct"]) == ([1], [1], 6, 2)


def test_many_canvases_are_estimated_within_the_declared_error() -> None:
    """64 rows of 20,000 words each, every word twice; 512 of them are exact."""
    words = distinct.word(torch.stack([torch.arange(64).repeat(20_000), torch.arange(64 * 20_000)], -1)).view(-1, 64)
    sketch = distinct.opened(words[0])
    for at in range(1, 3_000):
        sketch = distinct.seen(distinct.seen(sketch, words[at]), words[at // 2])
        if at == distinct.SIZE - 1:
            assert [each.tolist() for each in distinct.distinct(sketch)] == [[distinct.SIZE] * 64, [True] * 64]
    found, exact = distinct.distinct(sketch)
    apart = found.double() / 3_000 - 1
    assert not exact.any() and apart.abs().max() < 4 * distinct.ERROR
    assert abs(float(apart.mean())) < 3 * distinct.ERROR / 8 and apart.std() > 0.7 * distinct.ERROR
    assert len(distinct.word(torch.cartesian_prod(*[torch.arange(5)] * 6)).unique()) == 5**6
    assert (sketch.least.diff() > 0).all()


def test_points_are_the_first_reading_of_each_quarter_of_an_octave() -> None:
    far = [2**power + by for power in range(3, 41) for by in (-1, 0, 1) if 2**power + by <= 2**40]
    numbers = torch.tensor([*range(1, 5_000), *far])
    known = []
    for number in numbers.tolist():
        octave = number.bit_length() - 1
        known.append(4 * octave + (4 * (number - 2**octave)) // 2**octave)
    assert curve.slot(numbers).tolist() == known and max(known) < curve.POINTS


def test_the_curve_says_what_the_readings_said() -> None:
    script, wake, gold = random_script(4, MASK, 60, True)
    counters, says = RowCounters(MASK, STILL, columns=MASK + 1), Says(MASK, 4)
    read: dict[int, list[list[float]]] = {}
    before: dict[int, Tensor] = {}

    def look(was: State, reading: Reading, move: Move, now: State) -> None:
        for place, number in enumerate(was.rows.id.tolist()):
            if was.index[place] == now.index[place]:
                continue
            said = reading.logits[place, 1:].clone()
            said[:, MASK] = -math.inf
            p = said.softmax(-1)
            old = before.get(number)
            entropy = -(p * p.clamp(min=1e-300).log()).sum(-1).mean()
            residual = math.nan if old is None else float((p - old).abs().sum(-1).mean() / 2)
            assert reading.quality is not None
            row = [-move.score[place], reading.quality[place, 1:].mean(), entropy, residual, reading.of.level[place]]
            read.setdefault(number, []).append([int(was.index[place]) + 1, *map(float, row)])
            before[number] = p

    made = Sampler(Plays(script, wake), says, (60,), 0, 3, 16, counters)
    unjudged = 0
    for state in made.run(rows_of(script, gold), observe=look):
        points = counters.told(state, 60)["curve"]
        kept: dict[int, list[float]] = {}
        for passes, *numbers in read[int(state.rows.id)]:
            kept.setdefault(int(curve.slot(torch.tensor([passes]))), [passes, *numbers])
        assert points["pass"] == [int(each[0]) for each in kept.values()]
        for place, name in enumerate(curve.SAID, 1):
            for found, each in zip(points[name], kept.values(), strict=True):
                unjudged += found is None
                assert (found is None) == (not math.isfinite(each[place]))
                assert found is None or math.isclose(found, each[place], abs_tol=1e-12)
    assert unjudged > 6  # the first reading has no residual, and a third of them no score


@pytest.mark.parametrize(("given_", "words"), [({"still": 0}, "still=0"), ({"columns": -1}, "columns=-1")])
def test_counters_that_make_no_sense_are_refused(given_: dict[str, int], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        RowCounters(MASK, **given_)
