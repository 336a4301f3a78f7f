"""The parts of a move that every policy shares: probabilities, the answer to give, the question to ask next.

This file decides what "the answer if stopped here" is; what is written or taken back is the caller's.
"""

import functools
from typing import Any

import torch
from torch import Tensor

from dlmreason.canvas import NEVER, Ask, Canvas, Memory, Move, Reading


def log_probs(canvas: Canvas, reading: Reading) -> Tensor:
    """log p(token) [B, L, V] float64. The mask is never a prediction, also where the network has a column for it."""
    return _normalised(reading.logits, canvas.mask_id)


# A policy's parts ask for it several times a pass. A tensor is told by identity and the last one is kept, so that a
# denoiser must hand out logits of their own each pass, never one buffer written over.
@functools.lru_cache(maxsize=1)
def _normalised(logits: Tensor, mask_id: int) -> Tensor:
    logits = logits.double()
    if logits.shape[-1] > mask_id:
        column = torch.arange(logits.shape[-1], device=logits.device) == mask_id
        logits = logits.masked_fill(column, -torch.inf)
    return logits.log_softmax(-1)


def level(tokens: Tensor, canvas: Canvas) -> Tensor:
    """[B] float64: the share of the editable positions that is written; 1 where nothing is editable."""
    blank = ((tokens == canvas.mask_id) & canvas.editable).sum(-1, dtype=torch.float64)
    return 1 - blank / _sizes(canvas.editable)


# Asked for with every question, and the same for all passes of a chunk.
@functools.lru_cache(maxsize=1)
def _sizes(editable: Tensor) -> Tensor:
    """[B] float64: how many positions are editable, at least 1."""
    return editable.sum(-1, dtype=torch.float64).clamp(min=1)


def filled(canvas: Canvas, reading: Reading, tokens: Tensor) -> Tensor:
    """`tokens` without blanks and without a call: a token doubted this pass as it was read, a blank by argmax."""
    read = reading.of.tokens
    guess = torch.where(read == canvas.mask_id, log_probs(canvas, reading).argmax(-1), read)
    return torch.where((tokens == canvas.mask_id) & canvas.editable, guess, tokens)


def unjudged(tokens: Tensor) -> Tensor:
    """[B] float64 of -inf: nobody has said how good this is."""
    return torch.full(tokens.shape[:1], -torch.inf, dtype=torch.float64, device=tokens.device)


def next_pass(tokens: Tensor) -> Tensor:
    """[B] int64 of ones: wake at the very next pass."""
    return torch.ones(tokens.shape[:1], dtype=torch.int64, device=tokens.device)


def settled_where(settled: Tensor) -> Tensor:
    """[B] int64: NEVER where `settled` [B] bool, else the next pass."""
    return torch.where(settled, NEVER, torch.ones_like(settled, dtype=torch.int64))


def opening(canvas: Canvas, memory: Memory = ()) -> Move:
    """The usual first move: read the canvas as it is."""
    ask = Ask(canvas.tokens, level(canvas.tokens, canvas), canvas.carry)
    return Move(canvas.tokens, canvas.tokens, unjudged(canvas.tokens), ask, next_pass(canvas.tokens), memory)


def moved(
    canvas: Canvas,
    reading: Reading,
    tokens: Tensor,
    memory: Memory = (),
    *,
    wake: Tensor | None = None,
    carry: Any = None,
    probe: Tensor | None = None,
) -> Move:
    """The usual move: write `tokens`, answer what stands, read it (or `probe` [B, L]) next, with the carry that
    came (or `carry`)."""
    asked = tokens if probe is None else probe
    ask = Ask(asked, level(asked, canvas), reading.carry if carry is None else carry)
    answer = filled(canvas, reading, tokens)
    return Move(tokens, answer, unjudged(tokens), ask, next_pass(tokens) if wake is None else wake, memory)
