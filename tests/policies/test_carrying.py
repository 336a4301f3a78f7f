"""Laws of noise on a carry, of a carry forgotten, and of one that is all there is."""

from typing import Any, NamedTuple

import pytest
import torch
from torch import Tensor

from dlmreason.canvas import NEVER, Ask, Canvas, Clock, Move, Policy, Reading
from dlmreason.policies.annealed import Annealed
from dlmreason.policies.carrying import Forgetful, NoisyCarry, Reread
from dlmreason.policies.episodes import annealed_episodes, carry_only, noisy_episodes
from dlmreason.policies.facts import check_sound
from dlmreason.policies.respond import moved, opening
from dlmreason.policies.wrappers import Episodes
from dlmreason.sampling.denoise import Sampler, State
from dlmreason.sampling.noise import Counter
from tests.toys import ToySudoku, blank_rows, sudoku_rows

PASSES, WIDE = 40, 6


class Mind(NamedTuple):
    count: Tensor  # [B] int64
    state: Tensor  # [B, 16, WIDE] float32


class Minded(ToySudoku):
    """Its state is a function of what it read and of the state before, and moves what it says."""

    def first_carry(self, rows: int) -> Any:
        return Mind(torch.zeros(rows, dtype=torch.int64), torch.zeros(rows, 16, WIDE))

    def __call__(self, ask: Ask, features: Tensor) -> Reading:
        reading = super().__call__(ask, features)
        state = torch.tanh(ask.carry.state + torch.cos(ask.tokens[..., None] + torch.arange(WIDE)))
        logits = reading.logits + ask.carry.state[..., :4]
        return reading._replace(logits=logits, carry=Mind(ask.carry.count + 1, state))


def walked(policy: Policy) -> list[tuple[Reading, Move]]:
    """The readings and moves of eight rows."""
    seen: list[tuple[Reading, Move]] = []

    def note(before: State, reading: Reading, move: Move, after: State) -> None:
        seen.append((reading, move))

    sampler = Sampler(policy, Minded(), (PASSES,), seed=7, width=8, chunk=8)
    sampler.advance(sampler.init(sudoku_rows(8)), PASSES, note)
    return seen


def noise_of(seen: list[tuple[Reading, Move]]) -> Tensor:
    """[passes, B]: how far from what came the carry is that is asked next, at most."""
    return torch.stack([(move.ask.carry.state - said.carry.state).abs().amax((1, 2)) for said, move in seen])


def test_noise_of_scale_0_is_none() -> None:
    plain, noisy = walked(Episodes(Annealed(), 8)), walked(Episodes(NoisyCarry(Annealed(), 0.0), 8))
    for (_, one), (_, other) in zip(plain, noisy, strict=True):
        for part in ("tokens", "answer", "score", "wake"):
            assert torch.equal(getattr(one, part), getattr(other, part))
        assert torch.equal(one.ask.tokens, other.ask.tokens)
        assert one.ask.carry.state.numpy().tobytes() == other.ask.carry.state.numpy().tobytes()


def test_noise_is_on_the_carry_until_a_share_of_each_episode_and_never_on_the_first() -> None:
    """Of 11 passes those at .1, ..., .5 of the way read noise, and the sixth more is none."""
    seen = walked(Episodes(NoisyCarry(Annealed(), 1.0, 0.6), 11))
    for number, (_, move) in enumerate(seen):
        reads = (number + 1) % 11
        off = noise_of(seen)[number]
        if reads == 0:
            assert bool((move.ask.carry.state == 0).all()) and bool((move.ask.carry.count == 0).all())
        else:
            assert bool((off > 0.01).all()) if reads < 6 else bool((off == 0).all()), reads
            assert bool((move.ask.carry.count == reads).all())  # what is no number is handed on


class Hands(NamedTuple):
    """A policy of one line, that hands on what came."""

    anytime: bool = True

    def init(self, canvas: Canvas, clock: Clock, noise: Any) -> Move:
        return opening(canvas)

    def __call__(self, canvas: Canvas, reading: Reading, clock: Clock, memory: Any, noise: Any) -> Move:
        assert (clock.total is None) == self.anytime
        return moved(canvas, reading, canvas.tokens)


