"""Laws of a training: killed anywhere it goes on to the same bits, it learns, and it stops before it goes wrong."""

import math
import os
import signal
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from dlmreason.diffusion.corruption import Uniform
from dlmreason.diffusion.interpolating import InterpolatingDiffusion
from dlmreason.diffusion.objectives import Batch, Loss, MaskedDiffusion, Network, NextToken, Objective
from dlmreason.diffusion.quality import (
    Judging,
    Quality,
    asked,
    auroc,
    judged_later,
    mean_log_quality,
    quality_later,
)
from dlmreason.diffusion.targets import Corrupted, Filled, OwnErrors
from dlmreason.networks.transformer import Transformer
from dlmreason.training import fit as fit_module
from dlmreason.training.durable import Checkpoints
from dlmreason.training.fit import Entry, Fitted, fit, weights_from
from dlmreason.training.interrupts import Interrupted
from dlmreason.training.learner import DivergedError
from dlmreason.training.sheets import Sheets
from dlmreason.training.validation import HeldOut
from tests.training.tiny import LENGTH, ROWS, UPDATES, network, objective, settings, sheets, train


class Killed(Exception):
    pass


def killer(update: int) -> Callable[[Entry], None]:
    def log(entry: Entry) -> None:
        if entry["update"] == update:
            raise Killed

    return log


def last_state(folder: Path) -> dict[str, Any]:
    state = Checkpoints(folder / "steps", 2).newest()
    assert state is not None
    return state


def bits(tree: Any) -> Any:
    """A tree of tensors as bytes; seconds are left out, for they may differ."""
    if isinstance(tree, Tensor):
        return (tree.dtype, tuple(tree.shape), tree.numpy().tobytes())
    if isinstance(tree, dict):
        return {key: bits(value) for key, value in tree.items() if key not in ("seconds", "identity")}
    return [bits(part) for part in tree] if isinstance(tree, list | tuple) else tree


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Fitted]:
    folder = tmp_path_factory.mktemp("undisturbed")
    return folder, train(folder)


# A shuffle lasts 5 1/2 updates: 11 and 22 are boundaries between batches too, the others lie within one.
@pytest.mark.parametrize("update", [5, 6, 10, 11, 13])
@pytest.mark.parametrize("checkpoint_every", [1, 4])
def test_killed_at_any_update_it_ends_with_the_same_bits(
    update: int, checkpoint_every: int, undisturbed: tuple[Path, Fitted], tmp_path: Path
) -> None:
    assert (11 * 4) % ROWS == 0 and UPDATES - update >= 11, "a kill lies at a boundary, and two more come after each"
    if checkpoint_every == 1 or update > 4:
        with pytest.raises(Killed):
            train(tmp_path, killer(update), log_every=1, checkpoint_every=checkpoint_every)
        made = last_state(tmp_path)["update"]
        assert made == (update - 1) // checkpoint_every * checkpoint_every
    folder, whole = undisturbed
    done = train(tmp_path, checkpoint_every=checkpoint_every)
    ours, theirs = last_state(tmp_path), last_state(folder)
    for part in ("update", "network", "average", "optimizer"):
        assert bits(ours[part]) == bits(theirs[part])
    assert bits(dict(done.network.state_dict())) == bits(dict(whole.network.state_dict()))
    assert done.snapshots[0.5].read_bytes() == whole.snapshots[0.5].read_bytes()


def test_a_killed_training_has_the_whole_history(undisturbed: tuple[Path, Fitted], tmp_path: Path) -> None:
    told: list[Entry] = []

    def tell_and_die(entry: Entry) -> None:
        told.append(entry)
        killer(12)(entry)

    with pytest.raises(Killed):
        train(tmp_path, tell_and_die, checkpoint_every=5)
    done = train(tmp_path, told.append, checkpoint_every=5)
    assert bits(done.history) == bits(undisturbed[1].history)
    assert [entry["update"] for entry in told] == [3, 6, 9, 12, 12, 15, 18, 21, 24]
    assert [entry["update"] for entry in done.history] == [3, 6, 9, 12, 15, 18, 21, 24]


