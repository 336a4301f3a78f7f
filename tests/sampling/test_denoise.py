"""Laws of the sampler: what a row says depends on the row alone."""

import dataclasses

import pytest
import torch
from torch import Tensor
from torch.utils._pytree import tree_leaves

from dlmreason.canvas import Ask, Reading, join
from dlmreason.diffusion.corruption import Uniform
from dlmreason.networks.denoiser import Denoise
from dlmreason.networks.shape import Shape
from dlmreason.networks.transformer import Transformer
from dlmreason.policies import presets
from dlmreason.policies.doubt import Doubt, LowestQuality
from dlmreason.policies.gibbs import Gibbs
from dlmreason.policies.ordered import Ordered
from dlmreason.policies.posterior import Cap, Posterior
from dlmreason.policies.reversal import corrected
from dlmreason.policies.scores import confidence, mean_log_max, mean_log_quality
from dlmreason.policies.wrappers import Certify, Episodes, Judged, KeepBest, Restart
from dlmreason.sampling.denoise import Rows, Sampler, State, extend
from dlmreason.sampling.events import KINDS
from dlmreason.sampling.trace import Tracer
from tests.policies.test_exact_laws import Linear
from tests.toys import ToySudoku, is_valid, sudoku_rows

LENGTH, WIDTH = 12, 5
RUNGS = (1, 2, 3, 5, 8, 13, 21, 34)


def real_network() -> Denoise:
    torch.manual_seed(0)
    shape = Shape(
        vocabulary_size=8, length=LENGTH, feature_sizes=(4,), num_layers=2, width=32, num_heads=4, quality=True
    )
    network = Transformer(shape).eval()
    with torch.no_grad():  # weights large enough for opinions: an untrained network has none, and ties hide differences
        for weight in network.parameters():
            weight.mul_(6 if weight.dim() > 1 else 1)
    return Denoise(network, mask_id=7)


def some_rows(count: int = 9) -> Rows:
    generator = torch.Generator().manual_seed(1)
    tokens = torch.randint(0, 7, (count, LENGTH), generator=generator)
    editable = torch.rand(count, LENGTH, generator=generator) < 0.8
    editable[:, 0] = True
    features = torch.randint(0, 4, (count, LENGTH, 1), generator=generator)
    return Rows(torch.arange(count) * 104_729 + 5, tokens, editable, features, tokens.clone())


POLICIES = {
    "confidence": presets.ordered(count=2),
    "sampled": presets.ordered(order="margin", count=1, temperature=1.0),
    "change_of_mind": presets.change_of_mind(doubt=3, patience=2),
    "random_doubt": presets.random_doubt(doubt=3, patience=2),
    "restarts": presets.restarts(),
    "certified": presets.change_of_mind(doubt=3, patience=1, certify=-2.0),
    "gibbs": Gibbs(),
    "episodes": KeepBest(Episodes(Judged(Posterior(Linear(), Cap(0.2)), mean_log_max), 6)),
}
PLANNED = {
    "ancestral": Posterior(Linear()),
    "remasking": Posterior(Linear(), Cap(0.3)),
    "even": presets.ordered(),
    "from_noise": corrected(Uniform(), sites=2),
}


def outcome(states: list[State]) -> dict[int, bytes]:
    """{example id: every byte of its final state}."""
    return {
        int(state.rows.id): b"|".join(leaf.contiguous().numpy().tobytes() for leaf in tree_leaves(state))
        for state in states
    }


def run(policy, rows: Rows, rungs=RUNGS, pool=None, **settings) -> dict[int, bytes]:  # type: ignore[no-untyped-def]
    sampler = Sampler(policy, real_network(), rungs, seed=2, **{"width": WIDTH, "chunk": 4} | settings)
    return outcome(list(sampler.run(rows, pool)))


def pick(rows: Rows, index: list[int]) -> Rows:
    return Rows(*(leaf[torch.tensor(index)] for leaf in rows))


