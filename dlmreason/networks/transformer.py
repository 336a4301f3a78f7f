"""One pre-norm transformer for both arms: the same blocks, causal, bidirectional, block-causal or with a prompt apart.

This file decides how tokens and position features become logits and a quality, and how a pass goes through its layers
more than once; what a network need not read again, and in which parts, is `networks.cache`'s. It knows no task, loss,
policy or sampler. Shape letters: B rows, L positions, S positions of a cache, H heads, D numbers per head, F feature
columns.
"""

import math
from itertools import accumulate
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from dlmreason.networks.attention import SHORT, block_causal, look_around, prompt_apart, two_copies
from dlmreason.networks.cache import Cache, Layer, check_part
from dlmreason.networks.mixer import MixerBlock
from dlmreason.networks.shape import NORM_EPS, Shape

ROTARY_BASE = 10_000.0


class Output(NamedTuple):
    """What the network says of each position, or of those in `read`."""

    logits: Tensor  # [B, L, outputs]
    quality: Tensor | None  # [B, L], the logit of "the token now there is right"; None without the head
    hidden: Tensor  # [B, L, width], normed: what the heads read, and the carry of the next pass


class _Reach(NamedTuple):
    """What attention needs to know of places, made once per pass and used by every layer."""

    causal: bool
    mask: Tensor | None  # [B, 1, L, S] 0 or -inf with a cache, [L, L] bool without; None: all that is there
    slots: Tensor | None  # [B * L * H] int64, where keys go in a layer's cache, and values, seen as [B * H * S, D];
    # None: they are not kept
    single: bool  # one query a row, and a mask [B * H, 1, S]
    short: bool  # few positions that all read each other, in a forward that is compiled for the CPU
    turn: tuple[Tensor, Tensor] | None  # cos and sin, each [1 or B, L, 3, 1, D], where positions are rotary


class _Part(NamedTuple):
    """Which part of a sheet is read, and what is kept of the rest; as `Transformer.forward` was told."""

    cache: Cache
    at: Tensor | int
    refresh: bool | None


