"""Laws of the exact moves: what they leave invariant, what a trial asks, and when a row is done."""

import itertools
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._pytree import tree_leaves

from dlmreason.canvas import NEVER, Ask, Policy, Reading
from dlmreason.policies import metropolis
from dlmreason.policies.facts import facts_of
from dlmreason.policies.gibbs import Gibbs
from dlmreason.policies.metropolis import Metropolis
from dlmreason.policies.ordered import Ordered
from dlmreason.policies.published import random_order
from dlmreason.policies.scores import left_to_right
from dlmreason.sampling.denoise import Sampler, State
from dlmreason.sampling.noise import Counter
from tests.policies.hand import MASK, Scripted, canvas, clock, named, reading
from tests.policies.laws import Law, answer_law, from_joint, total_variation
from tests.sampling.test_denoise import pick, run, some_rows
from tests.toys import JOINT, Oracle, ToySudoku, blank_rows, random_joint, sudoku_rows

APART = torch.tensor([[0.5, 0.0], [0.0, 0.5]], dtype=torch.float64)
CUBE = random_joint(3, 2)
MOVES: dict[str, Policy] = {
    "first_hitting": random_order(),
    "gibbs": Gibbs(),
    "block": Gibbs(2),
    "metropolis": Metropolis(2),
    "sharpened": Metropolis(3, power=2.0),
}


def powered(joint: Tensor, power: float) -> Tensor:
    return joint**power / (joint**power).sum()


# Invariance


@pytest.mark.parametrize("policy", [Gibbs(), Gibbs(2), Metropolis(1), Metropolis(2)], ids=named)
@pytest.mark.parametrize("passes", [1, 2, 3, 4])
def test_the_joint_is_invariant_after_any_number_of_passes(policy: Policy, passes: int) -> None:
    """Not only when a block is complete: the canvas keeps its tokens until then."""
    assert total_variation(from_joint(policy, Oracle(JOINT), passes, JOINT), JOINT) == pytest.approx(0, abs=1e-12)


@pytest.mark.slow
def test_a_block_of_two_in_three_leaves_the_joint_invariant() -> None:
    assert total_variation(from_joint(Metropolis(2), Oracle(CUBE), 3, CUBE), CUBE) == pytest.approx(0, abs=1e-12)


@pytest.mark.slow
@pytest.mark.parametrize("policy", [Gibbs(2), Gibbs(3), Metropolis(2, 0.5), Metropolis(3, 1.5)], ids=named)
def test_bigger_blocks_and_longer_walks(policy: Any) -> None:
    target = powered(CUBE, getattr(policy, "power", 1.0))
    assert total_variation(from_joint(policy, Oracle(CUBE), 5, target), target) == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize(("sites", "passes"), [(1, 1), (1, 2), (2, 3)])
@pytest.mark.parametrize("power", [0.5, 2.0, 7.0])
def test_a_power_of_the_joint_is_the_target(sites: int, passes: int, power: float) -> None:
    target = powered(JOINT, power)
    assert total_variation(target_law(sites, power, passes), target) == pytest.approx(0, abs=1e-12)
    if sites == 1:  # the shortcut of drawing from p^power, normalised, is another chain; so is ignoring the power
        assert total_variation(from_joint(Gibbs(), Oracle(JOINT), passes, target), target) > 0.02


def target_law(sites: int, power: float, passes: int) -> Law:
    return from_joint(Metropolis(sites, power), Oracle(JOINT), passes, powered(JOINT, power))


def test_a_trial_is_in_detailed_balance_and_moves_as_often_as_pinned() -> None:
    cells = list(itertools.product(range(2), repeat=2))
    walk = {cell: answer_law(Metropolis(2), Oracle(JOINT), 3, torch.tensor([cell])) for cell in cells}
    for here, there in itertools.combinations(cells, 2):
        forth, back = float(JOINT[here]) * walk[here][there], float(JOINT[there]) * walk[there][here]
        assert forth == pytest.approx(back, abs=1e-12)
        assert forth > 0
    assert sum(float(JOINT[cell]) * (1 - walk[cell][cell]) for cell in cells) == pytest.approx(0.41, abs=1e-12)


def test_the_proposal_alone_is_the_product_of_the_marginals(monkeypatch: pytest.MonkeyPatch) -> None:
    """What acceptance is for: proposals taken unseen are at .30 from the joint they came from."""
    monkeypatch.setattr(metropolis, "_acceptance", lambda trial: torch.ones_like(trial.ours))
    assert total_variation(from_joint(Metropolis(2), Oracle(JOINT), 3, JOINT), JOINT) == pytest.approx(0.3, abs=1e-12)


# Mixing


@pytest.mark.parametrize("policy", [Gibbs(), Metropolis(1)], ids=named)
def test_single_sites_cannot_cross_between_two_far_answers(policy: Policy) -> None:
    assert answer_law(policy, Oracle(APART), 4, torch.tensor([[0, 0]])) == {(0, 0): pytest.approx(1)}


