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

    logits: Tensor  # [W, V] float64, of the next token
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
        self.device: torch.device = self.cache.layers[0].device
        features = torch.as_tensor(plan.answer_features, dtype=torch.int64, device=self.device)
        self.answer_features = features.view(plan.answer_length, -1)
        nothing = torch.zeros(width, dtype=torch.int64, device=self.device)
        rows = self._fresh(torch.zeros(width, network.shape.outputs, device=self.device), nothing, nothing, nothing > 0)
        self.rows = rows._replace(live=nothing > 0)

    def _fresh(self, logits: Tensor, ids: Tensor, at: Tensor, greedy: Tensor) -> Rows:
        zero = torch.zeros_like(at)
        return Rows(
            logits=logits.double(),
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
        tally = torch.zeros(3, dtype=torch.int64, device=self.device)
        for _ in range(count):
            tally += self.write(self._draw())
        ended = self._ended(seats)
        return self.batch(tally, count, len(ended)), ended

    def batch(self, tally: Tensor, count: int, finished: int) -> Batch:
        """What `count` calls were whose `write` summed up to `tally`; waits for the device."""
        queries, attended, everything = tally.tolist()
        charged = Work(queries, attended, queries)
        sent = Work(count * self.width, everything, count * self.width)
        return Batch(charged, sent.minus(charged), count, finished)

    def write(self, token: Tensor) -> Tensor:
        """The token [W] int64 into each row that is not done; one call of the network.

        Returns int64 [3]: tokens charged, keys charged, keys in all.
        """
        rows, plan = self.rows, self.plan
        said = self.log_probs().gather(-1, token[:, None])[:, 0]

        place = rows.written - rows.answer_at  # which symbol of the answer; negative in a thought
        in_answer = rows.live & (place >= 0)
        in_thought = rows.live & (place < 0)
        here = torch.arange(plan.limit, device=self.device) == rows.written[:, None]
        written = rows.written + rows.live
        ending = (rows.live if plan.ends else in_thought) & (token == plan.eos_id)
        over = (place == plan.answer_length - 1) | (written == plan.limit) | ending
        live = rows.live & ~over

        features = torch.where(in_answer[:, None], self.answer_features[place.clamp(0, plan.answer_length - 1)], 0)
        output = self.network(token[:, None], features[:, None], cache=self.cache, at=rows.at)
        quality = rows.quality
        if output.quality is not None:
            quality = quality + torch.where(in_answer, functional.logsigmoid(output.quality[:, 0].double()), 0.0)
        charged = self.charged(rows.live, live)
        keys = rows.at + 1

        self.rows = Rows(
            logits=output.logits[:, 0].double(),
            ids=rows.ids,
            greedy=rows.greedy,
            at=rows.at + live,
            written=written,
            answer_at=torch.where(in_thought & (token == plan.marker_id), written, rows.answer_at),
            tokens=torch.where(here & rows.live[:, None], token[:, None], rows.tokens),
            log_prob=rows.log_prob + torch.where(rows.live, said, 0.0),
            answer_log_prob=rows.answer_log_prob + torch.where(in_answer, said, 0.0),
            quality=quality,
            live=live,
        )
        return torch.stack((charged.sum(), (keys * charged).sum(), keys.sum()))

    def charged(self, before: Tensor, after: Tensor) -> Tensor:
        """[W] bool: rows whose token had to be read, of those live `before` and `after` it was written.

        A chain's last token is read only to be judged.
        """
        return before if self.network.shape.quality else after

    def log_probs(self) -> Tensor:
        """[W, V] float64: the network's own, of each row's next token."""
        return functional.log_softmax(self.rows.logits, -1)

    def _draw(self) -> Tensor:
        token = self._proposed(self.log_probs())
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
        fields = {name: value[index].tolist() for name, value in self.rows._asdict().items() if name != "logits"}
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