@pytest.mark.parametrize("name", [*POLICIES, *PLANNED])
def test_a_row_is_byte_equal_alone_in_company_and_at_any_place(name: str) -> None:
    policy = (POLICIES | PLANNED)[name]
    rungs = RUNGS if policy.anytime else (13,)
    rows = some_rows()
    whole = run(policy, rows, rungs)
    assert len(whole) == 9
    assert run(policy, pick(rows, [8, 3, 5, 1, 0, 7, 2, 6, 4]), rungs) == whole
    assert run(policy, rows, rungs, chunk=7) == whole
    for alone in (0, 4):
        number = int(rows.id[alone])
        assert run(policy, pick(rows, [alone]), rungs) == {number: whole[number]}


@pytest.mark.parametrize("count", [1, WIDTH - 1, WIDTH, WIDTH + 1, 2 * WIDTH])
def test_the_network_is_always_called_at_the_same_width(count: int) -> None:
    """Float sums depend on it, though not on every processor: the bytes above may be equal by luck."""
    inner, widths = real_network(), set[int]()

    class Watched:
        mask_id, uses_level, first_carry = inner.mask_id, False, inner.first_carry

        def __call__(self, ask: Ask, features: Tensor) -> Reading:
            widths.add(len(ask.tokens))
            return inner(ask, features)

    sampler = Sampler(POLICIES["confidence"], Watched(), (13,), seed=2, width=WIDTH, chunk=4)
    assert len(list(sampler.run(pick(some_rows(2 * WIDTH), list(range(count)))))) == count
    assert widths == {WIDTH}


@pytest.mark.parametrize("name", POLICIES)
def test_a_run_that_is_extended_equals_the_long_run(name: str) -> None:
    policy, rows, cut = POLICIES[name], some_rows(), 5
    long = run(policy, rows)
    sampler = Sampler(policy, real_network(), RUNGS[:cut], seed=2, width=WIDTH, chunk=4)
    pool = join([extend(state, RUNGS[:cut], RUNGS) for state in sampler.run(rows)])
    nobody = pick(rows, [0])._replace(**{field: getattr(rows, field)[:0] for field in rows._fields})
    assert run(policy, nobody, pool=pool) == long


@pytest.mark.parametrize("name", POLICIES)
def test_a_shorter_ladder_is_the_beginning_of_a_longer_one(name: str) -> None:
    rows = some_rows()
    denoiser = real_network()
    long = {int(s.rows.id): s for s in Sampler(POLICIES[name], denoiser, RUNGS, 2, WIDTH, 4).run(rows)}
    for state in Sampler(POLICIES[name], denoiser, RUNGS[:5], 2, WIDTH, 4).run(rows):
        other = long[int(state.rows.id)]
        for field in ("answers", "scores", "canvases", "spent", "changes"):
            assert torch.equal(getattr(state, field), getattr(other, field)[:, :5])


@pytest.mark.parametrize("stop", [1, 2, 3, 5, 8])
def test_a_run_that_is_killed_goes_on_from_its_snapshot(stop: int) -> None:
    policy, rows = POLICIES["change_of_mind"], some_rows()
    whole = run(policy, rows)
    sampler = Sampler(policy, real_network(), RUNGS, 2, WIDTH, 4)
    finished: list[State] = []
    snapshots: list[State] = []

    class Killed(Exception):
        pass

    def snapshot(pool: State, counts: object) -> None:
        snapshots.append(pool)
        if len(snapshots) == stop:
            raise Killed

    with pytest.raises(Killed):
        for state in sampler.run(rows, on_chunk=snapshot):
            finished.append(state)
    seen = set(outcome(finished)) | set(snapshots[-1].rows.id.tolist())
    rest = pick(rows, [place for place in range(9) if int(rows.id[place]) not in seen] or [0])
    if len(seen) == 9:
        rest = Rows(*(leaf[:0] for leaf in rows))
    again = run(policy, rest, pool=snapshots[-1])
    assert outcome(finished) | again == whole


def test_the_ledger_of_calls_is_exact() -> None:
    denoiser = ToySudoku()
    sampler = Sampler(POLICIES["confidence"], denoiser, (64,), width=4, chunk=3)
    states = list(sampler.run(sudoku_rows(10)))
    assert sampler.counts.charged == sum(int(state.nfe) for state in states)
    assert sampler.counts.charged + sampler.counts.wasted == denoiser.calls