@pytest.mark.parametrize(("policy", "passes"), [(Gibbs(2), 2), (Metropolis(2), 6)], ids=named)
def test_a_block_of_two_can(policy: Policy, passes: int) -> None:
    law = answer_law(policy, Oracle(APART), passes, torch.tensor([[0, 0]]))
    assert set(law) == {(0, 0), (1, 1)}
    assert law[1, 1] == pytest.approx(0.5 if policy == Gibbs(2) else 3 / 8)  # MH: two trials of chance 1/4


def test_a_full_support_is_forgotten() -> None:
    distance = [
        total_variation(answer_law(Gibbs(), Oracle(JOINT), passes, torch.tensor([[1, 0]])), JOINT)
        for passes in (1, 2, 4, 8, 16)
    ]
    assert distance == sorted(distance, reverse=True)
    assert distance[-1] < 0.05 * distance[0]


def test_a_canvas_that_the_model_holds_impossible_is_left() -> None:
    """Every proposal is accepted from it, so the law is that of the proposals."""
    joint = torch.tensor([[0.6, 0.0], [0.1, 0.3]], dtype=torch.float64)
    law = answer_law(Metropolis(2), Oracle(joint), 3, torch.tensor([[0, 1]]))
    assert total_variation(law, torch.outer(joint.sum(1), joint.sum(0))) == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("policy", [random_order(), Gibbs(), Gibbs(2), Metropolis(2)], ids=named)
@pytest.mark.parametrize("joint", [JOINT, CUBE], ids=["two", "three"])
def test_from_blanks_the_first_canvas_is_an_exact_sample(policy: Policy, joint: Tensor) -> None:
    law = answer_law(policy, Oracle(joint), joint.dim())
    assert total_variation(law, joint) == pytest.approx(0, abs=1e-12)


# First hitting


class Partial(Oracle):
    """Conditionals of no joint: the more is known, the sharper, and by position. So an order shows in the law."""

    def _row(self, row: list[int]) -> Tensor:
        known = sum(token != self.mask_id for token in row)
        sharper = 1 + known * torch.arange(1.0, self.length + 1)[:, None].double()
        return (super()._row(row) * sharper).log_softmax(-1)


def in_order(denoiser: Oracle, order: tuple[int, ...]) -> Law:
    """The law of writing one sampled token a pass in one order."""
    law: Law = {(denoiser.mask_id,) * denoiser.length: 1.0}
    for site in order:
        grown: Law = {}
        for row, chance in law.items():
            for token, p in enumerate(denoiser._row(list(row))[site].exp().tolist()):
                grown[(*row[:site], token, *row[site + 1 :])] = chance * p
        law = grown
    return law


def test_first_hitting_is_one_sampled_token_a_pass_in_an_order_drawn_evenly() -> None:
    denoiser = Partial(CUBE)
    laws = [in_order(denoiser, order) for order in itertools.permutations(range(3))]
    average = {cell: sum(law[cell] for law in laws) / 6 for cell in laws[0]}
    assert answer_law(random_order(), denoiser, 3) == pytest.approx(average, abs=1e-12)
    assert answer_law(Gibbs(), denoiser, 3) == pytest.approx(average, abs=1e-12)  # its first block
    ordered = answer_law(Ordered(left_to_right, 1, 1.0), denoiser, 3)
    assert ordered == pytest.approx(laws[0], abs=1e-12)
    assert ordered != pytest.approx(average, abs=1e-3)


def test_first_hitting_calls_once_a_blank_and_stops_where_it_is_stopped() -> None:
    sampler = Sampler(random_order(), ToySudoku(), (3, 12, 99), width=4)
    for state in sampler.run(sudoku_rows(4)):
        assert state.spent.tolist() == [[3, 12, 12]]
        assert int(state.nfe) == 12 and int(state.index) > 99
        assert int((state.canvases[0, 0] != 4).sum()) == 4 + 3


# What is asked


def probes(policy: Policy, of: Any, drawn: list[int], passes: int, coins: list[bool]) -> list[list[int]]:
    """What each pass reads. The blocks are the first sites, since a scripted order is that of the positions."""

    class Possible(Scripted):
        def coin(self, chance: Tensor, stream: str) -> Tensor:
            return super().coin(chance, stream) & (chance > 0)

    noise, asked, move = Possible(coins=coins, drawn=drawn), [], policy.init(of, clock(-1), Scripted())
    for index in range(passes):
        asked.append(move.ask.tokens[0].tolist())
        says = reading(of, [[0.2, 0.3, 0.5]] * of.tokens.shape[1])._replace(of=move.ask)
        move = policy(of, says, clock(index), move.memory, noise)
        of = of._replace(tokens=move.tokens)
        assert move.answer.tolist() == move.tokens.tolist() or MASK in move.tokens[0]
    return [*asked, move.tokens[0].tolist()]


def test_a_trial_of_three_sites_takes_five_passes() -> None:
    of = canvas([[2, 0, 0, 0]], given=(0,))
    asked = probes(Metropolis(3), of, [1, 1, 2, 1], 5, [True])
    assert asked == [
        [2, MASK, MASK, MASK],  # the proposal is drawn from this
        [2, 1, MASK, MASK],
        [2, 1, 2, MASK],
        [2, 0, MASK, MASK],  # and now what stands
        [2, 0, 0, MASK],
        [2, 1, 2, 1],
    ]
    assert probes(Metropolis(3), of, [1, 1, 2, 1], 5, [False])[-1] == [2, 0, 0, 0]