def noised(policy: Policy, carry: Any, index: Tensor, ids: Tensor, total: int, at: int = 3) -> Any:
    """The carry that is asked after pass `index` [B] of `total`; at: the true pass."""
    rows = len(ids)
    tokens = torch.zeros(rows, 2, dtype=torch.int64)
    ask = Ask(tokens, torch.zeros(rows, dtype=torch.float64), carry)
    said = Reading(ask, torch.zeros(rows, 2, 3), None, carry)
    canvas = Canvas(tokens, torch.ones_like(tokens, dtype=torch.bool), carry, 3)
    noise = Counter(5, ids, torch.full_like(ids, at))
    return policy(canvas, said, Clock(index, total), (), noise).ask.carry


IDS = torch.arange(400) * 7919 + 3


@pytest.mark.parametrize(("scale", "until", "total"), [(1.0, 0.6, 11), (2.0, 1.0, 5), (0.25, 0.3, 101)])
def test_the_noise_is_gaussian_and_its_size_falls_linearly_to_none(scale: float, until: float, total: int) -> None:
    carry = torch.zeros(len(IDS), 500)
    for index in range(0, total, max(total // 10, 1)):
        drawn = noised(NoisyCarry(Hands(), scale, until), carry, torch.full_like(IDS, index), IDS, total).double()
        size = scale * max(1 - min((index + 1) / (total - 1), 1) / until, 0)
        count = drawn.numel()
        assert abs(float(drawn.mean())) <= 5 * size / count**0.5
        assert abs(float(drawn.square().mean()) - size**2) <= 5 * size**2 * (2 / count) ** 0.5
        assert abs(float((drawn**4).mean()) - 3 * size**4) <= 5 * size**4 * (96 / count) ** 0.5


def test_rows_beyond_it_are_handed_on_byte_for_byte_beside_rows_within() -> None:
    carry = torch.randn(len(IDS), 7, generator=torch.Generator().manual_seed(0))
    carry[-1, 0] = float("nan")  # padding may hold anything
    carry[1] = -0.0  # and nought has two forms
    index = torch.where(torch.arange(len(IDS)) % 2 == 0, 0, 9)
    out = noised(NoisyCarry(Hands(), 1.0, 0.6), carry, index, IDS, 11)
    fresh = Counter(5, IDS, torch.full_like(IDS, 3)).normal(carry, "soft")
    expected = (carry.double() + (1 - 0.1 / 0.6) * fresh).float()
    assert torch.allclose(out[::2], expected[::2], rtol=0, atol=1e-6)
    assert out[1::2].numpy().tobytes() == carry[1::2].numpy().tobytes()


def test_it_is_fresh_on_every_pass_for_every_row_and_for_every_number_of_a_carry() -> None:
    carry = (torch.zeros(len(IDS), 3), torch.zeros(len(IDS), 2, 2))
    start = torch.zeros_like(IDS)
    draws = [noised(NoisyCarry(Hands()), carry, start, IDS, 8, at) for at in (3, 4)]
    numbers = torch.cat([leaf.flatten() for draw in draws for leaf in draw])
    assert numbers.unique().numel() == numbers.numel() == 2 * len(IDS) * 7
    assert [leaf.shape for leaf in draws[0]] == [leaf.shape for leaf in carry]


def test_a_row_has_its_own_noise_alone_and_in_company() -> None:
    carry = torch.randn(len(IDS), 5, 9, generator=torch.Generator().manual_seed(0))
    start, policy = torch.zeros_like(IDS), NoisyCarry(Hands())
    whole = noised(policy, carry, start, IDS, 8)
    order = torch.randperm(len(IDS), generator=torch.Generator().manual_seed(1))
    assert torch.equal(noised(policy, carry[order], start, IDS[order], 8), whole[order])
    for row in (0, 7, 399):
        assert torch.equal(noised(policy, carry[[row]], start[:1], IDS[[row]], 8), whole[[row]])


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64])
def test_a_carry_keeps_its_type(dtype: torch.dtype) -> None:
    carry = torch.ones(len(IDS), 2, dtype=dtype)
    out = noised(NoisyCarry(Hands()), carry, torch.zeros_like(IDS), IDS, 8)
    assert out.dtype == dtype and out.isfinite().all()


