"""Laws of a training on rollouts: rows keep their seats over updates and kills, and it is said whose they are when it
goes wrong."""

import math
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from dlmreason.diffusion.objectives import Batch, Forwards, Loss, MaskedDiffusion, Network, Staged, State, Taught
from dlmreason.diffusion.quality import Quality
from dlmreason.diffusion.rollouts import Rollouts, rollouts_later
from dlmreason.networks.shape import Shape
from dlmreason.networks.transformer import Transformer
from dlmreason.training.durable import Checkpoints
from dlmreason.training.fit import Fitted, Log, fit
from dlmreason.training.learner import DivergedError
from dlmreason.training.sheets import Order
from dlmreason.training.validation import HeldOut
from tests.training.test_fit import Killed, bits, killer, last_state
from tests.training.tiny import DIGITS, LENGTH, ROWS, UPDATES, settings, sheets

SHORT = {"lengths": (3, 7), "window": 2, "own": 0.2}
PARTS = ("update", "network", "average", "optimizer", "continued")


def carrying(width: int = 16) -> Transformer:
    torch.manual_seed(5)
    sizes = {"vocabulary_size": DIGITS + 1, "length": LENGTH, "feature_sizes": (LENGTH + 1,), "num_layers": 1}
    return Transformer(Shape(**sizes, width=width, num_heads=2, quality=True, carry=True))  # type: ignore[arg-type]


def objective() -> Staged:
    """Without rollouts, and from update 12 of 24 with them, the head trained in both."""
    return rollouts_later(Quality(MaskedDiffusion(weighting="none")), start=0.5, **SHORT)  # type: ignore[arg-type]


def train(folder: Path, log: Log | None = None, task: Any = None, **changes: Any) -> Fitted:
    task = objective() if task is None else task
    return fit(carrying(), task, sheets(), settings(**changes), updates=UPDATES, seed=3, folder=folder, log=log)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Fitted]:
    folder = tmp_path_factory.mktemp("undisturbed")
    return folder, train(folder)