def test_a_block_is_drawn_site_by_site_and_taken_over_when_complete() -> None:
    of = canvas([[2, 0, 0, 0]], given=(0,))
    assert probes(Gibbs(2), of, [1, 1, 2, 1], 1, [])[-1] == [2, 0, 0, 0]
    assert probes(Gibbs(2), of, [1, 1, 2, 1], 2, []) == [[2, MASK, MASK, 0], [2, 1, MASK, 0], [2, 1, 2, 0]]
    # Blanks come first, all of them and nothing else, each written at once.
    blank = canvas([[2, MASK, 0, MASK]], given=(0,))
    for policy in (Gibbs(), Gibbs(2), Metropolis(2)):
        asked = probes(policy, blank, [1, 1, 2, 1], 2, [True])
        assert asked == [[2, MASK, 0, MASK], [2, 1, 0, MASK], [2, 1, 0, 1]]
    # A block larger than the row is all of it.
    assert probes(Gibbs(9), of, [1, 1, 2, 1], 3, [])[0] == [2, MASK, MASK, MASK]
    assert probes(Metropolis(9), of, [1, 1, 2, 1], 5, [True])[-1] == [2, 1, 2, 1]


@pytest.mark.parametrize("policy", MOVES.values(), ids=MOVES.keys())
def test_a_row_with_nothing_to_write_is_settled(policy: Policy) -> None:
    given = canvas([[0, 1, 2]], given=(0, 1, 2))
    noise = Counter(0, torch.tensor([1]), torch.tensor([0]))
    move = policy.init(given, clock(-1), noise)
    assert move.wake.tolist() == [NEVER]
    move = policy(given, reading(given, [[0.2, 0.3, 0.5]] * 3), clock(0), move.memory, noise)
    assert move.wake.tolist() == [NEVER] and move.tokens.tolist() == given.tokens.tolist()


def test_what_is_declared() -> None:
    assert all(policy.anytime for policy in MOVES.values())
    assert not facts_of(random_order()).revises
    assert all(facts_of(policy).revises for name, policy in MOVES.items() if name != "first_hitting")
    for policy in MOVES.values():
        noise = Scripted(coins=[True], drawn=[1, 1, 1])
        full = canvas([[0, 1, 2]])
        move = policy.init(full, clock(-1), noise)
        noise.asked.clear()
        policy(full, reading(full, [[0.2, 0.3, 0.5]] * 3)._replace(of=move.ask), clock(0), move.memory, noise)
        assert sorted(noise.asked) == sorted(facts_of(policy).streams)


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: Gibbs(0), "sites=0: a block has at least 1 position"),
        (lambda: Metropolis(0), "sites=0"),
        (lambda: Metropolis(2, 0.0), r"power=0\.0 must be finite and above 0"),
        (lambda: Metropolis(2, float("nan")), "power=nan"),
    ],
)
def test_settings_that_mean_nothing_are_refused(make: Any, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        make()


# Prefixes


class Table:
    """A denoiser that is one look-up, so that a thousand passes are quick."""

    uses_level = False
    mask_id = 3

    def __init__(self) -> None:
        self.logits = torch.randn(4, 4, 3, generator=torch.Generator().manual_seed(0))

    def first_carry(self, rows: int) -> tuple[()]:
        return ()

    def __call__(self, ask: Ask, features: Tensor) -> Reading:
        return Reading(ask, self.logits[ask.tokens, ask.tokens.roll(1, -1)], None, ())


def thousand(policy: Policy, rungs: tuple[int, ...]) -> bytes:
    """Every byte of what rows are after 1,000 passes, and what they said there."""
    sampler = Sampler(policy, Table(), rungs, seed=5, width=2)
    state: State = sampler.advance(sampler.init(blank_rows(2, 3, 3)), 1000)
    leaves = tree_leaves(
        state._replace(
            answers=state.answers[:, 0],
            scores=state.scores[:, 0],
            canvases=state.canvases[:, 0],
            spent=state.spent[:, 0],
            changes=state.changes[:, 0],
        )
    )
    return b"|".join(leaf.contiguous().numpy().tobytes() for leaf in leaves)


@pytest.mark.parametrize("policy", [Gibbs(2), Metropolis(2)], ids=named)
def test_a_thousand_passes_are_the_first_of_a_hundred_thousand(policy: Policy) -> None:
    assert thousand(policy, (1000,)) == thousand(policy, (1000, 100_000))


@pytest.mark.parametrize("policy", [random_order(), Gibbs(3), Metropolis(3)], ids=named)
def test_a_row_is_byte_equal_alone_and_in_company(policy: Policy) -> None:
    together, alone = run(policy, some_rows(5)), dict[int, bytes]()
    for row in range(5):
        alone |= run(policy, pick(some_rows(5), [row]))
    assert alone == together
