"""Detectors look before the arms answer: once, at the same texts, kept by a claim, refused before any compute."""

from pathlib import Path

import pytest

from dlmreason.analysis.detections import FILE, STARTS, Detection, Start, unpack
from dlmreason.analysis.records import Record, read
from tests.entry_points.tiny import content, copy, experiment, start

WHERE = "dlmreason.diffusion.detectors"
DETECT = (
    f"detect={{counts:[1,2],own:confidence,detectors:{{head:{{model:diffusion,by:{{_target_:{WHERE}.LowQuality}}}},"
    f"hidden:{{model:diffusion,by:{{_target_:{WHERE}.HiddenInTurn}}}},"
    f"random:{{model:diffusion,by:{{_target_:{WHERE}.AtRandom}}}}}}}}"
)
PLANTED = "+arms.change_of_mind.planted=1"


@pytest.fixture(scope="module")
def detected(finished: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = copy(finished, tmp_path_factory.mktemp("detected") / "it")
    (folder / "records.jsonl").unlink()  # those of change_of_mind began from blanks
    assert experiment(folder, DETECT, PLANTED) == 0
    return folder


def test_every_detector_has_looked_at_every_text(detected: Path) -> None:
    found = unpack(detected / FILE, Detection)
    assert {(each.detector, each.planted) for each in found} == {
        (name, count) for name in ("head", "hidden", "random") for count in (0, 1, 2)
    }
    assert all(each.wrong == each.planted for each in found if each.planted)
    assert {each.detector for each in found if each.binned} == {"head", "hidden"}
    own = {each.example: each.wrong for each in found if each.planted == 0}
    records = read(detected / "records.jsonl", Record).items
    top = max(each.rung for each in records if each.arm == "confidence")
    said = {each.example: each.correct for each in records if (each.arm, each.rung) == ("confidence", top)}
    assert {example: wrong == 0 for example, wrong in own.items()} == said


def test_what_an_arm_began_from_is_kept(detected: Path) -> None:
    starts = unpack(detected / STARTS, Start)
    assert {each.arm for each in starts} == {"change_of_mind"} and len({each.example for each in starts}) == 5
    for each in starts:
        pairs = list(zip(each.begun.split(), each.right.split(), strict=True))
        assert sum(a != b for a, b in pairs) == 1


def test_a_second_run_does_nothing_and_other_settings_look_again(
    detected: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = copy(detected, tmp_path / "it")
    before = {
        name: held for name, held in content(folder).items() if name.endswith((".parquet", ".jsonl", ".safetensors"))
    }
    capsys.readouterr()
    assert experiment(folder, DETECT, PLANTED) == 0
    assert "all 3 have looked" in capsys.readouterr().err
    assert before.items() <= content(folder).items() and len(before) > 5
    assert experiment(folder, DETECT.replace("[1,2]", "[2]"), PLANTED) == 0
    kept = [each for each in unpack(detected / FILE, Detection) if each.planted != 1]
    again = unpack(folder / FILE, Detection)
    assert [(each.wins, each.said) for each in again] == [(each.wins, each.said) for each in kept]


def test_a_claim_keeps_them_and_its_table_is_made_of_them(detected: Path, finished: Path, tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    assert start("claim", f"from=[{detected}]", f"to={kept}") == 0
    assert (kept / FILE).read_bytes() == (detected / FILE).read_bytes()
    assert start("across", "of=noise", f"from=[{kept}]", f"to={tmp_path / 'out'}") == 0
    text = (tmp_path / "out" / "table.md").read_text()
    assert "| head |" in text and "| change_of_mind | 8 |" in text and "**kept**, 5 problems, 1 seed" in text
    assert start("claim", f"from=[{finished}]", f"to={tmp_path / 'plain'}") == 0
    assert not (tmp_path / "plain" / FILE).exists()


@pytest.mark.parametrize(
    ("override", "says"),
    [
        (DETECT.replace("[1,2]", "[2,1]"), "each number is above the one before"),
        (DETECT.replace("[1,2]", "[1,3]"), "detect.counts: planted=3: the shortest answer has 3 tokens"),
        (DETECT.replace("own:confidence", "own:nobody"), "detect.own=nobody: must be a diffusion arm, or null"),
        (DETECT.replace("own:confidence", "own:thought"), "detect.own=thought: must be a diffusion arm, or null"),
        (
            DETECT.replace("head:{model:diffusion", "head:{model:thought"),
            "head.model=thought: must be a diffusion model",
        ),
        (DETECT.replace("LowQuality", "NoiseChance"), "head: needs a network of uniform or mixed noise"),
        (DETECT.replace("LowQuality", "HighQuality"), "has no HighQuality"),
        ("+arms.change_of_mind.planted=3", "arms.change_of_mind.planted: planted=3: the shortest answer has 3 tokens"),
        ("+arms.change_of_mind.planted=-1", "must be a whole number"),
    ],
)
def test_what_cannot_be_looked_for_is_refused_before_anything_is_trained(
    override: str, says: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert experiment(tmp_path / "it", override) == 2
    assert says in capsys.readouterr().err
    assert not (tmp_path / "it").exists()
