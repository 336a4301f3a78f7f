"""What very many passes cost: ratios within one run, medians of seven, each beside the bound that is asked of it.

`make bench` prints the table. The peer of the last test is a diffusion transformer as the public masked models have it,
with adaptive norms and nothing fused, in plain torch [MDLM, arXiv:2406.07524; DiT, arXiv:2212.09748].
"""

import math
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from dlmreason.canvas import Ask
from dlmreason.diffusion.schedules import Linear
from dlmreason.networks.compiled import compiled
from dlmreason.networks.denoiser import Denoise
from dlmreason.networks.shape import Shape
from dlmreason.networks.transformer import Transformer
from dlmreason.policies import presets
from dlmreason.policies.posterior import Posterior
from dlmreason.sampling.denoise import Rows, Sampler
from tests.bench.clock import fastest, medians

pytestmark = pytest.mark.bench

LENGTH, SYMBOLS = 34, 11  # a text of 34 tokens; the mask is one more
WIDTH, LAYERS, HEADS = 128, 4, 4  # 0.8M parameters


def network(quality: bool = False) -> Transformer:
    torch.manual_seed(0)
    sizes: dict[str, Any] = {"num_layers": LAYERS, "width": WIDTH, "num_heads": HEADS}
    return Transformer(Shape(vocabulary_size=SYMBOLS + 1, length=LENGTH, quality=quality, **sizes)).eval()


def rows(count: int, editable: Tensor | None = None) -> Rows:
    tokens = torch.randint(0, SYMBOLS, (count, LENGTH), generator=torch.Generator().manual_seed(0))
    writes = torch.ones_like(tokens, dtype=torch.bool) if editable is None else editable
    features = torch.zeros(count, LENGTH, 0, dtype=torch.int64)
    return Rows(torch.arange(count), tokens, writes, features, tokens.clone())


def test_scheduled_passes_that_change_nothing_cost_nothing(table: Callable[..., None]) -> None:
    """100,000 scheduled passes without revision are as many forwards as there are tokens, and little more."""
    denoiser, given = Denoise(network(), SYMBOLS), rows(1)
    sampler = Sampler(Posterior(Linear()), denoiser, (100_000,), 0, 1, 32)
    ask, made = Ask(given.tokens, torch.zeros(1, dtype=torch.float64), ()), []

    def walk() -> None:
        made[:] = [int(state.nfe) for state in sampler.run(given)]

    def forwards() -> None:
        with torch.inference_mode():
            for _ in range(LENGTH):
                denoiser(ask, given.features)

    whole, alone = medians(walk, forwards)
    ratio = whole / (alone * made[0] / LENGTH)
    table("100,000 scheduled passes, batch 1, of their distinct forwards", f"{ratio:.2f} x, {made[0]} forwards")
    assert made[0] <= LENGTH and ratio <= 1.5


def test_rows_that_finish_leave_their_places(table: Callable[..., None]) -> None:
    """Rows of 1 to 34 blanks in 64 seats: the time of their passes, were none wasted, over the time it took."""
    blanks = torch.arange(1024) * 7 % LENGTH + 1
    given = rows(1024, torch.arange(LENGTH) < blanks[:, None])
    denoiser, policy = Denoise(network(), SYMBOLS), presets.ordered(count=1)
    sampler = Sampler(policy, denoiser, (LENGTH,), 0, 64, 1)
    full = rows(64)
    start = Sampler(policy, denoiser, (100_000,), 0, 64, 1).init(full)

    def walk() -> None:
        for _ in sampler.run(given):
            pass

    def passes() -> None:
        Sampler(policy, denoiser, (100_000,), 0, 64, 1).advance(start, LENGTH - 1)

    whole, ideal = fastest(walk, passes, repeats=3)
    share = ideal / (LENGTH - 1) * int(blanks.sum()) / 64 / whole
    table("staggered finishes, batch 64, of the ideal", f"{share:.0%}")
    assert share >= 0.9


