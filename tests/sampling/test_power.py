"""Laws of power sampling: a step leaves p ** alpha as it is, exactly, and costs what it wrote anew."""

from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
import torch
from torch import Tensor

from dlmreason.compute.flops import causal_exact, chain_flops, forward_flops, prefill_flops
from dlmreason.networks.transformer import Transformer
from dlmreason.sampling import power
from dlmreason.sampling.chains import Batch, Prompt, Work
from dlmreason.sampling.enumerate import Enumerate, branches
from dlmreason.sampling.power import Power, Step, Walks
from dlmreason.sampling.writer import Forcing, Plan
from tests.sampling.tiny import ANSWER, EOS, FEW, MARKER, SHAPE, Watched, few, network_of, prompts_of, texts

PLAN = Plan(ANSWER, len(ANSWER), MARKER, EOS, False, True, 30, 0.0, 5)
FIXED = FEW._replace(thought=False, limit=3, answer_length=3, answer_features=ANSWER[:3])  # 27 texts of three tokens
VARIED = FEW._replace(limit=3, answer_length=1, answer_features=ANSWER[:1])  # a thought, a marker, a token of answer


class Certain:
    """`Enumerate`, to which a chance of 1 but for rounding is 1: rounding differs with the number of rows, and a choice
    must be one in every replay."""

    def __init__(self, inner: Enumerate) -> None:
        self.inner, self.draw = inner, inner.draw

    def coin(self, chance: Tensor, stream: str) -> Tensor:
        return self.inner.coin(torch.where(chance > 1 - 1e-13, 1.0, chance), stream)


def matrix(network: Transformer, prompt: Prompt, plan: Plan, law: Power) -> tuple[list[Any], Tensor, Tensor, Tensor]:
    """Texts, p [N], the law of the first chain [N], and the transition matrix [N, N], by running every choice."""
    known = dict(texts(network, prompt, plan))
    names = sorted(known)

    def walk(rows: Tensor, noise: Enumerate) -> Tensor:
        walks = Walks(
            network, [prompt] * len(rows), plan, law, width=len(rows), noises=lambda ids, index: Certain(noise)
        )
        steps = [walks.step([True] * len(rows)) for _ in range(2)]
        return torch.tensor([[names.index(one.chain.tokens) for one in pair] for pair in zip(*steps, strict=True)])

    joint = torch.zeros(len(names), len(names), dtype=torch.float64)
    for branch in branches(walk, torch.zeros(1), 1):
        now, then = branch.row[0].tolist()  # type: ignore[index]
        joint[now, then] += branch.chance
    start = joint.sum(1)
    log_p = torch.tensor([known[name] for name in names], dtype=torch.float64)
    return names, log_p.exp(), start, joint / start[:, None]


CASES = [
    (FIXED, Power(4.0)),
    (FIXED, Power(2.0, 1.0)),
    (FIXED, Power(0.5, 0.7)),
    (VARIED, Power(4.0)),
    (VARIED, Power(3.0, 1.0)),
    (VARIED._replace(ends=True, limit=3), Power(1.5)),
]


@pytest.mark.parametrize(("plan", "law"), CASES)
def test_a_step_leaves_the_power_of_the_law_as_it_is(plan: Plan, law: Power) -> None:
    names, p, start, moves = matrix(*few(1), plan, law)
    assert p.sum() == pytest.approx(1, abs=1e-12)
    assert len({len(name) for name in names}) == (1 if plan is FIXED else 3)
    aim = p**law.alpha / (p**law.alpha).sum()
    assert (moves.sum(1) - 1).abs().max() < 1e-12
    assert (aim @ moves - aim).abs().max() < 1e-12
    flow = aim[:, None] * moves
    assert (flow - flow.T).abs().max() < 1e-12, "detailed balance"
    assert min((aim - p).abs().sum(), (start - aim).abs().sum()) > 0.01, "else standing still would do"
    assert (torch.linalg.matrix_power(moves, 4096) - aim).abs().max() < 1e-9, "from wherever it starts"


@pytest.mark.parametrize("wrong", ["length", "proposal", "power"])
def test_a_wrong_ratio_is_noticed(wrong: str, monkeypatch: pytest.MonkeyPatch) -> None:
    right = power.log_acceptance

    def broken(alpha: float, log_p: Any, log_q: Any, length: Any) -> Tensor:
        if wrong == "length":
            return right(alpha, log_p, log_q, (length[0], length[0]))
        if wrong == "proposal":
            return right(alpha, log_p, (log_q[0], log_q[0]), length)
        return right(alpha - 1, log_p, log_q, length)

    monkeypatch.setattr(power, "log_acceptance", broken)
    _, p, _, moves = matrix(*few(1), VARIED, Power(3.0, 1.0))
    aim = p**3 / (p**3).sum()
    assert (aim @ moves - aim).abs().max() > 1e-3


def test_what_the_network_itself_proposes_is_always_taken_at_alpha_one() -> None:
    """Where chains are of one length; else a longer one is taken with the ratio of the lengths."""
    network, prompts = network_of(), prompts_of(4)
    walks = Walks(network, prompts, PLAN._replace(thought=False, limit=4), Power(1.0), width=4)
    steps = [walks.step([True] * 4) for _ in range(12)]
    assert all(one is not None and one.accepted for step in steps for one in step)
    _, p, start, moves = matrix(*few(1), FIXED, Power(1.0))
    assert (start - p).abs().max() < 1e-12 and (p @ moves - p).abs().max() < 1e-12
    _, p, _, moves = matrix(*few(1), VARIED, Power(1.0))
    assert (p @ moves - p).abs().max() < 1e-12


