"""The adapter as a subject: seeds, keys, refusals, names, caching, speed."""

import hashlib
import pickle
import random
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dlmreason.tasks.example import PuzzleError
from dlmreason.tasks.reasoning_gym import ReasoningGym, difficulty
from dlmreason.tasks.reasoning_gym_support import SUPPORTED
from dlmreason.tasks.subject import Problem, copies
from dlmreason.tasks.text_vocabulary import characters
from dlmreason.tasks.written import Written

pytest.importorskip("reasoning_gym", reason="reasoning-gym is not installed: pip install 'dlmreason[gym]'")
from reasoning_gym import factory  # type: ignore[import-untyped]

from tests.tasks.gym import SLOW, drawn, subject_of


def test_seeds_are_scattered_and_may_be_large() -> None:
    subject = subject_of("chain_sum")
    first, second, third = ({problem.prompt for problem in subject.draw(seed, 200)} for seed in (1, 2, 2**64 - 1))
    assert len(first & second) < 10 and len(first & third) < 10, "the library's seed 2 is its seed 1, moved by one"
    library = [
        {factory.create_dataset("chain_sum", size=200, seed=seed)[i]["question"] for i in range(200)} for seed in (1, 2)
    ]
    assert len(library[0] & library[1]) >= 190
    assert subject.draw(1, 50) == subject.draw(1, 50) and subject.draw(1, 0) == []
    assert subject_of("pool_matrix").draw(2**64 - 1, 3), "numpy takes 32 bits"


@pytest.mark.parametrize("name", ["pool_matrix", "bf", "chain_sum", "tower_of_hanoi"])
def test_nothing_global_changes_and_nothing_is_printed(name: str, capfd: pytest.CaptureFixture[str]) -> None:
    random.seed(5)
    np.random.seed(5)  # noqa: NPY002
    expected = random.Random(5).random(), np.random.RandomState(5).random_sample()
    subject = ReasoningGym(generator=name)
    problem = subject.draw(1, 3)[0]
    subject.judge(problem, "Move disk 1 from Peg 9 to Peg 2")
    assert (random.random(), np.random.random_sample()) == expected  # noqa: NPY002
    assert capfd.readouterr().out == ""


def test_keys_are_blind_to_white_space_alone() -> None:
    subject = subject_of("chain_sum")
    prompts = [problem.prompt for problem in drawn("chain_sum", 300)]
    spaced = ["\n ".join(prompt.split()) + " " for prompt in prompts]
    assert {(place, place) for place in range(len(prompts))} <= set(copies(subject, prompts, spaced))
    assert subject.keys(prompts) == subject.keys(spaced)
    assert not subject.same("What is 1 + 2?", "What is 2 + 1?") and subject.same("a  b", " a b\n")
    assert len(set(subject.keys(prompts))) == len(set(prompts))


@pytest.mark.parametrize(
    ("metadata", "expected"),
    [
        ({"difficulty": {"num_terms": (2, 6), "num_digits": (1, 4)}, "num_terms": 5, "num_digits": 1}, 6),
        ({"difficulty": {"rows": (4, 7)}}, 6),  # 5.5 rounds to even
        ({"difficulty": {"people": 4, "depth": 2, "weights": [0.1, 0.2, 0.7], "kind": "x", "none": None}}, 6),
        ({"difficulty": {"words": (3, 9)}, "num_words": 8}, 8),
        ({"difficulty": {"value": (-100.0, -50.0)}}, 0),
        ({"difficulty": 1.0}, 1),
        ({"difficulty": {"flag": True}, "flag": True}, 0),
        ({}, -1),
    ],
)
def test_difficulty(metadata: dict[str, Any], expected: int) -> None:
    assert difficulty(metadata) == expected


