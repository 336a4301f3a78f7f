"""Laws of the carry: every policy hands on what the pass that it answers had in mind, or knows why not.

The network here keeps a diary: its carry is a number that only one sequence of canvases read gives.
"""

from typing import Any, NamedTuple

import pytest
import torch
from torch import Tensor
from torch.utils._pytree import tree_leaves

from dlmreason import launch
from dlmreason.canvas import NEVER, Ask, Move, Policy, Reading, take
from dlmreason.launch_config import Tree
from dlmreason.policies.checking import CrossChecked
from dlmreason.policies.doubt import Doubt, LowestQuality
from dlmreason.policies.gating import Gate
from dlmreason.policies.ordered import Ordered
from dlmreason.policies.scores import confidence, mean_log_quality
from dlmreason.policies.wrappers import Episodes
from dlmreason.sampling.denoise import Sampler, State
from tests.toys import ToySudoku, sudoku_rows

PASSES, ROWS = 60, 4
TREE = Tree(launch.conf_folder(), "experiment")


class Diary(NamedTuple):
    count: Tensor  # [B] int64, passes in it
    chain: Tensor  # [B] int64, a number made of every canvas in it, in order


class Writer(ToySudoku):
    """Surer than its model, so that answers are certified too."""

    def first_carry(self, rows: int) -> Any:
        return Diary(torch.zeros(rows, dtype=torch.int64), torch.zeros(rows, dtype=torch.int64))

    def __call__(self, ask: Ask, features: Tensor) -> Reading:
        reading = super().__call__(ask, features)
        assert reading.quality is not None
        number = (ask.tokens * 5 ** torch.arange(16)).sum(-1) + 1
        diary = Diary(ask.carry.count + 1, ask.carry.chain * 6364136223846793005 + number)
        return reading._replace(quality=torch.where(reading.quality > 0.5, 0.999, 0.2), carry=diary)


class Pass(NamedTuple):
    """One row's pass: what was read, what it gave, what is read next."""

    read: Ask
    gave: Diary
    move: Move

    @property
    def next(self) -> Ask:
        return self.move.ask

    @property
    def settled(self) -> bool:
        return int(self.move.wake) >= NEVER // 2


def history(policy: Policy) -> list[list[Pass]]:
    """The passes of each row."""
    rows: list[list[Pass]] = [[] for _ in range(ROWS)]

    def note(before: State, reading: Reading, move: Move, after: State) -> None:
        for row in range(ROWS):
            if int(before.index[row]) < PASSES:
                rows[row].append(Pass(*take((reading.of, reading.carry, move), torch.tensor([row]))))

    sampler = Sampler(policy, Writer(), (PASSES,), seed=7, width=ROWS, chunk=8)
    state = sampler.init(sudoku_rows(ROWS))
    sampler.advance(state, PASSES, note)
    assert all(rows)
    return rows


FIRST = (0, 0)


def diary(carry: Diary) -> tuple[int, int]:
    return int(carry.count), int(carry.chain)


def blank(tokens: Tensor, row: int) -> bool:
    return bool((tokens[sudoku_rows(ROWS).editable[[row]]] == Writer.mask_id).all())


def policy_of(name: str) -> Policy:
    """As its file has it, but for a doubt that leaves something, and a test that hides something."""
    with TREE.open():
        config = TREE.settings([f"policy={name}"], launch.RULES, ())["policy"]
    config |= {key: value for key, value in (("hidden", 0.5), ("doubt", 4)) if key in config}
    made: Policy = launch.instantiate({key: value for key, value in config.items() if key != "name"}, "policy")
    return made


FORGETFUL = {"gibbs", "metropolis", "forgetful"}
"""They ask what an exact conditional would say of a site: none that remembers what stood there. Or they
forget on purpose."""

LAYERED = {"accepting", "change_of_mind", "deliberate", "gated", "random_doubt", "restarts", "voted_restarts"}
"""They begin again, test, or go back."""

