"""What a matrix product reaches on a device: the yardstick of a training's FLOPs a second.

This file decides how it is measured. It knows no network.
"""

import time
from collections.abc import Callable

import torch

SIDES = {"cpu": 1024, "cuda": 8192}
"""Of the square matrices: large enough that no larger one is faster, on the devices tried."""
SECONDS = 0.3


def product_flops(
    device: torch.device,
    dtype: torch.dtype = torch.float32,
    seconds: float = SECONDS,
    clock: Callable[[], float] = time.perf_counter,
) -> float:
    """FLOPs a second of the fastest of several products of square matrices; a multiply-add is 2.

    seconds: how long to try, after one product that warms up.  With the threads and the precision that torch is set to.
    """
    side = SIDES.get(device.type, SIDES["cpu"])
    left, right = (torch.ones(side, side, device=device, dtype=dtype) for _ in range(2))

    def product() -> float:
        began = clock()
        left @ right
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        return clock() - began

    product()
    took, spent = [product()], 0.0
    while (spent := spent + took[-1]) < seconds:
        took.append(product())
    return 2 * side**3 / min(took)
