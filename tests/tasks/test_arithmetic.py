import os
import random
import re
from collections import defaultdict
from itertools import groupby
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dlmreason.tasks.arithmetic import Addition, Multiplication
from dlmreason.tasks.example import PuzzleError, Verdict, split_of
from dlmreason.tasks.subject import Problem, copies
from tests.tasks import laws

ADDITIONS = [Addition(), Addition(least_first=False), Addition(digits=1), Addition(digits=25)]
PRODUCTS = [
    Multiplication(),
    Multiplication(digits=(2, 2)),
    Multiplication(digits=(2, 2), least_first=False),
    Multiplication(digits=(3, 5)),
    Multiplication(digits=(5, 1), least_first=False),
]
SUBJECTS = ADDITIONS + PRODUCTS
PRESETS = [Addition(), Multiplication(), Multiplication(digits=(2, 2))]


def named(subjects):
    return pytest.mark.parametrize("subject", subjects, ids=lambda subject: subject.name)


def value(symbols, subject):
    """A number of its spaced digits."""
    digits = symbols.split()
    return sum(int(digit) * 10**weight for weight, digit in enumerate(digits if subject.least_first else digits[::-1]))


def operands(prompt, subject):
    return [value(side, subject) for side in re.split("[+*]", prompt)]


def total_is_true(subject, problem):
    """Column k's two digits are what places 0 ... k add up to, in units of place k."""
    first, second = operands(problem.prompt, subject)
    digits = problem.thought.split()
    for place in range(subject.digits):
        pair = " ".join(digits[2 * place : 2 * place + 2])
        if value(pair, subject) != (first % 10 ** (place + 1) + second % 10 ** (place + 1)) // 10**place:
            return False
    return len(digits) == 2 * subject.digits and value(problem.answer, subject) == first + second


def product_is_true(subject, problem):
    """Each product, each sum in parentheses, and the last sum, read from the text."""
    first, second = operands(problem.prompt, subject)
    products, total = problem.thought.split(" + "), 0
    for place, text in enumerate(products):
        product, bracket, rest = text.partition(" ( ")
        digit = second // 10**place % 10
        total += value(product, subject)
        widths_hold = len(product.split()) == subject.digits[0] + 1 + place
        inside = 0 < place < len(products) - 1
        if value(product, subject) != first * digit * 10**place or not widths_hold or inside != bool(bracket):
            return False
        if inside and (rest[-2:] != " )" or value(rest[:-2], subject) != total or len(rest[:-2]) != len(product)):
            return False
    return len(products) == subject.digits[1] and total == value(problem.answer, subject) == first * second


def thought_is_true(subject):
    check = total_is_true if isinstance(subject, Addition) else product_is_true
    return lambda problem: check(subject, problem)


@pytest.mark.parametrize("count", laws.GOLD)
@named(SUBJECTS)
def test_answers_are_right_and_thoughts_true(subject, count):
    laws.gold_holds(subject, count, thought_is_true(subject))


@pytest.mark.parametrize("cases", laws.CASES)
@named(SUBJECTS)
def test_two_judges_agree(subject, cases):
    def other(prompt, answer):
        first, second = operands(prompt, subject)
        right = first + second if isinstance(subject, Addition) else first * second
        form = re.compile("[0-9]" + " [0-9]" * (subject.form.answer - 1), re.ASCII)
        return bool(form.fullmatch(answer)) and value(answer, subject) == right

    def wrong(problem, source):
        digits = problem.answer.split()
        match source.randrange(5):
            case 0:
                digits[source.randrange(len(digits))] = source.choice("0123456789")
            case 1:
                digits.reverse()
            case 2:
                del digits[source.randrange(len(digits))]
            case 3:
                digits.insert(source.choice([0, len(digits)]), "0")
            case 4:
                return source.choice(["", "  "]).join(digits)
        return " ".join(digits)

    laws.judges_agree(subject, other, wrong, cases)


@pytest.mark.parametrize("cases", laws.FUZZ)
@named([Addition(), Multiplication()])
def test_whatever_the_answer_a_verdict(subject, cases):
    laws.never_raises(subject, cases)


def with_one_digit_changed(problems):
    pairs = []
    for problem in problems:
        digit = problem.prompt[0]
        pairs.append((problem.prompt, str((int(digit) + 1) % 10) + problem.prompt[1:]))
    return pairs


