import math
import re
from itertools import combinations_with_replacement

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dlmreason.tasks.example import PuzzleError, Verdict, split_of
from dlmreason.tasks.running_sum import RunningSum
from dlmreason.tasks.subject import Problem
from tests.tasks import laws

SUBJECTS = [
    RunningSum(),
    RunningSum(all_sums=True),
    RunningSum(length=20, modulus=97),
    RunningSum(length=5, modulus=1000, all_sums=True),
    RunningSum(length=1, modulus=2),
]


def named(subjects):
    return pytest.mark.parametrize("subject", subjects, ids=lambda subject: subject.name)


def sums(prompt, modulus):
    """Every beginning's sum, each from the start."""
    terms = [int(term) for term in prompt.split()]
    return [str(sum(terms[:count]) % modulus) for count in range(1, len(terms) + 1)]


@pytest.mark.parametrize("count", laws.GOLD)
@named(SUBJECTS)
def test_answers_are_right_and_thoughts_true(subject, count):
    def thought_is_true(problem):
        return problem.thought.split() == sums(problem.prompt, subject.modulus)

    laws.gold_holds(subject, count, thought_is_true)


@pytest.mark.parametrize("cases", laws.CASES)
@named(SUBJECTS)
def test_two_judges_agree(subject, cases):
    def other(prompt, answer):
        right = sums(prompt, subject.modulus)
        return re.fullmatch(re.escape(" ".join(right if subject.all_sums else right[-1:])), answer) is not None

    def wrong(problem, source):
        numbers = problem.answer.split()
        place = source.randrange(len(numbers))
        match source.randrange(4):
            case 0:
                numbers[place] = str(source.randrange(subject.modulus))
            case 1:
                numbers[place] = "0" + numbers[place]
            case 2:
                numbers += ["0"]
            case 3:
                return "  ".join(numbers) + source.choice(["", " "])
        return " ".join(numbers)

    laws.judges_agree(subject, other, wrong, cases)


@pytest.mark.parametrize("cases", laws.FUZZ)
@named(SUBJECTS[:2])
def test_whatever_the_answer_a_verdict(subject, cases):
    laws.never_raises(subject, cases)


@named(SUBJECTS[:3])
def test_rows_in_another_order_are_copies(subject):
    def copied(prompt, source):
        terms = prompt.split()
        return " ".join(source.sample(terms, len(terms)))

    def unrelated(problems):
        pairs = []
        for problem in problems:
            first, *rest = problem.prompt.split()
            pairs.append((problem.prompt, " ".join([str((int(first) + 1) % subject.modulus), *rest])))
        return pairs

    laws.copies_are_found(subject, copied, unrelated)


def test_there_are_enough_bags_of_terms():
    subject = RunningSum()
    bags = [" ".join(map(str, bag)) for bag in combinations_with_replacement(range(10), 8)]
    keys = subject.keys(bags)
    assert len(set(keys)) == len(bags) == math.comb(17, 8) == 24_310
    sizes = np.bincount(split_of(np.array(keys, np.uint64)))
    assert np.abs(sizes / len(bags) - [0.5, 0.25, 0.25]).max() < 0.02  # 6 standard deviations
    assert RunningSum(all_sums=True).keys(bags) == keys


def test_terms_and_sums_are_uniform():
    problems = laws.drawn(RunningSum(), 5_000)
    terms = np.array([problem.prompt.split() for problem in problems], int)
    for column in (*terms.T, np.array([problem.answer for problem in problems], int)):
        assert np.abs(np.bincount(column, minlength=10) / 5_000 - 0.1).max() < 0.025  # 6 standard deviations


def test_worked_examples():
    small, all_sums = RunningSum(length=4), RunningSum(length=4, all_sums=True)
    assert small.problem("3 7 2 9") == Problem("3 7 2 9", "3 0 2 1", "1", 2)
    assert all_sums.problem("3 7 2 9") == Problem("3 7 2 9", "", "3 0 2 1", 2)
    assert small.form.lay("3 7 2 9")[1].tolist() == [[0, 1], [0, 2], [0, 3], [0, 4]]
    assert all_sums.form.lay("3 7 2 9")[1].tolist() == [[1], [2], [3], [4]]
    assert all_sums.draw(3, 50) == [
        Problem(problem.prompt, "", problem.thought, problem.difficulty) for problem in small.draw(3, 50)
    ]


