"""What a work says that it takes is what it takes: calls and FLOPs of every recipe, counted while it is done."""

from typing import Any

import pytest
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from dlmreason.compute.flops import forward_flops, generation_flops, pass_flops
from dlmreason.measuring.caches import BlockCache, NoCache, PromptCache, Stale
from dlmreason.measuring.paces import fitted, fixed, in_proportion
from dlmreason.measuring.works import Autoregressive, Diffusion, Sizes, Work, shape_of
from dlmreason.networks.transformer import Transformer

torch.set_num_threads(1)

SIZES, CPU = Sizes(symbols=11, num_layers=2, width=16, num_heads=2), torch.device("cpu")


def counted(work: Work, monkeypatch: pytest.MonkeyPatch) -> tuple[int, int]:
    """Calls of networks and FLOPs of doing it once, by torch."""
    calls, real = [0], Transformer.forward

    def forward(self: Transformer, *args: Any, **kwargs: Any) -> Any:
        calls[0] += 1
        return real(self, *args, **kwargs)

    monkeypatch.setattr(Transformer, "forward", forward)
    do = work.begin()
    with torch.inference_mode(), sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        do()
    return calls[0], counter.get_total_flops()


@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize(
    "kept",
    [NoCache(), PromptCache(), BlockCache(8), Stale(4, 2), Stale(4, 2, True), Stale(4, 9, True), Stale(8, 3)],
    ids=str,
)
def test_passes_take_the_calls_and_flops_that_their_cache_says(
    kept: Any, batch: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """16 positions behind 24, in blocks of the cache's own, or of 4."""
    work = Diffusion(fixed(16, 8), kept, getattr(kept, "block", 4)).work(SIZES, 24, 16, batch, CPU)
    assert counted(work, monkeypatch) == (work.calls, work.flops)
    assert work.what == "pass"


@pytest.mark.parametrize("answer", [1, 5, 16, 17, 40])
def test_a_longer_answer_takes_several_blocks_each_behind_those_before(
    answer: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    for pace in (fixed(16, 6), fitted(16, 6), in_proportion(16, 6)):
        work = Diffusion(pace).work(SIZES, 8, answer, 2, CPU)
        assert counted(work, monkeypatch) == (work.calls, work.flops)
        parts = pace(answer)
        assert work.calls == sum(part.passes for part in parts)
        ends = [8 + sum(part.length for part in parts[: number + 1]) for number in range(len(parts))]
        shape = shape_of(SIZES, ends[-1])
        each = zip(parts, ends, strict=True)
        assert work.flops == 2 * sum(part.passes * pass_flops(shape, end) for part, end in each)


@pytest.mark.parametrize("batch", [1, 3])
def test_chains_take_a_call_more_than_tokens_and_the_flops_of_their_formula(
    batch: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Torch counts what masks hide, and the last token, which the engine reads too; the formula does not."""
    work = Autoregressive().work(SIZES, 16, 5, batch, CPU)
    shape = shape_of(SIZES, 21, attention="causal")
    assert work.flops == batch * generation_flops(shape, 16, 5, 1)
    dense = forward_flops(shape, 16, 16 * 16, 1) + 5 * forward_flops(shape, 1, 21, 1)
    assert counted(work, monkeypatch) == (work.calls, batch * dense) and work.calls == 6
    assert work.flops < batch * dense


def test_paces_agree_on_a_whole_block_and_differ_below() -> None:
    """The essay's example: 12 passes a block of 256, 24 for 512 tokens, whatever is known of the length."""
    paces = fixed(), fitted(), in_proportion()
    assert {str(pace(256)) for pace in paces} == {str(fixed()(1))}
    assert all(sum(part.passes for part in pace(512)) == 24 for pace in paces)
    assert [pace(6) for pace in paces] == [[(256, 12)], [(6, 6)], [(6, 1)]]
    assert [sum(part.length for part in pace(300)) for pace in paces] == [512, 300, 300]
    for pace in paces:
        for answer in range(1, 600):
            parts = pace(answer)
            assert all(1 <= part.passes <= part.length <= 256 for part in parts)
            assert sum(part.length for part in parts) >= answer
            assert sum(part.passes for part in parts) <= sum(part.passes for part in fixed()(answer))


def test_weights_and_texts_are_the_same_each_time() -> None:
    """So a work is the same work in every round, and in every run."""
    work = Diffusion(fixed(8, 4)).work(SIZES, 8, 8, 2, CPU)
    with torch.inference_mode():
        first, second = work.begin(), work.begin()
        answers = [[state.answer.tolist() for states in do() for state in states] for do in (first, first, second)]  # type: ignore[attr-defined]
    assert answers[0] == answers[1] == answers[2] and len(answers[0]) == 2


@pytest.mark.parametrize(
    ("make", "why"),
    [
        (lambda: fixed(4, 5), "passes=5 of a block of 4"),
        (lambda: fitted(4, 0), "passes=0"),
        (lambda: Stale(0, 1), "block=0"),
        (lambda: Diffusion(fixed(8, 4), BlockCache(8)).work(SIZES, 12, 8, 1, CPU), "no whole number of blocks of 8"),
        (lambda: Diffusion(fixed(8, 3), within=4).work(SIZES, 8, 8, 1, CPU), "as many tokens"),
        (lambda: Diffusion(fixed(8, 4), within=3).work(SIZES, 8, 8, 1, CPU), "as many tokens"),
    ],
)
def test_lengths_that_do_not_fit_are_refused(make: Any, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        make()