@named([Addition(), Addition(digits=7, least_first=False)])
def test_digits_of_a_place_may_change_sides(subject):
    def copied(prompt, source):
        sides = [side.split() for side in prompt.split(" + ")]
        for pair in zip(range(subject.digits), *sides, strict=True):
            if source.random() < 0.5:
                sides[0][pair[0]], sides[1][pair[0]] = pair[2], pair[1]
        return " + ".join(" ".join(side) for side in sides)

    laws.copies_are_found(subject, copied, with_one_digit_changed)
    for problem in laws.drawn(subject, 200):
        other = subject.problem(copied(problem.prompt, random.Random(1)))
        assert (other.thought, other.answer, other.difficulty) == problem[1:4]


@named([Multiplication(), Multiplication(digits=(2, 2)), Multiplication(digits=(3, 3), least_first=False)])
def test_factors_may_change_sides(subject):
    def copied(prompt, source):
        return " * ".join(reversed(prompt.split(" * ")))

    laws.copies_are_found(subject, copied, with_one_digit_changed)


def test_no_product_of_two_digits_has_its_reverse_in_another_split():
    subject = Multiplication(digits=(2, 2))
    prompts = {(a, b): subject.problem(f"{a}*{b}").prompt for a in range(10, 100) for b in range(10, 100)}
    keys = dict(zip(prompts, subject.keys(list(prompts.values())), strict=True))
    splits = dict(zip(prompts, split_of(np.array(list(keys.values()), np.uint64)).tolist(), strict=True))
    pairs = defaultdict(set)
    for (a, b), key in keys.items():
        pairs[key].add((min(a, b), max(a, b)))
        assert splits[a, b] == splits[b, a]
    assert len(pairs) == 90 * 91 // 2
    assert all(len(found) == 1 for found in pairs.values())
    shares = np.bincount([splits[each] for found in pairs.values() for each in found]) / len(pairs)
    assert np.abs(shares - [0.5, 0.25, 0.25]).max() < 0.04  # 5 standard deviations


def test_keys_and_problems_do_not_depend_on_the_order_of_digits():
    for sign, one, other in (
        ("+", Addition(), Addition(least_first=False)),
        ("*", Multiplication(), Multiplication(least_first=False)),
    ):
        texts = [f"{a}{sign}{b}" for a, b in zip(range(1000, 9999, 71), range(9999, 1000, -71), strict=True)]
        made = [[subject.problem(text) for text in texts] for subject in (one, other)]
        assert one.keys([each.prompt for each in made[0]]) == other.keys([each.prompt for each in made[1]])
        for first, second in zip(*made, strict=True):
            assert first.difficulty == second.difficulty
            assert value(first.answer, one) == value(second.answer, other)


