"""Chains of a causal network: prompts are read once, then tokens are written one after another through a static cache.

This file decides how many chains share a fixed number of rows: between chunks a finished chain's row goes to the next
one that waits, and within a chunk nothing waits for the device. It knows no task and no checkpoint; what the tokens
mean, and which chain is believed, is decided elsewhere. Shape letters: W rows, V outputs, T most tokens of a chain, A
symbols of an answer, F feature columns.
"""

import math
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor
from torch.nn import functional

from dlmreason.canvas import NEVER, put
from dlmreason.sampling.chains import Batch, Chain, Prompt, Work
from dlmreason.sampling.noise import Counter, fold

CHUNK = 16  # tokens between two exchanges of rows; prompts are padded to a multiple of it
WINDOW = 4  # prompts of one padded length are looked for among this many batches of waiting ones


class Reader(Protocol):
    """A causal network with a cache, as `networks.transformer.Transformer`."""

    @property
    def shape(self) -> Any: ...

    def cache(self, rows: int, length: int = 0) -> Any: ...

    def __call__(
        self, tokens: Tensor, features: Tensor, *, cache: Any, at: Tensor, read: Tensor | None = None
    ) -> Any: ...


class _Plan(NamedTuple):
    """The arguments of `generate` that every token depends on."""

    answer_features: Sequence[Sequence[int]]
    answer_length: int
    marker_id: int
    eos_id: int  # -1 for none
    ends: bool
    thought: bool
    limit: int  # T
    temperature: float
    seed: int


def generate(
    network: Reader,
    prompts: Sequence[Prompt],
    *,
    chains: int,
    answer_length: int,
    answer_features: Sequence[Sequence[int]],
    marker_id: int,
    eos_id: int | None,
    thought: bool,
    max_tokens: int,
    temperature: float,
    first_greedy: bool,
    seed: int,
    width: int,
    prefill_width: int = 8,
    first: int = 0,
    answers_end: bool = False,
    on_batch: Callable[[Batch], None] | None = None,
) -> Iterator[Chain]:
    """`chains` chains of each prompt, prompt after prompt, each the same bytes whatever else is generated with it.

    With a thought the network writes until it writes `marker_id`, then exactly `answer_length` tokens; `eos_id` in the
    thought, or `max_tokens` in all, ends a chain unfinished. Without one the answer begins at once. answers_end: an
    answer is over at its `eos_id`, which belongs to it, and has `answer_length` tokens at most. A token's features
    are its own: `answer_features` [A, F] within the answer, 0 before it. temperature 0, or `first_greedy` for chain 0,
    takes the likeliest token. The network is called with `width` rows, and with `prefill_width` to read prompts; float
    sums depend on both. Chains are nested: the first n of N are what `chains=n` gives. first: the number of the first
    chain, where those before it were written by an earlier call.
    Raises: ValueError where the settings contradict each other or a chain cannot fit the cache, before any call.
    """
    counts = {"chains": chains, "answer_length": answer_length, "width": width, "prefill_width": prefill_width}
    for name, count in counts.items():
        if count < 1:
            raise ValueError(f"{name}={count} must be 1 or more")
    limit = max_tokens if thought else answer_length
    eos = -1 if eos_id is None else eos_id
    ends = answers_end and eos_id is not None
    plan = _Plan(answer_features, answer_length, marker_id, eos, ends, thought, limit, temperature, seed)
    if first < 0:
        raise ValueError(f"first={first} is the number of a chain: give 0 or more")
    _check(network, prompts, plan, chains, max_tokens)
    numbers = range(first, first + chains)
    return _run(network, prompts, plan, numbers, first_greedy, width, prefill_width, on_batch)


