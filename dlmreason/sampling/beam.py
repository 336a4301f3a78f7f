"""Beam search over chains: the likeliest texts, as far as a fixed number of unfinished ones can lead to them.

This file decides which texts stay in the beam. What a token costs and where a chain ends is the writer's, so that a
beam of one is the greedy chain. It knows no task. Shape letters: G prompts at once, W = G * b rows, V outputs.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from dlmreason.canvas import take
from dlmreason.sampling.autoregress import check
from dlmreason.sampling.chains import Batch, Chain, Prompt, Work
from dlmreason.sampling.prefill import CHUNK, Prefixes, Reader, Start
from dlmreason.sampling.writer import Plan, Writer


class Found(NamedTuple):
    """What a beam ended with."""

    chains: list[Chain]  # best first; `number` is the place
    work: Work  # of all that was ever in it, beside the prompt's reading
    depth: int  # tokens that had to wait for one another


def beam(
    network: Reader,
    prompts: Sequence[Prompt],
    plan: Plan,
    *,
    beams: int,
    penalty: float = 0.0,
    width: int,
    prefill_width: int = 8,
    on_batch: Callable[[Batch], None] | None = None,
) -> Iterator[Found]:
    """For each prompt the texts of its beam.

    After each token the `beams` best of all continuations stay, finished texts among them; it ends when all that are in
    the beam are finished. A text's score is its log-probability over its tokens to the power of `penalty`
    [GNMT, arXiv:1609.08144, section 7, with 0 for its 5]: 0 the log-probability, 1 its mean. Ties fall to the better
    parent, then to the lower token. With as many beams as there are texts this is exhaustive. The network is called
    with as many prompts' beams as fit `width` rows, at least with one's.

    Deviation: it never stops while a better text could still come, where the source prunes.
    Raises: ValueError where the settings contradict each other or a chain cannot fit the cache, before any call.
    """
    check_beam(plan, beams, penalty)
    check(network, prompts, plan, plan.limit)
    return _run(network, prompts, plan, beams, penalty, max(width // beams, 1), prefill_width, on_batch)


def check_beam(plan: Plan, beams: int, penalty: float) -> None:
    """Raises: ValueError for a beam that cannot be."""
    if beams < 1:
        raise ValueError(f"beams={beams} must be 1 or more")
    if not 0 <= penalty < math.inf:
        raise ValueError(f"penalty={penalty} is the power of a text's length in its score: give 0 or more")
    if plan.forcing is not None:
        raise ValueError("a beam chooses among the network's own texts: force thoughts of independent chains instead")


def _run(
    network: Reader,
    prompts: Sequence[Prompt],
    plan: Plan,
    beams: int,
    penalty: float,
    group: int,
    prefill_width: int,
    on_batch: Callable[[Batch], None] | None,
) -> Iterator[Found]:
    # Not around the yield: the caller's own code is not to run in inference mode.
    with torch.inference_mode():
        search = _Search(network, plan, beams, penalty, group)
        prefixes = Prefixes(network, prompts, prefill_width, search.writer.device, on_batch)
    for first in range(0, len(prompts), group):
        places = range(first, min(first + group, len(prompts)))
        with torch.inference_mode():
            found, batch = search([prefixes.start(place, 0, True) for place in places], first)
        if on_batch is not None:
            on_batch(batch)
        yield from found


class _Search:
    """One beam a prompt, each a run of `beams` rows."""

    def __init__(self, network: Reader, plan: Plan, beams: int, penalty: float, group: int) -> None:
        self.beams, self.penalty, self.group = beams, penalty, group
        self.writer = Writer(network, plan, group * beams)

    def __call__(self, starts: list[Start], first: int) -> tuple[list[Found], Batch]:
        """What each prompt's beam ended with; first: the place of the first prompt among all."""
        writer, width = self.writer, self.writer.width
        seats = [number * self.beams for number in range(len(starts))]
        nowhere = torch.full((width,), -torch.inf, dtype=torch.float64, device=writer.device)
        writer.rows = writer.rows._replace(live=torch.zeros_like(writer.rows.live), log_prob=nowhere)
        writer.seat(seats, starts, [True] * len(starts))
        total = torch.zeros(3, writer.width, dtype=torch.int64, device=writer.device)
        each = torch.zeros(self.group, 3, dtype=torch.int64, device=writer.device)
        calls = 0
        while bool(writer.rows.live.any()):
            count = min(CHUNK, writer.plan.limit - calls)
            for _ in range(count):
                parent, token, there = self._best()
                self._move(parent, there)
                live = writer.rows.live
                keys = writer.rows.at + 1
                total += writer.write(token)
                read = writer.charged(live, writer.rows.live)
                of_each = torch.stack((read, keys * read), -1).view(self.group, self.beams, 2)
                each += torch.cat((of_each.sum(1), of_each[..., :1].amax(1)), -1)
            calls += count
        found = [
            Found(self._texts(number, first + number), Work(queries, attended, queries), depth)
            for number, (queries, attended, depth) in enumerate(each[: len(starts)].tolist())
        ]
        return found, writer.batch(total, calls, sum(len(one.chains) for one in found))

    def _score(self, log_prob: Tensor, written: Tensor) -> Tensor:
        return log_prob / written.clamp(min=1).double() ** self.penalty

    def _best(self) -> tuple[Tensor, Tensor, Tensor]:
        """Which row each row goes on from, by which token, and whether there is such a text at all: [W] each."""
        rows, outputs = self.writer.rows, self.writer.rows.log_probs.shape[-1]
        longer = self._score(rows.log_prob[:, None] + self.writer.rows.log_probs, rows.written[:, None] + 1)
        stays = self._score(rows.log_prob, rows.written)
        scores = torch.cat(
            (
                torch.where(rows.live[:, None], longer, -torch.inf),
                torch.where(rows.live, -torch.inf, stays)[:, None],
            ),
            -1,
        ).view(self.group, -1)
        best, index = scores.sort(dim=-1, descending=True, stable=True)
        best, index = best[:, : self.beams].flatten(), index[:, : self.beams]
        origin = torch.arange(self.group, device=index.device)[:, None] * self.beams
        parent = (origin + index // (outputs + 1)).flatten()
        token = (index % (outputs + 1)).flatten().clamp(max=outputs - 1)  # one that stays writes nothing
        return parent, token, best > -torch.inf

    def _move(self, parent: Tensor, there: Tensor) -> None:
        """Every row becomes a copy of its parent, its cache too."""
        writer = self.writer
        rows = take(writer.rows, parent)
        writer.rows = rows._replace(live=rows.live & there, log_prob=torch.where(there, rows.log_prob, -torch.inf))
        writer.cache = writer.cache.take(parent)

    def _texts(self, number: int, prompt: int) -> list[Chain]:
        """Rows of a beam stand best first."""
        seats = range(number * self.beams, (number + 1) * self.beams)
        there = (self.writer.rows.log_prob > -torch.inf).tolist()
        rows = [seat for seat in seats if there[seat]]
        found = self.writer.chains({seat: (prompt, place) for place, seat in enumerate(rows)})
        return [found[seat] for seat in rows]
