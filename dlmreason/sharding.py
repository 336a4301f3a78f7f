"""An evaluation by several processes: who does which share, who waits for whom, and where a share lies until it is
merged.

Shards meet in the output folder alone. Each writes records, snapshots and timings of its share into a folder of its
own,

    shards/<arm>-<seed>-<run key>/<number>-of-<count>/

and one process, the only one that writes into the output folder itself, puts them into records.jsonl once all of them
are there. With budget.shards that process starts the others; a launcher, torchrun for one, starts all of them and says
in the environment which is which, and rank 0 is the one. This file decides when a share begins and when it is merged;
which examples it has is decided by `evaluation.shards`, how they are answered by `answering`.
"""

import fcntl
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, redirect_stderr
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import torch
from torch.multiprocessing import ProcessContext, ProcessExitedException, ProcessRaisedException, start_processes

from dlmreason import disk, launch
from dlmreason.analysis.records import Record, SplitRead, Timing, Writer, read
from dlmreason.answering import (
    Asked,
    answer,
    beyond_of,
    counted_of,
    counting_of,
    due,
    either,
    note_beyond,
    plan_of,
    records_of,
)
from dlmreason.evaluation.counting import Counting, uncounted
from dlmreason.evaluation.diffusion import DiffusionArm
from dlmreason.evaluation.evaluate import Plan, unfinished
from dlmreason.evaluation.shards import merged, share
from dlmreason.folder import note_read
from dlmreason.progress import Progress

Settings = Mapping[str, Any]
Build = Callable[[Any], tuple[Any, list[Asked]]]
"""From an entry point's settings to those that hold and all that is asked; a function of a module, for it goes to other
processes by its name."""

POLL = 0.25
"""Seconds between two looks at what the shards have written, where a look is quick."""


@dataclass(frozen=True)
class Shards:
    """How many processes share an evaluation, and which of them this one is.

    rank: from 0, as a launcher says; None: this process starts the others and answers nothing itself.  local: the rank
    on this machine, by which it takes its device.
    """

    count: int
    rank: int | None = None
    local: int = 0

    @property
    def follows(self) -> bool:
        """Whether another process merges what this one answers."""
        return bool(self.rank)

    @property
    def _said(self) -> str:
        if self.rank is None:
            return f"budget.shards={self.count}"
        return f"{self.count} processes of a launcher (WORLD_SIZE)"

    def check(self, examples: int) -> None:
        """Raises: BadInput for more shards than examples."""
        if self.count > examples:
            raise launch.BadInput(
                f"{self._said}: there are {examples} examples to share: start {examples} or fewer, or "
                "raise budget.examples"
            )


def shards_of(settings: Settings, environment: Mapping[str, str] = os.environ) -> Shards:
    """As a launcher says in the environment, torchrun's or Lightning's; else as budget.shards says.

    Raises: BadInput where both say something, or the environment contradicts itself.
    """
    count = settings["budget"].get("shards", 1)
    world = _number(environment, "WORLD_SIZE", 1)
    # WORLD_SIZE alone is no launcher's word: schedulers leave it in a shell.
    if world == 1 or not environment.keys() & {"RANK", "LOCAL_RANK"}:
        return Shards(count)
    local = _number(environment, "LOCAL_RANK", 0)
    node = _number(environment, "GROUP_RANK", _number(environment, "NODE_RANK", 0))
    # Lightning's launcher gives a process its place on its machine, and the machine's, not its place in all.
    rank = _number(environment, "RANK", node * _number(environment, "LOCAL_WORLD_SIZE", world) + local)
    if rank >= world:
        raise launch.BadInput(
            f"RANK={rank}: a launcher's {world} processes (WORLD_SIZE) are numbered from 0: start them by torchrun, or "
            "unset RANK, LOCAL_RANK and WORLD_SIZE"
        )
    if count > 1:
        raise launch.BadInput(
            f"budget.shards={count}: a launcher has started {world} processes already (WORLD_SIZE), which are the "
            "shards: leave budget.shards out, or start one process"
        )
    return Shards(world, rank, local)


