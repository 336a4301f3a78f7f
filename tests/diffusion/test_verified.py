"""Labels by a judge of whole canvases: the known answer's where it alone is right, all of them where a whole is."""

from itertools import product
from typing import Any

import pytest
import torch
from torch import Tensor

from dlmreason import assembly
from dlmreason.diffusion.objectives import Batch, MaskedDiffusion, Staged
from dlmreason.diffusion.quality import Judging
from dlmreason.diffusion.targets import Filled, OwnErrors, Question, Target
from dlmreason.diffusion.verified import Verified, right_as_a_whole, verifies
from dlmreason.evaluation.attempt import answer_text, canvas_sheet
from dlmreason.train import sheets_of
from tests.diffusion.fakes import Fake, batch, generator
from tests.test_conf import FEW, composed

MASK, LENGTH = 3, 4
INNER = MaskedDiffusion()
NETWORK = Fake(lambda tokens: torch.randn(MASK, generator=generator(3)).expand(*tokens.shape, MASK))
TARGETS: dict[str, Target] = {
    "full": OwnErrors(full=1.0, lowest=0.5, slope=0.5),
    "partly masked": OwnErrors(full=0.5),
    "shown twice": Filled(fill=2, repeats=2),
}


def judged_by(judge: Any, rows: int = 64) -> Batch:
    tokens = torch.randint(0, MASK, (rows, LENGTH), generator=generator(1))
    judged = torch.tensor([False, True, True, True]).expand(rows, -1)
    return batch(tokens, MASK, judged=judged)._replace(right=judge)


def asked(target: Target, given: Batch) -> Question:
    return target(INNER, NETWORK, given, generator(2))


@pytest.mark.parametrize("name", TARGETS)
def test_where_the_known_answer_alone_is_right_nothing_changes(name: str) -> None:
    given = judged_by(None)
    plain = asked(TARGETS[name], given)
    known = given.repeat(len(plain.canvas) // len(given.tokens)).tokens
    same = asked(Verified(TARGETS[name]), given._replace(right=lambda canvas: (canvas == given.tokens).all(-1)))
    whole = ((plain.canvas == known) | ~plain.asked).all(-1)
    assert whole.any() or name != "full"
    for one, two in zip(plain[:4], same[:4], strict=True):
        assert torch.equal(torch.as_tensor(one), torch.as_tensor(two))


@pytest.mark.parametrize("name", TARGETS)
def test_every_token_of_a_right_whole_is_right_and_no_other_label_moves(name: str) -> None:
    """By a rule that the known answers do not keep: the judged tokens add up to an even number."""
    seen: list[Tensor] = []

    def even(canvas: Tensor) -> Tensor:
        seen.append(canvas)
        return canvas[:, 1:].sum(-1) % 2 == 0

    given = judged_by(even)
    plain, verified = asked(TARGETS[name], given), asked(Verified(TARGETS[name]), given)
    assert torch.equal(plain.canvas, verified.canvas) and torch.equal(plain.asked, verified.asked)
    full = (plain.canvas[:, 1:] != MASK).all(-1)
    whole = full & (plain.canvas[:, 1:].sum(-1) % 2 == 0)
    assert verified.right[whole].all() and torch.equal(verified.right[~whole], plain.right[~whole])
    assert (verified.right != plain.right)[whole].any()
    assert torch.equal(torch.cat(seen), plain.canvas)  # each canvas is shown with the rows that it is of


def test_without_a_judge_it_says_what_to_give() -> None:
    with pytest.raises(ValueError, match="bring no judge: give `Sheets` its `judge`"):
        asked(Verified(), judged_by(None))
    with pytest.raises(ValueError, match="bring no judge"):
        right_as_a_whole(torch.zeros(64, LENGTH, dtype=torch.int64), judged_by(None))


def test_only_an_objective_that_verifies_is_given_a_judge() -> None:
    plain, verified = Judging(INNER, OwnErrors()), Judging(INNER, Verified())
    assert verifies(verified) and verifies(Staged([(0.5, INNER), (0.5, verified)]))
    assert not verifies(plain) and not verifies(INNER) and not verifies(Staged([(0.5, INNER), (0.5, plain)]))
    assert (Verified().blanks, Verified().guesses, Verified().repeats) == (False, 1, 1)


@pytest.mark.parametrize("thought", [False, True])
def test_sheets_judge_as_the_task_does(thought: bool) -> None:
    """Of every canvas a token away from the known answer, some of which satisfy a formula too."""
    settings = composed(
        "experiment=demo", "task=sat5", "network=tiny", "budget=tiny", "device=cpu", *FEW, "task.train_examples=12",
        "objective@models.diffusion.objective=judged", "quality_target@models.diffusion.objective=verified",
        f"models.diffusion.thought={str(thought).lower()}",
    )  # fmt: skip
    task = assembly.task_of(settings)
    models = assembly.models_of(settings, task)
    assert sheets_of(models["thought"], task, "train").judge is None
    sheets = sheets_of(models["diffusion"], task, "train")
    assert sheets.judge is not None
    rows = torch.arange(len(sheets)).flip(0)
    given = sheets.take(rows)
    assert given.right is not None and given.right(given.tokens).all()
    vocabulary, examples = task.vocabulary(thought), task.examples("train")
    found = []
    for at, row in enumerate(rows.tolist()):
        begins = canvas_sheet(task, examples[row], thought).answer_at
        written = given.judged[at].nonzero().flatten().tolist()
        for place, other in product(written, given.tokens[at, written].unique().tolist()):
            changed = given.tokens.clone()
            changed[at, place] = other
            said = given.right(changed).tolist()
            assert all(said[:at] + said[at + 1 :])  # the others are as they were
            assert said[at] == task.verify(examples[row], answer_text(vocabulary, changed[at, begins:])).correct
            found += [said[at]] if other != int(given.tokens[at, place]) else []
    assert len(set(found)) == 2