WALK = """
import resource, sys
import torch
from dlmreason.policies import presets
from dlmreason.sampling.denoise import Sampler
from tests.toys import ToySudoku, sudoku_rows
torch.set_num_threads(1)
policy = presets.change_of_mind(certify=None)
for state in Sampler(policy, ToySudoku(), (int(sys.argv[1]),), width=2).run(sudoku_rows(2)):
    pass
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def test_memory_is_flat(table: Callable[..., None]) -> None:
    """The most that a process holds, over 1,000 passes and over 100,000."""
    few, many = (
        int(subprocess.run([sys.executable, "-c", WALK, passes], check=True, capture_output=True, text=True).stdout)
        for passes in ("1000", "100000")
    )
    table("memory at 100,000 passes, of that at 1,000", f"{many / few:.3f} of {few / 1024:.0f} MiB")
    assert many / few <= 1.05


class Block(nn.Module):
    """A layer of the peer: norms without weights, shifted, scaled and gated by what a conditioning vector says."""

    def __init__(self) -> None:
        super().__init__()
        self.queries = nn.Linear(WIDTH, 3 * WIDTH, bias=False)
        self.out = nn.Linear(WIDTH, WIDTH, bias=False)
        self.up, self.down = nn.Linear(WIDTH, 4 * WIDTH), nn.Linear(4 * WIDTH, WIDTH)
        self.modulation = nn.Linear(WIDTH, 6 * WIDTH)
        self.first, self.second = nn.Parameter(torch.ones(WIDTH)), nn.Parameter(torch.ones(WIDTH))

    def forward(self, x: Tensor, condition: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        shift, scale, gate, shift2, scale2, gate2 = self.modulation(condition)[:, None].chunk(6, dim=2)
        y = functional.layer_norm(x.float(), [WIDTH]) * self.first[None, None]
        y = y * (1 + scale) + shift
        q, k, v = self.queries(y).view(*y.shape[:2], 3, HEADS, -1).unbind(2)
        q, k = q * cos + rotated(q) * sin, k * cos + rotated(k) * sin
        y = functional.scaled_dot_product_attention(*(each.transpose(1, 2) for each in (q, k, v)))
        x = x + gate * functional.dropout(self.out(y.transpose(1, 2).flatten(2)), 0.1, False)
        y = functional.layer_norm(x.float(), [WIDTH]) * self.second[None, None]
        y = self.down(functional.gelu(self.up(y * (1 + scale2) + shift2), approximate="tanh"))
        return x + gate2 * functional.dropout(y, 0.1, False)


def rotated(x: Tensor) -> Tensor:
    left, right = x.chunk(2, -1)
    return torch.cat([-right, left], -1)


class Peer(nn.Module):
    """Embedding, a time that is embedded and conditions every layer, blocks, and a head with a norm of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(SYMBOLS + 1, WIDTH)
        self.time = nn.Sequential(nn.Linear(256, WIDTH), nn.SiLU(), nn.Linear(WIDTH, WIDTH))
        self.blocks = nn.ModuleList([Block() for _ in range(LAYERS)])
        self.modulation, self.head = nn.Linear(WIDTH, 2 * WIDTH), nn.Linear(WIDTH, SYMBOLS + 1)
        self.last = nn.Parameter(torch.ones(WIDTH))

    def forward(self, tokens: Tensor, t: Tensor) -> Tensor:
        waves = torch.exp(-math.log(10_000) * torch.arange(128) / 128)
        angles = t[:, None] * waves
        condition = functional.silu(self.time(torch.cat([angles.cos(), angles.sin()], -1)))
        turns = 1 / 10_000 ** (torch.arange(0, WIDTH // HEADS, 2) / (WIDTH // HEADS))
        turned = torch.arange(tokens.shape[1])[:, None] * turns
        cos, sin = (torch.cat([each, each], -1)[None, :, None] for each in (turned.cos(), turned.sin()))
        x = self.embedding(tokens)
        for block in self.blocks:
            x = block(x, condition, cos, sin)
        shift, scale = self.modulation(condition)[:, None].chunk(2, dim=2)
        x = functional.layer_norm(x.float(), [WIDTH]) * self.last[None, None]
        return self.head(x * (1 + scale) + shift)


def test_a_pass_against_a_plain_diffusion_transformer(table: Callable[..., None]) -> None:
    ours, peer, given = network(), Peer().eval(), rows(1)
    t = torch.full((1,), 0.5)

    def twenty(work: Callable[[], Any]) -> Callable[[], None]:
        def works() -> None:
            with torch.inference_mode():
                for _ in range(20):
                    work()

        return works

    fast = compiled(ours)
    mine, quick, theirs = medians(
        twenty(lambda: ours(given.tokens, given.features)),
        twenty(lambda: fast(given.tokens, given.features)),
        twenty(lambda: peer(given.tokens, t)),
    )
    for name, seconds in (("", mine), (", compiled", quick)):
        table(
            f"a forward of 0.8M parameters, batch 1, length {LENGTH}{name}",
            f"{1e3 * seconds / 20:.2f} ms, {seconds / theirs:.2f} of a plain DiT's {1e3 * theirs / 20:.2f} ms",
        )
    assert quick / theirs <= 0.45 and mine / theirs <= 0.8


def test_compiling_a_forward_of_many_rows(table: Callable[..., None]) -> None:
    """What a full width gains: told, not bounded, for it is little where matrix products are most of a forward."""
    ours, given = network(), rows(64)
    fast = compiled(ours)

    def of(made: Transformer) -> Callable[[], None]:
        def works() -> None:
            with torch.inference_mode():
                made(given.tokens, given.features)

        return works

    mine, quick = medians(of(ours), of(fast))
    table(
        f"a forward of 0.8M parameters, batch 64, length {LENGTH}, compiled",
        f"{1e3 * quick:.1f} ms of {1e3 * mine:.1f}",
    )
    assert quick / mine < 2