def test_each_update_has_its_own_learning_rate(undisturbed: tuple[Path, Fitted]) -> None:
    plan = settings()
    assert [entry["lr"] for entry in undisturbed[1].history] == [plan.rate(u - 1, UPDATES) for u in range(3, 25, 3)]
    (group,) = last_state(undisturbed[0])["optimizer"]["param_groups"]
    assert group["lr"] == plan.rate(UPDATES - 1, UPDATES)


def test_another_seed_or_order_is_another_training(undisturbed: tuple[Path, Fitted], tmp_path: Path) -> None:
    """The negative control: equal bits are not equal for every training."""
    other = fit(network(), objective(), sheets(), settings(), updates=UPDATES, seed=4, folder=tmp_path)
    assert bits(dict(other.network.state_dict())) != bits(dict(undisturbed[1].network.state_dict()))


def run(folder: Path, until: int, stop: signal.Signals) -> subprocess.CompletedProcess[str]:
    """A training in a process of its own, sent `stop` once it has made `until` updates."""
    command = [sys.executable, "-m", "tests.training.tiny", str(folder), str(until)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if int(line) >= until:
                process.send_signal(stop)
                break
        out, error = process.communicate(timeout=280)
    return subprocess.CompletedProcess(command, process.returncode, out, error)


@pytest.mark.slow
def test_sigkill_then_sigterm_then_the_same_bits(undisturbed: tuple[Path, Fitted], tmp_path: Path) -> None:
    assert run(tmp_path, 5, signal.SIGKILL).returncode == -signal.SIGKILL
    assert 4 <= last_state(tmp_path)["update"] <= 6
    stopped = run(tmp_path, 11, signal.SIGTERM)
    assert stopped.returncode == 128 + signal.SIGTERM
    made = last_state(tmp_path)["update"]
    assert f"SIGTERM: {made} of {UPDATES} updates are made and saved" in stopped.stderr
    assert "run the same command again to go on" in stopped.stderr
    done = train(tmp_path)
    assert bits(last_state(tmp_path)["optimizer"]) == bits(last_state(undisturbed[0])["optimizer"])
    assert bits(dict(done.network.state_dict())) == bits(dict(undisturbed[1].network.state_dict()))


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_is_obeyed_after_the_update_and_its_handler_put_back(signum: signal.Signals, tmp_path: Path) -> None:
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]

    def interrupt(entry: Entry) -> None:
        if entry["update"] == 6:
            os.kill(os.getpid(), signum)
            os.kill(os.getpid(), signum)  # make and timeout pass a signal on: the same one twice is one

    with pytest.raises(Interrupted, match=f"{signum.name}: 6 of {UPDATES} updates") as stopped:
        train(tmp_path, interrupt, checkpoint_every=1000)
    assert stopped.value.code == 128 + signum
    assert last_state(tmp_path)["update"] == 6
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before


def test_a_signal_during_the_last_look_is_not_lost(tmp_path: Path) -> None:
    def late(entry: Entry) -> None:
        if entry["update"] == UPDATES:
            os.kill(os.getpid(), signal.SIGTERM)

    with pytest.raises(Interrupted, match=f"{UPDATES} of {UPDATES}"):
        train(tmp_path, late)
    assert train(tmp_path).updates == UPDATES


def test_a_finished_training_is_not_repeated(undisturbed: tuple[Path, Fitted]) -> None:
    folder, whole = undisturbed
    files = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    again = train(folder, lambda entry: pytest.fail("no update was to be made"))
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*")} == files
    assert again.history == whole.history and again.seconds == whole.seconds and again.snapshots == whole.snapshots
    assert bits(dict(again.network.state_dict())) == bits(dict(whole.network.state_dict()))