def walked(network: Any, prompts: list[Prompt], count: int, **changes: Any) -> list[list[Step]]:
    """By prompt the steps of its walk."""
    given = {"plan": PLAN, "power": Power(2.0), "width": 5, "prefill_width": 2} | changes
    walks = Walks(network, prompts, **given)
    steps = [walks.step([True] * len(prompts)) for _ in range(count)]
    return [[one for one in row if one is not None] for row in zip(*steps, strict=True)]


def test_a_walk_is_the_same_bytes_in_any_company_and_whoever_rests() -> None:
    network, prompts = network_of(scale=1.0), prompts_of(5)
    together = walked(network, prompts, 8)
    assert len({step.chain.tokens for row in together for step in row}) > 10
    assert 0 < sum(step.accepted for row in together for step in row[1:]) < 5 * 7

    def bare(row: list[Step]) -> list[Step]:
        return [step._replace(chain=step.chain._replace(prompt=0)) for step in row]

    assert [bare(row) for row in walked(network, prompts[::-1], 8)][::-1] == [bare(row) for row in together]
    assert bare(walked(network, prompts[3:4], 8)[0]) == bare(together[3])
    resting = Walks(network, prompts, PLAN, Power(2.0), width=5, prefill_width=2)
    for number in range(8):
        going = [row != 1 or number < 3 for row in range(5)]
        for row, one in enumerate(resting.step(going)):
            assert one == (together[row][number] if going[row] else None)


@pytest.mark.parametrize("quality", [True, False])
def test_a_step_costs_what_it_wrote_anew_and_the_prefix_nothing(quality: bool) -> None:
    shape = replace(SHAPE, quality=quality)
    network, prompts = Watched(network_of(scale=1.0, quality=quality)), prompts_of(4)
    batches: list[Batch] = []
    rows = walked(network, prompts, 9, on_batch=batches.append)
    charged, wasted = Work(), Work()
    for batch in batches:
        charged, wasted = charged.plus(batch.charged), wasted.plus(batch.wasted)
        assert min(batch.wasted) >= 0
    assert charged.plus(wasted) == network.sent
    own = sum(forward_flops(shape, *step.work) for row in rows for step in row)
    assert forward_flops(shape, *charged) == own + sum(prefill_flops(shape, len(prompt.tokens)) for prompt in prompts)
    cheaper = 0
    for prompt, row in zip(prompts, rows, strict=True):
        given = len(prompt.tokens)
        assert forward_flops(shape, *row[0].work) == chain_flops(shape, given, row[0].chain.generated)
        for before, step in pairwise(row):
            if not step.accepted:
                assert step.chain == before.chain._replace(number=step.chain.number)
                continue
            read = step.chain.generated - (not quality)
            kept = read - step.work.queries
            assert step.work.attended == causal_exact(given + kept, step.work.queries)
            assert step.chain.tokens[:kept] == before.chain.tokens[:kept]
            cheaper += kept > 0
    assert cheaper


def test_a_walks_chains_are_what_the_network_says_of_them_read_anew() -> None:
    """Prefixes taken up again carry their log-probability, answer and quality along, also after a chain not taken."""
    network, prompts = network_of(dtype=torch.float64, scale=2.0), prompts_of(5)
    judged, law = 0, {"plan": PLAN._replace(eos_id=-1), "power": Power(1.2)}
    for prompt, row in zip(prompts, walked(network, prompts, 40, **law), strict=True):
        for chain in (step.chain for step in row if step.accepted):
            begun = chain.generated - len(chain.answer)
            features = [*prompt.features, *([0, 0] for _ in range(begun)), *map(list, ANSWER[: len(chain.answer)])]
            with torch.inference_mode():
                output = network(torch.tensor([[*prompt.tokens, *chain.tokens]]), torch.tensor([features]))
            said = output.logits[0, len(prompt.tokens) - 1 : -1].log_softmax(-1)
            said = said.gather(1, torch.tensor(chain.tokens)[:, None])[:, 0]
            assert chain.log_prob == pytest.approx(float(said.sum()), abs=1e-10)
            assert chain.answer_log_prob == pytest.approx(float(said[begun:].sum()), abs=1e-10)
            if chain.finished:
                quality = output.quality[0, -len(chain.answer) :].sigmoid().log().mean()
                assert chain.quality == pytest.approx(float(quality), abs=1e-10)
                judged += 1
    assert judged > 5


@pytest.mark.parametrize(
    ("plan", "law", "changes", "says"),
    [
        (PLAN, Power(0.0), {}, r"alpha=0\.0"),
        (PLAN, Power(float("inf")), {}, "alpha=inf"),
        (PLAN, Power(2.0, 0.0), {}, r"proposal_temperature=0\.0"),
        (PLAN._replace(forcing=Forcing(0, 3)), Power(), {}, "force thoughts of independent chains"),
        (PLAN._replace(limit=60), Power(), {}, "lower max_tokens to 52 or less"),
        (PLAN, Power(), {"width": 4}, "5 prompts for width=4 rows"),
    ],
)
def test_what_cannot_be_walked_is_refused_before_any_call(
    plan: Plan, law: Power, changes: dict[str, Any], says: str
) -> None:
    network = Watched(network_of())
    with pytest.raises(ValueError, match=says):
        Walks(network, prompts_of(5), plan, law, **{"width": 5} | changes)
    assert network.sent == Work()
