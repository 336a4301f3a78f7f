"""Laws of annealed episodes: what they show, what they say in the end, and the exact law of that."""

import itertools
import math

import pytest
import torch
from torch import Tensor

from dlmreason.canvas import NEVER, Ask, Policy, Reading
from dlmreason.policies.annealed import Annealed
from dlmreason.policies.episodes import annealed_episodes, forgetful_episodes, noisy_episodes
from dlmreason.policies.facts import Facts, check_sound, facts_of
from dlmreason.policies.wrappers import Certify, Episodes, KeepBest
from dlmreason.sampling.denoise import Sampler
from tests.policies.hand import MASK, Scripted, canvas, clock, reading
from tests.policies.laws import Law, answer_law, total_variation
from tests.policies.test_carry import FIRST, ROWS, Pass, blank, diary, history
from tests.toys import JOINT, Oracle, blank_rows, random_joint

EVEN = [[1 / 3] * 3] * 4


@pytest.mark.parametrize("anew", [True, False])
@pytest.mark.parametrize("joint", [JOINT, random_joint(3, 2)], ids=["two", "three"])
def test_an_episode_of_two_passes_says_all_at_once(joint: Tensor, anew: bool) -> None:
    law = answer_law(Annealed(1.0, anew), Oracle(joint), 2)
    assert total_variation(law, by_hand(joint, anew, shares=())) == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("anew", [True, False])
@pytest.mark.parametrize("joint", [JOINT, random_joint(3, 2)], ids=["two", "three"])
def test_an_episode_of_three_passes_shows_each_token_with_chance_one_half(joint: Tensor, anew: bool) -> None:
    law = answer_law(Annealed(1.0, anew), Oracle(joint), 3)
    assert sum(law.values()) == pytest.approx(1, abs=1e-12)
    assert total_variation(law, by_hand(joint, anew, shares=(0.5,))) == pytest.approx(0, abs=1e-12)


def test_of_two_tokens_one_shown_is_exact_where_it_stands_and_nothing_is_learnt_where_both_are_said_anew() -> None:
    """Half of the canvases show one of the two: those end exact, and the others at the product, .30 away."""
    far = [total_variation(answer_law(Annealed(1.0, anew), Oracle(JOINT), 3), JOINT) for anew in (False, True)]
    assert far == pytest.approx([0.15, 0.30], abs=1e-12)


def test_three_tokens_said_anew_are_no_product() -> None:
    """Those that could see one token agree with it: else the law above would hold of a network that reads nothing."""
    joint = random_joint(3, 2)
    law = answer_law(Annealed(1.0, True), Oracle(joint), 3)
    assert total_variation(law, by_hand(joint, True, shares=())) > 1e-3


def by_hand(joint: Tensor, anew: bool, shares: tuple[float, ...]) -> Tensor:
    """The law of the last canvas, of shares shown between the first pass and the last: the sum over what is shown."""
    sites, values = range(joint.dim()), range(joint.shape[0])
    texts = list(itertools.product(values, repeat=joint.dim()))
    law = {text: math.prod(says(joint, site, {})[text[site]] for site in sites) for text in texts}
    for share in shares:
        after: Law = dict.fromkeys(texts, 0.0)
        for shown in itertools.product((True, False), repeat=joint.dim()):
            chance = math.prod(share if each else 1 - share for each in shown)
            for before, then in itertools.product(texts, repeat=2):
                seen = {site: before[site] for site in sites if shown[site]}
                steps = 1.0
                for site in sites:
                    others = {other: token for other, token in seen.items() if other != site}
                    stands = site in seen and not anew
                    steps *= float(then[site] == before[site]) if stands else says(joint, site, others)[then[site]]
                after[then] += law[before] * chance * steps
        law = after
    return torch.tensor([law[text] for text in texts], dtype=torch.float64).reshape(joint.shape)


def says(joint: Tensor, site: int, seen: dict[int, int]) -> list[float]:
    """p(token at `site` | the tokens seen at other sites)."""
    for other, token in seen.items():
        joint = joint.index_select(other, torch.tensor([token]))
    chances = joint.sum([axis for axis in range(joint.dim()) if axis != site]).flatten()
    return (chances / chances.sum()).tolist()  # type: ignore[no-any-return]