def _check(network: Reader, prompts: Sequence[Prompt], plan: _Plan, chains: int, max_tokens: int) -> None:
    if len(plan.answer_features) != plan.answer_length:
        raise ValueError(
            f"answer_features has {len(plan.answer_features)} rows for answer_length={plan.answer_length}: one each"
        )
    if not 0 <= plan.temperature < math.inf:
        raise ValueError(f"temperature={plan.temperature} must be finite, and 0 (the likeliest token) or more")
    if plan.temperature == 0 and chains > 1:
        raise ValueError(f"temperature=0 would write the same chain {chains} times: ask for chains=1, or raise it")
    least = plan.answer_length + plan.thought
    if max_tokens < least:
        raise ValueError(
            f"max_tokens={max_tokens} is below the {least} tokens of the answer{' and its marker' * plan.thought}: "
            f"no chain could finish, raise it"
        )
    length = network.shape.length
    for number, prompt in enumerate(prompts):
        given = len(prompt.tokens)
        if not given or given != len(prompt.features):
            raise ValueError(
                f"prompt {number} has {given} tokens and {len(prompt.features)} rows of features: "
                f"give as many of both, and at least one"
            )
    longest = max((len(prompt.tokens) for prompt in prompts), default=0)
    if longest + plan.limit > length:
        raise ValueError(
            f"the longest prompt has {longest} tokens and its chains may have {plan.limit}, but the network reads "
            f"{length} positions: lower max_tokens to {length - longest} or less, or take a longer network"
        )


def _run(
    network: Reader,
    prompts: Sequence[Prompt],
    plan: _Plan,
    numbers: range,
    first_greedy: bool,
    width: int,
    prefill_width: int,
    on_batch: Callable[[Batch], None] | None,
) -> Iterator[Chain]:
    waiting = deque((prompt, number) for prompt in range(len(prompts)) for number in numbers)
    order = deque(waiting)
    seats: dict[int, tuple[int, int]] = {}
    ready: dict[tuple[int, int], Chain] = {}
    # Not around the yield: the caller's own code is not to run in inference mode.
    with torch.inference_mode():
        writer = _Writer(network, plan, width)
        prefixes = _Prefixes(network, prompts, prefill_width, writer.device, on_batch)
    while order:
        with torch.inference_mode():
            free = [seat for seat in range(width) if seat not in seats][: len(waiting)]
            if free:
                taken = [waiting.popleft() for _ in free]
                starts = [prefixes.start(prompt, number, number == numbers[-1]) for prompt, number in taken]
                writer.seat(free, starts, [first_greedy and number == 0 for _, number in taken])
                seats.update(zip(free, taken, strict=True))
            batch, ended = writer.chunk(seats)
        for seat, chain in ended.items():
            ready[seats.pop(seat)] = chain
        if on_batch is not None:
            on_batch(batch)
        while order and order[0] in ready:
            yield ready.pop(order.popleft())


class _Start(NamedTuple):
    """Where a chain begins: its prompt, read."""

    id: int
    number: int
    length: int  # tokens of the prompt
    logits: Tensor  # [V] of the first token
    cache: Any  # of the batch in which the prompt was read
    row: int  # its row there


