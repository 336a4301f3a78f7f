"""GSM8K: thoughts in both forms, judge, copies, exact equations; and the counts of the real files."""

import ast
import operator
import os
import random
import re
from collections import Counter
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dlmreason.tasks.example import PuzzleError, Verdict
from dlmreason.tasks.gsm8k import GSM8K, ends_in_answer, equations_true, gap, value
from dlmreason.tasks.rows import read_rows
from dlmreason.tasks.subject import Problem, copies
from tests.tasks import laws

QUESTION = "Natalia sold clips to 48 of her friends, and then half as many. How many is that?"
SOLUTION = "She sold 48/2 = <<48/2=24>>24 clips then.\nThat is 48+24 = <<48+24=72>>72 clips."
TEXT = "She sold 48/2 = 24 clips then.\nThat is 48+24 = 72 clips."
EQUATIONS = "<<48/2=24>> <<48+24=72>>"


class Asked(GSM8K):
    """GSM8K with questions of its own, so that the laws have some to ask."""

    def draw(self, seed, count):
        source = random.Random(f"asked/{seed}")
        return [self._one(source) for _ in range(count)]

    def _one(self, source):
        name = source.choice(("Ann", "Bob", "Zoë", "Mr. O'Neill"))
        first, each, price = source.randrange(1, 5000), source.randrange(2, 99), source.randrange(4, 900)
        total = (first + each) * price
        return self.problem(
            f"{name} owns {first:,} hens and buys {each} well-fed ones; a hen is ${price}.50. How much are all worth?",
            f"There are {first}+{each} = <<{first}+{each}={first + each}>>{first + each} hens.\n"
            f"They are worth <<({first}+{each})*{price}={total}>>{total}.",
            f"{total:,}",
        )


SUBJECTS = [pytest.param(Asked(form=form), id=form) for form in ("text", "equations")]


def test_one_problem_in_both_forms():
    row = (QUESTION, SOLUTION, "1,072")
    assert GSM8K().problem(*row) == Problem(QUESTION, TEXT, "1072", 2)
    assert GSM8K(form="equations").problem(*row) == Problem(QUESTION, EQUATIONS, "1072", 2)


@pytest.mark.parametrize("subject", SUBJECTS)
def test_what_was_made_stays_as_it_is(subject):
    for problem in laws.drawn(subject, 200):
        again = subject.problem(problem.prompt, problem.thought, problem.answer)
        assert again[:3] == problem[:3] and problem.difficulty == 2
        assert subject.judge(problem, problem.answer) == Verdict(True, "")
        assert subject.paper_compat(problem, f"so it is ${int(problem.answer):,}.") == Verdict(True, "")
        assert ends_in_answer(problem) and equations_true(problem)


def test_thoughts_of_other_forms():
    text, equations = GSM8K(), GSM8K(form="equations")
    assert text.problem("p", TEXT, "5") == Problem("p", TEXT, "5", -1)
    assert equations.problem("p", TEXT, "5") == Problem("p", "", "5", -1), "no equations were noted"
    assert equations.problem("p", EQUATIONS, "5").thought == EQUATIONS
    assert text.problem("p").answer == equations.problem("p").answer == ""
    with pytest.raises(PuzzleError, match=r"^the thought is equations alone: use task\.subject\.form=equations$"):
        text.problem("p", EQUATIONS, "5")


@pytest.mark.parametrize(
    ("texts", "reason"),
    [
        ((" ",), "the prompt is empty"),
        (("p", "", "five"), "the answer 'five' is no number"),
        (("p", "", "5%"), "the answer '5%' is no number"),
        (("p", "\ud800", "5"), "the thought has an unpaired surrogate at character 1"),
    ],
)
def test_questions_that_cannot_be_asked(texts, reason):
    with pytest.raises(PuzzleError) as error:
        GSM8K().problem(*texts)
    assert error.value.reason == reason


@pytest.mark.parametrize("form", ["", "both", None, 1])
def test_a_form_that_cannot_be(form):
    with pytest.raises(ValueError, match=rf"^task\.subject\.form={form} must be text or equations"):
        GSM8K(form=form)


def test_names_and_parameters():
    assert [GSM8K(form=form).name for form in ("text", "equations")] == ["gsm8k", "gsm8k_equations"]
    assert dict(GSM8K().parameters) == {"form": "text"} and GSM8K().draw(0, 5) == []


