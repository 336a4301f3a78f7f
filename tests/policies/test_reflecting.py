"""Laws of taking back what the network says is wrong, and of every other policy on a network that can say so."""

from dataclasses import dataclass
from itertools import product

import pytest
import torch
from torch import Tensor

from dlmreason import assembly, assembly_arms, launch
from dlmreason.canvas import NEVER, Ask, Canvas, Denoiser, Policy, Reading
from dlmreason.diffusion.reflective import action
from dlmreason.launch_config import Tree
from dlmreason.policies import presets, published
from dlmreason.policies.facts import check_sound, facts_of
from dlmreason.policies.ordered import Ordered
from dlmreason.policies.reflecting import Reflecting
from dlmreason.policies.respond import log_probs
from dlmreason.policies.scores import confidence
from tests.policies.hand import MASK, Scripted, canvas, clock, named, reading
from tests.policies.laws import answer_law
from tests.policies.walk import Opinions, walked
from tests.toys import JOINT, Oracle, random_joint

FILL = Ordered(confidence, 1)


@dataclass(frozen=True)
class Emitting:
    """A denoiser with a column for the mask too, of the logit `mask`."""

    inner: Denoiser
    mask: float
    uses_level = False

    @property
    def mask_id(self) -> int:
        return self.inner.mask_id

    @property
    def length(self) -> int:
        return self.inner.length  # type: ignore[attr-defined, no-any-return]

    def first_carry(self, rows: int) -> tuple[()]:
        return ()

    def __call__(self, ask: Ask, features: Tensor) -> Reading:
        said = self.inner(ask, features)
        column = torch.full_like(said.logits[..., :1], self.mask)
        return said._replace(logits=torch.cat((said.logits, column), -1))


def perfect(now: Canvas, right: Tensor) -> Reading:
    """What training to the end would have a network say, where the right text is known."""
    said = action(now.tokens, right, now.mask_id)
    logits = torch.nn.functional.one_hot(said, now.mask_id + 1).double() * 9
    return Reading(Ask(now.tokens, torch.ones(len(right), dtype=torch.float64), ()), logits, None, ())


@pytest.mark.parametrize("rewrite", [False, True])
@pytest.mark.parametrize(("values", "length"), [(2, 3), (3, 2)])
def test_a_perfect_network_is_right_after_two_passes_from_anything(values: int, length: int, rewrite: bool) -> None:
    """Every canvas against every right text; what stands wrong takes the second pass, and nothing takes a third."""
    texts, canvases = product(range(values), repeat=length), product(range(values + 1), repeat=length)
    pairs = list(product(texts, canvases))
    right, start = (torch.tensor([pair[k] for pair in pairs]) for k in (0, 1))
    now = Canvas(start, torch.ones_like(start, dtype=torch.bool), (), values)
    policy, reached, wakes = published.reflecting(rewrite=rewrite), [], []
    for index in range(3):
        move = policy(now, perfect(now, right), clock(index, rows=len(pairs)), (), Scripted())
        now = now._replace(tokens=move.tokens)
        reached.append((now.tokens == right).all(-1))
        wakes.append(move.wake)
    wrong = ((start != right) & (start != values)).any(-1)
    assert torch.equal(reached[0], ~wrong) and reached[1].all() and reached[2].all()
    assert torch.equal(wakes[0] == NEVER, (start == right).all(-1)) and (wakes[2] == NEVER).all()


CHANCES = torch.tensor([[0.1, 0.2, 0.1, 0.6], [0.3, 0.1, 0.2, 0.4], [0.1, 0.2, 0.5, 0.2], [0.05, 0.05, 0.1, 0.8]])


def test_a_token_is_taken_back_where_the_mask_is_the_most_probable_and_blanks_are_filled_with_tokens() -> None:
    now = canvas([[2, MASK, 0, 1]], given=(3,))
    say = reading(now, CHANCES)
    for rewrite, third in ((False, 0), (True, 2)):
        move = Reflecting(FILL, rewrite)(now, say, clock(0), (), Scripted())
        assert move.tokens.tolist() == [[MASK, 0, third, 1]]
        assert move.answer.tolist() == [[2, 0, third, 1]], "what was doubted stands as it was read"
        assert move.wake.tolist() == [1] and move.ask.tokens.tolist() == move.tokens.tolist()
    still = canvas([[0, 0, 2, 1]], given=(0, 1, 3))
    move = Reflecting(FILL, True)(still, reading(still, CHANCES), clock(0), (), Scripted())
    assert move.tokens.tolist() == [[0, 0, 2, 1]] and move.wake.tolist() == [NEVER]