class _Prefixes:
    """Reads each prompt once, in batches of one padded length, when the first of its chains is about to begin."""

    def __init__(
        self,
        network: Reader,
        prompts: Sequence[Prompt],
        width: int,
        device: torch.device,
        on_batch: Callable[[Batch], None] | None,
    ) -> None:
        self.network, self.prompts, self.width, self.device, self.on_batch = network, prompts, width, device, on_batch
        self.unread = list(range(len(prompts)))
        self.read: dict[int, tuple[Tensor, Any, int]] = {}

    def start(self, prompt: int, number: int, last: bool) -> _Start:
        """The beginning of a chain; `last`: nothing will be asked of this prompt again."""
        if prompt not in self.read:
            self._read_with(prompt)
        logits, cache, row = self.read.pop(prompt) if last else self.read[prompt]
        return _Start(self.prompts[prompt].id, number, len(self.prompts[prompt].tokens), logits, cache, row)

    def _extent(self, prompt: int) -> int:
        """The padded length: it follows from the prompt's own length alone, since float sums depend on it."""
        return int(min(-(-len(self.prompts[prompt].tokens) // CHUNK) * CHUNK, self.network.shape.length))

    def _read_with(self, prompt: int) -> None:
        extent = self._extent(prompt)
        near = self.unread[: WINDOW * self.width]
        batch = [number for number in near if self._extent(number) == extent][: self.width]
        self.unread[: len(near)] = [number for number in near if number not in batch]

        tokens = torch.zeros(self.width, extent, dtype=torch.int64)
        features = torch.zeros(self.width, extent, len(self.network.shape.feature_sizes), dtype=torch.int64)
        ends = torch.zeros(self.width, 1, dtype=torch.int64)
        lengths = [len(self.prompts[number].tokens) for number in batch]
        for row, (number, length) in enumerate(zip(batch, lengths, strict=True)):
            tokens[row, :length] = torch.as_tensor(self.prompts[number].tokens)
            features[row, :length] = torch.as_tensor(self.prompts[number].features).view(length, -1)
            ends[row] = length - 1
        cache = self.network.cache(self.width, extent)
        output = self.network(
            tokens.to(self.device),
            features.to(self.device),
            cache=cache,
            at=torch.zeros(self.width, dtype=torch.int64, device=self.device),
            read=ends.to(self.device),
        )
        for row, number in enumerate(batch):
            self.read[number] = (output.logits[row, 0], cache, row)
        if self.on_batch is not None:
            charged = Work(sum(lengths), sum(length * (length + 1) // 2 for length in lengths), len(batch))
            sent = Work(self.width * extent, self.width * (extent * (extent + 1) // 2), self.width)
            self.on_batch(Batch(charged, sent.minus(charged), calls=1, finished=0))


class _Rows(NamedTuple):
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


class _Writer:
    """Writes tokens into all rows at once; within a chunk it branches on no value."""

    def __init__(self, network: Reader, plan: _Plan, width: int) -> None:
        self.network, self.plan, self.width = network, plan, width
        self.cache = network.cache(width)
        self.device: torch.device = self.cache.layers[0].device
        features = torch.as_tensor(plan.answer_features, dtype=torch.int64, device=self.device)
        self.answer_features = features.view(plan.answer_length, -1)
        nothing = torch.zeros(width, dtype=torch.int64, device=self.device)
        rows = self._fresh(torch.zeros(width, network.shape.outputs, device=self.device), nothing, nothing, nothing > 0)
        self.rows = rows._replace(live=nothing > 0)

    def _fresh(self, logits: Tensor, ids: Tensor, at: Tensor, greedy: Tensor) -> _Rows:
        zero = torch.zeros_like(at)
        return _Rows(
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

    def seat(self, seats: list[int], starts: list[_Start], greedy: list[bool]) -> None:
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
            tally += self._advance()
        queries, attended, everything = tally.tolist()
        charged = Work(queries, attended, queries)
        sent = Work(count * self.width, everything, count * self.width)
        ended = self._ended(seats)
        return Batch(charged, sent.minus(charged), count, len(ended)), ended

    def _advance(self) -> Tensor:
        """One more token in each row. Returns int64 [3]: tokens charged, keys charged, keys in all."""
        rows, plan = self.rows, self.plan
        log_probs = functional.log_softmax(rows.logits, -1)
        token = self._draw(log_probs)
        said = log_probs.gather(-1, token[:, None])[:, 0]

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
        # A chain's last token is read only to be judged.
        charged = live if output.quality is None else rows.live
        keys = rows.at + 1

        self.rows = _Rows(
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

    def _draw(self, log_probs: Tensor) -> Tensor:
        likeliest = log_probs.argmax(-1)
        if self.plan.temperature == 0:
            return likeliest
        tempered = functional.log_softmax(log_probs / self.plan.temperature, -1)
        drawn = Counter(self.plan.seed, self.rows.ids, self.rows.written).draw(tempered, "token")
        return torch.where(self.rows.greedy, likeliest, drawn)

    def _ended(self, seats: dict[int, tuple[int, int]]) -> dict[int, Chain]:
        live = self.rows.live.tolist()
        over = [seat for seat in seats if not live[seat]]
        if not over:
            return {}
        index = torch.tensor(over, device=self.device)
        fields = {name: value[index].tolist() for name, value in self.rows._asdict().items() if name != "logits"}
        chains = {}
        for row, seat in enumerate(over):
            written, answer_at = fields["written"][row], fields["answer_at"][row]
            text = tuple(fields["tokens"][row][:written])
            length = written - answer_at
            finished = length == self.plan.answer_length or (
                self.plan.ends and length > 0 and text[-1] == self.plan.eos_id
            )
            judged = finished and self.network.shape.quality
            chains[seat] = Chain(
                *seats[seat],
                tokens=text,
                answer=text[answer_at:],
                log_prob=fields["log_prob"][row],
                answer_log_prob=fields["answer_log_prob"][row],
                quality=fields["quality"][row] / length if judged else None,
                finished=finished,
            )
        return chains
