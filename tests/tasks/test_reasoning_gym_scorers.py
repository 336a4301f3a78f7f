"""The library's scorers never see what they could evaluate, gold is right, partial credit is wrong, and the table of
what can be asked is about this version of the library."""

import ast
import functools
import importlib
import inspect
import json
import os
import random
import re
import subprocess
import sys
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from dlmreason.tasks.example import Verdict
from dlmreason.tasks.reasoning_gym import supported, unsupported
from dlmreason.tasks.reasoning_gym_support import ASSUMED, INSTEAD, LEFT_OUT, SCORED, SUPPORTED, UNSUPPORTED
from dlmreason.tasks.subject import Problem

pytest.importorskip("reasoning_gym", reason="reasoning-gym is not installed: pip install 'dlmreason[gym]'")
from reasoning_gym import factory  # type: ignore[import-untyped]

from tests.tasks.gym import HOSTILE, SLOW, drawn, items, subject_of
from tests.tasks.laws import at_once


def test_the_table_is_about_every_generator_of_the_library() -> None:
    assert not SUPPORTED.keys() & UNSUPPORTED.keys()
    assert SUPPORTED.keys() | UNSUPPORTED.keys() == factory.DATASETS.keys()
    assert (len(SUPPORTED), len(UNSUPPORTED)) == (83, 23)
    assert SUPPORTED.keys() >= {*ASSUMED, *LEFT_OUT, *SCORED, *INSTEAD}
    assert supported().keys() == SUPPORTED.keys() and unsupported() == UNSUPPORTED
    assert "evaluates" in supported()["n_queens"] and "colleagues" in supported()["aiw"]


EVALUATES = {"eval", "exec", "parse_expr", "sympify", "simplify", "literal_eval", "lambdify", "__import__", "sympy"}
EVALUATES |= {
    "subprocess",
    "system",
    "popen",
    "Popen",
    "pickle",
    "unsafe_load",
    "full_load",
    "import_module",
    "globals",
}


@functools.cache
def written_in(file: str) -> list[ast.AST]:
    return [
        node for node in ast.walk(ast.parse(Path(file).read_text())) if isinstance(node, ast.FunctionDef | ast.Lambda)
    ]


def definitions(function: Any) -> list[ast.AST]:
    """What is written where a function begins, decorators included."""
    first = function.__code__.co_firstlineno
    found = [
        node
        for node in written_in(function.__code__.co_filename)
        if first == min([node.lineno, *(each.lineno for each in getattr(node, "decorator_list", ()))])
    ]
    assert found, function
    return found


