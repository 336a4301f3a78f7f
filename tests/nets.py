"""Networks that have opinions before they are trained."""

import torch

from dlmreason.networks.shape import Shape
from dlmreason.networks.transformer import Transformer


def opinionated(shape: Shape, dtype: torch.dtype = torch.float32, scale: float = 4.0, seed: int = 0) -> Transformer:
    """Weights large enough that attention is far from uniform, the context decides what is said, and every law has
    something to break."""
    torch.manual_seed(seed)
    network = Transformer(shape).to(dtype)
    with torch.no_grad():
        for weight in network.parameters():
            if weight.dim() > 1:
                weight.mul_(scale)
    return network.eval()
