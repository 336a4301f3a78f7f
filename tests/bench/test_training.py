"""What an update costs: of what the machine can do, and more than a loop of plain torch would take.

Costs of starting and ending a training are left out: they are the difference between a long and a short one.
"""

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from itertools import count
from pathlib import Path

import pytest
import torch
from torch import nn

from dlmreason import looks
from dlmreason.compute.flops import training_flops
from dlmreason.diffusion.objectives import Loss, MaskedDiffusion, Objective
from dlmreason.folder import metrics_log
from dlmreason.networks.shape import Shape
from dlmreason.networks.transformer import Transformer
from dlmreason.reports.mirror import Mirror
from dlmreason.reports.series import Work
from dlmreason.train import sheets_of
from dlmreason.training.average import Average
from dlmreason.training.fit import Entry, fit
from dlmreason.training.learner import AT_ONCE
from dlmreason.training.settings import Settings
from dlmreason.training.sheets import Batch, Order, Sheets
from tests import test_conf as conf
from tests.bench.clock import REPEATS, fastest, medians

pytestmark = pytest.mark.bench

MASK = 10
OBJECTIVE = MaskedDiffusion(weighting="none")


def network(length: int, **sizes: int) -> Transformer:
    torch.manual_seed(0)
    return Transformer(Shape(vocabulary_size=MASK + 1, length=length, **sizes)).train()


def sheets(rows: int, length: int) -> Sheets:
    tokens = torch.randint(0, MASK, (rows, length), generator=torch.Generator().manual_seed(0), dtype=torch.int32)
    ones = torch.ones(rows, length, dtype=torch.bool)
    return Sheets(tokens, ones, torch.zeros(rows, length, 0, dtype=torch.int32), ones, MASK)


def settings_of(batch: int) -> Settings:
    return Settings(batch, accelerator="cpu", checkpoint_every=10_000, log_every=10_000, snapshots=())


def ours(
    made: Transformer, data: Sheets, batch: int, updates: int, folder: Path, objective: Objective = OBJECTIVE
) -> float:
    """Seconds of a whole training."""
    return fit(made, objective, data, settings_of(batch), updates=updates, seed=0, folder=folder).seconds


def bare(made: Transformer, data: Sheets, batch: int, updates: int, objective: Objective) -> None:
    """The same updates in plain torch: batch, loss, clipped and finite gradient, step, average."""
    settings, generator, order = settings_of(batch), torch.Generator(), Order(len(data), batch, 0)
    optimizer = torch.optim.AdamW(made.parameters(), settings.lr, settings.betas, fused=True)
    average = Average(made, settings.ema)
    for update in range(updates):
        generator.manual_seed(update)
        loss = objective(made, data.take(order(update)), generator)
        optimizer.zero_grad()
        loss.total.backward()
        norm = torch.nn.utils.clip_grad_norm_(made.parameters(), settings.clip)
        assert torch.isfinite(norm + loss.total.detach())
        optimizer.step()
        average.update()


def gemm(side: int = 1024) -> float:
    """FLOPs a second of one large matrix product: what this machine can do."""
    a, b = torch.randn(side, side), torch.randn(side, side)
    (seconds,) = medians(lambda: [a @ b for _ in range(4)])
    return 4 * 2 * side**3 / seconds


def test_an_update_of_6m_parameters_is_mostly_matrix_products(tmp_path: Path, table: Callable[..., None]) -> None:
    length, batch, few, many = 82, 16, 2, 6
    data, places = sheets(64, length), count()
    sizes = {"num_layers": 8, "width": 256, "num_heads": 8}

    def one_more() -> float:
        made = (network(length, **sizes) for _ in range(2))
        short, long = (ours(next(made), data, batch, each, tmp_path / str(next(places))) for each in (few, many))
        return (long - short) / (many - few)

    one_more()
    seconds = statistics.median(one_more() for _ in range(REPEATS))
    made, peak = network(length, **sizes), gemm()
    share = training_flops(made.shape, length, batch) / seconds / peak
    table(
        f"an update of {made.num_parameters / 1e6:.1f}M parameters, {batch} sheets of {length}",
        f"{1e3 * seconds:.0f} ms, {share:.0%} of a GEMM's {peak / 1e9:.0f} GFLOP/s",
    )
    assert share >= 0.7


