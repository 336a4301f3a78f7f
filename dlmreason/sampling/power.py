"""Power sampling: a walk from chain to chain whose law becomes p ** alpha, p being the network's own of whole chains.

This file decides where a chain is rewritten, by what, and whether the new one is taken. What a token costs and where a
chain ends is the writer's. It knows no task. Shape letters: W rows, each one prompt's walk, V outputs, T most tokens.
"""

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from dlmreason.canvas import Noise, choose
from dlmreason.sampling.autoregress import check
from dlmreason.sampling.chains import Batch, Chain, Prompt, Work
from dlmreason.sampling.noise import Counter, fold
from dlmreason.sampling.prefill import CHUNK, Prefixes, Reader
from dlmreason.sampling.writer import Plan, Rows, Writer

Noises = Callable[[Tensor, Tensor], Noise]
"""(ids [W] int64, index [W] int64) -> noise; a walk's step has its own ids, and a token's index is its place."""


class Power(NamedTuple):
    """The law that is walked towards [Karan and Du, arXiv:2510.14901].

    Deviation: the whole chain is rewritten from a uniform place on, where the source lengthens it block by block and
    walks at each length; so every step leaves p ** alpha as it is, and none is spent on another law.
    """

    alpha: float = 4.0  # 1: the network's own law
    proposal_temperature: float | None = None  # of what is proposed; None: 1 / alpha


def log_acceptance(
    alpha: float, log_p: tuple[Tensor, Tensor], log_q: tuple[Tensor, Tensor], length: tuple[Tensor, Tensor]
) -> Tensor:
    """[W] float64, at most 0: log of the chance of taking the new chain [Metropolis-Hastings; ibid., eq. 9].

    Each pair is (of the chain now, of the new one). log_p: of the network's own law.  log_q: of the law by which they
    are proposed; over whole chains, for what both share cancels.  length: in tokens, for a place to rewrite from is
    drawn among a chain's own, and the way back draws it among the new one's.
    """
    gain = alpha * (log_p[1] - log_p[0]) - (log_q[1] - log_q[0])
    return (gain + length[0].double().log() - length[1].double().log()).clamp(max=0)


class Step(NamedTuple):
    """What a walk did."""

    chain: Chain  # where it stands; `number` counts steps from 0, the first chain
    work: Work  # beside the prompt's reading, that of a chain which was not taken too
    accepted: bool


class _Past(NamedTuple):
    """What each row was before each of its tokens: [W, T] and, of logits, [W, T, V]. So a prefix is taken up again for
    nothing."""

    log_probs: Tensor
    log_prob: Tensor
    answer_log_prob: Tensor
    quality: Tensor
    answer_at: Tensor
    log_q: Tensor


class _State(NamedTuple):
    rows: Rows
    log_q: Tensor  # [W] float64, of the tokens so far
    past: _Past