@pytest.mark.parametrize("name", ["confidence", "change_of_mind"])
def test_a_finished_row_leaves_at_once_however_long_a_chunk_is(name: str) -> None:
    """On the CPU: no pass is wasted but on places for which nobody is left."""
    every = [Sampler(POLICIES[name], ToySudoku(), (64,), width=4, chunk=chunk) for chunk in (1, 3, 100)]
    answered = [outcome(list(sampler.run(sudoku_rows(10)))) for sampler in every]
    assert answered[0] == answered[1] == answered[2]
    assert every[0].counts == every[1].counts == every[2].counts
    alone = Sampler(POLICIES[name], ToySudoku(), (64,), width=1, chunk=100)
    assert outcome(list(alone.run(sudoku_rows(10)))).keys() == answered[0].keys() and alone.counts.wasted == 0


@pytest.mark.parametrize("name", ["change_of_mind", "random_doubt", "restarts", "gibbs", "confidence"])
def test_events_add_up_to_the_right_tokens(name: str) -> None:
    sampler = Sampler(POLICIES[name], ToySudoku(), (1, 7, 50), width=4, chunk=8)
    flips = 0
    for state in sampler.run(sudoku_rows(6)):
        for rung in range(3):
            count = dict(zip(KINDS, state.changes[0, rung].tolist(), strict=True))
            right = ((state.canvases[0, rung] == state.rows.gold[0]) & state.rows.editable[0]).sum()
            assert count["written_right"] + count["wrong_to_right"] - count["right_to_wrong"] == int(right)
            assert count["flipped"] == count["wrong_to_right"] + count["right_to_wrong"] + count["lateral"]
            flips += count["flipped"]
    assert (flips > 0) == (name != "confidence")


@pytest.mark.parametrize("name", [*POLICIES, *PLANNED])
def test_given_tokens_never_change(name: str) -> None:
    policy, rows = (POLICIES | PLANNED)[name], some_rows()
    rungs = RUNGS if policy.anytime else (13,)
    for state in Sampler(policy, real_network(), rungs, width=WIDTH).run(rows):
        given = ~state.rows.editable
        for held in (state.tokens, state.answer, *state.answers.unbind(1)):
            assert torch.equal(held[given], state.rows.tokens[given])


def test_a_policy_that_writes_into_given_positions_cannot() -> None:
    @dataclasses.dataclass(frozen=True)
    class Vandal(Ordered):
        def init(self, canvas, clock, noise):  # type: ignore[no-untyped-def]
            move = super().init(canvas, clock, noise)
            return move._replace(tokens=torch.zeros_like(move.tokens))

        def __call__(self, canvas, reading, clock, memory, noise):  # type: ignore[no-untyped-def]
            move = super().__call__(canvas, reading, clock, memory, noise)
            return move._replace(tokens=torch.zeros_like(move.tokens))

    for state in Sampler(Vandal(confidence, 1), real_network(), (8,), width=WIDTH).run(some_rows()):
        assert torch.equal(state.tokens[~state.rows.editable], state.rows.tokens[~state.rows.editable])


def test_tokens_that_a_policy_begins_with_are_written_and_counted() -> None:
    rows = sudoku_rows(6)
    sampler = Sampler(PLANNED["from_noise"], ToySudoku(), (9,), width=4)
    start = sampler.init(rows)
    assert torch.equal(start.tokens, start.committed) and torch.equal(start.tokens, start.ask.tokens)
    assert (start.tokens < ToySudoku.mask_id).all() and len(start.tokens.unique(dim=0)) == 6
    for state in [start, *sampler.run(rows)]:
        count = dict(zip(KINDS, state.events.T, strict=True))
        assert torch.equal(count["written"], state.rows.editable.sum(1))
        right = ((state.committed == state.rows.gold) & state.rows.editable).sum(1)
        assert torch.equal(count["written_right"] + count["wrong_to_right"] - count["right_to_wrong"], right)
    assert (sampler.init(rows).events == start.events).all() and (start.nfe == 0).all()