class _Block(nn.Module):
    """Attention, then a two-matrix MLP, each reading the normed stream and adding to it."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.num_heads = shape.num_heads
        self.attention_norm = nn.RMSNorm(shape.width, eps=NORM_EPS)
        self.qkv = nn.Linear(shape.width, 3 * shape.width, bias=False)
        self.out = nn.Linear(shape.width, shape.width, bias=False)
        self.mlp_norm = nn.RMSNorm(shape.width, eps=NORM_EPS)
        self.up = nn.Linear(shape.width, shape.feedforward, bias=False)
        self.down = nn.Linear(shape.feedforward, shape.width, bias=False)

    def forward(self, x: Tensor, reach: _Reach, memory: Layer | None) -> Tensor:
        x = x + self.out(self.attend(self.qkv(self.attention_norm(x)), reach, memory))
        # Exact GELU: torch's tanh form differs by a bit in a tensor's tail, and a row's seat would show.
        return x + self.down(functional.gelu(self.up(self.mlp_norm(x))))

    def attend(self, qkv: Tensor, reach: _Reach, memory: Layer | None) -> Tensor:
        """qkv: [B, L, 3 * width].  memory: of this layer, written in place where there are slots, else read as what
        comes before.  Returns [B, L, width]."""
        rows, length, _ = qkv.shape
        qkv = qkv.view(rows, length, 3, self.num_heads, -1)
        if reach.turn is not None:
            qkv = _turn(qkv, *reach.turn)
        if memory is not None and reach.slots is not None:
            for kept, fresh in zip(memory, qkv[:, :, 1:].unbind(2), strict=True):
                _keep(kept, fresh, reach.slots)
            if reach.single and reach.mask is not None:
                return _look_up(qkv[:, 0, 0], memory, reach.mask)[:, None]
            query, key, value = qkv[:, :, 0].transpose(1, 2), *memory
        else:
            query, key, value = qkv.permute(2, 0, 3, 1, 4)
            if memory is not None:
                key, value = torch.cat((memory.keys, key), 2), torch.cat((memory.values, value), 2)
        if reach.short:
            mixed = look_around(query, key, value)
        else:
            mixed = functional.scaled_dot_product_attention(
                query, key, value, reach.mask, is_causal=reach.causal and memory is None
            )
        return mixed.transpose(1, 2).reshape(rows, length, -1)


def _keep(kept: Tensor, fresh: Tensor, slots: Tensor) -> None:
    """Puts `fresh` [B, L, H, D] into `kept` [B, H, S, D] at `slots`, in place."""
    fresh = fresh.reshape(-1, kept.shape[-1])
    if fresh.dtype != kept.dtype:  # asked here: where nothing is to be done, asking torch costs as much as doing
        fresh = fresh.to(kept.dtype)
    kept.view(-1, kept.shape[-1]).index_copy_(0, slots, fresh)


def _look_up(query: Tensor, memory: Layer, mask: Tensor) -> Tensor:
    """Attention of one query a row, as two batches of matrix products: the fused kernel reads a cache at half the pace.

    query: [B, H, D].  mask: [B * H, 1, S].  Returns [B, H * D].
    """
    rows, heads, size = query.shape
    keys, values = (kept.flatten(0, 1) for kept in memory)
    query = query.reshape(rows * heads, 1, size).to(keys.dtype)
    scores = torch.baddbmm(mask, query, keys.transpose(1, 2), alpha=size**-0.5)
    return torch.bmm(scores.softmax(-1), values).view(rows, heads * size)


def _turn(qkv: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Pairs (i, i + D/2) turned by an angle that grows with the position, of queries and keys [RoFormer,
    arXiv:2104.09864].

    Values are turned by no angle with them: of one token a call costs more than the numbers.
    """
    return qkv * cos + qkv.roll(qkv.shape[-1] // 2, -1) * sin


class _Recall(nn.Module):
    """Adds to the stream what was in mind at each position a pass before, normed and projected."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.RMSNorm(width, eps=NORM_EPS)
        # A `Linear` draws its weights at birth, and would shift the draws of all others.
        self.weight = nn.Parameter(torch.empty(width, width))

    def forward(self, x: Tensor, carry: Tensor) -> Tensor:
        if carry.shape != x.shape:
            raise ValueError(
                f"a carry of shape {tuple(carry.shape)} for a stream of shape {tuple(x.shape)}: it is the hidden state "
                "of these rows and positions; tell `Denoise` the length of its sheets"
            )
        return x + functional.linear(self.norm(carry.to(x.dtype)), self.weight)


class Transformer(nn.Module):
    """Logits and quality of every position; weights are drawn as in GPT-2.

    A causal network's quality at a position judges the token there given what comes before it; a bidirectional one's
    given the whole canvas. Right padding is invisible to a causal network's earlier positions.

    With a carry it is the same network, of the same first weights, that adds to each token what it had in mind there
    in the pass before: the hidden state, normed and projected, so that zeros are no carry.

    With loops it is the same network, of the same weights, that goes through its layers several times in a pass: the
    stream that enters, a carry included, is added again each time to what the time before left of it, see `_again`
    [looped transformer with input injection, arXiv:2311.12424]. Each loop has keys and values of its own, so that a
    cache holds loops * num_layers of them; whatever attention allows in one loop, it allows in all.

    With mixing=mlp it is no transformer but for its name: its layers are those of `networks.mixer`, and all else is as
    it is here.

    Deviation: the source adds the two as they are, and its state grows from loop to loop.
    """

    positions: Tensor
    feature_starts: Tensor

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.shape = shape
        self.tokens = nn.Embedding(shape.vocabulary_size, shape.width)
        # All feature columns stacked in one table, so that a pass gathers once. Row 0 is every column's id 0: nothing.
        starts = list(accumulate((size - 1 for size in shape.feature_sizes), initial=0))
        self.features = nn.Embedding(1 + starts[-1], shape.width, padding_idx=0) if shape.feature_sizes else None
        self.register_buffer("feature_starts", torch.tensor(starts[:-1], dtype=torch.int64), persistent=False)
        if shape.positions == "learned":
            self.positions = nn.Parameter(torch.empty(shape.length, shape.width))
        else:
            self.register_buffer("positions", _angles(shape), persistent=False)
        block = MixerBlock if shape.mixing == "mlp" else _Block
        self.blocks = nn.ModuleList(block(shape) for _ in range(shape.num_layers))
        self.norm = nn.RMSNorm(shape.width, eps=NORM_EPS)
        # The quality head is the last output of one matrix: alone it would be a matrix-vector product, whose sums
        # differ by a bit with the row's seat.
        self.head = nn.Linear(shape.width, shape.outputs + shape.quality, bias=False)
        self.recall = _Recall(shape.width) if shape.carry else None  # last: what every network has is drawn alike
        self._draw_weights()

    def _draw_weights(self) -> None:
        # What is added to the stream 2 * num_layers times is drawn smaller, so that the stream starts at one scale.
        added = 0.02 / math.sqrt(2 * self.shape.num_layers)
        for name, weight in self.named_parameters():
            if weight.dim() > 1:
                nn.init.normal_(weight, std=added if name.endswith(("out.weight", "down.weight")) else 0.02)
        if self.features is not None:
            with torch.no_grad():
                self.features.weight[0] = 0.0

    @property
    def carries(self) -> bool:
        return self.shape.carry

    @property
    def loops(self) -> int:
        return self.shape.loops

    @property
    def num_parameters(self) -> int:
        return sum(weight.numel() for weight in self.parameters())

    def cache(self, rows: int, length: int = 0) -> Cache:
        """An empty cache where this network computes, in the type it computes in; `length` as in `Cache.empty`."""
        weight = self.head.weight
        kind = weight.device.type
        dtype = torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else weight.dtype
        return Cache.empty(self.shape, rows, dtype, weight.device, length)

    def forward(
        self,
        tokens: Tensor,
        features: Tensor,
        *,
        carry: Tensor | None = None,
        cache: Cache | None = None,
        at: Tensor | int | None = None,
        read: Tensor | None = None,
        refresh: bool | None = None,
    ) -> Output:
        """Reads a whole sheet, or with a cache each row's next tokens.

        tokens: [B, L] int64.  features: [B, L, F] int64, 0 for none.  carry: [B, L, width], the `hidden` of the pass
        before; without it a network that carries reads zeros, at the same price.  at: the position of each row's first
        token, [B] int64 or one for all; only with `cache`, which must hold everything before it.  read: [B, R] int64,
        the places in 0..L-1 of which heads are wanted, and paid for; all without it.

        A causal network may be read with a cache in any parts; one in blocks in whole blocks, of which the sheet's last
        may be short, or come with the end of the block before it, which has been read; one with a prompt apart in two,
        the prompt, which is kept, and what is behind it, which is not.

        refresh: of a network that reads both ways, whose cache is stale with the next token: True reads a whole sheet
        and keeps all of it, False a part, and `cache` as all else that there is, which stays as it is.

        Raises: ValueError for other parts, see `cache.check_part`.
        """
        if (cache is None) != (at is None):
            raise ValueError("cache and at come together: `at` says where each row's tokens go in the cache")
        part = None if cache is None or at is None else _Part(cache, at, refresh)
        x = self._states(tokens, features, carry, part)[-1]
        if read is not None:
            x = x.gather(1, read[:, :, None].expand(-1, -1, x.shape[-1]))
        return self._say(x)

    def at_each_loop(self, tokens: Tensor, features: Tensor, *, carry: Tensor | None = None) -> list[Output]:
        """What one pass over a whole sheet would say after each of its loops; the last is what it says.

        Arguments as for `forward`. The heads are paid for after each.
        """
        return [self._say(x) for x in self._states(tokens, features, carry)]

    def _states(
        self,
        tokens: Tensor,
        features: Tensor,
        carry: Tensor | None,
        part: _Part | None = None,
    ) -> list[Tensor]:
        self._check(tokens, features, part)
        if carry is not None and not self.carries:
            raise ValueError("a carry for a network that takes none: leave it out, or give it the shape carry=true")
        x, reach = self._enter(tokens, features, part)
        if self.recall is not None:
            x = self.recall(x, torch.zeros_like(x) if carry is None else carry)
        return self._loop(x, reach, None if part is None else part.cache)

    def _loop(self, entered: Tensor, reach: _Reach, cache: Cache | None = None) -> list[Tensor]:
        """The stream [B, L, width] after each loop through the layers, of what enters it."""
        x = entered
        after: list[Tensor] = []
        for loop in range(self.shape.loops):
            if loop:
                x = _again(entered, x)
            for number, block in enumerate(self.blocks, loop * len(self.blocks)):
                x = block(x, reach, None if cache is None else cache.layers[number])
            after.append(x)
        return after

    def paired(self, noised: Tensor, clean: Tensor, features: Tensor, block: int) -> Output:
        """What each block's noised copy says, given the clean copies of the blocks before it: one pass over both.

        noised, clean: [B, L] int64, read as one text of 2L whose positions and features [B, L, F] repeat, see
        `attention.two_copies`; heads are applied to the noised half.  block: of this network, so that who asks for
        another is refused. A plain pass says the same over a block when all before it is clean.

        Raises: ValueError for a network without such blocks.
        """
        return self._say(self._pair_states(noised, clean, features, block)[-1])

    def paired_at_each_loop(self, noised: Tensor, clean: Tensor, features: Tensor, block: int) -> list[Output]:
        """`paired`, as `at_each_loop` has it."""
        return [self._say(x) for x in self._pair_states(noised, clean, features, block)]

    def _pair_states(self, noised: Tensor, clean: Tensor, features: Tensor, block: int) -> list[Tensor]:
        if self.shape.block != block:
            raise ValueError(
                f"blocks of {block} are to be read, and this network has attention={self.shape.attention}, "
                f"block={self.shape.block}: give its Shape attention=block_causal and block={block}"
            )
        self._check(noised, features)
        x, reach = self._enter(torch.cat((noised, clean)), features.repeat(2, 1, 1))
        length = noised.shape[1]
        turn = (
            None if reach.turn is None else (reach.turn[0].repeat(1, 2, 1, 1, 1), reach.turn[1].repeat(1, 2, 1, 1, 1))
        )
        reach = reach._replace(mask=two_copies(length, block, x.device), turn=turn)
        return [x[:, :length] for x in self._loop(torch.cat(x.chunk(2), 1), reach)]

    def _say(self, x: Tensor) -> Output:
        hidden = self.norm(x)
        # Confidences are compared and summed: under bf16 autocast the heads stay in the weights' precision.
        with torch.autocast(hidden.device.type, enabled=False):
            hidden = hidden.to(self.head.weight.dtype)
            said = self.head(hidden)
        if not self.shape.quality:
            return Output(said, None, hidden)
        return Output(said[..., :-1], said[..., -1], hidden)

    def _check(self, tokens: Tensor, features: Tensor, part: _Part | None = None) -> None:
        shape = self.shape
        longest = shape.length
        if part is not None and part.refresh is None and not shape.prompt:
            longest = part.cache.length
        if tokens.shape[1] > longest:
            raise ValueError(f"{tokens.shape[1]} tokens do not fit the {longest} positions of this network or cache")
        if features.shape != (*tokens.shape, len(shape.feature_sizes)):
            raise ValueError(
                f"features of shape {tuple(features.shape)} for tokens of shape {tuple(tokens.shape)}: this network "
                f"takes {len(shape.feature_sizes)} ids per position, of sizes {shape.feature_sizes}"
            )
        if part is not None:
            check_part(shape, tokens.shape[1], *part)

    def _enter(self, tokens: Tensor, features: Tensor, part: _Part | None = None) -> tuple[Tensor, _Reach]:
        x = self.tokens(tokens)
        if self.features is not None:
            x = x + self.features(torch.where(features > 0, features + self.feature_starts, 0)).sum(2)
        rows, length = tokens.shape
        shape, device = self.shape, tokens.device
        mask, slots, single = None, None, False
        if part is None:
            here = self.positions[:length]
            if shape.block:
                mask = block_causal(length, shape.block, device)
            elif shape.prompt and length > shape.prompt:
                mask = prompt_apart(length, shape.prompt, device)
        else:
            cache, at, refresh = part
            first = at if isinstance(at, Tensor) else torch.full((rows,), at, device=device)
            positions = first[:, None]
            if length > 1:
                positions = positions + torch.arange(length, device=device)
            here = self.positions[positions]
            # A prompt reads all of its cache; what is behind it that and itself, which nobody reads again.
            around = bool(shape.prompt) or refresh is not None
            mask = None if around else cache.mask(positions, shape.block, x.dtype)
            kept = refresh if refresh is not None else not shape.prompt or (isinstance(at, int) and at == 0)
            slots = cache.slots(positions) if kept else None
            if length == 1 and mask is not None and device.type == "cpu":
                single, mask = True, mask.expand(-1, shape.num_heads, -1, -1).flatten(0, 1)
        causal = shape.attention == "causal"
        everything = part is None and mask is None and not causal
        short = everything and length <= SHORT and device.type == "cpu" and torch.compiler.is_compiling()
        if shape.positions == "learned":
            return x + here, _Reach(causal, mask, slots, single, short, None)
        cos, sin = here.view(-1, length, 2, 3, 1, shape.head_dim).unbind(2)
        return x, _Reach(causal, mask, slots, single, short, (cos, sin))


def _again(entered: Tensor, left: Tensor) -> Tensor:
    """What enters a further loop: the stream that entered the first, and beside it what the last one left [B, L, width]
    brought to the same root mean square at each position.

    So neither drowns the other, whatever the number of loops; and the layers find a stream of the size for which their
    weights were drawn. Normed to 1, what was left would be some thirty times the embeddings of a new network.
    """
    wanted, found = (x.square().mean(-1, keepdim=True) + NORM_EPS for x in (entered, left))
    return entered + left * (wanted / found).sqrt()


def _angles(shape: Shape) -> Tensor:
    """[length, 2, 3, head_dim] float32: cos and sin of each position's rotary angles, for query, key and value; the sin
    with the sign that its half takes."""
    rates = ROTARY_BASE ** -(torch.arange(0, shape.head_dim, 2, dtype=torch.float64) / shape.head_dim)
    angle = torch.arange(shape.length, dtype=torch.float64)[:, None] * rates.repeat(2)
    sign = torch.ones(shape.head_dim, dtype=torch.float64)
    sign[: shape.head_dim // 2] = -1
    turned = torch.stack((angle.cos(), angle.sin() * sign), 1)
    left = torch.stack((torch.ones_like(angle), torch.zeros_like(angle)), 1)
    return torch.stack((turned, turned, left), 2).float()