def _number(environment: Mapping[str, str], name: str, otherwise: int) -> int:
    text = environment.get(name, "").strip()
    if text and not text.isdecimal():
        raise launch.BadInput(f"{name}={text}: in the environment, must be a whole number of 0 or more")
    return int(text) if text else otherwise


def place_of(folder: Path, plan: Plan, number: int, count: int) -> Path:
    """Where a shard of an output folder writes."""
    return _root(folder, plan) / f"{number + 1}-of-{count}"


def _root(folder: Path, plan: Plan) -> Path:
    return folder / "shards" / f"{plan.arm}-{plan.seed}-{plan.run_key}"


# A share


def take_part(shards: Shards, settings: Any, build: Build) -> int:
    """The whole of what a process does that another one waits for: its share of each arm. Gives its exit code."""
    assert shards.rank is not None
    _take_device(settings, shards.local)
    torch.set_num_threads(settings["threads"])
    with open(os.devnull, "w") as nowhere, redirect_stderr(nowhere):  # the one that merges says it too
        settings, asked = build(settings)
    shards.check(len(asked[0].examples))
    for each in asked:
        _share(each, settings, shards.rank, shards.count)
    return 0


def _take_device(settings: Settings, local: int) -> None:
    """One device each, in turn where there are fewer: `cuda` is that one from here on."""
    if settings["device"] != "cpu" and torch.cuda.is_available():
        torch.cuda.set_device(local % torch.cuda.device_count())


def _share(asked: Asked, settings: Settings, number: int, count: int, show: bool = False) -> None:
    """Answers a shard's share of what an arm has not answered.

    Raises: BadInput where the folder's records of this arm are of another run, or its policy breaks a rule.
    """
    folder, plan = Path(settings["output"]), plan_of(asked, settings)
    while not _noted(plan, folder):
        time.sleep(POLL)
    if not due(plan, asked.arm, folder, settings):
        return
    place = place_of(folder, plan, number, count)
    with alone(place):
        # Asked again, for who held this folder may have been the one that merged it.
        own = share(plan._replace(examples=due(plan, asked.arm, folder, settings)), number, count)
        _begin(own, folder, place)
        left = due(own, asked.arm, place, settings)
        if not left:
            return
        name, done = f"{plan.arm}, shard {number + 1} of {count}", len(own.examples) - len(left)
        with ExitStack() as stack, Writer(place / "records.jsonl", launch.say) as writer:
            counting = stack.enter_context(counting_of(own, asked.arm, place))
            progress = stack.enter_context(Progress(len(own.examples), name, "examples", done)) if show else None
            answer(own, left, asked, settings, writer, lambda *_: progress.advance() if progress else None, counting)


def _noted(plan: Plan, folder: Path) -> bool:
    """Whether it is noted that the test split is read, which the process that merges does first."""
    if plan.split != "test":
        return True
    path = folder / "reads.jsonl"
    return path.exists() and SplitRead(plan.arm, plan.split, plan.seed, plan.run_key) in read(path, SplitRead).items


def _begin(own: Plan, folder: Path, place: Path) -> None:
    """Puts into a shard's folder what is known of its examples elsewhere, so that nothing is done twice.

    Records of the output folder and of other divisions; of snapshots those of one process, which hold any row.
    """
    have = {record.point for record in records_of(own, place / "records.jsonl")}
    ids = {example.id for example in own.examples}
    others = [folder / "records.jsonl", *sorted(_root(folder, own).glob("*/records.jsonl"))]
    found = {
        record.point: record
        for record in chain.from_iterable(records_of(own, path) for path in others)
        if record.example in ids and record.point not in have
    }
    with Writer(place / "records.jsonl", launch.say) as writer:
        writer.append_many(found.values())
    walks = {(line.example, line.rung) for line in counted_of(own, place)}
    lines = chain.from_iterable(counted_of(own, path.parent) for path in others)
    new = {(line.example, line.rung): line for line in lines if line.example in ids}
    with Writer(place / "counters.jsonl", launch.say) as writer:
        writer.append_many(line for walk, line in new.items() if walk not in walks)
    for path in (folder / "snapshots").glob(f"{own.arm}-{own.seed}.*pt"):
        here = place / "snapshots" / path.name
        if not here.exists():
            here.parent.mkdir(exist_ok=True)
            disk.write(here, path.read_bytes())


