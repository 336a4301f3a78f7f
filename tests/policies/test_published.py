"""Laws that every published sampler keeps, and the exact laws of orders on enumerated joints."""

import functools
import itertools
from typing import Any

import pytest
import torch

from dlmreason.canvas import NEVER, Policy
from dlmreason.policies import presets, published
from dlmreason.policies.counts import EntropyBounded
from dlmreason.policies.facts import facts_of
from dlmreason.policies.ordered import Ordered, PlackettLuce
from dlmreason.policies.planned import Planned, Planner
from dlmreason.policies.scores import Blocks, certain, confidence, entropy, even, left_to_right, margin, sampled
from dlmreason.sampling.denoise import Rows
from tests.policies import hand
from tests.policies.laws import Law, answer_law, total_variation
from tests.policies.walk import Opinions, digest, same_moves, walked
from tests.toys import JOINT, Oracle, random_joint, sudoku_rows

TRIPLE = random_joint(3, 3)
DRAWN = functools.partial(Ordered, count=1, temperature=1.0)

UNBIASED = {
    "random": DRAWN(even, rank=PlackettLuce()),
    "confidence, drawn": DRAWN(confidence, rank=PlackettLuce(0.5)),
    "confidence, annealed": DRAWN(confidence, rank=PlackettLuce(2.0, annealed=True)),
    "left to right": DRAWN(left_to_right),
    "entropy bounded": Ordered(entropy, EntropyBounded(0.0), 1.0),
    "threshold": published.threshold(1.5, "margin", 1.0),
    "factor": published.factor(0.0, "entropy", 1.0),
    "blocks of one": DRAWN(Blocks(confidence, 1)),
    "blocks of two": DRAWN(Blocks(margin, 2)),
    "bd3 in blocks of one": published.bd3(1),
    "bd3 in blocks of two": published.bd3(2),
    "planned, nothing taken back": Planned(Planner(even, certain), temperature=1.0, rank=PlackettLuce()),
    "prism, nothing taken back": published.prism(remask=0),
}


@pytest.mark.parametrize("name", UNBIASED)
@pytest.mark.parametrize("joint", [JOINT, TRIPLE], ids=["two", "three"])
def test_one_drawn_token_a_pass_is_exact_in_any_order_that_does_not_look_at_it(name: str, joint: torch.Tensor) -> None:
    law = answer_law(UNBIASED[name], Oracle(joint), joint.dim())
    assert sum(law.values()) == pytest.approx(1, abs=1e-12)
    assert total_variation(law, joint) == pytest.approx(0, abs=1e-12)


BIASED = {(0, 0): 0.63, (1, 1): 0.14, (0, 1): 0.21, (1, 0): 0.02}


@pytest.mark.parametrize(
    "policy",
    [
        published.llada(count=1),
        published.llada(),
        published.p2(eta=0.0),
        DRAWN(sampled),
        published.maskgit(0, "linear"),
    ],
    ids=["llada", "shared", "p2", "sampled", "maskgit"],
)
def test_an_order_by_the_drawn_token_is_biased_as_published(policy: Policy) -> None:
    """One token a pass and a perfect network: the law that LLaDA's and P2's order has on J."""
    law = answer_law(policy, Oracle(JOINT), 2)
    assert law == pytest.approx(BIASED, abs=1e-12)
    assert total_variation(law, JOINT) == pytest.approx(0.24, abs=1e-12)


def test_at_temperature_zero_every_order_is_a_greedy_path_and_llada_is_confidence() -> None:
    for policy in (DRAWN(confidence, temperature=0.0), published.p2(0.0, temperature=0.0), published.remedi(False)):
        assert answer_law(policy, Oracle(JOINT), 2) == {(0, 0): 1.0}
    assert same_moves(published.llada(2, temperature=0.0), Ordered(confidence, 2), 6)
    assert not same_moves(published.llada(2), Ordered(confidence, 2, 1.0), 6)


def greedy(order: list[int]) -> tuple[int, ...]:
    """The greedy path through the joint of three in a given order."""
    row, oracle = [3, 3, 3], Oracle(TRIPLE)
    for site in order:
        row[site] = int(oracle._row(row)[site].argmax())
    return tuple(row)