def test_what_it_declares() -> None:
    assert Annealed() == Annealed(1.0, False)
    assert facts_of(Annealed()) == Facts(("token", "show"), frozenset({"masks"}), revises=True)
    assert facts_of(Annealed(0.0)).streams == ("show",) and not Annealed().anytime


# What is shown


@pytest.mark.parametrize("total", [2, 3, 6])
def test_the_share_shown_rises_from_none_to_all_over_the_passes_and_spares_what_is_given(total: int) -> None:
    policy, now = Annealed(1.0, True), canvas([[MASK, MASK, MASK, 0]], given=(3,))
    shares = []
    for index in range(total):
        noise = Scripted(coins=[True], drawn=[1])
        policy(now, reading(now, EVEN), clock(index, total), (), noise)
        assert sorted(noise.asked) == ["show", "token"] and noise.chances[0, 3] == 0
        assert noise.chances[0, :3].unique().numel() == 1
        shares.append(float(noise.chances[0, 0]))
    assert policy.init(now, clock(-1, total), Scripted()).ask.tokens.tolist() == now.tokens.tolist()
    assert shares == pytest.approx([*((index + 1) / (total - 1) for index in range(total - 1)), 1.0])


def test_what_is_hidden_keeps_its_answer_and_what_was_read_on_the_last_pass_stands() -> None:
    now = canvas([[0, MASK, 2, 0]], given=(3,))
    chances = [[0.1, 0.8, 0.1]] * 4

    def move(anew: bool, index: int, coins: list[bool]):  # type: ignore[no-untyped-def]
        return Annealed(1.0, anew)(now, reading(now, chances), clock(index, 4), (), Scripted(coins, drawn=[1, 1, 1, 1]))

    middle = move(True, 1, [True, False, False, False])
    assert middle.tokens.tolist() == middle.ask.tokens.tolist() == [[1, MASK, MASK, 0]]
    assert middle.answer.tolist() == [[1, 1, 2, 0]] and middle.wake.item() == 1
    assert float(middle.ask.level) == pytest.approx(1 / 3)
    assert move(False, 1, [True] * 4).tokens.tolist() == [[0, 1, 2, 0]]  # what could be seen is said again
    last = move(True, 3, [True] * 4)
    assert last.tokens.tolist() == last.answer.tolist() == [[0, 1, 2, 0]] and last.wake.item() == NEVER


class Late:
    """Knows the answer from pass `when` of a line on, and says something else before; its carry counts."""

    uses_level, mask_id, gold = False, 3, torch.tensor([0, 1, 2, 1, 0, 2])

    def __init__(self, when: int) -> None:
        self.when = when

    def first_carry(self, rows: int) -> Tensor:
        return torch.zeros(rows, dtype=torch.int64)

    def __call__(self, ask: Ask, features: Tensor) -> Reading:
        told = torch.where(ask.carry[:, None] >= self.when, self.gold, (self.gold + 1) % 3)
        logits = torch.nn.functional.one_hot(told, 3).double() * 1e4
        quality = torch.where(ask.tokens == self.gold, 0.99, 0.01)
        return Reading(ask, logits, quality, ask.carry + 1)


def said(policy: Policy, when: int, passes: int, rows: int = 8) -> Tensor:
    """[B, L]: what it answers after `passes` passes."""
    sampler = Sampler(policy, Late(when), (passes,), width=rows)
    return torch.cat([state.answers[:, 0] for state in sampler.run(blank_rows(rows, 6, 3, Late.gold))])


@pytest.mark.parametrize("passes", [2, 3, 5, 9])
@pytest.mark.parametrize("temperature", [0.0, 1.0])
@pytest.mark.parametrize("anew", [True, False])
def test_a_network_that_knows_the_answer_ends_right(passes: int, temperature: float, anew: bool) -> None:
    assert (said(Annealed(temperature, anew), 0, passes) == Late.gold).all()
    assert (said(annealed_episodes(passes, temperature, anew, certify=None), 0, passes) == Late.gold).all()