class Walks:
    """The walks of up to `width` prompts, one a row, a step at a time for those that go on.

    So that a prefix is taken up again without a call, the logits before each token are kept: width * T * V numbers of 8
    bytes, and a second cache.
    """

    def __init__(
        self,
        network: Reader,
        prompts: Sequence[Prompt],
        plan: Plan,
        power: Power,
        *,
        first: int = 0,
        width: int,
        prefill_width: int = 8,
        on_batch: Callable[[Batch], None] | None = None,
        noises: Noises | None = None,
    ) -> None:
        """first: the place of the first prompt among all.  noises: `Counter` of the plan's seed as a rule.

        Raises: ValueError where the settings contradict each other, prompts outnumber rows, or a chain cannot fit the
        cache, before any call.
        """
        check_power(plan, power)
        check(network, prompts, plan, plan.limit)
        if not len(prompts) <= width:
            raise ValueError(f"{len(prompts)} prompts for width={width} rows: give as many or fewer")
        self.prompts, self.plan, self.first, self.on_batch = prompts, plan, first, on_batch
        self.alpha = power.alpha
        self.temperature = 1 / power.alpha if power.proposal_temperature is None else power.proposal_temperature
        self.noises = noises or (lambda ids, index: Counter(plan.seed, ids, index))
        self.steps = 0
        with torch.inference_mode():
            self.writer = Writer(network, plan, width)
            prefixes = Prefixes(network, prompts, prefill_width, self.writer.device, on_batch)
            starts = [prefixes.start(place, 0, True) for place in range(len(prompts))]
            if starts:
                self.writer.seat(list(range(len(starts))), starts, [False] * len(starts))
            self.ids, self.begins = self.writer.rows.ids, self.writer.rows.at
            self.state = _State(self.writer.rows, torch.zeros_like(self.writer.rows.log_prob), self._no_past())

    def _no_past(self) -> _Past:
        rows, limit = self.writer.rows, self.plan.limit
        nothing = torch.zeros_like(rows.log_prob)[:, None].repeat(1, limit)
        at = rows.answer_at[:, None].repeat(1, limit)
        return _Past(rows.log_probs[:, None].repeat(1, limit, 1), nothing, nothing, nothing, at, nothing)

    def step(self, going: Sequence[bool]) -> list[Step | None]:
        """The first chains, then at each call one proposal in each walk that is `going`; None for the others."""
        with torch.inference_mode():
            return self._step(torch.tensor([*going, *[False] * (self.writer.width - len(going))]), going)

    def _step(self, on: Tensor, going: Sequence[bool]) -> list[Step | None]:
        writer, now = self.writer, self.state
        on = on.to(writer.device)
        ids = fold(self.ids, self.steps)
        kept = writer.cache
        if self.steps:
            writer.cache = kept.take(torch.arange(writer.width, device=writer.device))
            place = self._place(now.rows.written, ids)
            self.state = self._back_to(place)
        self.state = self.state._replace(rows=self.state.rows._replace(live=on))
        work, batch = self._write(ids)
        accepted = on
        if self.steps:
            new = self.state
            chance = log_acceptance(
                self.alpha,
                (now.rows.log_prob, new.rows.log_prob),
                (now.log_q, new.log_q),
                (now.rows.written, new.rows.written),
            ).exp()
            # A row that rests has nothing to decide: its chance is 0, and no coin.
            coin = self.noises(ids, torch.zeros_like(ids)).coin(torch.where(on, chance, 0.0)[:, None], "accept")[:, 0]
            accepted = on & coin
            self.state = choose(accepted, new, now)
            writer.cache = choose(accepted, writer.cache, kept)
        writer.rows = self.state.rows
        chains = writer.chains({row: (self.first + row, self.steps) for row, goes in enumerate(going) if goes})
        self.steps += 1
        queries, attended = work.unbind(1)
        spent = torch.stack((queries, attended, accepted.long()), 1).tolist()
        if self.on_batch is not None:
            self.on_batch(batch._replace(finished=len(chains)))
        return [
            Step(chains[row], Work(spent[row][0], spent[row][1], spent[row][0]), bool(spent[row][2])) if goes else None
            for row, goes in enumerate(going)
        ]

    def _write(self, ids: Tensor) -> tuple[Tensor, Batch]:
        """Goes on with every live row to its end. Returns each row's tokens and keys charged, [W, 2], and the batch."""
        writer, (writer.rows, log_q, past) = self.writer, self.state
        total = torch.zeros(3, writer.width, dtype=torch.int64, device=writer.device)
        each = torch.zeros(writer.width, 2, dtype=torch.int64, device=writer.device)
        places = torch.arange(self.plan.limit, device=writer.device)
        calls = 0
        while left := int(torch.where(writer.rows.live, self.plan.limit - writer.rows.written, 0).max()):
            count = min(CHUNK, left)
            for _ in range(count):
                rows, proposed = writer.rows, self._proposed()
                token = self.noises(ids, rows.written).draw(proposed, "token")
                past = _remembered(past, rows, log_q, rows.live[:, None] & (places == rows.written[:, None]))
                log_q = log_q + torch.where(rows.live, proposed.gather(-1, token[:, None])[:, 0], 0.0)
                total += writer.write(token)
                read = writer.charged(rows.live, writer.rows.live)
                each += torch.stack((read, (rows.at + 1) * read), -1)
            calls += count
        self.state = _State(writer.rows, log_q, past)
        return each, writer.batch(total, calls, 0)

    def _proposed(self) -> Tensor:
        """[W, V] float64: the law of each row's next token; a row that is done has nothing to draw."""
        law = functional.log_softmax(self.writer.rows.log_probs / self.temperature, -1)
        nothing = torch.full_like(law[0], -torch.inf)
        nothing[0] = 0.0
        return torch.where(self.writer.rows.live[:, None], law, nothing)

    def _place(self, written: Tensor, ids: Tensor) -> Tensor:
        """[W] int64: a token of each chain, all alike likely; the chain is rewritten from there on."""
        places = torch.arange(self.plan.limit, device=written.device)
        chance = torch.where(places < written[:, None].clamp(min=1), 0.0, -torch.inf).double().log_softmax(-1)
        return self.noises(ids, torch.zeros_like(ids)).draw(chance, "site")

    def _back_to(self, place: Tensor) -> _State:
        """Each row as it was before its token `place`; what stood behind it is overwritten before it is read."""
        rows, past = self.state.rows, self.state.past
        column = place[:, None]
        return self.state._replace(
            rows=rows._replace(
                log_probs=past.log_probs.gather(1, column[..., None].expand(-1, 1, past.log_probs.shape[-1]))[:, 0],
                at=self.begins + place,
                written=place,
                answer_at=past.answer_at.gather(1, column)[:, 0],
                log_prob=past.log_prob.gather(1, column)[:, 0],
                answer_log_prob=past.answer_log_prob.gather(1, column)[:, 0],
                quality=past.quality.gather(1, column)[:, 0],
            ),
            log_q=past.log_q.gather(1, column)[:, 0],
        )


def _remembered(past: _Past, rows: Rows, log_q: Tensor, here: Tensor) -> _Past:
    """here: [W, T] bool, the place of each live row's next token."""

    def at(now: Tensor, before: Tensor) -> Tensor:
        return torch.where(here, now[:, None], before)

    return _Past(
        log_probs=torch.where(here[..., None], rows.log_probs[:, None], past.log_probs),
        log_prob=at(rows.log_prob, past.log_prob),
        answer_log_prob=at(rows.answer_log_prob, past.answer_log_prob),
        quality=at(rows.quality, past.quality),
        answer_at=at(rows.answer_at, past.answer_at),
        log_q=at(log_q, past.log_q),
    )


def check_power(plan: Plan, power: Power) -> None:
    """Raises: ValueError for a walk that has no such law."""
    if not 0 < power.alpha < math.inf:
        raise ValueError(f"alpha={power.alpha} is the power of the network's law: give a finite number above 0")
    proposed = power.proposal_temperature
    if proposed is not None and not 0 < proposed < math.inf:
        raise ValueError(
            f"proposal_temperature={proposed} must be finite and above 0, so that every chain can be proposed, or null "
            "for 1 / alpha"
        )
    if plan.forcing is not None:
        raise ValueError("a walk is among the network's own texts: force thoughts of independent chains instead")