@pytest.mark.parametrize("cases", laws.CASES)
def test_the_judge_agrees_with_another_one(cases):
    gold = {problem.prompt: int(problem.answer) for problem in laws.drawn(SUBJECTS[0].values[0], cases // 8, seed=3)}

    def right(prompt, answer):
        found = re.fullmatch(r"\s*([-+]?)\$?(\d+|\d{1,3}(,\d{3})+)(\.0*)?\s*", answer)
        return bool(found) and int(found[1] + found[2].replace(",", "")) == gold[prompt]

    def wrong(problem, source):
        number = int(problem.answer) + source.choice((0, 0, 0, 1, 10))
        return source.choice((f"{number:,}", f"${number}.", f"{number}.00", f"-{number}", f"{number}%", f"{number:_}"))

    laws.judges_agree(SUBJECTS[0].values[0], right, wrong, cases)


@pytest.mark.parametrize("cases", laws.FUZZ)
def test_the_judge_never_raises(cases):
    laws.never_raises(SUBJECTS[1].values[0], cases)


def test_copies_are_found():
    def copied(prompt, source):
        prompt = source.choice((prompt.replace(",", "", 1), prompt.upper(), prompt.replace(" ", "\n ", 4)))
        return prompt.replace("?", source.choice(("", " ?", "!?", "."))).replace("; ", source.choice((" -- ", ", ")))

    def near(problems):
        return [
            pair
            for each in problems
            for pair in (
                (each.prompt, each.prompt.replace(".50", ".51")),
                (each.prompt, each.prompt.replace(" owns ", " owns 1")),
                (each.prompt, each.prompt.replace(" owns ", " owns -")),
                (each.prompt, each.prompt.replace("a hen", "every hen")),
            )
        ]

    laws.copies_are_found(SUBJECTS[0].values[0], copied, near)
    laws.copies_are_found(SUBJECTS[0].values[0], copied)
    subject = GSM8K()
    assert copies(subject, ["Is 5+3 = 8?", "5-3"], ["is 5+3  = 8", "5*3", "5 3"]) == [(0, 0)]


# --- equations


def tree_value(text):
    """An exact value by Python's own grammar, numbers being read from their text; None for a division by zero."""
    signs = {ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.Div: operator.truediv}
    signs |= {ast.FloorDiv: operator.floordiv}

    def walk(node):
        if isinstance(node, ast.BinOp):
            return signs[type(node.op)](walk(node.left), walk(node.right))
        if isinstance(node, ast.UnaryOp):
            return -walk(node.operand) if isinstance(node.op, ast.USub) else walk(node.operand)
        return Fraction(ast.get_source_segment(text, node))

    try:
        return Fraction(walk(ast.parse(text, mode="eval").body))
    except ZeroDivisionError:
        return None


NUMBERS = st.one_of(st.integers(0, 999).map(str), st.sampled_from([".5", "0.25", "12.75", "3.", "0"]))
EXPRESSIONS = st.recursive(
    NUMBERS,
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from(["+", "-", "*", "/", "//", " - "]), inner).map("".join),
        inner.map("({})".format),
        inner.map("-{}".format),
    ),
    max_leaves=12,
)


@settings(deadline=None)
@given(EXPRESSIONS)
def test_values_are_those_of_another_evaluator(text):
    assert value(text) == tree_value(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1+2*3", 7),
        ("(1+2)*3", 9),
        ("8-3-2", 3),
        ("8/4/2", 1),
        ("-2*-3", 6),
        ("2--3", 5),
        ("50%*8", 4),
        ("(20+30)%", Fraction(1, 2)),
        ("1,000/8", 125),
        ("100/3", Fraction(100, 3)),
        ("7//2", 3),
        ("(" * 400 + "1" + ")" * 400, 1),
        ("-" * 999 + "1", -1),
    ],
)
def test_values_by_hand(text, expected):
    assert value(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        *(
            "",
            "1+",
            "+",
            "()",
            "(1",
            "1)",
            "1 2",
            "2(3)",
            "9**9**9",
            "1/0",
            "1/(2-2)",
            "7//0",
            "5%3",
            "x",
            "1e3",
            "1_0",
        ),
        *("\u0663", "1=1", "0x1", "1,00", "1.2.3", "%", "1+%", "__import__", "9" * 31, "1+" * 500 + "1", "(" * 10**6),
    ],
)
def test_what_has_no_value(text):
    assert value(text) is None


def test_gaps_and_tolerance():
    assert [gap(text) for text in ("100/3=33.33", "1+1=2", "1+1=2=2", "1+1", "1/0=1", "=")] == [
        Fraction(1, 300),
        0,
        None,
        None,
        None,
        None,
    ]
    third, none = Problem("p", "<<1+1=2>> <<100/3=33.33>>", "33.33", -1), Problem("p", "", "5", -1)
    assert not equations_true(third) and equations_true(third, 0.01) and not equations_true(third, 0.001)
    assert equations_true(none) and not equations_true(Problem("p", "<<1=1=1>>", "1", -1), 10)
    assert ends_in_answer(third) and not ends_in_answer(none)


