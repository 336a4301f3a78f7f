"""A layer without attention: positions are mixed by an MLP over them, whose weights know each position by its place.

This file decides what such a layer does. It is a part of `Transformer` in place of a block, under the same entry,
carry, loops and heads, so that a network of either kind differs in nothing else.
"""

from torch import Tensor, nn
from torch.nn import functional

from dlmreason.networks.shape import NORM_EPS, Shape


class MixerBlock(nn.Module):
    """An MLP over positions, the same for each number of the stream, then one over numbers, the same for each position
    [MLP-Mixer, arXiv:2105.01601].

    A sheet shorter than `shape.length` is mixed by the weights of the places that it has.

    Deviation: RMS norms and no biases, as in the blocks with attention beside which it is measured.
    """

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.mixing_norm = nn.RMSNorm(shape.width, eps=NORM_EPS)
        self.gather = nn.Linear(shape.length, shape.mixing_width, bias=False)
        self.out = nn.Linear(shape.mixing_width, shape.length, bias=False)
        self.mlp_norm = nn.RMSNorm(shape.width, eps=NORM_EPS)
        self.up = nn.Linear(shape.width, shape.feedforward, bias=False)
        self.down = nn.Linear(shape.feedforward, shape.width, bias=False)

    def forward(self, x: Tensor, *_: object) -> Tensor:
        """x: [B, L, width]; what a block with attention is told of places besides, it has in its weights."""
        length = x.shape[1]
        columns = self.mixing_norm(x).transpose(1, 2)
        hidden = functional.gelu(functional.linear(columns, self.gather.weight[:, :length]))
        x = x + functional.linear(hidden, self.out.weight[:length]).transpose(1, 2)
        return x + self.down(functional.gelu(self.up(self.mlp_norm(x))))