EPISODES = {"annealed_episodes", "forgetful_episodes", "noisy_episodes"}
"""Theirs are in `test_annealed`: a canvas of theirs may be blank in the middle of a line."""

EVERY = TREE.options("policy")


@pytest.mark.parametrize("name", sorted(set(EVERY) - FORGETFUL - LAYERED - EPISODES))
def test_a_plain_policy_hands_on_every_pass(name: str) -> None:
    for passes in history(policy_of(name)):
        for number, each in enumerate(passes):
            assert int(each.read.carry.count) == number
            assert diary(each.next.carry) == diary(each.gave)
            assert int(each.gave.count) == number + 1


@pytest.mark.parametrize("name", sorted(FORGETFUL))
def test_what_is_erased_to_be_asked_is_not_remembered(name: str) -> None:
    for passes in history(policy_of(name)):
        assert len(passes) == PASSES or int(passes[-1].move.wake) == NEVER
        assert {diary(each.read.carry) for each in passes} == {FIRST}


def kind(each: Pass, row: int, line: tuple[int, int], asked: set[bytes]) -> str:
    """Why the next question has the carry that it has; `line` is the last one that a pass of the policy's own gave."""
    carry = diary(each.next.carry)
    if blank(each.move.tokens, row):
        return "begun" if carry == FIRST else "a restart remembers"
    hides = not torch.equal(each.next.tokens, each.move.tokens)
    if hides:
        return "test" if carry == FIRST else "a test remembers"
    if carry == line:
        return "onward"
    return "back" if said(each.next) in asked else "lost"


def said(ask: Ask) -> bytes:
    return b"|".join(leaf.numpy().tobytes() for leaf in tree_leaves(ask))


def kinds(policy: Policy) -> dict[str, int]:
    """How often each reason was met over all rows and passes."""
    found: dict[str, int] = {}
    for row, passes in enumerate(history(policy)):
        asked: set[bytes] = set()
        line, testing = FIRST, False
        for each in passes:
            asked.add(said(each.read))
            if not testing:  # the reply to a test is no pass of the line that waits for it
                line = diary(each.gave)
            if each.settled:
                break
            why = kind(each, row, line, asked)
            found[why] = found.get(why, 0) + 1
            testing = why == "test"
    return found


@pytest.mark.parametrize(
    ("name", "reasons"),
    [
        ("accepting", {"onward", "begun", "test", "back"}),
        ("change_of_mind", {"onward", "begun", "test"}),
        ("deliberate", {"onward", "begun", "test", "back"}),
        ("gated", {"onward", "begun", "test"}),
        ("random_doubt", {"onward", "begun", "test"}),
        ("restarts", {"onward", "begun", "test"}),
    ],
)
def test_a_layered_policy_hands_on_begins_tests_and_goes_back(name: str, reasons: set[str]) -> None:
    met = kinds(policy_of(name))
    assert set(met) == reasons, met
    assert met["onward"] > 20


DOUBT = Doubt(LowestQuality(4), Ordered(confidence, 2, 1.0))


def test_an_answer_is_cross_checked_without_a_memory_of_it() -> None:
    met = kinds(CrossChecked(DOUBT, 3))
    assert set(met) == {"onward", "test"}


def test_an_episode_begins_without_a_memory_of_the_last() -> None:
    met = kinds(Episodes(DOUBT, 9))
    assert set(met) == {"onward", "begun"}
    assert met["begun"] == ROWS * (PASSES // 9)


def test_a_gate_weighs_the_answer_in_the_line_of_thought_that_gave_it() -> None:
    """As the second policy's answers are judged, with which a judge outside compares it."""
    for passes in history(Gate(Ordered(confidence, 4), DOUBT, mean_log_quality, float("inf"), 9)):
        weighed = passes[3]
        assert (weighed.read.tokens != Writer.mask_id).all()
        assert int(weighed.read.carry.count) == 3
        assert diary(weighed.next.carry) == FIRST