@pytest.mark.parametrize("fill", [FILL, Ordered(confidence, 3, 0.7), Ordered(confidence, 16)], ids=named)
def test_a_network_that_never_emits_the_mask_fills_as_without(fill: Ordered) -> None:
    """Pass by pass and token by token; whether it has no such output or never says it."""
    plain, answers = walked(fill, 20)
    for denoiser in (Opinions(), Emitting(Opinions(), -torch.inf)):
        moves, same = walked(Reflecting(fill), 20, denoiser=denoiser)
        assert answers.keys() == same.keys() and all(torch.equal(answers[row], same[row]) for row in answers)
        assert len(moves) >= len(plain)  # it reads once more what it has filled
        for ours, theirs in zip(moves, plain, strict=False):
            assert torch.equal(ours.tokens, theirs.tokens) and torch.equal(ours.answer, theirs.answer)
    drawn = Ordered(confidence, 1, 1.0)
    for joint in (JOINT, random_joint(3, 2)):
        passes = joint.dim()
        assert answer_law(Reflecting(drawn), Oracle(joint), passes) == answer_law(drawn, Oracle(joint), passes)


def test_a_network_that_always_does_ends_nowhere() -> None:
    """The control: all is taken back on every second pass."""
    moves, _ = walked(published.reflecting(), 6, denoiser=Emitting(Opinions(), 99.0))
    blank = [(move.tokens == Opinions.mask_id).any().item() for move in moves]
    assert blank == [False, True] * 3 and all((move.wake == 1).all() for move in moves)
    assert all((move.answer != Opinions.mask_id).all() for move in moves)


TREE = Tree(launch.conf_folder(), "experiment")
OTHERS = [option for option in TREE.options("policy") if option != "reflecting"]


@pytest.mark.parametrize("option", OTHERS)
def test_every_other_policy_does_on_a_network_that_emits_the_mask_what_it_does_without(option: str) -> None:
    """However likely the mask is said to be, it is no token to any of them."""
    with TREE.open():
        config = TREE.settings([f"policy={option}"], launch.RULES, ())["policy"]
    policy: Policy = assembly_arms.policy_of(
        config, "policy", (), assembly.Taught(quality=True, masks=True, noise="leave_one_out", carry=True)
    )
    plain, answers = walked(policy, 12)
    moves, same = walked(policy, 12, denoiser=Emitting(Opinions(), 5.0))
    assert len(moves) == len(plain) and all(torch.equal(answers[row], same[row]) for row in answers)
    for ours, theirs in zip(moves, plain, strict=True):
        assert torch.equal(ours.tokens, theirs.tokens) and torch.equal(ours.answer, theirs.answer)
        assert torch.equal(ours.ask.tokens, theirs.ask.tokens)


def test_what_it_declares_and_whom_it_is_refused() -> None:
    policy = published.reflecting()
    assert facts_of(policy).revises and facts_of(policy).needs == {"masks", "emits_mask"} and policy.anytime
    assert facts_of(published.reflecting(temperature=1.0)).streams == ("token",)
    assert not Reflecting(Ordered(confidence)).anytime
    with pytest.raises(ValueError, match=r"network that can emit the mask.*train it with objective reflective"):
        check_sound(policy, quality=True)
    check_sound(policy, quality=False, emits_mask=True)
    check_sound(presets.ordered(), quality=False, emits_mask=True)
    with pytest.raises(ValueError, match="order='luck'"):
        published.reflecting(order="luck")
    with pytest.raises(ValueError, match="count=0"):
        published.reflecting(count=0)


@pytest.mark.parametrize("length", [1, 2, MASK, MASK + 4])
def test_the_mask_is_no_prediction_whatever_the_length(length: int) -> None:
    now = canvas([[MASK] * length])
    said = torch.tensor([0.0, 1.0, 0.0, 9.0]).expand(1, length, 4)
    of = Reading(Ask(now.tokens, torch.zeros(1, dtype=torch.float64), ()), said, None, ())
    with_it, without = log_probs(now, of), log_probs(now, of._replace(logits=said[..., :MASK]))
    assert (with_it[..., MASK] == -torch.inf).all() and torch.equal(with_it[..., :MASK], without)
