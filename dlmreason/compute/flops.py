"""Analytic FLOPs of a forward pass and of what both arms do with it (a multiply-add is 2).

This file decides what is counted: every matrix product of the transformer. Norms, softmax, GELU, embedding look-ups
and the turning of rotary positions are not, as in the field's habit and in torch's counter. It knows sizes, no
network.
"""

from typing import Protocol


class Sizes(Protocol):
    """What the formulas read of a network's shape."""

    @property
    def num_layers(self) -> int: ...
    @property
    def width(self) -> int: ...
    @property
    def feedforward(self) -> int: ...
    @property
    def outputs(self) -> int: ...
    @property
    def quality(self) -> bool: ...
    @property
    def carry(self) -> bool: ...
    @property
    def loops(self) -> int: ...
    @property
    def mixing_width(self) -> int: ...
    @property
    def attention(self) -> str: ...
    @property
    def block(self) -> int: ...
    @property
    def prompt(self) -> int: ...


def causal_exact(first: int, queries: int) -> int:
    """Keys attended by `queries` tokens from position `first` on, each reading itself and all before it."""
    return queries * first + queries * (queries + 1) // 2


def causal_dense(queries: int, keys: int) -> int:
    """Keys that a masked dense product really multiplies: what torch's counter sees, hidden ones included."""
    return queries * keys


def block_causal_exact(length: int, block: int) -> int:
    """Keys attended by `length` tokens in blocks of `block`, each reading its own block and all before it."""
    whole, rest = divmod(length, block)
    return block * block * whole * (whole + 1) // 2 + rest * length


def prompt_exact(length: int, prompt: int) -> int:
    """Keys attended by `length` tokens of which the first `prompt` read themselves alone, the others everything."""
    inside = min(prompt, length)
    return inside * inside + (length - inside) * length


def forward_flops(shape: Sizes, queries: int, attended: int, outputs: int) -> int:
    """FLOPs of reading `queries` tokens that attend to `attended` keys in all, with heads at `outputs` positions.

    The quality head, where there is one, is applied wherever the output layer is: 2 * width a position. A carry is
    projected in for each token, also one of zeros. All layers are paid for in each loop, heads and carry once. Where
    an MLP mixes positions, it is paid for at each of them, and nothing is attended to.
    """
    width = shape.width
    mixing = 4 * queries * width * shape.mixing_width or 8 * queries * width * width + 4 * attended * width
    block = mixing + 4 * queries * width * shape.feedforward
    heads = 2 * width * (shape.outputs + (1 if shape.quality else 0))
    entry = 2 * queries * width * width if shape.carry else 0
    return entry + shape.loops * shape.num_layers * block + outputs * heads


def pass_flops(shape: Sizes, length: int) -> int:
    """FLOPs of one uncached denoising pass over one row of `length` positions, heads everywhere."""
    attended = block_causal_exact(length, shape.block) if shape.block else prompt_exact(length, shape.prompt)
    return forward_flops(shape, length, attended, length)


def prompt_flops(shape: Sizes) -> int:
    """FLOPs of reading the prompt of one row into its cache, once for all its passes; 0 for a network that keeps
    none."""
    return forward_flops(shape, shape.prompt, shape.prompt**2, 0)


def cached_pass_flops(shape: Sizes, length: int) -> int:
    """FLOPs of one denoising pass over one row of `length` positions whose prompt has been read, heads behind it.

    Without a prompt apart it is `pass_flops`.
    """
    if not shape.prompt:
        return pass_flops(shape, length)
    behind = length - shape.prompt
    return forward_flops(shape, behind, behind * length, behind)


def block_flops(shape: Sizes, first: int, queries: int) -> int:
    """FLOPs of reading `queries` tokens in whole blocks from position `first` on, all blocks before them cached."""
    attended = block_causal_exact(first + queries, shape.block) - block_causal_exact(first, shape.block)
    return forward_flops(shape, queries, attended, queries)


def block_call_flops(shape: Sizes, length: int) -> int:
    """FLOPs of one call that reads one block of a row over a cache of its whole sheet of `length` positions.

    Rows of a call may be in any of their blocks, so that each multiplies all places of its cache, hidden ones included,
    as torch counts it: a row's price is that of its calls, wherever it is. The part of this that masks hide, which
    `block_flops` leaves out, is at most 4 * loops * num_layers * width * block * length.
    """
    queries = min(shape.block, length)
    return forward_flops(shape, queries, causal_dense(queries, length), queries)


def stale_flops(shape: Sizes, length: int, positions: int) -> int:
    """FLOPs of the passes over one row of `length` positions that have read `positions` of them anew, in all, and taken
    all else from an earlier pass: whatever each read, it attended to the whole sheet."""
    return forward_flops(shape, positions, positions * length, positions)


def pair_flops(shape: Sizes, length: int) -> int:
    """FLOPs of one pass over a noised and a clean copy of a row in blocks, heads at the noised one [BD3-LM,
    arXiv:2503.09573].

    A query of either copy attends to as many keys as in a plain pass: in the noised copy to its own block there, and to
    what is before it in the clean one.
    """
    return forward_flops(shape, 2 * length, 2 * block_causal_exact(length, shape.block), length)


def prefill_flops(shape: Sizes, prompt: int) -> int:
    """FLOPs of reading a prompt of `prompt` tokens into the cache, up to the logits of the first token written."""
    return forward_flops(shape, prompt, causal_exact(0, prompt), 1)


def chain_flops(shape: Sizes, prompt: int, generated: int) -> int:
    """FLOPs of one chain of `generated` tokens after its prompt was read.

    The last token is read only by a network with a quality head, which must judge it.
    """
    queries = chain_queries(shape, generated)
    return forward_flops(shape, queries, causal_exact(prompt, queries), queries)


def chain_queries(shape: Sizes, generated: int) -> int:
    """Of a chain of `generated` tokens, those that the network reads: with a quality head all, else not the last."""
    return max(generated if shape.quality else generated - 1, 0)


def generation_flops(shape: Sizes, prompt: int, generated: int, chains: int) -> int:
    """FLOPs of `chains` chains of `generated` tokens each, which share one reading of their prompt."""
    return prefill_flops(shape, prompt) + chains * chain_flops(shape, prompt, generated)


def read_out_flops(shape: Sizes, length: int) -> int:
    """FLOPs of the heads at each of `length` positions after every loop but the last, whose are in those of the
    pass."""
    return (shape.loops - 1) * forward_flops(shape, 0, 0, length)


def training_flops(shape: Sizes, length: int, rows: int, *, extra_forwards: int = 0) -> int:
    """FLOPs of training on `rows` sheets of `length` positions: forward, and backward at twice its price. Where each
    loop is read out, three times `read_out_flops` a sheet come to it.

    extra_forwards: further passes per sheet without a gradient, where an objective makes its own samples. A network in
    blocks is trained on pairs of copies, and makes its further passes over one.
    """
    if shape.block:
        return rows * (3 * pair_flops(shape, length) + extra_forwards * pass_flops(shape, length))
    if shape.attention == "causal":
        return rows * (3 + extra_forwards) * forward_flops(shape, length, causal_exact(0, length), length)
    return rows * (3 + extra_forwards) * pass_flops(shape, length)
