"""A network as the denoiser that the sampler calls: what it is handed for a pass, and in what numbers it answers.

This file decides in which precision quality and carry reach a policy, and what is kept of a row whose prompt reads
itself alone. It knows no policy and no sampler. Shape letters: B rows, L positions, P positions of a prompt, F feature
columns.
"""

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.functional import pad

from dlmreason.canvas import Ask, Reading, Seat
from dlmreason.networks.cache import Cache
from dlmreason.networks.transformer import Output

MOST_SURE = 30.0  # the largest logit of a quality that a policy sees


class Seated(NamedTuple):
    """What passes are handed of rows whose prompts have been read."""

    features: Tensor  # [B, L - P, F] int64, those behind the prompt
    prompt: Cache


class Denoise:
    """A network that is not causal as the denoiser that the sampler calls: no level is read.

    One with a prompt apart reads the prompts of rows that sit down, and a pass then what is behind them: it says what a
    pass over all says, but for the prompt, of which its logits are zeros and its quality 1/2; nobody may write there.

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

    @property
    def seat(self) -> Seat | None:
        """None for a network without a prompt apart."""
        return self._seat if getattr(getattr(self.network, "shape", None), "prompt", 0) else None

    def _seat(self, tokens: Tensor, editable: Tensor, features: Tensor) -> Seated:
        network: Any = self.network
        prompt = network.shape.prompt
        if bool(editable[:, :prompt].any()):
            raise ValueError(
                f"a row has positions to write among its first {prompt}, which this network reads once, as its prompt: "
                "lay its sheet out with `Sheet.with_prompt`, or take a network with attention=bidirectional"
            )
        cache = network.cache(len(tokens))
        nothing = torch.zeros(len(tokens), 0, dtype=torch.int64, device=tokens.device)
        network(tokens[:, :prompt], features[:, :prompt], cache=cache, at=0, read=nothing)
        return Seated(features[:, prompt:], cache)

    def __call__(self, ask: Ask, features: Tensor | Seated) -> Reading:
        told = {"carry": ask.carry} if self.carries else {}
        output: Output
        if isinstance(features, Seated):
            prompt = features.prompt.length
            said = self.network(ask.tokens[:, prompt:], features.features, cache=features.prompt, at=prompt)
            quality = None if said.quality is None else pad(said.quality, (prompt, 0))
            output = Output(pad(said.logits, (0, 0, prompt, 0)), quality, said.hidden)
        else:
            output = self.network(ask.tokens, features, **told)
        quality = None if output.quality is None else chance(output.quality)
        return Reading(of=ask, logits=output.logits, quality=quality, carry=output.hidden.float() if told else ())


def chance(logit: Tensor) -> Tensor:
    """The quality that a policy sees, float64 in (0, 1), of a head's logit."""
    # In float32 a sigmoid reaches 1 at a logit of 17, in float64 at 37, and the log of its complement is lost. As
    # exp(log sigmoid), because torch's float64 sigmoid differs by a bit between a tensor's vectorised part and its
    # tail: a row's seat would show.
    return functional.logsigmoid(logit.double().clamp(-MOST_SURE, MOST_SURE)).exp()
