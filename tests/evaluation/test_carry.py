"""Laws of a carrying network through the real sampler: what a row says depends on the row alone, carry and all."""

from pathlib import Path

import pytest
import torch
from torch.utils._pytree import tree_leaves

from dlmreason.canvas import Policy, join
from dlmreason.compute.flops import pass_flops
from dlmreason.evaluation.diffusion import DiffusionArm
from dlmreason.evaluation.snapshot import Snapshot
from dlmreason.networks.denoiser import Denoise
from dlmreason.networks.shape import Shape
from dlmreason.networks.transformer import Transformer
from dlmreason.policies import deliberate, presets
from dlmreason.sampling.denoise import Counts, Rows, Sampler, State, extend
from tests.evaluation.tiny import sudoku

LENGTH, WIDTH, MASK = 12, 5, 7
RUNGS = (1, 2, 3, 5, 8, 13, 21, 34)
POLICIES: dict[str, Policy] = {
    "sampled": presets.ordered(order="margin", count=1, temperature=1.0),
    "change_of_mind": presets.change_of_mind(doubt=3, patience=2, certify=-2.0),
    "accepting": deliberate.accepting(doubt=3, loss=0.2, certify=None),
}
EACH = pytest.mark.parametrize("name", POLICIES)


def denoiser(carry: bool = True) -> Denoise:
    torch.manual_seed(0)
    shape = Shape(vocabulary_size=MASK + 1, length=20, num_layers=1, width=32, num_heads=4, quality=True, carry=carry)
    network = Transformer(shape).eval()
    with torch.no_grad():
        for weight in network.parameters():
            weight.mul_(6 if weight.dim() > 1 else 1)
    return Denoise(network, MASK, LENGTH)


def some_rows(count: int = 9) -> Rows:
    generator = torch.Generator().manual_seed(1)
    tokens = torch.randint(0, MASK, (count, LENGTH), generator=generator)
    editable = torch.rand(count, LENGTH, generator=generator) < 0.8
    editable[:, 0] = True
    return Rows(torch.arange(count) * 104_729 + 5, tokens, editable, torch.zeros(count, LENGTH, 0).long(), tokens)


def pick(rows: Rows, index: list[int]) -> Rows:
    return Rows(*(leaf[torch.tensor(index, dtype=torch.int64)] for leaf in rows))


def outcome(states: list[State]) -> dict[int, bytes]:
    """{example id: every byte of its final state, the carry among them}."""
    return {
        int(state.rows.id): b"|".join(leaf.contiguous().numpy().tobytes() for leaf in tree_leaves(state))
        for state in states
    }


def run(name: str, rows: Rows, pool: State | None = None, chunk: int = 4, carry: bool = True) -> dict[int, bytes]:
    sampler = Sampler(POLICIES[name], denoiser(carry), RUNGS, 2, WIDTH, chunk)
    return outcome(list(sampler.run(rows, pool)))


@EACH
def test_a_row_is_byte_equal_alone_in_company_and_at_any_place(name: str) -> None:
    rows = some_rows()
    whole = run(name, rows)
    assert run(name, pick(rows, [8, 3, 5, 1, 0, 7, 2, 6, 4])) == whole
    assert run(name, rows, chunk=7) == whole
    number = int(rows.id[4])
    assert run(name, pick(rows, [4])) == {number: whole[number]}
    answers = {key: Sampler(POLICIES[name], denoiser(key), RUNGS, 2, WIDTH, 4) for key in (True, False)}
    with_it, without = ([state.answers for state in sampler.run(rows)] for sampler in answers.values())
    assert any(not torch.equal(a, b) for a, b in zip(with_it, without, strict=True)), "the carry is heard at all"


@EACH
@pytest.mark.parametrize("stop", [1, 3])
def test_one_that_is_killed_goes_on_from_its_file(name: str, stop: int, tmp_path: Path) -> None:
    """From disk, in another process's eyes: the carry comes back byte for byte, and so does all that follows."""
    rows, finished, seen = some_rows(), list[State](), list[Counts]()
    whole = run(name, rows)
    sampler = Sampler(POLICIES[name], denoiser(), RUNGS, 2, WIDTH, 4)
    snapshot = Snapshot(tmp_path / "it.pt", "key", every=0)
    pools: list[State] = []

    class Killed(Exception):
        pass

    def keep(pool: State, counts: Counts) -> None:
        snapshot.save(pool, RUNGS)
        pools.append(pool)
        seen.append(counts)
        if len(seen) == stop:
            raise Killed

    with pytest.raises(Killed):
        finished.extend(sampler.run(rows, on_chunk=keep))
    template = sampler.init(pick(rows, [0]))
    pool = Snapshot(tmp_path / "it.pt", "key").load(template, RUNGS, set(rows.id.tolist()))
    assert pool is not None and pool.ask.carry.dtype == torch.float32
    assert torch.equal(pool.ask.carry, pools[-1].ask.carry) and float(pool.ask.carry.abs().amax()) > 0
    done = set(outcome(finished)) | set(pool.rows.id.tolist())
    rest = pick(rows, [place for place, number in enumerate(rows.id.tolist()) if number not in done])
    assert outcome(finished) | run(name, rest, pool) == whole
    forgetful = pool._replace(ask=pool.ask._replace(carry=torch.zeros_like(pool.ask.carry)))
    assert outcome(finished) | run(name, rest, forgetful) != whole


@EACH
def test_one_that_is_extended_equals_the_long_run(name: str) -> None:
    rows, cut = some_rows(), 5
    sampler = Sampler(POLICIES[name], denoiser(), RUNGS[:cut], 2, WIDTH, 4)
    pool = join([extend(state, RUNGS[:cut], RUNGS) for state in sampler.run(rows)])
    assert run(name, pick(rows, []), pool) == run(name, rows)


def test_an_arm_reads_sheets_shorter_than_its_network_can() -> None:
    task = sudoku(3)
    torch.manual_seed(0)
    shape = Shape(
        vocabulary_size=task.vocabulary(False).size,
        length=40,
        feature_sizes=tuple(task.feature_sizes),
        num_layers=1,
        width=16,
        num_heads=2,
        quality=True,
        carry=True,
    )
    network, length = Transformer(shape).eval(), task.length(in_place=task.in_place, thought=False)
    made = Denoise(network, task.vocabulary(False).mask_id, length)
    arm = DiffusionArm("it", task, network, made, presets.change_of_mind(doubt=3), width=3, chunk=4)
    attempts = [each for group in arm.attempts(task.examples("test"), (1, 4), 0) for each in group]
    assert {each.flops for each in attempts if each.rung == 4} == {4 * pass_flops(shape, length)}
    assert arm.meter.flops == (arm.counts.charged + arm.counts.wasted) * pass_flops(shape, length)