@contextmanager
def alone(place: Path) -> Iterator[None]:
    """Holds a shard's folder, once whoever holds it lets go; the kernel lets go for a process that has ended."""
    place.mkdir(parents=True, exist_ok=True)
    with open(place / ".lock", "a", encoding="ascii") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


# The process that merges


@contextmanager
def at_work(
    shards: Shards, asked: Sequence[Asked], settings: Settings, build: Build, given: Any = None
) -> Iterator["Gathering | None"]:
    """Within the block the shards are at work, or are done; yields what gathers their answers, None for one process.

    given: the settings as `build` takes them, where those are others.  Raises: BadInput where the folder's records are
    of another run.
    """
    if shards.count == 1:
        yield None
        return
    folder = Path(settings["output"])
    left = [due(plan_of(each, settings), each.arm, folder, settings) for each in asked]
    for each in asked:
        note_read(folder, each.name, settings, each.key)
    context = None
    if shards.rank is not None:
        for each in asked:
            _share(each, settings, shards.rank, shards.count, show=True)
    elif any(left):
        _tell_of_threads(shards, settings)
        context = start_processes(_worker, (shards.count, given or settings, build), shards.count, join=False)
    gathering = Gathering(shards, context)
    try:
        yield gathering
        while context is not None and not gathering.ended(60):
            pass
    finally:
        processes = context.processes if context else ()
        for process in processes:
            process.terminate()
        for process in processes:
            process.join()


def _worker(number: int, count: int, settings: Any, build: Build) -> None:
    try:
        sys.exit(take_part(Shards(count, number, number), settings, build))
    except (launch.BadInput, OSError) as error:
        launch.say(f"error: shard {number + 1} of {count}: {error}")
        sys.exit(2 if isinstance(error, launch.BadInput) else 1)


def _tell_of_threads(shards: Shards, settings: Settings) -> None:
    wanted, there = shards.count * settings["threads"], len(os.sched_getaffinity(0))
    if wanted > there and (settings["device"] == "cpu" or not torch.cuda.is_available()):
        launch.say(
            f"{shards.count} shards of threads={settings['threads']} each want {wanted} processors, and there are "
            f"{there}: fewer threads are faster, in a run of their own, since sums depend on them in the last bit"
        )