def test_an_argmax_walk_is_the_greedy_path_of_its_order() -> None:
    for score, order in ((left_to_right, [0, 1, 2]), (lambda now, says: -left_to_right(now, says), [2, 1, 0])):
        assert answer_law(Ordered(score, 1), Oracle(TRIPLE), 3) == {greedy(order): 1.0}


def test_a_block_of_the_whole_is_the_order_itself_and_a_block_of_one_goes_left_to_right() -> None:
    whole, single = (functools.partial(Ordered, Blocks(confidence, size)) for size in (16, 1))
    for count in (1, 3, None):
        assert same_moves(whole(count, 1.0), Ordered(confidence, count, 1.0), 6)
    assert same_moves(single(1, 1.0), Ordered(left_to_right, 1, 1.0), 12)
    assert not same_moves(single(1, 1.0), Ordered(confidence, 1, 1.0), 12)
    assert same_moves(published.bd3(16), published.random_order(), 6)
    assert same_moves(published.bd3(1), Ordered(left_to_right, 1, 1.0), 12)
    assert not same_moves(published.bd3(4), published.random_order(), 6)
    assert answer_law(single(1, 1.0), Oracle(JOINT), 2) == pytest.approx(
        answer_law(DRAWN(left_to_right), Oracle(JOINT), 2)
    )


def test_blocks_by_position_count_what_is_given_too() -> None:
    """Given 0 and 5 of 7: blocks of 3 by position are 1 2 | 3 4 | 6, those of the answer 1 2 3 | 4 6."""
    now = hand.canvas([[0] + [hand.MASK] * 4 + [0, hand.MASK]], given=(0, 5))
    sure = hand.reading(now, [[0.5, 0.3, 0.2]] * 3 + [[0.9, 0.05, 0.05]] * 4)
    written = {}
    for by_position in (True, False):
        tokens, order = now, []
        policy = Ordered(Blocks(confidence, 3, by_position), 1)
        while bool(tokens.masked.any()):
            reading = sure._replace(of=sure.of._replace(tokens=tokens.tokens))
            move = policy(tokens, reading, hand.clock(0), (), hand.Scripted())
            order += (move.tokens != tokens.tokens)[0].nonzero().flatten().tolist()
            tokens = tokens._replace(tokens=move.tokens)
        written[by_position] = order
    assert written == {True: [1, 2, 3, 4, 6], False: [3, 1, 2, 4, 6]}
    many = published.bd3(3, "confidence", count=9, temperature=0.0)
    move = many(now, sure, hand.clock(0), (), hand.Scripted())
    assert (move.tokens != now.tokens)[0].tolist() == [False, True, True] + [False] * 4


@pytest.mark.parametrize(("passes", "left"), [(1, 8), (2, 4), (3, 0), (6, 0), (7, 0), (12, 0), (30, 0)])
def test_an_even_share_of_the_passes_fits_its_blocks(passes: int, left: int) -> None:
    """12 blanks in 3 blocks: every canvas is full in time, unless there are fewer passes than blocks."""
    moves, _ = walked(published.llada(block=4), passes, sudoku_rows(3), width=3)
    assert (moves[-1].tokens == Opinions.mask_id).sum(-1).tolist() == [left] * 3


def test_all_at_once_is_the_product_of_the_marginals() -> None:
    product = torch.outer(JOINT.sum(1), JOINT.sum(0))
    for policy in (published.threshold(0.0, temperature=1.0), published.entropy_bound(9.0, temperature=1.0)):
        assert total_variation(answer_law(policy, Oracle(JOINT), 1), product) == pytest.approx(0, abs=1e-12)


def test_taking_tokens_back_by_a_fresh_draw_changes_the_law() -> None:
    """The control of the exact laws: a planner that takes tokens back on four passes is not the joint."""
    law: Law = answer_law(published.p2(1.0, score_current=True), Oracle(JOINT), 4)
    assert sum(law.values()) == pytest.approx(1, abs=1e-12)
    assert total_variation(law, JOINT) > 0.05


