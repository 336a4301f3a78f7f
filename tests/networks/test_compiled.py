"""A compiled network says what the network says, each row as in any company; without a compiler nothing is begun."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch._inductor import exc

from dlmreason import assembly, assembly_arms
from dlmreason.analysis.records import Record, read
from dlmreason.canvas import Ask, Reading
from dlmreason.networks import compiled as compiling
from dlmreason.networks.block_denoiser import DenoiseBlocks
from dlmreason.networks.compiled import check_compiler, compiled
from dlmreason.networks.denoiser import Denoise
from dlmreason.networks.shape import Shape
from dlmreason.networks.transformer import Transformer
from tests.entry_points.tiny import experiment
from tests.nets import opinionated
from tests.test_conf import FEW, composed

torch.set_num_threads(1)

LENGTH, MASK, ROWS = 13, 8, 7
PLAIN = {"width": 24, "num_heads": 3}
KINDS: dict[str, dict[str, Any]] = {
    "judged": PLAIN | {"feature_sizes": (5, 3)},
    "carrying": PLAIN | {"carry": True},
    "prompt": PLAIN | {"attention": "prompt", "prompt": 4},
    "blocks": PLAIN | {"attention": "block_causal", "block": 4},
    "looping": PLAIN | {"carry": True, "loops": 3},
    "smaller": {"width": 16, "num_heads": 2, "num_layers": 1},
}


def there() -> bool:
    try:
        check_compiler("cpu")
    except ValueError:
        return False
    return True


def network_of(kind: str) -> Transformer:
    shape = {"vocabulary_size": MASK + 1, "length": LENGTH, "num_layers": 2, "quality": True, **KINDS[kind]}
    return opinionated(Shape(**shape), torch.float32, 2.0)


def said(network: Transformer, rows: list[int]) -> list[torch.Tensor]:
    """What is said of some of seven rows in three passes, block caches, prompts and carries included."""
    generator = torch.Generator().manual_seed(1)
    shape, tokens = network.shape, torch.randint(0, MASK, (ROWS, LENGTH), generator=generator)
    columns = [torch.randint(0, size, (ROWS, LENGTH), generator=generator) for size in shape.feature_sizes]
    features = torch.stack(columns, -1) if columns else torch.zeros(ROWS, LENGTH, 0, dtype=torch.int64)
    tokens, features = tokens[rows], features[rows]
    editable = (torch.arange(LENGTH) >= max(shape.prompt, 4)).expand(len(rows), -1)
    denoise = DenoiseBlocks(network, MASK) if shape.block else Denoise(network, MASK)
    with torch.inference_mode():
        held: Any = features if denoise.seat is None else denoise.seat(tokens, editable, features)
        canvas, carry, found = torch.where(editable, MASK, tokens), denoise.first_carry(len(rows)), []
        for _ in range(3):
            reading: Reading = denoise(Ask(canvas, torch.zeros(len(rows), dtype=torch.float64), carry), held)
            carry = reading.carry
            assert reading.quality is not None
            found += [reading.logits.clone(), reading.quality.clone()]
    return found


@pytest.mark.slow
@pytest.mark.skipif(not there(), reason="needs a C++ compiler")
def test_a_compiled_network_says_the_same_and_a_row_the_same_bytes_in_any_seat() -> None:
    """Of several networks in one process, none of which may run another's code."""
    everyone, shuffled = list(range(ROWS)), [3, 0, 6, 1, 5, 2, 4]
    for kind in KINDS:
        network = network_of(kind)
        code = compiled(network)
        one, two = said(network, everyone), said(code, everyone)
        for plain, fast in zip(one, two, strict=True):
            assert torch.allclose(plain, fast, atol=1e-5, rtol=1e-5), kind
        for fast, moved in zip(two, said(code, shuffled), strict=True):
            assert torch.equal(fast[shuffled], moved), kind


@pytest.mark.slow
@pytest.mark.skipif(not there(), reason="needs a C++ compiler")
def test_an_experiment_with_compiled_passes_answers_for_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its records are not mixed with those of uncompiled passes, and a second run answers nothing anew."""
    folder, other = tmp_path / "it", tmp_path / "other"
    made: list[Transformer] = []

    def noted(network: Transformer) -> Transformer:
        made.append(network)
        return compiled(network)

    monkeypatch.setattr(assembly_arms, "compiled", noted)
    assert experiment(folder) == 0 and not made
    assert experiment(folder, "budget.compile=true") == 2
    assert "(budget.compile=false there and true here)" in capsys.readouterr().err
    assert experiment(other, "budget.compile=true") == 0 and made
    plain, fast = (read(each / "records.jsonl", Record).items for each in (folder, other))
    assert {(each.arm, each.example, each.rung) for each in plain} == {
        (each.arm, each.example, each.rung) for each in fast
    }
    same = {each.arm.partition(".")[0] for each in fast if each.run_key in {one.run_key for one in plain}}
    assert same == {"answer", "thought"}
    before = (other / "records.jsonl").read_bytes()
    assert experiment(other, "budget.compile=true") == 0 and (other / "records.jsonl").read_bytes() == before


def test_off_it_changes_no_key_and_on_it_changes_those_of_passes_alone() -> None:
    settings = composed("experiment=demo", "task=star_graph", "network=tiny", "budget=tiny", *FEW)
    task = assembly.task_of(settings)
    models = assembly.models_of(settings, task)
    trained = {
        name: assembly.Trained(name, each.kind, each.thought, Transformer(each.shape), "", {}, each.taught)
        for name, each in models.items()
    }

    def key(arm: str, **changes: Any) -> str:
        budget = {name: value for name, value in settings["budget"].items() if name != "compile"} | changes
        given = settings | {"budget": budget}
        return assembly_arms.run_key(assembly_arms.run_parts(arm, given, task, trained, torch.device("cpu")))

    assert settings["budget"]["compile"] is False
    assert key("confidence") == key("confidence", compile=False) != key("confidence", compile=True)
    assert key("thought") == key("thought", compile=True)


def test_without_a_compiler_nothing_is_trained(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def none() -> str:
        raise exc.InvalidCxxCompiler

    monkeypatch.setattr(compiling, "get_cpp_compiler", none)
    assert experiment(tmp_path / "it", "budget.compile=true") == 2
    assert "budget.compile: passes are to be compiled, and there is no C++ compiler: install" in capsys.readouterr().err
    assert not (tmp_path / "it").exists()
    with pytest.raises(ValueError, match=r"no C\+\+ compiler"):
        compiled(network_of("judged"))