@dataclass
class Gathering:
    """Waits for the shards, arm by arm."""

    shards: Shards
    context: ProcessContext | None

    def gather(
        self,
        plan: Plan,
        arm: Any,
        left: Sequence[Any],
        writer: Writer,
        counting: Counting | None,
        progress: Progress,
    ) -> None:
        """Writes what the shards have answered, and counted, of the examples that are `left`, once all of it is there.

        Raises: ChildProcessError saying which shard has ended before its share did.
        """
        folder, count = writer.path.parent, self.shards.count
        places = [place_of(folder, plan, number, count) for number in range(count)]
        tell_of_stale(plan, folder, count)
        over, missing = False, list(left)
        while True:
            started = time.monotonic()
            shares = [records_of(plan, place / "records.jsonl") for place in places]
            beyond = {key: rung for place in places for key, rung in beyond_of(plan, place).items()}
            before = len(missing)
            unanswered = unfinished(plan._replace(examples=missing), chain.from_iterable(shares), beyond)
            missing = either(missing, unanswered, self._uncounted(plan, arm, missing, places))
            progress.advance(before - len(missing))
            if not missing:
                break
            if over:
                raise ChildProcessError(f"{plan.arm}: no shard answers example {missing[0].id}; {_AGAIN}")
            # Looking takes a tenth of the time at most, however long the files are.
            over = self.ended(max(POLL, 9 * (time.monotonic() - started)))
        with ExitStack() as held:
            for place in places:
                held.enter_context(alone(place))
            shares = [records_of(plan, place / "records.jsonl") for place in places]
            try:
                new = merged(plan, records_of(plan, writer.path), shares, beyond_of(plan, folder) | beyond)
            except ValueError as error:
                raise ChildProcessError(f"{plan.arm}: the shards cannot be merged: {error}; {_AGAIN}") from error
            writer.append_many(new)
            note_beyond(plan, folder)
            adopt(plan, writer, counting)

    @staticmethod
    def _uncounted(plan: Plan, arm: Any, examples: Sequence[Any], places: Sequence[Path]) -> list[Any]:
        if not isinstance(arm, DiffusionArm):
            return []
        return uncounted(arm, examples, plan.ladder, chain.from_iterable(counted_of(plan, place) for place in places))

    def ended(self, seconds: float) -> bool:
        """Whether all shards have ended, after so many seconds at most."""
        if self.context is None:
            time.sleep(seconds)  # a launcher ends all of them when one ends badly
            return False
        try:
            return self.context.join(timeout=seconds)
        except ProcessRaisedException as error:
            launch.say(str(error).strip())
            raise ChildProcessError(f"shard {error.error_index + 1} of {self.shards.count} failed; {_AGAIN}") from error
        except ProcessExitedException as error:
            if error.exit_code == 2:  # it said itself what is wrong
                raise SystemExit(2) from error
            how = f"by {error.signal_name}" if error.signal_name else f"with exit code {error.exit_code}"
            raise ChildProcessError(
                f"shard {error.error_index + 1} of {self.shards.count} was ended {how}; {_AGAIN}"
            ) from error


_AGAIN = "run the same command again: it goes on from what each shard has"


def tell_of_stale(plan: Plan, folder: Path, count: int) -> None:
    """Says which snapshots of rows under way are of another division, and not used in this one."""
    found = {path.parent.parent.name for path in _root(folder, plan).glob("*/snapshots/*.pt")}
    other = sorted(name for name in found if not name.endswith(f"-of-{count}"))
    if other:
        launch.say(
            f"{plan.arm}: snapshots of shards {', '.join(other)} are left unused by another number of processes: their "
            "rows begin anew and come out the same; what was recorded is kept"
        )


def adopt(plan: Plan, writer: Writer, counting: Counting | None) -> None:
    """Writes what shards have recorded and nobody has merged: records of this arm, its counters, and timings.

    Their snapshots stay: they serve a longer ladder, answered by as many shards.
    """
    folder = writer.path.parent
    root = _root(folder, plan)
    if not root.exists():
        return
    have = {record.point for record in records_of(plan, writer.path)}
    found: dict[Any, Record] = {}
    for path in sorted(root.glob("*/records.jsonl")):
        found |= {each.point: each for each in records_of(plan, path) if each.point not in have}
    writer.append_many(found.values())
    with Writer(folder / "timings.jsonl", launch.say) as timings:
        for path in sorted(root.glob("*/timings.jsonl")):
            timings.append_many(read(path, Timing).items)
    if counting is not None:
        lines = chain.from_iterable(counted_of(plan, place) for place in root.glob("*"))
        order = {example.id: number for number, example in enumerate(plan.examples)}
        counting.take(sorted(lines, key=lambda line: (order.get(line.example, len(order)), line.example, line.rung)))
    for name in ("records", "counters", "timings"):
        for path in root.glob(f"*/{name}.jsonl"):
            path.unlink()