SAMPLERS: dict[str, Policy] = {
    "random_order": published.random_order(),
    "entropy_bound": published.entropy_bound(temperature=1.0),
    "threshold": published.threshold(0.9, block=4),
    "factor": published.factor(),
    "maskgit": published.maskgit(),
    "llada": published.llada(block=6),
    "bd3": published.bd3(3, count=2),
    "p2": published.p2(),
    "p2_paper": published.p2(0.5, "paper", True, "cosine"),
    "remedi": published.remedi(noise=1.0),
    "remedi_released": published.remedi(learned=False),
    "mgdm": published.mgdm(),
    "prism": published.prism(),
    "prism_loop": published.prism(2, "confidence", loop=0.5, after=0.5),
    "token_edit": published.token_edit(),
    "self_correction": published.self_correction(),
}


def rows_with_clues() -> Rows:
    return sudoku_rows(5, clues=3)


@pytest.mark.parametrize("name", SAMPLERS)
@pytest.mark.parametrize("passes", [1, 5, 20])
def test_no_answer_has_a_mask_and_what_is_given_stays(name: str, passes: int) -> None:
    rows = rows_with_clues()
    moves, answers = walked(SAMPLERS[name], passes, rows, width=5)
    given = ~rows.editable
    for move in moves:
        assert not bool((move.answer == Opinions.mask_id).any())
        assert torch.equal(move.answer[given], rows.tokens[given]) and torch.equal(
            move.tokens[given], rows.tokens[given]
        )
        settled = move.wake == NEVER
        assert not bool((move.tokens[settled] == Opinions.mask_id).any())
        assert bool(((move.wake == 1) | settled).all())
    assert all(Opinions.mask_id not in answer.tolist() for answer in answers.values())


@pytest.mark.parametrize("name", SAMPLERS)
def test_a_row_says_alone_what_it_says_in_company(name: str) -> None:
    rows = rows_with_clues()
    _, together = walked(SAMPLERS[name], 9, rows, width=5)
    for number in (0, 3):
        alone = Rows(*(part[number : number + 1] for part in rows))
        ((known, answer),) = walked(SAMPLERS[name], 9, alone, width=2)[1].items()
        assert torch.equal(answer, together[known])


@pytest.mark.parametrize("name", SAMPLERS)
def test_what_never_revises_writes_each_position_once(name: str) -> None:
    moves, _ = walked(SAMPLERS[name], 20, rows_with_clues(), width=5)
    canvases = [move.tokens for move in moves]
    changed = any(bool(((a != b) & (a != Opinions.mask_id)).any()) for a, b in itertools.pairwise(canvases))
    assert changed == facts_of(SAMPLERS[name]).revises


@pytest.mark.parametrize("name", SAMPLERS)
def test_an_anytime_sampler_walks_one_path_whatever_its_budget(name: str) -> None:
    policy: Any = SAMPLERS[name]
    if not policy.anytime:
        assert name in (
            "maskgit",
            "llada",
            "p2",
            "p2_paper",
            "remedi",
            "remedi_released",
            "mgdm",
            "prism",
            "prism_loop",
        )
        return
    short, long = (walked(policy, passes, rows_with_clues(), width=5)[0] for passes in (3, 8))
    assert all(torch.equal(a.tokens, b.tokens) for a, b in zip(short, long, strict=False))


@pytest.mark.parametrize(
    ("policy", "passes", "taken"),
    [
        (presets.ordered(), 12, "0096ae0f9cdcd875"),
        (presets.ordered("margin", 3, 0.7), 24, "effd16bdb61e7671"),
        (presets.ordered("entropy", None, 1.0), 5, "b162437a1c350253"),
        (presets.ordered("left_to_right", 1), 16, "c8ea29f2b3bc0896"),
        (presets.change_of_mind(4, 2, 1.0, 1, 0.6, -0.005, 2, 0.3), 64, "28b68c87f2f871b0"),
        (presets.random_doubt(4), 64, "1f553ae710c6e50c"),
        (presets.restarts(), 64, "566cd346c5148982"),
    ],
)
def test_the_moves_of_the_standing_policies_are_what_they_were(policy: Policy, passes: int, taken: str) -> None:
    """Digests from before orders and counts were parts: records that were published stay reproducible."""
    assert digest(policy, passes) == taken
