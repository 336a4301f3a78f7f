"""A network as the denoiser that the sampler calls: what it is handed for a pass, and in what numbers it answers.

This file decides in which precision quality and carry reach a policy. It knows no policy and no sampler.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from dlmreason.canvas import Ask, Reading
from dlmreason.networks.transformer import Output

MOST_SURE = 30.0  # the largest logit of a quality that a policy sees


class Denoise:
    """A network that is not causal as the denoiser that the sampler calls: no level is read.

    A network that carries is handed its own last hidden state [B, L, width], in float32 whatever it computes in, so
    that a snapshot holds all of it; before the first pass, zeros.
    """

    uses_level = False

    def __init__(self, network: nn.Module, mask_id: int, length: int = 0) -> None:
        """network: `Transformer`, or any module of its signature.  mask_id: what an unwritten position holds.  length:
        positions of the sheets that will be read, for the first carry; 0: as many as the network can read."""
        self.network = network
        self.mask_id = mask_id
        self.length = length

    @property
    def carries(self) -> bool:
        return getattr(self.network, "carries", False)

    def first_carry(self, rows: int) -> Any:
        if not self.carries:
            return ()
        shape: Any = self.network.shape
        device = next(self.network.parameters()).device
        return torch.zeros(rows, self.length or shape.length, shape.width, device=device)

    def __call__(self, ask: Ask, features: Tensor) -> Reading:
        told = {"carry": ask.carry} if self.carries else {}
        output: Output = self.network(ask.tokens, features, **told)
        # In float32 a sigmoid reaches 1 at a logit of 17, in float64 at 37, and the log of its complement is lost. As
        # exp(log sigmoid), because torch's float64 sigmoid differs by a bit between a tensor's vectorised part and its
        # tail: a row's seat would show.
        quality = output.quality
        if quality is not None:
            quality = functional.logsigmoid(quality.double().clamp(-MOST_SURE, MOST_SURE)).exp()
        return Reading(of=ask, logits=output.logits, quality=quality, carry=output.hidden.float() if told else ())