def test_damaged_checkpoints_are_named_and_the_one_before_is_used(
    undisturbed: tuple[Path, Fitted], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(Killed):
        train(tmp_path, killer(12), keep=3)
    newest, middle, _ = sorted((tmp_path / "steps").glob("*.ckpt"), reverse=True)
    newest.write_bytes(newest.read_bytes()[:-7])
    flipped = bytearray(middle.read_bytes())
    flipped[len(flipped) // 2] ^= 1
    middle.write_bytes(flipped)
    done = train(tmp_path, keep=3)
    assert all(f"{path.name} is damaged" in caplog.text for path in (newest, middle))
    assert bits(dict(done.network.state_dict())) == bits(dict(undisturbed[1].network.state_dict()))


@pytest.mark.parametrize(
    ("change", "named"),
    [({"lr": 1e-3}, "lr=0.002"), ({"batch_size": 8}, "batch_size=4"), ({"ema": 0.9}, "ema=0.995")],
)
def test_a_folder_of_another_training_is_refused(
    change: dict[str, Any], named: str, undisturbed: tuple[Path, Fitted]
) -> None:
    with pytest.raises(ValueError, match=f"holds a training with {named}.*use another folder"):
        train(undisturbed[0], **change)


def test_other_data_or_another_objective_is_refused(undisturbed: tuple[Path, Fitted]) -> None:
    folder = undisturbed[0]
    with pytest.raises(ValueError, match="with examples="):
        fit(network(), objective(), sheets(seed=1), settings(), updates=UPDATES, seed=3, folder=folder)
    with pytest.raises(ValueError, match="with objective="):
        fit(network(), MaskedDiffusion(), sheets(), settings(), updates=UPDATES, seed=3, folder=folder)
    with pytest.raises(ValueError, match=f"with updates={UPDATES}"):
        fit(network(), objective(), sheets(), settings(), updates=UPDATES + 1, seed=3, folder=folder)
    looped = Transformer(replace(network().shape, loops=2))
    with pytest.raises(ValueError, match=r"with network=\{.*and this one has network=2 loops of \{"):
        fit(looped, objective(), sheets(), settings(), updates=UPDATES, seed=3, folder=folder)


class Diverging:
    """Masked diffusion that goes wrong at one update."""

    forwards = MaskedDiffusion().forwards

    def __init__(self, at: int, value: float, loss_only: bool) -> None:
        self.at, self.value, self.loss_only, self.calls = at, value, loss_only, 0

    def __call__(self, network: Network, batch: Batch, generator: torch.Generator) -> Loss:
        loss = MaskedDiffusion()(network, batch, generator)
        self.calls += 1
        if self.calls != self.at:
            return loss
        wrong = loss.total + self.value if self.loss_only else loss.total * self.value
        return loss._replace(total=wrong)


@pytest.mark.parametrize("value", [math.nan, math.inf])
@pytest.mark.parametrize("loss_only", [True, False])
def test_what_is_not_finite_is_never_learned_from(value: float, loss_only: bool, tmp_path: Path) -> None:
    model = network()
    with pytest.raises(DivergedError, match=rf"update 8 of {UPDATES} was not made") as error:
        fit(
            model,
            Diverging(8, value, loss_only),
            sheets(),
            settings(),
            updates=UPDATES,
            seed=3,
            folder=tmp_path,
        )
    assert len(error.value.ids) == 4 and error.value.ids[0].startswith("train/0/")
    assert error.value.ids[0] in str(error.value)
    state = last_state(tmp_path)
    assert state["update"] == 7
    assert bits(dict(model.state_dict())) == bits(state["network"])


def test_snapshots_and_looks_are_of_the_averaged_weights(tmp_path: Path) -> None:
    looks: list[tuple[int, bool, bool, dict[str, Tensor]]] = []

    def look(seen: nn.Module, update: int) -> Entry:
        weights = {name: weight.clone() for name, weight in seen.state_dict().items()}
        looks.append((update, seen.training, torch.is_grad_enabled(), weights))
        torch.rand(3)  # what a look draws changes no training
        return {"seen": float(update)}

    model = network()
    plan = settings(snapshots=(0.75, 0.25))
    done = fit(model, objective(), sheets(), plan, updates=UPDATES, seed=3, folder=tmp_path, validate=look)
    assert [(update, mode, grad) for update, mode, grad, _ in looks] == [
        (UPDATES // 4, False, False),
        (UPDATES * 3 // 4, False, False),
        (UPDATES, False, False),
    ]
    for share, (_, _, _, weights) in zip((0.25, 0.75), looks, strict=False):
        kept = weights_from(done.snapshots[share])
        assert bits(kept) == bits(weights)
        model.load_state_dict(kept)
    last = looks[-1][3]
    unaveraged = last_state(tmp_path)["network"]
    assert bits(last) == bits(last_state(tmp_path)["average"])
    assert bits(last) != bits(unaveraged)
    assert [entry["seen"] for entry in done.history if "seen" in entry] == [6.0, 18.0, 24.0]


def test_looking_changes_nothing(undisturbed: tuple[Path, Fitted], tmp_path: Path) -> None:
    def look(seen: nn.Module, update: int) -> Entry:
        return {"noise": float(torch.rand(()))}

    done = fit(network(), objective(), sheets(), settings(), updates=UPDATES, seed=3, folder=tmp_path, validate=look)
    assert bits(dict(done.network.state_dict())) == bits(dict(undisturbed[1].network.state_dict()))


@pytest.mark.parametrize("ladders", [0, 1, 3, 4, 100])
def test_ladders_are_climbed_in_even_steps_and_leave_no_mark(
    ladders: int, undisturbed: tuple[Path, Fitted], tmp_path: Path
) -> None:
    """Not in the weights, a checkpoint or the history: what they find is told, and no more."""
    climbed: list[tuple[int, bool, bool]] = []
    told: list[Entry] = []

    def climb(seen: nn.Module, update: int) -> Entry:
        climbed.append((update, seen.training, torch.is_grad_enabled()))
        return {"noise": float(torch.rand(()))}

    plan = settings(ladders=ladders)
    done = fit(
        network(), objective(), sheets(), plan, updates=UPDATES, seed=3, folder=tmp_path, log=told.append, ladder=climb
    )
    due = {0: [], 1: [24], 3: [8, 16, 24], 4: [6, 12, 18, 24], 100: list(range(1, 25))}[ladders]
    assert climbed == [(update, False, False) for update in due]
    assert [entry["update"] for entry in told if "noise" in entry] == due
    assert bits(last_state(tmp_path)) == bits(last_state(undisturbed[0]))
    assert bits(done.history) == bits(undisturbed[1].history)
    assert bits(dict(done.network.state_dict())) == bits(dict(undisturbed[1].network.state_dict()))


def test_a_look_is_at_the_averaged_weights_and_its_time_is_no_updates(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Any] = []
    real, slept = time.monotonic, [0.0]
    monkeypatch.setattr(fit_module, "time", SimpleNamespace(monotonic=lambda: real() + slept[0]))

    def look(model: nn.Module, update: int) -> Entry:
        seen.append(bits(dict(model.state_dict())))
        slept[0] += 10_000.0
        return {}

    plan = settings(ladders=1)
    done = fit(
        network(), objective(), sheets(), plan, updates=UPDATES, seed=3, folder=tmp_path, ladder=look, validate=look
    )
    assert seen[-2] == seen[-1] == bits(last_state(tmp_path)["average"]) == bits(dict(done.network.state_dict()))
    assert len(seen) == 3 and done.seconds < 10_000.0


class Shown:
    def __init__(self, total: int, done: int) -> None:
        self.total, self.done, self.open = total, done, False

    def __enter__(self) -> "Shown":
        self.open = True
        return self

    def advance(self, count: int = 1, note: str = "") -> None:
        self.done += count

    def __exit__(self, *error: object) -> None:
        self.open = False


def test_progress_counts_on_from_where_it_stopped(tmp_path: Path) -> None:
    shown: list[Shown] = []

    def make(total: int, done: int) -> Shown:
        shown.append(Shown(total, done))
        return shown[-1]

    for log in (killer(9), None):
        try:
            fit(
                network(),
                objective(),
                sheets(),
                settings(),
                updates=UPDATES,
                seed=3,
                folder=tmp_path,
                log=log,
                progress=make,
            )
        except Killed:
            assert shown[0].done == 8
    assert [(one.total, one.done, one.open) for one in shown] == [(UPDATES, 8, False), (UPDATES, UPDATES, False)]


def test_nothing_is_said_and_nothing_is_left_behind(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    model, threads = network(), torch.get_num_threads()
    drawn = torch.get_rng_state()
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        fit(model, objective(), sheets(), settings(threads=2), updates=2, seed=3, folder=tmp_path / "here")
    assert capfd.readouterr() == ("", "")
    assert [str(one.message) for one in warned] == []
    assert [path.name for path in tmp_path.iterdir()] == ["here"]
    names = {path.name for path in (tmp_path / "here").iterdir()}
    assert names == {"steps", "snapshot-0.5.safetensors", "snapshot-0.5.safetensors.sha256"}
    assert torch.get_num_threads() == threads
    assert torch.equal(torch.get_rng_state(), drawn)


@pytest.mark.skipif(torch.cuda.is_available(), reason="needs a machine without CUDA")
def test_a_device_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"trainer.accelerator=cuda.*choose cpu or auto"):
        train(tmp_path / "none", accelerator="cuda")
    assert not (tmp_path / "none").exists()


def spoilt(rows: int, share: float, seed: int) -> Sheets:
    """Digits 0 to 2, to be written backwards; a share of the answers reads 3 instead, which nothing foretells."""
    clean = sheets(rows, seed)
    generator = torch.Generator().manual_seed(seed)
    spoil = (torch.rand(clean.tokens.shape, generator=generator) < share) & clean.judged
    return replace(clean, tokens=torch.where(spoil, 3, clean.tokens % 3))


@pytest.mark.slow
@pytest.mark.parametrize("arm", ["masked", "next_token"])
def test_both_arms_learn_to_write_and_to_judge(arm: str, tmp_path: Path) -> None:
    """What is spoilt keeps the writer erring, so that the judge has errors to learn from.

    On examples that neither has seen, the writer is as sure as the spoiling allows, and the judge tells a canvas with
    one 3 from a clean one.
    """
    masked = arm == "masked"
    model = network("bidirectional" if masked else "causal", width=32)
    inner = MaskedDiffusion(weighting="none") if masked else NextToken()
    task = quality_later(inner, start=0.2, lowest=0.9, slope=0.0)
    held_out = spoilt(400, 0.0, seed=9)
    look, batch = HeldOut(task.at(999, 1000), held_out), held_out.take(torch.arange(400))
    planted = (torch.arange(400) % 2 == 0)[:, None] & (torch.arange(LENGTH) == 4)
    canvas = torch.where(planted, 3, batch.tokens)

    @torch.no_grad()
    def told_apart() -> float:
        quality = asked(model, canvas, batch.features)
        return auroc(mean_log_quality(quality, batch.judged), ~planted.any(1))

    assert look(model, 0)["held_out_cross_entropy"] > 1.2
    untrained = told_apart()
    plan, data = settings(batch_size=32, checkpoint_every=1000, lr=1e-2), spoilt(3000, 0.3, seed=1)
    done = fit(model, task, data, plan, updates=1000, seed=0, folder=tmp_path, validate=look)
    assert done.history[-1]["held_out_cross_entropy"] < 0.5  # -log .7 = .36; guessing among three costs .36 + 1.1
    assert told_apart() > max(0.95, untrained)


def test_a_look_is_the_same_every_time_and_judges_canvases() -> None:
    model = network()
    look = HeldOut(Quality(MaskedDiffusion()), sheets(90, seed=9), batch_size=32)
    assert look(model, 0) == look(model, 5)
    assert look(model, 0).keys() == {
        f"held_out_{name}"
        for name in ("loss", "nelbo", "cross_entropy", "quality_loss", "quality_accuracy", "own_errors", "state_auroc")
    }
    assert "held_out_state_auroc" not in HeldOut(MaskedDiffusion(), sheets(9))(model, 0)


def test_heads_of_all_targets_are_told_apart_by_the_same_canvases() -> None:
    model = network()

    def area(objective: Objective) -> float | None:
        return HeldOut(objective, sheets(90, seed=9))(model, 0).get("held_out_state_auroc")

    own = area(Judging(MaskedDiffusion(), OwnErrors(lowest=0.2)))
    assert own == area(Quality(MaskedDiffusion(), lowest=0.2)) != area(Quality(MaskedDiffusion()))
    later = judged_later(MaskedDiffusion(), Filled(1), start=0.5)
    assert isinstance(area(later.at(9, 10)), float) and area(later.at(0, 10)) is None
    assert isinstance(area(Judging(InterpolatingDiffusion(Uniform()), Corrupted())), float)
    assert area(Judging(InterpolatingDiffusion(Uniform(), "posterior"), Corrupted())) is None