def test_difficulty_is_how_often_the_modulus_is_passed():
    for problem in laws.drawn(RunningSum(length=12, modulus=7), 300):
        total = passed = 0
        for term in map(int, problem.prompt.split()):
            total += term
            if total >= 7:
                total, passed = total - 7, passed + 1
        assert problem.difficulty == passed


def test_a_person_may_write_as_people_do():
    subject = RunningSum(length=4)
    for text in ("3 7 2 9", "3729", "3+7+2+9", " 3, 7,2 + 9 "):
        assert subject.problem(text, answer="1").prompt == "3 7 2 9"
    assert subject.problem("3729", "3 0").thought == "3 0"
    assert RunningSum(length=2, modulus=20).problem("13 7").answer == "0"


@pytest.mark.parametrize(
    ("prompt", "thought", "answer", "reason"),
    [
        ("3 7 2", "", "", "4 terms expected, got 3"),
        ("3 7 2 10", "", "", "term 4, '10', is not a number from 0 to 9"),
        ("3 7 2 09", "", "", "term 4, '09', is not a number from 0 to 9"),
        ("3 7 2 ９", "", "", "term 4, '９', is not a number from 0 to 9"),  # noqa: RUF001
        ("3 7 2 -1", "", "", "term 4, '-1', is not a number from 0 to 9"),
        ("", "", "", "term 1, '', is not a number from 0 to 9"),
        ("1 " * 1_000, "", "", "2000 characters are too many for 4 terms below 10"),
        ("3 7 2 9", "", "2", "the answer is wrong: number 1 is '2' where the sum is 1"),
        ("3 7 2 9", "3 0 2 x", "", "the thought cannot be written: symbol 4 of the text is 'x'; the alphabet is"),
    ],
)
def test_what_cannot_be_asked(prompt, thought, answer, reason):
    with pytest.raises(PuzzleError) as error:
        RunningSum(length=4).problem(prompt, thought, answer)
    assert error.value.reason.startswith(reason)


@given(st.text("0123456789 +,x٣", max_size=40))
@settings(max_examples=300, deadline=None)
def test_any_prompt_is_asked_or_refused(text):
    for subject in (RunningSum(length=3), RunningSum(length=2, modulus=12)):
        try:
            problem = subject.problem(text)
        except PuzzleError:
            continue
        assert subject.judge(problem, problem.answer).correct


def test_a_verdict_says_where():
    subject, all_sums = RunningSum(length=4), RunningSum(length=4, all_sums=True)
    one, all_of_them = subject.problem("3 7 2 9"), all_sums.problem("3 7 2 9")
    assert subject.judge(one, "1") == Verdict(True, "")
    assert subject.judge(one, "2") == (False, "number 1 is '2' where the sum is 1")
    assert subject.judge(one, "1 ") == (False, "one number expected, got 2 parts")
    assert subject.judge(one, "00001") == (False, "one number expected, got 5 characters")
    assert all_sums.judge(all_of_them, "3 0 2 1") == Verdict(True, "")
    assert all_sums.judge(all_of_them, "3 0 x 1") == (False, "number 3 is 'x' where the sum is 2")
    assert all_sums.judge(all_of_them, "1") == (False, "4 numbers joined by single spaces expected, got 1 parts")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"length": 0}, r"task\.subject\.length=0 must be a whole number from 1 to 1000: a sum has terms"),
        ({"length": 4.0}, r"task\.subject\.length=4\.0 must be a whole number from 1 to 1000: "),
        ({"modulus": 1}, r"task\.subject\.modulus=1 must be a whole number from 2 to 1000: modulo 1 every sum is 0"),
        ({"modulus": True}, r"task\.subject\.modulus=True must be a whole number from 2 to 1000: "),
        ({"all_sums": 1}, r"task\.subject\.all_sums=1 must be true or false: "),
    ],
)
def test_arguments_that_make_no_sense_are_refused(arguments, message):
    with pytest.raises(ValueError, match="^" + message):
        RunningSum(**arguments)