def test_numbers_drawn_have_their_digits_and_cover_them():
    for subject, widths in ((Addition(digits=2), (2, 2)), (Addition(digits=1), (1, 1)), (PRODUCTS[3], (3, 5))):
        found = [operands(problem.prompt, subject) for problem in laws.drawn(subject, 2_000)]
        for side, width in enumerate(widths):
            numbers = {pair[side] for pair in found}
            low = 10 ** (width - 1) if width > 1 else 0
            assert min(numbers) >= low
            assert max(numbers) < 10**width
            assert len(numbers) == 10**width - low or width > 2
            leads = np.bincount([number // 10 ** (width - 1) for number in (pair[side] for pair in found)])
            assert leads[low > 0 :].min() > 2_000 / 10 * 0.7


def test_worked_examples():
    add, times = Addition(), Multiplication(digits=(2, 3))
    assert add.problem("1234+5678") == Problem("4 3 2 1 + 8 7 6 5", "2 1 1 1 9 0 6 0", "2 1 9 6 0", 2)
    assert Addition(least_first=False).problem("1234+5678") == Problem(
        "1 2 3 4 + 5 6 7 8", "1 2 1 1 0 9 0 6", "0 6 9 1 2", 2
    )
    # 12 * 4 = 48, 12 * 30 = 360, together 408, 12 * 500 = 6000, together 6408; carried: 1 in 8 + 6, and 1 in 5 * 2
    thought = "8 4 0 + 0 6 3 0 ( 8 0 4 0 ) + 0 0 0 6 0"
    assert times.problem("12*534") == Problem("2 1 * 4 3 5", thought, "8 0 4 6 0", 2)
    backwards = "0 4 8 + 0 3 6 0 ( 0 4 0 8 ) + 0 6 0 0 0"
    assert Multiplication(digits=(2, 3), least_first=False).problem("12*534") == Problem(
        "1 2 * 5 3 4", backwards, "0 6 4 0 8", 2
    )


def test_difficulty_is_the_longest_run_of_carries():
    subject = Addition(digits=6)
    for problem in laws.drawn(subject, 500):
        first, second = operands(problem.prompt, subject)
        carries = [first % 10**place + second % 10**place >= 10**place for place in range(1, 7)]
        runs = [len(list(run)) for carried, run in groupby(carries) if carried]
        assert problem.difficulty == max(runs, default=0)
    assert subject.problem("999999+1").difficulty == 6
    assert subject.problem("123456+543210").difficulty == 0


@named(PRODUCTS)
def test_difficulty_is_all_that_is_carried(subject):
    def carried(columns):
        """What a column hands to the next one, summed over the columns, least significant first."""
        carry = everything = 0
        for column in columns:
            carry = (column + carry) // 10
            everything += carry
        return everything

    for problem in laws.drawn(subject, 300):
        first, second = operands(problem.prompt, subject)
        digits = [first // 10**place % 10 for place in range(8)]
        everything = total = 0
        for place in range(subject.digits[1]):
            digit = second // 10**place % 10
            product = first * digit * 10**place
            everything += carried([digit * each for each in digits])
            everything += carried([total // 10**at % 10 + product // 10**at % 10 for at in range(16)])
            total += product
        assert problem.difficulty == everything


@named(SUBJECTS)
def test_digits_of_one_weight_carry_one_place(subject):
    problem = laws.drawn(subject, 1)[0]
    text, features = subject.form.lay(problem.prompt)
    assert text == problem.prompt
    length = subject.form.answer
    for side in re.split(r" [+*] ", problem.prompt):
        width = len(side.split())
        for place in range(width):
            digits = ["0"] * width
            digits[place] = "1"
            weight = value(" ".join(digits), subject)
            answer = ["0"] * length
            answer[features[place, 0] - 1] = "1"
            assert value(" ".join(answer), subject) == weight
        features = features[width + 1 :]
    assert len(features) == 0


def test_a_person_may_write_as_people_do():
    add, times = Addition(), Multiplication()
    for text in ("1234 + 5678", " 1234+5678 =", "1234+5678 = ?", "4 3 2 1 + 8 7 6 5", "4 3 2 1+8 7 6 5"):
        assert add.problem(text).prompt == "4 3 2 1 + 8 7 6 5"
    assert add.problem("7+12").prompt == "7 0 0 0 + 2 1 0 0"
    assert add.problem("1234+5678", answer="6912") == add.problem("1234+5678", answer="2 1 9 6 0")
    for text in ("2365*4347", "2365 x 4347", "2365×4347 ="):  # noqa: RUF001
        assert times.problem(text).prompt == "5 6 3 2 * 7 4 3 4"
    assert times.problem("2365*4347", answer="10280655").answer == "5 5 6 0 8 2 0 1"
    assert times.problem("2365*4347", "5 5 (").thought == "5 5 ("
    assert Multiplication(digits=(1, 3)).problem("7 * 1 2 3").prompt == "7 * 1 2 3"


@pytest.mark.parametrize(
    ("prompt", "reason"),
    [
        ("12345+1", "the first number has 5 digits where 4 are expected"),
        ("1 2 + 3 4 5 6", "the first number has 2 digits where 4 are expected"),
        ("1 2 3 4 + 5678", "part 1 of the second number, '5678', is not one digit from 0 to 9"),
        ("１+2", "part 1 of the first number, '１', is not a number in digits from 0 to 9"),  # noqa: RUF001
        ("1_0+2", "part 1 of the first number, '1_0', is not a number in digits from 0 to 9"),
        ("-1+2", "part 1 of the first number, '-1', is not a number in digits from 0 to 9"),
        ("1+2+3", "two numbers with one + between them are expected, such as 12+34"),
        ("1*2", "two numbers with one + between them are expected, such as 12+34"),
        ("", "two numbers with one + between them are expected, such as 12+34"),
        ("+", "two numbers with one + between them are expected, such as 12+34"),
        ("1+" * 1_000, "2000 characters are too many for numbers of 4 and 4 digits"),
    ],
)
def test_a_prompt_that_cannot_be_asked(prompt, reason):
    with pytest.raises(PuzzleError) as error:
        Addition().problem(prompt)
    assert error.value.reason == reason


@pytest.mark.parametrize(
    ("thought", "answer", "reason"),
    [
        ("", "6922", "the answer is wrong: digit 2 is '2' where the sum has 1"),
        ("", "2 1 9 6 1", "the answer is wrong: digit 5 is '1' where the sum has 0"),
        ("", "000006912", "the answer is wrong: digits are to be joined by single spaces"),
        ("", "-6912", "the answer is wrong: 5 digits joined by single spaces expected, got 5 characters"),
        ("2 1 ( 1", "", "the thought cannot be written: symbol 3 of the text is '('; the alphabet is 0 1 2"),
    ],
)
def test_what_comes_with_a_prompt_is_checked(thought, answer, reason):
    with pytest.raises(PuzzleError) as error:
        Addition().problem("1234+5678", thought, answer)
    assert error.value.reason.startswith(reason)


@given(st.text("0123456789 +*=x?a٣", max_size=60))
@settings(max_examples=300, deadline=None)
def test_any_prompt_is_asked_or_refused(text):
    for subject in PRESETS:
        try:
            problem = subject.problem(text)
        except PuzzleError:
            continue
        assert subject.judge(problem, problem.answer).correct


def test_a_verdict_says_where():
    add, times = Addition(), Multiplication(digits=(2, 2))
    problem, product = add.problem("1234+5678"), times.problem("12*34")
    assert add.judge(problem, "2 1 9 6 0") == Verdict(True, "")
    assert add.judge(problem, "2 1 9 6") == (False, "5 digits joined by single spaces expected, got 7 characters")
    assert add.judge(problem, "2 1 9 7 0") == (False, "digit 4 is '7' where the sum has 6")
    assert add.judge(problem, "2-1 9 6 0") == (False, "digits are to be joined by single spaces")
    assert times.judge(product, "8 0 4 é") == (False, "digit 4 is 'é' where the product has 0")


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Addition(digits=0), r"task\.subject\.digits=0 must be 1 to 100: "),
        (lambda: Addition(digits=True), r"task\.subject\.digits=True must be 1 to 100: "),
        (lambda: Addition(least_first=1), r"task\.subject\.least_first=1 must be true or false: "),
        (lambda: Multiplication(digits=(4,)), r"task\.subject\.digits=\(4,\) must be two numbers from 1 to 20: "),
        (lambda: Multiplication(digits=[4, 21]), r"task\.subject\.digits=\[4, 21\] must be two numbers from 1 to 20: "),
        (lambda: Multiplication(digits=4), r"task\.subject\.digits=4 must be two numbers"),
        (lambda: Multiplication(least_first="yes"), r"task\.subject\.least_first=yes must be true or false: "),
    ],
)
def test_arguments_that_make_no_sense_are_refused(make, message):
    with pytest.raises(ValueError, match="^" + message):
        make()


DATA = os.environ.get("DLMREASON_DATA")
REAL = pytest.mark.skipif(not DATA or not Path(DATA).is_dir(), reason="DLMREASON_DATA names no folder of real problems")


@REAL
def test_the_public_data_are_reproduced_symbol_by_symbol():
    subject, prompts = Multiplication(digits=[4, 4]), {}
    for name in ("valid", "test"):
        lines = (Path(DATA) / "multiplication" / f"4x4_{name}.txt").read_text().splitlines()
        assert len(lines) == 1_000
        prompts[name] = []
        for line in lines:
            prompt, thought, answer = re.fullmatch(r"(.+?)\|\|(.+) #### (.+)", line).groups()
            assert product_is_true(subject, Problem(prompt, thought, answer, -1))
            assert subject.problem(prompt, answer=answer)[:3] == (prompt, thought, answer)
            assert re.fullmatch(r"([0-9] ){3}[1-9] \* ([0-9] ){3}[1-9]", prompt)  # as `draw` draws
            prompts[name].append(prompt)
    assert copies(subject, prompts["valid"], prompts["test"]) == []
