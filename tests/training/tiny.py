"""A training small enough to be repeated many times, on the real network; run as a script, one that waits to be killed.

The task: the answer is the prompt, backwards. 22 examples in batches of 4, so that shuffles end within batches.
"""

import sys
import time
from pathlib import Path

import torch

from dlmreason.diffusion.objectives import MaskedDiffusion, Staged
from dlmreason.diffusion.quality import quality_later
from dlmreason.networks.shape import Shape
from dlmreason.networks.transformer import Transformer
from dlmreason.training.fit import Entry, Fitted, Log, fit
from dlmreason.training.interrupts import Interrupted
from dlmreason.training.settings import Settings
from dlmreason.training.sheets import Sheets

DIGITS, LENGTH, ROWS = 4, 6, 22
UPDATES = 24  # with 22 examples in batches of 4 a shuffle lasts 5 1/2 updates
MASK = DIGITS


def network(attention: str = "bidirectional", width: int = 16) -> Transformer:
    torch.manual_seed(5)
    return Transformer(
        Shape(
            vocabulary_size=DIGITS + 1,
            length=LENGTH,
            feature_sizes=(LENGTH + 1,),
            num_layers=1,
            width=width,
            num_heads=2,
            attention=attention,
            quality=True,
        )
    )


def sheets(rows: int = ROWS, seed: int = 0) -> Sheets:
    prompt = torch.randint(0, DIGITS, (rows, LENGTH // 2), generator=torch.Generator().manual_seed(seed))
    tokens = torch.cat([prompt, prompt.flip(1)], 1).int()
    answer = (torch.arange(LENGTH) >= LENGTH // 2).expand(rows, LENGTH)
    places = torch.arange(1, LENGTH + 1, dtype=torch.int32).expand(rows, LENGTH)[..., None]
    return Sheets(tokens, answer, places, answer, MASK, [f"train/0/{row}" for row in range(rows)])


def objective() -> Staged:
    return quality_later(MaskedDiffusion(weighting="none"), start=0.5)


def settings(**changes: object) -> Settings:
    plain = {"batch_size": 4, "accelerator": "cpu", "threads": 1, "log_every": 3, "checkpoint_every": 1}
    return Settings(**(plain | changes))  # type: ignore[arg-type]


def train(folder: Path, log: Log | None = None, **changes: object) -> Fitted:
    return fit(network(), objective(), sheets(), settings(**changes), updates=UPDATES, seed=3, folder=folder, log=log)


def main(folder: str, updates: str) -> int:
    def slowly(entry: Entry) -> None:
        print(int(entry["update"]), flush=True)
        if entry["update"] >= int(updates):
            time.sleep(0.2)

    try:
        train(Path(folder), slowly, log_every=1)
    except Interrupted as stopped:
        print(stopped, file=sys.stderr)
        return stopped.code
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