# With the last update of the stage before, the first of the rollouts, and in the midst of those.
@pytest.mark.parametrize(("update", "checkpoint_every"), [(12, 1), (13, 1), (14, 1), (19, 1), (14, 4), (23, 4)])
def test_killed_at_any_update_it_ends_with_the_same_bits(
    update: int, checkpoint_every: int, undisturbed: tuple[Path, Fitted], tmp_path: Path
) -> None:
    with pytest.raises(Killed):
        train(tmp_path, killer(update), log_every=1, checkpoint_every=checkpoint_every)
    made = (update - 1) // checkpoint_every * checkpoint_every
    state = last_state(tmp_path)
    assert state["update"] == made and ("continued" in state) == (made > UPDATES // 2)
    if "continued" in state:
        seats = state["continued"]["state"]
        assert bool((seats["made"] < seats["length"]).any()), "it was killed in the middle of a rollout"
    done = train(tmp_path, checkpoint_every=checkpoint_every)
    ours, theirs = last_state(tmp_path), last_state(undisturbed[0])
    assert all(bits(ours[part]) == bits(theirs[part]) for part in PARTS)
    assert bits(dict(done.network.state_dict())) == bits(dict(undisturbed[1].network.state_dict()))


def test_in_half_precision_the_carry_is_kept_in_the_weights_own(tmp_path: Path) -> None:
    with pytest.raises(Killed):
        train(tmp_path / "killed", killer(19), log_every=1, precision="bf16-mixed")
    for folder in ("killed", "whole"):
        train(tmp_path / folder, precision="bf16-mixed")
    ours, theirs = last_state(tmp_path / "killed"), last_state(tmp_path / "whole")
    assert all(bits(ours[part]) == bits(theirs[part]) for part in PARTS)
    assert ours["continued"]["state"]["carry"].dtype == torch.float32


def test_what_is_carried_matters(undisturbed: tuple[Path, Fitted], tmp_path: Path) -> None:
    """The control: going on without what the rollouts had in mind is another training."""
    with pytest.raises(Killed):
        train(tmp_path, killer(19), log_every=1)
    state = last_state(tmp_path)
    state["continued"]["state"]["carry"].zero_()
    Checkpoints(tmp_path / "steps", 2).save(state["update"], state)
    train(tmp_path)
    assert bits(last_state(tmp_path)["network"]) != bits(last_state(undisturbed[0])["network"])


@dataclass
class Watched:
    """Rollouts that note what they are handed; at one update they lose what they had in mind."""

    rollouts: Rollouts
    lost_at: int = -1
    seen: list[tuple[Tensor, State | None]] = field(default_factory=list)

    def __repr__(self) -> str:
        return f"Watched({self.rollouts})"

    @property
    def teaches(self) -> Taught:
        return self.rollouts.teaches

    @property
    def forwards(self) -> Forwards:
        return self.rollouts.forwards

    def __call__(self, network: Network, batch: Batch, generator: torch.Generator) -> Loss:
        return self.rollouts(network, batch, generator)

    def vacant(self, state: State) -> Tensor:
        return self.rollouts.vacant(state)

    def proceed(
        self, network: Network, batch: Batch, state: State | None, generator: torch.Generator
    ) -> tuple[Loss, State]:
        if len(self.seen) == self.lost_at:
            assert state is not None
            state = state | {"carry": torch.full_like(state["carry"], math.nan)}
        self.seen.append((batch.tokens, state))
        return self.rollouts.proceed(network, batch, state, generator)


def seats(watched: Watched, updates: int, begins: tuple[int, ...]) -> list[list[int]]:
    """Who sits where, update after update, by the rule."""
    order, held = Order(ROWS, 4, 3), []
    for update in range(updates):
        fresh = order(update)
        state = watched.seen[update][1]
        assert (state is None) == (update in begins)
        held.append(fresh if state is None else torch.where(watched.vacant(state), fresh, held[-1]))
    return [rows.tolist() for rows in held]


def test_a_row_is_kept_until_its_rollout_ends_and_each_stage_begins_anew(tmp_path: Path) -> None:
    """Two stages of one and the same objective: what the first had in mind is none of the second one's."""
    watched = Watched(Rollouts(**SHORT))  # type: ignore[arg-type]
    train(tmp_path, task=Staged([(0.5, watched), (0.5, watched)]))
    held = seats(watched, UPDATES, (0, UPDATES // 2))
    tokens = sheets().tokens.long()
    for rows, (seen, _) in zip(held, watched.seen, strict=True):
        assert torch.equal(tokens[rows], seen)
    kept = [now == before for last, rows in pairwise(held) for now, before in zip(rows, last, strict=True)]
    assert 0.2 < sum(kept) / len(kept) < 0.8
    assert last_state(tmp_path)["continued"]["seated"].tolist() == held[-1]


def test_a_stage_without_rollouts_leaves_nothing_behind(tmp_path: Path) -> None:
    class Carrying(MaskedDiffusion):
        teaches = Taught(masks=True, carry=True)

    train(tmp_path, task=Staged([(0.5, Rollouts(**SHORT)), (0.5, Carrying())]))  # type: ignore[arg-type]
    assert "continued" not in last_state(tmp_path)


def test_a_rollout_that_is_lost_ends_the_training_and_names_who_sits_there(tmp_path: Path) -> None:
    watched = Watched(Rollouts(**SHORT), lost_at=7)  # type: ignore[arg-type]
    with pytest.raises(
        DivergedError, match=rf"update 8 of {UPDATES} was not made: loss=inf, .*carry_size=nan"
    ) as error:
        train(tmp_path, task=watched)
    held = seats(watched, 8, (0,))[-1]
    assert error.value.ids == [f"train/0/{row}" for row in held]
    assert error.value.ids != [f"train/0/{row}" for row in Order(ROWS, 4, 3)(7).tolist()]
    state = last_state(tmp_path)
    assert state["update"] == 7 and bool(state["continued"]["state"]["carry"].isfinite().all())
    assert train(tmp_path, task=Watched(Rollouts(**SHORT))).updates == UPDATES  # type: ignore[arg-type]


def test_held_out_examples_are_asked_with_and_without_a_head() -> None:
    model, data = carrying(), sheets(90, seed=9)
    judged, plain = objective().at(23, 24), Rollouts(**SHORT)  # type: ignore[arg-type]
    look = HeldOut(judged, data, batch_size=32)
    assert look(model, 0) == look(model, 5)
    own = {"held_out_loss", "held_out_cross_entropy", "held_out_rollout_errors", "held_out_carry_size"}
    head = {"held_out_quality_loss", "held_out_quality_accuracy", "held_out_own_errors", "held_out_state_auroc"}
    assert look(model, 0).keys() == own | head and HeldOut(plain, data)(model, 0).keys() == own
