"""Draws beside an objective's own.

This file decides how what is put around or into an objective draws without shifting a draw of that objective, so that
with it and without it the same seed gives the same times and the same canvases. It knows no objective.
"""

from hashlib import blake2b

import torch


def apart(generator: torch.Generator, purpose: str) -> torch.Generator:
    """A generator on the same device, seeded by the state of the given one, which stays as it is, and by a purpose.

    Two purposes draw apart from each other. One purpose asked for twice, with nothing drawn in between, draws the same:
    ask once for all that it is to serve. Nothing waits for the device.
    """
    state = generator.get_state().numpy().tobytes()
    seed = int.from_bytes(blake2b(state + purpose.encode(), digest_size=8).digest(), "big")
    return torch.Generator(generator.device).manual_seed(seed)


def fraction(generator: torch.Generator) -> float:
    """A number uniform over [0, 1) that comes from the seed alone: no draw is made, and no device is asked."""
    return (generator.initial_seed() % 2**64 >> 11) / 2**53
