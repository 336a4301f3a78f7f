"""The moving average of the weights, which is what is evaluated.

Kept beside the network in its own tensors: no second network, nothing that waits for the device, and the count is a
plain number that a checkpoint holds. (Lightning's WeightAveraging copies the whole module, loss and all, and asks the
device for the count at every update.) It knows no trainer.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn


class Average:
    """Exponential moving average with a ramp: the decay of update n is min(decay, (1 + n) / (10 + n)).

    Without the ramp the first weights, which are noise, would still weigh .42 after 176 updates at .995.
    """

    def __init__(self, network: nn.Module, decay: float) -> None:
        self.decay = decay
        self.updates = 0
        self._current = dict(network.named_parameters())
        self._mean = {name: weight.detach().clone() for name, weight in self._current.items()}

    @torch.no_grad()
    def update(self) -> None:
        """Take in the network's weights as they are now."""
        decay = min(self.decay, (1 + self.updates) / (10 + self.updates))
        torch._foreach_lerp_(list(self._mean.values()), list(self._current.values()), 1 - decay)
        self.updates += 1

    @contextmanager
    def swapped(self) -> Iterator[None]:
        """Within it the network holds the averaged weights."""
        current = {name: weight.detach().clone() for name, weight in self._current.items()}
        self.publish()
        try:
            yield
        finally:
            self._write(current)

    def publish(self) -> None:
        """Give the network the averaged weights, for good."""
        self._write(self._mean)

    def state(self) -> dict[str, Tensor]:
        """The averaged weights by name."""
        return self._mean

    def restore(self, state: dict[str, Tensor], updates: int) -> None:
        """Go on from averaged weights that held `updates` updates."""
        self._mean = {name: state[name].detach().clone().to(weight.device) for name, weight in self._current.items()}
        self.updates = updates

    @torch.no_grad()
    def _write(self, weights: dict[str, Tensor]) -> None:
        for name, weight in self._current.items():
            weight.copy_(weights[name])
