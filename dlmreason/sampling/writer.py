"""Tokens are written one after another into a fixed number of rows, through a static cache.

This file decides what a row remembers, where an answer begins and a chain ends, and what is charged; within a chunk
nothing waits for the device. It knows no task and no checkpoint, and not who chooses the next token. Shape letters: W
rows, V outputs, T most tokens of a chain, A symbols of an answer, F feature columns.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from dlmreason.canvas import NEVER, put
from dlmreason.sampling.chains import Batch, Chain, Work
from dlmreason.sampling.noise import Counter, fold
from dlmreason.sampling.prefill import CHUNK, Reader, Start


class Forcing(NamedTuple):
    """Thoughts of a length that is not the network's own to choose [s1, arXiv:2501.19393, section 3.1].

    An end that comes before `least` tokens, the marker or the end of text, is taken back and `wait_id` written in its
    place; at `most` tokens the marker is written whatever the network would say. A forced token is one like any other:
    it is read, it counts, and its log-probability is the network's own.
    """

    least: int = 0
    most: int | None = None  # None: as many as there is room for
    wait_id: int | None = None  # None: the vocabulary has no such symbol

    def __call__(self, token: Tensor, thoughts: Tensor, written: Tensor, marker_id: int, eos_id: int) -> Tensor:
        """The tokens that are written where `token` [W] int64 would be.

        thoughts: [W] bool, rows that are in their thought.  written: [W] int64, its tokens so far.
        """
        if self.wait_id is not None:
            ends = (token == marker_id) | (token == eos_id)
            token = torch.where(thoughts & ends & (written < self.least), self.wait_id, token)
        if self.most is not None:
            token = torch.where(thoughts & (written == self.most), marker_id, token)
        return token


class Plan(NamedTuple):
    """The arguments of a decoding that every token depends on."""

    answer_features: Sequence[Sequence[int]]
    answer_length: int
    marker_id: int
    eos_id: int  # -1 for none
    ends: bool
    thought: bool
    limit: int  # T
    temperature: float
    seed: int
    forcing: Forcing | None = None


class Rows(NamedTuple):
    """What the next token of each row depends on, and what was gathered so far. A padding row is one that is done."""

    log_probs: Tensor  # [W, V] float64, the network's own, of the next token
    ids: Tensor  # [W] int64, keys of the noise
    greedy: Tensor  # [W] bool
    at: Tensor  # [W] int64, position of the next token
    written: Tensor  # [W] int64
    answer_at: Tensor  # [W] int64, tokens before the answer; NEVER until the marker
    tokens: Tensor  # [W, T] int64
    log_prob: Tensor  # [W] float64
    answer_log_prob: Tensor  # [W] float64
    quality: Tensor  # [W] float64, sum of log quality over the answer
    live: Tensor  # [W] bool


class Writer:
    """Writes tokens into all rows at once; within a chunk it branches on no value."""

    def __init__(self, network: Reader, plan: Plan, width: int) -> None:
        self.network, self.plan, self.width = network, plan, width
        self.cache = network.cache(width)
        self.device: torch.device = self.cache.device
        features = torch.as_tensor(plan.answer_features, dtype=torch.int64, device=self.device)
        self.answer_features = features.view(plan.answer_length, -1)
        self.places = torch.arange(plan.limit, device=self.device)
        nothing = torch.zeros(width, dtype=torch.int64, device=self.device)
        idle = torch.zeros_like(nothing, dtype=torch.bool)
        rows = self._fresh(torch.zeros(width, network.shape.outputs, device=self.device), nothing, nothing, idle)
        self.rows = rows._replace(live=idle)

    def _fresh(self, logits: Tensor, ids: Tensor, at: Tensor, greedy: Tensor) -> Rows:
        zero = torch.zeros_like(at)
        return Rows(
            log_probs=functional.log_softmax(logits.double(), -1),
            ids=ids,
            greedy=greedy,
            at=at,
            written=zero,
            answer_at=torch.full_like(at, NEVER if self.plan.thought else 0),
            tokens=zero[:, None].repeat(1, self.plan.limit),
            log_prob=zero.double(),
            answer_log_prob=zero.double(),
            quality=zero.double(),
            live=torch.ones_like(greedy),
        )

    def seat(self, seats: list[int], starts: list[Start], greedy: list[bool]) -> None:
        """Give the rows `seats` to new chains."""
        words = torch.tensor(
            [(seat, start.id, start.number, start.length) for seat, start in zip(seats, starts, strict=True)],
            device=self.device,
        )
        index, ids, numbers, at = words.unbind(1)
        logits = torch.stack([start.logits for start in starts])
        fresh = self._fresh(logits, fold(ids, numbers), at, torch.tensor(greedy, device=self.device))
        self.rows = put(self.rows, index, fresh)
        # One copy for each batch of prompts that the new chains come from.
        for cache in {id(start.cache): start.cache for start in starts}.values():
            pairs = [(s, start.row) for s, start in zip(seats, starts, strict=True) if start.cache is cache]
            to, source = torch.tensor(pairs, device=self.device).unbind(1)
            self.cache.begin(to, cache.take(source))

    def chunk(self, seats: dict[int, tuple[int, int]]) -> tuple[Batch, dict[int, Chain]]:
        """Write up to CHUNK tokens into every row, then wait for the device.

        seats: row -> prompt and number of the chain there.  Returns what it cost, and by row the chains that ended.
        """
        written = self.rows.written.tolist()
        count = min(CHUNK, max(self.plan.limit - written[seat] for seat in seats))
        tally = torch.zeros(3, self.width, dtype=torch.int64, device=self.device)
        for _ in range(count):
            tally += self.write(self._draw())
        ended = self._ended(seats)
        return self.batch(tally, count, len(ended)), ended

    def batch(self, tally: Tensor, count: int, finished: int) -> Batch:
        """What `count` calls were whose `write` summed up to `tally` [3, W]; waits for the device."""
        queries, attended, everything = tally.sum(1).tolist()
        charged = Work(queries, attended, queries)
        sent = Work(count * self.width, everything, count * self.width)
        return Batch(charged, sent.minus(charged), count, finished)

    def write(self, token: Tensor) -> Tensor:
        """The token [W] int64 into each row that is not done; one call of the network.

        Returns int64 [3, W]: tokens charged, keys charged, keys in all.
        """
        rows, plan = self.rows, self.plan
        said = torch.where(rows.live, rows.log_probs.gather(-1, token[:, None])[:, 0], 0.0)
        log_prob = rows.log_prob + said
        written = rows.written + rows.live
        # A plan without a thought needs fewer calls, and at one row a token is as dear as its calls are many.
        if plan.thought:
            place = rows.written - rows.answer_at  # which symbol of the answer; negative in a thought
            in_answer, in_thought = rows.live & (place >= 0), rows.live & (place < 0)
            over = (place == plan.answer_length - 1) | (written == plan.limit)
            if plan.eos_id >= 0:
                over = over | ((rows.live if plan.ends else in_thought) & (token == plan.eos_id))
            answer_at = torch.where(in_thought & (token == plan.marker_id), written, rows.answer_at)
            answer_log_prob = rows.answer_log_prob + torch.where(in_answer, said, 0.0)
        else:
            place, in_answer, answer_at, answer_log_prob = rows.written, rows.live, rows.answer_at, log_prob
            over = written == plan.answer_length
            if plan.ends:
                over = over | (token == plan.eos_id)
        live = rows.live & ~over

        output = self.network(token[:, None], self._features(in_answer, place), cache=self.cache, at=rows.at)
        quality = rows.quality
        if output.quality is not None:
            quality = quality + torch.where(in_answer, functional.logsigmoid(output.quality[:, 0].double()), 0.0)
        charged = self.charged(rows.live, live).long()
        keys = rows.at + 1
        here = (self.places == rows.written[:, None]) & rows.live[:, None]

        self.rows = Rows(
            log_probs=functional.log_softmax(output.logits[:, 0].double(), -1),
            ids=rows.ids,
            greedy=rows.greedy,
            at=rows.at + live,
            written=written,
            answer_at=answer_at,
            tokens=torch.where(here, token[:, None], rows.tokens),
            log_prob=log_prob,
            answer_log_prob=answer_log_prob,
            quality=quality,
            live=live,
        )
        return torch.stack((charged, keys * charged, keys))

    def _features(self, in_answer: Tensor, place: Tensor) -> Tensor:
        """[W, 1, F] int64, of the tokens that are written now."""
        if not self.answer_features.shape[1]:
            return self.answer_features.new_zeros(self.width, 1, 0)
        own = self.answer_features[place.clamp(0, self.plan.answer_length - 1)]
        return torch.where(in_answer[:, None], own, 0)[:, None]

    def charged(self, before: Tensor, after: Tensor) -> Tensor:
        """[W] bool: rows whose token had to be read, of those live `before` and `after` it was written.

        A chain's last token is read only to be judged.
        """
        return before if self.network.shape.quality else after

    def _draw(self) -> Tensor:
        token = self._proposed(self.rows.log_probs)
        plan, rows = self.plan, self.rows
        if plan.forcing is None:
            return token
        thoughts = rows.live & (rows.written < rows.answer_at)
        return plan.forcing(token, thoughts, rows.written, plan.marker_id, plan.eos_id)

    def _proposed(self, log_probs: Tensor) -> Tensor:
        likeliest = log_probs.argmax(-1)
        if self.plan.temperature == 0:
            return likeliest
        tempered = functional.log_softmax(log_probs / self.plan.temperature, -1)
        drawn = Counter(self.plan.seed, self.rows.ids, self.rows.written).draw(tempered, "token")
        return torch.where(self.rows.greedy, likeliest, drawn)

    def _ended(self, seats: dict[int, tuple[int, int]]) -> dict[int, Chain]:
        live = self.rows.live.tolist()
        return self.chains({seat: whose for seat, whose in seats.items() if not live[seat]})

    def chains(self, seats: dict[int, tuple[int, int]]) -> dict[int, Chain]:
        """By row what stands there; seats: row -> prompt and number."""
        if not seats:
            return {}
        index = torch.tensor(list(seats), device=self.device)
        fields = {name: value[index].tolist() for name, value in self.rows._asdict().items() if name != "log_probs"}
        chains = {}
        for row, (seat, whose) in enumerate(seats.items()):
            written, answer_at = fields["written"][row], fields["answer_at"][row]
            text = tuple(fields["tokens"][row][:written])
            length = written - answer_at
            finished = length == self.plan.answer_length or (
                self.plan.ends and length > 0 and text[-1] == self.plan.eos_id
            )
            judged = finished and self.network.shape.quality
            chains[seat] = Chain(
                *whose,
                tokens=text,
                answer=text[answer_at:],
                log_prob=fields["log_prob"][row],
                answer_log_prob=fields["answer_log_prob"][row],
                quality=fields["quality"][row] / length if judged else None,
                finished=finished,
            )
        return chains