def test_what_plans_for_its_total_is_told_it_and_what_is_anytime_is_not() -> None:
    for anytime in (True, False):
        noised(NoisyCarry(Hands(anytime)), torch.zeros(1, 2), torch.zeros(1, dtype=torch.int64), IDS[:1], 8)
    assert not NoisyCarry(Hands()).anytime and carry_only().anytime
    assert NoisyCarry(Hands()) == NoisyCarry(Hands(), 1.0, 0.6)


def test_noise_needs_a_network_that_carries_and_says_what_does_not() -> None:
    for policy in (noisy_episodes(), carry_only(), NoisyCarry(Annealed())):
        with pytest.raises(ValueError, match=r"hands a state from pass to pass: .*such as annealed_episodes"):
            check_sound(policy, quality=True)
        check_sound(policy, quality=True, carry=True)
    check_sound(annealed_episodes(), quality=True)


@pytest.mark.parametrize("given", [{"scale": -0.1}, {"scale": float("inf")}, {"scale": float("nan")}])
def test_a_size_that_is_none_is_refused(given: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="scale="):
        NoisyCarry(Annealed(), **given)


@pytest.mark.parametrize("until", [0.0, 1.1, -1.0, float("nan")])
def test_a_share_that_is_none_is_refused(until: float) -> None:
    with pytest.raises(ValueError, match="until="):
        NoisyCarry(Annealed(), until=until)


def test_noise_twice_in_a_pass_is_refused() -> None:
    with pytest.raises(ValueError, match="'soft' is drawn twice"):
        NoisyCarry(NoisyCarry(Annealed()))


def test_a_forgetful_policy_does_all_else_as_before() -> None:
    """On a network that has nothing to remember it is the inner policy; on one that has, it never reads it."""
    plain, forgetful = Episodes(Annealed(), 8), Episodes(Forgetful(Annealed()), 8)
    for _, move in walked(forgetful):
        assert bool((move.ask.carry.state == 0).all()) and bool((move.ask.carry.count == 0).all())
    runs = []
    for policy in (plain, forgetful):
        sampler = Sampler(policy, ToySudoku(), (20,), seed=7, width=8)
        runs.append(torch.cat([state.answers for state in sampler.run(sudoku_rows(8))]))
    assert torch.equal(*runs)


# The carry alone


class Counting:
    """Says at all three positions how many passes it has in mind, up to `most`."""

    uses_level, mask_id = False, 9

    def __init__(self, most: int) -> None:
        self.most = most

    def first_carry(self, rows: int) -> Tensor:
        return torch.zeros(rows, dtype=torch.int64)

    def __call__(self, ask: Ask, features: Tensor) -> Reading:
        assert bool((ask.tokens == self.mask_id).all()), "the canvas stays blank"
        told = ask.carry.clamp(max=self.most)[:, None].expand(-1, 3)
        return Reading(ask, torch.nn.functional.one_hot(told, 9).double() * 40, None, ask.carry + 1)


@pytest.mark.parametrize(("most", "patience"), [(0, 1), (4, 1), (4, 3)])
def test_the_carry_alone_ends_when_what_is_said_has_not_changed_for_so_long(most: int, patience: int) -> None:
    """`most` passes say something new, the next is the last to, and each of `patience` more says the same."""
    moves: list[Move] = []

    def note(before: State, reading: Reading, move: Move, after: State) -> None:
        moves.append(move)

    ends = most + 1 + patience
    sampler = Sampler(carry_only(patience), Counting(most), (30,), width=1, chunk=1)
    (state,) = sampler.run(blank_rows(1, 3, 9), observe=note)
    assert int(state.nfe) == ends
    assert [int(move.answer[0, 0]) for move in moves[:ends]] == [min(number, most) for number in range(ends)]
    assert all(bool((move.tokens == 9).all()) for move in moves[: ends - 1])
    assert moves[ends - 1].wake.item() >= NEVER // 2 and moves[ends - 1].tokens.tolist() == [[most] * 3]
    assert all(float(move.score) > -1e-6 for move in moves)  # it is sure, right or wrong


def test_left_to_itself_it_never_ends() -> None:
    sampler = Sampler(Reread(), Counting(2), (30,), width=1)
    (state,) = sampler.run(blank_rows(1, 3, 9))
    assert int(state.nfe) == 30 and state.tokens.tolist() == [[9] * 3] and state.answers[0, 0].tolist() == [2] * 3