def reached(kind: type) -> set[str]:
    """Every name in the source of `score_answer` and of what it may call within the library, however far.

    Of an object of unknown type, every method of that name of any class that is reached may be meant.
    """
    waiting: list[Any] = [kind.score_answer, kind.__init__]  # type: ignore[attr-defined]
    classes, names, seen = {kind}, set[str](), set[Any]()
    while waiting:
        function = inspect.unwrap(waiting.pop())
        if function in seen:
            continue
        seen.add(function)
        if function.__code__.co_filename == "<string>":
            continue  # a dataclass wrote it
        for node in (node for written in definitions(function) for node in ast.walk(written)):
            found: list[Any] = []
            if isinstance(node, ast.Name):
                names.add(node.id)
                found = [function.__globals__.get(node.id)]
            elif isinstance(node, ast.Attribute):
                names.add(node.attr)
                owner = node.value.id if isinstance(node.value, ast.Name) else ""
                found = [getattr(function.__globals__.get(owner), node.attr, None)]
                found += [vars(each).get(node.attr) for member in classes for each in member.__mro__]
            elif isinstance(node, ast.Import):
                names.update(alias.name for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                names.update(alias.name for alias in node.names)
                module = importlib.import_module(
                    "." * node.level + (node.module or ""), function.__module__.rpartition(".")[0]
                )
                found = [getattr(module, alias.name, None) for alias in node.names]
            for each in found:
                each = getattr(each, "__func__", getattr(each, "fget", each))
                if (getattr(each, "__module__", "") or "").startswith("reasoning_gym"):
                    if inspect.isclass(each) and each not in classes:
                        classes.add(each)
                        waiting += [member for member in vars(each).values() if inspect.isfunction(member)]
                        seen.clear()  # names that were met before may be its methods
                    elif inspect.isfunction(each) and each not in seen:
                        waiting.append(each)
    return names


@pytest.mark.parametrize("name", SCORED)
def test_no_scorer_in_use_can_evaluate_a_text(name: str) -> None:
    assert not reached(factory.DATASETS[name][0]) & EVALUATES


@pytest.mark.parametrize(
    ("name", "how"),
    [
        *(("countdown", "parse_expr"), ("puzzle24", "parse_expr"), ("polynomial_multiplication", "parse_expr")),
        *(("simple_integration", "parse_expr"), ("intermediate_integration", "parse_expr"), ("n_queens", "eval")),
        *(("binary_matrix", "eval"), ("spiral_matrix", "eval"), ("string_insertion", "eval")),
        *(("bitwise_arithmetic", "eval"), ("number_sorting", "eval")),
    ],
)
def test_those_that_can_are_found(name: str, how: str) -> None:
    assert how in reached(factory.DATASETS[name][0])
    assert name not in SCORED


def test_helpers_are_looked_into() -> None:
    assert {"load_puzzle_matrix", "has_wall", "Game"} & reached(factory.DATASETS["sokoban"][0]), (
        "a class of another file"
    )
    assert "Decimal" in reached(factory.DATASETS["chain_sum"][0]), "a function of another file"


def gold_is_right(name: str, count: int) -> None:
    subject = subject_of(name)
    for problem in drawn(name, count):
        assert subject.judge(problem, problem.answer) == Verdict(True, ""), problem
        assert type(problem) is Problem and problem.prompt.strip() and problem.answer.strip() and not problem.thought
        assert type(problem.difficulty) is int and problem.difficulty >= -1
        assert bool(problem.notes) == bool(SUPPORTED[name].keeps)
        assert not subject.judge(problem, problem.answer + " and more 7").correct, problem
        if not SUPPORTED[name].keeps:
            assert subject.problem(problem.prompt, "", problem.answer)[:3] == problem[:3]
        assert subject.problem(problem.prompt).prompt == problem.prompt


@pytest.mark.parametrize("name", SUPPORTED)
def test_gold_is_right(name: str) -> None:
    gold_is_right(name, 2)


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("name", SUPPORTED)
def test_gold_is_right_of_many(name: str) -> None:
    gold_is_right(name, 110)


def perturbed(answer: str, source: random.Random) -> str:
    """One character changed, left out or put in."""
    place, kind = source.randrange(len(answer)), source.randrange(3)
    character = source.choice(answer + "0123456789abcABC ,.-\n")
    return answer[:place] + character * (kind > 0) + answer[place + (kind < 2) :]


@pytest.mark.parametrize("name", SCORED)
def test_notes_restore_what_the_scorer_needs(name: str) -> None:
    source, subject = random.Random(3), subject_of(name)
    scorer = factory.create_dataset(name, size=1, seed=0)
    seen = set()
    for item, problem in items(name, 2):
        for case in range(40):
            answer = perturbed(item["answer"], source) if case else item["answer"]
            if subject._unreadable(problem, answer):
                continue
            try:
                right = scorer.score_answer(answer, item) == 1.0
            except ValueError:
                right = False
            assert subject.judge(problem, answer).correct == right, (answer, item)
            seen.add(right)
    assert seen == {True, False}


@pytest.mark.parametrize("name", SUPPORTED)
def test_hostile_texts_are_wrong_and_soon(name: str) -> None:
    subject = subject_of(name)
    for problem in drawn(name)[:1]:
        for poison in set(HOSTILE) - {problem.answer}:
            verdict = at_once(lambda problem=problem, poison=poison: subject.judge(problem, poison), poison[:40], 0.5)
            assert not verdict.correct and 0 < len(verdict.reason) < 300, (problem, poison[:40], verdict)


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("name", SUPPORTED)
def test_any_text_gets_a_verdict(name: str) -> None:
    subject, source = subject_of(name), random.Random(11)
    problems = drawn(name)
    for case in range(1_500):
        problem = problems[case % len(problems)]
        letters = sorted(set(problem.answer)) * 3 + ["0", "-", "[", '"', "é", "\x00", "９", "\n", "A", "{"]  # noqa: RUF001
        text = "".join(source.choices(letters, k=source.randrange(2 * min(len(problem.answer), 300) + 5)))
        verdict = subject.judge(problem, text if case % 2 else perturbed(problem.answer, source))
        assert type(verdict.correct) is bool and len(verdict.reason) < 300


DIGESTS = """
import hashlib, sys
from dlmreason.tasks.reasoning_gym import ReasoningGym
for name in sys.argv[2:]:
    problems = ReasoningGym(generator=name).draw(3, int(sys.argv[1]))
    print(name, hashlib.sha256(repr(problems).encode("utf-8", "backslashreplace")).hexdigest())
"""


def the_same_in_two_processes(names: list[str], count: int) -> None:
    runs = [
        subprocess.Popen(
            [sys.executable, "-c", DIGESTS, str(count), *names],
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONHASHSEED": seed},
        )
        for seed in ("1", "2")
    ]
    first, second = (run.communicate()[0] for run in runs)
    assert len(first.splitlines()) == len(names) and first == second


def test_items_are_the_same_in_every_process() -> None:
    the_same_in_two_processes(["chain_sum", "family_relationships", "group_anagrams", "shortest_path"], 20)


@pytest.mark.slow
@pytest.mark.timeout(2_000)
def test_items_of_all_are_the_same_in_every_process() -> None:
    the_same_in_two_processes([name for name in SUPPORTED if name not in SLOW], 100)
    the_same_in_two_processes(list(SLOW), 20)


def test_one_wrong_digit_of_a_sudoku_is_wrong() -> None:
    subject, problem = subject_of("sudoku"), drawn("sudoku")[0]
    digit = problem.answer[0]
    answer = problem.answer.replace(digit, "1" if digit != "1" else "2", 1)
    item = {"answer": problem.answer, "metadata": json.loads(problem.notes)}
    assert factory.create_dataset("sudoku").score_answer(answer, item) == pytest.approx(0.889, abs=0.001)
    assert subject.judge(problem, answer) == Verdict(
        False, f"reasoning-gym scores {answer[:20]!r} 0.889, and 1 is right"
    )


def test_other_right_answers_are_right() -> None:
    chain = subject_of("chain_sum")
    known = Problem("What is 4012 - 11?", "", "4001", -1)
    assert chain.judge(known, "+4,001.0").correct and chain.judge(known, "04001").correct
    queens = subject_of("n_queens")
    several = next(problem for problem in drawn("n_queens", 40) if len(json.loads(problem.notes)["valid_answers"]) > 1)
    answers = json.loads(several.notes)["valid_answers"]
    assert all(queens.judge(several, answer).correct for answer in answers) and several.answer in answers
    assert not queens.judge(several, str([list(row.split()) for row in answers[0].split("\n")])).correct
    hanoi, problem = subject_of("tower_of_hanoi"), drawn("tower_of_hanoi")[0]
    lines = problem.answer.split("\n")
    first = re.findall("[0-9]+", lines[0])
    there_and_back = f"Move disk {first[0]} from Peg {first[2]} to Peg {first[1]}"
    longer = "\n".join([lines[0], there_and_back, *lines])
    assert not hanoi.judge(problem, longer).correct, "right, but not the shortest: partial credit"


CLOSE: list[tuple[str, Callable[[str], str]]] = [
    ("game_of_life_halting", lambda gold: "False" if gold == "True" else "True"),
    ("complex_arithmetic", lambda gold: "nan"),
    ("number_sorting", lambda gold: re.sub(r"(\d)'\]$", lambda last: f"{(int(last[1]) + 1) % 10}']", gold)),
    ("game_of_life", lambda gold: gold[:-1] + ",[1,1,1]]"),
    ("letter_jumble", lambda gold: gold + " more"),
    ("gsm_symbolic", lambda gold: "-" + gold),
    ("pool_matrix", lambda gold: gold[:-1] + str(int(gold[-1]) + 1 if gold[-1] != "9" else 8)),
    ("coin_flip", lambda gold: gold + "00001" if "." in gold else gold + ".00001"),
    ("knights_knaves", lambda gold: gold.replace(".", " " + gold.split()[-1].strip(".") + " a knave.")),
]


@pytest.mark.parametrize(("name", "wrong"), CLOSE, ids=[name for name, _ in CLOSE])
def test_what_a_loose_scorer_takes_is_wrong(name: str, wrong: Callable[[str], str]) -> None:
    """So that the table's reasons for comparing texts are true: the scorer gives 1 to a wrong answer."""
    subject, taken = subject_of(name), 0
    scorer = factory.create_dataset(name, size=1, seed=0)
    for item, problem in items(name, 12):
        answer = wrong(item["answer"])
        assert answer != item["answer"] and not subject.judge(problem, answer).correct
        taken += scorer.score_answer(answer, item) == 1.0
    assert taken


def test_digits_of_other_scripts_and_underscores_are_no_numbers() -> None:
    known = Problem("What is 4012 - 11?", "", "4001", -1)
    for answer in ("４００１", "4_001", "٤٠٠١"):  # noqa: RUF001
        verdict = subject_of("chain_sum").judge(known, answer)
        assert not verdict.correct and "is in neither the question nor the answer" in verdict.reason
        assert factory.create_dataset("chain_sum").score_answer(answer, known._asdict()) == 1.0
    assert (
        subject_of("quantum_lock").judge(drawn("quantum_lock")[0], "a CAB").reason
        == "'a CAB' is not of the form asked for"
    )


def test_a_scorer_that_raises_gives_a_reason() -> None:
    known = Problem("Find the prime factorization of 12.", "", "2 × 2 × 3", -1)  # noqa: RUF001
    verdict = subject_of("prime_factorization").judge(known, "two")
    assert verdict == Verdict(False, "the scorer cannot read 'two': invalid literal for int() with base 10: 'two'")
    assert "too many" in subject_of("chain_sum").judge(known, "1" * 1_001).reason
    assert "no right answer is known" in subject_of("chain_sum").judge(known._replace(answer=""), "1").reason
    assert "notes" in subject_of("sudoku").judge(known._replace(notes="{"), "1").reason


def value(expression: str) -> Fraction:
    """Of the library's own text."""
    steps: dict[type, Callable[[Fraction, Fraction], Fraction]] = {
        ast.Add: lambda a, b: a + b,
        ast.Sub: lambda a, b: a - b,
        ast.Mult: lambda a, b: a * b,
    }

    def work_out(node: ast.expr) -> Fraction:
        if isinstance(node, ast.BinOp):
            return steps[type(node.op)](work_out(node.left), work_out(node.right))
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
            return -work_out(node.operand)
        assert isinstance(node, ast.Constant)
        return Fraction(str(node.value))

    return work_out(ast.parse(expression.strip(), mode="eval").body)


@pytest.mark.parametrize("name", ["basic_arithmetic", "chain_sum", "products", "decimal_chain_sum"])
def test_answers_by_a_second_computation(name: str) -> None:
    for problem in drawn(name, 200):
        expression = max(re.findall(r"[-+*().0-9][-+*().0-9 ]*", problem.prompt), key=len).rstrip(". ")
        assert value(expression) == Fraction(problem.answer), problem


def test_what_is_wrong_in_the_library_is_left_out() -> None:
    assert all("colleague" not in problem.prompt for problem in drawn("aiw", 60))
    assert all("/" not in problem.prompt for problem in drawn("basic_arithmetic", 60))
    assert all("bottom is" not in problem.prompt for problem in drawn("color_cube_rotation", 60))
    assert all("in-law" not in problem.answer for problem in drawn("family_relationships", 60))
    for problem in drawn("simple_geometry", 60):
        assert max(map(float, [*re.findall(r"([0-9.]+)°", problem.prompt), problem.answer])) < 180
    for name in LEFT_OUT.keys() - {"time_intervals", "number_filtering"}:
        assert any(LEFT_OUT[name][1](factory.create_dataset(name, size=60, seed=2)[place]) for place in range(60)), name
    spelled = {"metadata": {"original_numbers": ["81.0", "81"]}}
    assert LEFT_OUT["number_filtering"][1](spelled)
    assert LEFT_OUT["time_intervals"][1]({"answer": "-01:10"})