@pytest.mark.parametrize(
    ("thought", "answer", "ends"),
    [
        ("<<1-3=-2>>", "-2", True),
        ("<<1-3=-2>>", "2", False),
        ("so $1,000.", "1000", True),
        ("so 5 eggs, and 7 are left", "7", True),
        ("so 5 eggs, and 7 are left", "5", False),
        ("<<2/.5=4>>", "4.0", True),
        ("none", "4", False),
        ("none", "", False),
    ],
)
def test_which_thoughts_end_in_the_answer(thought, answer, ends):
    assert ends_in_answer(Problem("p", thought, answer, -1)) == ends


@pytest.mark.parametrize(
    ("answer", "right"),
    [
        ("72", True),
        ("it is 72.", True),
        ("$72", True),
        ("72%", True),
        ("72 or 73", False),
        ("72.0", False),
        ("", False),
    ],
)
def test_the_lenient_grader_takes_the_last_number_as_it_is_spelled(answer, right):
    assert GSM8K().paper_compat(Problem("p", "", "72", -1), answer).correct == right


# --- real files, where there are some

DATA = os.environ.get("DLMREASON_DATA")
REAL = pytest.mark.skipif(not DATA or not Path(DATA).is_dir(), reason="DLMREASON_DATA names no folder of real data")


def problems_of(name, form):
    subject = GSM8K(form=form)
    return [subject.problem(row.prompt, row.thought, row.answer) for row in read_rows(str(Path(DATA) / name)).rows]


@REAL
@pytest.mark.parametrize(
    ("name", "form", "count", "empty", "astray"),
    [
        ("gsm8k/train.jsonl", "equations", 7473, 95, 472),
        ("gsm8k/test.jsonl", "equations", 1319, 18, 111),
        ("gsm8k_equations/test.txt", "equations", 1319, 18, 111),
        ("gsm8k_equations/valid.txt", "equations", 500, 6, 34),
        ("gsm8k/train.jsonl", "text", 7473, 0, 209),
        ("gsm8k/test.jsonl", "text", 1319, 0, 36),
    ],
)
def test_real_problems_are_right_and_the_counted_share_ends_in_the_answer(name, form, count, empty, astray):
    problems, subject = problems_of(name, form), GSM8K(form=form)
    assert all(subject.judge(problem, problem.answer).correct for problem in problems)
    assert all(re.fullmatch(r"-?[0-9]+", problem.answer) for problem in problems)
    assert not any("<<" in problem.thought for problem in problems if form == "text")
    thoughts = sum(not problem.thought for problem in problems)
    print(f"{name} {form}: {sum(not ends_in_answer(problem) for problem in problems)} of {len(problems)} end elsewhere")
    assert (len(problems), thoughts, sum(not ends_in_answer(problem) for problem in problems)) == (count, empty, astray)


@REAL
def test_equations_are_those_of_the_data_of_implicit_chain_of_thought():
    made, given = problems_of("gsm8k/test.jsonl", "equations"), problems_of("gsm8k_equations/test.txt", "equations")
    assert sum(one[:3] == other[:3] for one, other in zip(made, given, strict=True)) == 1319
    train = {problem.prompt: problem[:3] for problem in problems_of("gsm8k/train.jsonl", "equations")}
    valid = problems_of("gsm8k_equations/valid.txt", "equations")
    assert sum(train.get(problem.prompt) == problem[:3] for problem in valid) == 500, "validation items are train items"


@REAL
def test_every_real_equation_is_exactly_true():
    problems = problems_of("gsm8k/train.jsonl", "equations") + problems_of("gsm8k/test.jsonl", "equations")
    notes = [
        note for problem in problems for note in problem.thought.removeprefix("<<").removesuffix(">>").split(">> <<")
    ]
    notes = [note for note in notes if note]
    gaps = Counter(gap(note) for note in notes)
    print(f"{len(notes)} equations: {gaps[Fraction(0)]} exactly true")
    assert gaps == {Fraction(0): 27_998}
    assert sum(tree_value(side) != value(side) for note in notes[::7] for side in map(plain, note.split("="))) == 0
    assert all(equations_true(problem) for problem in problems)


def plain(side):
    """Without zeros in front of a number, which Python's grammar refuses."""
    return re.sub(r"(?<![.0-9])0+(?=[0-9])", "", side)


@REAL
def test_real_splits_have_no_copies():
    subject = GSM8K()
    train, test, valid = (
        [problem.prompt for problem in problems_of(name, "equations")]
        for name in ("gsm8k/train.jsonl", "gsm8k/test.jsonl", "gsm8k_equations/valid.txt")
    )
    assert copies(subject, test, train) == []
    assert len(copies(subject, valid, train)) == 500
    for prompts in (train, test):
        assert copies(subject, prompts, prompts) == [(place, place) for place in range(len(prompts))]
