"""The diffusion arm: a network and a policy over a ladder of passes.

This file decides how a ladder is walked: an anytime policy walks one trajectory and is asked at each rung, another is
run once for each. It knows no task's rules and judges nothing.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import nn

from dlmreason.canvas import NEVER, Denoiser, Policy, join, take
from dlmreason.compute.flops import block_call_flops, cached_pass_flops, prompt_flops, stale_flops
from dlmreason.compute.ledger import Metered
from dlmreason.evaluation.attempt import (
    ANSWER,
    LAST,
    Attempt,
    Example,
    Sheet,
    Task,
    answer_text,
    canvas_length,
    canvas_sheet,
    rows_of,
)
from dlmreason.evaluation.oracle import Oracle, told
from dlmreason.evaluation.snapshot import Snapshot
from dlmreason.evaluation.starts import Start
from dlmreason.sampling.counters import RowCounters, row_counters
from dlmreason.sampling.denoise import Counts, Sampler
from dlmreason.sampling.events import KINDS
from dlmreason.sampling.guard import BadMove
from dlmreason.sampling.state import Rows, State
from dlmreason.sampling.streamed import Streamed, story
from dlmreason.sampling.trace import Trace, Tracer


class Walking(NamedTuple):
    """How far rows are, between two chunks of passes."""

    alive: int  # rows under way
    at: int  # the pass that the row furthest behind is at
    before: int  # passes that rows under way have before them, in all and at most; those that wait come on top
    counts: Counts  # of this sitting


@dataclass
class DiffusionArm:
    """Answers by denoising passes under a policy.

    denoiser: the network as a `Denoiser`.  width, chunk: see `Sampler`.  thought: its canvas holds a thought before the
    answer.  oracle: its quality is the truth, see `Oracle`.  counted: keeps `counters` of its rows.  start: what stands
    on its rows before the first pass, None for nothing; its records tell what became of it.  Its FLOPs are
    `prompt_flops` for each row, once, and `cached_pass_flops` for each of its calls; of a denoiser with `in_blocks`
    `block_call_flops`, also for the calls in which blocks are read that are finished or given; of one that is `stale`
    `stale_flops` of what its passes read, which a walk tells at its end, so that each rung is a walk of its own;
    its meter counts these as whole passes.
    """

    name: str
    task: Task
    network: nn.Module
    denoiser: Denoiser
    policy: Policy
    width: int = 64
    chunk: int = 64
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    thought: bool = False
    oracle: bool = False
    counted: bool = False
    start: Start | None = None

    def __post_init__(self) -> None:
        self.length = canvas_length(self.task, self.thought)
        shape: Any = self.network.shape
        price = block_call_flops if getattr(self.denoiser, "in_blocks", False) else cached_pass_flops
        self.flops_per_pass, self.prompt_flops = price(shape, self.length), prompt_flops(shape)
        reads = Oracle(self.denoiser) if self.oracle else self.denoiser
        self.meter = Metered(reads, self.flops_per_pass, self.prompt_flops)
        self.counts = Counts()
        self._stale: bool = getattr(self.denoiser, "stale", False)
        self.one_walk = self.policy.anytime and not self._stale
        self._vocabulary = self.task.vocabulary(self.thought)
        self.counters: RowCounters | None = None
        if self.counted:
            self.counters = row_counters(self._vocabulary.mask_id, self.length, shape.outputs)

    @property
    def revises(self) -> bool:
        """Whether a committed token may be taken back: then the last canvas and the answer are two things."""
        facts = getattr(self.policy, "facts", None)
        return facts is None or facts.revises

    @property
    def variants(self) -> tuple[str, ...]:
        return (ANSWER, LAST) if self.revises else (ANSWER,)

    def attempts(
        self,
        examples: Sequence[Example],
        ladder: tuple[int, ...],
        seed: int,
        snapshot: Snapshot | None = None,
        on_chunk: Callable[[Walking], None] | None = None,
        on_walk: Callable[[Example, int, State], None] | None = None,
    ) -> Iterator[list[Attempt]]:
        """All attempts at one example together. snapshot: goes on from what it holds, and keeps it up to date.
        on_walk: told (example, its last rung, the row's last state) of each walk, before the attempts.

        Raises: BadMove where the policy breaks a rule, see `sampling.guard`.
        """
        ladders = [ladder] if self.one_walk else [(rung,) for rung in ladder]
        waiting: dict[str, list[Attempt]] = {}
        for number, rungs in enumerate(ladders):
            last = number == len(ladders) - 1
            keeper = snapshot if self.one_walk else None
            for example, state in self._walk(examples, rungs, seed, keeper, on_chunk):
                if on_walk is not None:
                    on_walk(example, rungs[-1], state)
                kept = waiting.setdefault(example.id, [])
                kept += self._read(example, state, rungs)
                if last:
                    yield waiting.pop(example.id)

    def traces(self, examples: Sequence[Example], passes: int, seed: int) -> dict[str, Trace]:
        """{example id: its story} of examples walked again: the same noise gives the same passes."""
        rows = self._rows(examples)
        names = {number: example.id for number, example in zip(rows.id.tolist(), examples, strict=True)}
        tracer = Tracer(names, self._vocabulary.mask_id)
        sampler = self._sampler(self.meter.denoiser, (passes,), seed)
        with _named(names):
            for _ in sampler.run(rows, observe=tracer.observe, on_chunk=lambda pool, counts: tracer.flush()):
                tracer.flush()
        return {names[number]: trace for number, trace in tracer.traces.items()}

    def watched(
        self, example: Example, passes: int, seed: int, on_chunk: Callable[[Trace], None] | None = None
    ) -> tuple[Attempt, Trace]:
        """One example alone: what is answered after `passes` passes, and its story. on_chunk: shown the story after
        each chunk of passes, as far as it goes. Raises: BadMove."""
        rows = self._rows([example])
        number = int(rows.id)
        tracer = Tracer({number: example.id}, self._vocabulary.mask_id)
        sampler = replace(self._sampler(self.meter, (passes,), seed), width=1)

        def after_chunk(*_: Any) -> None:
            tracer.flush()
            if on_chunk is not None:
                on_chunk(tracer.traces[number])

        with _named({number: example.id}):
            (state,) = sampler.run(rows, observe=tracer.observe, on_chunk=after_chunk)
        after_chunk()
        return next(self._read(example, state, (passes,))), tracer.traces[number]

    def streamed(
        self,
        examples: Sequence[Example],
        passes: int,
        seed: int,
        folder: Path,
        events: int,
        snapshot: Snapshot,
        on_chunk: Callable[[Walking], None] | None = None,
    ) -> dict[str, Trace]:
        """As `traces`, without qualities and scores, told to files of `folder` while it walks, see `Streamed`.

        snapshot: the rows go on from what it holds, and their files are cut off there; finished files stay.
        """
        rows = self._rows(examples)
        names = {number: example.id for number, example in zip(rows.id.tolist(), examples, strict=True)}
        out = Streamed(folder, names, events)
        sampler = self._sampler(self.meter.denoiser, (passes,), seed)

        def after_chunk(under_way: State, counts: Counts) -> None:
            out.flush()
            if snapshot.due:
                out.sync()  # else a file might lack what the snapshot counts on
                snapshot.save(under_way, sampler.rungs)
            if on_chunk is not None:
                on_chunk(_walking(under_way, sampler.total, counts))

        with _named(names):
            begin, pool = self._under_way(sampler, rows, snapshot)
            if pool is not None:
                held = enumerate(zip(pool.rows.id.tolist(), pool.index.tolist(), strict=True))
                told_of = [place for place, (number, index) in held if out.resume(number, index)]
                pool = take(pool, torch.tensor(told_of, dtype=torch.int64, device=self.device))
                begin = _without(rows, set(pool.rows.id.tolist()))
            begin = _without(begin, {number for number in begin.id.tolist() if out.finished(number)})
            for state in sampler.run(begin, pool, out.observe, after_chunk):
                out.flush()
                out.finish(state)
        out.sync()
        snapshot.drop()
        return {name: story(out.path(number), self._vocabulary.mask_id) for number, name in names.items()}

    def sheet(self, example: Example) -> Sheet:
        """An example as it lies before this arm's network."""
        return canvas_sheet(self.task, example, self.thought, self._prompt)

    @property
    def _prompt(self) -> int:
        return self.network.shape.prompt  # type: ignore[union-attr, return-value]

    def _rows(self, examples: Sequence[Example]) -> Rows:
        def blank(examples: Sequence[Example]) -> Rows:
            return rows_of(self.task, examples, self.device, self.thought, self._prompt)

        mask_id = self._vocabulary.mask_id
        rows = blank(examples) if self.start is None else self.start.rows(examples, blank, mask_id)
        return told(rows, mask_id) if self.oracle else rows

    def _sampler(self, denoiser: Denoiser, rungs: tuple[int, ...], seed: int) -> Sampler:
        return Sampler(
            self.policy,
            denoiser,
            rungs,
            seed,
            self.width,
            self.chunk,
            begun=self.start is not None,
            end_id=self._vocabulary.eos_id if self.task.answers_end and not self.thought else None,
        )

    def _walk(
        self,
        examples: Sequence[Example],
        rungs: tuple[int, ...],
        seed: int,
        snapshot: Snapshot | None,
        on_chunk: Callable[[Walking], None] | None,
    ) -> Iterator[tuple[Example, State]]:
        rows = self._rows(examples)
        by_id = dict(zip(rows.id.tolist(), examples, strict=True))
        names = {number: example.id for number, example in by_id.items()}
        sampler = replace(self._sampler(self.meter, rungs, seed), counters=self.counters)
        finished: list[State] = []

        def after_chunk(under_way: State, counts: Counts) -> None:
            if snapshot is not None:
                snapshot.save(under_way, rungs)
            if on_chunk is not None:
                on_chunk(_walking(under_way, sampler.total, counts))

        before = self.counts
        with _named(names):
            rows, pool = self._under_way(sampler, rows, snapshot)
            for state in sampler.run(rows, pool, on_chunk=after_chunk):
                self.counts = before.plus(sampler.counts)
                if snapshot is not None:
                    finished.append(state)
                yield by_id[int(state.rows.id)], state
        if snapshot is not None and finished:
            snapshot.finish(join(finished), rungs)

    def _under_way(self, sampler: Sampler, rows: Rows, snapshot: Snapshot | None) -> tuple[Rows, State | None]:
        """Those of `rows` that begin, and those that go on from what the snapshot holds."""
        if snapshot is None or not len(rows.id):
            return rows, None
        template = sampler.init(Rows(*(leaf[:1] for leaf in rows)))
        pool = snapshot.load(template, sampler.rungs, set(rows.id.tolist()))
        return (rows, None) if pool is None else (_without(rows, set(pool.rows.id.tolist())), pool)

    def _read(self, example: Example, state: State, rungs: tuple[int, ...]) -> Iterator[Attempt]:
        sheet = self.sheet(example)
        sheet_at = sheet.answer_at
        final = int(state.nfe)
        for place, rung in enumerate(rungs):
            nfe = int(state.spent[0, place])
            score = float(state.scores[0, place])
            kinds = dict(zip(KINDS, state.changes[0, place].tolist(), strict=True))
            held = {ANSWER: state.answers, LAST: state.canvases}
            for variant in self.variants:
                says = held[variant][:, place]
                thought, fate = (None, {}) if self.start is None else self.start.told(example, state.rows, sheet, says)
                yield Attempt(
                    example=example,
                    variant=variant,
                    rung=rung,
                    answer=answer_text(self._vocabulary, says[0, sheet_at:]),
                    nfe=nfe,
                    scheduled_passes=rung,
                    sequential_depth=nfe,
                    flops=self._flops(state, nfe),
                    events=kinds | fate,
                    score=score if score > -torch.inf else None,
                    settled=nfe == final and int(state.index) >= NEVER // 2,
                    thought=thought,
                )

    def _flops(self, state: State, nfe: int) -> int:
        """Of a row that has made `nfe` calls."""
        if self._stale:
            return stale_flops(self.network.shape, self.length, int(state.ask.carry.positions))  # type: ignore[arg-type]
        return self.prompt_flops + nfe * self.flops_per_pass


def _without(rows: Rows, numbers: set[int]) -> Rows:
    keep = [place for place, number in enumerate(rows.id.tolist()) if number not in numbers]
    return Rows(*(leaf[torch.tensor(keep, dtype=torch.int64, device=leaf.device)] for leaf in rows))


def _walking(under_way: State, total: int, counts: Counts) -> Walking:
    index = under_way.index.clamp(max=total)
    at = int(index.min()) if len(index) else total
    return Walking(len(index), at, int((total - index).sum()), counts)


@contextmanager
def _named(names: Mapping[int, str]) -> Iterator[None]:
    """Tells of a bad move by the example's own id."""
    try:
        yield
    except BadMove as error:
        raise error.of(names[error.example]) from None