def test_wrappers_that_never_act_leave_the_trajectory_alone() -> None:
    doubt = Doubt(LowestQuality(4), Ordered(confidence, 2, 0.5))
    judged = Judged(doubt, mean_log_quality)
    onions = [doubt, KeepBest(judged), KeepBest(Restart(judged, 10**6)), Certify(judged, bar=1.0)]
    ends = []
    for policy in onions:
        states = sorted(Sampler(policy, ToySudoku(), (40,), width=4).run(sudoku_rows(6)), key=lambda s: int(s.rows.id))
        ends.append(torch.cat([state.tokens for state in states]))
    assert all(torch.equal(end, ends[0]) for end in ends)


def test_the_kept_score_never_falls() -> None:
    for state in Sampler(POLICIES["change_of_mind"], ToySudoku(), tuple(range(1, 60)), width=4).run(sudoku_rows(6)):
        assert (state.scores[0].diff().nan_to_num(0.0) >= 0).all()


def test_changing_its_mind_solves_what_one_decode_does_not() -> None:
    """And the control: a quality that knows nothing makes the guard choose blindly."""

    def solved(policy, denoiser) -> int:  # type: ignore[no-untyped-def]
        answers = [state.answer for state in Sampler(policy, denoiser, (200,), width=8).run(sudoku_rows(16))]
        return int(is_valid(torch.cat(answers)).sum())

    class Ignorant(ToySudoku):
        def __call__(self, ask, features):  # type: ignore[no-untyped-def]
            reading = super().__call__(ask, features)
            return reading._replace(
                logits=torch.zeros_like(reading.logits), quality=torch.full_like(reading.quality, 0.5)
            )

    once = solved(presets.ordered(count=4), ToySudoku())
    often = solved(presets.change_of_mind(doubt=4), ToySudoku())
    assert often == 16 and once < 12
    assert solved(presets.change_of_mind(doubt=4), Ignorant()) == 0


def test_certified_rows_settle_and_leave() -> None:
    sampler = Sampler(presets.change_of_mind(doubt=4, certify=-0.1, tests=1), ToySudoku(), (500,), width=4, chunk=8)
    states = list(sampler.run(sudoku_rows(8, clues=11)))
    assert all(int(state.index) > 500 and int(state.nfe) < 500 for state in states)


def test_a_trace_retells_the_run() -> None:
    rows = sudoku_rows(6)
    wanted = rows.id[[1, 4]].tolist()
    tracer = Tracer(wanted, ToySudoku.mask_id)
    sampler = Sampler(POLICIES["change_of_mind"], ToySudoku(), (60,), width=4, chunk=16)
    ends = {}
    for state in sampler.run(rows, observe=tracer.observe, on_chunk=lambda pool, counts: tracer.flush()):
        ends[int(state.rows.id)] = state
        tracer.flush()
    assert set(tracer.traces) == set(wanted)
    for number, trace in tracer.traces.items():
        canvas, answer = list(trace.start), list(trace.start)
        for frame in trace.frames:
            for position, token in frame["changes"]:
                canvas[position] = token
        for said in trace.answers:
            for position, token in said["changes"]:
                answer[position] = token
        assert canvas == ends[number].tokens[0].tolist()
        assert answer == ends[number].answer[0].tolist()
        scores = [frame["score"] for frame in trace.frames]
        # Nobody judges a canvas with blanks, and what is no number cannot be written down.
        assert scores[0] is None and isinstance(scores[-1], float) and -torch.inf not in scores


@pytest.mark.parametrize(
    ("rungs", "policy", "match"),
    [
        ((), "confidence", "increasing"),
        ((2, 1), "confidence", "increasing"),
        ((0, 1), "confidence", "at least 1"),
        ((4, 8), "even", "a run of its own"),
    ],
)
def test_ladders_that_make_no_sense_are_refused(rungs: tuple[int, ...], policy: str, match: str) -> None:
    with pytest.raises(ValueError, match=match):
        Sampler((POLICIES | PLANNED)[policy], ToySudoku(), rungs)