def test_longer_sums_are_harder() -> None:
    problems = drawn("chain_sum", 200)
    terms = [len(re.findall("[0-9]+", problem.prompt)) for problem in problems]
    assert all(term < problem.difficulty <= term + 4 for term, problem in zip(terms, problems, strict=True))


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"generator": "chainsum"}, r"task\.subject\.generator=chainsum must be .*such as chain_sum"),
        ({"generator": "Sudoku"}, "such as sudoku"),
        ({"generator": None}, "generator=None must be"),
        ({"generator": "countdown"}, "its scorer evaluates the answer.*task=countdown4"),
        ({"generator": "word_ladder"}, "differ from process to process"),
        ({"config": {"min_term": 3}}, r"task\.subject\.config\.min_term: .*did you mean min_terms\?"),
        ({"config": {"seed": 3}}, r"config\.seed: chain_sum has no such setting"),
        ({"config": {"min_terms": 5, "max_terms": 2}}, "task.subject.config.*max_terms must be >= min_terms"),
        ({"config": {"min_terms": "x"}}, r"task\.subject\.config\.min_terms=x: chain_sum refuses it"),
        ({"config": {"min_terms": {1, 2}}}, "task.subject.config.min_terms=.*refuses it"),
    ],
)
def test_a_wrong_argument_is_refused(arguments: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        ReasoningGym(**arguments)


def test_another_library_or_none_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as changed:
        changed.setattr("importlib.metadata.version", lambda name: "0.2.0")
        with pytest.raises(ValueError, match=r"needs reasoning-gym 0\.1\.25, not 0\.2\.0"):
            ReasoningGym()
    with monkeypatch.context() as changed:
        changed.setitem(sys.modules, "reasoning_gym", None)
        with pytest.raises(ValueError, match=r"needs the package reasoning-gym: pip install 'dlmreason\[gym\]'"):
            ReasoningGym()


def test_the_module_itself_needs_no_library() -> None:
    code = "import sys; from dlmreason.tasks.reasoning_gym import supported; supported(); "
    code += "assert not {'reasoning_gym', 'sympy', 'torch'} & sys.modules.keys()"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_items_that_fail_are_left_out_and_a_generator_that_always_fails_is_said(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Failing:
        def __init__(self, every: int) -> None:
            self.every = every

        def __getitem__(self, place: int) -> dict[str, Any]:
            if place % self.every == 0:
                raise RuntimeError("no puzzle found")
            return {"question": f"{place}?", "answer": ["", "7", None][place % 3], "metadata": {}}

    subject = ReasoningGym(generator="gcd")
    monkeypatch.setattr(factory, "create_dataset", lambda name, **_: Failing(2))
    assert [problem.prompt for problem in subject.draw(1, 16)] == ["1?", "7?", "13?"]
    monkeypatch.setattr(factory, "create_dataset", lambda name, **_: Failing(1))
    assert subject.draw(1, 3) == []
    with pytest.raises(ValueError, match=r"generator=gcd made none of 16 items: no puzzle found"):
        subject.draw(1, 16)


def test_names_and_parameters_tell_settings_apart() -> None:
    plain, other = ReasoningGym(), ReasoningGym(config={"max_terms": 3, "min_terms": 2})
    assert plain.name == "gym_chain_sum" and re.fullmatch("gym_chain_sum_[0-9a-f]{6}", other.name)
    assert other.name == ReasoningGym(config={"min_terms": 2, "max_terms": 3}).name
    assert plain.parameters == {"generator": "chain_sum", "config": "{}", "library": "reasoning-gym 0.1.25"}
    assert all(len(re.findall("[0-9]+", problem.prompt)) <= 3 for problem in other.draw(1, 50))


def test_a_question_of_a_file_or_a_person() -> None:
    chain, sudoku = subject_of("chain_sum"), subject_of("sudoku")
    asked = chain.problem("State the final answer: 1 + 2 =", "", "3")
    assert asked == Problem("State the final answer: 1 + 2 =", "", "3", -1) and chain.judge(asked, "3").correct
    assert not sudoku.judge(sudoku.problem("Solve this: ..."), "1").correct
    with pytest.raises(PuzzleError, match="by more than the texts"):
        sudoku.problem("Solve this: ...", "", "1")
    with pytest.raises(PuzzleError, match="prompt is empty"):
        chain.problem(" ")


@pytest.mark.parametrize("name", ["string_manipulation", "chain_sum"])
def test_it_goes_to_other_processes(name: str) -> None:
    subject = ReasoningGym(generator=name)
    again = pickle.loads(pickle.dumps(subject))
    assert again.name == subject.name and again.draw(4, 3) == subject.draw(4, 3)


def test_as_a_task_with_a_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def task(generator: str) -> Written:
        return Written(
            ReasoningGym(generator=generator),
            train_examples=40,
            validation_examples=10,
            test_examples=10,
            cache=str(tmp_path),
            vocabulary=characters,
        )

    for generator in ("chain_sum", "figlet_font"):
        first = task(generator)
        with monkeypatch.context() as changed:
            changed.setattr(ReasoningGym, "draw", None)
            second = task(generator)
        for split in ("train", "validation", "test"):
            assert list(first.examples(split)) == list(second.examples(split))
        for example in second.examples("test"):
            sheet = second.sheet(example, in_place=False, thought=False)
            vocabulary = second.vocabulary(False)
            text = vocabulary.decode(sheet.tokens[sheet.answer_at :])
            assert second.verify(example, text.split("<eos>")[0]).correct
            assert len(sheet.tokens) <= second.length(in_place=False, thought=False)
    assert len(list(tmp_path.iterdir())) == 6


def speeds(names: Iterator[str] | list[str], count: int) -> dict[str, float]:
    found = {}
    for name in names:
        subject = ReasoningGym(generator=name)
        started = time.process_time()
        problems = subject.draw(1, count)
        subject.keys([problem.prompt for problem in problems])
        found[name] = len(problems) / (time.process_time() - started)
    return found


@pytest.mark.bench
def test_speed(capsys: pytest.CaptureFixture[str]) -> None:
    found = speeds([name for name in SUPPORTED if name not in SLOW], 200) | speeds(list(SLOW), 20)
    with capsys.disabled():
        print()
        for name, speed in sorted(found.items(), key=lambda pair: pair[1]):
            print(f"{name}: {speed:,.0f} problems a second")
    assert found["chain_sum"] > 4_000


def test_digest_of_the_default_generator() -> None:
    """Other problems from the same seed need another `version`."""
    text = repr([problem[:3] for problem in subject_of("chain_sum").draw(0, 20)])
    assert hashlib.sha256(text.encode()).hexdigest()[:16] == "403b795575a0492a"