@dataclass(frozen=True, eq=False)
class Stamped:
    """An objective that notes when it is asked: between two notes lies an update with all that is around it."""

    inner: Objective
    at: list[float] = field(default_factory=list)

    def __call__(self, network: nn.Module, batch: Batch, generator: torch.Generator) -> Loss:
        self.at.append(time.perf_counter())
        return self.inner(network, batch, generator)


def test_lightning_adds_little_to_an_update(tmp_path: Path, table: Callable[..., None]) -> None:
    """At the demo's batch and network. The two take turns of 32 updates, for a machine is not as fast all the time; as
    many as Lightning is asked for twice, so that what it does in between is in."""
    length, batch, before, counted, turns = 36, 32, AT_ONCE, 2 * AT_ONCE, 3 * REPEATS
    data, places = sheets(64, length), count()

    def a_turn(train: Callable[[Objective], object]) -> float:
        train(stamped := Stamped(OBJECTIVE))
        return (stamped.at[before + counted] - stamped.at[before]) / counted

    def made() -> Transformer:
        return network(length, num_layers=2, width=64, num_heads=4)

    def pair() -> tuple[float, float]:
        updates, folder = before + counted + 1, tmp_path / str(next(places))
        return (
            a_turn(lambda asked: ours(made(), data, batch, updates, folder, asked)),
            a_turn(lambda asked: bare(made(), data, batch, updates, asked)),
        )

    pair()
    whole, least = (statistics.median(each) for each in zip(*(pair() for _ in range(turns)), strict=True))
    table(
        f"an update of {made().num_parameters / 1e6:.1f}M parameters, {batch} sheets of {length}, by Lightning",
        f"{1e3 * whole:.1f} ms, {whole / least - 1:+.1%} of a bare loop's {1e3 * least:.1f} ms",
    )
    assert whole / least <= 1.03


def test_log_calls_add_little_to_an_update(tmp_path: Path, table: Callable[..., None]) -> None:
    """Of a training's own seconds, at the demo's batch, network and `log_every`: what it takes to write an entry down
    and hand it over, and the thread that passes it on to W&B."""
    length, batch, updates = 36, 32, 400
    out = Mirror("offline", folder=tmp_path, work={"demo": Work(batch, 1e9, 1e9)})
    log, spent = metrics_log(tmp_path, out), [0.0]

    def clocked(entry: Entry) -> None:
        began = time.perf_counter()
        log("demo", entry)
        spent[0] += time.perf_counter() - began

    made, settings = network(length, num_layers=2, width=64, num_heads=4), replace(settings_of(batch), log_every=50)
    data = sheets(64, length)
    done = fit(made, OBJECTIVE, data, settings, updates=updates, seed=0, folder=tmp_path / "training", log=clocked)
    passed_on = time.clock_gettime(time.pthread_getcpuclockid(out._thread.ident or 0))
    out.finish()
    assert not out.failed
    share = (spent[0] + passed_on) / done.seconds
    table(
        f"log calls of a training of {updates} updates, an entry each 50",
        f"{1e3 * spent[0] / (updates / 50):.1f} ms a call, {share:.2%} of its {done.seconds:.1f} s",
    )
    assert share <= 0.02


def test_ladders_take_little_of_the_demos_trainings(tmp_path: Path, table: Callable[..., None]) -> None:
    """Of the updates that the demo makes of each model. A chain of one that has learned nothing is the longest."""
    settings = conf.composed("experiment=demo", "task.train_examples=400", "device=cpu")
    task, updates = conf.assembly.task_of(settings), 30
    for name, model in conf.assembly.models_of(settings, task).items():
        made, data = Transformer(model.shape), sheets_of(model, task, "train")
        once = fit(made, model.objective, data, model.trainer, updates=updates, seed=0, folder=tmp_path / name)
        climb = looks.ladder(model, task, settings)
        assert climb is not None
        (seconds,) = fastest(lambda climb=climb, made=made: climb(made, 0), repeats=2)
        share = model.trainer.ladders * seconds / (model.updates * once.seconds / updates)
        table(f"ladders of the demo's {name}, of its {model.updates} updates", f"{seconds:.2f} s each, {share:.1%}")
        assert share < 0.1