def test_said_anew_a_mistake_that_is_seen_is_taken_back_and_else_only_one_that_was_hidden() -> None:
    """The last time that anything is said is the last pass but one."""
    assert (said(Annealed(1.0, True), 7, 9) == Late.gold).all()
    assert (said(Annealed(1.0, True), 8, 9) != Late.gold).all()
    right = (said(Annealed(1.0, False), 7, 9, rows=400) == Late.gold).double().mean()
    assert abs(float(right) - 1 / 8) < 5 * (1 / 8 * 7 / 8 / 2400) ** 0.5  # an eighth was hidden


# Episodes


def line(passes: list[Pass], length: int, row: int) -> None:
    """Every episode begins blank and ends whole; what is asked between is what came."""
    for number, each in enumerate(passes):
        if number % length == 0:
            assert blank(each.read.tokens, row) and diary(each.read.carry) == FIRST
        else:
            assert diary(each.read.carry) == diary(passes[number - 1].gave)
            assert int(each.read.carry.count) == number % length
        if number % length == length - 1:
            assert int(each.read.tokens.max()) < 4, "the last pass reads a whole canvas"


@pytest.mark.parametrize("length", [2, 5, 12])
def test_an_episode_begins_with_blanks_and_the_first_carry_and_hands_on_every_pass(length: int) -> None:
    for row, passes in enumerate(history(annealed_episodes(length, certify=None))):
        assert len(passes) == 60
        line(passes, length, row)
        # Its score is of a whole canvas alone, and that of the best is kept.
        scores = [float(each.move.score) for each in passes]
        assert scores[length - 1] > -math.inf and scores == sorted(scores)


def test_with_noise_the_canvases_are_the_same_and_what_is_no_number_is_handed_on() -> None:
    for row, passes in enumerate(history(noisy_episodes(5, certify=None))):
        line(passes, 5, row)


def test_forgetful_episodes_read_the_first_carry_alone() -> None:
    for policy in (forgetful_episodes(5, certify=None), forgetful_episodes(5)):
        for row, passes in enumerate(history(policy)):
            assert {diary(each.read.carry) for each in passes} == {FIRST}
            assert blank(passes[0].read.tokens, row) and blank(passes[5].read.tokens, row)


def test_a_certificate_holds_the_last_canvas_and_asks_with_the_first_carry() -> None:
    """Every first canvas is worth a test here: with half hidden it is refused and the next episode begins; where a
    test hides next to nothing it is believed."""
    begun = tested = 0
    for row, passes in enumerate(history(annealed_episodes(5, certify=-2.0, hidden=0.5))):
        begun += sum(blank(each.read.tokens, row) and diary(each.read.carry) == FIRST for each in passes)
        for before, each in itertools.pairwise(passes):
            if not torch.equal(each.read.tokens, before.move.tokens):
                assert diary(each.read.carry) == FIRST and int(before.move.tokens.max()) < 4
                tested += 1
    assert begun > 2 * ROWS and tested >= ROWS
    believed = history(annealed_episodes(5, certify=-2.0, hidden=0.01))
    assert all(passes[-1].settled and len(passes) <= 8 for passes in believed)  # or earlier, of one whole by chance


def test_neighbouring_episodes_and_rows_are_drawn_apart() -> None:
    rows = history(annealed_episodes(12, certify=None))
    seen = {each.read.tokens.numpy().tobytes() for passes in rows for each in passes[6:60:12]}
    assert len(seen) == ROWS * 5


# Presets


def test_the_preset_is_the_best_of_judged_episodes_with_a_certificate_or_without() -> None:
    plain, tested = annealed_episodes(7, 0.5, False, certify=None), annealed_episodes(7, 0.5, False)
    assert isinstance(plain, KeepBest) and isinstance(tested, Certify) and tested.inner == plain
    assert plain.inner.inner == Episodes(Annealed(0.5, False), 7)  # type: ignore[attr-defined]
    assert plain.anytime and tested.anytime
    for policy in (plain, tested, forgetful_episodes()):
        check_sound(policy, quality=True)  # a network without a carry is the control


@pytest.mark.parametrize("make", [annealed_episodes, noisy_episodes, forgetful_episodes])
def test_an_episode_without_a_pass_between_blank_and_whole_is_refused(make) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(ValueError, match=r"passes=1: .*give 2 or more"):
        make(1)
    with pytest.raises(ValueError, match="temperature"):
        make(4, -1.0)
